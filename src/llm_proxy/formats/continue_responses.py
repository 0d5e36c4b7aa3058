"""Responses: how a broken text goes on.

A response ends with its whole text several times over (part, item, response), so these events are
written anew: with the first stream's ids, and with everything the client has got.
"""

from typing import Any

from llm_proxy.wire.body import read_json, write_json
from llm_proxy.wire.sse import fields

from .continuation import (
    Continuation,
    Continuer,
    Event,
    Top,
    Transcript,
    appended,
    read_field,
    replaced,
    type_of,
    unfit,
)
from .format import Kind
from .responses import RESPONSES

_STARTS = ("response.created", "response.queued", "response.in_progress")
_ENDS = ("response.completed", "response.incomplete")
_IDLE = ("keepalive", "ping")
_KEPT = ("id", "created_at", "model")
"""What a response is called from its beginning to its end."""
_TEXT, _PART, _ITEM = 1, 2, 3
"""What has ended of the message that holds the text, in this order."""


class ResponsesTranscript(Transcript):
    """Notes the text of a Responses stream.

    Attributes:
        response: What the response is called.
        item: The message that holds the text, as it began.
        part: The part of it that does.
        output_index: Where the message stands.
        number: Of the last event.
    """

    __slots__ = ("_withheld_at", "item", "number", "output_index", "part", "response")

    def __init__(self) -> None:
        super().__init__(RESPONSES.watch())
        self.response: dict[str, Any] = {}
        self.item: dict[str, Any] = {}
        self.part: dict[str, Any] = {}
        self.output_index = 0
        self.number = -1
        self._withheld_at: int | None = None

    def feed(self, event: bytes, kind: Kind) -> bytes:
        passing = super().feed(event, kind)
        if self._withheld and self._withheld_at is None:
            self._withheld_at = self.number
        return passing

    def take(self, event: bytes) -> None:
        super().take(event)
        number = _read_data(event).get("sequence_number")
        if isinstance(number, int):
            self.number = number

    def failure(self, status: int, code: str | None, message: str) -> bytes:
        event = super().failure(status, code, message)
        if event is not self._withheld or self._withheld_at == self.number:
            return event
        value = _read_data(event)
        return _event(type_of(fields(event)[0], value), value, self.number + 1)

    def _read(self, type_: str, value: Event) -> None:
        if type_ in _STARTS:
            response = value.get("response") or {}
            self.response |= {name: response[name] for name in _KEPT if name in response}
        elif type_ == "response.output_item.added" and not self.item:
            self._open_item(value)
        elif type_ == "response.content_part.added" and self.item and not self.part:
            self._open_part(value)
        elif type_ == "response.output_text.delta" and self.part and not value.get("logprobs"):
            self._say(value.get("delta"))
        elif type_ not in _IDLE:
            self._close()

    def _open_item(self, value: Event) -> None:
        item, index = value.get("item"), value.get("output_index")
        if isinstance(item, dict) and item.get("type") == "message" and isinstance(index, int):
            self.item, self.output_index = item, index
        else:
            self._close()

    def _open_part(self, value: Event) -> None:
        part = value.get("part")
        if isinstance(part, dict) and part.get("type") == "output_text":
            self.part = part
            self._say(part.get("text") or "")
        else:
            self._close()


