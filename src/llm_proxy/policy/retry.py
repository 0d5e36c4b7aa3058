"""Whether an attempt that failed may be followed by another, and how soon by the same target.

One function, asked once per failure. It looks at the fault's row, at what the request may still
spend, and at nothing else; *who* is asked next is `choose.py`'s business.

Why two answers and not a number: giving up has a reason that goes into the record, trying again
has conditions that `choose.py` has to obey.

The numbers of the whole of `policy/` stand here, in `RetryConfig`, each with its reason.
"""

from collections.abc import Callable

import msgspec

from llm_proxy.domain.faults import (
    STREAM_CUT,
    STREAM_ERROR,
    STREAM_STALLED,
    Cost,
    Fault,
    Mark,
    Retry,
)

FOREVER = float("inf")
BREAKS = (STREAM_CUT, STREAM_STALLED, STREAM_ERROR)
"""How a stream ends that has begun: nobody repeats it, but somebody may go on with it."""


class RetryConfig(msgspec.Struct, frozen=True):
    """The numbers behind retries, cool-downs, breakers and the retry budget."""

    max_retries: int = 3
    """Further attempts after the first, per request; `MAX_RETRIES`."""
    max_wait_s: float = 10.0
    """All waiting inside one request. Longer, and agents' own retries and idle limits start."""
    slow_failure_s: float = 5.0
    """A failure that took longer is never repeated on the same target: the client has paid
    enough to learn that this one is slow."""
    backoff_s: float = 0.06
    """First pause before the same target after a failure; a restart of a worker takes that."""
    limited_backoff_s: float = 0.4
    """First pause before the same key after a limit without advice."""
    backoff_cap_s: float = 2.0
    """Longest pause; three of them still fit `max_wait_s`."""

    guess_s: float = 0.5
    """First rest of (key, model) after a limit without advice; doubles while confirmed."""
    guess_cap_s: float = 8.0
    """Longest guessed rest: limits count per minute, so a key is free again soon."""
    look_s: float = 1.0
    """How long the first attempt behind a confirmed guess may take before others follow; most
    providers refuse within that."""
    quota_s: float = 300.0
    """Rest of a key without credit: somebody has to pay first."""
    refused_s: float = 1.0
    """First rest of a rejected key: providers reject good keys for moments."""
    refused_cap_s: float = 60.0
    """Longest rest of a rejected key; a probe a minute costs nothing."""

    breaker_failures: int = 3
    """Failures in a row that open a breaker."""
    breaker_window_s: float = 10.0
    breaker_window_attempts: int = 10
    """Fewest attempts in `breaker_window_s` before their share of failures is judged."""
    breaker_ratio: float = 0.5
    """Share of failures within `breaker_window_s` that opens a breaker."""
    breaker_rest_s: float = 1.0
    """First rest of an open breaker; doubles with every failed probe."""
    breaker_rest_cap_s: float = 8.0
    """Longest rest: a recovered upstream is back within 30 s even under light traffic."""

    line_s: float = 5.0
    """All waiting of one request for a place at keys that are full; as long as for a place in the
    process (`MAX_CONCURRENCY`): a burst passes within that."""
    line_size: int = 1000
    """Most requests that wait for a place; each of more would get none in time."""
    wake_gap_s: float = 0.02
    """Between requests that waited for the same ban: about what an answer takes that renews it."""
    budget_per_attempt: float = 0.1
    """Retries a target earns per attempt: an outage multiplies traffic by 1.1, not by 4."""
    budget_cap: float = 6.0
    """Most retries a target can save up."""
    budget_floor: int = 3
    """Retries in progress that need no saving, or light traffic would never be retried."""


class GiveUp(msgspec.Struct, frozen=True, gc=False):
    """Stop and answer the client.

    Attributes:
        reason: `committed`, `attempts`, `deadline`, `not repeatable`, `all limited`,
            `full`, `budget`, `no target left`, or the fault's name.
    """

    reason: str


