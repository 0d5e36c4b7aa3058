"""Listens for clients and drains them: the owner of all client connections."""

import asyncio

from llm_proxy.wire.memo import HeadMemo

from .bodies import BodySpace
from .client import ClientConnection
from .handler import Handler, Limits
from .timers import Wheel


class Server:
    """The listening side: its connections, limits and drain."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        wheel: Wheel,
        handler: Handler,
        limits: Limits,
    ) -> None:
        self.loop = loop
        self.wheel = wheel
        self.handler = handler
        self.limits = limits
        self.connections: set[ClientConnection] = set()
        self.is_draining = False
        self.refused_connections = 0
        self.bodies = BodySpace(limits.max_bodies_bytes)
        self.memo = HeadMemo()
        self._listeners: list[asyncio.Server] = []

    async def listen(self, host: str, port: int) -> int:
        """Listen; return the port, which matters when `port` is 0.

        Raises:
            OSError: The address cannot be had.
        """
        listener = await self.loop.create_server(
            lambda: ClientConnection(self), host, port, backlog=2048, reuse_address=True
        )
        self._listeners.append(listener)
        return int(listener.sockets[0].getsockname()[1])

    def drain(self) -> None:
        """Stop listening; idle connections close now, busy ones after their answer."""
        self.is_draining = True
        for listener in self._listeners:
            listener.close()
        for connection in list(self.connections):
            connection.close_if_idle()

    def abort_all(self) -> None:
        """Cut every connection."""
        for connection in list(self.connections):
            connection.abort()
