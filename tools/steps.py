"""Running other programs for a user who waits: what is going on, how long it takes, what went wrong."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TELL_EVERY_S = 10.0
TAIL_LINES = 15
# What would make a Python or pip of ours look elsewhere than into its own environment.
MISLEADING = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "NODE_ENV")


class Failed(Exception):
    """Something the user has to know: one line, and the end of a log if there is one."""

    def __init__(self, line: str, log: str = "") -> None:
        super().__init__(line)
        self.line = line
        self.tail = "\n".join(f"    {row}" for row in log.rstrip().splitlines()[-TAIL_LINES:])


def say(line: str = "") -> None:
    """One line to the user, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def exit_code(work: Callable[[], int | None]) -> int:
    """Do `work` and return its exit code (None: 0). What Failed says goes to stderr, the end of a log included."""
    try:
        return work() or 0
    except Failed as failed:
        sys.stderr.write(f"{failed.line}\n" + (f"{failed.tail}\n" if failed.tail else ""))
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        return 130


def port_taken(port: int) -> bool:
    """Whether nothing more can listen on that loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def clean_environment() -> dict[str, str]:
    """The caller's environment without what would mislead Python, pip or npm."""
    return {name: value for name, value in os.environ.items() if name not in MISLEADING}


def step(title: str, command: Sequence[str], hint: str = "", env: Mapping[str, str] | None = None) -> None:
    """Run `command` quietly below one line, with a sign of life every 10 s. Raises Failed with its last lines."""
    say(f"{title} …")
    begun = told = time.monotonic()
    with tempfile.TemporaryFile("w+") as log:
        try:
            process = subprocess.Popen(
                command, cwd=ROOT, env=env or clean_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        except OSError as error:
            raise Failed(f"{title}: {command[0]} can't be run: {error.strerror}") from None
        with process:
            while (code := _poll(process)) is None:
                if time.monotonic() - told > TELL_EVERY_S:
                    told = time.monotonic()
                    say(f"  … {told - begun:.0f} s")
        if code:
            log.seek(0)
            raise Failed(f"{title} failed (exit code {code}). {hint}".strip(), log.read())


def _poll(process: "subprocess.Popen[bytes]") -> int | None:
    try:
        return process.wait(0.5)
    except subprocess.TimeoutExpired:
        return None


def output(command: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """What a short command prints; Failed when it can't be run or takes over a minute. Its exit code is ignored."""
    return asked(command, env).stdout


def asked(command: Sequence[str], env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """A short command that has ended; Failed when it can't be run or takes over a minute."""
    try:
        return subprocess.run(
            command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{command[0]} can't be run: {error}") from None
