"""The running service over the running simulator, and clients that write down what they get."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import socketio

from shared.fleet import ROOT
from shared.testing.process import ServiceProcess

TIMEOUT_S = 15.0
Event = tuple[str, Any]


class Recorder:
    """A python-socketio client that writes down every event."""

    def __init__(self, url: str, **options: Any) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self.client = socketio.Client(reconnection=False)
        _in_order(self.client)
        self.client.on("*", self._note)
        self.client.on("disconnect", lambda *_: self._note("disconnect", None))
        self.client.connect(url, wait_timeout=TIMEOUT_S, **options)

    def _note(self, event: str, data: Any = None, *_: Any) -> None:
        with self._changed:
            self.events.append((event, data))
            self._changed.notify_all()

    def wait(self, event: str, test: Callable[[Any], bool] = lambda _: True, since: int = 0) -> Any:
        """The data of the first such event since the `since`-th one, waiting for it."""

        def found() -> list[Any]:
            return [data for name, data in self.events[since:] if name == event and test(data)]

        with self._changed:
            assert self._changed.wait_for(found, TIMEOUT_S), f"no {event}; got {self.events[-5:]}"
            return found()[0]

    def ask(self, event: str, payload: Any, answer: str) -> Any:
        """Emit and wait for the answer to it."""
        since = len(self.events)
        self.client.emit(event, payload)
        return self.wait(answer, since=since)

    def data(self, event: str) -> list[Any]:
        """All data of such events so far."""
        return [data for name, data in list(self.events) if name == event]

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()


def _in_order(client: socketio.Client) -> None:
    """python-engineio hands each message to a thread of its own, and threads overtake each other on a busy machine."""
    trigger = client.eio._trigger_event
    client.eio._trigger_event = lambda *words, **options: trigger(*words, **{**options, "run_async": False})


@pytest.fixture(scope="session")
def simulator() -> Iterator[ServiceProcess]:
    with ServiceProcess("market-simulator") as running:
        yield running


@pytest.fixture(scope="session")
def streaming(simulator: ServiceProcess) -> Iterator[ServiceProcess]:
    """The service as it stands; rate limits off, as core-api.md asks of tests that aren't about them."""
    with ServiceProcess(
        "websocket-streaming", {"SIMULATOR_URL": simulator.base_url, "RATE_LIMIT_ENABLED": "false"}
    ) as running:
        yield running


@pytest.fixture
def connect() -> Iterator[Callable[..., Recorder]]:
    """Makes clients and disconnects them at the end."""
    made: list[Recorder] = []

    def make(url: str, **options: Any) -> Recorder:
        made.append(Recorder(url, **options))
        return made[-1]

    yield make
    for recorder in made:
        recorder.close()


@pytest.fixture(scope="session")
def node() -> str:
    """The node program, with the official socket.io-client installed at the root."""
    program = shutil.which("node")
    if program is None or not (ROOT / "node_modules" / "socket.io-client").is_dir():
        reason = "node or node_modules/socket.io-client is missing; `make up` or `npm ci` installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return program


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
