"""A client on a raw socket: sends what a test says, reads framing strictly, keeps every byte.

::

    async with RawClient.to(provider.url) as client:
        await client.send(b"GET /v1/models HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n")
        head, body = await client.read_response()
        assert head.status == 200

Every read is bounded by `timeout_s`. Times are `time.monotonic()` seconds.
"""

import asyncio
import json
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TypeAlias
from urllib.parse import urlsplit

Headers: TypeAlias = Sequence[tuple[str, str]]


class FramingError(Exception):
    """The server's bytes are no proper HTTP."""


class TruncatedError(Exception):
    """The server closed before the answer was complete.

    Attributes:
        received: The body's bytes that came (framing removed); b"" within the head.
        ending: `fin` or `reset`.
    """

    def __init__(self, received: bytes, ending: Literal["fin", "reset"]) -> None:
        super().__init__(f"{ending} after {len(received)} bytes")
        self.received = received
        self.ending = ending


class Head(NamedTuple):
    """An answer's head.

    Attributes:
        status: Status code.
        headers: (name as sent, value), in order.
        interim: Status codes of the 1xx answers before it.
        raw: Its bytes, 1xx answers not included.
    """

    status: int
    headers: list[tuple[str, str]]
    interim: list[int]
    raw: bytes

    def header(self, name: str) -> str | None:
        """Return the first value of a header, in any case; None if absent."""
        values = self.headers_named(name)
        return values[0] if values else None

    def headers_named(self, name: str) -> list[str]:
        """Return all values of a header, in any case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Answer(NamedTuple):
    """A whole answer."""

    head: Head
    body: bytes

    @property
    def status(self) -> int:
        """Return the status code."""
        return self.head.status

    def header(self, name: str) -> str | None:
        """Return the first value of a header, in any case; None if absent."""
        return self.head.header(name)

    def json(self) -> Any:
        """Return the body's JSON value."""
        return json.loads(self.body)


class Event(NamedTuple):
    """One event of a stream.

    Attributes:
        at: When its last byte was read.
        raw: Its bytes with the blank line.
        name: Its `event` field; empty if absent.
        data: Its `data` lines, joined; empty for a comment.
    """

    at: float
    raw: bytes
    name: str
    data: str

    def json(self) -> Any:
        """Return the data's JSON value."""
        return json.loads(self.data)


class Stream(NamedTuple):
    """A stream as far as it came.

    Attributes:
        events: Whole events, comments included.
        rest: Bytes behind the last whole event.
        ending: `complete` (the body's proper end), `fin` or `reset`.
    """

    events: list[Event]
    rest: bytes
    ending: Literal["complete", "fin", "reset"]

    @property
    def raw(self) -> bytes:
        """Return all bytes of the body."""
        return b"".join(event.raw for event in self.events) + self.rest

    @property
    def data(self) -> list[str]:
        """Return the data of all events that have any."""
        return [event.data for event in self.events if event.data]


def request_bytes(
    method: str,
    target: str,
    *,
    host: str = "localhost",
    key: str | None = None,
    headers: Headers = (),
    body: bytes | None = None,
    json_body: Any = None,
) -> bytes:
    """Return a well-formed request: `request_bytes("POST", "/v1/messages", json_body={...})`.

    `key` becomes `authorization: Bearer`; a body brings its content-length and, for `json_body`,
    its content-type, unless `headers` has them.
    """
    fields = [("host", host)]
    if key is not None:
        fields.append(("authorization", f"Bearer {key}"))
    given = {name.lower() for name, _ in headers}
    if json_body is not None:
        body = json.dumps(json_body, ensure_ascii=False).encode()
        if "content-type" not in given:
            fields.append(("content-type", "application/json"))
    if body is not None and not given & {"content-length", "transfer-encoding"}:
        fields.append(("content-length", str(len(body))))
    lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in [*fields, *headers])]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1") + (body or b"")


