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
from llm_proxy.domain.usage import Usage

FORMATS = ("chat", "messages", "responses", "other")
BUCKETS_MS = (
    5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000,
)  # fmt: skip
"""Upper bounds of the histograms: from a local refusal to the longest request allowed."""
OWN_BUCKETS_MS = (
    0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1_000,
)  # fmt: skip
"""Upper bounds for the proxy's own time: usually below a millisecond."""

_CLASSES = {2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Histogram(msgspec.Struct):
    """Counts per bucket, the last one for all that is above `bounds_ms`."""

    counts: list[int]
    bounds_ms: tuple[float, ...] = BUCKETS_MS
    sum_ms: float = 0.0

    def observe(self, value_ms: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds_ms, value_ms)] += 1
        self.sum_ms += value_ms


def _histogram(bounds_ms: tuple[float, ...] = BUCKETS_MS) -> Histogram:
    return Histogram([0] * (len(bounds_ms) + 1), bounds_ms)


Value = float | Mapping[str, float]
"""Of a reading; a mapping by the values of its label."""


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
    read: Callable[[], Value]
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
        own_ms: What is left of a request's time without its attempts and their waits: ours.
        cached_tokens: Input tokens read from a cache.
        cost_nano: Known costs, billionths of a US dollar.
        unpriced: Requests with known tokens but no known price.
        readings: What was registered.
    """

    __slots__ = (
        "answered",
        "cached_tokens",
        "cost_nano",
        "faults",
        "first_token_ms",
        "outcomes",
        "own_ms",
        "readings",
        "statuses",
        "total_ms",
        "totals",
        "unpriced",
    )

    def __init__(self) -> None:
        self.totals = Totals()
        self.outcomes = {(format_, outcome): 0 for format_ in FORMATS for outcome in Outcome}
        self.statuses = dict.fromkeys(("none", *_CLASSES.values()), 0)
        self.faults = dict.fromkeys([*FAULTS, "other"], 0)
        self.answered = 0
        self.total_ms = _histogram()
        self.first_token_ms = _histogram()
        self.own_ms = _histogram(OWN_BUCKETS_MS)
        self.cached_tokens = self.cost_nano = self.unpriced = 0
        self.readings: dict[str, Reading] = {}

    def on_record(self, record: Record) -> None:
        """Count a finished request; a microsecond and a half."""
        # Written out where a call would cost as much as what it does.
        add(self.totals, record)
        try:
            self.outcomes[record.format, record.outcome] += 1
        except KeyError:
            self.outcomes["other", record.outcome] += 1
        self.statuses[_CLASSES.get(record.status // 100, "none")] += 1
        total_ms = own_ms = record.total_ms
        for attempt in record.attempts:
            own_ms -= attempt.total_ms + attempt.wait_ms
            fault = attempt.fault
            if fault is None:
                self.answered += 1
            else:
                self.faults[fault if fault in self.faults else "other"] += 1
        times = self.total_ms
        times.counts[bisect_left(BUCKETS_MS, total_ms)] += 1
        times.sum_ms += total_ms
        times = self.own_ms
        times.counts[bisect_left(OWN_BUCKETS_MS, own_ms)] += 1
        if own_ms > 0.0:  # rounding
            times.sum_ms += own_ms
        usage = record.usage
        if usage.input is not None:
            self._count_tokens(record, usage)
        if record.first_token_ms is not None:
            self.first_token_ms.observe(record.first_token_ms)

    def _count_tokens(self, record: Record, usage: Usage) -> None:
        if usage.cache_read is not None:
            self.cached_tokens += usage.cache_read
        if record.cost_nano is not None:
            self.cost_nano += record.cost_nano
        else:
            self.unpriced += 1

    def read(self) -> list[tuple[Reading, Value]]:
        """Return what is registered and its values now. On the event loop, whose they are."""
        return [(reading, reading.read()) for reading in self.readings.values()]

    def register_gauge(
        self,
        name: str,
        help_: str,
        read: Callable[[], Value],
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
        read: Callable[[], Value],
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
