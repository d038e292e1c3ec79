"""What the simulator can be told, beside what every service knows."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from market_simulator.live import EPOCH_MS
from shared.clock import parse_time
from shared.config import Settings

FIRST_START = datetime.fromtimestamp(EPOCH_MS / 1000, UTC)
LAST_START = datetime(2100, 1, 1, tzinfo=UTC)


def _moment(value: object) -> object:
    return parse_time(value) if isinstance(value, str) else value


def _in_range(moment: datetime | None) -> datetime | None:
    if moment is not None and not FIRST_START <= moment <= LAST_START:
        raise ValueError("must lie between 2020-01-01 and 2100-01-01")
    return moment


Moment = Annotated[datetime | None, BeforeValidator(_moment), AfterValidator(_in_range)]


class SimulatorSettings(Settings):
    """Settings of market-simulator."""

    SERVICE: ClassVar[str | None] = "market-simulator"

    SIM_SEED: int = Field(1, ge=0, le=2**53, description="seed of the generated symbols: the same seed, the same bytes")
    SIM_START: Moment = Field(
        None, description="where simulated and real time agree (ISO 8601); unset: the process's start"
    )
    SIM_SPEED: float = Field(1.0, gt=0, le=100, description="simulated seconds per real second")
    SIM_LIMITS: bool = Field(True, description="false: no weights, message rates and connection limits")
    SIM_SESSIONS: int = Field(20, ge=0, le=1000, description="private markets open at a time")
    SIM_REPLAY_DIR: Path | None = Field(None, description="folder of recorded minute bars that sessions may replay")
    SIM_WS_ERRORS: Literal["flat", "nested"] = Field(
        "flat", description="shape of command errors: flat as documented, nested as some clients have seen"
    )
    SIM_PING_S: float = Field(20.0, ge=0.05, le=3600, description="seconds between pings on a socket")
    SIM_PONG_TIMEOUT_S: float = Field(60.0, ge=0.1, le=3600, description="a socket without a true pong ends after this")
    SIM_FUTURES_PING_S: float = Field(180.0, ge=0.05, le=3600, description="seconds between pings on a futures socket")
    SIM_FUTURES_PONG_TIMEOUT_S: float = Field(
        600.0, ge=0.1, le=3600, description="a futures socket without a true pong ends after this"
    )
    SIM_CONNECTION_LIFE_S: float = Field(86_400.0, ge=0.5, le=604_800, description="a socket is closed at this age")
