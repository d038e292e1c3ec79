"""A cache in Redis when there is one, in the process when there is none; its callers see values or misses, no errors.

A call waits for Redis `TIMEOUT_S` at most. After one failure nobody asks Redis until a thread in the background has
found it again; what was written or deleted meanwhile is then dropped from Redis, so that no older value comes back.
"""

import json
import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from cachetools import TLRUCache

from shared.config import Settings, config
from shared.errors import Unavailable

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")
Enabled = bool | Literal["auto"]

TIMEOUT_S = 0.2  # for a free connection, to connect, for an answer; a hung Redis must cost a request less than 250 ms
SEARCH_S = 1.0  # between two looks for a lost Redis
DEFAULT_TTL_S = 300.0
MAX_CONNECTIONS = 200
MAX_LOCAL_BYTES = 32_000_000
MAX_TOUCHED = 100_000  # keys changed while Redis was away; beyond, only their TTL ends what Redis holds
ENTRY_BYTES = 200  # about what an entry costs beside its value

WHOLE = re.compile(rb"[0-9]{1,15}")
# One step for whoever else is at the key; INCR alone would refuse what is no number, and keep the old end.
ADD_ONE = """
local held = redis.call('GET', KEYS[1])
local count = (held and string.match(held, '^%d+$') and tonumber(held) or 0) + 1
redis.call('SET', KEYS[1], string.format('%.0f', count), 'PX', ARGV[1])
return count
"""

log = logging.getLogger(__name__)


def _import_redis() -> Any:
    """The optional package, or None."""
    try:
        import redis
    except ImportError:
        return None
    return redis


