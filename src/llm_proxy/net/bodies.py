"""Space for request bodies, shared by all connections of a process."""

from collections import deque
from typing import Protocol


class Waiting(Protocol):
    """A connection that waits for space.

    Attributes:
        wants_bytes: How much; 0 once it needs none any more.
    """

    wants_bytes: int

    def go_on(self) -> None:
        """The space is reserved."""


class BodySpace:
    """Counts the bytes of large bodies; when they are too many, the next ones wait in order.

    A body with a known length reserves all of it before a byte is read, so that bodies that are
    half there never block each other. One body always fits, however large the limit allows it.

    Attributes:
        used_bytes: Reserved right now.
    """

    __slots__ = ("_limit_bytes", "_queue", "used_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._queue: deque[Waiting] = deque()
        self.used_bytes = 0

    def reserve(self, waiting: Waiting, size: int) -> bool:
        """Take `size` bytes; False: `waiting` is queued and told by `go_on`."""
        if self._queue or not self._fits(size):
            self._queue.append(waiting)
            return False
        self.used_bytes += size
        return True

    def release(self, size: int) -> None:
        """Give `size` bytes back and let those in who fit now."""
        self.used_bytes -= size
        while self._queue and self._fits(self._queue[0].wants_bytes):
            waiting = self._queue.popleft()
            self.used_bytes += waiting.wants_bytes
            waiting.go_on()

    def _fits(self, size: int) -> bool:
        return not self.used_bytes or self.used_bytes + size <= self._limit_bytes
