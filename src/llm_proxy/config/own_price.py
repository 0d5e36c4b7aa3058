"""Reads the file's `[[price]]` tables: what models cost, in dollars per million tokens."""

import math
from typing import Any

from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.price import Rate, Terms

from .prices import OwnPrice

PRICE_NAMES = ("model", "upstream", "input", "output", "cached_input", "cache_write")
"""What a `[[price]]` table may hold."""

_MAX = 1_000_000.0
_EXAMPLE = 'For example model = "qwen3", input = 0.15, output = 0.6, cached_input = 0.03'


def read_prices(tables: tuple[dict[str, Any], ...]) -> tuple[OwnPrice, ...]:
    """Return the user's own prices, in the order of the file.

    Raises:
        ConfigError: One of them is unusable.
    """
    return tuple(_read(f"price[{position}]", table) for position, table in enumerate(tables))


def _read(path: str, table: dict[str, Any]) -> OwnPrice:
    for name in ("model", "upstream"):
        text = table.get(name, "")
        if not isinstance(text, str) or (name == "model" and not text.strip()):
            raise ConfigError(f"{path}.{name}", "is no name", _EXAMPLE)
    rate = _rate(path, "input", table)
    if rate is None:
        raise ConfigError(f"{path}.input", "is missing", _EXAMPLE)
    return OwnPrice(
        model=table["model"].strip(),
        upstream=table.get("upstream", "").strip(),
        terms=Terms(
            input=rate,
            output=_rate(path, "output", table),
            cache_read=_rate(path, "cached_input", table),
            cache_write=_rate(path, "cache_write", table),
        ),
    )


def _rate(path: str, name: str, table: dict[str, Any]) -> Rate | None:
    value = table.get(name)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= _MAX:
        problem = "is not a price in dollars per million tokens, 0 or more"
        raise ConfigError(f"{path}.{name}", problem, _EXAMPLE)
    return ((0, round(value * 1_000_000)),)