class ResponsesContinuation(Continuation):
    """Makes another response's events into the first one's.

    The text's ends (of text, part and item) are written once each, in order; what this upstream
    leaves out of them is made up for.
    """

    __slots__ = (
        "_final",
        "_has_delta",
        "_is_message_seen",
        "_next",
        "_number",
        "_places",
        "_said",
        "_stage",
    )

    transcript: ResponsesTranscript

    def __init__(self, before: ResponsesTranscript, *, prefilled: str | None) -> None:
        super().__init__(before, prefilled=prefilled)
        self._number = before.number
        self._said = [before.text]
        self._places: dict[Any, int | None] = {}
        self._next = before.output_index + 1
        self._is_message_seen = False
        self._has_delta = False
        self._stage = 0
        self._final: dict[str, Any] = {}

    def _rewrite(self, type_: str, value: dict[str, Any]) -> list[bytes]:
        if type_ in _ENDS:
            return self._end(type_, value)
        if type_ == "response.output_item.added":
            return self._start_item(value)
        index = value.get("output_index")
        if index not in self._places and type_.startswith("response.output_text."):
            self._start_item(value)  # nobody said that it begins
        place = self._places.get(index)
        if place is None:
            return []
        if place == self.transcript.output_index:
            return self._inside(type_, value)
        return [self._event(type_, value | {"output_index": place})]

    def _start_item(self, value: dict[str, Any]) -> list[bytes]:
        index, item = value.get("output_index"), value.get("item") or {}
        kind = item.get("type", "message")
        if kind == "reasoning":  # on how to go on; the client has the text in front of it already
            self._places[index] = None
            return []
        if kind == "message" and not self._is_message_seen and self._stage == 0:
            self._is_message_seen = True
            self._places[index] = self.transcript.output_index
            return []
        place = self._places[index] = self._next
        self._next += 1
        events = self._close(_ITEM)
        return [*events, self._event("response.output_item.added", value | {"output_index": place})]

    def _inside(self, type_: str, value: dict[str, Any]) -> list[bytes]:
        """Rewrite what happens within the message that holds the text."""
        if value.get("content_index"):
            raise unfit("the answer has a second part")
        part = value.get("part") or {}
        if type_.startswith("response.refusal") or part.get("type") == "refusal":
            raise unfit("the answer is a refusal")
        if type_ == "response.content_part.added":
            return self._text(part.get("text"))
        if type_ == "response.output_text.delta":
            self._has_delta = True
            return self._text(value.get("delta"))
        if type_ == "response.output_text.done":
            late = [] if self._has_delta else self._text(value.get("text"))
            return [*late, *self._close(_TEXT)]
        if type_ == "response.content_part.done":
            return self._close(_PART, part=part)
        if type_ == "response.output_item.done":
            return self._close(_ITEM, item=value.get("item") or {})
        here = self._place() if "content_index" in value else {}
        return [*self._rest(), self._event(type_, value | here)]

    def _close(
        self, upto: int, *, part: dict[str, Any] | None = None, item: dict[str, Any] | None = None
    ) -> list[bytes]:
        """Write the ends of text, part and message that have not been written yet."""
        if self._stage >= upto:
            return []
        events = self._rest()
        text = "".join(self._said)
        whole = self.transcript.part | (part or _first_part(item) or {}) | {"text": text}
        if self._stage < _TEXT:
            done = {**self._place(), "text": text, "logprobs": []}
            events.append(self._event("response.output_text.done", done))
        if self._stage < _PART <= upto:
            done = {**self._place(), "part": whole}
            events.append(self._event("response.content_part.done", done))
        if upto == _ITEM:
            begun = self.transcript.item
            self._final = {**begun, "status": "completed", **(item or {}), "content": [whole]}
            self._final["id"] = begun.get("id")
            done = {"output_index": self.transcript.output_index, "item": self._final}
            events.append(self._event("response.output_item.done", done))
        self._stage = upto
        return events

    def _end(self, type_: str, value: dict[str, Any]) -> list[bytes]:
        """Write the response's end: all of the text, under its first names."""
        events = self._close(_ITEM)
        response = value.get("response") or {}
        output = response.get("output") or []
        others = [
            item
            for at, item in enumerate(output)
            if self._places.get(at) not in (None, self.transcript.output_index)
        ]
        whole = response | self.transcript.response | {"output": [self._final, *others]}
        return [*events, self._event(type_, value | {"response": whole})]

    def _place(self) -> dict[str, Any]:
        here = self.transcript
        index = here.output_index
        return {"item_id": here.item.get("id"), "output_index": index, "content_index": 0}

    def _delta(self, text: str) -> bytes:
        self._said.append(text)
        delta = {**self._place(), "delta": text, "logprobs": []}
        return self._event("response.output_text.delta", delta)

    def _event(self, type_: str, value: Event) -> bytes:
        self._number += 1
        return _event(type_, value, self._number)


class ResponsesContinuer(Continuer):
    """The rules of Responses."""

    __slots__ = ()

    def takes(self, top: Top) -> bool:
        text = read_field(top, "text")
        format_ = text.get("format") if isinstance(text, dict) else None
        is_text = not format_ or (isinstance(format_, dict) and format_.get("type") == "text")
        return (
            is_text
            and "input" in top
            and not read_field(top, "background")
            and not read_field(top, "conversation")  # it would hold what was asked twice
            and not read_field(top, "top_logprobs")
            and "message.output_text.logprobs" not in (read_field(top, "include") or ())
        )

    def transcript(self) -> Transcript:
        return ResponsesTranscript()

    def prefilled(self, body: bytes, top: Top, text: str) -> tuple[bytes, str] | None:
        said = {"type": "message", "role": "assistant", "content": text}
        asked = read_field(top, "input")
        if isinstance(asked, str):
            asked = [{"type": "message", "role": "user", "content": asked}, said]
            longer = replaced(body, top, "input", asked)
        else:
            longer = appended(body, top, "input", said)
        return (longer, text) if longer is not None else None

    def continuation(self, before: Transcript, prefilled: str | None) -> Continuation:
        assert isinstance(before, ResponsesTranscript)
        return ResponsesContinuation(before, prefilled=prefilled)


def _event(type_: str, value: Event, number: int) -> bytes:
    data = write_json({**value, "type": type_, "sequence_number": number})
    return b"event: %b\ndata: %b\n\n" % (type_.encode(), data)


def _read_data(event: bytes) -> dict[str, Any]:
    data = fields(event)[1]
    try:
        value = read_json(data) if data is not None else None
    except ValueError:  # such as `[DONE]`, which some servers add
        return {}
    return value if isinstance(value, dict) else {}


def _first_part(item: dict[str, Any] | None) -> dict[str, Any] | None:
    parts = (item or {}).get("content")
    return parts[0] if isinstance(parts, list) and parts and isinstance(parts[0], dict) else None
