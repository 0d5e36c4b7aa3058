"""What an attempt came to: an answer, or which fault, in whose words."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, TypeVarTuple

import msgspec

from llm_proxy.domain.faults import (
    EMPTY_ANSWER,
    FIRST_TOKEN_LATE,
    NOT_JSON,
    SHUT_DOWN,
    SILENT,
    STREAM_CUT,
    STREAM_ERROR,
    STREAM_STALLED,
    Fault,
)
from llm_proxy.domain.signal import Signal
from llm_proxy.domain.usage import UNKNOWN, Usage
from llm_proxy.formats.signal import read_signal
from llm_proxy.policy.classify import classify
from llm_proxy.wire.encoding import decode_all

from .attempt import MAX_ANSWER_BYTES, Attempt
from .call import Call
from .mode import WHOLE

LARGE_ANSWER_BYTES = 256 * 1024
"""An answer from this size on is read off the loop: 1 MB takes a millisecond."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Verdict(msgspec.Struct, frozen=True):
    """How a settled attempt is seen.

    Attributes:
        fault: None = it answered.
        signal: The upstream's error, where it said one.
        body: The body it came with, as received.
        usage: Tokens of a whole answer.
    """

    fault: Fault | None = None
    signal: Signal | None = None
    body: bytes = b""
    usage: Usage = UNKNOWN


class Aside(Protocol):
    """Runs what would hold the loop up."""

    def aside(self, function: Callable[[*Ts], T], *args: *Ts) -> Awaitable[T]:
        """Run `function` in a thread."""


async def judge(core: Aside, call: Call, attempt: Attempt) -> Verdict:
    """Judge a settled attempt; a whole body is joined in `attempt.parts[0]`."""
    fault = attempt.fault
    if fault is not None:
        signal = attempt.signal
        if fault is STREAM_ERROR and signal is not None:
            fault = classify(signal)
        return Verdict(fault, signal)
    if attempt.mode is not WHOLE:
        return Verdict()
    body = b"".join(attempt.parts)
    attempt.parts = [body]
    encoding = attempt.fields.get(b"content-encoding", b"")
    readable: bytes | None = body
    if encoding:
        readable = await core.aside(decode_all, body, encoding, MAX_ANSWER_BYTES)
    if attempt.status >= 400:
        kind = attempt.fields.get(b"content-type", b"")
        signal = read_signal(attempt.status, kind, readable or b"")
        return Verdict(classify(signal), signal, body)
    if not call.is_answer_read or readable is None:
        return Verdict(body=body)
    if len(readable) > LARGE_ANSWER_BYTES:
        answer = await core.aside(call.format.read_answer, readable)
    else:
        answer = call.format.read_answer(readable)
    if answer.signal is not None:
        return Verdict(classify(answer.signal), answer.signal, body)
    if answer.is_empty or not answer.is_json:
        return Verdict(EMPTY_ANSWER if answer.is_empty else NOT_JSON, None, body)
    return Verdict(body=body, usage=answer.usage)


def after_commit(fault: Fault) -> Fault:
    """Return how a fault is called once content has been sent."""
    if fault in (SILENT, FIRST_TOKEN_LATE):
        return STREAM_STALLED
    keeps_name = fault in (STREAM_ERROR, STREAM_CUT, SHUT_DOWN) or fault.status == 504
    return fault if keeps_name else STREAM_CUT
