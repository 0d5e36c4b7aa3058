"""Tells answers to Chat Completions clients.

Each piece becomes a delta, and a JSON answer is the sum of the deltas, formed as SDKs form it.

Budget (Python 3.11): 0.6 us for a piece of text.
"""

from collections.abc import Callable, Iterable
from typing import Any

from llm_proxy.domain.usage import UNKNOWN, Usage
from llm_proxy.formats.format import openai_error

from .budget import Budget
from .context import Context
from .literal import dump
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
    ToolArguments,
    ToolEnd,
    ToolStart,
)
from .tell import ANTHROPIC, Tell, carried, custom_input

_REASONS = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "context": "length",
    "declined": "stop",
    "refusal": "content_filter",
}
_FORMATS = {"messages": ANTHROPIC, "responses": "openai-responses-v1"}


class TellChat(Tell):
    """Tells one answer to a Chat Completions client."""

    __slots__ = ("_arguments", "_citations", "_custom", "_head", "_tail", "_thought", "_thoughts")

    prefix = "chatcmpl-"

    def __init__(
        self, context: Context, created_s: int, new_id: Callable[[], str], budget: Budget
    ) -> None:
        super().__init__(context, created_s, new_id, budget)
        self._head = b""
        self._tail = b'}],"usage":null}\n\n' if context.wants_usage else b"}]}\n\n"
        self._thought: list[str] = []
        self._thoughts = 0
        self._citations: list[dict[str, Any]] = []
        self._custom: list[str] | None = None
        self._arguments = False

    def start(self, id_: str, model: str, usage: Usage) -> bytes:
        # In the order in which OpenAI writes them.
        self._head = b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,' % (
            dump(self._id(id_)),
            self._created,
            dump(self._model(model)),
        )
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, piece: Piece) -> bytes:
        if type(piece) is Text and piece.logprobs is None:
            return b'%b"choices":[{"index":0,"delta":{"content":%b},"finish_reason":null%b' % (
                self._head,
                dump(piece.text),
                self._tail,
            )
        delta = self._delta(piece)
        if delta is None:
            return b""
        return self._chunk(delta, logprobs=piece.logprobs if isinstance(piece, Text) else None)

    def _chunk(
        self, delta: dict[str, Any], reason: str | None = None, logprobs: Any = None
    ) -> bytes:
        choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": reason}
        if logprobs is not None:
            choice["logprobs"] = {"content": logprobs, "refusal": None}
        return b'%b"choices":[%b%b' % (self._head, dump(choice)[:-1], self._tail)

    def finish(self, finish: Finish, usage: Usage) -> bytes:
        told = [self._chunk(delta) for delta in self._last_deltas(finish)]
        told.append(self._chunk({}, self._reason(finish)))
        if self._context.wants_usage:
            counts = dump(chat_usage_of(usage)) if usage != UNKNOWN else b"null"
            told.append(b'%b"choices":[],"usage":%b}\n\n' % (self._head, counts))
        told.append(b"data: [DONE]\n\n")
        return b"".join(told)

    def failure(self, status: int, code: str | None, message: str) -> bytes:
        return b"data: %b\n\n" % dump({"error": openai_error(status, message, code, None)})

    def whole(
        self, id_: str, model: str, pieces: Iterable[Piece], finish: Finish, usage: Usage
    ) -> bytes:
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
        sums = _Sums(message)
        for piece in pieces:
            delta = self._delta(piece)
            if delta is not None:
                sums.add(delta)
            if isinstance(piece, Text) and piece.logprobs is not None:
                sums.logprobs += piece.logprobs
        for delta in self._last_deltas(finish):
            sums.add(delta)
        sums.end()
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": self._reason(finish),
            "logprobs": {"content": sums.logprobs, "refusal": None} if sums.logprobs else None,
        }
        answer: dict[str, Any] = {
            "id": self._id(id_),
            "object": "chat.completion",
            "created": self._created,
            "model": self._model(model),
            "choices": [choice],
        }
        if usage != UNKNOWN:
            answer["usage"] = chat_usage_of(usage)
        return dump(answer)

    def _reason(self, finish: Finish) -> str:
        if finish.reason == "stop" and self.calls:
            return "function_call" if self._context.is_legacy_functions else "tool_calls"
        return _REASONS[finish.reason]

    def _last_deltas(self, finish: Finish) -> Iterable[dict[str, Any]]:
        if self._citations:  # in one delta: the SDK cannot add entries without an index
            yield {"annotations": self._citations}
        if finish.explanation:
            yield {"refusal": finish.explanation}

    def _delta(self, piece: Piece) -> dict[str, Any] | None:
        """Return what a piece adds to the message, None for nothing."""
        if isinstance(piece, Text):
            return {"content": piece.text}
        if isinstance(piece, Reasoning):
            self._budget.take(piece.text)
            self._thought.append(piece.text)
            return {"reasoning_content": piece.text} if self._context.shows_reasoning else None
        if isinstance(piece, ToolStart | ToolArguments | ToolEnd):
            return self._call_delta(piece)
        if isinstance(piece, Refusal):
            return {"refusal": piece.text}
        if isinstance(piece, ReasoningEnd | HiddenReasoning):
            return {"reasoning_details": self._details(piece)}
        if isinstance(piece, Citation):
            cited = {
                "url": piece.url,
                "title": piece.title,
                "start_index": piece.start,
                "end_index": piece.end,
            }
            self._citations.append({"type": "url_citation", "url_citation": cited})
        return None

    def _details(self, end: ReasoningEnd | HiddenReasoning) -> list[dict[str, Any]]:
        """Return what the client sends back with its next request, and the upstream wants."""
        text = "".join(self._thought)
        self._thought.clear()
        blocks = carried(end, text)
        made_by = {"format": _FORMATS.get(self._context.upstream, "unknown")}
        found: list[dict[str, Any]] = []
        is_shown = bool(text) and self._context.shows_reasoning
        if end.kind != "blocks":
            if is_shown:
                data = None if end.data is None else blocks
                detail = {"text": text, "signature": make_signature(end.kind, data)}
                found.append({"type": "reasoning.text", **detail, **made_by})
            else:
                sealed = make_encrypted(end.kind, blocks)
                found.append({"type": "reasoning.encrypted", "data": sealed, **made_by})
        elif text and not is_shown:
            sealed = make_encrypted(end.kind, blocks)
            found.append({"type": "reasoning.encrypted", "data": sealed, **made_by})
        else:
            found += [_as_detail(block) | made_by for block in blocks]
        first = self._thoughts
        self._thoughts += len(found)
        return [detail | {"index": first + at} for at, detail in enumerate(found)]

    def _call_delta(self, piece: ToolStart | ToolArguments | ToolEnd) -> dict[str, Any] | None:
        if isinstance(piece, ToolStart):
            self.calls += 1
            self._arguments = False
            origin = self._origin(piece.name)
            if self._context.is_legacy_functions:
                return self._legacy({"name": origin.name, "arguments": ""})
            if origin.is_custom:
                self._custom = [piece.id, origin.name]
                return None
            entry = {"id": piece.id, "type": "function"}
            return self._call(entry | {"function": {"name": origin.name, "arguments": ""}})
        if isinstance(piece, ToolArguments):
            self._arguments = True
            if self._custom is not None:
                self._budget.take(piece.text)
                self._custom.append(piece.text)
                return None
            return self._argue(piece.text)
        if self._custom is None:
            return None if self._arguments else self._argue("{}")
        (id_, name, *parts), self._custom = self._custom, None
        custom = {"name": name, "input": custom_input("".join(parts))}
        return self._call({"id": id_, "type": "custom", "custom": custom})

    def _argue(self, text: str) -> dict[str, Any] | None:
        if self._context.is_legacy_functions:
            return self._legacy({"arguments": text})
        return self._call({"function": {"arguments": text}})

    def _call(self, entry: dict[str, Any]) -> dict[str, Any]:
        return {"tool_calls": [{"index": self.calls - 1, **entry}]}

    def _legacy(self, call: dict[str, Any]) -> dict[str, Any] | None:
        if self.calls > 1:  # there is room for one
            self._context.note("dropped", "tool_calls")
            return None
        return {"function_call": call}


