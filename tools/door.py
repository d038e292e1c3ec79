"""nginx in front of the fleet: `python -m tools.door` writes its configuration below VAR_DIR and becomes nginx.

PM2 runs it as the app `door`: with DOOR=true the one public door, with several instances of websocket-streaming also
what holds that one's port. The configuration for containers is made by the same hands (`make render`).
"""

import functools
import ipaddress
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field

from shared.config import Port, Settings
from shared.errors import ConfigError, FleetError, Forbidden, RateLimited, Unavailable, error_document
from shared.fleet import ROOT, Fleet, read_fleet
from shared.service_urls import ServiceUrls, service_urls
from shared.web.hall import HTTP_ERRORS

TEMPLATE = ROOT / "deploy" / "nginx" / "door.template.conf"
STREAMING = "websocket-streaming"
HTTP, HTTPS = 80, 443
HTTPS_ONLY = Forbidden(
    "this door answers by https only; if you sent credentials just now, they went in the clear: exchange them"
)
AWAY = Unavailable("the service behind the door does not answer; try again")
# nginx's own errors, and the contract's for them.
ERRORS: dict[tuple[int, ...], FleetError] = {
    (400, 408, 494, 495, 496, 497): HTTP_ERRORS[400],
    (404,): HTTP_ERRORS[404],
    (405,): HTTP_ERRORS[405],
    (413,): HTTP_ERRORS[413],
    (414,): HTTP_ERRORS[414],
    (429,): RateLimited("too many connections from one address"),
    (502, 503, 504): AWAY,
}


class DoorSettings(Settings):
    """What the door and PM2 can be told, in the root `.env`."""

    DOOR: bool = Field(False, description="true: nginx is started, too, and is the one door to everything")
    DOOR_HOST: str = Field(
        "127.0.0.1", description="address the door listens on; any but loopback needs AUTH_REQUIRED=true"
    )
    DOOR_PORT: Port = Field(HTTP, description="the door's port; with TLS it only sends browsers on")
    DOOR_TLS_PORT: Port = Field(HTTPS, description="the door's port for TLS")
    DOOR_STREAMS_GUARDED: bool = Field(
        False, description="true: streams end with the login or key that opened them, since they go through the gateway"
    )
    TLS_CERTIFICATE: Path | None = Field(None, description="the door's certificate and its chain (PEM); unset: no TLS")
    TLS_KEY: Path | None = Field(None, description="the certificate's key (PEM)")
    FLEET_PORT_OFFSET: int = Field(
        0, ge=0, description="by how much every port is moved, under PM2: a second fleet on the same machine"
    )
    SERVICE_URLS: ServiceUrls = Field("", description="where services listen, name=url by comma; unset: fleet.json")


@dataclass(frozen=True, slots=True)
class Door:
    """All that the template leaves open.

    `streaming`: host:port of each worker; `workers_port`: theirs together. `listen`: nothing means no door at all,
    `listen_tls` that there is no TLS. `public_tls`: what to add to a host in a link to the TLS port. `guarded`: streams
    go through the gateway.
    """

    run: str
    log: str
    streaming: list[str]
    workers_port: int | None = None
    gateway: str = ""
    dashboard: str = ""
    listen: list[str] = field(default_factory=list)
    listen_tls: list[str] = field(default_factory=list)
    public_tls: str = ""
    certificate: str | None = None
    key: str | None = None
    guarded: bool = False

    def configuration(self) -> str:
        """nginx' configuration."""
        sections = {"door": bool(self.listen), "tls": bool(self.listen_tls), "workers": self.workers_port is not None}
        sections["guarded"] = self.guarded
        words: dict[str, str | list[str]] = {
            "run": self.run,
            "log": self.log,
            "streaming": [f"server {where} max_fails=1 fail_timeout=2s;" for where in self.streaming],
            "workers_port": str(self.workers_port),
            "gateway": self.gateway,
            "dashboard": self.dashboard,
            "listen": [f"listen {where};" for where in self.listen],
            "listen_tls": [f"listen {where} ssl;" for where in self.listen_tls],
            "certificate": self.certificate or "",
            "key": self.key or "",
            "public_tls": self.public_tls,
            "https_only": _body(HTTPS_ONLY),
            "errors": list(_error_pages()),
        }
        return filled(TEMPLATE.read_text("utf-8"), words, sections)


def filled(text: str, words: Mapping[str, str | list[str]], sections: dict[str, bool]) -> str:
    """A template with its words put in; lines between `{{#name}}` (or `{{^name}}`: not) and `{{/name}}` may go."""
    for name, wanted in sections.items():
        for sign, kept in (("#", wanted), ("^", not wanted)):
            block = re.compile(rf"^ *{{{{\{sign}{name}}}}}\n(.*?)^ *{{{{/{name}}}}}\n", re.M | re.S)
            text = block.sub(r"\1" if kept else "", text)
    for name, value in words.items():
        lines = [value] if isinstance(value, str) else value
        text = re.sub(rf"^( *)(.*?){{{{{name}}}}}", functools.partial(_put_in, lines), text, flags=re.M)
    return text


