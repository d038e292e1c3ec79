"""What can be set for this service, beside what every service knows."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from shared.config import Settings, split_list
from shared.web.models import Shape
from websocket_streaming.topics import read_symbol


def _symbols(value: str) -> str:
    wrong = [text for text in split_list(value) if read_symbol(text) is None]
    if wrong or not split_list(value):
        raise ValueError("must be symbols such as BTCUSDT, separated by commas")
    return value


class StreamingSettings(Settings):
    """The settings of websocket-streaming."""

    SERVICE: ClassVar[str | None] = "websocket-streaming"

    DEFAULT_SYMBOLS: Annotated[str, AfterValidator(_symbols)] = Field(
        "BTCUSDT,ETHUSDT,BNBUSDT,SOLUSDT,ADAUSDT", description="spot symbols streamed from the start on, by comma"
    )
    RATE_LIMIT_PRICE: int = Field(300, ge=1, description="GET /price/<symbol>: calls a minute and client")
    RATE_LIMIT_MARKET: int = Field(
        300, ge=1, description="GET /orderbook, /trades, /klines: calls a minute and client, each"
    )
    MAX_SYMBOLS_PER_CLIENT: int = Field(200, ge=1, le=200, description="symbols that one client may subscribe to")
    MAX_SYMBOLS: int = Field(
        500, ge=1, le=512, description="symbols streamed at once (two streams each, or more, of 1,024)"
    )
    MAX_CLIENTS: int = Field(5000, ge=1, description="Socket.IO clients at once, and plain WebSockets likewise")
    INSTANCES: int = Field(1, ge=1, le=16, description="workers that share one upstream through Redis (PM2 sets it)")
    INSTANCE: int = Field(1, ge=1, le=16, description="which of them this is, from 1 (PM2 sets it)")
    INSTANCE_GROUP: Annotated[
        str, Shape(r"^[A-Za-z0-9_.-]{1,64}$", "must be 1 to 64 letters, digits and _ . -")
    ] = Field(
        "websocket-streaming", description="their name in Redis, one for each fleet"
    )
    MAX_EVENT_BYTES: int = Field(
        1_000_000, ge=1000, le=10_000_000, description="largest Socket.IO message from a client; a larger one closes"
    )

    @property
    def default_symbols(self) -> list[str]:
        """DEFAULT_SYMBOLS as a list, upper-case, each once."""
        return list(dict.fromkeys(text.upper() for text in split_list(self.DEFAULT_SYMBOLS)))
