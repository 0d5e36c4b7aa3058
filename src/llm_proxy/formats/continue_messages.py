"""Messages: how a broken text goes on."""

from typing import Any

from llm_proxy.wire.body import write_json

from .continuation import Continuation, Continuer, Event, Top, Transcript, appended, read_field
from .messages import MESSAGES

_THINKING = ("thinking", "redacted_thinking")
"""Thoughts on how to go on; the client has the text in front of them already."""


class MessagesTranscript(Transcript):
    """Notes the text of a Messages stream.

    Attributes:
        index: Of the text's content block; -1 = none has begun.
    """

    __slots__ = ("index",)

    def __init__(self) -> None:
        super().__init__(MESSAGES.watch())
        self.index = -1

    def _read(self, type_: str, value: Event) -> None:
        if type_ in ("message_start", "ping"):
            return
        index = value.get("index")
        if type_ == "content_block_start" and self.index < 0 and isinstance(index, int):
            block = value.get("content_block")
            if isinstance(block, dict) and block.get("type") == "text":
                self.index = index
                self._say(block.get("text") or "")
                return
        elif type_ == "content_block_delta" and index == self.index:
            delta = value.get("delta")
            if isinstance(delta, dict) and delta.get("type") == "text_delta":
                self._say(delta.get("text"))
                return
        self._close()


class MessagesContinuation(Continuation):
    """Makes another message's events into the first one's."""

    __slots__ = ("_is_closed", "_is_text_seen", "_next", "_places")

    transcript: MessagesTranscript

    def __init__(self, before: MessagesTranscript, *, prefilled: str | None) -> None:
        super().__init__(before, prefilled=prefilled)
        self._places: dict[Any, int | None] = {}
        self._next = before.index + 1
        self._is_text_seen = False
        self._is_closed = False

    def _rewrite(self, type_: str, value: dict[str, Any]) -> list[bytes]:
        if type_ == "content_block_start":
            return self._start(value)
        if type_ in ("content_block_delta", "content_block_stop"):
            return self._inside(type_, value)
        if type_ in ("message_delta", "message_stop"):
            return [*self._close(), _event(type_, value)]
        return [_event(type_, value)] if type_ == "ping" else []

    def _start(self, value: dict[str, Any]) -> list[bytes]:
        index, block = value.get("index"), value.get("content_block") or {}
        if block.get("type") in _THINKING:
            self._places[index] = None
            return []
        if block.get("type") == "text" and not self._is_text_seen and not self._is_closed:
            self._is_text_seen = True
            self._places[index] = self.transcript.index
            return self._text(block.get("text"))
        place = self._places[index] = self._next
        self._next += 1
        return [*self._close(), _event("content_block_start", value | {"index": place})]

    def _inside(self, type_: str, value: dict[str, Any]) -> list[bytes]:
        index = value.get("index")
        if index not in self._places and not self._is_text_seen:
            self._is_text_seen = True  # nobody said that it begins
            self._places[index] = self.transcript.index
        place = self._places.get(index)
        if place is None:
            return []
        own = _event(type_, value | {"index": place})
        if place != self.transcript.index:
            return [own]
        if type_ == "content_block_stop":
            return self._close()
        delta = value.get("delta") or {}
        if delta.get("type") == "text_delta":
            return self._text(delta.get("text"))
        return [*self._rest(), own]

    def _close(self) -> list[bytes]:
        """End the text's block, unless that has been done."""
        if self._is_closed:
            return []
        self._is_closed = True
        stop = {"type": "content_block_stop", "index": self.transcript.index}
        return [*self._rest(), _event("content_block_stop", stop)]

    def _delta(self, text: str) -> bytes:
        delta = {"type": "text_delta", "text": text}
        value = {"type": "content_block_delta", "index": self.transcript.index, "delta": delta}
        return _event("content_block_delta", value)


class MessagesContinuer(Continuer):
    """The rules of Messages."""

    __slots__ = ()

    def takes(self, top: Top) -> bool:
        config = read_field(top, "output_config")
        has_format = isinstance(config, dict) and config.get("format")
        return "messages" in top and not has_format and not read_field(top, "output_format")

    def transcript(self) -> Transcript:
        return MessagesTranscript()

    def prefilled(self, body: bytes, top: Top, text: str) -> tuple[bytes, str] | None:
        text = text.rstrip()  # a last message that ends in blanks is refused
        if not text:
            return None
        longer = appended(body, top, "messages", {"role": "assistant", "content": text})
        return (longer, text) if longer is not None else None

    def continuation(self, before: Transcript, prefilled: str | None) -> Continuation:
        assert isinstance(before, MessagesTranscript)
        return MessagesContinuation(before, prefilled=prefilled)


def _event(type_: str, value: Event) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (type_.encode(), write_json(value))
