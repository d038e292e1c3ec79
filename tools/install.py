"""Makes the Python environments and node_modules, once: a stamp in each says what it was made from."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.steps import ROOT, Failed, output, say, step

OLDEST_NODE = 18


def install(*, dev: bool = False) -> None:
    """What `make up` needs, with `dev` also what the tests need. Quick when nothing has changed."""
    check_node()
    with only_one(ROOT / "var" / "install.lock"):
        python_environment(ROOT / ".venv", ROOT / "requirements.lock")
        if dev:
            python_environment(ROOT / ".venv-dev", ROOT / "requirements-dev.lock")
        node_modules()


@contextmanager
def only_one(lock_file: Path) -> Iterator[None]:
    """Wait until nobody else holds this lock; a folder that has to be made is the user's alone."""
    lock_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_node() -> None:
    """Raises Failed unless Node 18 or newer and npm are on PATH."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Failed(f"Node {OLDEST_NODE} or newer is needed (PM2 runs on it), and `{program}` is not on PATH.")
    version = output(["node", "--version"]).strip()
    major = re.match(r"v(\d+)", version)
    if major is None or int(major[1]) < OLDEST_NODE:
        raise Failed(f"Node {OLDEST_NODE} or newer is needed; `node --version` says {version or 'nothing'}.")


def python_environment(folder: Path, lock: Path) -> None:
    """An environment with exactly what `lock` names, hashes checked, and `shared` installed from this checkout."""
    stamp = folder / "fleet-stamp"
    made_by = f"{sys.version_info.major}.{sys.version_info.minor} {ROOT}"  # a moved checkout's scripts point nowhere
    wanted = f"{made_by}\n{_digest(lock, ROOT / 'pyproject.toml')}\n"
    python = folder / "bin" / "python"
    there = stamp.read_text("utf-8") if stamp.exists() else None
    works = python.exists() and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
    if there == wanted and works:
        return
    moved = there is not None and there.splitlines()[0] != made_by
    if moved or not works:
        hint = "On Debian and Ubuntu: apt-get install python3-venv"
        step(f"Making {folder.name}", [sys.executable, "-m", "venv", "--clear", str(folder)], hint)
    stamp.unlink(missing_ok=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    step(f"Installing Python packages into {folder.name}", [*pip, "--require-hashes", "-r", str(lock)])
    step("Installing shared", [*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    stamp.write_text(wanted, "utf-8")


def node_modules() -> None:
    """PM2 and the Socket.IO client, as package-lock.json has them."""
    stamp = ROOT / "node_modules" / ".fleet-stamp"
    wanted = _digest(ROOT / "package.json", ROOT / "package-lock.json")
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    npm = ["npm", "ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"]
    step("Installing Node packages (PM2)", npm)
    stamp.write_text(wanted, "utf-8")


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def install_servers(*, engine: bool = False) -> None:
    """As root on Debian: what the tests run and isn't there. Elsewhere it only says what is missing."""
    wanted = _servers() | (_engine() if engine else {})
    missing = [package for package, found in wanted.items() if not found]
    if not missing:
        return
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists() or shutil.which("apt-get") is None:
        say(f"Not installed: {', '.join(missing)}. Tests that need them are skipped.")
        return
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # RUNLEVEL 1: install, don't start
    try:
        step("Looking for Debian packages", ["apt-get", "update", "-q"], env=env)
        install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
        step(f"Installing {', '.join(missing)}", install, env=env)
    except Failed as failed:
        say(f"{failed.line}\n{failed.tail}\nGoing on without; tests that need them are skipped.")


def _servers() -> dict[str, bool]:
    postgres = shutil.which("postgres") or any(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    found = {"redis-server": shutil.which("redis-server") is not None, "postgresql": bool(postgres)}
    found |= {name: shutil.which(name) is not None for name in ("prometheus", "prometheus-alertmanager")}
    found["nginx-light"] = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None
    browsers = ("chromium", "chromium-browser", "google-chrome")
    found["chromium"] = any(shutil.which(name) for name in browsers)
    if sys.platform != "linux":
        return found
    # 3 MB: shows what is synced to the disk, and when. 1 MB: lets the wall clock jump for one process.
    return found | {"strace": shutil.which("strace") is not None, "faketime": shutil.which("faketime") is not None}


def _engine() -> dict[str, bool]:
    """What `make containers` runs, and makes its images with."""
    programs = {"docker.io": "dockerd", "debootstrap": "debootstrap", "iproute2": "ip", "curl": "curl"}
    return {package: shutil.which(program) is not None for package, program in programs.items()}
