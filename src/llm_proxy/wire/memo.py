"""Heads that were seen before, so that a client's second request costs a look-up, not a parse.

SDKs send the same head with every request, but for the digits of its Content-Length. A head is
remembered under all its other bytes; data that begins with such a head, and holds exactly the body
it announces, is a whole request whose parse is known. Anything else goes through the parser.

Why this cannot be fooled: only heads that the strict parser took whole are remembered; the digits
are those behind the first `CRLF Content-Length: `, which in such a head (no folding, no bare line
ends) is the field itself; and the parser allows that field once. So equal keys mean equal heads.

A connection first tries the head it brought last, which saves the search and the hash. Where no
two heads are equal (an instrumented client adds a trace id to each), it stops looking.

Budget: 0.4 µs for the connection's last head, 1.5 µs for another or a miss. Memory: MAX_HEADS heads
of MAX_BYTES.
"""

import msgspec

from .head_fields import RequestHead

MAX_HEADS = 256
MAX_BYTES = 8 * 1024
MAX_UNLIKE = 8
"""After so many unknown heads in a row, a connection brings no known one."""

_LENGTH_FIELDS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_MAX_DIGITS = 9
_END = b"\r\n\r\n"


class KnownHead(msgspec.Struct, frozen=True, gc=False):
    """A head that was read before.

    Attributes:
        before: Its bytes in front of the length's digits.
        behind: Its bytes behind them, to the blank line.
        head: What they say.
    """

    before: bytes
    behind: bytes
    head: RequestHead

    def body_of(self, data: bytes) -> bytes | None:
        """Return the body if `data` is this head and exactly the body it announces; else None."""
        if not data.startswith(self.before):
            return None
        start = len(self.before)
        stop = data.find(b"\r", start, start + _MAX_DIGITS + 1)
        if stop < 0 or not data.startswith(self.behind, stop):
            return None
        digits = data[start:stop]
        body = data[stop + len(self.behind) :]
        return body if digits.isdigit() and int(digits) == len(body) else None


class HeadMemo:
    """Remembered heads of all connections of a server."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[tuple[bytes, bytes], KnownHead] = {}

    def find(self, data: bytes) -> KnownHead | None:
        """Return the head with which `data` begins, if it is known."""
        place = _place(data)
        if place is None:
            return None
        start, stop, end = place
        return self._heads.get((data[:start], data[stop:end]))

    def remember(self, data: bytes, head: RequestHead, content_length: int) -> None:
        """Remember `head`, which the parser has just read from the very beginning of `data`."""
        place = _place(data)
        if place is None:
            return
        start, stop, end = place
        if int(data[start:stop]) != content_length:
            return
        if len(self._heads) >= MAX_HEADS:
            del self._heads[next(iter(self._heads))]
        known = KnownHead(data[:start], data[stop:end], head)
        self._heads[known.before, known.behind] = known


class Recall:
    """What one connection makes of the memo."""

    __slots__ = ("_known", "_memo", "_unlike")

    def __init__(self, memo: HeadMemo) -> None:
        self._memo = memo
        self._known: KnownHead | None = None
        self._unlike = 0

    def find(self, data: bytes) -> tuple[RequestHead, bytes] | None:
        """Return the head and the body of which `data` consists, if that is known; else None."""
        known = self._known
        if known is not None and (body := known.body_of(data)) is not None:
            return known.head, body
        if self._unlike > MAX_UNLIKE:
            return None
        known = self._memo.find(data)
        if known is None:
            self._unlike += 1
            return None
        self._known = known
        self._unlike = 0
        body = known.body_of(data)
        return None if body is None else (known.head, body)

    def remember(self, data: bytes, head: RequestHead, content_length: int) -> None:
        """Have `head`, with which `data` begins, remembered for all connections."""
        if self._unlike <= MAX_UNLIKE:
            self._memo.remember(data, head, content_length)


def _place(data: bytes) -> tuple[int, int, int] | None:
    """Return where the length's digits start and stop and where the head ends."""
    end = data.find(_END, 0, MAX_BYTES)
    if end < 0:
        return None
    for field in _LENGTH_FIELDS:
        start = data.find(field, 0, end)
        if start >= 0:
            start += len(field)
            stop = data.find(b"\r", start, end + 1)
            if 0 < stop - start <= _MAX_DIGITS and data[start:stop].isdigit():
                return start, stop, end + 4
            return None
    return None
