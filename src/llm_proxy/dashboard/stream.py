"""Keeps an open page up to date: one stream of server-sent events per page.

Each stream comes by a few times a second, takes what the feed has that is new, and writes it in
one piece; nothing is written while its client does not read. So a page costs at most
`1 / TICK_S` writes a second under any load, holds no queue, and can slow nobody down. What it
could not take in time it is told to fetch again: `event: resync`.

A stream ends when its caller's key or session does, and when the proxy drains.
"""

import asyncio
import logging

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from llm_proxy.domain.errors import StoreError

from .answer import Problem
from .context import DashboardContext
from .events import record_event
from .records import is_record_id, newest
from .sign_in import Caller, Gate
from .status import Board

TICK_S = 0.25
"""How late an event may be; the page draws four times a second."""
STATUS_MIN_S = 0.5
STATUS_MAX_S = 5.0
HEARTBEAT_S = 15.0
"""Below the idle limit of the usual reverse proxies, 30 to 60 s."""
CATCH_UP = 50
"""Records sent at once: what the page's list shows."""
MAX_STREAMS = 64
MAX_STRANGERS = 32
"""Of these, streams without sign-in: strangers cannot keep the owner out."""

_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_RETRY = b"retry: 3000\n\n"
_RESYNC = b"event: resync\ndata: {}\n\n"
_HEARTBEAT = b": still here\n\n"

_log = logging.getLogger(__name__)


class Seats:
    """Counts the open streams."""

    __slots__ = ("strangers", "taken")

    def __init__(self) -> None:
        self.taken = 0
        self.strangers = 0

    def take(self, caller: Caller | None) -> None:
        """Take a seat.

        Raises:
            Problem: 503, all are taken.
        """
        is_stranger = caller is None
        if self.taken >= MAX_STREAMS or (is_stranger and self.strangers >= MAX_STRANGERS):
            raise Problem(503, "too many open pages; close one", {"Retry-After": "10"})
        self.taken += 1
        self.strangers += is_stranger

    def leave(self, caller: Caller | None) -> None:
        """Give it back."""
        self.taken -= 1
        self.strangers -= caller is None


class EventStream:
    """One page's stream; an ASGI application that answers once.

    Args:
        context: The running proxy.
        gate: Asked at each tick whether the caller still is one.
        board: The shared snapshots.
        seats: One is taken as long as the stream is open.
        request: The request that opens it.
        caller: Who sent it; None = a stranger, who gets the public status and nothing else.
    """

    __slots__ = (
        "_beat_at",
        "_board",
        "_caller",
        "_context",
        "_cursor",
        "_gate",
        "_mark",
        "_request",
        "_seats",
        "_status_at",
    )

    def __init__(
        self,
        context: DashboardContext,
        gate: Gate,
        board: Board,
        *,
        seats: Seats,
        request: Request,
        caller: Caller | None,
    ) -> None:
        self._context = context
        self._gate = gate
        self._board = board
        self._seats = seats
        self._request = request
        self._caller = caller
        self._cursor = context.feed.published
        self._mark: object = None
        self._status_at = float("-inf")
        self._beat_at = context.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with events until the client leaves, its access ends or the proxy drains."""
        self._seats.take(self._caller)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            if scope["method"] == "HEAD" or await self._is_ours_to_end(receive, send):
                await send({"type": "http.response.body", "body": b""})
        finally:
            self._seats.leave(self._caller)

    async def _is_ours_to_end(self, receive: Receive, send: Send) -> bool:
        """Write events until there are no more or nobody is there; False = the client left."""
        async with asyncio.TaskGroup() as group:
            leaving = group.create_task(_until_gone(receive))
            writing = group.create_task(self._write(send))
            await asyncio.wait((leaving, writing), return_when=asyncio.FIRST_COMPLETED)
            is_there = not leaving.done()
            leaving.cancel()
            writing.cancel()
        return is_there

    async def _write(self, send: Send) -> None:
        caught_up = await self._catch_up()
        await send(_piece(_RETRY + caught_up))
        while self._gate.still_admits(self._caller, self._request.headers):
            is_last = self._context.is_draining()
            piece = self._news() + self._status(is_last=is_last) + self._heartbeat()
            if piece:
                await send(_piece(piece))
            if is_last:
                break
            await self._context.pause(TICK_S)

    async def _catch_up(self) -> bytes:
        """Return what a returning page missed while it was away, and set the cursor behind it."""
        last_id = self._request.headers.get("last-event-id", "")
        if self._caller is None or not is_record_id(last_id):
            return b""
        cursor = self._context.feed.cursor_at(last_id)
        if cursor is not None:
            self._cursor = cursor
            return b""
        try:
            found = await newest(self._context, self._caller.filter(), CATCH_UP)
        except StoreError:
            _log.warning("a page could not catch up: the records cannot be read", exc_info=True)
            return _RESYNC
        self._cursor = self._context.feed.published  # no await since `newest` read the ring
        missed = [record for record in reversed(found.records) if record.id > last_id]
        # What had arrived before that record but finished after it cannot be told apart here.
        return _RESYNC + b"".join(map(record_event, missed))

    def _news(self) -> bytes:
        caller, feed = self._caller, self._context.feed
        if caller is None or self._cursor == feed.published:
            return b""
        entries, is_gap = feed.since(self._cursor)
        self._cursor = feed.published
        events = [entry.event for entry in entries if caller.sees(entry.record)]
        if len(events) > CATCH_UP:
            is_gap = True
            events = events[-CATCH_UP:]
        return (_RESYNC if is_gap else b"") + b"".join(events)

    def _status(self, *, is_last: bool) -> bytes:
        snapshot = self._board.fresh() if is_last else self._board.shared()
        age_s = self._context.monotonic() - self._status_at
        if age_s < STATUS_MIN_S and not is_last:
            return b""
        if age_s < STATUS_MAX_S and snapshot.mark == self._mark:
            return b""
        self._mark = snapshot.mark
        self._status_at = self._context.monotonic()
        return b"event: status\ndata: %b\n\n" % snapshot.body(self._caller)

    def _heartbeat(self) -> bytes:
        now = self._context.monotonic()
        if now - self._beat_at < HEARTBEAT_S:
            return b""
        self._beat_at = now
        return _HEARTBEAT


def _piece(data: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": data, "more_body": True}


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
