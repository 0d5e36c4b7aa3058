"""Makes OpenTelemetry's spans of ours and sends them to the collector."""

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as Made

from llm_proxy import __version__

from .conventions import Names
from .delivery import Delivery
from .spans import Exchange, Span

BATCH_SPANS = 512
"""Spans in one message, as the SDK's own processors have it."""


class _Ids(IdGenerator):
    """Gives out the ids that were worked out before."""

    def __init__(self) -> None:
        self.trace_id = self.span_id = 1

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class _Gathered(SpanProcessor):
    """Keeps the spans that are to be sent; those that the sampler leaves out never come here."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class SpanSender:
    """Everything about spans that is the SDK's.

    What is sampled, the limits of a span, the collector's address and how to get in follow the
    SDK's own variables.
    """

    def __init__(self, resource: Resource, names: Names) -> None:
        self._ids = _Ids()
        self._gathered = _Gathered()
        self._provider = TracerProvider(
            resource=resource, id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(self._gathered)
        self._tracer = self._provider.get_tracer(
            "llm-proxy", __version__, schema_url=names.schema or None
        )
        self._exporter = OTLPSpanExporter()
        self._delivery = Delivery("spans")

    def is_sampled(self, trace_id: int) -> bool:
        """Say whether a trace that begins here is recorded; the same answer each time."""
        decision = self._provider.sampler.should_sample(None, trace_id, "").decision
        return decision is Decision.RECORD_AND_SAMPLE

    def take(self, exchange: Exchange) -> None:
        """Build the spans of a request."""
        parent = exchange.parent
        above = Context()
        if parent is not None:
            flags = TraceFlags(parent.flags)
            of_client = SpanContext(
                parent.trace_id, parent.span_id, is_remote=True, trace_flags=flags
            )
            above = set_span_in_context(NonRecordingSpan(of_client), above)
        self._ids.trace_id = exchange.trace_id
        root = self._begin(exchange.span, SpanKind.SERVER, above)
        if root.is_recording():
            below = set_span_in_context(root, above)
            for attempt in exchange.attempts:
                _end(self._begin(attempt, SpanKind.CLIENT, below), attempt)
        _end(root, exchange.span)
        if len(self._gathered.spans) >= BATCH_SPANS:
            self.send()

    def send(self) -> None:
        """Send what was built; blocks while the collector is slow."""
        spans, self._gathered.spans = self._gathered.spans, []
        for start in range(0, len(spans), BATCH_SPANS):
            result = self._exporter.export(spans[start : start + BATCH_SPANS])
            self._delivery.went(well=result is SpanExportResult.SUCCESS)

    def close(self) -> None:
        """Give up the connection."""
        self._exporter.shutdown()

    def _begin(self, span: Span, kind: SpanKind, above: Context) -> Made:
        self._ids.span_id = span.span_id
        return self._tracer.start_span(
            span.name, above, kind, span.attributes, start_time=span.start_ns
        )


def _end(made: Made, span: Span) -> None:
    if span.is_failed:
        made.set_status(StatusCode.ERROR)
    made.end(span.end_ns)
