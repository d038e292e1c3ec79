"""`python3 -m tools.fleet install|up|down|status|logs|test`: the Makefile's entry.

This file is also read by Pythons too old for the rest, so it keeps to what they understand.
"""

import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)


def find_newer() -> "str | None":
    """The path of a Python new enough, if there is one on PATH."""
    for minor in (13, 12, 11, 14):
        found = shutil.which("python3.%d" % minor)  # noqa: UP031  # old Pythons read this line
        if found and subprocess.call([found, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            return found
    return None


def main() -> int:
    """Run with a Python that is new enough, or say in one line what is missing."""
    if os.name != "posix":
        sys.exit("Linux or macOS is needed; on Windows take WSL.")
    if sys.version_info < OLDEST:
        newer = find_newer()
        if newer is None:
            sys.exit("Python 3.11 or newer is needed; %s is %d.%d. Install it, or name it: make PYTHON=/path/to/python3.11" % (sys.executable, *sys.version_info[:2]))  # noqa: UP031, E501  # old Pythons read this line
        os.execv(newer, [newer, "-m", "tools.fleet", *sys.argv[1:]])
    from tools.commands import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
