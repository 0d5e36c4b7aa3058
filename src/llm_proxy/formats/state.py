"""What a request refers to that a provider keeps, and what an answer says was made.

A stored response, a file, a batch, a conversation lives at one upstream, under one key; asked
anywhere else it does not exist. So the proxy has to know which ids a request names and which ids
an answer gives out. Only ids are read here; where they lead is in `proxy/keep.py`.

What is not stored is not worth remembering: a chat completion is kept only with `store: true`, a
response unless `store: false`, a message only within a thread.

Cost: nothing for chat, 0.3 us for the others where they refer to nothing.
"""

import re
from typing import Any
from urllib.parse import unquote

from msgspec import Raw

from llm_proxy.wire.body import read_json

from .endpoint import GENERATE, OTHER, STATE, Endpoint

MAX_READ_BYTES = 64 * 1024
"""Bodies that name ids are small; files and prompts are not read for them."""

_DEEP = frozenset(("chat", "messages", "fine_tuning", "organization"))
"""First parts of paths that go on with a collection's name: `/v1/messages/batches/{id}`."""
_CONTENTS = ("/content", "/results")
"""What answers there is what a client has put in: an id in it proves nothing."""
_ID = re.compile(r"[\x21-\x7e]{1,200}")
_FIRST_ID = re.compile(rb'\s*+\{\s*+"id"\s*+:\s*+"([\x21\x23-\x5b\x5d-\x7e]{1,200})"')
_FILE = re.compile(rb'"file_id"\s*+:\s*+"([\x21\x23-\x5b\x5d-\x7e]{1,200})"')
_TOP = {
    "responses": ("previous_response_id", "conversation"),
    "messages": ("thread", "container"),
}
_NAMES = (
    "input_file_id",
    "training_file",
    "validation_file",
    "file_id",
    "file_ids",
    "vector_store_ids",
    "assistant_id",
    "thread_id",
    "response_id",
)
"""Fields of other endpoints' bodies that hold an id or a list of them."""
_MADE_NAMES = ("id", "output_file_id", "error_file_id")


def is_id(text: str) -> bool:
    """Return whether `text` can be an id: short, of printable ASCII, without blanks."""
    return _ID.fullmatch(text) is not None


def place_of(endpoint: Endpoint) -> str:
    """Return what stands where a path names the thing it is about, or an empty text.

    `/v1/responses/{id}/cancel`, `/v1/messages/batches/{id}`, `/v1/files/{id}/content`; it need
    not be an id, as `/v1/audio/transcriptions` is built alike.
    """
    if endpoint.kind is not STATE and endpoint.kind is not OTHER:
        return ""
    parts = endpoint.path.split("/")  # "", "v1", "responses", "resp_1", …
    at = 4 if len(parts) > 2 and parts[2] in _DEEP else 3
    if endpoint.has_json_body or len(parts) <= at:
        return ""
    place = unquote(parts[at])
    return place if is_id(place) else ""


def named_in(endpoint: Endpoint, top: dict[str, Raw]) -> list[str]:
    """Return the ids that a request to a model names at the top of its body."""
    found: list[str] = []
    for name in _TOP.get(endpoint.format, ()):
        if name in top:
            _collect(_value_of(top[name]), found)
    return found


def files_in(body: bytes) -> list[str]:
    """Return the ids of files that a prompt refers to, at any depth; a scan of the body."""
    return [found.decode() for found in _FILE.findall(body)]


def named_in_small(body: bytes) -> list[str]:
    """Return the ids that a small JSON body of any other endpoint names."""
    if len(body) > MAX_READ_BYTES or not body.lstrip().startswith(b"{"):
        return []
    value = _value_of(body)
    found: list[str] = []
    if isinstance(value, dict):
        for name in _NAMES:
            _collect(value.get(name), found)
    return found


def is_kept(endpoint: Endpoint, top: dict[str, Raw]) -> bool:
    """Return whether what is made at `endpoint` can be asked for later, as far as one can know."""
    if endpoint.kind is not GENERATE:
        is_told = endpoint.kind in (STATE, OTHER) and not endpoint.has_json_body
        return is_told and not endpoint.path.endswith(_CONTENTS)
    if endpoint.format == "chat":
        return "store" in top and bytes(top["store"]) == b"true"
    if endpoint.format == "responses":
        return "store" not in top or bytes(top["store"]) != b"false"
    return endpoint.format == "messages" and "thread" in top


def made_in(endpoint: Endpoint, body: bytes) -> list[str]:
    """Return the ids that an answer gives out: its own and those of files it speaks of.

    A model's long answer is not read for its id, which nearly always stands first.
    """
    if endpoint.kind is GENERATE or len(body) > MAX_READ_BYTES:
        first = _FIRST_ID.match(body)
        if first is not None or len(body) > MAX_READ_BYTES:
            return [first[1].decode()] if first is not None else []
    value = _value_of(body)
    found: list[str] = []
    if isinstance(value, dict):
        for name in _MADE_NAMES:
            _collect(value.get(name), found)
        _collect(value.get("file"), found)
    return found


def _value_of(raw: bytes) -> Any:
    try:
        return read_json(bytes(raw))
    except ValueError:
        return None


def _collect(value: Any, found: list[str]) -> None:
    """Add the ids of a value: a text, an object with an id, or a list of texts."""
    if isinstance(value, dict):
        value = value.get("id") or value.get("previous_message_id")
    values = value if isinstance(value, list) else (value,)
    found += [one for one in values if isinstance(one, str) and is_id(one)]
