"""What an attempt came to: an answer, or which fault, in whose words."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, TypeVarTuple

import msgspec

from llm_proxy.domain.faults import (
    BODY_CUT,
    CANCELLED,
    CLIENT_FAULT,
    EMPTY_ANSWER,
    FIRST_TOKEN_LATE,
    MODEL_NOT_FOUND,
    NO_STREAM,
    NOT_JSON,
    SHUT_DOWN,
    SILENT,
    STREAM_CUT,
    STREAM_ERROR,
    STREAM_STALLED,
    TEXT_DIFFERS,
    UNKNOWN_ID,
    Fault,
)
from llm_proxy.domain.signal import Signal
from llm_proxy.domain.usage import UNKNOWN, Usage
from llm_proxy.formats.signal import read_signal
from llm_proxy.formats.state import made_in
from llm_proxy.policy.classify import classify
from llm_proxy.wire.encoding import Decoder, OversizeBodyError

from .attempt import MAX_ANSWER_BYTES, Attempt
from .call import Call
from .mode import STREAM, WHOLE
from .retelling import retell
from .translation import TranslatedCall

LARGE_ANSWER_BYTES = 256 * 1024
"""An answer from this size on is read off the loop: 1 MB takes a millisecond."""

NO_PREVIOUS = "previous_response_not_found"
"""What OpenAI calls it, with status 400."""

_AS_IT_IS = (STREAM_ERROR, STREAM_CUT, CANCELLED, SHUT_DOWN, TEXT_DIFFERS)
"""Faults that have one name, before and behind content."""

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
    verdict = await _judge(core, call, attempt)
    beat = attempt.beat
    # A whole answer that was told anew as events can follow a head, but no content.
    is_told = isinstance(call, TranslatedCall) and beat is not None and not beat.has_content
    is_other = attempt.mode is not STREAM and not is_told
    if verdict.fault is None and is_other and beat is not None and beat.has_begun:
        # The client has the head of a stream; a body of any other kind would be garbage in it.
        attempt.abort(NO_STREAM)
        return Verdict(NO_STREAM, usage=verdict.usage)
    return verdict


async def _judge(core: Aside, call: Call, attempt: Attempt) -> Verdict:
    fault = attempt.fault
    if fault is not None:
        signal = attempt.signal
        if fault is STREAM_ERROR and signal is not None:
            fault = classify(signal)
        return Verdict(fault, signal)
    if attempt.mode is not WHOLE:
        return Verdict()
    body = b"".join(attempt.parts)
    readable: bytes | None = body
    attempt.parts = [body]
    if encoding := attempt.fields.get(b"content-encoding"):
        try:
            readable = await _readable(core, attempt, encoding)
        except ValueError:
            if attempt.status < 400:
                return Verdict(BODY_CUT)
            readable = b""
        body = attempt.parts[0]
    if attempt.status >= 400:
        kind = attempt.fields.get(b"content-type", b"")
        signal = read_signal(attempt.status, kind, readable or b"")
        return Verdict(_fault_of(call, signal), signal, body)
    if isinstance(call, TranslatedCall):
        return await _judge_translated(core, call, attempt, readable)
    return await _judge_answer(core, call, readable, body)


def _fault_of(call: Call, signal: Signal) -> Fault:
    """Return what an error means; who does not know a thing need not be the only one to ask."""
    fault = classify(signal)
    if not call.unknown_id or not (signal.status == 404 or signal.code == NO_PREVIOUS):
        return fault
    # "There is no such thing" sounds like an unknown model; where none was named it is none.
    is_model = fault is MODEL_NOT_FOUND and call.model is not None
    return UNKNOWN_ID if fault in (CLIENT_FAULT, MODEL_NOT_FOUND) and not is_model else fault


async def _judge_answer(core: Aside, call: Call, readable: bytes | None, body: bytes) -> Verdict:
    """Judge what stands in a 200."""
    if call.is_kept and readable is not None:
        call.made = made_in(call.endpoint, readable)
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


async def _judge_translated(
    core: Aside, call: TranslatedCall, attempt: Attempt, readable: bytes | None
) -> Verdict:
    """Judge a 200 in another format; told in the client's, it becomes the attempt's body."""
    if readable is None:
        return Verdict(NOT_JSON)
    if attempt.key in readable:  # what carries reasoning is coded: it cannot be found there later
        readable = readable.replace(attempt.key, b"*" * len(attempt.key))
    kind = attempt.fields.get(b"content-type", b"").lower()
    if len(readable) > LARGE_ANSWER_BYTES // 8:
        told = await core.aside(retell, call, readable, kind)
    else:
        told = retell(call, readable, kind)
    attempt.parts = [told.body]
    return Verdict(told.fault, told.signal, readable, told.usage)


async def _readable(core: Aside, attempt: Attempt, encoding: bytes) -> bytes | None:
    """Return an attempt's body decoded; None: in a coding that cannot be read here.

    If the upstream's key stands in it, the decoded body replaces the coded one, as only there
    can the key be blanked.

    Raises:
        ValueError: It is damaged or cut off; a connection that just ends does not tell.
    """
    readable = await core.aside(_decoded, attempt.parts[0], encoding)
    if readable is not None and attempt.key in readable:
        readable = readable.replace(attempt.key, b"*" * len(attempt.key))
        attempt.parts = [readable]
        attempt.is_decoded = True
    return readable


def _decoded(body: bytes, encoding: bytes) -> bytes | None:
    """Return a whole body decoded; None: unknown coding, or too large to be read here.

    Raises:
        ValueError: It is damaged or cut off.
    """
    decoder = Decoder.of(encoding, MAX_ANSWER_BYTES)
    if decoder is None:
        return None
    try:
        decoded = decoder.feed(body)
    except OversizeBodyError:
        return None
    if body and not decoder.is_complete:
        raise ValueError("a compressed body is cut off")
    return decoded


def after_commit(fault: Fault) -> Fault:
    """Return how a fault is called once content has been sent."""
    if fault in (SILENT, FIRST_TOKEN_LATE):
        return STREAM_STALLED
    keeps_name = fault in _AS_IT_IS or fault.status == 504
    return fault if keeps_name else STREAM_CUT


def meaning(attempt: Attempt, fault: Fault) -> Fault:
    """Return what a break teaches: a limit told in mid-stream is the key's, no failure."""
    return classify(attempt.signal) if attempt.signal is not None else fault
