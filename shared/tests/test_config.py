"""Settings: where each value comes from, what is refused with one line, and that secrets stay inside."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, SecretStr

from shared import config as config_module
from shared.config import Settings, config, split_list
from shared.errors import ConfigError

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root of our own, so that no developer's .env decides a test."""
    folder = tmp_path / "root"
    folder.mkdir()
    monkeypatch.setattr(config_module, "ROOT", folder)
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The service's own folder."""
    folder = tmp_path / "service"
    folder.mkdir()
    return folder


@pytest.fixture
def lazy() -> Iterator[None]:
    """The process's settings, forgotten before and after."""
    config.reset()
    yield
    config.reset()


class TestSources:
    def test_environment_beats_own_env_beats_root_env_beats_default(self, own: Path, root: Path) -> None:
        (own / ".env").write_text("REDIS_HOST=own\nDB_NAME=own\n")
        (root / ".env").write_text("REDIS_HOST=root\nDB_NAME=root\nDB_USER=root\n")
        settings = Settings.read({"REDIS_HOST": "environment"}, own)
        assert (settings.REDIS_HOST, settings.DB_NAME, settings.DB_USER, settings.DB_PORT) == (
            "environment", "own", "root", 5432,
        )  # fmt: skip

    def test_an_override_beats_all(self, own: Path) -> None:
        assert Settings.read({"REDIS_PORT": "1"}, own, REDIS_PORT=2).REDIS_PORT == 2

    def test_an_empty_value_counts_as_unset(self, own: Path) -> None:
        (own / ".env").write_text("REDIS_HOST=own\n")
        assert Settings.read({"REDIS_HOST": " "}, own).REDIS_HOST == "own"

    def test_port_fills_service_port_but_not_from_the_root_env(self, own: Path, root: Path) -> None:
        (root / ".env").write_text("PORT=7000\nSERVICE_PORT=7001\n")
        assert Settings.read({}, own).SERVICE_PORT == 5000
        (own / ".env").write_text("PORT=7002\n")
        assert Settings.read({}, own).SERVICE_PORT == 7002
        assert Settings.read({"PORT": "7003"}, own).SERVICE_PORT == 7003

    def test_a_service_takes_title_and_port_from_the_fleets_list(self, own: Path) -> None:
        class Mine(Settings):
            SERVICE = "database-service"

        settings = Mine.read({}, own)
        assert (settings.SERVICE_NAME, settings.SERVICE_PORT) == ("Database Service", 5020)
        assert Mine.read({"PORT": "5099", "SERVICE_NAME": "Other"}, own).SERVICE_PORT == 5099

    def test_without_anything_the_contracts_defaults_hold(self, own: Path) -> None:
        settings = Settings.read({}, own)
        assert (settings.SERVICE_NAME, settings.SERVICE_PORT, settings.SERVICE_HOST) == (
            "Unknown Service", 5000, "127.0.0.1",
        )  # fmt: skip
        assert (settings.REDIS_ENABLED, settings.DB_ENABLED, settings.RATE_LIMIT_ENABLED) == ("auto", True, True)

    def test_a_file_gives_the_value_of_a_secret(self, own: Path, tmp_path: Path) -> None:
        secret = tmp_path / "db_password"
        secret.write_text("from-the-file\n")
        settings = Settings.read({"DB_PASSWORD_FILE": str(secret)}, own)
        assert settings.DB_PASSWORD
        assert settings.DB_PASSWORD.get_secret_value() == "from-the-file"

    def test_the_plain_variable_beats_its_file(self, own: Path, tmp_path: Path) -> None:
        settings = Settings.read({"DB_PASSWORD": "plain", "DB_PASSWORD_FILE": str(tmp_path / "none")}, own)
        assert settings.DB_PASSWORD
        assert settings.DB_PASSWORD.get_secret_value() == "plain"

    def test_a_missing_secret_file_stops_the_start_and_names_it(self, own: Path) -> None:
        with pytest.raises(ConfigError, match=r"DB_PASSWORD_FILE=/no/such/file: .* must hold DB_PASSWORD's value"):
            Settings.read({"DB_PASSWORD_FILE": "/no/such/file"}, own)


