"""The words after `python3 -m tools.fleet`."""

import sys
from collections.abc import Callable

from tools import check, install, updown
from tools.steps import exit_code, say


def _install() -> int:
    install.install()
    say("Installed. Start the fleet with `make up`.")
    return 0


COMMANDS: dict[str, Callable[[], int]] = {
    "install": _install,
    "up": updown.up,
    "down": updown.down,
    "status": updown.status,
    "logs": updown.logs,
    "dev": check.prepare,
    "lint": check.lint,
    "types": check.types,
    "test": check.test,
    "containers": check.containers,
}


def run(words: list[str]) -> int:
    """Run one command. What the user has to know goes to stderr, in one line and the end of a log."""
    if len(words) != 1 or words[0] not in COMMANDS:
        sys.stderr.write(f"usage: python3 -m tools.fleet {'|'.join(COMMANDS)}\n")
        return 2
    return exit_code(COMMANDS[words[0]])
