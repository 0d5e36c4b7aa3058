"""The built-in provider: one loopback port per upstream, canned answers in every format.

It answers any model name with any key or none: Chat Completions, Messages (and count_tokens),
Responses, embeddings and the models list. The first upstream, `a`, refuses every third generation
request with a 429 and `retry-after: 2`, so that a newcomer sees the proxy try elsewhere.

These model names make it misbehave, in streams and JSON answers alike (`fault.py` is the table;
`GET /` on a demo port shows it): demo-400, demo-401, demo-404, demo-429, demo-500, demo-503 and
any other status, demo-quota, demo-too-long, demo-html, demo-reset, demo-garbage, demo-empty,
demo-slow, demo-cut, demo-stall, demo-error. With `-a` or `-b` behind it (`demo-500-a`) only that
upstream misbehaves. They do not count towards the third requests.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from string import ascii_lowercase
from typing import TypeAlias

from .connection import Connection
from .upstream import Upstream

PACE_S = 0.04
"""Between the words of a stream; about as fast as a real model talks."""
SLOW_S = 5.0
"""Before the first word of `demo-slow`."""

_READ_LIMIT_BYTES = 1 << 18

_Handler: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class DemoProvider:
    """The running provider; `close` ends it.

    Attributes:
        upstreams: One per socket, in order: `a`, `b`, …
    """

    def __init__(self, upstreams: list[Upstream]) -> None:
        self.upstreams = upstreams
        self._servers: list[asyncio.Server] = []
        self._is_closing = False
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def listen(self, sockets: list[socket.socket]) -> None:
        """Serve on each socket; the servers own the sockets from here."""
        for upstream, listening in zip(self.upstreams, sockets, strict=True):
            server = await asyncio.start_server(
                self._handler(upstream), sock=listening, limit=_READ_LIMIT_BYTES
            )
            self._servers.append(server)

    async def close(self) -> None:
        """Stop listening and drop all connections, whatever they are doing."""
        self._is_closing = True
        for server in self._servers:
            server.close()
        tasks = list(self._open)
        for task, writer in self._open.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    def _handler(self, upstream: Upstream) -> _Handler:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._open[task] = writer
            connection = Connection(reader, writer)
            try:
                await upstream.serve(connection)
            except asyncio.CancelledError:
                if not self._is_closing:
                    raise
                # asyncio before 3.12.1 logs a traceback for a handler that ends cancelled
            finally:
                del self._open[task]
                await connection.close()

        return handle


async def start(
    sockets: list[socket.socket], *, pace_s: float = PACE_S, slow_s: float = SLOW_S
) -> DemoProvider:
    """Start the provider on listening sockets, one upstream each; it takes the sockets over.

    Args:
        sockets: Bound and listening; the first one's upstream is `a` and has the rate limit.
        pace_s: Pause before each portion of a stream.
        slow_s: Pause before the first word of `demo-slow`.
    """
    upstreams = [
        Upstream(name, is_limited=name == "a", pace_s=pace_s, slow_s=slow_s)
        for name in ascii_lowercase[: len(sockets)]
    ]
    provider = DemoProvider(upstreams)
    await provider.listen(sockets)
    return provider
