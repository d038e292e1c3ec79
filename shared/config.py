"""Settings: declared once, typed, read on first use and never on import.

Each value comes from the environment, else the service's `.env`, else the root's `.env`, else the default here.
`NAME_FILE` names a file that holds the value (container secrets). A wrong value stops the start with one line.
Only this module reads the environment. A service subclasses `Settings`, adds its fields and passes them to `build`.
"""

if __name__ == "__main__":  # run by path: make `shared` importable from any folder
    import sys
    from pathlib import Path

    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import quote, unquote, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from shared import addresses
from shared.env_files import look_up, misspelt, read_env_file
from shared.errors import ConfigError
from shared.fleet import ROOT, read_fleet
from shared.kept_secret import kept_secret

# Fields whose variable bears another name.
VARIABLE_OF = {"SERVICE_PORT": "PORT", "UNDER_PM2": "pm_id"}
MIN_SECRET_BYTES = 32
NOT_FROM_ROOT = {"SERVICE_PORT"}  # one root .env serves every service, and they can't share a port


def _url(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.netloc:
            raise ValueError(f"must be a URL that begins with {' or '.join(s + '://' for s in schemes)}")
        return value.rstrip("/")

    return AfterValidator(check)


def _each(check: Callable[[str], object]) -> AfterValidator:
    """Every part of a list by comma is one that `check` takes, and is kept as `check` returns it."""
    return AfterValidator(lambda value: ",".join(str(check(part)) for part in split_list(value)))


def _no_stream_path(value: str) -> str:
    if re.search(r"/(ws|stream|public|market)(/|$)", urlsplit(value).path):
        raise ValueError("must carry no stream path (/ws, /stream, /public, /market): the services add it")
    return value


def _always(value: bool) -> bool:
    if not value:
        raise ValueError("must be true: the rules can't be switched off")
    return value


def _long_enough(value: SecretStr | None) -> SecretStr | None:
    if value is not None and len(value.get_secret_value().encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"must have at least {MIN_SECRET_BYTES} bytes; `openssl rand -hex 32` makes one")
    return value


LongSecret = Annotated[SecretStr | None, AfterValidator(_long_enough)]
HttpUrl = Annotated[str, _url("http", "https")]
StreamUrl = Annotated[str, _url("ws", "wss"), AfterValidator(_no_stream_path)]
Upper = BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)
Lower = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
Switch = Annotated[Annotated[bool | Literal["auto"], Field(union_mode="left_to_right")], Lower]
Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseModel):
    """What every service knows. Frozen; a service adds its own fields in a subclass and names itself in `SERVICE`."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_default=False)
    SERVICE: ClassVar[str | None] = None  # the name in fleet.json, which gives title and port

    SERVICE_NAME: str = Field("Unknown Service", description="the service's title, as /health shows it")
    SERVICE_HOST: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 in containers")
    SERVICE_PORT: Port = Field(5000, description="port to listen on (not read from the root .env)")
    LOG_LEVEL: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], Upper] = Field(
        "INFO", description="least level that is logged"
    )
    LOG_FORMAT: Annotated[Literal["auto", "text", "json"], Lower] = Field(
        "auto", description="auto and text: lines for people; json: one object a line (containers)"
    )
    VAR_DIR: Path = Field(ROOT / "var", description="where services keep their files")
    WHITE_HAT_MODE: Annotated[bool, AfterValidator(_always)] = Field(
        True, description="always true: the rules can't be switched off"
    )

    DATABASE_URL: SecretStr | None = Field(None, description="postgresql://…; unset: the embedded SQLite")
    DB_ENABLED: bool = Field(True, description="false: nothing durable, Redis or memory only")
    DB_HOST: str | None = Field(None, description="PostgreSQL's host, instead of DATABASE_URL")
    DB_PORT: Port = Field(5432, description="PostgreSQL's port, with DB_HOST")
    DB_NAME: str = Field("trading", description="PostgreSQL's database, with DB_HOST")
    DB_USER: str = Field("trading", description="PostgreSQL's user, with DB_HOST")
    DB_PASSWORD: SecretStr | None = Field(None, description="PostgreSQL's password, with DB_HOST")

    REDIS_ENABLED: Switch = Field("auto", description="auto: if it answers; true: it must; false: never")
    REDIS_URL: SecretStr | None = Field(None, description="redis://…, instead of REDIS_HOST and REDIS_PORT")
    REDIS_HOST: str = Field("localhost", description="Redis' host")
    REDIS_PORT: Port = Field(6379, description="Redis' port")

    PROMETHEUS_ENABLED: bool = Field(True, description="collect metrics for /metrics")
    SENTRY_DSN: SecretStr | None = Field(None, description="where errors are reported; unset: nowhere")
    SENTRY_ENVIRONMENT: str = Field("development", description="environment named in reports")
    SENTRY_RELEASE: str | None = Field(None, description="release named in reports")
    SENTRY_TRACES_SAMPLE_RATE: float = Field(0.0, ge=0, le=1, description="share of requests that are traced")
    OTEL_EXPORTER_OTLP_ENDPOINT: HttpUrl | None = Field(
        None, description="OpenTelemetry collector, such as http://localhost:4318; unset: no spans are sent"
    )
    OTEL_EXPORTER_OTLP_HEADERS: SecretStr | None = Field(
        None, description="headers for the collector, name=value by comma"
    )
    ALERT_CONFIG: str = Field("alertmanager.yml", description="Alertmanager's configuration (docker compose)")
    GRAFANA_PASSWORD: SecretStr | None = Field(None, description="Grafana's admin password (docker compose)")

    MARKET: Annotated[Literal["auto", "binance", "simulator"], Lower] = Field(
        "auto", description="which market serves: auto asks Binance once and else takes the simulator"
    )
    SIMULATOR_URL: HttpUrl = Field("http://127.0.0.1:5035", description="where market-simulator listens")
    BINANCE_REST_URL: HttpUrl = Field("https://api.binance.com", description="spot REST")
    BINANCE_WS_URL: StreamUrl = Field("wss://stream.binance.com:9443", description="spot streams, without a path")
    BINANCE_FUTURES_REST_URL: HttpUrl = Field("https://fapi.binance.com", description="USDT-M futures REST")
    BINANCE_FUTURES_WS_URL: StreamUrl = Field("wss://fstream.binance.com", description="USDT-M futures streams")

    CORS_ORIGINS: Annotated[str, _each(addresses.origin)] = Field(
        "", description="allowed origins, by comma; empty: localhost on any port"
    )
    ALLOWED_HOSTS: Annotated[str, _each(addresses.host)] = Field(
        "", description="further names that requests may call this host, by comma"
    )
    TRUSTED_PROXIES: Annotated[str, _each(addresses.network)] = Field(
        "", description="addresses or networks whose X-Forwarded-For is believed, by comma"
    )
    RATE_LIMIT_ENABLED: bool = Field(True, description="false: no limits per client (benchmarks, fault tests)")
    DRAIN_SECONDS: float = Field(0.5, ge=0, le=5, description="how long readiness says no before the listener closes")
    MAX_CONNECTIONS: int = Field(
        10_000, ge=1, description="open HTTP connections; one more closes the longest idle, and is 503 if none is idle"
    )
    ENV_FILES: bool = Field(True, description="false, in the environment: read no .env file (tests)")
    ACCESS_LOG: bool = Field(True, description="one log line a request (health and metrics aside)")
    AUTH_REQUIRED: bool = Field(
        False, description="true: the services answer only what comes through auth-gateway, and that asks for a login"
    )
    FLEET_SECRET: LongSecret = Field(
        None, description="what the gateway's vouchers are signed with, 32 bytes and more; unset: VAR_DIR/fleet-secret"
    )
    HOT_LANE: bool = Field(True, description="hot requests are answered before Flask's routing; false: all go its way")
    UNDER_PM2: str = Field("", description="set by PM2 itself; colours the log")
    NODE_CHANNEL_FD: int | None = Field(None, description="set by PM2 itself; where it waits for the ready signal")

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None, folder: Path | None = None, **overrides: Any) -> Self:
        """Read from `overrides`, `environ` (default: the process's), `.env` in `folder`, the root's `.env`, defaults.

        `folder` is by default the folder of the program that runs. Raises ConfigError with one line.
        """
        environ = os.environ if environ is None else environ
        raw = {**cls._from_fleet(), **cls._collect(environ, folder or _program_folder()), **overrides}
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise ConfigError(cls._one_line(error)) from None

    @classmethod
    def _from_fleet(cls) -> dict[str, Any]:
        if cls.SERVICE is None:
            return {}
        service = read_fleet().service(cls.SERVICE)
        return {"SERVICE_NAME": service.title, "SERVICE_PORT": service.port}

    @classmethod
    def _collect(cls, environ: Mapping[str, str], folder: Path) -> dict[str, str]:
        no_files = environ.get("ENV_FILES", "").lower() == "false"
        own = {} if no_files else read_env_file(folder / ".env")
        root = {} if no_files else read_env_file(ROOT / ".env")
        values: dict[str, str] = {}
        for field in cls.model_fields:
            variable = VARIABLE_OF.get(field, field)
            sources = [environ, own] if field in NOT_FROM_ROOT else [environ, own, root]
            value = next((found for source in sources if (found := look_up(source, variable))), None)
            if value is not None:
                values[field] = value
        return values

    @classmethod
    def likely_typos(cls, folder: Path | None = None) -> list[str]:
        """One line for each name in the `.env` files that is nobody's, yet nearly one of these settings."""
        paths = dict.fromkeys([(folder or _program_folder()) / ".env", ROOT / ".env"])
        return sorted(line for path in paths for line in misspelt(path, cls.known_names()))

    @classmethod
    def known_names(cls) -> set[str]:
        """Every variable that is read here, NAME_FILE of secrets included."""
        names = {VARIABLE_OF.get(field, field) for field in cls.model_fields}
        return names | {f"{VARIABLE_OF.get(field, field)}_FILE" for field in cls.model_fields if cls.is_secret(field)}

    def validate(self) -> Self:  # type: ignore[override]  # the contract's name; pydantic's own one is long deprecated
        """True settings by construction; kept because users call `config.validate()`."""
        return self

    @property
    def database_url(self) -> str | None:
        """PostgreSQL's URL from DATABASE_URL or DB_HOST …; None: the embedded SQLite."""
        if self.DATABASE_URL is not None:
            return self.DATABASE_URL.get_secret_value()
        if self.DB_HOST is None:
            return None
        password = self.DB_PASSWORD.get_secret_value() if self.DB_PASSWORD else ""
        login = quote(self.DB_USER, safe="") + (":" + quote(password, safe="") if password else "")
        return f"postgresql://{login}@{self.DB_HOST}:{self.DB_PORT}/{quote(self.DB_NAME, safe='')}"

    def otlp_headers(self) -> dict[str, str]:
        """OTEL_EXPORTER_OTLP_HEADERS as headers; values are percent-encoded, as OpenTelemetry has it."""
        given = self.OTEL_EXPORTER_OTLP_HEADERS.get_secret_value() if self.OTEL_EXPORTER_OTLP_HEADERS else ""
        pairs = (part.partition("=") for part in split_list(given))
        return {name.strip(): unquote(value.strip()) for name, _, value in pairs if name.strip()}

    def fleet_secret(self) -> bytes:
        """What vouchers are signed with; made once where none is set. Raises OSError."""
        given = self.FLEET_SECRET.get_secret_value().encode() if self.FLEET_SECRET else b""
        return given or kept_secret(self.VAR_DIR.absolute() / "fleet-secret")

    @classmethod
    def _one_line(cls, error: ValidationError) -> str:
        wrong = []
        for item in error.errors(include_url=False):
            field = str(item["loc"][0])
            shown = "(hidden)" if cls.is_secret(field) else repr(item["input"])
            message = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
            wrong.append(f"{VARIABLE_OF.get(field, field)}={shown}: {message}")
        return "Wrong setting: " + "; ".join(dict.fromkeys(wrong))

    @classmethod
    def is_secret(cls, field: str) -> bool:
        """Whether this setting must never be shown; it may also be given as NAME_FILE."""
        return "SecretStr" in str(cls.model_fields[field].annotation)

    def secrets(self) -> list[str]:
        """Every secret in force, logins inside URLs included, in each form a text may hold it; the longest first."""
        found = [value.get_secret_value() for value in dict(self).values() if isinstance(value, SecretStr)]
        found += [login for url in found if (login := _login(url))]
        long_enough = [secret for secret in found if len(secret) >= 4]
        forms = {form for s in long_enough for form in (s, quote(s, safe=""), json.dumps(s)[1:-1])}
        return sorted(forms, key=len, reverse=True)

    def hide_secrets(self, text: str) -> str:
        """`text` with every secret in force replaced by `***`."""
        for secret in self.secrets():
            text = text.replace(secret, "***")
        return text


def _login(url: str) -> str | None:
    """The password inside a URL, decoded; of an http URL without one (a Sentry DSN) the user name, which is a key."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    found = parts.password or (parts.username if parts.scheme in {"http", "https"} else None)
    return unquote(found) if found else None


def split_list(text: str) -> list[str]:
    """The non-empty parts of a comma-separated setting."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _program_folder() -> Path:
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(main).resolve().parent if main else Path.cwd()


class _Lazy:
    """Stands for the process's settings; reads them when the first of them is asked for."""

    _settings: Settings | None = None

    def use(self, settings: Settings) -> None:
        """Make these the process's settings (create_service does)."""
        self._settings = settings

    def reset(self) -> None:
        """Forget what was read, so that the next use reads anew (tests)."""
        self._settings = None

    def current(self) -> Settings:
        """The settings in force, read now if need be."""
        if self._settings is None:
            self._settings = Settings.read()
        return self._settings

    def __getattr__(self, name: str) -> Any:
        return getattr(self.current(), name)


config = _Lazy()


if __name__ == "__main__":
    settings = Settings.read()
    print("Settings in force (secrets hidden):")
    for key, setting in settings:
        print(f"  {VARIABLE_OF.get(key, key):28} {setting}")
    print("Settings are valid.")