class TryAgain(msgspec.Struct, frozen=True, gc=False):
    """Another attempt is allowed.

    Attributes:
        same_at: Loop time from which the same target may be asked again; infinite = never.
        is_elsewhere_first: Untried targets of other addresses come before those of this one.
        is_address_done: No target of this address can help.
    """

    same_at: float
    is_elsewhere_first: bool = False
    is_address_done: bool = False


def after_fault(
    fault: Fault,
    *,
    attempts: int,
    is_committed: bool = False,
    is_repeatable: bool = True,
    backoffs: int = 0,
    advice_s: float | None = None,
    took_s: float = 0.0,
    deadline: float = FOREVER,
    now: float,
    rng: Callable[[], float],
    config: RetryConfig,
) -> GiveUp | TryAgain:
    """Decide what follows an attempt that ended in `fault`.

    Args:
        fault: How it ended.
        attempts: Attempts that count towards `max_retries`, the failed one included (>= 1).
        is_committed: Whether content has reached the client.
        is_repeatable: Whether the request may be sent twice although the upstream may have acted.
        backoffs: Pauses before the same target that this request has made so far.
        advice_s: How long the provider asks to wait.
        took_s: How long the attempt took.
        deadline: Loop time at which the whole request ends.
        now: Loop time.
        rng: Uniform in [0, 1); pauses get up to a quarter shorter by it.
        config: The numbers.
    """
    if is_committed:
        return GiveUp("committed")
    if fault.retry is Retry.NEVER:
        return GiveUp(fault.name)
    if attempts > config.max_retries:
        return GiveUp("attempts")
    if now >= deadline:
        return GiveUp("deadline")
    if not is_repeatable and fault.cost is not Cost.NONE:
        return GiveUp("not repeatable")
    pause_s = _pause_s(fault, backoffs, advice_s, rng, config)
    return TryAgain(
        same_at=FOREVER if took_s > config.slow_failure_s else now + pause_s,
        is_elsewhere_first=fault.retry in (Retry.ANYWHERE, Retry.OTHER_ADDRESS),
        is_address_done=fault.retry is Retry.EACH_ADDRESS_ONCE,
    )


def after_break(
    fault: Fault,
    *,
    attempts: int,
    backoffs: int = 0,
    is_last: bool = True,
    deadline: float = FOREVER,
    now: float,
    rng: Callable[[], float],
    config: RetryConfig,
) -> GiveUp | TryAgain:
    """Decide whether an answer that broke behind its first content may go on elsewhere.

    Others come first, and whoever broke it last, after a pause; one that fell silent never, nor
    any while another model is left.

    Args:
        fault: How it broke; where the upstream said why, what that means.
        attempts: See `after_fault`; the limit is the same.
        backoffs: See `after_fault`.
        is_last: Whether no other model is left.
        deadline: Loop time at which the client must have more.
        now: Loop time.
        rng: Uniform in [0, 1).
        config: The numbers.
    """
    if fault.retry is Retry.NEVER and fault not in BREAKS:
        return GiveUp(fault.name)
    if attempts > config.max_retries:
        return GiveUp("attempts")
    if now >= deadline:
        return GiveUp("deadline")
    is_out = fault is STREAM_STALLED or not is_last
    pause_s = min(config.backoff_s * 2.0 ** min(backoffs, 16), config.backoff_cap_s)
    return TryAgain(
        same_at=FOREVER if is_out else now + pause_s * (1 - 0.25 * rng()),
        is_elsewhere_first=True,
    )


def _pause_s(
    fault: Fault,
    backoffs: int,
    advice_s: float | None,
    rng: Callable[[], float],
    config: RetryConfig,
) -> float:
    """Return how long the same target is spared; infinite = for all of this request."""
    is_limit = fault.mark is Mark.RATE
    if not is_limit and fault.retry is not Retry.ANYWHERE:
        return FOREVER
    if advice_s is not None:
        return advice_s
    first_s = config.limited_backoff_s if is_limit else config.backoff_s
    # The exponent is capped because a large max_retries must not overflow a float.
    pause_s = min(first_s * 2.0 ** min(backoffs, 16), config.backoff_cap_s)
    return pause_s * (1 - 0.25 * rng())