class TestWrongValues:
    @pytest.mark.parametrize(
        ("variable", "value", "allowed"),
        [
            ("PORT", "70000", "less than or equal to 65535"),
            ("PORT", "http", "valid integer"),
            ("LOG_LEVEL", "loud", "'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'"),
            ("LOG_FORMAT", "xml", "'auto', 'text' or 'json'"),
            ("REDIS_ENABLED", "maybe", "'auto'"),
            ("DB_ENABLED", "perhaps", "valid boolean"),
            ("MARKET", "kraken", "'auto', 'binance' or 'simulator'"),
            ("SIMULATOR_URL", "localhost:5035", "http:// or https://"),
            ("BINANCE_WS_URL", "https://stream.binance.com", "ws:// or wss://"),
            ("BINANCE_WS_URL", "wss://stream.binance.com/ws", "must carry no stream path"),
            ("BINANCE_FUTURES_WS_URL", "wss://fstream.binance.com/s/1/market", "must carry no stream path"),
            ("SENTRY_TRACES_SAMPLE_RATE", "2", "less than or equal to 1"),
            ("WHITE_HAT_MODE", "false", "must be true"),
            ("TRUSTED_PROXIES", "10.0.0.1, foo", ": 'foo' is no IP address or network, such as 10.0.0.0/8"),
            ("TRUSTED_PROXIES", "10.0.0.0/99", "'10.0.0.0/99' is no IP address or network"),
            ("CORS_ORIGINS", "https://a.example,my.example", ": 'my.example' is no origin, such as https://"),
            ("CORS_ORIGINS", "https://*.example", "is no origin"),
            ("CORS_ORIGINS", "https://my.example/page", "without a path"),
            ("ALLOWED_HOSTS", "a.example,http://x.org", "'http://x.org' is no name of a host"),
            ("ALLOWED_HOSTS", "x.org:8080", "without scheme, port and path"),
            ("ALLOWED_HOSTS", "*", "is no name of a host"),
        ],
    )
    def test_one_line_names_variable_value_and_what_is_allowed(
        self, own: Path, variable: str, value: str, allowed: str
    ) -> None:
        with pytest.raises(ConfigError) as stopped:
            Settings.read({variable: value}, own)
        line = str(stopped.value)
        assert f"{variable}=" in line
        assert value in line.lower()
        assert allowed in line
        assert "\n" not in line

    def test_several_wrong_values_are_named_at_once(self, own: Path) -> None:
        with pytest.raises(ConfigError, match=r"PORT='x'.*; LOG_LEVEL='Y'"):
            Settings.read({"PORT": "x", "LOG_LEVEL": "y"}, own)

    def test_a_wrong_secret_is_not_shown(self, own: Path) -> None:
        class Mine(Settings):
            API_KEY: Annotated[SecretStr | None, Field(min_length=40)] = None

        with pytest.raises(ConfigError) as stopped:
            Mine.read({"API_KEY": "canary-1"}, own)
        assert "API_KEY=(hidden)" in str(stopped.value)
        assert "canary-1" not in str(stopped.value)

    def test_the_start_ends_with_that_line_and_exit_code_1(self, tmp_path: Path) -> None:
        program = "from shared.config import config; config.SERVICE_PORT"
        ended = subprocess.run(
            [sys.executable, "-c", program], env={"PORT": "none"}, cwd=tmp_path, capture_output=True, text=True
        )
        assert ended.returncode == 1
        assert re.fullmatch(r"Wrong setting: PORT='none': must be .*\n", ended.stderr)

    @pytest.mark.parametrize("url", ["wss://stream.binance.com:9443", "ws://127.0.0.1:5035/s/abc", "wss://x/wsx/"])
    def test_a_stream_url_may_carry_a_prefix(self, own: Path, url: str) -> None:
        assert url.rstrip("/") == Settings.read({"BINANCE_WS_URL": url}, own).BINANCE_WS_URL

    @pytest.mark.parametrize(("text", "value"), [("TRUE", True), ("0", False), ("Auto", "auto"), ("off", False)])
    def test_switches_are_read_in_any_case(self, own: Path, text: str, value: object) -> None:
        settings = Settings.read({"REDIS_ENABLED": text}, own)
        assert value == settings.REDIS_ENABLED


class TestDatabaseUrl:
    def test_by_default_there_is_none(self, own: Path) -> None:
        assert Settings.read({}, own).database_url is None

    def test_a_password_alone_changes_nothing(self, own: Path) -> None:
        assert Settings.read({"DB_PASSWORD": "secret"}, own).database_url is None

    def test_a_host_means_postgresql(self, own: Path) -> None:
        settings = Settings.read({"DB_HOST": "db", "DB_PASSWORD": "p@ss/wörd", "DB_NAME": "signals"}, own)
        assert settings.database_url == "postgresql://trading:p%40ss%2Fw%C3%B6rd@db:5432/signals"

    def test_a_host_without_a_password_has_none_in_its_url(self, own: Path) -> None:
        assert Settings.read({"DB_HOST": "db"}, own).database_url == "postgresql://trading@db:5432/trading"

    def test_the_url_beats_the_host(self, own: Path) -> None:
        settings = Settings.read({"DB_HOST": "db", "DATABASE_URL": "postgresql://u@h/d"}, own)
        assert settings.database_url == "postgresql://u@h/d"


