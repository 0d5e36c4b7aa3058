"""What the page's server side may see of the running proxy: questions it asks, nothing it owns."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from llm_proxy.domain.record import Record
from llm_proxy.domain.secret import AccessKey
from llm_proxy.domain.status import StoreStatus, Totals, UpstreamStatus

from .events import Feed


class DashboardContext(msgspec.Struct, kw_only=True):
    """Everything the page is made of, handed over by the composition root.

    The questions are asked on the event loop and must answer from memory within microseconds,
    apart from `latest` and `get`, which read the store and are called in a thread.

    Attributes:
        mode: `summary` (anyone sees totals) or `private` (all needs the access key).
        access_keys: The keys of the current configuration; the first is the owner's. The same
            tuple must come back until a reload changes it.
        version: The proxy's version.
        listen: Where it listens, `http://0.0.0.0:8000`.
        data_dir: Where the session secret is kept; None = nowhere, sign-ins end with the process.
        started_at_ms: Wall clock of the start.
        wall_ms: Wall clock, milliseconds since 1970.
        monotonic: Monotonic clock, seconds.
        pause: Waits so many seconds.
        totals: Counts since the records began.
        store_status: State of the record store.
        upstreams: State of every upstream and key.
        in_flight: Requests under way.
        is_draining: Whether the proxy is shutting down.
        generation: Number of the configuration, raised by every reload.
        repairs: What the configuration's values were corrected in; replaced by a reload.
        warnings: What `check` would warn of; replaced by a reload.
        latest: `(limit, before_id, caller)` → records newest first, older than `before_id` where
            given, of `caller` alone where given. May raise StoreError.
        get: Record by its id, or None. May raise StoreError.
        feed: The records that finished lately.
    """

    mode: str
    access_keys: Callable[[], tuple[AccessKey, ...]]
    version: str
    listen: str
    data_dir: Path | None
    started_at_ms: int
    wall_ms: Callable[[], int]
    monotonic: Callable[[], float]
    totals: Callable[[], Totals]
    store_status: Callable[[], StoreStatus]
    upstreams: Callable[[], list[UpstreamStatus]]
    in_flight: Callable[[], int]
    is_draining: Callable[[], bool]
    generation: Callable[[], int]
    latest: Callable[[int, str | None, str | None], list[Record]]
    get: Callable[[str], Record | None]
    feed: Feed
    repairs: Sequence[str] = ()
    warnings: Sequence[str] = ()
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
