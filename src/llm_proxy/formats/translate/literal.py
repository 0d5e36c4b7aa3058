"""JSON whose numbers keep their spelling on the way through a translation.

Schemas and tool inputs hold 64-bit ids, `1.10`, `1e400`, `-0.0`: numbers are never converted, they
travel as the literal that was read (`msgspec.Raw`). Half surrogate pairs are read as Python reads
them and written as the escapes they were.

The stdlib's parser reads, as it takes hooks for numbers and msgspec does not; msgspec writes, and
where it cannot (half surrogate pairs) a slow writer does.
"""

import json
from typing import Any

import msgspec
from msgspec import Raw


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_int=Raw, parse_float=Raw, parse_constant=_refuse_constant).decode
_encode = msgspec.json.Encoder().encode


def load(data: bytes | str) -> Any:
    """Return a JSON value; its numbers are `Raw`.

    Raises:
        ValueError: It is no JSON in UTF-8, or nested too deeply.
    """
    text = data if isinstance(data, str) else data.decode()
    try:
        return _decode(text.removeprefix("\ufeff"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def dump(value: Any) -> bytes:
    """Return a value as compact JSON, numbers as they were spelt."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return _spell(value).encode()


def dump_text(value: Any) -> str:
    """Return the same as text, as the chat format carries tool inputs."""
    return dump(value).decode()


def _spell(value: Any) -> str:
    """Return as JSON what msgspec refuses: strings in ASCII, half surrogates as escapes."""
    if isinstance(value, Raw):
        return bytes(value).decode()
    if isinstance(value, dict):
        inner = (f"{json.dumps(str(key))}:{_spell(item)}" for key, item in value.items())
        return "{" + ",".join(inner) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_spell, value)) + "]"
    return json.dumps(value)


def number(value: Any) -> int | float | None:
    """Return the number that was read, or None where the value is none."""
    if isinstance(value, bool) or not isinstance(value, Raw | int | float):
        return None
    if not isinstance(value, Raw):
        return value
    text = bytes(value).decode()
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:  # an integer of more digits than Python converts
        return float("-inf") if text.startswith("-") else float("inf")


def object_in(text: str) -> Any | None:
    """Return what carries the JSON object that `text` is, spelling included; None = it is none."""
    if not text.strip():
        return {}
    try:
        value = load(text)
    except ValueError:
        return None
    if value is None:
        return {}
    if not isinstance(value, dict):
        return None
    try:
        return Raw(text)
    except UnicodeEncodeError:
        return value
