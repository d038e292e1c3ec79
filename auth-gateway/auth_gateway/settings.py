"""The settings that only auth-gateway has."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from shared.config import LongSecret
from shared.kept_secret import kept_secret
from shared.service_urls import ServiceUrls, service_urls
from shared.sql.settings import SqlSettings


class AuthSettings(SqlSettings):
    """See `shared.sql.settings.SqlSettings`. One variable per limit, in calls a minute and client."""

    SERVICE: ClassVar[str | None] = "auth-gateway"

    AUTH_SQLITE_PATH: Path | None = Field(None, description="the embedded database's file; unset: VAR_DIR/auth.sqlite3")
    AUTH_SECRET: LongSecret = Field(
        None, description="signs access tokens, 32 bytes and more; unset: made once and kept in VAR_DIR/auth-secret"
    )
    AUTH_SECRET_OLD: LongSecret = Field(
        None, description="the one before: its tokens are taken until they end (exchange of the secret)"
    )
    ACCESS_TOKEN_S: int = Field(900, ge=30, le=86_400, description="how long an access token is in force")
    SESSION_DAYS: int = Field(30, ge=1, le=365, description="how long a login can be refreshed")
    PASSWORD_MIN_LENGTH: int = Field(8, ge=8, le=64, description="characters of a password; NIST: 15 where it is alone")
    REGISTRATION_OPEN: bool = Field(True, description="false: only `python -m auth_gateway.admin` makes accounts")
    RETENTION_AUDIT_DAYS: int = Field(
        0, ge=0, le=36_500, description="entries of the audit log older than this leave; 0: never"
    )
    SERVICE_URLS: ServiceUrls = Field(
        "", description="where services listen, name=url by comma; unset: 127.0.0.1 and the ports of fleet.json"
    )
    RATE_LIMIT_API_IP: int = Field(1200, ge=1, description="calls below /api a minute from one address")
    RATE_LIMIT_OVERVIEW: int = Field(
        120, ge=1, description="/api/health, /api/market/prices, /api/openapi.json, calls a minute of each"
    )
    RATE_LIMIT_AUTH_VALIDATE: int = Field(600, ge=1, description="GET /auth/validate, calls a minute")
    RATE_LIMIT_AUTH_REGISTER: int = Field(10, ge=1, description="POST /auth/register, calls a minute")
    RATE_LIMIT_AUTH_LOGIN: int = Field(30, ge=1, description="POST /auth/login, calls a minute from one address")
    RATE_LIMIT_AUTH_LOGIN_NAME: int = Field(
        10, ge=1, description="POST /auth/login, calls a minute from one address under one name"
    )
    RATE_LIMIT_AUTH_REFRESH: int = Field(60, ge=1, description="POST /auth/refresh, calls a minute")
    RATE_LIMIT_AUTH_KEYS: int = Field(
        60, ge=1, description="/auth/keys, /auth/hooks and the password, calls a minute of each"
    )
    RATE_LIMIT_HOOKS: int = Field(60, ge=1, description="events of one webhook a minute")
    RATE_LIMIT_HOOKS_IP: int = Field(300, ge=1, description="calls of /hooks a minute from one address")

    @property
    def sqlite_path(self) -> Path:
        """The embedded database's file, absolute."""
        return (self.AUTH_SQLITE_PATH or self.VAR_DIR / "auth.sqlite3").absolute()

    @property
    def service_urls(self) -> dict[str, str]:
        """Name → base URL of every other service of the fleet."""
        return service_urls(self.SERVICE or "", self.SERVICE_URLS, self.SIMULATOR_URL)

    def signing_keys(self) -> list[bytes]:
        """The key that signs, then the one before. Without AUTH_SECRET it is made once. Raises OSError."""
        old = [self.AUTH_SECRET_OLD.get_secret_value().encode()] if self.AUTH_SECRET_OLD else []
        if self.AUTH_SECRET is not None:
            return [self.AUTH_SECRET.get_secret_value().encode(), *old]
        return [kept_secret(self.VAR_DIR.absolute() / "auth-secret"), *old]
