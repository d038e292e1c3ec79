"""`deploy/deploy.sh`: build the images, start the fleet in containers, see that it is healthy, else undo."""

import argparse
import contextlib
import functools
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

from shared.fleet import read_fleet
from tools.containers import COMPOSE_FILE, Project, engine_folder, find_compose, image_id, run
from tools.install import only_one
from tools.steps import ROOT, Failed, exit_code, port_taken, say, step

LAST_GOOD = ROOT / "var" / "deploy" / "docker-compose.yml"
LEAST_FREE_MB = 2000
LOOK_EVERY_S = 1.0
ABOUT = """Build every image, start the fleet with docker compose, wait until each service is healthy, print the URLs.
If anything fails, the images and containers of before are put back. The engine must run on this machine.
Running it again changes only what differs."""


@dataclass(frozen=True, slots=True)
class Before:
    """What there was: the images by name (an empty id: none) and the services with a running container."""

    images: dict[str, str]
    running: frozenset[str]


def options(words: list[str]) -> argparse.Namespace:
    """The command line. Ends the program with 0 after --help and 2 after a wrong word."""
    parser = argparse.ArgumentParser(
        prog="deploy/deploy.sh", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    profile = functools.partial(parser.add_argument, dest="profiles", action="append_const")
    profile("--door", const="door", help="with nginx as the one entry (docs/door.md)")
    profile("--door-tls", const="door-tls", help="the same with TLS_CERTIFICATE and TLS_KEY")
    profile("--monitoring", const="monitoring", help="with Prometheus, Alertmanager and Grafana")
    parser.add_argument("--no-build", action="store_true", help="start the images that are there")
    parser.add_argument("--wait-s", type=float, default=180.0, metavar="S", help="time to become healthy (180)")
    return parser.parse_args(words)


def deploy(chosen: argparse.Namespace) -> None:
    """All of it. Raises Failed, with everything as it was before, or saying what could not be put back."""
    words = find_compose()
    project = Project.of(words, profiles=chosen.profiles or ())
    services = project.services()
    before = look(project, services)
    refuse_full_disk(engine_folder())
    refuse_taken_ports(services, before.running)
    try:
        if not chosen.no_build:
            step("Building the images", [*project.compose, "build"])
        start(project, chosen.wait_s)
        check_urls(services)
    except (Failed, KeyboardInterrupt) as failed:
        line, log = (failed.line, dedent(failed.tail)) if isinstance(failed, Failed) else ("Interrupted.", "")
        if "no space left on device" in log:
            line = "The disk is full."
        say(f"{line}\nUndoing …")
        raise Failed(f"{line} {undo(words, project, before, chosen)}", log) from None
    LAST_GOOD.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(COMPOSE_FILE, LAST_GOOD)
    drop({image: name for name, image in before.images.items() if image != image_id(name)})
    show(services)


def look(project: Project, services: Mapping[str, Any]) -> Before:
    """What an undo has to bring back."""
    built = [service["image"] for service in services.values() if "build" in service]
    running = (name for name, container in project.containers().items() if container.state in ("running", "restarting"))
    return Before({image: image_id(image) for image in built}, frozenset(running))


def refuse_full_disk(folder: Path) -> None:
    """Raises Failed when the images would not fit. A folder that can't be seen from here is not judged."""
    with contextlib.suppress(OSError):
        free_mb = shutil.disk_usage(folder).free // 1_000_000
        if free_mb < LEAST_FREE_MB:
            raise Failed(f"The disk is full: {free_mb} MB are free in {folder}, {LEAST_FREE_MB} MB are needed.")


def refuse_taken_ports(services: Mapping[str, Any], running: Iterable[str]) -> None:
    """Raises Failed, naming all ports that something else than the running fleet listens on."""
    wanted = {port: name for name, service in services.items() if name not in running for port in ports(service)}
    if taken := [f"{port} ({name})" for port, name in wanted.items() if port_taken(port)]:
        raise Failed(f"Taken by another program: port {', '.join(taken)}. Stop it (`make down`, if it is the fleet).")


def ports(service: Mapping[str, Any]) -> list[int]:
    """The ports of this machine that a compose service publishes."""
    return [int(port["published"]) for port in service.get("ports", [])]


def start(project: Project, wait_s: float, names: Iterable[str] = ()) -> None:
    """Bring the services up (none named: all) and wait for their health. Raises Failed with the log of the culprit."""
    deadline = time.monotonic() + wait_s
    try:
        step("Starting the containers", [*project.compose, "up", "-d", "--no-build", *sorted(names)])
    except Failed as failed:
        raise _blamed(project, failed.tail) or failed from None
    while waiting := [container for container in project.containers().values() if not container.ready]:
        if blamed := _blamed(project):
            raise blamed
        if time.monotonic() > deadline:
            name = waiting[0].service
            raise Failed(f"{name} is not healthy after {wait_s:.0f} s.", project.log_of(name))
        time.sleep(LOOK_EVERY_S)


def _blamed(project: Project, said: str = "") -> Failed | None:
    """Who is at fault: by its own state, else by what Compose `said` of it (it may just have been started again)."""
    for found in project.containers().values():
        named = not found.ready and re.search(rf"container \S+-{found.service}-\d+ (?:is unhealthy|exited)", said)
        if trouble := found.trouble or ("did not become healthy" if named else ""):
            return Failed(f"{found.service} {trouble}.", project.log_of(found.service))
    return None


def check_urls(services: Mapping[str, Any]) -> None:
    """Raises Failed when a service of the fleet does not answer where its users are going to ask."""
    for name in fleet_names(services):
        url = f"http://127.0.0.1:{ports(services[name])[0]}/health/ready"
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except (OSError, urllib.error.HTTPError) as error:
            raise Failed(f"{name} is healthy in its container, but {url} does not answer: {error}") from None


def fleet_names(services: Mapping[str, Any]) -> list[str]:
    """The services of fleet.json that compose knows, in that file's order."""
    return [service.name for service in read_fleet().services if service.name in services]


def undo(words: list[str], project: Project, before: Before, chosen: argparse.Namespace) -> str:
    """Put the images and containers of before back; one sentence about how that went."""
    made = {name: image_id(name) for name in before.images}
    for name, image in before.images.items():
        if image:
            run(["docker", "tag", image, name])
    started = project.containers().keys() - before.running
    if started:
        run([*project.compose, "rm", "--stop", "--force", *sorted(started)])
    said = "Undone: nothing of it runs, as before; the data stays."
    if before.running:
        said = start_again(words, before, chosen)
    else:
        run([*project.compose, "down"])
    drop({image: name for name, image in made.items() if image != before.images[name]})
    return said


def start_again(words: list[str], before: Before, chosen: argparse.Namespace) -> str:
    """Start what ran before, as the compose file of then describes it; one sentence about how that went."""
    file = LAST_GOOD if LAST_GOOD.exists() else COMPOSE_FILE
    try:
        start(Project.of(words, file, profiles=chosen.profiles or ()), chosen.wait_s, before.running)
    except Failed as failed:
        return f"The undo failed, too: {failed.line}"
    return "Undone: the fleet runs as before."


def drop(images: Mapping[str, str]) -> None:
    """Remove images (id → the name they had) that others replaced; one that something else uses stays."""
    for image, name in images.items():
        if image:
            run(["docker", "image", "rm", name if image_id(name) == image else image])


def show(services: Mapping[str, Any]) -> None:
    """Where everything is, fleet first."""
    say("All healthy:")
    own = fleet_names(services)
    others = [name for name, service in services.items() if name not in own and ports(service)]
    for name in [*own, *sorted(others)]:
        kind = "" if name in ("redis", "timescaledb") else "http://"
        say(f"  {name:<20} {kind}127.0.0.1:{ports(services[name])[0]}")


def main(words: list[str]) -> int:
    """Returns the exit code; what the user has to know goes to stderr."""
    chosen = options(words)

    def alone() -> None:
        with only_one(ROOT / "var" / "deploy.lock"):
            deploy(chosen)

    return exit_code(alone)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