class RedisCache:
    """`RedisCache()` takes host, port and url from the settings on first use. Nothing is opened before that.

    `enabled`: "auto" takes Redis if it answers, True expects it (its absence is degraded), False never asks it.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        enabled: Enabled | str | None = None,
        url: str | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host, self._port, self._url, self._given = host, port, url, enabled
        self._local: TLRUCache[str, tuple[bytes, float]] = TLRUCache(
            MAX_LOCAL_BYTES, ttu=lambda _key, entry, now: now + entry[1], timer=monotonic, getsizeof=_entry_bytes
        )
        self._touched: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self._client: Redis | None = None
        self._lost = False
        self._last_error = ""
        self._stopped = threading.Event()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The cache that these settings ask for."""
        url = settings.REDIS_URL.get_secret_value() if settings.REDIS_URL else None
        return cls(settings.REDIS_HOST, settings.REDIS_PORT, settings.REDIS_ENABLED, url)

    def get(self, key: str) -> Any:
        """The value, or None when there is none (any more). Blocks `TIMEOUT_S` at most; never raises."""
        try:
            text: Any = self.run(lambda client: client.get(key))
        except Unavailable:
            with self._lock:
                text = self._local.get(key, (None,))[0]
        try:
            return None if text is None else json.loads(text)
        except ValueError:
            return None  # written by someone else: not ours to read

    def set(self, key: str, value: Any, ttl: float = DEFAULT_TTL_S) -> bool:
        """Keep a JSON value for `ttl` seconds; False if it can't be kept (not JSON, or too large). Never raises."""
        try:
            text = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            log.warning("not cached, because it is not JSON: %s", error)
            return False
        if ttl <= 0:
            self.delete(key)
            return True
        try:
            self.run(lambda client: client.set(key, text, px=max(1, int(ttl * 1000))))
        except Unavailable:
            return self._set_local(key, text, ttl)
        return True

    def increment(self, key: str, ttl: float = DEFAULT_TTL_S) -> int:
        """Add one to a count, exact however many do so at once, and keep it for `ttl` seconds from now. Never raises.

        A key that is not there, or holds no whole number, counts from 0.
        """
        ttl_ms = max(1, int(ttl * 1000))
        try:
            return int(self.run(lambda client: client.eval(ADD_ONE, 1, key, ttl_ms)))
        except Unavailable:
            return self._increment_local(key, ttl)

    def delete(self, key: str) -> bool:
        """Forget a key; True if there was one. Never raises."""
        try:
            return bool(self.run(lambda client: client.delete(key)))
        except Unavailable:
            with self._lock:
                self._touch(key)
                return self._local.pop(key, None) is not None

    @property
    def is_available(self) -> bool:
        """Whether Redis answers now; blocks `TIMEOUT_S` at most."""
        try:
            return bool(self.run(lambda client: client.ping()))
        except Unavailable:
            return False

    @property
    def client(self) -> "Redis | None":
        """The Redis client (bytes in and out), None while Redis is off or away. Its calls raise redis' own errors."""
        return None if self._lost else self._connect()

    @property
    def enabled(self) -> Enabled:
        """What was asked for: True, False or "auto"."""
        given = config.REDIS_ENABLED if self._given is None else self._given
        if isinstance(given, str):
            words: dict[str, Enabled] = {"true": True, "1": True, "false": False, "0": False}
            return words.get(given.lower(), "auto")
        return bool(given)

    def status(self) -> dict[str, str]:
        """For /health: degraded only where Redis is expected (`enabled=True`) and doesn't answer."""
        if self.enabled is False:
            return {"status": "healthy", "detail": "in-process cache, Redis is switched off"}
        if self.is_available:
            return {"status": "healthy", "detail": "redis"}
        state = "degraded" if self.enabled is True else "healthy"
        return {"status": state, "detail": f"in-process cache, Redis is away: {self._last_error}"}

    def run(self, operation: "Callable[[Redis], T]") -> T:
        """Do something with the client. Raises Unavailable: at once while Redis is known to be away."""
        client = self.client
        if client is None:
            raise Unavailable("Redis is off or away")
        try:
            return operation(client)
        except _refusals() as error:
            log.warning("Redis refused a command: %s", error)
            raise Unavailable("Redis refused the command") from error
        except _away_errors() as error:
            self._lose(error)
            raise Unavailable("Redis is away") from error

    def close(self) -> None:
        """End the search in the background and the connections."""
        self._stopped.set()
        if self._client is not None:
            self._client.close()

    def _connect(self) -> "Redis | None":
        if self._client is None and self.enabled is not False and not self._lost:
            with self._lock:
                self._client = self._client or self._make_client()
            if self._client is None:
                self._lost, self._last_error = True, "the redis package is not installed"
        return self._client

    def _make_client(self) -> "Redis | None":
        redis = _import_redis()
        if redis is None:
            return None
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        options: dict[str, Any] = {
            "socket_timeout": TIMEOUT_S,
            "socket_connect_timeout": TIMEOUT_S,
            # redis-py 8 retries 10 times by default: a hung Redis then blocks a call for 15 s.
            "retry": Retry(NoBackoff(), 0),
            # RESP2, no library name: no HELLO and CLIENT SETINFO round trips on each new connection.
            "protocol": 2,
            "driver_info": None,
            "max_connections": MAX_CONNECTIONS,
            "timeout": TIMEOUT_S,
        }
        url = self._url or (None if self._host else _configured_url())
        # One that waits for a free connection: the plain one raises, and more calls at a time than it holds would pass
        # for a Redis that is away.
        if url:
            pool = redis.BlockingConnectionPool.from_url(url, **options)
        else:
            host, port = self._host or config.REDIS_HOST, self._port or config.REDIS_PORT
            pool = redis.BlockingConnectionPool(host=host, port=port, **options)
        return redis.Redis.from_pool(pool)  # type: ignore[no-any-return]  # the package is optional

    def _set_local(self, key: str, text: bytes, ttl: float) -> bool:
        with self._lock:
            self._touch(key)
            try:
                self._local[key] = (text, ttl)
            except ValueError:  # larger than the whole cache may be
                return False
            return True

    def _increment_local(self, key: str, ttl: float) -> int:
        with self._lock:
            self._touch(key)
            text = self._local.get(key, (b"0",))[0]
            count = 1 + (int(text) if WHOLE.fullmatch(text) else 0)
            self._local[key] = (str(count).encode(), ttl)
            return count

    def _touch(self, key: str) -> None:
        if self.enabled is False:
            return
        self._touched[key] = None
        while len(self._touched) > MAX_TOUCHED:
            self._touched.popitem(last=False)

    def _lose(self, error: Exception) -> None:
        with self._lock:
            self._last_error = type(error).__name__
            if self._lost:
                return
            self._lost = True
        level = logging.WARNING if self.enabled is True else logging.INFO
        log.log(level, "Redis is away (%s), the in-process cache serves", type(error).__name__)
        threading.Thread(target=self._search, name="redis-search", daemon=True).start()

    def _search(self) -> None:
        while not self._stopped.wait(SEARCH_S):
            try:
                assert self._client is not None  # noqa: S101  # it was lost, so it was there
                self._client.ping()
                self._forget_touched(self._client)
            except _away_errors() as error:
                self._last_error = type(error).__name__
                continue
            with self._lock:
                self._local.clear()
                self._lost = False
            log.info("Redis is back")
            return

    def _forget_touched(self, client: "Redis") -> None:
        while self._touched:
            with self._lock:
                keys = list(self._touched)[:1000]
            client.delete(*keys)
            with self._lock:
                for key in keys:
                    self._touched.pop(key, None)


def _entry_bytes(entry: tuple[bytes, float]) -> int:
    return len(entry[0]) + ENTRY_BYTES


def _configured_url() -> str | None:
    return config.REDIS_URL.get_secret_value() if config.REDIS_URL else None


def _away_errors() -> tuple[type[Exception], ...]:
    """What a call fails with when Redis is away; OSError covers what escapes redis-py's own translation."""
    redis = _import_redis()
    return (redis.exceptions.RedisError, OSError) if redis else (OSError,)


def _refusals() -> tuple[type[Exception], ...]:
    """What Redis itself answers to a command (wrong type, out of memory, read only): it is there."""
    redis = _import_redis()
    return (redis.exceptions.ResponseError,) if redis else ()
