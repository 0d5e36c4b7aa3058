"""Our own server with the plainest handler there is, for tests of framing and limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llm_proxy.domain.errors import RequestError
from llm_proxy.net.client import ClientConnection
from llm_proxy.net.handler import Limits
from llm_proxy.net.server import Server
from llm_proxy.net.timers import Wheel
from llm_proxy.wire.request import Request


class EchoHandler:
    """Answers every request with `METHOD target length`; refuses those without `x-let-me-in`.

    Attributes:
        served: Requests whose body was read, as `METHOD target`.
        gone: Requests whose client hung up while they were held.
        hold: Requests to `/hold` are answered when it is set.
    """

    def __init__(self) -> None:
        self.served: list[str] = []
        self.heads: list[Request] = []
        self.gone: list[str] = []
        self.hold = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def on_head(self, client: ClientConnection, request: Request) -> bool:
        self.heads.append(request)
        if b"x-refuse" in request.fields:
            client.refuse(answer(401, b"refused", is_closing=client.will_close))
            return False
        return True

    def on_request(self, client: ClientConnection, request: Request) -> None:
        name = f"{request.method} {request.target.decode()}"
        self.served.append(name)
        if request.path == b"/hold":
            client.on_gone = lambda: self.gone.append(name)
            task = asyncio.get_running_loop().create_task(self._answer_later(client, name))
            self._tasks.add(task)
            return
        client.write(
            answer(200, f"{name} {len(request.body)}".encode(), is_closing=client.will_close)
        )
        client.finish()

    def error_answer(self, error: RequestError, request: Request | None) -> bytes:
        return answer(error.status, error.message.encode(), is_closing=True)

    async def _answer_later(self, client: ClientConnection, name: str) -> None:
        await self.hold.wait()
        client.write(answer(200, name.encode(), is_closing=client.will_close))
        client.finish()


def answer(status: int, body: bytes, *, is_closing: bool) -> bytes:
    """Return a plain answer."""
    connection = b"connection: close\r\n" if is_closing else b""
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n%b\r\n%b" % (
        status,
        len(body),
        connection,
        body,
    )


class World(EchoHandler):
    """A running echo server."""

    port: int
    server: Server


@asynccontextmanager
async def echo_server(limits: Limits | None = None) -> AsyncIterator[World]:
    """Run the server on a free loopback port."""
    loop = asyncio.get_running_loop()
    world = World()
    wheel = Wheel(loop)
    world.server = Server(loop, wheel, world, limits or Limits())
    world.port = await world.server.listen("127.0.0.1", 0)
    try:
        yield world
    finally:
        world.hold.set()
        world.server.drain()
        world.server.abort_all()
        await asyncio.sleep(0)
        wheel.close()
