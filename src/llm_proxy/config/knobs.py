"""Reads an upstream's `translation` table: how it wants requests that come in another format."""

from typing import Any

import msgspec

from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.knobs import Knobs

from .file import nearest_name

_WORDS: dict[str, tuple[str, ...]] = {
    "max_tokens_field": ("max_tokens", "max_completion_tokens"),
    "reasoning_request": ("effort", "deepseek", "qwen", "openrouter", "none"),
    "reasoning_history": ("auto", "never", "always"),
    "thinking_style": ("auto", "adaptive", "budget", "none"),
    "mid_system": ("user", "system", "developer"),
    "prefill": ("refuse", "plain", "prefix", "partial", "continue_final_message"),
    "tool_ids": ("keep", "mistral9"),
    "json_schema": ("native", "refuse"),
}
_NUMBERS = {"default_max_tokens": (1, 10_000_000), "tool_name_max": (16, 1024)}


def read_knobs(at: str, table: Any, defaults: Knobs) -> Knobs:
    """Return `defaults` with what a table says laid over them.

    Args:
        at: The table's path in the file.
        table: As TOML gives it.
        defaults: Those of the upstream's host.

    Raises:
        ConfigError: It is no table, or holds an unknown name or an unusable value.
    """
    if not isinstance(table, dict):
        raise ConfigError(at, "is not a table", 'For example translation = { prefill = "plain" }')
    known = Knobs.__struct_fields__
    for name in table:
        if name not in known:
            nearest = nearest_name(name, known)
            fix = f"Did you mean {nearest}?" if nearest else "Known are " + ", ".join(known)
            raise ConfigError(f"{at}.{name}", "is not a setting", fix)
    return msgspec.structs.replace(
        defaults, **{name: _value(f"{at}.{name}", name, value) for name, value in table.items()}
    )


def _value(at: str, name: str, value: Any) -> str | int | bool:
    if name in _WORDS:
        words = _WORDS[name]
        if value not in words:
            raise ConfigError(
                at, f"is none of {', '.join(words)}", f'For example {name} = "{words[0]}"'
            )
        return str(value)
    if name in _NUMBERS:
        low, high = _NUMBERS[name]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ConfigError(at, f"is no whole number from {low} to {high}", f"{name} = {low}")
        return value
    if not isinstance(value, bool):
        raise ConfigError(at, "is neither true nor false", f"For example {name} = true")
    return value
