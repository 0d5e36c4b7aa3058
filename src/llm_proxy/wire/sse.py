"""Server-sent events on the wire: where one ends, and what its lines say.

Streams pass byte for byte, so events are cut here and never rebuilt. Rules: WHATWG HTML section
9.2.6; a line ends with LF, CR or CRLF, whichever the sender mixes.

Budget (Python 3.11): a read that is exactly one event 0.5 us, any other 0.7 us per event;
`fields` 0.5 us, 0.8 us for a named event.
"""

import re

DEFAULT_LIMIT_BYTES = 1024 * 1024

# Two line ends, CRLF never taken for two itself. Each branch begins with a letter: that is what
# lets the search skip the text between.
_END = re.compile(rb"\n(?:\n|\r\n?)|\r\n(?:\n|\r\n?)|\r\r\n?")
_BLANK_LINES = re.compile(rb"[\r\n]+")
_LINE_ENDS = (10, 13)
_BOM = b"\xef\xbb\xbf"


class OversizeEventError(ValueError):
    """An event grows beyond the limit and no end of it is in sight."""


class EventSplitter:
    """Cut a byte stream into whole events, keeping every byte.

    An event is returned with its blank line, so joining all returned pieces and `rest` gives back
    the input byte for byte. Blank lines in front of an event are a piece of their own: some
    providers send them to show that they live. A CR at the end of a read ends its line at once; the
    LF that may follow it then counts as such a blank line, which no reader notices.

    Cost: one scan per fed byte, one copy per event.

    Attributes:
        rest: Bytes of the event that is not complete yet (<= the limit); not to be changed.
    """

    __slots__ = ("_limit", "rest")

    def __init__(self, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self.rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events that `data` completes, oldest first; may be empty.

        Raises:
            OversizeEventError: The unfinished event exceeds the limit. The splitter must not be
                fed again.
        """
        if not self.rest:
            end = data.find(b"\n\n")
            if end == len(data) - 2 and end > 0 and 13 not in data and data[0] != 10:
                return [data]  # a provider that writes event by event
            return self._cut(data, 0)
        known = len(self.rest)
        self.rest += data
        start = max(0, known - 2)
        end = _end_of(self.rest, start, has_cr=self.rest.find(b"\r", start) >= 0)
        if not end:
            self._check()
            return []
        whole = bytes(self.rest)
        self.rest = bytearray()
        return [whole[:end], *self._cut(whole, end)]

    def _cut(self, data: bytes, start: int) -> list[bytes]:
        """Return the events of `data` from `start` on and keep what remains."""
        events = []
        size = len(data)
        has_cr = 13 in data
        while start < size:
            if data[start] in _LINE_ENDS:
                blank = _BLANK_LINES.match(data, start)
                assert blank is not None
                events.append(blank[0])
                start = blank.end()
                continue
            end = _end_of(data, start, has_cr=has_cr)
            if not end:
                self.rest = bytearray(data[start:])
                self._check()
                break
            events.append(data[start:end])
            start = end
        return events

    def _check(self) -> None:
        if len(self.rest) > self._limit:
            raise OversizeEventError(f"an event exceeds {self._limit} bytes")


def _end_of(data: bytes | bytearray, start: int, *, has_cr: bool) -> int:
    """Return where the event at or before `start` ends, or 0 if it does not."""
    if has_cr:
        match = _END.search(data, start)
        return match.end() if match is not None else 0
    at = data.find(b"\n\n", start)
    return at + 2 if at >= 0 else 0


def fields(event: bytes) -> tuple[bytes, bytes | None]:
    """Return an event's name and its joined data lines.

    Args:
        event: A whole event, its blank line included or not.

    Returns:
        The `event` field, empty without one; and the data without its last line end, None for an
        event without data: comments, blank lines, `retry`.
    """
    first = event.find(b"\n")
    if 13 not in event and event[-2:] == b"\n\n":
        # The two shapes in which nearly all events come.
        if first == len(event) - 2 and event[:6] == b"data: ":
            return b"", event[6:-2]
        if (
            event[:7] == b"event: "
            and event[first : first + 7] == b"\ndata: "
            and event.find(b"\n", first + 1) == len(event) - 2
        ):
            return event[7:first], event[first + 7 : -2]
    event = event.removeprefix(_BOM)
    if 13 in event:
        event = event.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    name = b""
    data: bytes | None = None
    for line in event.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data = value if data is None else b"%b\n%b" % (data, value)
        elif field == b"event":
            name = value
    return name, data
