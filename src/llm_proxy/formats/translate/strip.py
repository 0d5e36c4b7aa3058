"""Removes from a same-format request the reasoning that an earlier translation gave the client.

A conversation may move from a translated route to one of the same format. Its history then holds
signatures that are none (`markers.py`), which the real provider refuses. Everything else of a
same-format body travels as bytes; only where a marker occurs it is read and written anew.
"""

from typing import Any

from .literal import dump, load

_SIGNATURE, _ENCRYPTED = "gwsig1.", "gwenc1."
_SIGNS = (b'"gwsig1.', b'"gwenc1.')


def strip_markers(format_name: str, body: bytes) -> bytes | None:
    """Return the body without our own reasoning, numbers as they were spelt; None = leave it.

    Cost: two searches for bytes where there is no marker.

    Args:
        format_name: `messages` or `responses`; others hold no markers.
        body: Of the client, decoded.
    """
    if not any(sign in body for sign in _SIGNS) or format_name not in ("messages", "responses"):
        return None
    try:
        top = load(body)
    except ValueError:
        return None
    if not isinstance(top, dict):
        return None
    name = "messages" if format_name == "messages" else "input"
    entries = top.get(name)
    if not isinstance(entries, list):
        return None
    if format_name == "messages":
        kept = [message for entry in entries for message in _without_thinking(entry)]
    else:
        kept = [entry for entry in entries if not _is_our_item(entry)]
    if kept == entries:
        return None
    top[name] = kept
    try:
        return dump(top)
    except RecursionError:
        return None


def _without_thinking(message: Any) -> list[Any]:
    """Return the message without such blocks; nothing, where nothing else was in it."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return [message]
    kept = [block for block in content if not _is_our_block(block)]
    if len(kept) == len(content):
        return [message]
    return [{**message, "content": kept}] if kept else []


def _is_our_block(block: Any) -> bool:
    if not isinstance(block, dict):
        return False
    if block.get("type") == "thinking":
        return _begins(block.get("signature"), _SIGNATURE)
    return block.get("type") == "redacted_thinking" and _begins(block.get("data"), _ENCRYPTED)


def _is_our_item(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and item.get("type") == "reasoning"
        and _begins(item.get("encrypted_content"), _ENCRYPTED)
    )


def _begins(value: Any, sign: str) -> bool:
    return isinstance(value, str) and value.startswith(sign)