def _as_detail(block: dict[str, Any]) -> dict[str, Any]:
    if block.get("type") == "redacted_thinking":
        return {"type": "reasoning.encrypted", "data": block.get("data")}
    text, signature = block.get("thinking"), block.get("signature")
    return {"type": "reasoning.text", "text": text, "signature": signature}


class _Sums:
    """Adds up deltas to a message.

    Attributes:
        logprobs: Of all tokens.
    """

    __slots__ = ("_message", "_texts", "logprobs")

    def __init__(self, message: dict[str, Any]) -> None:
        self._message = message
        self._texts: dict[str, list[str]] = {}
        self.logprobs: list[Any] = []

    def add(self, delta: dict[str, Any]) -> None:
        for name, value in delta.items():
            if isinstance(value, str):
                self._texts.setdefault(name, []).append(value)
            elif name == "tool_calls":
                self._add_call(value[0])
            elif name == "function_call":
                _add_function(self._message.setdefault(name, {}), value)
            else:
                self._message.setdefault(name, []).extend(value)

    def _add_call(self, entry: dict[str, Any]) -> None:
        calls = self._message.setdefault("tool_calls", [])
        if len(calls) > entry["index"]:
            _add_function(calls[-1]["function"], entry["function"])
        else:
            calls.append({name: value for name, value in entry.items() if name != "index"})
            if "function" in entry:
                _add_function(calls[-1].setdefault("function", {}), {})

    def end(self) -> None:
        """Put the texts together."""
        for name, texts in self._texts.items():
            self._message[name] = "".join(texts)
        calls = self._message.get("tool_calls", [])
        functions = [call["function"] for call in calls if "function" in call]
        if "function_call" in self._message:
            functions.append(self._message["function_call"])
        for function in functions:
            function["arguments"] = "".join(function.pop("parts", ()))


def _add_function(function: dict[str, Any], more: dict[str, Any]) -> None:
    if "name" in more:
        function["name"] = more["name"]
    parts = function.setdefault("parts", [])
    if more.get("arguments"):
        parts.append(more["arguments"])


def chat_usage_of(usage: Usage) -> dict[str, Any]:
    """Return the `usage` object of the chat format; what is not known is left out or 0."""
    input_, output = usage.input or 0, usage.output or 0
    told: dict[str, Any] = {
        "prompt_tokens": input_,
        "completion_tokens": output,
        "total_tokens": input_ + output,
    }
    details = {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write}
    known = {name: count for name, count in details.items() if count is not None}
    if known:
        told["prompt_tokens_details"] = known
    if usage.reasoning is not None:
        told["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return told
