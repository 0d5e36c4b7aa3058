"""An answer in another format, told to the client in its own: event by event, or whole."""

from typing import Final

import msgspec

from llm_proxy.domain.faults import BODY_CUT, EMPTY_ANSWER, GARBAGE, NOT_JSON, Fault
from llm_proxy.domain.signal import Signal
from llm_proxy.domain.usage import UNKNOWN, Usage
from llm_proxy.formats.chained import Chained
from llm_proxy.formats.format import Kind, RewriteError, Rewriter
from llm_proxy.formats.translate.errors import (
    AnswerError,
    AnswerTooLargeError,
    UpstreamFailedError,
)
from llm_proxy.formats.translate.interpreter import Interpreter
from llm_proxy.policy.classify import classify
from llm_proxy.wire.sse import EventSplitter, OversizeEventError

from .relay import MAX_EVENT_BYTES
from .translation import TranslatedCall

EVENT_STREAM: Final = b"text/event-stream"
_BEGINNINGS: Final = (b"data:", b"event:")
"""No JSON begins so: it is a stream, whatever its type says."""


class Retelling:
    """Makes the client's events of an upstream's. A `Rewriter`."""

    __slots__ = ("_interpreter",)

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter

    def feed(self, event: bytes, kind: Kind) -> bytes:
        if kind is Kind.ERROR:
            return b""  # `failure` says it in the client's words
        try:
            return self._interpreter.feed(event)
        except AnswerError as error:
            raise _failed(error) from error

    def end(self) -> bytes:
        try:
            return self._interpreter.end()
        except AnswerError as error:
            raise _failed(error) from error

    def failure(self, status: int, code: str | None, message: str) -> bytes:
        return self._interpreter.failure(status, code, message)


def rewriter_of(call: TranslatedCall, then: Rewriter | None) -> Rewriter:
    """Return what the events of `call`'s answer go through, and `then` through."""
    own = Retelling(call.interpreter)
    return own if then is None else Chained(own, then, call.admission.format.watch())


class Told(msgspec.Struct, frozen=True):
    """A whole answer in the client's format, or why there is none.

    Attributes:
        body: JSON, or the events of a stream where the client asked for one.
        usage: Tokens.
        fault: None = there is an answer.
        signal: The upstream's error, where it said one.
    """

    body: bytes = b""
    usage: Usage = UNKNOWN
    fault: Fault | None = None
    signal: Signal | None = None


def retell(call: TranslatedCall, body: bytes, content_type: bytes) -> Told:
    """Tell a whole answer in the client's format.

    Args:
        call: What was asked.
        body: Of a 200, decoded.
        content_type: Its type: some upstreams send a stream whatever was asked.
    """
    try:
        if content_type.startswith(EVENT_STREAM) or body.startswith(_BEGINNINGS):
            return _gather(call, body)
        answer = call.format.read_answer(body)
        if answer.signal is not None:
            return Told(fault=classify(answer.signal), signal=answer.signal)
        if answer.is_empty or not answer.is_json:
            return Told(fault=EMPTY_ANSWER if answer.is_empty else NOT_JSON)
        interpreter = call.interpreter
        made = interpreter.stream_of(body) if call.is_stream else interpreter.whole(body)
        return Told(made, answer.usage)
    except UpstreamFailedError as error:
        return Told(fault=classify(error.signal), signal=error.signal)
    except AnswerError as error:
        return Told(fault=_fault_of(error))


def _gather(call: TranslatedCall, body: bytes) -> Told:
    """Return what a stream adds up to that nobody asked for, or that came as something else."""
    watch, interpreter = call.format.watch(), call.interpreter
    splitter = EventSplitter(MAX_EVENT_BYTES)
    try:
        events = splitter.feed(body)
    except OversizeEventError:
        return Told(fault=GARBAGE)
    if splitter.rest:
        events.append(bytes(splitter.rest) + b"\n\n")
    told: list[bytes] = []
    for event in events:
        kind = watch.read(event)
        if kind is Kind.ERROR and watch.signal is not None:
            return Told(fault=classify(watch.signal), signal=watch.signal)
        if kind is not Kind.BROKEN:
            told.append(interpreter.feed(event))
    if not (watch.is_ended or watch.is_finished):
        return Told(fault=BODY_CUT if watch.has_content else EMPTY_ANSWER)
    told.append(interpreter.end())
    made = b"".join(told) if call.is_stream else interpreter.gathered()
    return Told(made, watch.usage)


def _failed(error: AnswerError) -> RewriteError:
    signal = error.signal if isinstance(error, UpstreamFailedError) else None
    return RewriteError(_fault_of(error), str(error), signal)


def _fault_of(error: AnswerError) -> Fault:
    if isinstance(error, UpstreamFailedError):
        return classify(error.signal)
    return GARBAGE if isinstance(error, AnswerTooLargeError) else EMPTY_ANSWER
