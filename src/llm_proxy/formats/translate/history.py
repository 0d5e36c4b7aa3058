"""Reads earlier reasoning that clients send back, and gives it to whom it came from.

Signed reasoning is worth something only to the upstream that signed it, and a wrong signature is an
error there. On translated routes the client carried it in a marker (`markers.py`), which says what
it was: that is restored exactly. Everything else is left out.
"""

from typing import Any

from . import markers
from .conversation import Reasoning
from .passage import Passage

PARTS_FIELD = "content"
"""Reasoning stands in the content itself, as a part of its own: Mistral."""
_FIELDS = ("reasoning_content", "reasoning", PARTS_FIELD)
"""Fields in which a chat upstream gives reasoning as text; no other name is taken from a marker."""


def from_messages(block: dict[str, Any], path: str, passage: Passage) -> Reasoning:
    """Read a `thinking` or `redacted_thinking` block of a Messages client."""
    if block.get("type") == "redacted_thinking":
        data = passage.text(block.get("data"), f"{path}.data")
        return _from_marker(markers.read_encrypted(data), "", "messages.thinking")
    text = passage.text(block.get("thinking"), f"{path}.thinking")
    signature = block.get("signature")
    if signature is None or signature == "":
        return Reasoning(text, "field", _FIELDS[0], "messages.thinking")
    signature = passage.text(signature, f"{path}.signature")
    return _from_marker(markers.read_signature(signature), text, "messages.thinking")


def _from_marker(marker: markers.Marker | None, text: str, path: str) -> Reasoning:
    if marker is None:
        return Reasoning(text, "foreign", None, path)
    if marker.kind in _FIELDS:
        said = marker.data if isinstance(marker.data, str) else text
        return Reasoning(said, "field", marker.kind, path)
    if marker.kind == "reasoning_details" and isinstance(marker.data, list):
        return Reasoning(text, "details", marker.data, path)
    if marker.kind == "item" and isinstance(marker.data, dict):
        return Reasoning(text, "item", marker.data, path)
    if marker.kind == "blocks" and isinstance(marker.data, list):
        return Reasoning(text, "blocks", marker.data, path)
    return Reasoning(text, "foreign", None, path)


def from_chat(message: dict[str, Any]) -> list[Reasoning]:
    """Read the reasoning fields of an assistant message of a chat client."""
    details = message.get("reasoning_details")
    if isinstance(details, list) and details:
        found = [_from_detail(detail) for detail in details if isinstance(detail, dict)]
        signed = [reasoning for reasoning in found if reasoning.kind != "foreign"]
        if signed:
            return signed
        return found[:1]
    for name in _FIELDS[:2]:
        text = message.get(name)
        if isinstance(text, str) and text:
            return [Reasoning(text, "field", name, f"messages.{name}")]
    return []


def _from_detail(detail: dict[str, Any]) -> Reasoning:
    """Read one entry of `reasoning_details`: signed by Anthropic, ours, or nothing of use."""
    path = "messages.reasoning_details"
    data, signature = detail.get("data"), detail.get("signature")
    text = detail.get("text")
    text = text if isinstance(text, str) else ""
    if isinstance(data, str) and (marker := markers.read_encrypted(data)) is not None:
        return _from_marker(marker, text, path)
    if isinstance(signature, str) and (marker := markers.read_signature(signature)) is not None:
        return _from_marker(marker, text, path)
    made_by = detail.get("format")
    if isinstance(made_by, str) and not made_by.startswith("anthropic"):
        return Reasoning(text, "foreign", None, path)
    if detail.get("type") == "reasoning.text" and isinstance(signature, str) and signature:
        block = {"type": "thinking", "thinking": text, "signature": signature}
        return Reasoning(text, "blocks", [block], path)
    if detail.get("type") == "reasoning.encrypted" and isinstance(data, str) and data:
        return Reasoning("", "blocks", [{"type": "redacted_thinking", "data": data}], path)
    return Reasoning(text, "foreign", None, path)


def from_responses(item: dict[str, Any], path: str) -> Reasoning:
    """Read a `reasoning` item of a Responses client."""
    text = "\n\n".join(_texts(item.get("summary")) or _texts(item.get("content")))
    secret = item.get("encrypted_content")
    marker = markers.read_encrypted(secret) if isinstance(secret, str) else None
    return _from_marker(marker, text, path)


def _texts(parts: Any) -> list[str]:
    if not isinstance(parts, list):
        return []
    return [
        part["text"]
        for part in parts
        if isinstance(part, dict) and isinstance(part.get("text"), str) and part["text"]
    ]


def to_chat(found: list[Reasoning], passage: Passage) -> dict[str, Any]:
    """Return the fields that give a chat upstream its reasoning back, as it came.

    Under `PARTS_FIELD` stands the text of the part.
    """
    rule = passage.knobs.reasoning_history
    texts: dict[str, list[str]] = {}
    details: list[Any] = []
    for reasoning in found:
        if rule == "never":
            passage.drop(reasoning.path)
        elif reasoning.kind == "field":
            texts.setdefault(reasoning.data, []).append(reasoning.text)
        elif reasoning.kind == "details":
            details += reasoning.data
        elif rule == "always" and reasoning.text:
            texts.setdefault(_FIELDS[0], []).append(reasoning.text)
        else:
            passage.drop(reasoning.path)
    fields: dict[str, Any] = {name: "".join(pieces) for name, pieces in texts.items()}
    if details:
        fields["reasoning_details"] = details
    return fields


def to_messages(reasoning: Reasoning, passage: Passage) -> list[Any]:
    """Return the signed blocks a Messages upstream made, or nothing."""
    signed = signed_blocks(reasoning)
    if not signed:
        passage.drop(reasoning.path)
    return signed


def signed_blocks(reasoning: Reasoning) -> list[Any]:
    """Return what a Messages upstream takes back of it."""
    blocks = reasoning.data if reasoning.kind == "blocks" else []
    return [block for block in blocks if isinstance(block, dict) and _is_signed(block)]


def _is_signed(block: dict[str, Any]) -> bool:
    if block.get("type") == "redacted_thinking":
        return isinstance(block.get("data"), str) and bool(block["data"])
    signature = block.get("signature")
    return block.get("type") == "thinking" and isinstance(signature, str) and bool(signature)


def to_responses(reasoning: Reasoning, passage: Passage) -> list[Any]:
    """Return the item a Responses upstream made, or nothing."""
    if reasoning.kind == "item" and reasoning.data.get("type") == "reasoning":
        return [reasoning.data]
    passage.drop(reasoning.path)
    return []
