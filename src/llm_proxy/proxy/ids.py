"""Request ids: unique over restarts and machines, sorted by time, cheap to make."""

import secrets
from collections.abc import Callable

from llm_proxy.domain.record_id import TIME_LENGTH, base32


class Ids:
    """Makes ids of 26 characters: time (10), this process (10, random), counter (6).

    The shape is that of a ULID, in Crockford's alphabet.
    """

    __slots__ = ("_at_ms", "_count", "_process", "_start", "_wall_ms")

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._process = base32(secrets.randbits(50), 10)
        self._count = 0
        self._at_ms = 0
        self._start = ""

    def next(self) -> tuple[str, int]:
        """Return a new id and the wall clock's milliseconds in it."""
        now = self._wall_ms()
        if now != self._at_ms:
            self._at_ms = now
            self._start = base32(now, TIME_LENGTH) + self._process
        self._count += 1
        return f"{self._start}{self._count & 0xFFFFFF:06X}", now
