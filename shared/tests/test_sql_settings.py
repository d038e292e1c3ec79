"""Where a service's tables are, by its settings."""

from pathlib import Path

import pytest

from shared.errors import ConfigError
from shared.sql.settings import SqlSettings

pytestmark = pytest.mark.unit


class Mine(SqlSettings):
    @property
    def sqlite_path(self) -> Path:
        return Path("/var/mine.sqlite3")


@pytest.mark.parametrize(
    "url", ["mysql://user:canary-1@host/db", "canary-1", "postgresql://user:canary-1@host:port/db", "sqlite:///canary-1"]
)
def test_an_address_that_is_not_postgresqls_is_refused_unshown(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"DATABASE_URL=\(hidden\): .*postgresql://") as error:
        Mine.read({"DATABASE_URL": url}, tmp_path)
    assert "canary" not in str(error.value)


def test_tables_are_in_postgresql_where_one_is_named_and_else_in_the_file(tmp_path: Path) -> None:
    assert Mine.read({"DATABASE_URL": "postgresql://u@h/d"}, tmp_path).store_url == "postgresql://u@h/d"
    assert Mine.read({"ENV_FILES": "false"}, tmp_path).store_url == "sqlite:////var/mine.sqlite3"
