"""Reads answers of Responses upstreams.

An item is told as its deltas come; what its end holds beyond them is told then, and what only the
last event holds is told last. So a JSON answer is a stream that consists of its last event.

Budget (Python 3.11): a delta of text 2 us, any other event 8 us.
"""

from typing import Any, Literal

import msgspec

from llm_proxy.domain.signal import Signal
from llm_proxy.formats.signal import signal_of
from llm_proxy.formats.usage import responses_usage

from . import literal
from .budget import Budget
from .context import Context
from .errors import NoAnswerError, UpstreamFailedError
from .hear import UNREADABLE, Hear, arguments_in, index_in, object_in, objects_in, plain, text_in
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


class _Plain(msgspec.Struct, gc=False):
    """A delta of text; anything else makes reading it as this one fail."""

    type: Literal["response.output_text.delta"]
    delta: str
    output_index: int = 0
    content_index: int = 0
    error: None = None
    logprobs: Any = None


_read_plain = msgspec.json.Decoder(_Plain).decode

_CALLS = ("function_call", "custom_tool_call")
_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


class _Item:
    """An output item as far as it was told.

    Attributes:
        key: Tells it apart, and its call.
        kind: Its type; empty = not known yet.
        told: Characters told of each part, by kind of text and the part's index.
        starts: Characters of all text before each part.
        citations: How many were told of each part.
        is_started: The call was told.
        thoughts: Which of its texts is told as reasoning.
        is_done: All of it was told.
    """

    __slots__ = ("citations", "is_done", "is_started", "key", "kind", "starts", "thoughts", "told")

    def __init__(self, key: int) -> None:
        self.key = key
        self.kind = ""
        self.told: dict[tuple[str, int], int] = {}
        self.starts: dict[int, int] = {}
        self.citations: dict[int, int] = {}
        self.thoughts = ""
        self.is_started = False
        self.is_done = False


