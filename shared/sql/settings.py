"""What a service that stores in SQL is told: PostgreSQL where one is configured, else an embedded file."""

from abc import abstractmethod
from pathlib import Path

from pydantic import SecretStr, field_validator
from sqlalchemy.exc import ArgumentError

from shared.config import Settings
from shared.sql.postgres import postgres_url
from shared.sql.sqlite import sqlite_url


class SqlSettings(Settings):
    """See `shared.config.Settings`. A service's subclass says where its embedded file is."""

    @field_validator("DATABASE_URL")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                postgres_url(value.get_secret_value())
            except (ValueError, ArgumentError):
                raise ValueError("must be a URL that begins with postgresql://") from None
        return value

    @property
    @abstractmethod
    def sqlite_path(self) -> Path:
        """The embedded database's file, absolute."""

    @property
    def store_url(self) -> str:
        """Where everything is stored: PostgreSQL if one is configured, else the embedded file."""
        return self.database_url or sqlite_url(self.sqlite_path)