def _put_in(lines: list[str], found: re.Match[str]) -> str:
    """The lines in the word's place, each as far in as the first."""
    return found[1] + found[2] + f"\n{found[1]}".join(lines)


def _error_pages() -> Iterator[str]:
    """nginx's own errors in the contract's shape."""
    for statuses, error in ERRORS.items():
        page = f"/_door/{statuses[0]}"
        yield f"error_page {' '.join(map(str, statuses))} ={error.status} {page};"
        yield f"location = {page} {{ internal; return {error.status} '{_body(error)}'; }}"


def _body(error: FleetError) -> str:
    """For nginx' single quotes: our messages hold neither those nor a `$`."""
    return json.dumps(error_document(error))


def here(settings: DoorSettings, fleet: Fleet) -> Door:
    """The door of the fleet on this machine. Raises ConfigError when it would stand open to others."""
    streaming = fleet.service(STREAMING)
    urls = service_urls("", settings.SERVICE_URLS, settings.SIMULATOR_URL)
    where = {name: urlsplit(url).netloc for name, url in urls.items()}
    run = settings.VAR_DIR.absolute() / "door"
    offset = (urlsplit(urls[STREAMING]).port or streaming.port) - streaming.port
    several = streaming.instances > 1
    places = [f"127.0.0.1:{port + offset}" for port in streaming.ports] if several else [where[STREAMING]]
    workers_port = streaming.port + offset if several else None
    log = str(settings.VAR_DIR.absolute() / "logs" / "door.access.log")
    if not settings.DOOR:
        return Door(str(run), log, places, workers_port)
    check(settings)
    hosts = _hosts(settings.DOOR_HOST)
    return Door(
        str(run), log, places, workers_port, where["auth-gateway"], where["dashboard"],
        [f"{host}:{settings.DOOR_PORT}" for host in hosts],
        [f"{host}:{settings.DOOR_TLS_PORT}" for host in hosts] if settings.TLS_CERTIFICATE else [],
        "" if settings.DOOR_TLS_PORT == HTTPS else f":{settings.DOOR_TLS_PORT}",
        _absolute(settings.TLS_CERTIFICATE), _absolute(settings.TLS_KEY), settings.DOOR_STREAMS_GUARDED,
    )  # fmt: skip


def check(settings: DoorSettings) -> None:
    """Raises ConfigError when the door would stand open to others, or can't read its certificate."""
    if not settings.AUTH_REQUIRED and not _is_loopback(settings.DOOR_HOST):
        raise ConfigError(
            f"Wrong setting: DOOR_HOST={settings.DOOR_HOST!r}: others could reach a fleet that asks for no login; "
            "set AUTH_REQUIRED=true"
        )
    if (settings.TLS_CERTIFICATE is None) != (settings.TLS_KEY is None):
        raise ConfigError("Wrong setting: TLS_CERTIFICATE and TLS_KEY go together")
    for name, path in (("TLS_CERTIFICATE", settings.TLS_CERTIFICATE), ("TLS_KEY", settings.TLS_KEY)):
        if path is not None and not os.access(ROOT / path, os.R_OK):
            raise ConfigError(f"Wrong setting: {name}={str(path)!r}: the file can't be read")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise ConfigError(f"Wrong setting: DOOR_HOST={host!r}: must be an address, such as 0.0.0.0") from None


def _hosts(host: str) -> list[str]:
    """Loopback is always among them: there `make up` looks whether the door is ready."""
    shown = f"[{host}]" if ":" in host else host
    return [shown] if host in {"0.0.0.0", "127.0.0.1"} else [shown, "127.0.0.1"]  # the user's word


def _absolute(path: Path | None) -> str | None:
    return str((ROOT / path).absolute()) if path else None


def main() -> None:
    """Write the configuration and become nginx."""
    settings = DoorSettings.read(folder=ROOT)
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise ConfigError("nginx is not installed. On Debian and Ubuntu: apt-get install nginx-light")
    door = here(settings, read_fleet())
    for folder in (Path(door.run), Path(door.log).parent):
        folder.mkdir(parents=True, exist_ok=True)
    file = Path(door.run) / "nginx.conf"
    file.write_text(door.configuration(), "utf-8")
    os.execv(program, [program, "-c", str(file), "-e", "stderr"])  # no shell on purpose


if __name__ == "__main__":
    main()
