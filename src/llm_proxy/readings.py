"""Registers what others count and `/metrics` asks for at each scrape."""

from collections import Counter
from functools import partial

from llm_proxy.net.pool import Pools
from llm_proxy.net.server import Server
from llm_proxy.policy.report import STATES
from llm_proxy.proxy.core import Core
from llm_proxy.store.writer import RecordWriter
from llm_proxy.telemetry.log import LogSink
from llm_proxy.telemetry.metrics import Metrics


def register_readings(
    metrics: Metrics,
    *,
    core: Core,
    server: Server,
    pools: Pools,
    writer: RecordWriter,
    sink: LogSink,
) -> None:
    """Tell `metrics` whom to ask for what; all answer from memory."""
    gauge, counter = metrics.register_gauge, metrics.register_counter
    gauge("exchanges_in_flight", "Requests being served.", lambda: core.gate.in_flight)
    gauge("exchanges_waiting", "Requests that wait for a place.", lambda: core.gate.waiting)
    gauge("client_connections", "Open client connections.", lambda: len(server.connections))
    gauge(
        "upstream_connections",
        "Connections to upstreams.",
        lambda: dict(zip(("open", "idle"), pools.sizes(), strict=True)),
        label="state",
    )
    gauge("records_queued", "Records not written yet.", lambda: writer.status().queued)
    counter("records_written", "Records written.", lambda: writer.status().written)
    counter("records_dropped", "Records lost.", lambda: writer.status().dropped)
    counter("log_lines_dropped", "Log lines lost.", lambda: sink.dropped)
    counter(
        "requests_refused_early",
        "Requests refused before they became an exchange.",
        lambda: core.refused_early,
    )
    _register_keys(metrics, core)


def _register_keys(metrics: Metrics, core: Core) -> None:
    def states() -> dict[str, float]:
        found = Counter(
            key.state for one in core.board.statuses(core.loop.time()) for key in one.keys
        )
        return {state: found[state] for state in STATES}

    def sums(field: str) -> dict[str, float]:
        return {
            one.name: sum(getattr(key, field) for key in one.keys)
            for one in core.board.statuses(core.loop.time())
        }

    metrics.register_gauge("keys", "Upstream keys by state.", states, label="state")
    for name, help_, field in (
        ("upstream_attempts", "Attempts at an upstream.", "attempts"),
        ("upstream_failures", "Attempts that failed, rate limits included.", "failures"),
        ("upstream_rate_limited", "Attempts that met a rate limit.", "rate_limited"),
    ):
        metrics.register_counter(name, help_, partial(sums, field), label="upstream")
    metrics.register_gauge(
        "upstream_in_flight", "Attempts under way.", partial(sums, "in_flight"), label="upstream"
    )
