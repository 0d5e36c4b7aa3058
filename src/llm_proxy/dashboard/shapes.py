"""The shapes of `/api/*` that exist nowhere else: what each answer and each body looks like.

`openapi.py` generates the description of the API from these and from the structs of `domain/`.
Names with `_ms` are milliseconds, those with `_at_ms` or `at_ms` of the wall clock since 1970;
money is in billionths of a US dollar (`cost_nano`); what is unknown is null, never 0.
"""

from typing import Annotated

import msgspec

from llm_proxy.domain.record import Record
from llm_proxy.domain.status import Totals, UpstreamStatus


class Requests(msgspec.Struct, omit_defaults=True):
    """A page of the requests, newest first.

    Attributes:
        requests: At most `limit`; fewer do not mean that there are no more.
        next: What `before` must be for the next page; null = there is none.
        searched_to_ms: Arrival of the oldest request looked at, where the search stopped before
            the page was full so as to answer in time; go on with `next`. Left out = it did not.
    """

    requests: list[Record]
    next: str | None
    searched_to_ms: int | None = None


class Upstreams(msgspec.Struct):
    """Every upstream with its keys, in configured order."""

    upstreams: list[UpstreamStatus]


class Sums(Totals, kw_only=True):
    """Counts of a span of time.

    Attributes:
        cached_tokens: Input tokens read from a cache, a part of the input tokens.
        cost_nano: Of the requests whose price is known; null for callers other than the owner.
        priced: Requests whose cost is known.
        unpriced: Requests with tokens but no known price.
        first_token_p50_ms: Half of the streams began to answer within so many; an estimate from
            a histogram; null = there was no stream.
        first_token_p95_ms: 95 % did.
    """

    cached_tokens: int = 0
    cost_nano: int | None = None
    priced: int = 0
    unpriced: int = 0
    first_token_p50_ms: float | None = None
    first_token_p95_ms: float | None = None


class Bucket(Sums, kw_only=True):
    """One step of a series.

    Attributes:
        at_ms: Where it begins.
    """

    at_ms: int


class Numbers(msgspec.Struct):
    """What happened in a window, and in the one before it.

    Attributes:
        window: As asked for: `15m`, `1h`, `24h` or `30d`.
        from_ms: Where it begins, on a whole bucket.
        to_ms: The moment of the answer.
        bucket_s: Length of a bucket.
        totals: Of the window.
        before: Of the window of the same length before it, for the change.
        series: Every bucket of the window, empty ones too, oldest first.
    """

    window: str
    from_ms: int
    to_ms: int
    bucket_s: int
    totals: Sums
    before: Sums
    series: list[Bucket]


class InFlight(msgspec.Struct, kw_only=True):
    """A request under way.

    Attributes:
        id: What the record's id will be.
        at_ms: Arrival.
        age_ms: Since then.
        format: `chat`, `messages`, `responses` or `other`.
        path: As served.
        caller: Name of the access key.
        client: The client's `user-agent`.
        model: As asked for; null until the body has been read.
        stream: Whether a stream was asked for.
        phase: `waiting` (for a place), `trying` (an attempt is under way), `resting` (between two
            attempts) or `answering` (content has gone to the client).
        upstream: Name of the upstream asked right now.
        key: Label of its key.
        attempt: Which attempt it is, from 1; 0 before the first.
        max_attempts: How many there may be per model.
        has_first_byte: Whether content of an answer has come.
        bytes_down: Bytes sent to the client so far.
    """

    id: str
    at_ms: int
    age_ms: float
    format: str
    path: str
    caller: str | None
    client: str | None
    model: str | None
    stream: bool
    phase: str
    upstream: str | None
    key: str | None
    attempt: int
    max_attempts: int
    has_first_byte: bool
    bytes_down: int


class AllInFlight(msgspec.Struct):
    """The requests under way, oldest first; at most 200 of them.

    Attributes:
        in_flight: The requests.
        total: How many there are in all.
    """

    in_flight: list[InFlight]
    total: int


class FaultyKey(msgspec.Struct):
    """A key that met a fault."""

    upstream: str
    key: str
    count: int
    last_ms: int


class ErrorGroup(msgspec.Struct):
    """All failed attempts with one cause.

    Attributes:
        fault: Name in the fault table, or `refused` for requests that the proxy refused itself.
        count: Attempts that met it in the window.
        rescued: Of these, how many belonged to requests that succeeded all the same.
        last_ms: Arrival of the last request that met it.
        keys: Who met it, the most often first; none for `refused`.
        says: What it means, one English sentence.
    """

    fault: str
    count: int
    rescued: int
    last_ms: int
    keys: list[FaultyKey]
    says: str


class Errors(msgspec.Struct):
    """What went wrong in a window, the most frequent cause first."""

    window: str
    from_ms: int
    errors: list[ErrorGroup]


class SettingShown(msgspec.Struct):
    """One setting.

    Attributes:
        name: Its variable: `PROXY_URL`.
        value: As the variable would spell it, secrets masked; empty = not set.
        source: `environment`, `file`, `default`, `generated`, ….
        needs_restart: Whether a reload cannot change it.
    """

    name: str
    value: str
    source: str
    needs_restart: bool


class SettingsShown(msgspec.Struct):
    """The effective configuration.

    Attributes:
        generation: Raised by every reload.
        file: The configuration file, or null.
        settings: Every setting, in the order of the reference page.
        upstreams: What is configured of each upstream, line by line, as `llm-proxy config` says.
        repairs: Values that were corrected.
        warnings: What `llm-proxy check` would warn of.
    """

    generation: int
    file: str | None
    settings: list[SettingShown]
    upstreams: list[str]
    repairs: list[str]
    warnings: list[str]


class KeyTest(msgspec.Struct):
    """What a test of a key found; no tokens are spent.

    Attributes:
        ok: Whether the upstream accepted the key.
        ms: How long it took.
        findings: Line by line: level (`ok`, `note`, `warn`, `FAIL`) and text.
    """

    ok: bool
    ms: float
    findings: list[tuple[str, str]]


class CaptureAsked(msgspec.Struct):
    """For how long bodies shall be kept; 0 ends it."""

    minutes: Annotated[float, msgspec.Meta(ge=0, le=60)]


class CaptureState(msgspec.Struct):
    """Whether bodies are kept.

    Attributes:
        until_ms: When it ends by itself; null = it is off.
        held: Requests whose bodies are in memory now.
    """

    until_ms: int | None
    held: int


class Captured(msgspec.Struct):
    """One request's bodies, redacted, in memory only.

    Attributes:
        id: The request's.
        at_ms: Arrival.
        request: What the client sent, at most 64 KB.
        answer: What it got, at most 64 KB.
        is_cut: Whether one of them was longer.
    """

    id: str
    at_ms: int
    request: str
    answer: str
    is_cut: bool


class Captures(msgspec.Struct):
    """What is kept, newest first.

    Attributes:
        until_ms: When it ends by itself; null = it is off.
        bodies: At most 50.
    """

    until_ms: int | None
    bodies: list[Captured]


class AlertTest(msgspec.Struct):
    """What became of a test alert.

    Attributes:
        ok: Whether the webhook took it.
        detail: Why not, or an empty string.
    """

    ok: bool
    detail: str


class ProblemDocument(msgspec.Struct, omit_defaults=True):
    """A refusal (RFC 9457), as `application/problem+json`."""

    title: str
    status: int
    detail: str = ""
