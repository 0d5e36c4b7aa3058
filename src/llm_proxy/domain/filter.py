"""What a search among the requests asks for, and whether a record is meant."""

import msgspec

from .record import Outcome, Record
from .record_id import first_id_at

SLOW_MS = 10_000
"""From here on a request counts as slow: to the first content or, where none was streamed, to
the end."""

FAILED = frozenset({Outcome.RATE_LIMITED, Outcome.UPSTREAM_ERROR, Outcome.CUT})


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions that all must hold; those that are not set ask for nothing.

    Attributes:
        text: Within what `texts_of` gives; ASCII letters match in either case.
        outcomes: One of these.
        is_rescued: Succeeded after a failed attempt.
        is_slow: At least `SLOW_MS`.
        model: Exactly this, as asked for.
        upstream: Name of the upstream that answered last.
        key: Label of its key.
        caller: Name of the access key.
        client: Within the client's `user-agent`, in either case.
        status: First and last of a range of HTTP statuses.
        fault: An attempt met it.
        since_ms: Arrived then or later, wall clock.
        until_ms: Arrived earlier.
    """

    text: str = ""
    outcomes: frozenset[Outcome] = frozenset()
    is_rescued: bool = False
    is_slow: bool = False
    model: str = ""
    upstream: str = ""
    key: str = ""
    caller: str = ""
    client: str = ""
    status: tuple[int, int] | None = None
    fault: str = ""
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def is_eventful(self) -> bool:
        """Whether only requests can match that failed or took more than one attempt."""
        if self.outcomes and Outcome.OK not in self.outcomes:
            return True
        return bool(self.fault) or (self.status is not None and self.status[0] >= 400)

    def matches(self, record: Record) -> bool:
        """Say whether `record` meets all conditions."""
        return (
            (not self.outcomes or record.outcome in self.outcomes)
            and (not self.is_rescued or is_rescued(record))
            and (not self.is_slow or is_slow(record))
            and self.model in ("", record.model)
            and self.upstream in ("", record.upstream)
            and self.key in ("", record.key)
            and self.caller in ("", record.caller)
            and self._matches_details(record)
        )

    def _matches_details(self, record: Record) -> bool:
        if self.status is not None and not self.status[0] <= record.status <= self.status[1]:
            return False
        if self.fault and all(attempt.fault != self.fault for attempt in record.attempts):
            return False
        if self.since_ms is not None and record.id < first_id_at(self.since_ms):
            return False
        if self.until_ms is not None and record.id >= first_id_at(self.until_ms):
            return False
        if self.client and self.client.lower() not in (record.client or "").lower():
            return False
        return not self.text or self.text.lower() in texts_of(record).lower()


def is_rescued(record: Record) -> bool:
    """Say whether a request succeeded after a failed attempt."""
    return record.outcome is Outcome.OK and len(record.attempts) > 1


def is_slow(record: Record) -> bool:
    """Say whether a request was slow."""
    first_ms = record.first_token_ms
    return (record.total_ms if first_ms is None else first_ms) >= SLOW_MS


def texts_of(record: Record) -> str:
    """Return what a search for text looks at."""
    attempts = (f"{one.upstream} {one.key} {one.fault} {one.reason}" for one in record.attempts)
    own = (
        record.id, record.path, record.caller, record.client, record.model, record.served,
        record.upstream, record.key, record.error,
    )  # fmt: skip
    return " ".join(text for text in (*own, *attempts) if text)
