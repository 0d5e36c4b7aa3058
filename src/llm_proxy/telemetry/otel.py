"""Tells an OpenTelemetry collector of finished requests, by OTLP over HTTP.

Imported only where a collector's address is set, as the SDK costs time and memory. The event loop
does no more than append to a bounded queue and, for each attempt, work out one header; a thread
builds spans and numbers, batch by batch, and sends them. A collector that is away or slow holds up
that thread alone: the queue fills, the oldest requests are left out and counted. Trouble and its
end are said once each, in our own words: the SDK's may quote addresses and what was sent.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from opentelemetry.sdk.resources import Resource

from llm_proxy import __version__
from llm_proxy.domain.record import Attempt, Record

from .conventions import Names
from .otel_numbers import NumberSender
from .otel_spans import SpanSender
from .spans import Exchange, Peer, exchange_of
from .trace import Fields, Parent, lines_up, parent_of

QUEUE_RECORDS = 4_096
"""Finished requests that may wait for the collector."""
BATCH_RECORDS = 128
"""Requests after which no further ones are waited for."""

_SAY_DROPS_S = 60.0
_log = logging.getLogger("llm_proxy.otel")


class Otel:
    """The queue, the thread and the SDK's objects behind them.

    Args:
        names: Which conventions to follow.
        peers: Upstreams by name.
        has_traces: Whether spans are sent.
        has_metrics: Whether numbers are sent.
        gather_s: How long spans gather before they are sent.
        clock: Monotonic seconds.

    Attributes:
        dropped: Requests that were left out because the collector did not keep up.
    """

    def __init__(
        self,
        names: Names,
        peers: Mapping[str, Peer],
        *,
        has_traces: bool,
        has_metrics: bool,
        gather_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Every failure would be a line of theirs, with addresses in it; ours are below.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        logging.getLogger("urllib3").setLevel(logging.WARNING)
        self._names = names
        self._peers = peers
        self._gather_s = gather_s
        self._clock = clock
        resource = _resource()
        self._spans = SpanSender(resource, names) if has_traces else None
        self._numbers = NumberSender(resource, names) if has_metrics else None
        self._queue: deque[tuple[Record, Parent | None]] = deque(maxlen=QUEUE_RECORDS)
        self._submitted = self._taken = 0
        self._told = 0
        self._tell_at = clock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="otel", daemon=True)

    @property
    def dropped(self) -> int:
        """Requests that were left out."""
        submitted = self._submitted
        return max(0, submitted - len(self._queue) - self._taken)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def use(self, peers: Mapping[str, Peer]) -> None:
        """Take over the upstreams of a new configuration."""
        self._peers = peers

    def lines_up(self, request_id: str, headers: Fields, earlier: Sequence[Attempt]) -> bytes:
        """Return the header lines that make an upstream's span the next attempt's child.

        Where no spans are sent, the client's own stay as they are: empty.
        """
        if self._spans is None:
            return b""
        return lines_up(request_id, headers, earlier, self._spans.is_sampled)

    def submit(self, record: Record, headers: Fields) -> None:
        """Queue a finished request; never blocks. One thread only: the event loop's.

        Args:
            record: Must not change afterwards.
            headers: The client's, of which only the parent's span is kept.
        """
        self._queue.append((record, parent_of(headers)))
        self._submitted += 1
        self._wake.set()

    def stop(self, timeout_s: float) -> bool:
        """Send what is left and end; blocks for at most `timeout_s`. Say whether all was sent."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
            if not self._stopping:
                self._wait(self._gather_s)
            self._send()
        self._send()
        for part in (self._spans, self._numbers):
            if part is not None:
                part.close()

    def _wait(self, seconds: float) -> None:
        """Let requests gather, unless the end has come."""
        ends_at = self._clock() + seconds
        while not self._stopping and len(self._queue) < BATCH_RECORDS:
            left_s = ends_at - self._clock()
            if left_s <= 0:
                return
            self._wake.wait(left_s)
            self._wake.clear()

    def _send(self) -> None:
        queue = self._queue
        while queue:
            record, parent = queue.popleft()
            self._taken += 1
            try:
                self._take(exchange_of(record, parent, self._peers, self._names))
            except Exception as error:  # noqa: BLE001 - keeps later requests coming after a bug
                _log.error("a request could not be told: %s", type(error).__name__)
            # The event loop must not wait for this thread's next five milliseconds.
            time.sleep(0)
        if self._spans is not None:
            self._spans.send()
        self._tell_drops()

    def _take(self, exchange: Exchange) -> None:
        if self._spans is not None:
            self._spans.take(exchange)
        if self._numbers is not None:
            for attempt in exchange.attempts:
                if attempt.operation:
                    self._numbers.take(attempt)

    def _tell_drops(self) -> None:
        dropped = self.dropped
        if dropped > self._told and self._clock() >= self._tell_at:
            _log.warning("%d requests were left out for the collector", dropped - self._told)
            self._told = dropped
            self._tell_at = self._clock() + _SAY_DROPS_S


def _resource() -> Resource:
    """Return who we are; what the environment says of it wins."""
    found = Resource.create({"service.version": __version__})
    if str(found.attributes.get("service.name", "")).startswith("unknown_service"):
        found = found.merge(Resource({"service.name": "llm-proxy"}))
    return found
