"""Heads that were seen before, so that a client's second request costs a look-up, not a parse.

SDKs send the same head with every request, but for the digits of its Content-Length. A head is
remembered under all its other bytes; data that begins with such a head, and holds exactly the body
it announces, is a whole request whose parse is known. Anything else goes through the parser.

Why this cannot be fooled: only heads that the strict parser took whole are remembered; the digits
are those behind the first `CRLF Content-Length: `, which in such a head (no folding, no bare line
ends) is the field itself; and the parser allows that field once. So equal keys mean equal heads.

Budget: 1 µs for a hit or a miss. Memory: MAX_HEADS heads of MAX_BYTES.
"""

from .head_fields import RequestHead

MAX_HEADS = 256
MAX_BYTES = 8 * 1024

_LENGTH_FIELDS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_END = b"\r\n\r\n"


class HeadMemo:
    """Remembered heads of all connections of a server."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[bytes, RequestHead] = {}

    def find(self, data: bytes) -> tuple[RequestHead, bytes] | None:
        """Return the head and the body of which `data` consists, if that is known; else None."""
        place = _place(data)
        if place is None:
            return None
        start, stop, end = place
        head = self._heads.get(data[:start] + data[stop:end])
        if head is None or len(data) - end != int(data[start:stop]):
            return None
        return head, data[end:]

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
        self._heads[data[:start] + data[stop:end]] = head

    def forget(self) -> None:
        """Forget all heads, as what was decided about them may no longer hold."""
        self._heads.clear()


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
            if 0 < stop - start < 10 and data[start:stop].isdigit():
                return start, stop, end + 4
            return None
    return None
