"""Counts records into totals: the one place that says which request counts as what."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import msgspec

from .faults import RATE_LIMITED
from .record import Outcome, Record
from .status import Totals

FIRST_TOKEN_MS = (
    50, 75, 110, 160, 240, 350, 500, 700, 1_000, 1_400, 2_000, 2_800, 4_000, 6_000, 9_000,
    14_000, 22_000, 40_000, 90_000,
)  # fmt: skip
"""Upper bounds of the classes of times to the first content; one more holds all that is above.
Each is about 1.4 times the one before, so that a percentile read from them is within some 15 %."""

REFUSED = "refused"
"""What stands for the fault of requests that the proxy refused itself."""

_RATE_LIMITED = RATE_LIMITED.name
_OK, _CLIENT_GONE, _LIMITED = Outcome.OK, Outcome.CLIENT_GONE, Outcome.RATE_LIMITED
_CLIENT_ERRORS = frozenset({Outcome.CLIENT_ERROR, Outcome.REFUSED})
_MINUTE_MS = 60_000


class Tally(Totals):
    """Totals with what a longer look wants to know besides; about a microsecond more a record.

    Attributes:
        cached_tokens: Known input tokens read from a cache.
        cost_nano: Known costs, billionths of a US dollar.
        priced: Records whose cost is known.
        unpriced: Records whose tokens are known, but not their cost.
        first_tokens: Streams by their time to the first content, by `FIRST_TOKEN_MS`.
    """

    cached_tokens: int = 0
    cost_nano: int = 0
    priced: int = 0
    unpriced: int = 0
    first_tokens: list[int] = msgspec.field(default_factory=lambda: [0] * (len(FIRST_TOKEN_MS) + 1))

    def add_record(self, record: Record) -> None:
        """Count `record`."""
        add(self, record)
        usage = record.usage
        if usage.cache_read is not None:
            self.cached_tokens += usage.cache_read
        if record.cost_nano is not None:
            self.cost_nano += record.cost_nano
            self.priced += 1
        elif usage.input is not None or usage.output is not None:
            self.unpriced += 1
        if record.first_token_ms is not None:
            self.first_tokens[bisect_left(FIRST_TOKEN_MS, record.first_token_ms)] += 1

    def merge(self, other: "Tally") -> None:
        """Add what `other` counted."""
        for name in Tally.__struct_fields__[:-1]:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for at, count in enumerate(other.first_tokens):
            self.first_tokens[at] += count


class FaultCount(msgspec.Struct):
    """How often one key met one fault.

    Attributes:
        count: Failed attempts.
        rescued: Of these, in requests that succeeded all the same.
        last_ms: Arrival of the last of them.
    """

    count: int = 0
    rescued: int = 0
    last_ms: int = 0


def add(totals: Totals, record: Record) -> None:
    """Count `record` into `totals`; about a microsecond."""
    attempts = record.attempts
    outcome = record.outcome
    totals.requests += 1
    totals.attempts += len(attempts)
    if outcome is _OK:
        totals.ok += 1
        if len(attempts) > 1:
            totals.rescued += 1
    elif outcome is _CLIENT_GONE:
        totals.client_gone += 1
    elif outcome in _CLIENT_ERRORS:
        totals.client_errors += 1
    else:
        totals.failed += 1
        if outcome is _LIMITED:
            totals.rate_limited += 1
    for attempt in attempts:
        if attempt.fault == _RATE_LIMITED:
            totals.rate_limits_met += 1
    usage = record.usage
    if usage.input is not None:
        totals.input_tokens += usage.input
    if usage.output is not None:
        totals.output_tokens += usage.output


def per_minute(records: Iterable[Record]) -> dict[int, Tally]:
    """Return the tallies of `records` by the minute of their arrival (minutes since 1970)."""
    minutes: dict[int, Tally] = {}
    for record in records:
        minute = record.at_ms // _MINUTE_MS
        tally = minutes.get(minute)
        if tally is None:
            tally = minutes[minute] = Tally()
        tally.add_record(record)
    return minutes


def fault_counts(records: Iterable[Record]) -> dict[tuple[int, str, str, str], FaultCount]:
    """Return how often what failed, by (minute since 1970, fault, upstream, key's label)."""
    counts: dict[tuple[int, str, str, str], FaultCount] = {}

    def count(record: Record, fault: str, upstream: str, key: str) -> None:
        place = (record.at_ms // _MINUTE_MS, fault, upstream, key)
        found = counts.get(place)
        if found is None:
            found = counts[place] = FaultCount()
        found.count += 1
        found.rescued += record.outcome is _OK
        found.last_ms = max(found.last_ms, record.at_ms)

    for record in records:
        if record.outcome is Outcome.REFUSED and not record.attempts:
            count(record, REFUSED, "", "")
        for attempt in record.attempts:
            if attempt.fault is not None:
                count(record, attempt.fault, attempt.upstream, attempt.key)
    return counts


def quantile_ms(first_tokens: Sequence[int], share: float) -> float | None:
    """Return the time within which `share` of the streams began to answer; None = no stream.

    Within a class times are taken to be spread evenly.
    """
    total = sum(first_tokens)
    if not total:
        return None
    left = share * total
    lower = 0.0
    for bound, count in zip((*FIRST_TOKEN_MS, FIRST_TOKEN_MS[-1] * 2), first_tokens, strict=True):
        if count and left <= count:
            return lower + (bound - lower) * left / count
        left -= count
        lower = bound
    return lower
