"""A service as users run it: `python app.py` in its folder, a process of its own to talk to and to kill."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shared.fleet import ROOT
from shared.testing.net import free_port, wait_until

# The caller's settings must not decide a test: only these come from its environment.
KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "SYSTEMROOT")
# No test reaches the exchange or a Redis that happens to run on the machine, unless it says so.
DEFAULTS = {
    "ENV_FILES": "false",
    "MARKET": "simulator",
    "REDIS_ENABLED": "false",
    "LOG_FORMAT": "json",
    "PYTHONUNBUFFERED": "1",
}
START_TRIES = 3  # a port that was free can be taken by the time the service binds it


class ServiceProcess:
    """One running service.

    `folder` is the service's folder (its name at the root, or any path with an app.py), `env` its settings.
    Port and VAR_DIR are private and stay over kill() and restart(); the log of all runs is kept in `.log`.
    """

    def __init__(
        self, folder: str | Path, env: Mapping[str, str] | None = None, *,
        var_dir: Path | None = None, ready_timeout_s: float = 30.0, python: str | Path = sys.executable,
    ) -> None:  # fmt: skip
        self.folder, self._python = ROOT / folder, str(python)
        self.port = 0
        self._own = Path(tempfile.mkdtemp(prefix=f"{self.folder.name}-test-"))
        self.var_dir = var_dir or self._own / "var"
        self.env = dict(env or {})
        self.exit_code: int | None = None
        self._ready_timeout_s = ready_timeout_s
        self._log_path = self._own / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the service was not started")
        return self._process.pid

    @property
    def log(self) -> str:
        """All that it wrote so far, both streams, all runs."""
        return self._log_path.read_text("utf-8", "replace") if self._log_path.exists() else ""

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> Self:
        """Start it and wait until it is ready. One that had a port comes back on that port.

        Raises RuntimeError with the end of its log if it ends or isn't ready in time. `wait=False` returns
        at once, for tests of the start itself; `wait_ready()` does the rest.
        """
        tries = 1 if self.port or not wait else START_TRIES
        for left in reversed(range(tries)):
            if tries > 1 or not self.port:
                self.port = free_port()
            self._launch()
            if not wait:
                return self
            with contextlib.suppress(RuntimeError) if left else contextlib.nullcontext():
                return self.wait_ready()
        raise AssertionError("the last try returns or raises")

    def _launch(self) -> None:
        env = {name: os.environ[name] for name in KEPT if name in os.environ}
        env |= DEFAULTS | {"PORT": str(self.port), "VAR_DIR": str(self.var_dir)} | self.env
        self.exit_code = None
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [self._python, "app.py"], cwd=self.folder, env=env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def wait_ready(self) -> Self:
        """Return once /health/ready says 200; RuntimeError with the log if the process ends or takes too long."""
        try:
            wait_until(lambda: not self.running or self._ready(), self._ready_timeout_s, what="ready")
        except TimeoutError:
            self.kill()
            raise RuntimeError(f"{self.folder.name} was not ready in time:\n{self.log[-4000:]}") from None
        if not self.running:
            self._note_end()
            raise RuntimeError(f"{self.folder.name} ended with {self.exit_code}:\n{self.log[-4000:]}")
        return self

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.base_url}/health/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:  # refused, reset, timed out, or an HTTP error such as 503
            return False

    def get(self, path: str) -> Any:
        """GET as parsed JSON; urllib's HTTPError on an answer that isn't 2xx."""
        with urllib.request.urlopen(self.base_url + path, timeout=10) as answer:
            return json.load(answer)

    def kill(self) -> None:
        """SIGKILL to the process and whatever it started; returns when it is gone."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        self._note_end()

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout_s: float = 15.0) -> int:
        """Ask it to end and return its exit code (negative: the signal that ended it). Killed after `timeout_s`."""
        if self._process is None:
            raise RuntimeError("the service was not started")
        self._process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        self.kill()
        return self._process.returncode

    def restart(self) -> Self:
        """stop(), then start on the same port with the same VAR_DIR."""
        self.stop()
        return self.start()

    def _note_end(self) -> None:
        self.exit_code = self._process.returncode if self._process else None

    def close(self) -> None:
        """Kill it and remove its files."""
        self.kill()
        shutil.rmtree(self._own, ignore_errors=True)

    def __enter__(self) -> Self:
        if self._process is None:
            try:
                self.start()
            except BaseException:  # `with` calls no __exit__ for what failed to enter
                self.close()
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            print(f"--- log of {self.folder.name}, its end ---\n{self.log[-8000:]}", file=sys.stderr)
        self.close()
