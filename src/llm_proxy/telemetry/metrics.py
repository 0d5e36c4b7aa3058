"""Counts what happens, cheaply enough to do it for every request.

Plain integer adds here; labels, text and the Prometheus library only when somebody asks
(`exposition.py`). Label values come from closed lists: a client's words, model names above all,
never become a label, or the counters would grow without end.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping

import msgspec

from llm_proxy.domain.faults import FAULTS
from llm_proxy.domain.record import Outcome, Record
from llm_proxy.domain.status import Totals
from llm_proxy.domain.tally import add

FORMATS = ("chat", "messages", "responses", "other")
BUCKETS_MS = (
    5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000,
)  # fmt: skip
"""Upper bounds of the histograms: from a local refusal to the longest request allowed."""

_CLASSES = {2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Histogram(msgspec.Struct):
    """Counts per bucket, the last one for all that is above `BUCKETS_MS`."""

    counts: list[int]
    sum_ms: float = 0.0

    def observe(self, value_ms: float) -> None:
        """Count one value."""
        self.counts[bisect_left(BUCKETS_MS, value_ms)] += 1
        self.sum_ms += value_ms


def _histogram() -> Histogram:
    return Histogram([0] * (len(BUCKETS_MS) + 1))


class Reading(msgspec.Struct, frozen=True):
    """A value that somebody else keeps and that is asked for at each scrape.

    Attributes:
        name: Without the `llm_proxy_` in front.
        help: One sentence.
        read: Gives the value, or one per value of `label`.
        label: Name of the label, from a list that the configuration bounds; None = no label.
        is_counter: Whether it only grows.
    """

    name: str
    help: str
    read: Callable[[], float | Mapping[str, float]]
    label: str | None
    is_counter: bool


class Metrics:
    """All counters since the start. Written by the event loop only; reading needs no lock.

    Attributes:
        totals: For the page, as the clients saw it.
        outcomes: Requests by (format, outcome).
        statuses: Requests by class of the client's status, `2xx` …; `none` where none was sent.
        faults: Failed attempts by fault.
        answered: Attempts that answered.
        total_ms: Times of whole requests.
        first_token_ms: Times to the first content, of streams.
        readings: What was registered.
    """

    __slots__ = (
        "answered",
        "faults",
        "first_token_ms",
        "outcomes",
        "readings",
        "statuses",
        "total_ms",
        "totals",
    )

    def __init__(self) -> None:
        self.totals = Totals()
        self.outcomes = {(format_, outcome): 0 for format_ in FORMATS for outcome in Outcome}
        self.statuses = dict.fromkeys(("none", *_CLASSES.values()), 0)
        self.faults = dict.fromkeys([*FAULTS, "other"], 0)
        self.answered = 0
        self.total_ms = _histogram()
        self.first_token_ms = _histogram()
        self.readings: dict[str, Reading] = {}

    def on_record(self, record: Record) -> None:
        """Count a finished request; two microseconds."""
        add(self.totals, record)
        key = (record.format, record.outcome)
        self.outcomes[key if key in self.outcomes else ("other", record.outcome)] += 1
        self.statuses[_CLASSES.get(record.status // 100, "none")] += 1
        for attempt in record.attempts:
            fault = attempt.fault
            if fault is None:
                self.answered += 1
            else:
                self.faults[fault if fault in self.faults else "other"] += 1
        self.total_ms.observe(record.total_ms)
        if record.first_token_ms is not None:
            self.first_token_ms.observe(record.first_token_ms)

    def register_gauge(
        self,
        name: str,
        help_: str,
        read: Callable[[], float | Mapping[str, float]],
        *,
        label: str | None = None,
    ) -> None:
        """Expose a value that goes up and down, such as requests in flight.

        Args:
            name: Snake-case, exposed as `llm_proxy_<name>`.
            help_: One sentence.
            read: Called at each scrape; must not block.
            label: Where `read` gives a mapping: what its keys are (`upstream`). Names from the
                configuration, never a client's.

        Raises:
            ValueError: The name is malformed or taken.
        """
        self._register(Reading(name, help_, read, label, is_counter=False))

    def register_counter(
        self,
        name: str,
        help_: str,
        read: Callable[[], float | Mapping[str, float]],
        *,
        label: str | None = None,
    ) -> None:
        """Expose a count kept elsewhere that only grows; exposed as `llm_proxy_<name>_total`.

        Raises:
            ValueError: The name is malformed or taken.
        """
        self._register(Reading(name, help_, read, label, is_counter=True))

    def _register(self, reading: Reading) -> None:
        if not _NAME.fullmatch(reading.name) or reading.name in self.readings:
            raise ValueError(f"metric name {reading.name!r} is malformed or taken")
        self.readings[reading.name] = reading
