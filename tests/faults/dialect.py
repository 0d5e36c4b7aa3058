"""The three formats as a client sees them: what it sends, and what it makes of the answer.

`verdict` is deliberately as strict as an SDK: an answer counts as whole only where the format says
that it is, so that a cut answer dressed as a whole one is caught.
"""

import json
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from tests.support.answers import (
    Dialect,
    chat_json,
    chat_stream,
    messages_json,
    messages_stream,
    responses_json,
    responses_stream,
)
from tests.support.client import Stream
from tests.support.scripts import Script

DIALECTS: tuple[Dialect, ...] = ("chat", "messages", "responses")
PATHS = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
JSON: dict[Dialect, Callable[..., Script]] = {
    "chat": chat_json,
    "messages": messages_json,
    "responses": responses_json,
}
STREAM: dict[Dialect, Callable[..., Script]] = {
    "chat": chat_stream,
    "messages": messages_stream,
    "responses": responses_stream,
}


def question(dialect: Dialect, model: str, *, stream: bool = False, text: str = "hi") -> Any:
    """Return a request's JSON."""
    body: dict[str, Any] = {"model": model, "stream": stream}
    if dialect == "responses":
        return body | {"input": text}
    body |= {"messages": [{"role": "user", "content": text}]}
    return body | {"max_tokens": 64} if dialect == "messages" else body


def text_of(dialect: Dialect, answer: Any) -> str:
    """Return the text of a JSON answer."""
    if dialect == "chat":
        return str(answer["choices"][0]["message"]["content"])
    if dialect == "messages":
        return str(answer["content"][0]["text"])
    return str(answer["output"][0]["content"][0]["text"])


class Seen(NamedTuple):
    """What a client makes of a stream.

    Attributes:
        text: The words that came.
        ending: `whole`, `error` (told in-band), or `cut` (nobody said anything).
        error: The error object; empty unless told.
        after: Data that came behind the error.
    """

    text: str
    ending: Literal["whole", "error", "cut"]
    error: dict[str, Any]
    after: list[str]


def read(dialect: Dialect, stream: Stream) -> Seen:
    """Read a stream as a client of the format does."""
    text: list[str] = []
    is_whole = False
    for number, data in enumerate(stream.data):
        if data == "[DONE]":
            is_whole = dialect == "chat"
            continue
        value = json.loads(data)
        error = _error(dialect, value)
        if error is not None:
            return Seen("".join(text), "error", error, stream.data[number + 1 :])
        word, is_end = _part(dialect, value)
        text.append(word)
        is_whole = is_whole or is_end
    is_whole = is_whole and stream.ending == "complete" and not stream.rest
    return Seen("".join(text), "whole" if is_whole else "cut", {}, [])


def _error(dialect: Dialect, value: dict[str, Any]) -> dict[str, Any] | None:
    if dialect == "chat":
        return value.get("error")
    if value["type"] == "error":
        inner: dict[str, Any] = value["error"] if dialect == "messages" else value
        return inner
    if value["type"] == "response.failed":
        assert value["response"]["status"] == "failed"
        failed: dict[str, Any] = value["response"]["error"]
        return failed
    return None


def _part(dialect: Dialect, value: dict[str, Any]) -> tuple[str, bool]:
    """Return an event's text and whether it ends the answer."""
    if dialect == "chat":
        choices = value["choices"]
        if not choices:
            return "", False
        return choices[0]["delta"].get("content") or "", choices[0]["finish_reason"] is not None
    if dialect == "messages":
        delta = value.get("delta", {})
        # A stop reason and a clean end of the body will do: some providers leave the rest out.
        is_end = value["type"] == "message_stop" or bool(delta.get("stop_reason"))
        return delta.get("text", ""), is_end
    is_text = value["type"] == "response.output_text.delta"
    return value["delta"] if is_text else "", value["type"] == "response.completed"


def assert_is_error(dialect: Dialect, status: int, body: bytes) -> dict[str, Any]:
    """Check that a body is an error object of the format; return the error."""
    value = json.loads(body)
    error: dict[str, Any] = value["error"]
    assert isinstance(error["message"], str), value
    assert error["message"], value
    assert isinstance(error["type"], str), value
    if dialect == "messages":
        assert value["type"] == "error", value
    assert status >= 400
    return error
