"""Counts records into totals: the one place that says which request counts as what."""

from collections.abc import Iterable

from .faults import RATE_LIMITED
from .record import Outcome, Record
from .status import Totals

_RATE_LIMITED = RATE_LIMITED.name
_OK, _CLIENT_GONE, _LIMITED = Outcome.OK, Outcome.CLIENT_GONE, Outcome.RATE_LIMITED
_CLIENT_ERRORS = frozenset({Outcome.CLIENT_ERROR, Outcome.REFUSED})
_MINUTE_MS = 60_000


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


def per_minute(records: Iterable[Record]) -> dict[int, Totals]:
    """Return the totals of `records` by the minute of their arrival (minutes since 1970)."""
    minutes: dict[int, Totals] = {}
    for record in records:
        minute = record.at_ms // _MINUTE_MS
        totals = minutes.get(minute)
        if totals is None:
            totals = minutes[minute] = Totals()
        add(totals, record)
    return minutes
