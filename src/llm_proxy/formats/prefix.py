"""Which part of a prompt a provider would keep in its cache: what routing by prefix goes by.

Providers bill a prefix that they have seen lately at a fraction, but only where they saw it: under
the same key. So requests that begin alike should meet there. A prompt begins with its system
prompt or, where that is short, with its tools and first message; what is shorter than 1,024
characters in all is not cached by anybody.

Raw JSON is compared, not text: nothing is decoded, and equal prompts of one client are equal
bytes. The first block of Claude Code's system prompt is left out, as it holds a number that is
new with every request. A `prompt_cache_key` belongs to the prefix: providers cache per key.

Cost: 3 us for a system prompt of 20 KB, of which 2 are the digest of its first 4 KB.
"""

import re
from hashlib import sha256

from msgspec import Raw

MIN_BYTES = 1024
"""Shorter prefixes are in no provider's cache."""
HASHED_BYTES = 4096
"""What two prompts share this far they mostly share further; what differs later costs nothing."""

_BACKSLASH = 92
_CLOSE = re.compile(rb'"\s*+\}')
_ROLE = re.compile(rb'"role"\s*+:\s*+"(\w*+)"')
_NONCE = re.compile(rb'\s*+\[\s*+\{[^{}]{0,40}?"text"\s*+:\s*+"x-anthropic-billing-header:')
_SYSTEM_FIELDS = {"messages": "system", "responses": "instructions"}
_TURN_FIELDS = {"chat": "messages", "messages": "messages", "responses": "input"}


def digest_of(format_name: str, top: dict[str, Raw]) -> bytes | None:
    """Return 16 bytes that stand for a prompt's prefix, or None where it is not worth a cache.

    Args:
        format_name: `chat`, `messages` or `responses`; prompts of others have no prefix.
        top: The body's fields, raw.
    """
    turn_field = _TURN_FIELDS.get(format_name)
    if turn_field is None:
        return None
    system = _start_of(top.get(_SYSTEM_FIELDS.get(format_name, "")))
    if system and format_name == "messages":
        system = _without_nonce(system)
    prefix = system
    if len(prefix) < MIN_BYTES:
        turns = _start_of(top.get(turn_field))
        end = _end_of_item(turns, 0)
        role = _ROLE.search(turns, 0, end)
        is_system = role is not None and role[1] in (b"system", b"developer")
        if is_system and end >= MIN_BYTES:
            prefix = turns[:end]
        else:  # a short system prompt says little; what comes behind it is needed too
            end = _end_of_item(turns, end) if is_system else end
            prefix = b"".join((_start_of(top.get("tools")), system, turns[:end]))
            if len(prefix) < MIN_BYTES:
                return None
    digest = sha256(prefix[:HASHED_BYTES])
    if (key := top.get("prompt_cache_key")) is not None:
        digest.update(bytes(key))
    return digest.digest()[:16]


def _start_of(raw: Raw | None) -> bytes:
    """Return as much of a value as can count, and a little for what is left out at its start."""
    if raw is None:
        return b""
    return bytes(memoryview(raw)[: HASHED_BYTES + 1024])


def _end_of_item(array: bytes, at: int) -> int:
    """Return about where the item behind `at` ends: where first a text closes an object.

    Within an item there may be such a place too; what counts is that the same prompt is always cut
    at the same one, and that nothing of a later turn is in front of it.
    """
    for found in _CLOSE.finditer(array, at):
        if array[found.start() - 1] != _BACKSLASH:  # else it is a quotation within the text
            return found.end()
    return len(array)


def _without_nonce(system: bytes) -> bytes:
    return system if _NONCE.match(system) is None else system[_end_of_item(system, 0) :]
