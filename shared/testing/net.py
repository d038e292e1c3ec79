"""Ports and waiting for tests: nothing here sleeps for luck, every wait has a bound."""

import socket
import time
from collections.abc import Callable


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago; whoever binds it must be ready to lose the race."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def port_taken(port: int) -> bool:
    """Does anything accept connections on that loopback port?"""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], object], timeout_s: float = 10.0, *, what: str = "") -> None:
    """Return once `condition()` is true; raise TimeoutError naming `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s:g} s: {what or condition}")
        time.sleep(0.02)
