"""Whoever finds a port taken learns by what."""

import os
import platform
import shutil
import socket
from pathlib import Path

import pytest

from shared.port_holder import _from_lsof, port_holder
from shared.testing.net import free_port

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_who_listens_on_a_port_is_named(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with listener:
        found = port_holder(listener.getsockname()[1])
    assert found is not None
    assert found.endswith(f" (pid {os.getpid()})")


def test_of_a_free_port_nobody_is_named() -> None:
    assert port_holder(free_port()) is None


@pytest.mark.skipif(shutil.which("lsof") is None, reason="lsof, which macOS has, is not here")
def test_lsof_names_the_same() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = _from_lsof(listener.getsockname()[1])
    assert found is not None
    assert found.endswith(f" (pid {os.getpid()})")
    assert _from_lsof(free_port()) is None


@pytest.mark.skipif(platform.system() != "Linux", reason="the list of ports in /proc is Linux's")
def test_where_the_kernel_says_nothing_lsof_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.port_holder.PROC", Path("/nowhere"))
    monkeypatch.setattr("shared.port_holder._from_lsof", lambda port: f"asked for {port}")
    assert port_holder(80) == "asked for 80"
