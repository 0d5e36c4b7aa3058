"""Reads answers of Messages upstreams: Anthropic's, and of those that imitate it.

Budget (Python 3.11): a delta of text 2 us, any other event 6 us.
"""

from typing import Any, Literal

import msgspec

from llm_proxy.formats.usage import MessagesUsage

from . import literal
from .budget import Budget
from .context import Context
from .errors import NoAnswerError
from .hear import UNREADABLE, Hear, index_in, object_in, objects_in, plain, text_in
from .pieces import (
    Citation,
    Finish,
    HiddenReasoning,
    Piece,
    Reasoning,
    ReasoningEnd,
    Text,
    ToolArguments,
    ToolEnd,
    ToolStart,
)


class _PlainDelta(msgspec.Struct, gc=False):
    type: Literal["text_delta"]
    text: str


class _Plain(msgspec.Struct, gc=False):
    """A delta of text; anything else makes reading it as this one fail."""

    type: Literal["content_block_delta"]
    delta: _PlainDelta
    error: None = None
    usage: None = None
    base_resp: None = None


_read_plain = msgspec.json.Decoder(_Plain).decode

_REASONS = {
    "end_turn": "stop",
    "tool_use": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "context",
    "refusal": "refusal",
}


class _Block:
    """The content block that is open.

    Attributes:
        kind: Its type.
        key: Of a call.
        index: As the upstream counts.
        start: Characters of text before it.
        input: Of a call that may have come whole; None = nothing.
        has_said: Arguments or thinking came.
        signature: Of thinking.
        citations: Of text.
    """

    __slots__ = ("citations", "has_said", "index", "input", "key", "kind", "signature", "start")

    def __init__(self, kind: str, index: int | None, key: int, start: int) -> None:
        self.kind = kind
        self.index = index
        self.key = key
        self.start = start
        self.input: Any = None
        self.has_said = False
        self.signature = ""
        self.citations: list[dict[str, Any]] = []


