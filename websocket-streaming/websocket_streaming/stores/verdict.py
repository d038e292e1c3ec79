"""The venue's verdict in `market.json`: kept over restarts, removed by `make down`."""

import json
from pathlib import Path

from shared.clock import Clock, to_iso
from shared.logger import FleetLogger
from websocket_streaming.venue import Venue


class VerdictFile:
    """`VAR_DIR/market.json`. An unreadable file counts as none; one that can't be written is logged, no more."""

    def __init__(self, folder: Path, clock: Clock, logger: FleetLogger) -> None:
        self._path = folder / "market.json"
        self._clock, self._logger = clock, logger

    def read(self) -> Venue | None:
        """See `VerdictStore.read`."""
        try:
            document = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        venue = document.get("venue") if isinstance(document, dict) else None
        return venue if venue in ("binance", "simulator") else None

    def keep(self, venue: Venue) -> None:
        """See `VerdictStore.keep`. Written beside and renamed, so that a crash leaves the old file or the new one."""
        beside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps({"venue": venue, "decided_at": to_iso(self._clock.now())}), "utf-8")
            beside.replace(self._path)
        except OSError as error:
            self._logger.warning("the venue can't be kept in %s: %s", self._path.name, error.strerror)
