"""Content codings that can be read here: gzip and deflate; anything else passes unread.

A decoded size has a limit, because a kilobyte of gzip can hold a megabyte. zstd and brotli would
each need a dependency; upstreams are asked for `identity`, and clients that compress use gzip.
"""

import zlib
from typing import Protocol

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"


class _Inflater(Protocol):
    """The part of zlib's decompression objects that is used."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class OversizeBodyError(ValueError):
    """A body decodes to more than its limit."""


class Decoder:
    """Decode a body as it comes; each read gives all that its bytes allow.

    Attributes:
        is_complete: Whether the coding's own end was seen; always true for `identity`.
    """

    __slots__ = ("_coding", "_inflater", "_limit", "_start", "is_complete")

    def __init__(self, coding: bytes, limit_bytes: int) -> None:
        self._coding = coding
        self._limit = limit_bytes
        self._inflater: _Inflater | None = None
        self._start = b""
        self.is_complete = coding == b"identity"

    @classmethod
    def of(cls, encoding: bytes, limit_bytes: int) -> "Decoder | None":
        """Return a decoder for the value of a Content-Encoding field, or None if unreadable here.

        Args:
            encoding: As sent; several codings in a row are unreadable.
            limit_bytes: Decoded bytes that one read may grow to.
        """
        coding = encoding.strip().lower().removeprefix(b"x-")
        if not coding:
            coding = b"identity"
        if coding not in (b"identity", b"gzip", b"deflate"):
            return None
        return cls(coding, limit_bytes)

    def feed(self, data: bytes) -> bytes:
        """Return what `data` decodes to, which may be empty.

        Raises:
            OversizeBodyError: One read grows beyond the limit.
            ValueError: The bytes are damaged.
        """
        if self._coding == b"identity":
            return data
        pieces = []
        left = self._limit
        while data:
            if self._inflater is None:
                data = self._start + data
                self._start = b""
                if not self._open(data):
                    break
            inflater = self._inflater
            assert inflater is not None
            try:
                piece = inflater.decompress(data, left + 1)
            except zlib.error as error:
                raise ValueError("a compressed body is damaged") from error
            left -= len(piece)
            if left < 0 or inflater.unconsumed_tail:
                raise OversizeBodyError("a compressed body is too large")
            pieces.append(piece)
            data = b""
            if inflater.eof:
                self.is_complete = True
                data = inflater.unused_data
                self._inflater = None
        return b"".join(pieces)

    def _open(self, data: bytes) -> bool:
        """Start on a member; False: too few bytes to tell, or nothing but padding follows."""
        if len(data) < 2 and not self.is_complete:
            self._start = data
            return False
        if self.is_complete and (self._coding != b"gzip" or data[:2] != _GZIP_MAGIC):
            return False  # padding behind the end, which readers ignore
        self.is_complete = False
        if self._coding == b"gzip":
            window = _GZIP
        else:
            # Some senders mean raw deflate, some zlib; RFC 1950's header tells them apart.
            is_zlib = data[0] & 0x0F == 8 and (data[0] * 256 + data[1]) % 31 == 0
            window = zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS
        self._inflater = zlib.decompressobj(window)
        return True


def decode_all(body: bytes, encoding: bytes, limit_bytes: int) -> bytes | None:
    """Return a whole body decoded; None: unknown coding, damaged, cut off or beyond the limit.

    A megabyte takes some milliseconds: call it off the loop for more.
    """
    decoder = Decoder.of(encoding, limit_bytes)
    if decoder is None:
        return None
    try:
        decoded = decoder.feed(body)
    except ValueError:
        return None
    if len(decoded) > limit_bytes or not (decoder.is_complete or not body):
        return None
    return decoded
