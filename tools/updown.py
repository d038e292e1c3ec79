"""`make up`, `make down`, `make status`, `make logs`."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from shared.port_holder import port_holder
from tools import pm2
from tools.install import install, only_one
from tools.pm2 import App, Running, Wanted
from tools.steps import ROOT, Failed, asked, clean_environment, port_taken, say

READY_WITHIN_S = 120.0  # a busy machine takes most of a minute; what falls over is seen at once
SETTLE_S = 8.0  # a health document is asked anew every few seconds
LOOK_EVERY_S = 0.2
MAX_MOVE = 2000  # ports that a fleet is moved by, to where there is room
DELETE_WITHIN_S = 60.0
FALLEN = {"errored", "stopped", "waiting restart"}  # PM2's words
ASK_PM2_EVERY_S = 1.5  # asking costs half a second of processor

DOOR = "door"
CLOSED = "A login is asked for (AUTH_REQUIRED); auth-gateway/README.md shows how to make the first account."


def up() -> int:
    """Install what is missing, start what doesn't run, wait until all is ready."""
    begun = time.monotonic()
    install()
    refuse_wrong_settings()
    with only_one(ROOT / "var" / "up.lock"):
        wanted = pm2.wanted()
        apps = wanted.apps
        _start_missing(wanted)
    seconds = time.monotonic() - begun
    _settle(apps)
    show(apps, {app.name: "ready" for app in apps})
    say(f"Ready after {seconds:.1f} s.")
    streaming = next((app for app in apps if app.name.startswith("websocket-streaming")), apps[0])
    asked = ask(f"{streaming.url}/price/BTCUSDT")
    closed = isinstance(asked, dict) and asked.get("error", {}).get("code") == "unauthorized"
    say(CLOSED if closed else f"Try: curl localhost:{streaming.port}/price/BTCUSDT")
    say(f"Open in a browser: {wanted.page}")
    return 0


def refuse_wrong_settings() -> None:
    """Raises Failed with a line for each wrong value; a name that is nearly a setting is only told."""
    python = pm2.environment()["FLEET_PYTHON"] or str(ROOT / ".venv" / "bin" / "python")
    done = asked([python, "-m", "tools.settings_check"], clean_environment())
    if done.stdout:
        say(done.stdout.rstrip())
    if done.returncode:
        raise Failed("Nothing was started; put this right first:", done.stderr)


def _settle(apps: Sequence[App]) -> None:
    """Give services that are ready a moment to find each other: what is said then is no trouble of the start alone."""
    end = time.monotonic() + SETTLE_S
    while time.monotonic() < end and any(_troubles(ask(f"{app.url}/health")) for app in apps):
        time.sleep(0.3)


def _start_missing(wanted: Wanted) -> None:
    apps, listed = wanted.apps, pm2.running()
    refuse_other_clones(apps, listed)
    refuse_other_offset(wanted, listed)
    names = {app.name for app in apps}
    ours = [app for app in listed if app.ours and app.name in names]
    if fallen := [app for app in ours if app.status != "online"]:
        _delete_all(apps, fallen)  # PM2 can't start again what it is just about to restart
    online = {app.name for app in ours if app.status == "online"}
    _tell_changed([app for app in ours if app.name in online])
    missing = [app for app in apps if app.name not in online]
    refuse_taken_ports(missing, wanted.port_offset)
    if missing:
        say(f"Starting {', '.join(app.name for app in missing)} …")
    wait_ready(apps, missing, {app.name: app.restarts for app in ours if app.name in online})


def _tell_changed(running: Sequence[Running]) -> None:
    """One line for each `.env` that was changed meanwhile."""
    changed: dict[str, list[str]] = {}
    for app in running:
        if file := _changed_since(app):
            changed.setdefault(file, []).append(app.name)
    for file, names in changed.items():
        say(f"! {file} changed after {', '.join(names)} started; to apply: "
            f"npx pm2 restart ecosystem.config.js --only {','.join(names)}")  # fmt: skip


def _changed_since(app: Running) -> str | None:
    """The `.env` that a running app has not read in its newest form."""
    for file in (app.folder / ".env", ROOT / ".env"):
        if file.exists() and file.stat().st_mtime > app.started_s > 0:
            return str(file.relative_to(ROOT))
    return None


def refuse_other_clones(apps: Sequence[App], listed: Sequence[Running]) -> None:
    """Raises Failed when PM2 runs apps of these names from another folder: restarting them would take them over."""
    names = {app.name for app in apps}
    for other in listed:
        if other.name in names and not other.ours:
            raise Failed(
                f"PM2 already has a {other.name} of another clone, in {other.folder}. "
                "Run `make down` there, or give this clone its own PM2_HOME and FLEET_PORT_OFFSET."
            )


