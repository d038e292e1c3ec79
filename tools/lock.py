"""`make lock`: each requirements*.in → its .lock, for every platform, with hashes and without an index's address.

uv resolves for all platforms at once; without one on PATH it is installed into a folder that is thrown away.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.steps import ROOT, Failed, exit_code, step

# Extras stay: pip takes `coverage==1` for no pin of `coverage[toml]` as soon as the index has a newer coverage.
OPTIONS = (
    "--universal", "--generate-hashes", "--no-header", "--no-annotate", "--no-strip-extras", "--upgrade",
    "--python-version", "3.11",
)  # fmt: skip


def main() -> None:
    """Lock the runtime first; the tests' lock and what each image takes then have the same versions."""
    with tempfile.TemporaryDirectory() as scratch:
        uv = shutil.which("uv") or _install_uv(Path(scratch))
        _lock(uv, "requirements")
        for service in sorted(ROOT.glob("*/requirements.in")):
            _lock(uv, f"{service.parent.name}/requirements", "--constraint", "requirements.lock")
        _lock(uv, "requirements-dev", "--constraint", "requirements.lock")


def _install_uv(scratch: Path) -> str:
    subprocess.run([sys.executable, "-m", "venv", str(scratch)], check=True)
    step("Installing uv", [str(scratch / "bin" / "python"), "-m", "pip", "install", "-q", "uv"])
    return str(scratch / "bin" / "uv")


def _lock(uv: str, name: str, *more: str) -> None:
    env = {**os.environ, "UV_NO_PROGRESS": "1"}
    command = [uv, "pip", "compile", *OPTIONS, *more, f"{name}.in", "--output-file", f"{name}.lock"]
    step(f"Locking {name}", command, env=env)
    text = (ROOT / f"{name}.lock").read_text("utf-8")
    if "://" in text:
        raise Failed(f"{name}.lock names an address; it must not.")


if __name__ == "__main__":
    sys.exit(exit_code(main))
