"""An OpenTelemetry collector: takes OTLP over HTTP and reads it with the official classes."""

import gzip
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import msgspec
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue


class Seen(msgspec.Struct):
    """One span as it arrived; ids in hexadecimal."""

    name: str
    trace: str
    id: str
    parent: str
    kind: str
    status: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]


class Point(msgspec.Struct):
    """One series of a metric."""

    count: int
    sum: float
    attributes: dict[str, Any]


KINDS = {2: "server", 3: "client"}
STATUSES = {0: "", 1: "ok", 2: "error"}


class Collector:
    """A server in a thread.

    Attributes:
        bodies: What came, as bytes, without the compression.
        headers: The header fields of each message.
        spans: In order of arrival.
        points: The newest of each metric.
        resource: What the sender says of itself.
        status: What it answers.
    """

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.spans: list[Seen] = []
        self.points: dict[str, list[Point]] = {}
        self.resource: dict[str, Any] = {}
        self.status = 200
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.take(self.path, dict(self.headers.items()), body)
                self.send_response(collector.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_request(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    @property
    def url(self) -> str:
        """Return its base address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Read a message."""
        self.bodies.append(body)
        self.headers.append(headers)
        if self.status != 200:
            return
        if path == "/v1/traces":
            self._take_spans(ExportTraceServiceRequest.FromString(body))
        else:
            assert path == "/v1/metrics", path
            self._take_points(ExportMetricsServiceRequest.FromString(body))

    def _take_spans(self, message: Any) -> None:
        for of_resource in message.resource_spans:
            self.resource = plain(of_resource.resource.attributes)
            for scope in of_resource.scope_spans:
                assert scope.scope.name == "llm-proxy"
                self.spans += [
                    Seen(
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        KINDS[span.kind],
                        STATUSES[span.status.code],
                        span.start_time_unix_nano,
                        span.end_time_unix_nano,
                        plain(span.attributes),
                    )
                    for span in scope.spans
                ]

    def _take_points(self, message: Any) -> None:
        for of_resource in message.resource_metrics:
            for scope in of_resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.HasField("histogram"):
                        points = [
                            Point(one.count, one.sum, plain(one.attributes))
                            for one in metric.histogram.data_points
                        ]
                    else:
                        points = [
                            Point(1, one.as_int, plain(one.attributes))
                            for one in metric.sum.data_points
                        ]
                    self.points[metric.name] = points

    def wait(self, is_true: Callable[[], bool], timeout_s: float = 15.0) -> None:
        """Return as soon as `is_true()`."""
        ends_at = time.monotonic() + timeout_s
        while not is_true():
            assert time.monotonic() < ends_at, (self.spans, self.points)
            time.sleep(0.01)

    def exchange(self, request_id: str | None) -> tuple[Seen, list[Seen]]:
        """Return the spans of a request, its own and its attempts', waiting for them."""

        def own() -> list[Seen]:
            return [
                one
                for one in list(self.spans)
                if one.attributes.get("llm_proxy.request_id") == request_id
            ]

        self.wait(lambda: bool(own()))
        (found,) = own()
        below = [one for one in self.spans if one.parent == found.id]
        return found, sorted(below, key=lambda one: one.start_ns)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def plain(pairs: "list[KeyValue]") -> dict[str, Any]:
    """Return attributes as a dict."""
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}
