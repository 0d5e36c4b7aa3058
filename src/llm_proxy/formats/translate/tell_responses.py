"""Tells answers to Responses clients.

Every item is added, filled and done before the next one; the last event repeats them all. A JSON
answer is the response of that last event.

Budget (Python 3.11): 0.8 us for a piece of text.
"""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Raw

from llm_proxy.domain.usage import Usage

from .budget import Budget
from .context import Context, ToolOrigin
from .literal import dump
from .markers import make_encrypted
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
from .response_body import CODES, ResponseBody
from .tell import Tell, carried, custom_input


class _Item:
    """The item that is open.

    Attributes:
        id: Its own.
        texts: Its content so far.
        notes: Annotations of its text.
        logprobs: Of its text.
        start: The call it is; None = it is none.
        origin: What the client calls that call's tool.
    """

    __slots__ = ("id", "logprobs", "notes", "origin", "start", "texts")

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.texts: list[str] = []
        self.notes: list[Any] = []
        self.logprobs: list[Any] = []
        self.start: ToolStart | None = None
        self.origin: ToolOrigin | None = None


class TellResponses(Tell):
    """Tells one answer to a Responses client."""

    __slots__ = ("_body", "_delta", "_is_cut", "_item", "_items", "_length", "_number", "_part")

    prefix = "resp_"

    def __init__(
        self, context: Context, created_s: int, new_id: Callable[[], str], budget: Budget
    ) -> None:
        super().__init__(context, created_s, new_id, budget)
        self._number = 0
        self._body: ResponseBody | None = None
        self._item: _Item | None = None
        self._items: list[Any] = []
        self._part = ""
        self._delta = b""
        self._length = 0
        self._is_cut = False

    def start(self, id_: str, model: str, usage: Usage) -> bytes:
        body = self._begin(id_, model).begun()
        created = self._event("response.created", {"response": body})
        return created + self._event("response.in_progress", {"response": body})

    def _begin(self, id_: str, model: str) -> ResponseBody:
        self._body = ResponseBody(
            self._id(id_), self._model(model), self._created, self._context.echo
        )
        return self._body

    def _event(self, type_: str, fields: dict[str, Any]) -> bytes:
        number = self._number
        self._number += 1
        body = dump({"type": type_, "sequence_number": number, **fields})
        return b"event: %b\ndata: %b\n\n" % (type_.encode(), body)

    def _item_event(self, type_: str, **fields: Any) -> bytes:
        assert self._item is not None
        placed = {"item_id": self._item.id, "output_index": len(self._items), **fields}
        return self._event(f"response.{type_}", placed)

    def piece(self, piece: Piece) -> bytes:
        if isinstance(piece, Text):
            return self._tell_text(piece)
        if isinstance(piece, ToolArguments):
            return self._argue(piece.text)
        if isinstance(piece, Reasoning):
            return self._think(piece.text)
        if isinstance(piece, Refusal):
            return self._open_message("refusal") + self._say(piece.text)
        if isinstance(piece, TextEnd):
            return self._end_message()
        if isinstance(piece, ToolStart):
            return self._start_call(piece)
        if isinstance(piece, ToolEnd):
            return self._end_call()
        if isinstance(piece, Citation):
            return self._cite(piece)
        return self._end_thoughts(piece)

    def _open(self, prefix: str, item: dict[str, Any]) -> bytes:
        self._item = _Item(prefix + self._new_id())
        added = {"id": self._item.id, **item}
        place = {"output_index": len(self._items), "item": added}
        return self._event("response.output_item.added", place)

    def _prepare(self, type_: str, **fields: Any) -> None:
        """Form what all deltas of the open item have in common."""
        assert self._item is not None
        placed = dump({"item_id": self._item.id, "output_index": len(self._items), **fields})
        self._delta = b'event: response.%b\ndata: {"type":"response.%b",%b,"delta":' % (
            type_.encode(),
            type_.encode(),
            placed[1:-1],
        )

    def _say(self, text: str, rest: bytes = b"") -> bytes:
        assert self._item is not None
        self._budget.take(text)
        self._item.texts.append(text)
        number = self._number
        self._number += 1
        return b'%b%b%b,"sequence_number":%d}\n\n' % (self._delta, dump(text), rest, number)

    def _done(self, item: dict[str, Any]) -> bytes:
        assert self._item is not None
        item = {"id": self._item.id, **item}
        told = self._event(
            "response.output_item.done", {"output_index": len(self._items), "item": item}
        )
        self._items.append(Raw(dump(item)))
        self._item = None
        return told

    def _open_message(self, part: str) -> bytes:
        if self._item is not None:
            return b""
        item = {"type": "message", "status": "in_progress", "role": "assistant", "content": []}
        told = self._open("msg_", item)
        self._part = part
        self._prepare(f"{part}.delta", content_index=0)
        shown = self._shown("", [], [])
        return told + self._item_event("content_part.added", content_index=0, part=shown)

    def _shown(self, text: str, notes: list[Any], logprobs: list[Any]) -> dict[str, Any]:
        if self._part == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": notes, "logprobs": logprobs}

    def _tell_text(self, piece: Text) -> bytes:
        told = b"" if self._item is not None else self._open_message("output_text")
        assert self._item is not None
        self._length += len(piece.text)
        if piece.logprobs is None:
            said = self._say(piece.text, b',"logprobs":[]')
        else:
            self._item.logprobs += piece.logprobs
            said = self._say(piece.text, b',"logprobs":%b' % dump(piece.logprobs))
        return told + said

    def _end_message(self) -> bytes:
        if self._item is None:
            return b""
        item, text = self._item, "".join(self._item.texts)
        part = self._shown(text, item.notes, item.logprobs)
        if self._part == "refusal":
            told = self._item_event("refusal.done", content_index=0, refusal=text)
        else:
            told = self._item_event(
                "output_text.done", content_index=0, text=text, logprobs=item.logprobs
            )
        told += self._item_event("content_part.done", content_index=0, part=part)
        status = self._status()
        message = {"type": "message", "status": status, "role": "assistant", "content": [part]}
        return told + self._done(message)

    def _status(self) -> str:
        return "incomplete" if self._is_cut else "completed"

    def _cite(self, piece: Citation) -> bytes:
        item = self._item
        if item is None or self._part != "output_text" or item.start is not None:
            self._context.note("dropped", "annotations")
            return b""
        base = self._length - sum(map(len, item.texts))
        note = {
            "type": "url_citation",
            "url": piece.url,
            "title": piece.title,
            "start_index": max(0, piece.start - base),
            "end_index": max(0, piece.end - base),
        }
        item.notes.append(note)
        return self._item_event(
            "output_text.annotation.added",
            content_index=0,
            annotation_index=len(item.notes) - 1,
            annotation=note,
        )

    def _think(self, text: str) -> bytes:
        told = b""
        if self._item is None:
            told = self._open("rs_", {"type": "reasoning", "status": "in_progress", "summary": []})
            self._prepare("reasoning_summary_text.delta", summary_index=0)
            if self._context.shows_reasoning:
                told += self._item_event(
                    "reasoning_summary_part.added",
                    summary_index=0,
                    part={"type": "summary_text", "text": ""},
                )
        if self._context.shows_reasoning:
            return told + self._say(text)
        assert self._item is not None
        self._budget.take(text)
        self._item.texts.append(text)
        return told

    def _end_thoughts(self, piece: ReasoningEnd | HiddenReasoning) -> bytes:
        told = b""
        if self._item is None:
            told = self._open("rs_", {"type": "reasoning", "status": "in_progress", "summary": []})
        assert self._item is not None
        text = "".join(self._item.texts)
        summary = []
        if text and self._context.shows_reasoning:
            part = {"type": "summary_text", "text": text}
            summary.append(part)
            told += self._item_event("reasoning_summary_text.done", summary_index=0, text=text)
            told += self._item_event("reasoning_summary_part.done", summary_index=0, part=part)
        sealed = make_encrypted(piece.kind, carried(piece, text))
        item = {"type": "reasoning", "status": self._status(), "summary": summary}
        return told + self._done(item | {"encrypted_content": sealed})

    def _call(self, status: str, arguments: str) -> dict[str, Any]:
        assert self._item is not None
        start, origin = self._item.start, self._item.origin
        assert start is not None
        assert origin is not None
        item = {
            "type": "custom_tool_call" if origin.is_custom else "function_call",
            "status": status,
            "call_id": start.id,
            "name": origin.name,
            "input" if origin.is_custom else "arguments": arguments,
        }
        return item if origin.namespace is None else item | {"namespace": origin.namespace}

    def _start_call(self, piece: ToolStart) -> bytes:
        self.calls += 1
        origin = self._origin(piece.name)
        self._item = _Item(("ctc_" if origin.is_custom else "fc_") + self._new_id())
        self._item.start, self._item.origin = piece, origin
        self._part = "custom_tool_call_input" if origin.is_custom else "function_call_arguments"
        self._prepare(f"{self._part}.delta")
        item = {"id": self._item.id, **self._call("in_progress", "")}
        place = {"output_index": len(self._items), "item": item}
        return self._event("response.output_item.added", place)

    def _argue(self, text: str) -> bytes:
        if self._part != "custom_tool_call_input":
            return self._say(text)
        assert self._item is not None
        self._budget.take(text)
        self._item.texts.append(text)
        return b""

    def _end_call(self) -> bytes:
        assert self._item is not None
        arguments, told = "".join(self._item.texts), b""
        if self._part == "custom_tool_call_input":
            arguments = custom_input(arguments)
            told = self._say(arguments) if arguments else b""
            told += self._item_event(f"{self._part}.done", input=arguments)
        else:
            if not arguments:
                arguments = "{}"
                told = self._say(arguments)
            told += self._item_event(f"{self._part}.done", arguments=arguments)
        return told + self._done(self._call(self._status(), arguments))

    def cut_short(self) -> None:
        self._is_cut = True

    def finish(self, finish: Finish, usage: Usage) -> bytes:
        assert self._body is not None
        response = self._body.ended(finish, self._items, usage)
        return self._event(f"response.{response['status']}", {"response": response})

    def failure(self, status: int, code: str | None, message: str) -> bytes:
        if code not in CODES:
            code = "rate_limit_exceeded" if status == 429 else "server_error"
        body = self._body or self._begin("", "")
        failed = body.failed(code, message, self._items)
        return self._event("response.failed", {"response": failed})

    def whole(
        self, id_: str, model: str, pieces: Iterable[Piece], finish: Finish, usage: Usage
    ) -> bytes:
        body = self._begin(id_, model)
        for piece in pieces:
            self.piece(piece)
        return dump(body.ended(finish, self._items, usage))
