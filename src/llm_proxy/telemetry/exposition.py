"""Writes the counters down as Prometheus reads them."""

from collections.abc import Sequence

from .metrics import Metrics, Reading, Value

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(metrics: Metrics, values: Sequence[tuple[Reading, Value]]) -> bytes:
    """Return all counters as text of type `CONTENT_TYPE`.

    Args:
        metrics: What was counted.
        values: What `metrics.read()` has just returned, on the event loop.

    The Prometheus library is imported by the first call, not at the start, as most installations
    are never scraped. That call takes some tens of milliseconds: make it in an executor.
    """
    from .families import text_of  # noqa: PLC0415 - late on purpose, see above

    return text_of(metrics, values)
