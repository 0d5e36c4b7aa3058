"""Remembers the requests that finished last, for everybody who watches.

The proxy publishes every record here, whether or not a page is open, so publishing is an append
to a bounded ring and nothing else: no queue per watcher, nobody is woken. A watcher keeps a
cursor, comes by a few times a second and takes what is new. So twenty open pages cost the same
whatever the load, and a watcher that comes late finds a gap, is told so, and reloads; it never
makes the proxy hold more.
"""

from collections import deque
from itertools import islice

from llm_proxy.domain.record import Record

from .encode import to_json

RING_SIZE = 200
"""Four screens of the page's list; at 600 bytes a record the ring stays below 1 MB."""


class Entry:
    """A published record; its event is encoded once for all watchers, and only if there are any.

    Attributes:
        record: The record; no longer changed.
    """

    __slots__ = ("_event", "record")

    def __init__(self, record: Record) -> None:
        self.record = record
        self._event = b""

    @property
    def event(self) -> bytes:
        """The record as a server-sent event."""
        if not self._event:
            self._event = record_event(self.record)
        return self._event


class Feed:
    """The ring of the last `size` finished requests, in the order they finished.

    Attributes:
        published: Records published so far; a watcher's cursor is this number when it looked.
    """

    __slots__ = ("_ring", "published")

    def __init__(self, size: int = RING_SIZE) -> None:
        self._ring: deque[Entry] = deque(maxlen=size)
        self.published = 0

    def publish(self, record: Record) -> None:
        """Take a finished request's record; O(1), on the event loop, once per request."""
        self._ring.append(Entry(record))
        self.published += 1

    def since(self, cursor: int) -> tuple[list[Entry], bool]:
        """Return what was published after `cursor`, oldest first, and whether some of it is lost."""
        new = self.published - cursor
        held = len(self._ring)
        return list(islice(self._ring, max(0, held - new), None)), new > held

    def cursor_at(self, record_id: str) -> int | None:
        """Return the cursor just behind that record, or None if the ring has lost it."""
        for back, entry in enumerate(reversed(self._ring)):
            if entry.record.id == record_id:
                return self.published - back
        return None

    def find(self, record_id: str) -> Record | None:
        """Return a record that may not have reached the store yet."""
        return next((e.record for e in reversed(self._ring) if e.record.id == record_id), None)

    def records(self) -> list[Record]:
        """Return everything the ring holds, oldest first."""
        return [entry.record for entry in self._ring]


def record_event(record: Record) -> bytes:
    """Return a record as a server-sent event; its id is what `Last-Event-ID` brings back."""
    return b"event: request\nid: %b\ndata: %b\n\n" % (record.id.encode(), to_json(record))
