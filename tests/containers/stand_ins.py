"""Images that stand in for the pulled ones, made from Debian's packages: same names, same users, no registry.

They are made once and kept in var/containers: two minutes and 600 MB.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from packaging.requirements import Requirement

from shared.fleet import ROOT

KEPT = ROOT / "var" / "containers"
WHEELS = KEPT / "wheels"
RELEASE = "bookworm"
PYTHON_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
SERVER_PACKAGES = "redis-server,postgresql-15,nginx-light,wget"


def python_image() -> Path:
    """A root file system with Python 3.11 and pip, as a tar."""
    return _kept("python", PYTHON_PACKAGES, _finish_python)


def servers_image() -> Path:
    """A root file system with Redis, PostgreSQL and nginx, as a tar."""
    return _kept("servers", SERVER_PACKAGES, _finish_servers)


def _finish_python(root: Path) -> None:
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")


def _finish_servers(root: Path) -> None:
    shutil.copy(Path(__file__).with_name("database-entrypoint.sh"), root / "usr/local/bin/docker-entrypoint.sh")
    (root / "data").mkdir()
    subprocess.run(["chroot", str(root), "chown", "redis:redis", "/data"], check=True)


def _kept(name: str, packages: str, finish: Callable[[Path], None]) -> Path:
    tar = KEPT / f"{name}-{zlib.crc32(packages.encode()):08x}.tar"
    if not tar.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as scratch:
            root = Path(scratch) / "root"
            command = ["debootstrap", "--variant=minbase", f"--include={packages}", RELEASE, str(root), mirror()]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            for left in (*root.glob("var/cache/apt/archives/*.deb"), *root.glob("var/lib/apt/lists/*_*")):
                left.unlink()
            finish(root)
            subprocess.run(["tar", "-C", str(root), "-cf", f"{root}.tar", "."], check=True)
            Path(f"{root}.tar").replace(tar)
    return tar


def mirror(*options: str) -> str:
    """Where this machine's own apt has Debian's packages from. `options`: apt's (tests).

    Raises RuntimeError where its sources, or the lists that `apt-get update` fetches, don't have them.
    """
    wanted = ["Created-By: Packages", f"Codename: {RELEASE}", "Label: Debian", "Component: main"]
    command = ["apt-get", *options, "indextargets", "--format", "$(REPO_URI)", *wanted]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    if not found:
        raise RuntimeError(f"apt knows no source of Debian {RELEASE}, main: look at its sources, run `apt-get update`")
    return found[0]


def wheels() -> Path:
    """Every package of the lock that an image of ours takes, fetched with this machine's own pip."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT) as scratch:
        wanted = Path(scratch) / "requirements.txt"
        wanted.write_text(for_the_image((ROOT / "requirements.lock").read_text()))
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes"]
        subprocess.run([*pip, "-r", str(wanted), "-d", str(WHEELS)], check=True)
    return WHEELS


def for_the_image(lock: str) -> str:
    """The lock's entries that hold in the image, without their conditions: its Python may be older than the test's."""
    image = {"python_full_version": "3.11.2", "python_version": "3.11", "sys_platform": "linux"}
    entries = []
    for entry in re.split(r"\n(?=\S)", lock):
        first, _, hashes = entry.partition(" \\\n")
        requirement = Requirement(first)
        if requirement.marker is None or requirement.marker.evaluate(image):
            requirement.marker = None
            entries.append(f"{requirement} \\\n{hashes}")
    return "\n".join(entries)
