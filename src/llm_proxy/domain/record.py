"""What is remembered of a request: one record, its attempts inside it."""

from enum import StrEnum

import msgspec

from .usage import UNKNOWN, Usage


class Outcome(StrEnum):
    """How a request ended, as its client saw it."""

    OK = "ok"
    CLIENT_ERROR = "client_error"
    """The request itself was at fault; the provider's 4xx went down."""
    RATE_LIMITED = "rate_limited"
    UPSTREAM_ERROR = "upstream_error"
    CUT = "cut"
    """Content had been sent when the answer broke; the client was told in-band."""
    CLIENT_GONE = "client_gone"
    REFUSED = "refused"
    """Refused by the proxy before any attempt, after authentication."""


class Attempt(msgspec.Struct, omit_defaults=True):
    """One try at one target. Milliseconds; None = it did not come to that.

    Attributes:
        upstream: The upstream's name.
        key: The key's label, masked.
        status: HTTP status; None when no head came.
        fault: Name of the row in the fault table; None = this attempt answered.
        reason: The provider's or our words about the fault, redacted, at most 500 characters.
        why: Why this target was chosen (`healthy`, `probe`, `last resort`, …).
        start_ms: Since the request's arrival.
        connect_ms: To a usable connection; 0 when pooled.
        first_byte_ms: From the attempt's start to the answer's first byte.
        total_ms: From the attempt's start to its end.
        wait_ms: Waited before this attempt (back-off, cool-down).
        cool_s: How long the target rests because of it.
        cost: `none`, `unknown`, `partial`; None for the answer.
    """

    upstream: str
    key: str
    model: str | None = None
    status: int | None = None
    fault: str | None = None
    reason: str | None = None
    why: str | None = None
    start_ms: float = 0.0
    connect_ms: float | None = None
    first_byte_ms: float | None = None
    total_ms: float = 0.0
    wait_ms: float = 0.0
    cool_s: float | None = None
    cost: str | None = None


class Record(msgspec.Struct, omit_defaults=True):
    """One request, however it ended.

    Attributes:
        id: Unique and sortable by time: 26 characters, also sent as `x-llm-proxy-request-id`.
        at_ms: Arrival, wall clock, milliseconds since 1970.
        format: `chat`, `messages`, `responses`, or `other`.
        method: HTTP method.
        path: Path as served, without its query, at most 200 characters.
        caller: Name of the access key.
        client: The client's `user-agent`, at most 120 characters.
        model: As asked; at most 200 characters.
        served: Model name sent to the upstream that answered.
        upstream: Name of the upstream that answered last.
        key: Label of its key.
        stream: Whether a stream was asked for.
        status: HTTP status the client saw; 0 = none was sent.
        outcome: How it ended.
        error: One sentence about the failure, redacted; None when all went well.
        attempts: In order.
        first_token_ms: From arrival to the first content; None for JSON answers.
        total_ms: From arrival to the end.
        usage: Tokens; None = unknown.
        bytes_up: Request body bytes.
        bytes_down: Bytes of the answer sent to the client, its head and framing included.
        notice: What was repaired (`address corrected`), or None.
        broken_events: Events of the stream that were dropped because no client can read them.
        cost_nano: What it cost in billionths of a US dollar; None = unknown. Never 0 for unknown.
    """

    id: str
    at_ms: int
    format: str
    method: str
    path: str
    outcome: Outcome
    status: int = 0
    caller: str | None = None
    client: str | None = None
    model: str | None = None
    served: str | None = None
    upstream: str | None = None
    key: str | None = None
    stream: bool = False
    error: str | None = None
    attempts: list[Attempt] = []
    first_token_ms: float | None = None
    total_ms: float = 0.0
    usage: Usage = UNKNOWN
    bytes_up: int = 0
    bytes_down: int = 0
    notice: str | None = None
    broken_events: int = 0
    cost_nano: int | None = None
