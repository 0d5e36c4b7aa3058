"""How a text that broke off behind its first words goes on elsewhere, in one format or another.

    Transcript    what a client has got of a stream so far; passes every event on as it is
    Continuation  another upstream's stream, made into the rest of the first one
    Continuer     one format's rules: who may be continued, and how that is asked for

Only text can go on: of half a tool call, of thinking, of a refusal or of a JSON document nobody
but its author knows the rest. The client must not be able to tell: one opening, one end, the first
stream's names and numbers, and no character twice.

Nothing here is on the path of a stream unless STREAM_RESCUE is on; then an event costs 6 us.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import msgspec
from msgspec import Raw

from llm_proxy.domain.faults import TEXT_DIFFERS
from llm_proxy.wire.body import read_json, span_of
from llm_proxy.wire.sse import fields

from .format import ERROR, Kind, RewriteError, Watch
from .seam import Seam

_LIST = ord("[")
MAX_TEXT = 1024 * 1024
"""Characters of text kept; a longer answer is not continued."""

Event = Mapping[str, Any]
Top = Mapping[str, Raw]


class Transcript(ABC):
    """Notes the text of a stream while it passes. A `Rewriter` that changes nothing.

    The upstream's own error event is held back while the text can go on elsewhere; `failure`
    gives it out.

    Attributes:
        is_text: All content so far is text of one open place.
    """

    __slots__ = ("_parts", "_size", "_watch", "_withheld", "is_text")

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._parts: list[str] = []
        self._size = 0
        self._withheld = b""
        self.is_text = True

    @property
    def transcript(self) -> "Transcript":
        """What the client has."""
        return self

    @property
    def text(self) -> str:
        """The text so far; empty where there is none that can go on."""
        text = "".join(self._parts) if self.is_text else ""
        if text.isascii():
            return text
        # Characters that came in two halves are put together; half a one at the end is none.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return text if text.encode("utf-8", "ignore").decode() == text else ""

    def feed(self, event: bytes, kind: Kind) -> bytes:
        if kind is ERROR and self.is_text and self._parts:
            self._withheld = event
            return b""
        self.take(event)
        return event

    def end(self) -> bytes:
        return b""

    def failure(self, status: int, code: str | None, message: str) -> bytes:
        return self._withheld or self._watch.failure(status, code, message)

    def take(self, event: bytes) -> None:
        """Note an event that the client gets."""
        self._watch.read(event)
        if not self.is_text:
            return
        name, data = fields(event)
        if data is None:
            if event[:1] != b":" and event.strip()[:1] in (b"{", b"["):
                self._close()
            return
        if data.strip() == b"[DONE]":
            return
        value = read_json(data)
        if isinstance(value, dict):
            self._read(type_of(name, value), value)

    @abstractmethod
    def _read(self, type_: str, value: Event) -> None:
        """Note what an event says."""

    def _say(self, text: Any) -> None:
        if not isinstance(text, str):
            self._close()
            return
        self._size += len(text)
        if self._size > MAX_TEXT:
            self._close()
        else:
            self._parts.append(text)

    def _close(self) -> None:
        """Nobody else can go on from here."""
        self.is_text = False
        self._parts.clear()


class Continuation(ABC):
    """Makes another upstream's stream into the rest of the one that broke. A `Rewriter`.

    An error event of this upstream is never passed on: the client is told why the first broke.

    Attributes:
        transcript: What the client has, with what this stream has added.
    """

    __slots__ = ("_name", "_seam", "transcript")

    def __init__(self, before: Transcript, *, prefilled: str | None) -> None:
        """Start with the first event.

        Args:
            before: What the client has; stays as it is.
            prefilled: See `Seam`.
        """
        self.transcript = deepcopy(before)
        self._seam = Seam(before.text, prefilled=prefilled)

    def feed(self, event: bytes, kind: Kind) -> bytes:
        if kind is ERROR:
            return b""
        name, data = fields(event)
        if data is None:
            if event[:1] == b":":
                return event
            if event.strip()[:1] in (b"{", b"["):
                raise unfit("the answer is no stream")
            return b""
        if data.strip() == b"[DONE]":
            return self._send([*self._rest(), *self._done(event)])
        value = read_json(data)
        if not isinstance(value, dict):
            return b""
        return self._send(self._rewrite(type_of(name, value), value))

    def end(self) -> bytes:
        return self._send(self._rest())

    def failure(self, status: int, code: str | None, message: str) -> bytes:
        return self.transcript.failure(status, code, message)

    def _send(self, events: list[bytes]) -> bytes:
        for event in events:
            self.transcript.take(event)
        return b"".join(events)

    def _rest(self) -> list[bytes]:
        """Return the event with the text that was held back, at the latest moment for it."""
        held = self._seam.end()
        return [self._delta(held)] if held else []

    def _text(self, text: Any) -> list[bytes]:
        """Return the event with what of new text may pass."""
        passing = self._seam.feed(text) if isinstance(text, str) else ""
        return [self._delta(passing)] if passing else []

    def _done(self, event: bytes) -> list[bytes]:
        """Return what becomes of `[DONE]`, which is the end in one format and noise in others."""
        return []

    @abstractmethod
    def _delta(self, text: str) -> bytes:
        """Return an event with `text`."""

    @abstractmethod
    def _rewrite(self, type_: str, value: dict[str, Any]) -> list[bytes]:
        """Return the client's events for an upstream's."""


class Continuer(ABC):
    """One format's rules."""

    __slots__ = ()

    @abstractmethod
    def takes(self, top: Top) -> bool:
        """Whether a request's fields ask for nothing but text of one choice."""

    @abstractmethod
    def transcript(self) -> Transcript:
        """Return the note-taker for a new stream."""

    @abstractmethod
    def prefilled(self, body: bytes, top: Top, text: str) -> tuple[bytes, str] | None:
        """Return a request's body with `text` as the beginning of the answer.

        Returns:
            The body and what of the text stands in it; None where there is no place for it.
        """

    @abstractmethod
    def continuation(self, before: Transcript, prefilled: str | None) -> Continuation:
        """Return what makes another stream into the rest of `before`; see `Seam`."""


def unfit(reason: str) -> RewriteError:
    """Return the error of a stream that holds what cannot follow the text so far."""
    return RewriteError(TEXT_DIFFERS, reason)


def type_of(name: bytes, value: Event) -> str:
    """Return an event's type: what its data says, else its name."""
    type_ = value.get("type")
    return type_ if isinstance(type_, str) else name.decode("latin-1")


def read_field(top: Top, name: str) -> Any:
    """Return the value of a request's field; None where it is absent."""
    raw = top.get(name)
    return read_json(bytes(raw)) if raw is not None else None


def appended(body: bytes, top: Top, name: str, item: Event) -> bytes | None:
    """Return `body` with `item` behind the last one of the list `name`; no other byte changes."""
    span = span_of(body, top, name)
    if span is None or body[span[0]] != _LIST:
        return None
    head = body[: span[1] - 1].rstrip()
    comma = b"" if len(head) == span[0] + 1 else b","
    return b"%b%b%b%b" % (head, comma, msgspec.json.encode(item), body[span[1] - 1 :])


def replaced(body: bytes, top: Top, name: str, value: Any) -> bytes | None:
    """Return `body` with `value` for the value of `name`; no other byte changes."""
    span = span_of(body, top, name)
    if span is None:
        return None
    return b"%b%b%b" % (body[: span[0]], msgspec.json.encode(value), body[span[1] :])
