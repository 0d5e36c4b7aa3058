"""Measures attempts by the conventions for generative AI and sends the sums to the collector."""

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Counter, Histogram, Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource

from llm_proxy import __version__

from .conventions import OTHER_DURATION, SECONDS, TOKENS, Names
from .delivery import Delivery
from .spans import AttemptSpan, Value

MAX_MODELS = 200
"""Models that numbers are kept of by name. Only those that answered are: clients may ask for any
number of others."""
OTHER = "_OTHER"
STOP_MS = 2_000
"""How long the last numbers may take at the end."""

_LABELS = ("gen_ai.operation.name", "gen_ai.provider.name", "server.address", "server.port")
_INFERENCE = ("chat", "text_completion")


class _Exporter(OTLPMetricExporter):
    """Tells in our own words how it goes."""

    def __init__(self) -> None:
        super().__init__()
        self._delivery = Delivery("metrics")

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **more: object
    ) -> MetricExportResult:
        result = super().export(metrics_data, timeout_millis, **more)
        self._delivery.went(well=result is MetricExportResult.SUCCESS)
        return result


class NumberSender:
    """Everything about metrics that is the SDK's, with the thread that sends them now and then.

    How often, where to and how to get in follow the SDK's own variables.
    """

    def __init__(self, resource: Resource, names: Names) -> None:
        self._names = names
        reader = PeriodicExportingMetricReader(_Exporter())
        self._provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        meter = self._provider.get_meter("llm-proxy", __version__, schema_url=names.schema or None)
        self._times = {
            name: _times(meter, name)
            for name in {names.duration, names.first_chunk, OTHER_DURATION}
        }
        self._tokens = {
            name: _tokens(meter, name)
            for name in (names.both_tokens, names.input_tokens, names.output_tokens)
            if name
        }
        self._counters: dict[str, Counter] = {
            field: meter.create_counter(name, "{token}", "Tokens that upstreams reported.")
            for field, name in names.counters.items()
        }
        self._models: set[str] = set()

    def take(self, attempt: AttemptSpan) -> None:
        """Measure an attempt."""
        labels = self._labels(attempt)
        is_inference = attempt.operation in _INFERENCE
        seconds = (attempt.end_ns - attempt.start_ns) / 1e9
        failed: dict[str, Value] = {
            name: attempt.attributes[name] for name in ("error.type",) if name in attempt.attributes
        }
        duration = self._names.duration if is_inference else OTHER_DURATION
        self._times[duration].record(seconds, labels | failed)
        if attempt.first_chunk_s is not None:
            self._times[self._names.first_chunk].record(attempt.first_chunk_s, labels)
        if self._names.both_tokens:
            for kind, count in (("input", attempt.usage.input), ("output", attempt.usage.output)):
                if count is not None:
                    self._tokens[self._names.both_tokens].record(
                        count, labels | {"gen_ai.token.type": kind}
                    )
        elif is_inference:
            self._take_tokens(attempt, labels, failed)

    def close(self) -> None:
        """Send the last numbers and end."""
        self._provider.shutdown(timeout_millis=STOP_MS)

    def _take_tokens(
        self, attempt: AttemptSpan, labels: dict[str, Value], failed: dict[str, Value]
    ) -> None:
        names, usage = self._names, attempt.usage
        for name, count in ((names.input_tokens, usage.input), (names.output_tokens, usage.output)):
            if count is not None:
                self._tokens[name].record(count, labels | failed)
        for field, counter in self._counters.items():
            count = getattr(usage, field)
            if count is not None:
                # What was text, picture or sound among them is not known here.
                counter.add(count, labels | {"gen_ai.token.modality": "unknown"})

    def _labels(self, attempt: AttemptSpan) -> dict[str, Value]:
        given = attempt.attributes
        labels = {name: given[name] for name in _LABELS if name in given}
        model = given.get("gen_ai.request.model")
        if isinstance(model, str):
            if "error.type" not in given and len(self._models) < MAX_MODELS:
                self._models.add(model)
            labels["gen_ai.request.model"] = model if model in self._models else OTHER
        return labels


def _times(meter: Meter, name: str) -> Histogram:
    return meter.create_histogram(
        name, "s", "Time of a request to a model.", explicit_bucket_boundaries_advisory=SECONDS
    )


def _tokens(meter: Meter, name: str) -> Histogram:
    return meter.create_histogram(
        name,
        "{token}",
        "Tokens of a request to a model.",
        explicit_bucket_boundaries_advisory=TOKENS,
    )
