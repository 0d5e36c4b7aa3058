"""What a client's connection does at its corners: pipelining, slow readers, old HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from llm_proxy.net.client import ClientConnection
from llm_proxy.net.handler import Limits
from tests.support.client import RawClient
from tests.support.echo_server import World, answer, echo_server

KB = 1024
MB = 1024 * KB
REFUSED = b"GET /%b HTTP/1.1\r\nHost: a\r\nX-Refuse: 1\r\n\r\n" % (b"a" * 40)


async def until(condition: Callable[[], bool], *, within_s: float = 5.0) -> None:
    """Wait until `condition()`."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


def only(world: World) -> ClientConnection:
    """Return the server's only connection."""
    (connection,) = world.server.connections
    return connection


@asynccontextmanager
async def slow_reader(world: World) -> AsyncIterator[RawClient]:
    """Give a client on a connection that the kernel holds next to nothing for."""
    async with RawClient("127.0.0.1", world.port, receive_buffer=4 * KB) as client:
        await until(lambda: bool(world.server.connections))
        sock = only(world).transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * KB)
        yield client


def unsent_bytes(world: World) -> int:
    """Return what the server holds for clients that do not read."""
    return sum(
        connection.transport.get_write_buffer_size() for connection in world.server.connections
    )


async def test_a_pipelined_request_whose_body_comes_later_is_served() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(
            b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"
            b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc"
        )
        await until(lambda: "GET /hold" in server.served)
        server.hold.set()
        assert (await client.read_response()).body == b"GET /hold"
        await client.send(b"def")
        assert (await client.read_response()).body == b"POST /2 6"


async def test_a_pipelined_request_whose_body_never_comes_is_refused() -> None:
    limits = Limits(body_idle_s=0.2)
    async with echo_server(limits) as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(
            b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"
            b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc"
        )
        await until(lambda: "GET /hold" in server.served)
        server.hold.set()
        assert (await client.read_response()).body == b"GET /hold"
        assert (await client.read_response()).status == 408


async def test_a_pipelined_request_with_a_broken_body_is_answered_in_its_turn() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(
            b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"
            b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
        )
        await until(lambda: "GET /hold" in server.served)
        server.hold.set()
        assert (await client.read_response()).body == b"GET /hold"
        assert (await client.read_response()).status == 400
        assert await client.ended() == "fin"
        assert server.served == ["GET /hold"]


async def test_a_client_that_asks_on_and_on_but_never_reads_fills_no_memory() -> None:
    async with echo_server() as server, slow_reader(server) as client:
        assert client._writer is not None
        most = 0
        for _ in range(200):
            client._writer.write(REFUSED * 500)
            await asyncio.sleep(0)
            most = max(most, unsent_bytes(server))
        assert len(server.heads) > 1000
        assert most < MB
        client.abort()


async def test_a_client_that_reads_late_gets_every_answer() -> None:
    count = 10_000
    async with echo_server() as server, slow_reader(server) as client:
        assert client._writer is not None
        client._writer.write(REFUSED * count)
        await until(lambda: only(server).is_choked)
        while len(client.raw) < count * len(answer(401, b"refused", is_closing=False)):
            await client.read_some()
        assert client.raw.count(b"HTTP/1.1 401") == count


@pytest.mark.parametrize("connection", [b"", b"Connection: keep-alive\r\n"])
async def test_an_http_1_0_answer_ends_with_its_connection(connection: bytes) -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(b"GET /x HTTP/1.0\r\n%b\r\n" % connection)
        reply = await client.read_response()
        assert (reply.body, reply.header("connection")) == (b"GET /x 0", "close")
        assert await client.ended() == "fin"


async def test_junk_behind_a_last_request_adds_nothing_to_its_answer() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(b"GET /hold HTTP/1.0\r\n\r\njunk")
        await until(lambda: "GET /hold" in server.served)
        server.hold.set()
        assert (await client.read_rest()).endswith(b"\r\n\r\nGET /hold")


async def test_http_1_0_stays_http_1_0_when_it_offers_an_upgrade() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(b"GET /x HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")
        assert (await client.read_response()).status == 200
        assert server.heads[0].http_version == "1.0"


async def test_an_upgrade_offer_does_not_hide_what_else_stays_on_the_connection() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(
            b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: X-Mine, Upgrade, close\r\n"
            b"Upgrade: h2c\r\nX-Mine: 1\r\n\r\n"
        )
        assert (await client.read_response()).header("connection") == "close"
        (request,) = server.heads
        assert b"x-mine" in request.fields[b"connection"].lower()
        assert b"upgrade" not in request.fields[b"connection"].lower()


async def test_a_refused_request_is_answered_once_even_if_its_body_never_comes() -> None:
    limits = Limits(keepalive_s=0.2)
    async with echo_server(limits) as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nX-Refuse: 1\r\nContent-Length: 100\r\n\r\nabc"
        )
        assert (await client.read_response()).status == 401
        assert await client.ended() == "fin"


@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"], ids=["kept", "last"])
async def test_a_slow_but_steady_reader_gets_all_of_a_large_answer(
    monkeypatch: pytest.MonkeyPatch, last: bytes
) -> None:
    size = 2 * MB
    limits = Limits(keepalive_s=0.3, stall_s=0.3)
    async with echo_server(limits) as server, slow_reader(server) as client:
        monkeypatch.setattr(server, "on_request", lambda one, _: write(one, size))
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n" % last)
        loop = asyncio.get_running_loop()
        began = loop.time()
        while len(client.raw) < size:
            await client.read_some()
            await asyncio.sleep(max(0.0, began + len(client.raw) / size - loop.time()))
        assert client.raw.endswith(b"a" * KB)


@pytest.mark.parametrize("size", [60 * KB, 2 * MB], ids=["below_the_mark", "above_it"])
@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"], ids=["kept", "last"])
async def test_a_reader_that_stops_is_let_go(
    monkeypatch: pytest.MonkeyPatch, last: bytes, size: int
) -> None:
    limits = Limits(keepalive_s=0.2, stall_s=0.2)
    async with echo_server(limits) as server, slow_reader(server) as client:
        monkeypatch.setattr(server, "on_request", lambda one, _: write(one, size))
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n" % last)
        await until(lambda: not server.server.connections)
        client.abort()


def write(client: ClientConnection, size: int) -> None:
    """Answer with `size` bytes."""
    client.write(answer(200, b"a" * size, is_closing=client.will_close))
    client.finish()