def refuse_other_offset(wanted: Wanted, listed: Sequence[Running]) -> None:
    """Raises Failed when this clone's fleet runs, moved otherwise than this shell says: it would be sought in vain."""
    ports = {app.name: app.port for app in wanted.apps if app.name != DOOR}  # whose port has a setting of its own
    online = [app for app in listed if app.ours and app.status == "online" and app.port and app.name in ports]
    moves = {app.port - ports[app.name] for app in online}
    offset = wanted.port_offset + moves.pop() if len(moves) == 1 else -1  # several: fleet.json itself was changed
    if offset >= 0 and offset != wanted.port_offset:
        raise Failed(
            f"This clone's fleet runs at +{offset}, and this shell (or .env) asks for +{wanted.port_offset}. "
            f"To go on with it: export FLEET_PORT_OFFSET={offset}. To move it: make down, then make up."
        )


def refuse_taken_ports(apps: Sequence[App], port_offset: int) -> None:
    """Raises Failed, naming all ports that something else listens on."""
    if taken := [app for app in apps if port_taken(app.port)]:
        ports = "".join(f"\n  port {app.port} ({app.name}): {_holder(app)}" for app in taken)
        raise Failed(f"Taken already, so nothing was started:{ports}\n{_way_out(apps, port_offset)}")


def _holder(app: App) -> str:
    health = ask(f"{app.url}/health")
    title = f", which says it is “{health['service']}”" if isinstance(health, dict) and "service" in health else ""
    return (port_holder(app.port) or "another program") + title


def _way_out(apps: Sequence[App], port_offset: int) -> str:
    """What to do, with the first offset whose ports are all free now."""
    moves = range(100, MAX_MOVE, 100)
    move = next((m for m in moves if not any(port_taken(app.port + m) for app in apps)), moves[0])
    return f"Stop that, or move this fleet to other ports: export FLEET_PORT_OFFSET={port_offset + move}, then make up."


def wait_ready(apps: Sequence[App], missing: Sequence[App], restarts_before: dict[str, int]) -> None:
    """Start the `missing` ones; return when all are ready.

    Raises Failed with the end of the log of the first that doesn't come up or falls over meanwhile.
    """
    sizes = {app.name: [_size(log) for log in app.logs] for app in apps}
    starter = pm2.start([app.name for app in missing]) if missing else None
    deadline, ask_pm2_at = time.monotonic() + READY_WITHIN_S, time.monotonic() + ASK_PM2_EVERY_S
    waiting = list(apps)
    try:
        while waiting := [app for app in waiting if not ready(app)]:
            if starter is not None and starter.poll():
                raise Failed("PM2 could not start the fleet.", starter.stderr.read() if starter.stderr else "")
            if time.monotonic() > ask_pm2_at:
                _refuse_fallen(waiting, restarts_before, sizes)
                ask_pm2_at = time.monotonic() + ASK_PM2_EVERY_S
            if time.monotonic() > deadline:
                log = _log_since(waiting[0], sizes[waiting[0].name])
                raise Failed(f"{waiting[0].name} is not ready after {READY_WITHIN_S:.0f} s.", log)
            time.sleep(LOOK_EVERY_S)
        if starter is not None:
            starter.wait(READY_WITHIN_S)
    finally:
        if starter is not None and starter.poll() is None:
            starter.terminate()


def _refuse_fallen(waiting: Sequence[App], restarts_before: dict[str, int], sizes: dict[str, list[int]]) -> None:
    now = {app.name: app for app in pm2.running() if app.ours}
    for app in waiting:
        state = now.get(app.name)
        restarts = state.restarts - restarts_before.get(app.name, 0) if state else 0
        if state and (state.status in FALLEN or restarts > 0):
            raise Failed(
                f"{app.name} did not start. What it said (more: `make logs`; stop it: `make down`):",
                _log_since(app, sizes[app.name]),
            )


def _size(log: Any) -> int:
    return log.stat().st_size if log.exists() else 0


def _log_since(app: App, sizes: Sequence[int]) -> str:
    texts = []
    for log, size in zip(app.logs, sizes, strict=True):
        if log.exists():
            with log.open("rb") as file:
                file.seek(size)
                texts.append(file.read(100_000).decode("utf-8", "replace"))
    lines = dict.fromkeys("".join(texts).splitlines())  # a service that falls over says the same each time
    return "\n".join(lines) or "(nothing)"


