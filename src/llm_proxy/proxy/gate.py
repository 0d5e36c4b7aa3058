"""How many requests are served at once; the rest wait a short while, in order."""

import asyncio
from collections import OrderedDict

WAIT_S = 5.0
"""Long enough for a burst to pass, short enough for the client to hear of it in time."""


class Gate:
    """Counts requests in flight.

    Attributes:
        in_flight: Inside the gate.
    """

    __slots__ = ("_limit", "_loop", "_queue", "in_flight")

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self._loop = loop
        self._limit = limit
        self._queue: OrderedDict[asyncio.Future[bool], None] = OrderedDict()
        self.in_flight = 0

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return sum(not place.done() for place in self._queue)

    def enter(self) -> bool:
        """Take a place; False: full, `wait` for one."""
        if self.in_flight >= self._limit or self._queue:
            return False
        self.in_flight += 1
        return True

    def wait(self, limit_s: float) -> "asyncio.Future[bool]":
        """Return a future that says whether a place was given; resolve it with False to leave.

        As many may wait as may be served; beyond that the answer is no at once. Nobody waits for
        longer than `limit_s` or WAIT_S.
        """
        place: asyncio.Future[bool] = self._loop.create_future()
        if len(self._queue) >= self._limit:
            place.set_result(False)
            return place
        self._queue[place] = None
        place.add_done_callback(self._strike_off)  # who has left takes nobody's place in the line
        self._loop.call_later(max(0.0, min(WAIT_S, limit_s)), self._expire, place)
        return place

    def leave(self) -> None:
        """Give the place to the next one that still waits."""
        while self._queue:
            place, _ = self._queue.popitem(last=False)
            if not place.done():
                place.set_result(True)
                return
        self.in_flight -= 1

    def _strike_off(self, place: "asyncio.Future[bool]") -> None:
        self._queue.pop(place, None)

    @staticmethod
    def _expire(place: "asyncio.Future[bool]") -> None:
        if not place.done():
            place.set_result(False)
