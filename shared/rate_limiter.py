"""Limits per client: an exact sliding window, in the process, or in Redis where several processes share the limit.

    @app.route("/things")
    @rate_limit(requests_per_minute=50)
    def things(): ...

Of 55 calls within a minute exactly 50 pass; a refused call costs nothing, so whoever waits as told always succeeds.
"""

if __name__ == "__main__":  # run by path: make `shared` importable from any folder
    import sys
    from pathlib import Path

    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import functools
import ipaddress
import math
import threading
import time
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, Self

from flask import Response, after_this_request, json, make_response, request
from flask.typing import ResponseReturnValue

from shared.addresses import Network, network, subscriber
from shared.config import Settings, config, split_list
from shared.errors import RateLimited, Unavailable, error_document
from shared.redis_cache import RedisCache

P = ParamSpec("P")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

WINDOW_S = 60.0
ROUNDING_S = 1e-6  # who waits exactly as told must pass, whatever adding and subtracting seconds rounds away
MAX_CLIENTS = 10_000  # past that the one that called least recently is forgotten

# The window of one client as a sorted set of call times in µs, by Redis' own clock, so that all processes agree.
# A time can't stand twice in a set, hence the step of 1 µs; times far ahead remain from before the clock was set back.
REDIS_WINDOW = """
local moment = redis.call('TIME')
local now, window, limit = moment[1] * 1000000 + moment[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local function text(number) return string.format('%.0f', number) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now - window))
redis.call('ZREMRANGEBYSCORE', KEYS[1], text(now + 1000000), '+inf')
local count, allowed = redis.call('ZCARD', KEYS[1]), 0
if count < limit then
    local at = now
    while redis.call('ZADD', KEYS[1], 'NX', text(at), text(at)) == 0 do at = at + 1 end
    redis.call('PEXPIRE', KEYS[1], text(window / 1000 + 1000))
    count, allowed = count + 1, 1
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0)[1] or text(now)
return {allowed, count, text(tonumber(oldest) + window - now)}
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call may pass, and what its answer says about the limit.

    `reset_s` is when the next slot comes free, `retry_after_s` how long to wait (0 if allowed); whole seconds, rounded
    up.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_s: int
    retry_after_s: int

    def headers(self) -> dict[str, str]:
        """The X-RateLimit headers, and Retry-After on a refusal."""
        named = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_s),
        }
        return named if self.allowed else {**named, "Retry-After": str(self.retry_after_s)}

    def refusal(self) -> RateLimited:
        """The error for whoever may not pass."""
        text = f"more than {self.limit} calls a minute; retry in {self.retry_after_s} s"
        return RateLimited(text, retry_after_s=self.retry_after_s)


class Limiter:
    """Counts calls per name and client over the last minute. Thread-safe.

    With a `cache` whose Redis answers the window lies there; else each process counts for itself, and
    `counted_alone` says how often that happened though there should be a Redis.
    """

    def __init__(self, cache: RedisCache | None = None, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._cache = cache
        self._monotonic = monotonic
        self._script: Any = None
        self._calls: OrderedDict[tuple[str, str], array[float]] = OrderedDict()
        self._lock = threading.Lock()
        self.counted_alone = 0

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The limiter that these settings ask for."""
        return cls(None if settings.REDIS_ENABLED is False else RedisCache.from_settings(settings))

    def check(self, name: str, client: str, limit_per_minute: int) -> Decision:
        """Count one call of `client` and say whether it may pass. Never raises; waits 0.2 s for Redis at most."""
        if self._cache is not None:
            try:
                return self._check_redis(self._cache, name, client, limit_per_minute)
            except Unavailable:
                self.counted_alone += 1
        return self._check_local(name, client, limit_per_minute)

    def _check_redis(self, cache: RedisCache, name: str, client: str, limit: int) -> Decision:
        def ask(redis: Any) -> list[Any]:
            if self._script is None:
                self._script = redis.register_script(REDIS_WINDOW)
            arguments = [int(WINDOW_S * 1e6), limit]
            answer: list[Any] = self._script(keys=[f"rate:{name}:{client}"], args=arguments, client=redis)
            return answer

        allowed, count, wait_us = cache.run(ask)
        return _decide(bool(allowed), limit, int(count), int(wait_us) / 1e6)

    def _check_local(self, name: str, client: str, limit: int) -> Decision:
        now = self._monotonic()
        with self._lock:
            calls = self._calls.setdefault((name, client), array("d"))
            self._calls.move_to_end((name, client))
            if len(self._calls) > MAX_CLIENTS:
                self._calls.popitem(last=False)
            del calls[: bisect_right(calls, now - WINDOW_S + ROUNDING_S)]
            allowed = len(calls) < limit
            if allowed:
                calls.append(now)
            return _decide(allowed, limit, len(calls), calls[0] + WINDOW_S - now if calls else WINDOW_S)


