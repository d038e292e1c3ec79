"""`.env` files: what they hold, what NAME_FILE names, and which of their names are probably misspelt."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path

from shared.errors import ConfigError
from shared.fleet import ROOT

OURS = ("RATE_LIMIT_", "RETENTION_", "DOOR_", "WHITE_HAT_")  # no other tool's names begin so
NEAR = 0.86  # likeness from which on a name is a misspelt other: LOG_LEVL, not REDIS_PASSWORD


def read_env_file(path: Path) -> dict[str, str]:
    """`NAME=value` lines of a `.env`; quotes around a value and `# …` after a blank are taken off. No file: empty.

    Raises ConfigError when the file isn't UTF-8.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError:
        return {}
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: the file can't be read; it must be text in UTF-8") from None
    values: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or name.startswith("#"):
            continue
        value = value.strip()
        if value[:1] in {"'", '"'} and value.find(value[0], 1) > 0:
            value = value[1 : value.index(value[0], 1)]
        else:
            value = re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()
        values[name.strip()] = value
    return values


def look_up(source: Mapping[str, str], variable: str) -> str | None:
    """A variable's value or what its NAME_FILE holds; an empty one counts as unset, as in .env.example.

    Raises ConfigError when that file can't be read.
    """
    if value := source.get(variable, "").strip():
        return value
    if not (file := source.get(f"{variable}_FILE", "").strip()):
        return None
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{variable}_FILE={file}: the file can't be read; it must hold {variable}'s value") from None


def misspelt(path: Path, known: Collection[str]) -> list[str]:
    """One line for each name in the file that is nobody's, yet nearly one of those `known` or of a family of `OURS`.

    What belongs to other tools (COMPOSE_…, POSTGRES_…) is like none of them, so it is left in peace.
    """
    guesses = {}
    for name in read_env_file(path).keys() - set(known):
        if found := get_close_matches(name.upper(), known, 1, NEAR):
            guesses[name] = f"is {found[0]} meant?"
        elif name.upper().startswith(OURS):
            guesses[name] = ".env.example has all that begin so"
    others = _of_other_services() if guesses else set()  # read only when there is something to ask
    return [
        f"{path.parent.name}/.env: {name} is no setting; {guess}"
        for name, guess in guesses.items()
        if name not in others
    ]


def _of_other_services() -> set[str]:
    """Every name in an .env.example: one root .env serves all, and no service knows another's settings."""
    names: set[str] = set()
    for example in (*ROOT.glob(".env.example"), *ROOT.glob("*/.env.example")):
        names |= set(re.findall(r"^#?([A-Z][A-Z_0-9]*)=", example.read_text("utf-8"), re.M))
    return names
