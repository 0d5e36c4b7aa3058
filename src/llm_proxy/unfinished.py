"""What was under way when the process was killed gets its record after the next start.

A request leaves its record when it ends, which `kill -9` or a power cut prevents. So those that
have run for a while are noted down, as far as they have come; a clean stop notes that there are
none. What a start finds noted and nowhere recorded was lost on the way, and its record says so.
Requests that were younger leave nothing behind: noting down each of them would cost them all.

Nothing of it is on the way of a request. Cost: 0.1 us per request under way, every LOOK_S, and
5 us per request noted down, which happens only where other requests run than at the last look.
"""

import asyncio

import msgspec

from llm_proxy.domain.faults import SHUT_DOWN
from llm_proxy.domain.record import Outcome, Record
from llm_proxy.proxy.core import Core
from llm_proxy.proxy.finish import record_of
from llm_proxy.store.queries import RecordReader
from llm_proxy.store.writer import RecordWriter

LOOK_S = 2.0
LONG_S = 1.0
"""Requests that run for longer are noted down."""
MAX_NOTED = 500
"""So many at most, the oldest: 3 ms of the loop's time."""
STATE = "unfinished"
SAYS = "the proxy was killed while this request was under way; how it ended is unknown"


class Unfinished:
    """The requests that are noted down."""

    __slots__ = ("_core", "_noted", "_writer")

    def __init__(self, core: Core, writer: RecordWriter) -> None:
        self._core = core
        self._writer = writer
        self._noted: list[str] | None = None

    async def keep_noted(self) -> None:
        """Note down what runs, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.note()

    def note(self) -> None:
        """Note down what has run for a while."""
        before = self._core.clock() - LONG_S
        running = [one for one in self._core.exchanges if one.started < before]
        if len(running) > MAX_NOTED:
            running = sorted(running, key=lambda one: one.started)[:MAX_NOTED]
        ids = sorted([one.visit.id for one in running])
        if ids != self._noted:
            self._noted = ids
            records = [record_of(one, one.client.sent_bytes) for one in running]
            self._writer.save_state(STATE, msgspec.json.encode(records))

    def lost(self, reader: RecordReader) -> list[Record]:
        """Return the records of requests that a process which was killed has left unfinished.

        Raises:
            StoreError: The store cannot be read.
            ValueError: What was noted down cannot be read.
        """
        data = self._writer.load_state(STATE)
        try:
            noted = msgspec.json.decode(data or b"[]", type=list[Record])
        except msgspec.DecodeError as error:
            raise ValueError(f"unfinished requests cannot be read: {error}") from error
        return [_told(one) for one in noted if reader.get(one.id) is None]


def _told(record: Record) -> Record:
    """Return a record as far as it had come, with what is known of its end."""
    record.outcome = Outcome.CUT if record.status else Outcome.UPSTREAM_ERROR
    record.error = SAYS
    for attempt in record.attempts[-1:]:
        if attempt.fault is None:
            attempt.fault, attempt.cost = SHUT_DOWN.name, "unknown"
            attempt.reason = "the proxy was killed"
    return record
