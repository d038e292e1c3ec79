// What this browser remembers of its alerts: its token, those it wants, and those that fired. Other tabs share it.

const TOKEN = "alerts.token";
const WANTED = "alerts.wanted";
const FIRED = "alerts.fired";
const MOST_WANTED = 50; // as many as the service keeps for a token
const MOST_FIRED = 50;

/** `storage`: localStorage, or something like it. Without a working one all is kept until the page is left. */
export function alertBook(storage) {
  const memory = new Map();
  const read = (key, fallback) => {
    try {
      return JSON.parse(storage.getItem(key)) ?? memory.get(key) ?? fallback;
    } catch {
      return memory.get(key) ?? fallback;
    }
  };
  const write = (key, value) => {
    memory.set(key, value);
    try {
      storage.setItem(key, JSON.stringify(value));
    } catch {
      // full or forbidden: memory has it
    }
  };
  const list = (key) => {
    const found = read(key, []);
    return Array.isArray(found) ? found : [];
  };

  return {
    token() {
      const found = read(TOKEN, null);
      if (typeof found === "string" && /^[\w.~-]{8,64}$/.test(found)) return found;
      const made = randomHex(16);
      write(TOKEN, made);
      return made;
    },
    wanted: () => list(WANTED),
    fired: () => list(FIRED),
    isFull: () => list(WANTED).length >= MOST_WANTED,
    want: (alert) => write(WANTED, [...list(WANTED).filter((one) => one.name !== alert.name), alert].slice(-MOST_WANTED)),
    forget: (name) => write(WANTED, list(WANTED).filter((one) => one.name !== name)),
    /** Note one that fired; false if it is known already. */
    note(alert) {
      write(WANTED, list(WANTED).filter((one) => one.name !== alert.name));
      if (list(FIRED).some((one) => one.name === alert.name)) return false;
      write(FIRED, [alert, ...list(FIRED)].slice(0, MOST_FIRED));
      return true;
    },
    forgetFired: (name) => write(FIRED, list(FIRED).filter((one) => one.name !== name)),
    owns: (key) => key === null || key === WANTED || key === FIRED,
  };
}

export function randomHex(bytes) {
  return [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
