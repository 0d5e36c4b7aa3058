"""The six pairs of formats, and what a client of each must see: for tests that cover them all."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import pytest

from tests.e2e.world import World
from tests.support.answers import (
    chat_json,
    chat_stream,
    messages_json,
    messages_stream,
    responses_json,
    responses_stream,
)
from tests.support.client import Stream
from tests.support.scripts import Script, chunk, last_chunk, sleep

FORMATS = ("chat", "messages", "responses")
PAIRS = [(client, upstream) for client in FORMATS for upstream in FORMATS if client != upstream]
IDS = [f"{client}_on_{upstream}" for client, upstream in PAIRS]
each_pair = pytest.mark.parametrize(("client", "upstream"), PAIRS, ids=IDS)

Make: TypeAlias = Callable[..., Script]
STREAMS: dict[str, Make] = {
    "chat": chat_stream,
    "messages": messages_stream,
    "responses": responses_stream,
}
WHOLES: dict[str, Make] = {
    "chat": chat_json,
    "messages": messages_json,
    "responses": responses_json,
}
Worlds: TypeAlias = Callable[[str], World]


def broken_by(upstream: str, words: Sequence[str], event: bytes = b"") -> Script:
    """Return a stream that sends some words and, when they have arrived, ends with `event`."""
    opening = STREAMS[upstream](words, cut_after=len(words), cut_by="clean")[:-1]
    return [*opening, sleep(0.05), chunk(event) if event else b"", last_chunk()]


def text_of(client: str, stream: Stream) -> str:
    """Return the text that a client of this format shows."""
    pieces: list[str] = []
    for value in values_of(stream):
        if client == "chat":
            pieces += [choice["delta"].get("content") or "" for choice in value.get("choices", ())]
        elif client == "messages" and value["type"] == "content_block_delta":
            pieces.append(value["delta"].get("text", ""))
        elif client == "responses" and value["type"] == "response.output_text.delta":
            pieces.append(value["delta"])
    return "".join(pieces)


def values_of(stream: Stream) -> list[dict[str, Any]]:
    """Return the JSON of all events."""
    return [json.loads(data) for data in stream.data if data != "[DONE]"]


def ends_of(client: str, stream: Stream) -> int:
    """Return how often a stream says that the answer is finished."""
    if client == "chat":
        finishes = sum(
            choice.get("finish_reason") is not None
            for value in values_of(stream)
            for choice in value.get("choices", ())
        )
        return max(finishes, stream.data.count("[DONE]"))
    kinds = [value["type"] for value in values_of(stream)]
    if client == "messages":
        return max(kinds.count("message_stop"), kinds.count("message_delta"))
    return kinds.count("response.completed") + kinds.count("response.incomplete")


def errors_of(client: str, stream: Stream) -> list[dict[str, Any]]:
    """Return the error objects within a stream, as the client's format has them."""
    values = values_of(stream)
    if client == "chat":
        return [value["error"] for value in values if "error" in value]
    if client == "messages":
        for event in stream.events:
            assert not event.data or event.name == event.json()["type"]
        return [value["error"] for value in values if value["type"] == "error"]
    failed = [value["response"] for value in values if value["type"] == "response.failed"]
    assert all(response["status"] == "failed" for response in failed)
    flat = [value for value in values if value["type"] == "error"]
    return [response["error"] for response in failed] + flat


def assert_broken(client: str, stream: Stream) -> dict[str, Any]:
    """Check that a stream ends with one error event and nothing behind it; return the error."""
    (error,) = errors_of(client, stream)
    assert ends_of(client, stream) == 0
    assert stream.ending == "complete"
    assert stream.rest == b""
    last = json.loads(stream.data[-1])
    assert "error" in json.dumps(last)
    return error


def json_error(client: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return the error of a JSON body in the client's format, checked for its shape."""
    error: dict[str, Any] = value["error"]
    if client == "messages":
        assert value["type"] == "error"
        assert set(error) <= {"type", "message", "details"}
        assert value["request_id"]
    else:
        assert set(value) == {"error"}
        assert set(error) == {"message", "type", "param", "code"}
    return error
