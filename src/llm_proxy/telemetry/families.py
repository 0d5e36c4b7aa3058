"""Turns the counters into Prometheus metric families.

Imports the Prometheus library, so only `exposition.render` may import this file, and late.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from .metrics import Histogram, Metrics, Reading, Value

_PREFIX = "llm_proxy_"
_TOKENS = ("input", "output", "cached")


def text_of(metrics: Metrics, values: Sequence[tuple[Reading, Value]]) -> bytes:
    """Return everything in the text format, with the process's memory, CPU and descriptors."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Families(metrics, values))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class Families(Collector):
    """All metric families of one `Metrics`, in a stable order."""

    def __init__(self, metrics: Metrics, values: Sequence[tuple[Reading, Value]]) -> None:
        self._metrics = metrics
        self._values = values

    def collect(self) -> Iterator[Metric]:
        """Yield the families; called by the library at each scrape."""
        metrics, totals = self._metrics, self._metrics.totals
        yield _counter(
            "requests",
            "Finished requests, as their clients saw them.",
            ("format", "outcome"),
            ((key, count) for key, count in metrics.outcomes.items()),
        )
        yield _counter(
            "responses",
            "Finished requests by class of the status their clients got.",
            ("status",),
            (((status,), count) for status, count in metrics.statuses.items()),
        )
        yield _counter(
            "attempts",
            "Attempts at upstreams by the fault they met; `none` answered.",
            ("fault",),
            (((fault,), n) for fault, n in [("none", metrics.answered), *metrics.faults.items()]),
        )
        yield _counter(
            "rescued", "Requests that succeeded after a failed attempt.", (), [((), totals.rescued)]
        )
        yield _counter(
            "tokens",
            "Tokens that upstreams reported; cached ones are a part of the input.",
            ("direction",),
            zip(
                ((name,) for name in _TOKENS),
                (totals.input_tokens, totals.output_tokens, metrics.cached_tokens),
                strict=True,
            ),
        )
        yield _counter(
            "cost_dollars",
            "Costs of the requests whose price is known.",
            (),
            [((), metrics.cost_nano / 1e9)],
        )
        yield _counter(
            "unpriced",
            "Requests whose tokens are known, but not their price.",
            (),
            [((), metrics.unpriced)],
        )
        yield from self._times()
        for reading, value in self._values:
            yield _reading(reading, value)

    def _times(self) -> Iterator[Metric]:
        metrics = self._metrics
        yield _histogram(
            "request_seconds", "From a request's arrival to its end.", metrics.total_ms
        )
        yield _histogram(
            "first_token_seconds",
            "From a request's arrival to the first content of its stream.",
            metrics.first_token_ms,
        )
        yield _histogram(
            "own_seconds",
            "The proxy's own part of a request's time: without attempts and waits.",
            metrics.own_ms,
        )


def _counter(
    name: str,
    help_: str,
    labels: tuple[str, ...],
    values: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    family = CounterMetricFamily(_PREFIX + name, help_, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family


def _histogram(name: str, help_: str, histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(_PREFIX + name, help_)
    so_far = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*histogram.bounds_ms, None), histogram.counts, strict=True):
        so_far += count
        buckets.append(("+Inf" if bound is None else repr(bound / 1000), so_far))
    family.add_metric((), buckets, histogram.sum_ms / 1000)
    return family


def _reading(reading: Reading, value: Value) -> Metric:
    kind = CounterMetricFamily if reading.is_counter else GaugeMetricFamily
    family = kind(
        _PREFIX + reading.name, reading.help, labels=[reading.label] if reading.label else ()
    )
    if isinstance(value, Mapping):
        for label_value, one in value.items():
            family.add_metric([label_value], one)
    else:
        family.add_metric((), value)
    return family
