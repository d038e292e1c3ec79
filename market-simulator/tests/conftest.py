"""A running simulator and a bare WebSocket client for the tests of its wire."""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import requests
import websocket

from shared.testing.process import ServiceProcess

Match = Callable[[Any], bool]


class Socket:
    """A client that shows every frame: JSON in, JSON out. `pongs` false never answers a ping."""

    def __init__(self, url: str, pongs: bool = True):
        self.ws = websocket.create_connection(url, timeout=10)
        self.pings: list[bytes] = []
        self._pongs = pongs
        self._ids = itertools.count(1)

    def send(self, document: Any) -> None:
        self.ws.send(document if isinstance(document, str) else json.dumps(document))

    def call(self, method: str, params: Any = None, **more: Any) -> Any:
        """Send a command and return its answer; data frames on the way are passed over."""
        id = next(self._ids)
        self.send({"method": method, "id": id, **({} if params is None else {"params": params}), **more})
        wanted = more.get("id", id)
        return self.wait_for(lambda frame: isinstance(frame, dict) and frame.get("id", "none") == wanted)

    def receive(self, timeout_s: float = 10.0) -> Any:
        """The next JSON frame. Raises WebSocketTimeoutException, or WebSocketConnectionClosedException at the end."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.ws.settimeout(max(0.01, deadline - time.monotonic()))
            opcode, frame = self.ws.recv_data_frame(False) if self._pongs else self._raw()
            if opcode == websocket.ABNF.OPCODE_TEXT:
                return json.loads(frame.data)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                code = int.from_bytes(frame.data[:2], "big")
                raise websocket.WebSocketConnectionClosedException(f"closed with {code}")
            if opcode == websocket.ABNF.OPCODE_PING:
                self.pings.append(frame.data)

    def _raw(self) -> Any:
        frame = self.ws.recv_frame()  # type: ignore[no-untyped-call]  # the library carries no types here
        return frame.opcode, frame

    def wait_for(self, match: Match, timeout_s: float = 10.0) -> Any:
        """The next frame that matches."""
        deadline = time.monotonic() + timeout_s
        while True:
            frame = self.receive(max(0.01, deadline - time.monotonic()))
            if match(frame):
                return frame

    def collect(self, seconds: float) -> list[Any]:
        """Every frame within a time."""
        frames, deadline = [], time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                frames.append(self.receive(left))
            except websocket.WebSocketTimeoutException:
                break
        return frames

    def close(self) -> None:
        self.ws.close(timeout=1)


class Simulator:
    """A running simulator and short ways to talk to it."""

    def __init__(self, process: ServiceProcess):
        self.process = process
        self.base_url, self.ws_url = process.base_url, process.ws_url
        self._sockets: list[Socket] = []

    def get(self, path: str, **params: Any) -> requests.Response:
        return requests.get(self.base_url + path, params=params, timeout=10)

    def api(self, name: str, **params: Any) -> Any:
        answer = self.get(f"/api/v3/{name}", **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def socket(self, path: str, pongs: bool = True) -> Socket:
        self._sockets.append(Socket(self.ws_url + path, pongs))
        return self._sockets[-1]

    def close_sockets(self) -> None:
        while self._sockets:
            self._sockets.pop().close()

    def begin(self, name: str, **fields: Any) -> dict[str, Any]:
        answer = requests.post(f"{self.base_url}/sim/scenario", json={"name": name, **fields}, timeout=10)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def end(self, id: str) -> dict[str, Any]:
        answer = requests.delete(f"{self.base_url}/sim/scenario/{id}", timeout=10)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def status(self) -> dict[str, Any]:
        data: dict[str, Any] = self.get("/sim/status").json()["data"]
        return data

    def truth(self, id: str) -> dict[str, Any]:
        """A scenario's ground truth."""
        found: dict[str, Any] = next(one for one in self.status()["scenarios"] if one["id"] == id)
        return found


Start = Callable[..., Simulator]


@pytest.fixture(scope="session")
def shared_simulator() -> Iterator[Simulator]:
    """One simulator for all tests that change nothing in it: real speed, no limits (they are tested apart)."""
    with ServiceProcess("market-simulator", {"SIM_LIMITS": "false"}) as process:
        yield Simulator(process)


@pytest.fixture
def simulator(shared_simulator: Simulator) -> Iterator[Simulator]:
    """The shared simulator; sockets opened by the test are closed after it."""
    yield shared_simulator
    shared_simulator.close_sockets()


@pytest.fixture
def start_simulator() -> Iterator[Start]:
    """Starts simulators with settings of their own, ended after the test."""
    started: list[Simulator] = []

    def start(settings: Mapping[str, str] | None = None) -> Simulator:
        process = ServiceProcess("market-simulator", settings or {})
        started.append(Simulator(process))
        process.start()
        started[-1].base_url, started[-1].ws_url = process.base_url, process.ws_url
        return started[-1]

    yield start
    for one in started:
        one.close_sockets()
        one.process.close()
