"""What the page's server side may see of the running proxy: questions it asks, nothing it owns."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from llm_proxy.domain.filter import Filter
from llm_proxy.domain.record import Record
from llm_proxy.domain.secret import AccessKey
from llm_proxy.domain.status import StoreStatus, Totals, UpstreamStatus
from llm_proxy.domain.tally import Tally
from llm_proxy.policy.explain import Outlook
from llm_proxy.store.queries import FaultRow
from llm_proxy.store.search import Found

from .events import Feed
from .shapes import AlertTest, Captures, CaptureState, InFlight, KeyTest, SettingsShown


class History(Protocol):
    """The stored records, as `store.queries.RecordReader` reads them.

    Everything blocks and may raise StoreError; called in a thread.
    """

    def search(self, asked: Filter, limit: int, before_id: str | None = None) -> Found:
        """Return the newest records that match, or a piece of them."""

    def get(self, id: str) -> Record | None:  # noqa: A002 - the record's field is called so
        """Return one record, or None."""

    def tallies(self, from_ms: int, to_ms: int, step_ms: int) -> dict[int, Tally]:
        """Return what was counted, by the time at which each step begins."""

    def faults(self, since_ms: int, *, is_hourly: bool) -> list[FaultRow]:
        """Return what failed, by fault and key."""


class Control(Protocol):
    """What the owner may look at and do; on the event loop, from memory."""

    def in_flight(self) -> list[InFlight]:
        """Return the requests under way, oldest first."""

    def cancel(self, request_id: str) -> bool:
        """End a request; False = it is not under way."""

    def change_key(self, target_id: str, action: str) -> bool:
        """Take `reset`, `pause` or `resume` to a key; False = there is no such key."""

    async def test_key(self, target_id: str) -> KeyTest | None:
        """Ask a key's upstream whether it accepts it; None = there is no such key."""

    def capture(self, seconds: float) -> CaptureState:
        """Keep bodies for so long; 0 ends it."""

    def captured(self) -> Captures:
        """Return the bodies that are kept, secrets blanked."""

    @property
    def capture_until_ms(self) -> int | None:
        """When the capture ends; None = there is none."""

    async def test_alert(self) -> AlertTest:
        """Send a test alert and say what became of it."""

    def explain(self, model: str, format_: str) -> Outlook:
        """Return who would serve a model now, and why each other key would not."""

    def settings(self) -> SettingsShown:
        """Return the effective configuration, secrets masked."""


class DashboardContext(msgspec.Struct, kw_only=True):
    """Everything the page is made of, handed over by the composition root.

    The questions are asked on the event loop and must answer from memory within microseconds,
    apart from `history`, which reads the store and is called in a thread.

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
        history: The stored records.
        control: What the owner may do.
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
    history: History
    control: Control
    feed: Feed
    repairs: Sequence[str] = ()
    warnings: Sequence[str] = ()
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