class HearMessages(Hear):
    """Reads one answer of a Messages upstream."""

    __slots__ = ("_block", "_calls", "_counts", "_details", "_length", "_reason", "_stop")

    def __init__(self, context: Context, budget: Budget) -> None:
        super().__init__(context, budget)
        self._counts = MessagesUsage()
        self._block: _Block | None = None
        self._calls = 0
        self._length = 0
        self._reason: str | None = None
        self._stop: str | None = None
        self._details: dict[str, Any] = {}

    def _feed_data(self, name: bytes, data: bytes, out: list[Piece]) -> None:
        if self._block is not None and self._block.kind == "text":
            try:
                text = _read_plain(data).delta.text
            except UNREADABLE:
                pass
            else:
                self._add_text(text, out)
                return
        value = self._read(data)
        if value is not None:
            self._read_event(text_in(value, "type") or name.decode("latin-1"), value, out)

    def _read_event(self, type_: str, value: dict[str, Any], out: list[Piece]) -> None:
        if type_ == "content_block_delta":
            self._read_delta(object_in(value, "delta"), out)
        elif type_ == "content_block_start":
            self._start(object_in(value, "content_block"), index_in(value), out)
        elif type_ == "content_block_stop":
            if self._block is not None and self._block.index == index_in(value):
                self._stop_block(out)
        elif type_ == "message_start":
            self._read_message(object_in(value, "message"), out)
        elif type_ == "message_delta":
            self._read_end(object_in(value, "delta"), value.get("usage"))
        elif type_ == "message_stop":
            self.has_answer = True

    def _read_whole(self, value: dict[str, Any], out: list[Piece]) -> None:
        if not isinstance(value.get("content"), list):
            raise NoAnswerError("upstream returned no content")
        self._read_message(value, out)

    def _read_message(self, message: dict[str, Any], out: list[Piece]) -> None:
        self.has_answer = True
        self._name(message)
        for block in objects_in(message, "content"):
            self._start(block, None, out)
            self._stop_block(out)
        self._read_end(message, message.get("usage"))

    def _read_end(self, said: dict[str, Any], usage: Any) -> None:
        if isinstance(usage, dict):
            self.usage = self._counts.add(plain(usage))
        if text_in(said, "stop_reason"):
            self._reason = text_in(said, "stop_reason")
            self._stop = text_in(said, "stop_sequence") or None
        self._details = object_in(said, "stop_details") or self._details

    def end(self, out: list[Piece]) -> Finish:
        self._stop_block(out)
        reason = _REASONS.get(self._reason or "")
        if reason is None:
            self._unknown_reason()
            reason = "stop"
        explanation = text_in(self._details, "explanation") if reason == "refusal" else ""
        return Finish(reason, self._stop, explanation)

    def _start(self, block: dict[str, Any], index: int | None, out: list[Piece]) -> None:
        self._stop_block(out)
        self.has_answer = True
        kind = text_in(block, "type")
        self._block = opened = _Block(kind, index, self._calls, self._length)
        if kind == "text":
            opened.citations = objects_in(block, "citations")
            self._add_text(text_in(block, "text"), out)
        elif kind == "thinking":
            opened.signature = text_in(block, "signature")
            self._add_thinking(text_in(block, "thinking"), out)
        elif kind == "redacted_thinking":
            data = {"type": kind, "data": text_in(block, "data")}
            out.append(HiddenReasoning("blocks", [data]))
        elif kind == "tool_use" and text_in(block, "name"):
            self._calls += 1
            opened.input = block.get("input")
            out.append(ToolStart(opened.key, text_in(block, "id"), text_in(block, "name")))
        else:
            self._context.note("ignored", kind or "content")

    def _read_delta(self, delta: dict[str, Any], out: list[Piece]) -> None:
        type_ = text_in(delta, "type")
        if type_ == "text_delta":
            self._add_text(text_in(delta, "text"), out)
        elif type_ == "thinking_delta":
            self._add_thinking(text_in(delta, "thinking"), out)
        elif self._block is None:
            return
        elif type_ == "input_json_delta":
            text = text_in(delta, "partial_json")
            if text and self._block.kind == "tool_use":
                self._block.has_said = True
                out.append(ToolArguments(self._block.key, text))
        elif type_ == "signature_delta":
            self._block.signature = text_in(delta, "signature")
        elif type_ == "citations_delta":
            self._block.citations.append(object_in(delta, "citation"))

    def _add_text(self, text: str, out: list[Piece]) -> None:
        if text:
            self._length += len(text)
            out.append(Text(text))

    def _add_thinking(self, text: str, out: list[Piece]) -> None:
        if text:
            if self._block is not None:
                self._block.has_said = True
            out.append(Reasoning(text))

    def _stop_block(self, out: list[Piece]) -> None:
        block, self._block = self._block, None
        if block is None:
            return
        if block.kind == "text":
            self._cite(block, out)
        elif block.kind == "thinking":
            if block.has_said:
                out.append(ReasoningEnd("blocks", None, block.signature))
            elif block.signature:
                empty = {"type": "thinking", "thinking": "", "signature": block.signature}
                out.append(HiddenReasoning("blocks", [empty]))
        elif block.kind == "tool_use":
            if not block.has_said and block.input:
                given = block.input
                text = given if isinstance(given, str) else literal.dump_text(given)
                out.append(ToolArguments(block.key, text))
            out.append(ToolEnd(block.key))

    def _cite(self, block: _Block, out: list[Piece]) -> None:
        """Say which pages back the text of a block; other sources have no place elsewhere."""
        for citation in block.citations:
            url = text_in(citation, "url")
            if citation.get("type") == "web_search_result_location" and url:
                title = text_in(citation, "title")
                out.append(Citation(url, title, block.start, self._length))
            else:
                self._context.note("dropped", "citations")
