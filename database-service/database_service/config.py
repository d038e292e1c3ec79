"""The settings that only database-service has."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from shared.sql.settings import SqlSettings


class DatabaseSettings(SqlSettings):
    """See `shared.sql.settings.SqlSettings`. One variable per limit, in calls a minute and client."""

    SERVICE: ClassVar[str | None] = "database-service"

    SQLITE_PATH: Path | None = Field(None, description="the embedded database's file; unset: VAR_DIR/database.sqlite3")
    SPOOL_MAX_ROWS: int = Field(
        1_000_000, ge=0, description="signals and trades kept locally while PostgreSQL is away; 0: none, answer 503"
    )
    GROUP_COMMIT: bool = Field(True, description="writers that wait at the same moment share one transaction")
    WRITER_PROCESS: bool = Field(
        True, description="under load a second process writes, so that this one has time to answer"
    )
    RETENTION_SIGNALS_DAYS: int = Field(0, ge=0, le=36_500, description="signals older than this leave; 0: never")
    RETENTION_PERFORMANCE_DAYS: int = Field(
        0, ge=0, le=36_500, description="trades closed longer ago than this leave; 0: never"
    )
    RATE_LIMIT_SIGNALS_SAVE: int = Field(100, ge=1, description="POST /signals/save, calls a minute")
    RATE_LIMIT_SIGNALS_GET: int = Field(200, ge=1, description="GET /signals/<id>, calls a minute")
    RATE_LIMIT_SIGNALS_HISTORY: int = Field(200, ge=1, description="GET /signals/history, calls a minute")
    RATE_LIMIT_SIGNALS_BATCH: int = Field(100, ge=1, description="POST /signals/batch, calls a minute")
    RATE_LIMIT_SIGNALS_EXPORT: int = Field(10, ge=1, description="GET /signals/export, calls a minute")
    RATE_LIMIT_SIGNALS_CONFLICTS: int = Field(10, ge=1, description="GET /signals/conflicts, calls a minute")
    RATE_LIMIT_SIGNALS_AUDIT: int = Field(10, ge=1, description="GET /signals/audit, calls a minute")
    RATE_LIMIT_SIGNALS_CALIBRATION: int = Field(10, ge=1, description="/signals/calibration, calls a minute")
    RATE_LIMIT_PERFORMANCE_TRACK: int = Field(100, ge=1, description="POST /performance/track, calls a minute")
    RATE_LIMIT_PERFORMANCE_STATS: int = Field(200, ge=1, description="GET /performance/stats, calls a minute")
    RATE_LIMIT_SETTINGS: int = Field(100, ge=1, description="GET and PUT /settings/<user>, calls a minute")

    @property
    def sqlite_path(self) -> Path:
        """The embedded database's file, absolute."""
        return (self.SQLITE_PATH or self.VAR_DIR / "database.sqlite3").absolute()

    @property
    def spool_path(self) -> Path:
        """Where signals wait while PostgreSQL is away: a file of this process alone, found again by the port."""
        return (self.VAR_DIR / f"spool-{self.SERVICE_PORT}.sqlite3").absolute()