class HearResponses(Hear):
    """Reads one answer of a Responses upstream."""

    __slots__ = ("_items", "_length", "_reason", "_refused", "_status")

    def __init__(self, context: Context, budget: Budget) -> None:
        super().__init__(context, budget)
        self._items: dict[int, _Item] = {}
        self._length = 0
        self._status = ""
        self._reason = ""
        self._refused = False

    def _feed_data(self, name: bytes, data: bytes, out: list[Piece]) -> None:
        try:
            event = _read_plain(data)
        except UNREADABLE:
            pass
        else:
            item = self._item(event.output_index)
            self._add_text(item, event.content_index, event.delta, event.logprobs, out)
            return
        value = self._read(data)
        if value is not None:
            self._read_event(text_in(value, "type") or name.decode("latin-1"), value, out)

    def _read_event(self, type_: str, value: dict[str, Any], out: list[Piece]) -> None:
        if type_ in _ENDS:
            self._read_response(object_in(value, "response"), out)
        elif type_.startswith("response.output_item."):
            item = self._item(index_in(value, "output_index"))
            read = self._finish_item if type_.endswith(".done") else self._start_item
            read(item, object_in(value, "item"), out)
        elif type_.endswith((".delta", ".done", ".annotation.added")):
            self._read_part(type_, value, self._item(index_in(value, "output_index")), out)
        elif "response" in value:
            self._name(object_in(value, "response"))

    def _read_whole(self, value: dict[str, Any], out: list[Piece]) -> None:
        if not isinstance(value.get("output"), list):
            raise NoAnswerError("upstream returned no output")
        self._read_response(value, out)

    def _read_response(self, response: dict[str, Any], out: list[Piece]) -> None:
        self.has_answer = True
        self._name(response)
        usage = response.get("usage")
        if isinstance(usage, dict):
            self.usage = responses_usage(plain(usage))
        self._status = text_in(response, "status") or "completed"
        if self._status in ("failed", "cancelled"):
            error = plain(response.get("error"))
            raise UpstreamFailedError(
                (signal_of({"error": error}, 200) if error else None)
                or Signal(200, code="server_error", message=f"the response {self._status}")
            )
        self._reason = text_in(object_in(response, "incomplete_details"), "reason")
        for index, given in enumerate(objects_in(response, "output")):
            item = self._item(index)
            if not item.is_done:
                self._finish_item(item, given, out)

    def end(self, out: list[Piece]) -> Finish:
        if self._status == "incomplete" and self._reason == "max_output_tokens":
            return Finish("length")
        if self._status == "incomplete" and self._reason == "content_filter":
            return Finish("refusal")
        if self._status not in ("completed", ""):
            self._unknown_reason()
        return Finish("declined" if self._refused else "stop")

    def _item(self, index: int | None) -> _Item:
        key = 0 if index is None else index
        item = self._items.get(key)
        if item is None:
            self.has_answer = True
            item = self._items[key] = _Item(key)
        return item

    def _start_item(self, item: _Item, given: dict[str, Any], out: list[Piece]) -> None:
        item.kind = text_in(given, "type")
        if item.kind in _CALLS:
            self._start_call(item, given, out)
        elif item.kind not in ("message", "reasoning"):
            self._context.note("ignored", item.kind or "output")

    def _start_call(self, item: _Item, given: dict[str, Any], out: list[Piece]) -> None:
        name = text_in(given, "name")
        if item.is_started or not name:
            return
        item.is_started = True
        out.append(ToolStart(item.key, text_in(given, "call_id") or text_in(given, "id"), name))
        if item.kind == "function_call":
            self._add_arguments(item, arguments_in(given.get("arguments")), out)

    def _read_part(self, type_: str, value: dict[str, Any], item: _Item, out: list[Piece]) -> None:
        part, _, form = type_.removeprefix("response.").rpartition(".")
        index = index_in(value, "content_index") or 0
        is_whole = form == "done"
        if part == "output_text":
            text = text_in(value, "text" if is_whole else "delta")
            self._add_text(item, index, text, value.get("logprobs"), out, is_whole=is_whole)
        elif part == "refusal":
            text = text_in(value, "refusal" if is_whole else "delta")
            self._add_refusal(item, index, text, out, is_whole=is_whole)
        elif part in ("reasoning_summary_text", "reasoning_text"):
            if part == "reasoning_summary_text":
                index = index_in(value, "summary_index") or 0
            text = text_in(value, "text" if is_whole else "delta")
            self._add_thought(item, part, index, text, out, is_whole=is_whole)
        elif part == "function_call_arguments":
            text = text_in(value, "arguments" if is_whole else "delta")
            self._add_arguments(item, text, out, is_whole=is_whole)
        elif part == "output_text.annotation":
            item.citations[index] = item.citations.get(index, 0) + 1
            self._cite(item, index, object_in(value, "annotation"), out)

    def _rest(self, item: _Item, kind: str, index: int, text: str, *, is_whole: bool) -> str:
        """Return what of `text` was not told yet."""
        told = item.told.get((kind, index), 0)
        if is_whole:
            text = text[told:]
        item.told[kind, index] = told + len(text)
        return text

    def _add_text(
        self,
        item: _Item,
        index: int,
        text: str,
        logprobs: Any,
        out: list[Piece],
        *,
        is_whole: bool = False,
    ) -> None:
        item.starts.setdefault(index, self._length)
        text = self._rest(item, "text", index, text, is_whole=is_whole)
        if text:
            self._length += len(text)
            out.append(Text(text, logprobs if isinstance(logprobs, list) and logprobs else None))

    def _add_refusal(
        self, item: _Item, index: int, text: str, out: list[Piece], *, is_whole: bool
    ) -> None:
        text = self._rest(item, "refusal", index, text, is_whole=is_whole)
        if text:
            self._refused = True
            out.append(Refusal(text))

    def _add_thought(
        self, item: _Item, kind: str, index: int, text: str, out: list[Piece], *, is_whole: bool
    ) -> None:
        """Tell reasoning: the summary or the text, whichever comes first, never both."""
        if item.thoughts and item.thoughts != kind:
            return
        is_first = (kind, index) not in item.told
        text = self._rest(item, kind, index, text, is_whole=is_whole)
        if text:
            out.append(Reasoning(f"\n\n{text}" if item.thoughts and is_first else text))
            item.thoughts = kind

    def _add_arguments(
        self, item: _Item, text: str, out: list[Piece], *, is_whole: bool = False
    ) -> None:
        if not item.is_started or item.is_done:
            return
        text = self._rest(item, "arguments", 0, text, is_whole=is_whole)
        if text:
            out.append(ToolArguments(item.key, text))

    def _finish_item(self, item: _Item, given: dict[str, Any], out: list[Piece]) -> None:
        if item.is_done:
            return
        kind = item.kind = text_in(given, "type") or item.kind
        if kind == "message":
            for index, part in enumerate(objects_in(given, "content")):
                self._finish_part(item, index, part, out)
            out.append(TextEnd())
        elif kind == "reasoning":
            self._finish_thoughts(item, given, out)
        elif kind in _CALLS:
            self._finish_call(item, given, out)
        else:
            self._context.note("ignored", kind or "output")
        item.is_done = True

    def _finish_part(self, item: _Item, index: int, part: dict[str, Any], out: list[Piece]) -> None:
        if part.get("type") == "refusal":
            self._add_refusal(item, index, text_in(part, "refusal"), out, is_whole=True)
            return
        logprobs = part.get("logprobs")
        self._add_text(item, index, text_in(part, "text"), logprobs, out, is_whole=True)
        annotations = objects_in(part, "annotations")
        for annotation in annotations[item.citations.get(index, 0) :]:
            self._cite(item, index, annotation, out)

    def _finish_thoughts(self, item: _Item, given: dict[str, Any], out: list[Piece]) -> None:
        for kind, place in (("reasoning_summary_text", "summary"), ("reasoning_text", "content")):
            for index, part in enumerate(objects_in(given, place)):
                self._add_thought(item, kind, index, text_in(part, "text"), out, is_whole=True)
        end = ReasoningEnd if item.thoughts else HiddenReasoning
        out.append(end("item", given))

    def _finish_call(self, item: _Item, given: dict[str, Any], out: list[Piece]) -> None:
        self._start_call(item, given, out)
        if not item.is_started:
            self._context.note("changed", "tool_calls")
            return
        text = arguments_in(given.get("arguments"))
        if item.kind == "custom_tool_call":
            text = literal.dump_text({"input": text_in(given, "input")})
        self._add_arguments(item, text, out, is_whole=True)
        out.append(ToolEnd(item.key))

    def _cite(self, item: _Item, index: int, annotation: dict[str, Any], out: list[Piece]) -> None:
        url = text_in(annotation, "url")
        if annotation.get("type") != "url_citation" or not url:
            self._context.note("dropped", "annotations")
            return
        base = item.starts.get(index, self._length)
        start = index_in(annotation, "start_index") or 0
        end = index_in(annotation, "end_index") or 0
        out.append(Citation(url, text_in(annotation, "title"), base + start, base + end))
