"""Real redis-server, PostgreSQL and nginx for tests, each on a port and in a directory of its own.

Both keep port and data over kill(), stop() and restart(), so that fault tests can take them away and give
them back. Nothing is shared with a server that already runs on the machine.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from shared.testing.net import free_port, port_taken, wait_until

START_TRIES = 3  # a port that was free can be taken by the time the server binds it


class ServerMissing(RuntimeError):
    """The server's program is not on this machine; the message names it."""


def find_program(name: str) -> str:
    """The path of a server's program. Debian keeps PostgreSQL's own programs outside PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin") or (str(debian[0]) if debian else None)
    if found is None:
        raise ServerMissing(f"{name} is not installed")
    return found


class Server:
    """One server process. Subclasses say how it is set up, what is run and when it answers."""

    scheme = ""
    ready_timeout_s = 20.0
    stop_signal = signal.SIGTERM

    def __init__(self) -> None:
        self.port = 0
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.scheme}-test-"))
        self.log_path = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._run_as: dict[str, Any] = {}

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the parent, where there are children."""
        if self._process is None:
            raise RuntimeError("the server was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start and wait until it answers. A server that had a port comes back on that port."""
        tries = 1 if self.port else START_TRIES
        for _ in range(tries):
            if tries > 1:
                self.port = free_port()
            self._launch()
            try:
                wait_until(lambda: not self.running or self.answers(), self.ready_timeout_s, what=str(self.command()))
            except TimeoutError:
                self.kill()
                raise
            if self.running:
                return self
        raise RuntimeError(f"{self.scheme} did not start:\n{self.log_path.read_text(errors='replace')[-2000:]}")

    def _launch(self) -> None:
        log: IO[bytes]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                start_new_session=True, **self._run_as,
            )  # fmt: skip

    def stop(self) -> None:
        """Shut down cleanly; killed if that takes more than 15 s."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """SIGKILL to the server and its children; returns when all are gone."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if how != signal.SIGKILL and self.running:
            self._signal(signal.SIGCONT)
            self._process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(15)
        if self.running:
            self._process.send_signal(signal.SIGSTOP)  # a stopped parent starts no child that the list would miss
            family = children_of(self._process.pid)
            self._signal(signal.SIGKILL)
            self._process.wait(15)
            # PostgreSQL refuses to start while one of its old children still holds the shared memory
            wait_until(lambda: not any(map(alive, family)), 10, what=f"children {family} are gone")
        self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections stay open and accepted by the kernel, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after pause()."""
        self._signal(signal.SIGCONT)

    def restart(self) -> Self:
        """Clean stop, then start on the same port with the same data."""
        self.stop()
        return self.start()

    def _signal(self, how: signal.Signals) -> None:
        """To the parent first, then to its children: PostgreSQL's live in sessions of their own."""
        if self._process is None:
            return
        family = children_of(self._process.pid)
        self._process.send_signal(how)
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)

    def close(self) -> None:
        """Kill it and remove its directory."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:  # `with` calls no __exit__ for what failed to enter
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class RedisServer(Server):
    """redis-server with an append-only file: what it acknowledged survives kill()."""

    scheme = "redis"

    def __init__(self) -> None:
        self._program = find_program("redis-server")
        super().__init__()

    def command(self) -> list[str]:
        return [
            self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
            "--save", "", "--appendonly", "yes", "--daemonize", "no",
        ]  # fmt: skip

    def answers(self) -> bool:
        return self.call("PING") == "+PONG"

    def flush(self) -> None:
        """Forget every key."""
        self.call("FLUSHALL")

    def call(self, *words: str) -> str:
        """One command by hand, its raw first line back; empty if nobody answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as link:
                link.sendall((" ".join(words) + "\r\n").encode())
                return link.makefile().readline().strip()
        except OSError:
            return ""


class NginxServer(Server):
    """nginx with the configuration that `configure` makes for its port and folder."""

    scheme = "http"
    stop_signal = signal.SIGQUIT  # it lets requests end

    def __init__(self, configure: Callable[[int, Path], str]) -> None:
        self._program = find_program("nginx")
        super().__init__()
        self.folder.chmod(0o755)  # started as root, its workers are somebody else
        self._configure = configure

    def command(self) -> list[str]:
        file = self.folder / "nginx.conf"
        file.write_text(self._configure(self.port, self.folder), "utf-8")
        return [self._program, "-c", str(file), "-e", "stderr"]

    def answers(self) -> bool:
        return port_taken(self.port)


class PostgresServer(Server):
    """PostgreSQL with fsync on, TCP on loopback only, user `postgres` without a password."""

    scheme = "postgresql"
    stop_signal = signal.SIGINT  # "fast" shutdown: SIGTERM would wait for clients to leave

    def __init__(self) -> None:
        initdb = find_program("initdb")
        self._program = find_program("postgres")
        super().__init__()
        self._databases = 0
        self._data = self.folder / "data"
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._run_as = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(self.folder, "postgres", "postgres")
        made = subprocess.run(
            [initdb, "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=self.folder, check=False, **self._run_as,
        )  # fmt: skip
        if made.returncode:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise RuntimeError(f"initdb failed: {made.stderr[-2000:]}")

    def command(self) -> list[str]:
        return [
            self._program, "-D", str(self._data), "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
            "-c", "unix_socket_directories=",
        ]  # fmt: skip

    @property
    def url(self) -> str:
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def create_database(self) -> str:
        """The URL of a new, empty database on this server."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.execute(f"CREATE DATABASE {name}")
        return self.database_url(name)

    def execute(self, statement: str) -> None:
        """Run one statement outside a transaction, in the database `postgres`."""
        import psycopg2  # only tests that use PostgreSQL need the driver

        link = psycopg2.connect(self.url, connect_timeout=2)
        try:
            link.autocommit = True
            with link.cursor() as cursor:
                cursor.execute(statement)
        finally:
            link.close()

    def answers(self) -> bool:
        import psycopg2

        try:
            self.execute("SELECT 1")
        except psycopg2.OperationalError:
            return False
        return True


def alive(pid: int) -> bool:
    """Does that process run? A zombie holds no file, port or memory any more and counts as gone."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


def children_of(pid: int) -> list[int]:
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in listing.splitlines())
    return [int(child) for child, parent in rows if int(parent) == pid]
