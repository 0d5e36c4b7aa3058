"""The writing half of a client's connection: what is sent, and whether the client takes it."""

import asyncio
from typing import cast

from .handler import Flow
from .sockets import reset_on_close


class Outlet(asyncio.Protocol):
    """Writes to a client and follows how much of it is taken.

    A client may be slow for as long as it likes, but one that has taken nothing at all between
    two looks holds memory and a descriptor for nothing.

    Attributes:
        flow: Paused while the client does not take what is written.
        is_open: The client can still be written to.
        is_choked: The client takes nothing right now.
        sent_bytes: Bytes written since the request's head.
        transport: What is written to; set by `connection_made`.
    """

    __slots__ = (
        "_drained",
        "_loop",
        "_taken_bytes",
        "flow",
        "is_choked",
        "is_open",
        "sent_bytes",
        "transport",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._drained: asyncio.Future[None] | None = None
        self._taken_bytes = 0
        self.flow: Flow | None = None
        self.is_choked = False
        self.is_open = False
        self.sent_bytes = 0
        self.transport = cast("asyncio.Transport", None)

    def write(self, data: bytes) -> None:
        """Send `data`; dropped when the client is gone."""
        if self.is_open:
            self.sent_bytes += len(data)
            self.transport.write(data)

    def abort(self) -> None:
        """Cut the connection; what was written may not arrive."""
        self.is_open = False
        if self.transport is not None:
            self.transport.abort()

    def reset(self) -> None:
        """Cut the connection so that what was sent cannot be taken for a whole answer."""
        if self.is_open:
            reset_on_close(self.transport)
        self.abort()

    async def drained(self) -> None:
        """Wait until the client takes more, or is gone."""
        if self.is_choked and self.is_open:
            if self._drained is None:
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)

    def wake(self) -> None:
        """Let those go on who wait in `drained`."""
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    def has_moved(self) -> bool:
        """Look how much was taken; return whether that is another amount than at the last look."""
        taken_bytes = self.sent_bytes - self.transport.get_write_buffer_size()
        has_moved = taken_bytes != self._taken_bytes
        self._taken_bytes = taken_bytes
        return has_moved
