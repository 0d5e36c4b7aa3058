"""Tells answers to Messages clients.

Budget (Python 3.11): 0.6 us for a piece of text.
"""

from collections.abc import Callable, Iterable
from typing import Any

from llm_proxy.domain.usage import Usage
from llm_proxy.formats.status import error_words
from llm_proxy.wire.body import writable

from .budget import Budget
from .context import Context
from .literal import dump, object_in
from .markers import make_encrypted, make_signature
from .pieces import (
    Citation,
    Finish,
    HiddenReasoning,
    Piece,
    Reasoning,
    ReasoningEnd,
    Refusal,
    Text,
    TextEnd,
    ToolArguments,
    ToolEnd,
    ToolStart,
)
from .tell import Tell, carried

_REASONS = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "context": "model_context_window_exceeded",
    "declined": "refusal",
    "refusal": "refusal",
}


def _event(type_: bytes, body: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (type_, dump(body))


class TellMessages(Tell):
    """Tells one answer to a Messages client."""

    __slots__ = ("_delta", "_index", "_is_odd", "_open", "_parts")

    prefix = "msg_"

    def __init__(
        self, context: Context, created_s: int, new_id: Callable[[], str], budget: Budget
    ) -> None:
        super().__init__(context, created_s, new_id, budget)
        self._index = 0
        self._open = ""
        self._delta = b""
        self._parts: list[str] = []
        self._is_odd = False

    def _message(self, id_: str, model: str, usage: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": self._id(id_),
            "type": "message",
            "role": "assistant",
            "model": self._model(model),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": usage,
        }

    def start(self, id_: str, model: str, usage: Usage) -> bytes:
        counts = messages_usage_of(usage) | {"output_tokens": 0}
        counts.pop("output_tokens_details", None)
        message = self._message(id_, model, counts)
        return _event(b"message_start", {"type": "message_start", "message": message})

    def piece(self, piece: Piece) -> bytes:
        if isinstance(piece, Text | Refusal):
            return self._open_block("text", {"type": "text", "text": ""}) + self._say(piece.text)
        if isinstance(piece, TextEnd):
            return self._stop()
        if isinstance(piece, ToolStart | ToolArguments | ToolEnd):
            return self._tell_call(piece)
        if isinstance(piece, Citation):
            self._context.note("dropped", "citations")
            return b""
        return self._tell_reasoning(piece)

    def _open_block(self, delta: str, block: dict[str, Any]) -> bytes:
        """Begin a block, unless it is open."""
        if self._open:
            return b""
        self._open = delta
        self._delta = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"%b_delta","%b":'
            % (
                self._index,
                delta.encode(),
                b"partial_json" if delta == "input_json" else delta.encode(),
            )
        )
        started = {"type": "content_block_start", "index": self._index, "content_block": block}
        return _event(b"content_block_start", started)

    def _say(self, text: str) -> bytes:
        return b"%b%b}}\n\n" % (self._delta, dump(text))

    def _stop(self) -> bytes:
        told = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % (
            self._index
        )
        self._index += 1
        self._open = ""
        return told

    def _tell_reasoning(self, piece: Reasoning | ReasoningEnd | HiddenReasoning) -> bytes:
        if isinstance(piece, HiddenReasoning):
            return self._open_block("redacted", _redacted(piece)) + self._stop()
        told = self._open_block("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        if isinstance(piece, Reasoning):
            if self._context.shows_reasoning:
                return told + self._say(piece.text)
            self._budget.take(piece.text)
            self._parts.append(piece.text)
            return told
        # The SDK replaces the signature by each that comes: one, and the last of the block.
        signed = {
            "type": "content_block_delta",
            "index": self._index,
            "delta": {"type": "signature_delta", "signature": self._signature(piece)},
        }
        return told + _event(b"content_block_delta", signed) + self._stop()

    def _signature(self, end: ReasoningEnd) -> str:
        hidden = "".join(self._parts)
        self._parts.clear()
        if end.data is None and self._context.shows_reasoning:
            return make_signature(end.kind)
        return make_signature(end.kind, carried(end, hidden))

    def _tell_call(self, piece: ToolStart | ToolArguments | ToolEnd) -> bytes:
        if isinstance(piece, ToolStart):
            self.calls += 1
            self._parts.clear()
            self._is_odd = False
            name = self._origin(piece.name).name
            block = {"type": "tool_use", "id": piece.id, "name": name, "input": {}}
            return self._open_block("input_json", block)
        if isinstance(piece, ToolArguments):
            self._budget.take(piece.text)
            if not self._parts:
                self._is_odd = piece.text[:1] != "{"
            self._parts.append(piece.text)
            return b"" if self._is_odd else self._say(piece.text)
        given, told = self._input("".join(self._parts)), b""
        if self._is_odd:
            told = self._say(dump(given).decode())
        self._parts.clear()
        return told + self._stop()

    def _input(self, arguments: str) -> Any:
        """Return a tool's input; what is no object is shown as it is, never as an empty one."""
        given = object_in(arguments)
        if given is None:
            self._context.note("changed", "tool_use.input")
            return {"_invalid_json": arguments}
        return given

    def _reason(self, finish: Finish) -> str:
        if finish.reason == "stop" and self.calls:
            return "tool_use"
        return _REASONS[finish.reason]

    def finish(self, finish: Finish, usage: Usage) -> bytes:
        delta = {"stop_reason": self._reason(finish), "stop_sequence": finish.stop_sequence}
        last = {"type": "message_delta", "delta": delta, "usage": messages_usage_of(usage)}
        return (
            _event(b"message_delta", last)
            + b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
        )

    def failure(self, status: int, code: str | None, message: str) -> bytes:
        error = {"type": error_words(status).messages_type, "message": writable(message)}
        return _event(b"error", {"type": "error", "error": error})

    def whole(
        self, id_: str, model: str, pieces: Iterable[Piece], finish: Finish, usage: Usage
    ) -> bytes:
        message = self._message(id_, model, messages_usage_of(usage))
        for piece in pieces:
            self._collect(piece, message["content"])
        message["stop_reason"] = self._reason(finish)
        message["stop_sequence"] = finish.stop_sequence
        return dump(message)

    def _collect(self, piece: Piece, content: list[dict[str, Any]]) -> None:
        if isinstance(piece, Text | Refusal | Reasoning | ToolArguments):
            self._parts.append(piece.text)
        elif isinstance(piece, TextEnd):
            content.append({"type": "text", "text": self._joined()})
        elif isinstance(piece, ReasoningEnd):
            text = "".join(self._parts)
            shown = text if self._context.shows_reasoning else ""
            signature = self._signature(piece)
            content.append({"type": "thinking", "thinking": shown, "signature": signature})
            self._parts.clear()
        elif isinstance(piece, HiddenReasoning):
            content.append(_redacted(piece))
        elif isinstance(piece, ToolStart):
            self.calls += 1
            name = self._origin(piece.name).name
            content.append({"type": "tool_use", "id": piece.id, "name": name, "input": {}})
        elif isinstance(piece, ToolEnd):
            content[-1]["input"] = self._input(self._joined())
        else:
            self._context.note("dropped", "citations")

    def _joined(self) -> str:
        text = "".join(self._parts)
        self._parts.clear()
        return text


def _redacted(hidden: HiddenReasoning) -> dict[str, Any]:
    return {"type": "redacted_thinking", "data": make_encrypted(hidden.kind, hidden.data)}


def messages_usage_of(usage: Usage) -> dict[str, Any]:
    """Return the `usage` object of Messages, which counts cached tokens beside the input."""
    read, write = usage.cache_read or 0, usage.cache_write or 0
    told: dict[str, Any] = {
        "input_tokens": max(0, (usage.input or 0) - read - write),
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": write,
        "output_tokens": usage.output or 0,
    }
    if usage.reasoning is not None:
        told["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return told
