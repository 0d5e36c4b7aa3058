"""Reads the TOML file: the settings in small letters, `[[upstream]]` and `[[price]]` tables.

A value of the file is turned into the text its variable would hold, so that both sources share
one parser: lists become commas, lists of lists semicolons, tables pairs. Unknown names are
refused with the nearest known one, as a misspelt setting would otherwise be ignored in silence.
"""

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from llm_proxy.domain.errors import ConfigError

from .own_price import PRICE_NAMES
from .settings import NAMES

NAME = "llm-proxy.toml"
"""Read from the working directory when no other file is named."""

UPSTREAM_NAMES = (
    "name",
    "url",
    "key",
    "keys",
    "formats",
    "models",
    "model_map",
    "weight",
    "priority",
    "max_concurrency",
    "headers",
    "proxy",
    "timeouts",
    "message_auth",
    "translation",
    "beta_deny",
)
"""What an `[[upstream]]` table may hold."""


class Written(msgspec.Struct, frozen=True):
    """What the file says.

    Attributes:
        values: Setting → its value as text.
        upstreams: The `[[upstream]]` tables, names checked, values not.
        prices: The `[[price]]` tables likewise.
    """

    values: dict[str, str] = {}
    upstreams: tuple[dict[str, Any], ...] = ()
    prices: tuple[dict[str, Any], ...] = ()


def read_file(path: Path) -> Written:
    """Return what the file at `path` says.

    Raises:
        ConfigError: It cannot be read, is no TOML, or holds an unknown name. The text of the
            file is not repeated.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise ConfigError(str(path), problem, "Check the path and its permissions") from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "is not UTF-8 text", "Save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        place = str(error).rpartition("(")[2].rstrip(")")
        fix = 'Text needs quotes, as in name = "value"'
        raise ConfigError(str(path), f"is not valid TOML ({place})", fix) from None
    upstreams = _tables(data, "upstream", UPSTREAM_NAMES)
    prices = _tables(data, "price", PRICE_NAMES)
    for name in data:
        _check_name(name, name, (*NAMES, "upstream", "price"))
    values = {name: as_text(name, value) for name, value in data.items()}
    return Written(values, upstreams, prices)


def _tables(data: dict[str, Any], name: str, known: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    """Take the `[[name]]` tables out of `data`, their names checked."""
    tables = data.pop(name, [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise ConfigError(name, "is not a list of tables", f"Begin each with [[{name}]]")
    for position, table in enumerate(tables):
        for field in table:
            _check_name(f"{name}[{position}].{field}", field, known)
    return tuple(tables)


def as_text(name: str, value: Any) -> str:
    """Return the text that a variable would hold in place of a TOML value.

    Raises:
        ConfigError: The value is of a type no setting has.
    """
    match value:
        case str():
            return value
        case bool():
            return "on" if value else "off"
        case int() | float():
            return str(value)
        case list() if any(isinstance(part, list) for part in value):
            return ";".join(as_text(name, part) for part in value)
        case list():
            return ",".join(as_text(name, part) for part in value)
        case dict():
            between = ":" if name == "my_access_key" else "="
            pairs = (f"{left}{between}{as_text(name, right)}" for left, right in value.items())
            return ",".join(pairs)
        case _:
            problem = "is of a type that no setting has"
            raise ConfigError(name, problem, "Use text, a number, true/false, a list or a table")


def _check_name(spelled: str, name: str, known: tuple[str, ...]) -> None:
    if name in known:
        return
    nearest = nearest_name(name, known)
    if not name.isprintable():
        spelled = "the file"
    hint = f"Did you mean {nearest}?" if nearest else "Known are " + ", ".join(known)
    raise ConfigError(spelled, "is not a setting", hint)


def nearest_name(name: str, known: tuple[str, ...], likeness: float = 0.6) -> str | None:
    """Return the known name most like `name`, or None if none is as near as `likeness` (0 to 1)."""
    return next(iter(get_close_matches(name.lower(), known, n=1, cutoff=likeness)), None)
