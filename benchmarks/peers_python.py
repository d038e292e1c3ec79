"""Interpreters for the Python peers: an environment a list of pinned packages, in var/bench, made on first use."""

import hashlib
import shutil
import subprocess
import venv
from pathlib import Path

from benchmarks.report import say
from shared.fleet import ROOT

KEPT = ROOT / "var" / "bench"


def python_with(pinned: Path) -> Path | None:
    """The interpreter whose environment holds these packages, made anew when the pins have changed; None, said so, if
    they can't be installed."""
    pins = hashlib.sha256(pinned.read_bytes()).hexdigest()[:16]
    folder = KEPT / f"python-{pins}"
    python = folder / "bin" / "python"
    if not (folder / "whole").exists():
        say(f"installing the Python peers of {pinned.parent.name} …")
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        words = ["-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check", "-r", str(pinned)]
        done = subprocess.run([str(python), *words], capture_output=True, text=True, check=False)
        if done.returncode:
            why = (done.stderr or done.stdout).strip()[-500:]
            say(f"these Python peers are left out, pip could not install them:\n{why}")
            return None
        (folder / "whole").touch()
    return python
