"""Writes src/llm_proxy/config/prices.json, the table of list prices, from the genai-prices data.

A developer's tool, run by hand when prices have changed, in an environment of its own that holds
the `genai-prices` package; neither the proxy nor its tests need that package:

    python -m venv /tmp/prices && /tmp/prices/bin/pip install genai-prices
    /tmp/prices/bin/python tools/make_prices.py 2026-11-24
"""

import json
import sys
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import data, types

TABLE = Path(__file__).parent.parent / "src/llm_proxy/config/prices.json"
LICENCE = "MIT, copyright (c) Pydantic Services Inc. 2025 to present"
_FIELDS = {"input_mtok": "i", "output_mtok": "o", "cache_read_mtok": "r", "cache_write_mtok": "w"}


def clause(match: object) -> list[Any]:
    """Return a condition on a model's name: a mark and its texts or conditions."""
    match match:
        case types.ClauseEquals():
            return ["=", match.equals.lower()]
        case types.ClauseStartsWith():
            return ["^", match.starts_with.lower()]
        case types.ClauseEndsWith():
            return ["$", match.ends_with.lower()]
        case types.ClauseContains():
            return ["*", match.contains.lower()]
        case types.ClauseRegex():
            return ["/", match.regex]
        case types.ClauseOr():
            return ["|", *map(clause, match.or_)]
        case types.ClauseAnd():
            return ["&", *map(clause, match.and_)]
    raise TypeError(type(match))


def pico(price: Decimal) -> int:
    """Return dollars per million tokens as 10^-12 dollars per token, which is whole numbers."""
    return round(price * 1_000_000)


def price(of: types.ModelPrice) -> dict[str, Any]:
    """Return one set of prices; a tiered one as [base, [from tokens, price]…]."""
    found: dict[str, Any] = {}
    for name, short in _FIELDS.items():
        value = getattr(of, name)
        if isinstance(value, types.TieredPrices):
            tiers = [[tier.start, pico(tier.price)] for tier in value.tiers]
            found[short] = [pico(value.base), *tiers]
        elif value is not None:
            found[short] = pico(value)
    return found


def is_by_tokens(of: types.ModelInfo) -> bool:
    """Say whether tokens are all that is paid for; else the table would be too low."""
    rows = [of.prices] if isinstance(of.prices, types.ModelPrice) else [o.prices for o in of.prices]
    return all(row.input_mtok is not None and row.requests_kcount is None for row in rows)


def prices(of: types.ModelInfo) -> list[dict[str, Any]]:
    """Return the model's prices; of those whose time has come the last one counts."""
    if isinstance(of.prices, types.ModelPrice):
        return [price(of.prices)]
    rows = []
    for one in of.prices:
        row = price(one.prices)
        match one.constraint:
            case types.StartDateConstraint():
                row["from"] = one.constraint.start_date.isoformat()
            case types.TimeOfDateConstraint():
                times = (one.constraint.start_time, one.constraint.end_time)
                if any(time.utcoffset() for time in times):
                    raise ValueError("a time of day that is not UTC")
                row["daily"] = [time.strftime("%H:%M") for time in times]
        rows.append(row)
    return rows


def main(day: str) -> None:
    """Write the table, read on `day`."""
    providers: dict[str, dict[str, Any]] = {}
    for one in data.providers:
        models = [
            [clause(model.match), prices(model)] for model in one.models if is_by_tokens(model)
        ]
        if not models:
            continue
        providers[one.id] = {"at": one.api_pattern, "models": models}
        if one.model_match is not None:
            providers[one.id]["makes"] = clause(one.model_match)
        if one.fallback_model_providers:
            providers[one.id]["also"] = one.fallback_model_providers
    table = {
        "source": f"genai-prices {version('genai-prices')}",
        "licence": LICENCE,
        "date": day,
        "providers": providers,
    }
    lines = json.dumps(table, separators=(",", ":"), ensure_ascii=False)
    # A line per provider, so that a change can be read.
    for name in providers:
        lines = lines.replace(f'"{name}":{{"at"', f'\n"{name}":{{"at"', 1)
    TABLE.write_text(lines + "\n", "utf-8")
    count = sum(len(one["models"]) for one in providers.values())
    sys.stdout.write(f"{len(providers)} providers, {count} models, {TABLE.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1])
