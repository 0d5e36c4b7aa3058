"""One clockwork for thousands of deadlines that almost never come.

A request moves several deadlines (head, first byte, idle, keep-alive). A loop timer for each costs
more than the parsing it guards, so items sit in coarse buckets, a later deadline is only a number
on the item, and a bucket that comes due looks at the number. Idle connections cost nothing but
their place; an empty wheel does not tick.

Budget: moving a deadline to later 0.1 µs, to earlier 0.4 µs. Resolution: TICK_S, always late.
"""

import asyncio
from typing import Protocol

TICK_S = 0.05


class Timed(Protocol):
    """Something with one deadline.

    Attributes:
        due: Loop time of the deadline; 0 = none.
        slot: The bucket it sits in; 0 = none. Only the wheel writes it.
    """

    due: float
    slot: int

    def on_due(self, now: float) -> None:
        """The deadline passed. The item is out of the wheel; it may be armed again."""


class Wheel:
    """All deadlines of one event loop."""

    __slots__ = ("_buckets", "_handle", "_loop", "_next")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buckets: dict[int, set[Timed]] = {}
        self._handle: asyncio.TimerHandle | None = None
        self._next = 0

    def arm(self, item: Timed, due: float) -> None:
        """Set the deadline of `item` to loop time `due`, wherever it stood before."""
        item.due = due
        slot = int(due / TICK_S) + 1
        if item.slot:
            if item.slot <= slot:
                return  # its bucket comes earlier and will look at `due` again
            self._buckets[item.slot].discard(item)
        item.slot = slot
        bucket = self._buckets.get(slot)
        if bucket is None:
            self._buckets[slot] = {item}
            if self._handle is None or slot < self._next:
                self._schedule(slot)
        else:
            bucket.add(item)

    def disarm(self, item: Timed) -> None:
        """Take `item` out; its deadline never comes."""
        item.due = 0.0
        if item.slot:
            bucket = self._buckets.get(item.slot)
            if bucket is not None:
                bucket.discard(item)
            item.slot = 0

    def close(self) -> None:
        """Forget everything."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._buckets.clear()

    def _schedule(self, slot: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._next = slot
        self._handle = self._loop.call_at(slot * TICK_S, self._tick)

    def _tick(self) -> None:
        self._handle = None
        now = self._loop.time()
        # The loop may wake a hair early; a bucket is due when its slot's time is reached.
        current = int(now / TICK_S + 0.01)
        try:
            for slot in [slot for slot in self._buckets if slot <= current]:
                self._empty(slot, now)
        finally:  # a bug of one item, which the loop reports, must not stop all others
            if self._buckets:
                self._schedule(min(self._buckets))

    def _empty(self, slot: int, now: float) -> None:
        bucket = self._buckets[slot]
        while bucket:
            item = bucket.pop()
            item.slot = 0
            if not item.due:
                continue
            if item.due > now:
                self.arm(item, item.due)
            else:
                item.due = 0.0
                item.on_due(now)
        self._buckets.pop(slot, None)
