"""An answer to one client, written piece by piece: what the ASGI adapter answers on."""

import asyncio

from llm_proxy.wire.head import LAST_CHUNK, chunk, status_line

from .client import ClientConnection


class Reply:
    """Frames an answer for its client's HTTP version and ends it once.

    Attributes:
        is_finished: The answer is ended, well or not.
    """

    __slots__ = ("_client", "_gone", "_is_chunked", "_is_head", "_version", "is_finished")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        client: ClientConnection,
        *,
        http_version: str,
        is_head: bool,
    ) -> None:
        self._client = client
        self._gone: asyncio.Future[None] = loop.create_future()
        self._is_chunked = False
        self._is_head = is_head
        self._version = http_version
        self.is_finished = False
        client.on_gone = self._on_gone

    @property
    def is_open(self) -> bool:
        """Whether the client is still there."""
        return not self._gone.done() and self._client.is_open

    def send_head(
        self, status: int, headers: list[tuple[bytes, bytes]], length: int | None
    ) -> None:
        """Write the head; framing follows from `length` and the client's HTTP version."""
        has_body = status not in (204, 304) and status >= 200
        lines = [status_line(status)]
        lines += [b"%b: %b\r\n" % (name, value) for name, value in headers]
        if length is not None:
            lines.append(b"content-length: %d\r\n" % length)
        elif has_body and not self._is_head:
            self._is_chunked = self._version == "1.1"
            if self._is_chunked:
                lines.append(b"transfer-encoding: chunked\r\n")
        if self._client.will_close:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        self._client.write(b"".join(lines))

    def send_body(self, data: bytes) -> None:
        """Write body bytes."""
        if data and not self._is_head:
            self._client.write(chunk(data) if self._is_chunked else data)

    def finish(self) -> None:
        """End the answer."""
        if self.is_finished:
            return
        self.is_finished = True
        if not self._gone.done():
            if self._is_chunked:
                self._client.write(LAST_CHUNK)
            self._client.finish()

    def abort(self) -> None:
        """Cut the connection: the answer is not whole."""
        if not self.is_finished:
            self.is_finished = True
            self._client.abort()

    async def drained(self) -> None:
        """Wait until the client takes more, or is gone."""
        await self._client.drained()

    async def gone(self) -> None:
        """Wait until the client has hung up."""
        await asyncio.shield(self._gone)

    def _on_gone(self) -> None:
        if not self._gone.done():
            self._gone.set_result(None)