def ask(url: str) -> Any:
    """GET as JSON, whatever the status; None when nobody answers in JSON within 2 s."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return _json_or_none(error.read())
    except (OSError, ValueError):
        return None


def _json_or_none(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def ready(app: App) -> bool:
    """Does /health/ready answer 200?"""
    try:
        with urllib.request.urlopen(f"{app.url}/health/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def show(apps: Sequence[App], states: dict[str, str]) -> None:
    """The table of names, URLs, states and the venue that serves."""
    rows = [("service", "url", "state", "venue")]
    notes = []
    for app in apps:
        running = states[app.name] == "ready"
        stats, health = (ask(f"{app.url}/{path}") if running else None for path in ("stats", "health"))
        venue = stats.get("data", {}).get("venue", "") if isinstance(stats, dict) else ""
        notes += [f"{app.name}: {note}" for note in _troubles(health)]
        rows.append((app.name, app.url, states[app.name], venue))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    say()
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for note in notes:
        say(f"! {note}")
    say()


def _troubles(health: Any) -> list[str]:
    """What a running service says of dependencies that aren't healthy."""
    states = health.get("dependencies", {}) if isinstance(health, dict) else {}
    unwell = {name: state for name, state in states.items() if state["status"] != "healthy"}
    return [f"{name}: {state.get('detail', state['status'])}" for name, state in unwell.items()]


def status() -> int:
    """Show what runs; exit code 0 only if all of it is ready."""
    wanted, running = pm2.wanted(), pm2.running()
    refuse_other_offset(wanted, running)
    apps, listed = wanted.apps, {app.name: app.status for app in running if app.ours}
    states = {}
    for app in apps:
        known = listed.get(app.name, "not running")
        states[app.name] = "ready" if known == "online" and ready(app) else "not ready" if known == "online" else known
    show(apps, states)
    return 0 if set(states.values()) == {"ready"} else 1


def down() -> int:
    """Stop this clone's apps, forget which market served, and leave everything else alone."""
    apps = pm2.wanted().apps
    found = _ours(apps)
    if found:
        say(f"Stopping {', '.join(app.name for app in found)} …")
        with only_one(ROOT / "var" / "up.lock"):
            _delete_all(apps, found)
    for folder in {app.var_dir for app in apps}:
        (folder / "market.json").unlink(missing_ok=True)
        (folder / "pm2-home").unlink(missing_ok=True)  # any PM2 may start it next
    if found and not pm2.running():
        pm2.kill_daemon()  # nothing is left in its list
    say("The fleet is down; its data stays." if found else "Nothing of this clone was running.")
    return 0


def _ours(apps: Sequence[App]) -> list[Running]:
    names = {app.name for app in apps} | {DOOR}  # which may have been switched off in the settings meanwhile
    return [app for app in pm2.running() if app.ours and app.name in names]


def _delete_all(apps: Sequence[App], found: list[Running]) -> None:
    """PM2 can lose a stop that comes while it restarts a crashed app: then the app reappears, so look again.

    Each time after a longer pause: PM2 waits longer and longer between its restarts, and loses none meanwhile.
    """
    names, deadline, pause_s = {app.name for app in found}, time.monotonic() + DELETE_WITHIN_S, 0.0
    while time.monotonic() < deadline:
        crashed = any(app.status != "online" for app in found)
        pm2.delete([app.id for app in found])
        if crashed:
            pause_s += ASK_PM2_EVERY_S
            time.sleep(pause_s)
        if not (found := [app for app in _ours(apps) if app.name in names]):
            return
    raise Failed(f"PM2 keeps restarting {', '.join(app.name for app in found)}; `npx pm2 kill` ends all that PM2 runs.")


def logs() -> int:
    """Follow the logs of this clone's apps until Ctrl-C; S=<service> chooses one."""
    chosen = os.environ.get("S", "")
    apps = pm2.wanted().apps
    running = [app.name for app in pm2.running() if app.ours]
    ours = [name for name in running if not chosen or name == chosen]
    if running and not ours:
        raise Failed(f"There is no {chosen}; running: {', '.join(running)}.")
    if not ours:
        raise Failed("Nothing of this clone is running; `make up` starts the fleet.")
    command = [pm2.PROGRAM, "logs", f"/^({'|'.join(ours)})$/"]
    if chosen == DOOR:  # nginx writes its log itself
        command = ["tail", "-n", "20", "-F", str(apps[0].var_dir / "logs" / "door.access.log")]
    try:
        return subprocess.run(command, cwd=ROOT, env=pm2.environment(), check=False).returncode
    except KeyboardInterrupt:
        return 0