class RawClient:
    """One connection; an async context manager.

    Attributes:
        raw: Everything received so far.
        trailers: Trailer fields of the last chunked body.
        chunks: Sizes of the chunks of the last chunked body.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        ssl_context: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        timeout_s: float = 10.0,
        receive_buffer: int | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.timeout_s = timeout_s
        self.raw = bytearray()
        self.trailers: list[tuple[str, str]] = []
        self.chunks: list[int] = []
        self._ssl_context = ssl_context
        self._server_hostname = server_hostname or (host if ssl_context else None)
        self._receive_buffer = receive_buffer
        self._buffer = bytearray()
        self._method = "GET"
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @classmethod
    def to(
        cls,
        url: str,
        *,
        ssl_context: ssl.SSLContext | None = None,
        timeout_s: float = 10.0,
        receive_buffer: int | None = None,
    ) -> Self:
        """Return a client for an `http(s)://host:port` address.

        Args:
            url: Address; a path in it is ignored.
            ssl_context: Needed for https.
            timeout_s: Limit of every single read.
            receive_buffer: SO_RCVBUF in bytes, for slow readers.
        """
        parts = urlsplit(url)
        return cls(
            parts.hostname or "",
            parts.port or (443 if parts.scheme == "https" else 80),
            ssl_context=ssl_context,
            timeout_s=timeout_s,
            receive_buffer=receive_buffer,
        )

    async def __aenter__(self) -> Self:
        sock = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        sock.setblocking(False)
        if self._receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        try:
            async with asyncio.timeout(self.timeout_s):
                loop = asyncio.get_running_loop()
                host = "127.0.0.1" if self.host == "localhost" else self.host
                await loop.sock_connect(sock, (host, self.port))
                self._reader, self._writer = await asyncio.open_connection(
                    sock=sock,
                    ssl=self._ssl_context,
                    server_hostname=self._server_hostname,
                    limit=1 << 16,
                )
        except BaseException:
            sock.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # sending

    async def send(self, data: bytes) -> None:
        """Write bytes as they are."""
        writer = self._open_writer()
        self._method = data[:8].partition(b" ")[0].decode("latin-1") or self._method
        writer.write(data)
        async with asyncio.timeout(self.timeout_s):
            await writer.drain()

    async def request(
        self,
        method: str,
        target: str,
        *,
        key: str | None = None,
        headers: Headers = (),
        body: bytes | None = None,
        json_body: Any = None,
    ) -> None:
        """Send a well-formed request; see `request_bytes`."""
        host = f"{self.host}:{self.port}"
        await self.send(
            request_bytes(
                method,
                target,
                host=host,
                key=key,
                headers=headers,
                body=body,
                json_body=json_body,
            )
        )

    async def ask(
        self,
        method: str,
        target: str,
        *,
        key: str | None = None,
        headers: Headers = (),
        body: bytes | None = None,
        json_body: Any = None,
    ) -> Answer:
        """Send a request and return its answer: `await client.ask("GET", "/health")`."""
        await self.request(method, target, key=key, headers=headers, body=body, json_body=json_body)
        return await self.read_response()

    def half_close(self) -> None:
        """Send FIN, go on reading."""
        self._open_writer().write_eof()

    def abort(self) -> None:
        """Send RST now."""
        writer = self._open_writer()
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def close(self) -> None:
        """Close; harmless when closed already."""
        if self._writer is None:
            return
        self._writer.transport.abort()
        try:
            async with asyncio.timeout(self.timeout_s):
                await self._writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            pass  # how the server left is what `ended` tells
        self._writer = None

    # reading

    async def read_head(self) -> Head:
        """Read one answer's head, 1xx answers before it included.

        Raises:
            TruncatedError: The server closed before the head's end.
            FramingError: It is no HTTP.
        """
        interim: list[int] = []
        while True:
            raw = await self._until(b"\r\n\r\n")
            lines = raw[:-4].decode("latin-1").split("\r\n")
            matched = re.fullmatch(r"HTTP/1\.[01] ([1-5][0-9]{2})(?: [\t -~\x80-\xff]*)?", lines[0])
            if not matched:
                raise FramingError(f"status line {lines[0][:80]!r}")
            status = int(matched[1])
            if status < 200 and status != 101:
                interim.append(status)
                continue
            return Head(status, [self._field(line) for line in lines[1:]], interim, raw)

    async def read_response(self) -> Answer:
        """Read one whole answer: `head, body = await client.read_response()`.

        Raises:
            TruncatedError: The server closed before its end.
            FramingError: It is no HTTP.
        """
        head = await self.read_head()
        return Answer(head, await self.read_body(head))

    async def read_body(self, head: Head) -> bytes:
        """Read the rest of an answer whose head was read."""
        body = bytearray()
        try:
            async for piece in self._pieces(head):
                body += piece
        except TruncatedError as exc:
            raise TruncatedError(bytes(body) + exc.received, exc.ending) from None
        return bytes(body)

    async def read_events(self, head: Head) -> AsyncIterator[Event]:
        """Yield a stream's events as they come.

        Raises:
            TruncatedError: The server closed before the body's end; `received` holds the bytes
                behind the last whole event.
        """
        rest = b""
        try:
            async for piece in self._pieces(head):
                *whole, rest = _split_events(rest + piece)
                at = monotonic()
                for raw in whole:
                    yield _event(at, raw)
        except TruncatedError as exc:
            raise TruncatedError(rest, exc.ending) from None
        if rest:
            raise TruncatedError(rest, "fin")

    async def read_stream(self, head: Head | None = None) -> Stream:
        """Read a whole stream, however it ends: `stream = await client.read_stream()`."""
        head = head or await self.read_head()
        events: list[Event] = []
        try:
            async for event in self.read_events(head):
                events.append(event)  # noqa: PERF401 - what came before a cut is kept
        except TruncatedError as exc:
            return Stream(events, exc.received, exc.ending)
        return Stream(events, b"", "complete")

    async def ended(self) -> Literal["fin", "reset"]:
        """Wait for the server to close and say how.

        Raises:
            AssertionError: More bytes came.
        """
        try:
            await self._more()
        except TruncatedError as exc:
            return exc.ending
        raise AssertionError(f"bytes instead of a close: {bytes(self._buffer[:200])!r}")

    async def read_some(self) -> bytes:
        """Return the bytes that are there, waiting for the first ones."""
        if not self._buffer:
            await self._more()
        return self._take(len(self._buffer))

    async def read_rest(self) -> bytes:
        """Return everything until the server closes."""
        while True:
            try:
                await self._more()
            except TruncatedError:
                rest = bytes(self._buffer)
                self._buffer.clear()
                return rest

    async def is_silent(self, for_s: float) -> bool:
        """Say whether neither bytes nor a close come within `for_s`."""
        if self._buffer:
            return False
        try:
            async with asyncio.timeout(for_s):
                await self._more()
        except TimeoutError:
            return True
        except TruncatedError:
            return False
        return False

    async def _pieces(self, head: Head) -> AsyncIterator[bytes]:
        """Yield the body's bytes, framing removed, as they come."""
        self.trailers = []
        self.chunks = []
        lengths = head.headers_named("content-length")
        codings = head.headers_named("transfer-encoding")
        if self._method == "HEAD" or head.status in {101, 204, 304}:
            return
        if len(lengths) + len(codings) > 1:
            raise FramingError("more than one framing field")
        if codings:
            if codings[0].lower() != "chunked":
                raise FramingError(f"transfer-encoding {codings[0]!r}")
            async for piece in self._chunked():
                yield piece
        elif lengths:
            if not re.fullmatch(r"[0-9]+", lengths[0]):
                raise FramingError(f"content-length {lengths[0]!r}")
            async for piece in self._exactly(int(lengths[0])):
                yield piece
        else:
            while True:
                if self._buffer:
                    yield self._take(len(self._buffer))
                try:
                    await self._more()
                except TruncatedError as exc:
                    if exc.ending == "fin":
                        return
                    raise

    async def _chunked(self) -> AsyncIterator[bytes]:
        while True:
            line = await self._until(b"\r\n")
            if not re.fullmatch(rb"[0-9A-Fa-f]+(;[^\r\n]*)?\r\n", line):
                raise FramingError(f"chunk size {line[:80]!r}")
            size = int(line.partition(b";")[0], 16)
            if size == 0:
                break
            self.chunks.append(size)
            async for piece in self._exactly(size):
                yield piece
            if await self._until(b"\r\n") != b"\r\n":
                raise FramingError("a chunk's data is longer than its size")
        while (line := await self._until(b"\r\n")) != b"\r\n":
            self.trailers.append(self._field(line[:-2].decode("latin-1")))

    async def _exactly(self, size: int) -> AsyncIterator[bytes]:
        while size:
            if not self._buffer:
                await self._more()
            piece = self._take(min(size, len(self._buffer)))
            size -= len(piece)
            yield piece

    async def _until(self, mark: bytes) -> bytes:
        while (at := self._buffer.find(mark)) < 0:
            try:
                await self._more()
            except TruncatedError as exc:
                raise TruncatedError(b"", exc.ending) from None
        return self._take(at + len(mark))

    async def _more(self) -> None:
        assert self._reader is not None
        try:
            async with asyncio.timeout(self.timeout_s):
                data = await self._reader.read(1 << 16)
        except (ConnectionError, ssl.SSLError):
            raise TruncatedError(b"", "reset") from None
        if not data:
            raise TruncatedError(b"", "fin")
        self.raw += data
        self._buffer += data

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _open_writer(self) -> asyncio.StreamWriter:
        if self._writer is None:
            raise RuntimeError("the client is not connected")
        return self._writer

    @staticmethod
    def _field(line: str) -> tuple[str, str]:
        matched = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)", line)
        if not matched:
            raise FramingError(f"header line {line[:80]!r}")
        return matched[1], matched[2].rstrip(" \t")


def _split_events(data: bytes) -> list[bytes]:
    """Return whole events and, last, the bytes of the unfinished one."""
    ends = [found.end() for found in re.finditer(rb"\r\n\r\n|\n\n|\r\r(?!\n)", data)]
    starts = [0, *ends]
    return [data[start:end] for start, end in zip(starts, [*ends, len(data)], strict=True)]


def _event(at: float, raw: bytes) -> Event:
    name = ""
    data: list[str] = []
    for line in re.split(r"\r\n|\n|\r", raw.decode(errors="replace")):
        field, _, value = line.partition(":")
        if field == "data":
            data.append(value.removeprefix(" "))
        elif field == "event":
            name = value.removeprefix(" ")
    return Event(at, raw, name, "\n".join(data))
