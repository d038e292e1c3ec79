"""TimescaleDB for tests where no server with it is at hand: PostgreSQL and the extension, compiled to WebAssembly.

It is not what anybody runs, but it is TimescaleDB's own code that reads our SQL. All connections share one session, so
one at a time: it is for tests without concurrency. Nothing installs it but `npm ci --ignore-scripts` in its folder.
"""

import shutil
from pathlib import Path

import psycopg2

from shared.testing.servers import Server, ServerMissing

FOLDER = Path(__file__).parent / "timescale_wasm"


class TimescaleServer(Server):
    """An empty database that holds the extension, in memory: gone with the process."""

    scheme = "postgresql"

    def __init__(self) -> None:
        node = shutil.which("node")
        if node is None or not (FOLDER / "node_modules").exists():
            raise ServerMissing("TimescaleDB for tests is not installed (npm ci in shared/testing/timescale_wasm)")
        self._node = node
        super().__init__()

    @property
    def url(self) -> str:
        return f"postgresql://postgres:any@127.0.0.1:{self.port}/template1?sslmode=disable"  # it asks for one

    def command(self) -> list[str]:
        return [self._node, str(FOLDER / "server.mjs"), str(self.port)]

    def answers(self) -> bool:
        try:
            psycopg2.connect(self.url, connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True