class TestSecrets:
    def test_printed_settings_hide_them(self, own: Path) -> None:
        names = ["DB_PASSWORD", "DATABASE_URL", "REDIS_URL", "SENTRY_DSN", "GRAFANA_PASSWORD"]
        settings = Settings.read({name: f"canary://{name}" for name in names}, own)
        shown = f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
        assert "canary" not in shown

    @pytest.mark.parametrize(
        "text",
        [
            "password is p@ss\"wörd, they say",
            "postgresql://trading:p%40ss%22w%C3%B6rd@db:5432/trading",
            json.dumps({"login": "p@ss\"wörd"}),
            "https://0123456789abcdef@sentry.example/1",
            "key 0123456789abcdef",
        ],
    )
    def test_they_are_hidden_in_every_form_a_text_may_hold(self, own: Path, text: str) -> None:
        dsn = "https://0123456789abcdef@sentry.example/1"
        settings = Settings.read({"DB_PASSWORD": "p@ss\"wörd", "DB_HOST": "db", "SENTRY_DSN": dsn}, own)
        hidden = settings.hide_secrets(text)
        assert "***" in hidden
        assert not re.search(r"p@ss|p%40ss|w.?.?.?rd|0123456789abcdef", hidden.replace("password", ""))

    def test_the_password_inside_a_url_is_one(self, own: Path) -> None:
        settings = Settings.read({"DATABASE_URL": "postgresql://u:p%40ssword@h/d"}, own)
        assert settings.hide_secrets("p@ssword p%40ssword") == "*** ***"

    def test_a_url_that_is_none_breaks_nothing(self, own: Path) -> None:
        assert "postgresql://[" in Settings.read({"DATABASE_URL": "postgresql://["}, own).secrets()


@pytest.mark.usefixtures("lazy")
class TestLazy:
    def test_values_are_read_on_first_use_and_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REDIS_HOST", "first")
        assert config.REDIS_HOST == "first"
        monkeypatch.setenv("REDIS_HOST", "second")
        assert config.REDIS_HOST == "first"

    def test_reset_reads_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REDIS_HOST", "first")
        assert config.REDIS_HOST == "first"
        monkeypatch.setenv("REDIS_HOST", "second")
        config.reset()
        assert config.REDIS_HOST == "second"

    def test_a_services_settings_become_the_processs(self, own: Path) -> None:
        config.use(Settings.read({"REDIS_HOST": "the services"}, own))
        assert config.REDIS_HOST == "the services"

    def test_users_may_validate(self) -> None:
        assert config.validate()

    def test_importing_reads_nothing(self) -> None:
        program = "import shared.config, os; os.environ['PORT'] = '5077'; print(shared.config.config.SERVICE_PORT)"
        ended = subprocess.run(
            [sys.executable, "-c", program], env={"PORT": "no number"}, capture_output=True, text=True
        )
        assert ended.stdout == "5077\n"

    def test_settings_do_not_change(self, own: Path) -> None:
        settings = Settings.read({}, own)
        with pytest.raises(ValueError, match="frozen"):
            settings.REDIS_PORT = 1  # type: ignore[misc]  # that is the point


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_list_is_split_at_commas() -> None:
    assert split_list(" a, b ,,c ") == ["a", "b", "c"]
    assert split_list("") == []


@pytest.mark.unit
def test_a_misspelt_setting_is_named_with_the_one_that_is_meant(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LOG_LEVL=DEBUG\nREDIS_HOTS=h\nlog_level=DEBUG\n")
    lines = Settings.likely_typos(tmp_path)
    assert [line.partition("/.env: ")[2] for line in lines] == [
        "LOG_LEVL is no setting; is LOG_LEVEL meant?",
        "REDIS_HOTS is no setting; is REDIS_HOST meant?",
        "log_level is no setting; is LOG_LEVEL meant?",
    ]


@pytest.mark.unit
def test_an_unknown_name_of_a_family_of_ours_is_told_though_none_is_near(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("RATE_LIMIT_SAVE=5\n")
    (line,) = Settings.likely_typos(tmp_path)
    assert line.endswith("/.env: RATE_LIMIT_SAVE is no setting; .env.example has all that begin so")


@pytest.mark.unit
def test_names_of_other_tools_and_of_other_services_are_left_in_peace(tmp_path: Path) -> None:
    names = [
        "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "COMPOSE_FILE", "POSTGRES_PASSWORD", "POSTGRES_USER",
        "REDIS_PASSWORD", "HTTP_PROXY", "NO_PROXY", "PM2_HOME", "FLEET_PORT_OFFSET", "FLEET_PYTHON", "TZ",
        "DB_PASSWORD_FILE", "RATE_LIMIT_SIGNALS_SAVE", "NODE_ENV", "AWS_REGION", "TELEGRAM_TOKEN",
        "BINANCE_API_KEY", "BINANCE_API_SECRET", "GF_SECURITY_ADMIN_PASSWORD",
    ]  # fmt: skip
    (tmp_path / ".env").write_text("".join(f"{name}=1\n" for name in names))
    assert Settings.likely_typos(tmp_path) == []
