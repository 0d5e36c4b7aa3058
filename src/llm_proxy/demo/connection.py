"""Just enough HTTP/1.1 for the demo: requests in, answers and streams out.

It serves one trusted peer, the proxy in front of it, on a loopback port; limits only keep a
mistake from filling the memory.
"""

import asyncio
from contextlib import suppress
from http import HTTPStatus

import msgspec

_MAX_BODY_BYTES = 256 << 20

Headers = list[tuple[str, str]]


class Request(msgspec.Struct, frozen=True):
    """One request, body included.

    Attributes:
        method: As sent.
        path: Target without its query.
        headers: Last value of each field, names in lower case.
        body: Chunk framing removed.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection; reads requests and writes answers in turn."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read_request(self) -> Request | None:
        """Return the next request; None when the peer is done or sends what cannot be read."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            first, *lines = head[:-4].decode("latin-1").split("\r\n")
            method, target, _ = first.split(" ")
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            if headers.get("expect", "").lower() == "100-continue":
                self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await self._read_body(headers)
        except (
            ValueError,
            ConnectionError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
        ):
            return None
        return Request(method, target.partition("?")[0], headers, body)

    async def answer(self, status: int, headers: Headers, body: bytes, *, has_body: bool) -> None:
        """Send a whole answer; `has_body` is False for HEAD, where only the length is told."""
        fields = [*headers, ("content-length", str(len(body)))]
        self._writer.write(_head(status, fields) + (body if has_body else b""))
        await self._writer.drain()

    async def answer_part(self, status: int, headers: Headers, body: bytes, sent: int) -> None:
        """Promise a whole answer but send only the first `sent` bytes of its body."""
        fields = [*headers, ("content-length", str(len(body)))]
        self._writer.write(_head(status, fields) + body[:sent])
        await self._writer.drain()

    async def start_stream(self, headers: Headers) -> None:
        """Send the head of an event stream."""
        fields = [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "no-cache"),
            *headers,
            ("transfer-encoding", "chunked"),
        ]
        self._writer.write(_head(200, fields))
        await self._writer.drain()

    async def send_event(self, event: bytes) -> None:
        """Send one event of a stream.

        Raises:
            ConnectionError: The peer has gone.
        """
        if self._reader.at_eof():
            raise ConnectionResetError("the peer has closed")
        self._writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        await self._writer.drain()

    async def end_stream(self) -> None:
        """End a stream properly."""
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def send_raw(self, data: bytes) -> None:
        """Send bytes that are no answer of their own."""
        self._writer.write(data)
        await self._writer.drain()

    async def peer_gone(self) -> None:
        """Return when the peer closes."""
        while await self._reader.read(1 << 16):
            pass

    async def close(self) -> None:
        """Close; harmless when the peer has closed already."""
        self._writer.close()
        with suppress(ConnectionError):  # the peer was first
            await self._writer.wait_closed()

    async def _read_body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            size = int(headers.get("content-length", "0"))
            if not 0 <= size <= _MAX_BODY_BYTES:
                raise ValueError(f"a body of {size} bytes")
            return await self._reader.readexactly(size)
        body = bytearray()
        while size := int((await self._reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            if size < 0 or len(body) + size > _MAX_BODY_BYTES:
                raise ValueError("the body is too large")
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        while await self._reader.readuntil(b"\r\n") != b"\r\n":
            pass  # trailers
        return bytes(body)


def _head(status: int, fields: Headers) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in fields)]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")
