"""What a format must say: how its streams and answers are read, and how errors are put in it.

A format reads; it never rewrites what passes. Streams are watched event by event until their first
content, so that a failed one can still be replaced, and from then on only where something stands
to be learnt: `is_plain` tells the reads that need no watching.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Protocol

import msgspec
from msgspec import Raw

from llm_proxy.domain.faults import Fault
from llm_proxy.domain.signal import Signal
from llm_proxy.domain.usage import UNKNOWN, Usage
from llm_proxy.wire.body import read_json, writable
from llm_proxy.wire.sse import fields

from .signal import error_inside, text_signal
from .state import is_id
from .status import error_words

COMMENT_FRAME = b": keepalive\n\n"
_COLON = 58


class Kind(IntEnum):
    """What one event of a stream is."""

    PREAMBLE = 0
    """Nothing of the answer itself: comments, roles, empty pieces, bare usage."""
    CONTENT = 1
    FINISH = 2
    """Evidence of a proper end: a finish reason."""
    END = 3
    """The last event: `[DONE]`, `message_stop`, `response.completed`."""
    ERROR = 4
    """The upstream reports a failure; `Watch.signal` says which."""
    BROKEN = 5
    """No client can read it; it is better dropped."""


PREAMBLE, CONTENT, FINISH, END, ERROR, BROKEN = Kind


class Answer(msgspec.Struct, frozen=True):
    """What the body of a 200 says.

    Attributes:
        is_json: Whether it is JSON at all.
        model: As the upstream reports it.
        usage: Tokens.
        signal: The error that stands there instead of an answer.
        is_empty: It is no error, but no answer either.
    """

    is_json: bool = True
    model: str | None = None
    usage: Usage = UNKNOWN
    signal: Signal | None = None
    is_empty: bool = False


class Watch(ABC):
    """Reads the events of one upstream's stream.

    Attributes:
        usage: The last word on tokens.
        model: As the upstream reports it.
        has_content: Content was seen.
        is_finished: A finish reason was seen.
        is_ended: The last event was seen.
        signal: The failure that was reported.
        answer_id: Of the answer, as the upstream names it.
    """

    __slots__ = ("answer_id", "has_content", "is_ended", "is_finished", "model", "signal", "usage")

    def __init__(self) -> None:
        self.usage: Usage = UNKNOWN
        self.model: str | None = None
        self.has_content = False
        self.is_finished = False
        self.is_ended = False
        self.signal: Signal | None = None
        self.answer_id: str | None = None

    def read(self, event: bytes) -> Kind:
        """Return what a whole event is, having learnt what it says.

        Cost: 4 us for a small event, 1 us for plain content behind content.
        """
        name, data = fields(event)
        if data is None:
            return self._read_without_data(event)
        kind = self._read_data(name, data)
        if kind is CONTENT:
            self.has_content = True
        elif kind is FINISH:
            self.is_finished = True
        elif kind is END:
            self.is_ended = True
        return kind

    @abstractmethod
    def _read_data(self, name: bytes, data: bytes) -> Kind:
        """Return what an event with data is."""

    @abstractmethod
    def failure(self, status: int, code: str | None, message: str) -> bytes:
        """Return the event that tells the client, in-band, that the stream failed.

        Args:
            status: What the client would have got as HTTP status.
            code: Machine-readable code, if the format has a place for it.
            message: What went wrong, safe to show.
        """

    def _read_without_data(self, event: bytes) -> Kind:
        """Return what a comment or an event without data is.

        Some servers answer a stream request with bare JSON under the content type of a stream.
        """
        if event[0] == _COLON:
            return PREAMBLE
        text = event.strip()
        if text[:1] not in (b"{", b"["):
            return PREAMBLE
        try:
            value = read_json(text)
        except ValueError:
            return PREAMBLE
        signal = error_inside(value)
        if signal is not None:
            return self._failed(signal)
        self.has_content = self.is_finished = True
        return CONTENT

    def _failed(self, signal: Signal) -> Kind:
        self.signal = signal
        return ERROR

    def _unreadable(self, name: bytes, data: bytes) -> Kind:
        """Judge data that is no JSON: plain words of an error, or a broken event."""
        if name == b"error" and data.strip() and data.lstrip()[:1] not in (b"{", b"["):
            return self._failed(text_signal(200, data))
        return BROKEN

    def _note_id(self, id_: Any) -> None:
        if self.answer_id is None and isinstance(id_, str) and is_id(id_):
            self.answer_id = id_

    def _note_model(self, model: Any) -> None:
        if self.model is None and isinstance(model, str) and model:
            self.model = writable(model)


class RewriteError(ValueError):
    """What comes from the upstream cannot be made into what the client is being sent.

    Attributes:
        fault: What that is called.
        signal: The upstream's error, where it reports one.
    """

    def __init__(self, fault: Fault, reason: str, signal: Signal | None = None) -> None:
        super().__init__(reason)
        self.fault = fault
        self.signal = signal


class Rewriter(Protocol):
    """Turns the events of one upstream's stream into those its client gets.

    It sees every event from the first on, in order, also those that are held and may never be
    sent. What it returns is whole events, so that an error event fits behind any of them.
    """

    def feed(self, event: bytes, kind: Kind) -> bytes:
        """Return zero or more whole events instead of `event`.

        Args:
            event: A whole event, readable (never `BROKEN`).
            kind: What the upstream's `Watch` says it is. Behind `ERROR` nothing is fed any more;
                where nothing is returned for it, `failure` is asked for the client's.

        Raises:
            RewriteError: The stream is of no use. Nothing is fed any more.
        """

    def end(self) -> bytes:
        """Return what is still to be sent; the upstream's stream ended properly.

        Raises:
            RewriteError: As `feed`.
        """

    def failure(self, status: int, code: str | None, message: str) -> bytes:
        """Return the event that tells the client, in-band, that the stream failed.

        See `Watch.failure`.
        """


class Format(ABC):
    """One dialect.

    Attributes:
        name: `chat`, `messages`, `responses` or `other`.
        is_plain: Says of a read whether it consists of whole events that a `Watch` with content
            can miss: mere content and comments, all readable. When in doubt it says no. The bytes
            must begin where an event begins. Cost: 0.8 us for one event of 270 bytes.
        keepalive: Event or comment that may stand between any two events of a living stream.
    """

    __slots__ = ("is_plain", "keepalive", "name")

    def __init__(
        self, name: str, is_plain: Callable[[bytes], bool], keepalive: bytes = COMMENT_FRAME
    ) -> None:
        self.name = name
        self.is_plain = is_plain
        self.keepalive = keepalive

    @abstractmethod
    def watch(self) -> Watch:
        """Return a reader for a new stream."""

    @abstractmethod
    def read_answer(self, body: bytes) -> Answer:
        """Read the JSON body of a 200; 2 MB take 2 ms.

        Args:
            body: Decoded.
        """

    def error_body(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        type_: str | None = None,
        request_id: str,
    ) -> bytes:
        """Return an error in the format's own shape.

        Args:
            status: HTTP status of the answer; it decides the type and, unless given, the code.
            message: What went wrong, safe to show.
            code: Machine-readable code.
            param: The request field at fault.
            type_: Instead of the type that goes with the status.
            request_id: The request's id, for the formats that carry it in the body.
        """
        return msgspec.json.encode({"error": openai_error(status, message, code, param, type_)})


def openai_error(
    status: int, message: str, code: str | None, param: str | None, type_: str | None = None
) -> dict[str, str | None]:
    """Return the error object of the OpenAI formats."""
    words = error_words(status)
    return {
        "message": writable(message),
        "type": type_ or words.openai_type,
        "param": param,
        "code": writable(code) if code else words.openai_code,
    }


_HEAVY = frozenset(("choices", "content", "output", "data"))
_FEW_BYTES = 16
_decode_raw = msgspec.json.Decoder(dict[str, Raw]).decode


def top_of(body: bytes, wanted: frozenset[str]) -> dict[str, Any] | list[Any] | None:
    """Return the `wanted` fields of a JSON object's top; a list as it is; None for anything else.

    Other fields are left out, and the payload itself is not read but stays raw: its size is the
    answer's.

    Raises:
        ValueError: The body is no JSON.
    """
    try:
        raw = _decode_raw(body)
    except (msgspec.MsgspecError, RecursionError):
        value = read_json(body)
        return value if isinstance(value, dict | list) else None
    return {
        name: value if name in _HEAVY and len(value) > _FEW_BYTES else read_json(bytes(value))
        for name, value in raw.items()
        if name in wanted
    }


def is_void(value: Any) -> bool:
    """Return whether a part is absent, null or empty, be it read or raw."""
    if isinstance(value, Raw):
        return len(value) <= 4 and bytes(value) in (b"null", b"[]", b"{}", b'""')
    return not value
