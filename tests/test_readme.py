"""The README's own commands are run as they stand, on private ports, so that they can't rot."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from shared.fleet import ROOT, read_fleet
from shared.testing.process import ServiceProcess

README = (ROOT / "README.md").read_text("utf-8")
BLOCK = r"<!-- {mark} -->\n```\w+\n(.*?)```(?:\n```json\n(.*?)```)?"

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def blocks(mark: str) -> list[tuple[str, str]]:
    """The (commands, shown answer) of every block marked so."""
    found = re.findall(BLOCK.format(mark=mark), README, re.DOTALL)
    assert found, f"the README marks no block with {mark}"
    return found


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[int, int]]:
    """The fleet on private ports: the documented port → where it listens here."""
    with ExitStack() as stack:
        env: dict[str, str] = {}
        listening: dict[int, int] = {}
        for service in read_fleet().services:
            running = stack.enter_context(ServiceProcess(service.name, env))
            listening[service.port] = running.port
            if service.name == "market-simulator":
                env |= {"SIMULATOR_URL": running.base_url, "MARKET": "simulator"}
            urls = [env["SERVICE_URLS"]] if "SERVICE_URLS" in env else []
            env["SERVICE_URLS"] = ",".join([*urls, f"{service.name}={running.base_url}"])
        yield listening


def moved(text: str, ports: dict[int, int]) -> str:
    """The commands with the documented ports replaced by those of the private fleet."""
    return re.sub(r"localhost:(\d{4})", lambda found: f"localhost:{ports[int(found[1])]}", text)


@pytest.mark.parametrize(("commands", "shown"), blocks("run"))
def test_each_command_succeeds_and_answers_in_the_shown_shape(
    commands: str, shown: str, ports: dict[int, int]
) -> None:
    done = subprocess.run(["bash", "-ec", moved(commands, ports)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in re.sub(r"\}\s*\{", "}\n{", done.stdout).splitlines()]
    assert all(answer["success"] for answer in answers), done.stdout
    if shown:
        assert_same_shape(json.loads(shown), answers[-1])


def assert_same_shape(shown: Any, real: Any) -> None:
    """Every key shown is there, with a value of the same kind."""
    if isinstance(shown, dict):
        assert shown.keys() <= real.keys(), f"the README shows {shown.keys() - real.keys()}, which did not come"
        for key, value in shown.items():
            assert_same_shape(value, real[key])
    elif isinstance(shown, list) and shown:
        assert_same_shape(shown[0], real[0])
    elif shown is not None and not isinstance(shown, int | float):
        assert type(shown) is type(real) or real is None


def test_the_python_example_prints_both_symbols(ports: dict[int, int]) -> None:
    [(program, _)] = blocks("run-python")
    done = subprocess.run([sys.executable, "-c", moved(program, ports)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "BTCUSDT " in done.stdout
    assert "ETHUSDT " in done.stdout


def test_the_javascript_example_prints_both_symbols(ports: dict[int, int]) -> None:
    if not (ROOT / "node_modules" / "socket.io-client").exists() or not shutil.which("node"):
        if os.environ.get("CI") == "true":
            pytest.fail("socket.io-client is not installed: npm ci")
        pytest.skip("needs Node and socket.io-client: npm ci")
    [(program, _)] = blocks("run-js")
    with subprocess.Popen(
        ["node", "-e", moved(program, ports)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as node:
        assert node.stdout
        seen: set[str] = set()
        lines = []
        for line in node.stdout:
            lines.append(line)
            seen.add(line.split()[0])
            if {"connected", "BTCUSDT", "ETHUSDT"} <= seen or len(lines) > 500:
                break
        node.kill()
    assert {"connected", "BTCUSDT", "ETHUSDT"} <= seen, "".join(lines[:20])
