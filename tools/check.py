"""`make test`: what it needs, then ruff, mypy and pytest, each of which must pass."""

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


def test() -> int:
    """pytest comes last, so that its summary, skipped tests included, closes the output."""
    prepare()
    env = clean_environment()
    passed = True
    for title, command in (("ruff", ["ruff", "check", "."]), ("mypy", ["mypy"]), ("pytest", ["pytest", "-q"])):
        say(f"== {title}")
        program = str(BIN / command[0])
        code = subprocess.run([program, *command[1:]], cwd=ROOT, env=env, check=False).returncode
        if code:
            passed = False
            sys.stderr.write(f"{title} failed (exit code {code}).\n" if title != "pytest" else "")
    return 0 if passed else 1
