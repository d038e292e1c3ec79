"""What this service's processes tell each other through Redis."""

from shared.errors import Unavailable
from shared.redis_cache import RedisCache


class RedisDenials:
    """See `denylist.Shared`."""

    def __init__(self, cache: RedisCache):
        self._cache = cache

    def tell(self, session_id: str, ttl_s: float) -> None:
        """See `Shared.tell`."""
        try:
            self._cache.run(lambda redis: redis.set(f"auth:ended:{session_id}", 1, px=int(ttl_s * 1000)))
        except Unavailable:
            return  # the database has it, and who can't ask Redis asks there

    def told(self, session_id: str) -> bool | None:
        """See `Shared.told`."""
        try:
            return bool(self._cache.run(lambda redis: redis.exists(f"auth:ended:{session_id}")))
        except Unavailable:
            return None
