"""Writes the counters down as Prometheus reads them."""

from .metrics import Metrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(metrics: Metrics) -> bytes:
    """Return all counters as text of type `CONTENT_TYPE`.

    The Prometheus library is imported by the first call, not at the start, as most installations
    are never scraped. That call takes some tens of milliseconds: make it in an executor.
    """
    from .families import text_of  # noqa: PLC0415 - late on purpose, see above

    return text_of(metrics)
