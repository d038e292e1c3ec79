"""Docker and Compose as the deployment needs them: found, asked and told, in words a user understands."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.steps import ROOT, Failed, output

OLDEST_COMPOSE = (2, 24)  # the first that takes `env_file: {required: false}`
COMPOSE_FILE = ROOT / "docker-compose.yml"


@dataclass(frozen=True, slots=True)
class Container:
    """What the engine says of one container of the fleet."""

    service: str
    state: str
    health: str  # "" where the image has no check
    exit_code: int
    restarts: int
    runs_once: bool

    @property
    def ready(self) -> bool:
        """It is healthy; one that only runs once has ended well."""
        if self.runs_once:
            return self.state == "exited" and self.exit_code == 0
        return self.state == "running" and self.health in ("", "healthy")

    @property
    def trouble(self) -> str:
        """Why waiting for it makes no sense; "" while it does, or when it is ready."""
        if self.ready:
            return ""
        if self.health == "unhealthy":
            return "is unhealthy"
        if self.runs_once and self.state == "exited" and self.exit_code:
            return f"ended with exit code {self.exit_code}"
        return f"keeps ending (exit code {self.exit_code})" if self.restarts >= 3 else ""


def find_compose() -> list[str]:
    """The words that call Compose here. Raises Failed, in one line, when no engine answers or Compose is too old."""
    if shutil.which("docker") is None:
        raise Failed("Docker is needed, and `docker` is not on PATH.")
    asked = run(["docker", "version", "--format", "{{.Server.Version}}"])
    if asked.returncode or not asked.stdout.strip():
        said = (asked.stderr.strip() or asked.stdout.strip() or "nothing").splitlines()[-1]
        raise Failed(f"No Docker engine answers; start it, or set DOCKER_HOST. It says: {said}")
    found = ""
    for words in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(words[0]) is None:
            continue
        found = run([*words, "version", "--short"]).stdout.strip() or found
        if (version := re.match(r"v?(\d+)\.(\d+)", found)) and (int(version[1]), int(version[2])) >= OLDEST_COMPOSE:
            return words
    oldest = ".".join(map(str, OLDEST_COMPOSE))
    raise Failed(f"Compose {oldest} or newer is needed; found: {found or 'none'}.")


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """A short command's result, whatever its exit code. Raises Failed when it can't be run or takes over a minute."""
    try:
        return subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{command[0]} can't be run: {error}") from None


@dataclass(frozen=True, slots=True)
class Project:
    """The fleet as one compose file describes it; `compose` are the words up to the subcommand."""

    compose: tuple[str, ...]
    profiles: tuple[str, ...]

    @classmethod
    def of(cls, words: list[str], file: Path = COMPOSE_FILE, profiles: Iterable[str] = ()) -> "Project":
        """The project that `file` describes, with the folder of this checkout as its own."""
        wanted = tuple(profiles)
        named = [word for profile in wanted for word in ("--profile", profile)]
        return cls((*words, "--project-directory", str(ROOT), "-f", str(file), *named), wanted)

    def services(self) -> dict[str, Any]:
        """What starts, by name, as Compose understands the file. Raises Failed with what it says against it.

        The values of `.env` are in it, secrets too: it is looked at, never shown.
        """
        done = run([*self.compose, "config", "--format", "json"])
        if done.returncode:
            raise Failed("Compose does not take docker-compose.yml.", done.stderr)
        services: dict[str, Any] = json.loads(done.stdout)["services"]

        def starts(said: dict[str, Any]) -> bool:
            return not said.get("profiles") or not set(self.profiles).isdisjoint(said["profiles"])

        return {name: said for name, said in services.items() if starts(said)}

    def containers(self) -> dict[str, Container]:
        """Every container there is of it, by its service."""
        ids = run([*self.compose, "ps", "-aq"]).stdout.split()
        found = json.loads(run(["docker", "inspect", *ids]).stdout) if ids else []
        return {container.service: container for container in map(_container, found)}

    def log_of(self, service: str) -> str:
        """The last lines of a service's log."""
        done = run([*self.compose, "logs", "--no-color", "--no-log-prefix", "--tail", "15", service])
        return done.stdout or done.stderr


def _container(found: dict[str, Any]) -> Container:
    state = found["State"]
    return Container(
        found["Config"]["Labels"]["com.docker.compose.service"],
        state["Status"],
        state.get("Health", {}).get("Status", ""),
        state["ExitCode"],
        found["RestartCount"],
        found["HostConfig"]["RestartPolicy"]["Name"] in ("", "no"),
    )


def image_id(reference: str) -> str:
    """What the name stands for on this engine; "" for nothing."""
    done = run(["docker", "image", "inspect", "--format", "{{.Id}}", reference])
    return done.stdout.strip() if done.returncode == 0 else ""


def engine_folder() -> Path:
    """Where the engine keeps its images."""
    return Path(output(["docker", "info", "--format", "{{.DockerRootDir}}"]).strip() or "/")
