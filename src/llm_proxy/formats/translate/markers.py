"""Markers: what an upstream wants back, carried through a client that knows nothing of it.

Reasoning comes with signatures, field names and whole items that the next request has to repeat,
and the client's format has one opaque string for all of that. So the string says what it is: a
prefix of ours and a small JSON object in base64url. A string without the prefix is not ours.

Extras of a tool call (Gemini's thought signatures) travel inside its id, the only thing of a call
that every client sends back unchanged.
"""

import base64
import re
from typing import Any

import msgspec

from . import literal

SIGNATURE = "gwsig1."
"""Begins the `signature` of a thinking block that the proxy made."""
ENCRYPTED = "gwenc1."
"""Begins opaque reasoning: `encrypted_content`, the `data` of a redacted block."""

_EXTRA = "__gw1_"
MAX_ID = 2000
"""Characters of a tool id with its extra; clients put them into every later request."""
_ID = re.compile(r"[a-zA-Z0-9_-]+")


class Marker(msgspec.Struct, frozen=True):
    """What a marker says.

    Attributes:
        kind: `reasoning_content`, `reasoning`, … (the field of a chat answer that it came from),
            `reasoning_details`, `item` (of a Responses answer), `blocks` (of a Messages answer).
        data: The field's text where the client does not see it, the list of details, the item,
            the blocks; None where the client's own text is all there is.
    """

    kind: str
    data: Any = None


def make_signature(kind: str, data: Any = None) -> str:
    """Return the `signature` of a thinking block that no Messages upstream made; see `Marker`."""
    return SIGNATURE + _packed(kind, data)


def make_encrypted(kind: str, data: Any = None) -> str:
    """Return opaque reasoning; see `Marker`."""
    return ENCRYPTED + _packed(kind, data)


def read_signature(text: str) -> Marker | None:
    """Return what a marker of `make_signature` says; None = it is none of ours, or damaged."""
    return _unpacked(text, SIGNATURE)


def read_encrypted(text: str) -> Marker | None:
    """Return what a marker of `make_encrypted` says; None = it is none of ours, or damaged."""
    return _unpacked(text, ENCRYPTED)


def join_tool_id(id_: str, extra: dict[str, Any] | None) -> str | None:
    """Return the id of a call with its `extra_content` inside.

    Args:
        id_: The call's id, not empty.
        extra: None or empty = the id stays as it is.

    Returns:
        None if the extra has no room, or the id other characters than every format allows.
    """
    if not extra:
        return id_
    joined = f"{id_}{_EXTRA}{_base64(literal.dump(extra))}"
    return joined if len(joined) < MAX_ID and _ID.fullmatch(joined) else None


def split_tool_id(id_: str) -> tuple[str, dict[str, Any] | None]:
    """Return the id that the upstream gave and the extra of its call, None where it had none."""
    given, found, packed = id_.partition(_EXTRA)
    if not found or not given:
        return id_, None
    extra = _read(packed)
    return (given, extra) if isinstance(extra, dict) and extra else (id_, None)


def _packed(kind: str, data: Any) -> str:
    said = {"f": kind} if data is None else {"f": kind, "d": data}
    return _base64(literal.dump(said))


def _unpacked(text: str, prefix: str) -> Marker | None:
    if not text.startswith(prefix):
        return None
    said = _read(text[len(prefix) :])
    kind = said.get("f") if isinstance(said, dict) else None
    return Marker(kind, said.get("d")) if isinstance(kind, str) and kind else None


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _read(packed: str) -> Any:
    """Return the JSON value in base64url, None for anything else."""
    try:
        data = base64.b64decode(packed + "=" * (-len(packed) % 4), b"-_", validate=True)
        return literal.load(data)
    except ValueError:
        return None
