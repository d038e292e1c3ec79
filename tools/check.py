"""`make test`: what it needs, then ruff, mypy and pytest, each of which must pass."""

import json
import subprocess
import sys

from tools.install import install, install_servers
from tools.steps import ROOT, clean_environment, say

BIN = ROOT / ".venv-dev" / "bin"


def prepare() -> int:
    """The environment of the tests: .venv, .venv-dev, node_modules, and servers where they may be installed."""
    install(dev=True)
    install_servers()
    return 0


def lint() -> int:
    """ruff over everything."""
    install(dev=True)
    return _run("ruff", "check", ".")


def types() -> int:
    """mypy --strict, a run for each service: their tests are modules of the same names."""
    install(dev=True)
    services = [service["name"] for service in json.loads((ROOT / "fleet.json").read_text("utf-8"))["services"]]
    whole = ["conftest.py", "shared", "tools", "benchmarks", "tests"]
    return max([_run("mypy", *whole), *(_run("mypy", service) for service in services)])


def test() -> int:
    """All three. pytest comes last, so that its summary, skipped tests included, closes the output."""
    prepare()
    codes = [lint(), types(), _run("pytest", "-q", "-n", "auto", "--dist", "loadfile")]
    return 1 if any(codes) else 0


def containers() -> int:
    """The images and their deployment on a real engine; what that needs is installed first."""
    prepare()
    install_servers(engine=True)
    return _run("pytest", "-v", "-s", "tests/test_containers_run.py", CONTAINERS="1")


def _run(program: str, *words: str, **env: str) -> int:
    say(f"== {program} {' '.join(words)}")
    environment = clean_environment() | env
    code = subprocess.run([str(BIN / program), *words], cwd=ROOT, env=environment, check=False).returncode
    if code and program != "pytest":
        sys.stderr.write(f"{program} {' '.join(words)} failed (exit code {code}).\n")
    return code
