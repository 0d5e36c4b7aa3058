"""What the page and `/ready` may know of the running proxy: plain values, no secrets."""

import msgspec


class Quota(msgspec.Struct):
    """What an answer's header fields said was left of a limit.

    Attributes:
        left: Requests or tokens left at the last answer.
        limit: The whole, where told.
        reset_s: Seconds from that answer until it is renewed, where told.
    """

    left: int
    limit: int | None = None
    reset_s: float | None = None


class KeyStatus(msgspec.Struct):
    """State of one target.

    Attributes:
        id: The target's id, `upstream-1/key-1`.
        label: `key-1 …ab12`.
        state: `ready`, `cooling` (limited), `refused` (key rejected), `no_credit`, `open`
            (breaker), `half_open`, `paused` (by the owner, on the page).
        back_in_s: Seconds until it is asked again; None when ready.
        cause: Fault name behind the state; None when ready.
        source: `header`, `body` or `guess`: where the cool-down's length came from.
        models: Models limited on this key right now, at most 20, with seconds left.
        failing: Models left alone on this key as they keep failing, at most 20, with seconds left;
            0 = one request may try. Other models on the key may be well.
        in_flight: Attempts under way.
        attempts: Since start.
        failures: Since start, rate limits included.
        rate_limited: Since start.
        recent: Last 60 attempts, oldest first: 0 ok, 1 rate limited, 2 failed.
        quota: What is left by the provider's words, by kind: `requests`, `tokens`, ….
        first_token_ms: Median time to the first content of its latest streams; None = unknown.
    """

    id: str
    label: str
    state: str
    back_in_s: float | None = None
    cause: str | None = None
    source: str | None = None
    models: dict[str, float] = {}
    failing: dict[str, float] = {}
    in_flight: int = 0
    attempts: int = 0
    failures: int = 0
    rate_limited: int = 0
    recent: list[int] = []
    quota: dict[str, Quota] = {}
    first_token_ms: float | None = None


class UpstreamStatus(msgspec.Struct):
    """State of one upstream and its keys."""

    name: str
    address: str
    formats: list[str]
    models: list[str]
    keys: list[KeyStatus]


class Totals(msgspec.Struct):
    """Counts of finished requests, as their clients saw them.

    Attributes:
        requests: All records.
        ok: Outcome `ok`.
        rescued: `ok` after more than one attempt.
        client_errors: Outcomes `client_error` and `refused`.
        failed: Outcomes `rate_limited`, `upstream_error`, `cut`.
        rate_limited: Outcome `rate_limited`.
        rate_limits_met: Attempts that met a rate limit, rescued ones included.
        client_gone: Outcome `client_gone`.
        attempts: All attempts.
        input_tokens: Known input tokens, cached ones included.
        output_tokens: Known output tokens.
    """

    requests: int = 0
    ok: int = 0
    rescued: int = 0
    client_errors: int = 0
    failed: int = 0
    rate_limited: int = 0
    rate_limits_met: int = 0
    client_gone: int = 0
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class StoreStatus(msgspec.Struct):
    """State of the record store.

    Attributes:
        kind: `sqlite` or `memory`.
        state: `ok`, or `degraded` (writing fails; records wait or are lost).
        problem: One line when degraded or in memory, without secrets.
        path: The file, or None.
        free_bytes: Free space beside it, or None.
        queued: Records waiting to be written.
        written: Since start.
        dropped: Lost since start.
    """

    kind: str
    state: str
    problem: str | None = None
    path: str | None = None
    free_bytes: int | None = None
    queued: int = 0
    written: int = 0
    dropped: int = 0
