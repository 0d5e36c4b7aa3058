"""Says how the proxy is doing, to each who asks as much as they may know.

A stranger learns totals, uptime and one word. A caller also sees the upstreams, and only the
owner sees addresses, paths and what the configuration was corrected in.
"""

import msgspec

from llm_proxy.domain.status import StoreStatus, Totals, UpstreamStatus

from .context import DashboardContext
from .encode import to_json
from .sign_in import Caller

_ANSWERS = frozenset(("ready", "half_open"))
_COMES_BACK = frozenset(("ready", "half_open", "cooling"))


class PublicStatus(msgspec.Struct):
    """What anyone may know where the mode is `summary`.

    Attributes:
        version: The proxy's version.
        now_ms: Wall clock of the answer.
        started_at_ms: Wall clock of the start.
        uptime_s: Seconds between the two.
        state: `working`; `cooling`: some keys rest, others answer or will soon; `down`: no key
            can answer and none is known to come back; `draining`.
        totals: Counts since the records began.
        signed_in: Which of the two shapes this is.
    """

    version: str
    now_ms: int
    started_at_ms: int
    uptime_s: float
    state: str
    totals: Totals
    signed_in: bool = False


class CallerStatus(PublicStatus, kw_only=True):
    """What somebody with an access key sees besides."""

    store: StoreStatus
    generation: int
    upstreams: list[UpstreamStatus]
    in_flight: int
    repairs: list[str]
    warnings: list[str]
    listen: str
    key_hint: str
    capture_until_ms: int | None
    signed_in: bool = True


class Snapshot:
    """The proxy's state at one moment, encoded once per kind of reader.

    Attributes:
        at: Monotonic time, seconds.
        mark: Equal marks mean that nothing happened in between which is worth an event.
    """

    __slots__ = ("_bodies", "_context", "_in_flight", "_public", "_upstreams", "at", "mark")

    def __init__(self, context: DashboardContext) -> None:
        now_ms = context.wall_ms()
        self._context = context
        self._bodies: dict[Caller | None, bytes] = {}
        self._in_flight = context.in_flight()
        self._upstreams = context.upstreams()
        self._public = PublicStatus(
            version=context.version,
            now_ms=now_ms,
            started_at_ms=context.started_at_ms,
            uptime_s=max(0, now_ms - context.started_at_ms) / 1000,
            state=state_of(self._upstreams, is_draining=context.is_draining()),
            totals=context.totals(),
        )
        self.at = context.monotonic()
        self.mark = (
            context.feed.published,
            self._public.totals.requests,
            self._public.state,
            self._in_flight,
            context.generation(),
            context.control.capture_until_ms,
            tuple(key.state for upstream in self._upstreams for key in upstream.keys),
        )

    def body(self, caller: Caller | None) -> bytes:
        """Return the status as `caller` may see it, as JSON; None = a stranger."""
        body = self._bodies.get(caller)
        if body is None:
            body = self._bodies[caller] = to_json(self._seen_by(caller) if caller else self._public)
        return body

    def _seen_by(self, caller: Caller) -> CallerStatus:
        context, public = self._context, self._public
        store = context.store_status()
        return CallerStatus(
            version=public.version,
            now_ms=public.now_ms,
            started_at_ms=public.started_at_ms,
            uptime_s=public.uptime_s,
            state=public.state,
            totals=public.totals,
            store=store if caller.is_owner else msgspec.structs.replace(store, path=None),
            generation=context.generation(),
            upstreams=seen_upstreams(self._upstreams, caller),
            in_flight=self._in_flight,
            repairs=list(context.repairs) if caller.is_owner else [],
            warnings=list(context.warnings) if caller.is_owner else [],
            listen=context.listen,
            key_hint=caller.secret.hint,
            capture_until_ms=context.control.capture_until_ms,
        )


class Board:
    """Takes snapshots, and lets all open event streams share one.

    Args:
        context: The running proxy.
        max_age_s: How old a shared snapshot may be.
    """

    __slots__ = ("_context", "_last", "_max_age_s")

    def __init__(self, context: DashboardContext, max_age_s: float) -> None:
        self._context = context
        self._max_age_s = max_age_s
        self._last: Snapshot | None = None

    def fresh(self) -> Snapshot:
        """Return the state of this moment."""
        self._last = Snapshot(self._context)
        return self._last

    def shared(self) -> Snapshot:
        """Return a snapshot that may be `max_age_s` old."""
        last = self._last
        if last is None or self._context.monotonic() - last.at >= self._max_age_s:
            return self.fresh()
        return last


def seen_upstreams(upstreams: list[UpstreamStatus], caller: Caller) -> list[UpstreamStatus]:
    """Return the upstreams as `caller` may see them: addresses are the owner's business."""
    if caller.is_owner:
        return upstreams
    return [msgspec.structs.replace(upstream, address="") for upstream in upstreams]


def state_of(upstreams: list[UpstreamStatus], *, is_draining: bool) -> str:
    """Return the one word for everything; see `PublicStatus.state`."""
    states = {key.state for upstream in upstreams for key in upstream.keys}
    if is_draining:
        return "draining"
    if not states & _COMES_BACK:
        return "down"
    return "working" if states <= _ANSWERS else "cooling"
