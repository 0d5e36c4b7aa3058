"""Who is whose parent in a trace: ids of spans, and what is said of them in request headers.

Ids are not drawn but computed from the request's id, which is unique: so the header that an
upstream gets and the spans that are built after the request's end agree, though nothing but the
client's own `traceparent` is carried from the one to the other.

The header is that of W3C Trace Context: `00-<trace id>-<parent's span id>-<flags>`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

import msgspec

from llm_proxy.domain.record import Attempt

REPLAY = "replay"
"""`why` of an attempt that repeats the one before it, which met a dead connection."""
SAMPLED = 1

_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE = b"0" * 32
_NO_SPAN = b"0" * 16

Fields = Iterable[tuple[bytes, bytes]]


class Parent(msgspec.Struct, frozen=True):
    """The client's span, as its `traceparent` names it.

    Attributes:
        trace_id: 128 bits, never 0.
        span_id: 64 bits, never 0.
        flags: Of which 1 says that the trace is recorded.
        state: The client's `tracestate` lines, joined; may be empty.
    """

    trace_id: int
    span_id: int
    flags: int
    state: bytes = b""


def parent_of(headers: Fields) -> Parent | None:
    """Return the client's span; None where no or no sound `traceparent` came.

    Args:
        headers: (lower-case name, value) as read.
    """
    found: list[bytes] = []
    states: list[bytes] = []
    for name, value in headers:
        if name == b"traceparent":
            found.append(value)
        elif name == b"tracestate":
            states.append(value)
    if len(found) != 1:
        return None
    match = _TRACEPARENT.fullmatch(found[0])
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == b"ff" or (version == b"00" and rest) or trace_id == _NO_TRACE:
        return None
    if span_id == _NO_SPAN:
        return None
    return Parent(int(trace_id, 16), int(span_id, 16), int(flags, 16), b",".join(states))


def trace_id_of(request_id: str) -> int:
    """Return the trace that begins with this request."""
    return _number(request_id, 16)


def span_id_of(request_id: str, part: str = "") -> int:
    """Return the id of the request's own span or, with `part`, of one below it."""
    return _number(f"{request_id}/{part}", 8)


def lines_up(
    request_id: str,
    headers: Fields,
    earlier: Sequence[Attempt],
    is_sampled: Callable[[int], bool],
) -> bytes:
    """Return the header lines that tell an upstream whose child its span is.

    Args:
        request_id: The request's id.
        headers: The client's.
        earlier: The request's attempts so far.
        is_sampled: Says of a trace that begins here whether it is recorded.
    """
    parent = parent_of(headers)
    state = b""
    if parent is None:
        trace_id = trace_id_of(request_id)
        flags = SAMPLED if is_sampled(trace_id) else 0
    else:
        trace_id, flags = parent.trace_id, parent.flags & SAMPLED
        if parent.state:
            state = b"tracestate: %b\r\n" % parent.state
    made = sum(one.why != REPLAY for one in earlier)
    span_id = span_id_of(request_id, str(made))
    return b"traceparent: 00-%032x-%016x-%02x\r\n%b" % (trace_id, span_id, flags, state)


def parts_of(attempts: Sequence[Attempt]) -> list[str]:
    """Return the part of each attempt's span id, in order.

    A replay sends the request of the attempt before it once more, header and all: the span that
    the header names is the replay's, and what it repeats gets an id of its own.
    """
    parts: list[str] = []
    made = 0
    for index, _ in enumerate(attempts):
        following = attempts[index + 1] if index + 1 < len(attempts) else None
        if following is not None and following.why == REPLAY:
            parts.append(f"{made}-first")
        else:
            parts.append(str(made))
            made += 1
    return parts


def _number(text: str, size_bytes: int) -> int:
    digest = blake2b(text.encode(), digest_size=size_bytes).digest()
    return int.from_bytes(digest, "big") or 1  # 0 means: none