def _decide(allowed: bool, limit: int, count: int, wait_s: float) -> Decision:
    wait = max(1, math.ceil(wait_s))
    return Decision(allowed, limit, max(0, limit - count), wait, 0 if allowed else wait)


def client_address(environ: Mapping[str, Any]) -> str:
    """The client's IP of a WSGI request: the peer's, or what TRUSTED_PROXIES say in X-Forwarded-For, nobody else.

    The list is read from its end: the first address that isn't a trusted proxy is the client.
    """
    peer = _address(environ.get("REMOTE_ADDR", ""))
    if peer is None:
        return str(environ.get("REMOTE_ADDR", ""))
    trusted = _networks(config.TRUSTED_PROXIES)
    hops = environ.get("HTTP_X_FORWARDED_FOR", "").split(",") if trusted else []
    while hops and any(peer in near for near in trusted):
        hop = _address(hops.pop())
        if hop is None:
            break
        peer = hop
    return str(peer)


def is_trusted_proxy(peer: str) -> bool:
    """Whether this address is one of TRUSTED_PROXIES."""
    address = _address(peer)
    return address is not None and any(address in near for near in _networks(config.TRUSTED_PROXIES))


@functools.lru_cache(maxsize=4096)  # parsing costs 10 µs, and clients come back
def _address(text: str) -> Address | None:
    """An IP as proxies write it: with a port or in brackets too; IPv4 inside IPv6 is IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@functools.lru_cache(maxsize=16)
def _networks(setting: str) -> tuple[Network, ...]:
    return tuple(network(part) for part in split_list(setting))


@functools.lru_cache(maxsize=1)
def _process_limiter() -> Limiter:
    """The one that all decorated functions of the process share; made on their first call."""
    return Limiter.from_settings(config.current())


def rate_limit(
    requests_per_minute: int = 60, *, limiter: Limiter | None = None
) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """Limit a Flask view per client IP; stands below `@app.route`. Raises ValueError for a limit below 1.

    A refused call is answered with 429, Retry-After and the contract's error; the view is not called.
    """
    if requests_per_minute < 1:
        raise ValueError("requests_per_minute must be at least 1")

    def decorate(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        name = f"{view.__module__}.{view.__qualname__}"

        @functools.wraps(view)
        def limited(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            if not config.RATE_LIMIT_ENABLED:
                return view(*args, **kwargs)
            used = limiter or _process_limiter()
            decision = used.check(name, subscriber(client_address(request.environ)), requests_per_minute)

            # Not on the view's own result: an answer made by an error handler bears the headers too.
            @after_this_request
            def add_headers(response: Response) -> Response:
                response.headers.update(decision.headers())
                return response

            return view(*args, **kwargs) if decision.allowed else _refusal(decision)

        return limited

    return decorate


def _refusal(decision: Decision) -> Response:
    answer = make_response(json.dumps(error_document(decision.refusal())), RateLimited.status)
    answer.mimetype = "application/json"
    return answer


if __name__ == "__main__":
    check = Limiter()
    passed = sum(check.check("self-check", "192.0.2.1", 50).allowed for _ in range(55))
    refused = check.check("self-check", "192.0.2.1", 50)
    print(f"Of 55 calls at 50 a minute {passed} passed; the next may come in {refused.retry_after_s} s.")
    print(f"Another client passes: {check.check('self-check', '192.0.2.2', 50).allowed}")
    sys.exit(0 if passed == 50 and not refused.allowed else 1)
