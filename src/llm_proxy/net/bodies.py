"""Space for request bodies, shared by all connections of a process."""

from collections import deque
from collections.abc import Callable

from llm_proxy.domain.errors import RequestError


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
        self._queue: deque[BodyShare] = deque()
        self.used_bytes = 0

    def reserve(self, waiting: "BodyShare", size: int) -> bool:
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


class BodyShare:
    """What one connection's body takes of the space.

    Attributes:
        wants_bytes: What it waits for; 0 = it waits for nothing.
    """

    __slots__ = ("_on_space", "_reserved", "_space", "wants_bytes")

    def __init__(self, space: BodySpace, on_space: Callable[[], None]) -> None:
        self._space = space
        self._on_space = on_space
        self._reserved = 0
        self.wants_bytes = 0

    def cover(self, size: int) -> bool:
        """Have `size` bytes in all; False: `on_space` is called once they are there."""
        missing = size - self._reserved
        if missing <= 0 or self.wants_bytes:
            return not self.wants_bytes
        if self._space.reserve(self, missing):
            self._reserved += missing
            return True
        self.wants_bytes = missing
        return False

    def go_on(self) -> None:
        """Called by the space: what was wanted is reserved."""
        is_wanted = self.wants_bytes > 0
        self._reserved += self.wants_bytes
        self.wants_bytes = 0
        if is_wanted:
            self._on_space()

    def release(self) -> None:
        """Give everything back, and want nothing more."""
        self.wants_bytes = 0
        if self._reserved:
            size, self._reserved = self._reserved, 0
            self._space.release(size)


def too_large(limit_bytes: int) -> RequestError:
    """Return the refusal of a body that is larger than `limit_bytes`."""
    limit_mb = limit_bytes // (1024 * 1024)
    words = f"the request body is larger than {limit_mb} MB (MAX_BODY_MB)"
    return RequestError(413, words, code="request_too_large")
