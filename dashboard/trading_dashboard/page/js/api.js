// The dashboard's own calls and, below /api/<service>/, those of the services.

const PATIENCE_MS = 15_000;
const SESSION = "/api/session";

/** What went wrong: the service's own words where it has some. `retryAfter`: seconds until asking again makes sense. */
export class ApiError extends Error {
  constructor({ code = "unreachable", message, details = [] }, status = 0, retryAfter = 0) {
    super(message);
    Object.assign(this, { code, details, status, retryAfter });
  }
}

async function call(method, path, body, { signal } = {}) {
  const late = AbortSignal.timeout(PATIENCE_MS);
  const wish = { method, signal: signal ? AbortSignal.any([signal, late]) : late };
  if (body !== undefined) Object.assign(wish, { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  let answer;
  let data;
  try {
    answer = await fetch(new URL(path.replace(/^\//, ""), document.baseURI), wish);
    data = await answer.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError({ message: "the dashboard's service does not answer" });
  }
  if (answer.ok && data.success) return data;
  if (answer.status === 401 && path !== SESSION) api.over();
  throw new ApiError(data.error ?? { message: `answered ${answer.status}` }, answer.status, Number(answer.headers.get("Retry-After")) || 0);
}

/**
 * Ask at once and again `every_ms` after each answer, not while nobody looks at the page, and no sooner than the service
 * wants. Returns what ends it; after that neither function is called. Without a login nothing is asked any more.
 */
function poll(path, every_ms, onData, onError) {
  const ended = new AbortController();
  let timer = 0;
  let due_ms = 0;

  async function ask() {
    let wait_ms = every_ms;
    due_ms = 0; // under way: coming back to the page must not begin a second one
    try {
      onData(await call("GET", path, undefined, { signal: ended.signal }));
    } catch (error) {
      if (ended.signal.aborted || error.status === 401) return;
      wait_ms = Math.max(every_ms, (error.retryAfter ?? 0) * 1000);
      onError(error);
    }
    if (ended.signal.aborted) return;
    due_ms = Date.now() + wait_ms;
    if (!document.hidden) timer = setTimeout(ask, wait_ms);
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden && due_ms) timer = setTimeout(ask, Math.max(0, due_ms - Date.now()));
  }, { signal: ended.signal });
  ask();
  return () => {
    ended.abort();
    clearTimeout(timer);
  };
}

export const api = {
  /** A login is needed for what was asked: there is none, or it is over. */
  over: () => {},
  get: (path, options) => call("GET", path, undefined, options),
  post: (path, body, options) => call("POST", path, body, options),
  delete: (path, options) => call("DELETE", path, undefined, options),
  poll,
};
