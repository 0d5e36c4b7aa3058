"""Nothing a client sends, or does not send, grows or lasts without a bound."""

import asyncio

import pytest

from llm_proxy.net.handler import Limits
from tests.support.client import RawClient, request_bytes
from tests.support.echo_server import echo_server

KB = 1024


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 8 * KB), 414, id="target"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: 1\r\n" * 100 + b"\r\n", 431, id="fields"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nX-A: %b\r\n\r\n" % (b"a" * 64 * KB), 431, id="value"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\n%b: a\r\n\r\n" % (b"a" * 64 * KB), 431, id="name"
        ),
    ],
)
async def test_a_head_that_is_too_large_is_refused(head: bytes, status: int) -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(head)
        assert (await client.read_response()).status == status
        assert server.served == []


async def test_a_head_that_never_ends_is_refused_before_it_fills_memory() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(b"GET / HTTP/1.1\r\nX-A: ")
        for _ in range(80):
            await client.send(b"a" * KB)
        assert (await client.read_response()).status == 431


async def test_99_fields_and_60_kb_are_served() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        head = b"GET / HTTP/1.1\r\nHost: a\r\n"
        head += b"".join(b"X-%d: %b\r\n" % (n, b"a" * 600) for n in range(99))
        await client.send(head + b"\r\n")
        assert (await client.read_response()).status == 200


async def test_a_head_that_comes_too_slowly_is_refused() -> None:
    limits = Limits(head_s=0.2)
    async with echo_server(limits) as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(b"GET / HTTP/1.1\r\nHo")
        assert (await client.read_response()).status == 408
        assert await client.ended() == "fin"


async def test_a_slow_head_gets_no_more_time_by_sending_a_byte_now_and_then() -> None:
    limits = Limits(head_s=0.3)
    async with echo_server(limits) as server, RawClient("127.0.0.1", server.port) as client:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await client.send(b"GET / HTTP/1.1\r\nX: ")
        reading = asyncio.ensure_future(client.read_response())
        while not reading.done() and loop.time() - began < 5:
            await client.send(b"a")
            await asyncio.wait([reading], timeout=0.05)
        assert (await reading).status == 408
        assert loop.time() - began < 2


async def test_a_silent_body_is_refused() -> None:
    limits = Limits(body_idle_s=0.2)
    async with echo_server(limits) as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        assert (await client.read_response()).status == 408
        assert server.served == []


async def test_an_idle_connection_is_closed_without_a_word() -> None:
    limits = Limits(keepalive_s=0.2)
    async with echo_server(limits) as server, RawClient("127.0.0.1", server.port) as client:
        assert (await client.ask("GET", "/")).status == 200
        assert await client.ended() == "fin"


async def test_a_declared_body_that_is_too_large_is_refused_unread() -> None:
    limits = Limits(max_body_bytes=KB * KB)
    async with echo_server(limits) as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n")
        reply = await client.read_response()
        assert reply.status == 413
        assert b"MAX_BODY_MB" in reply.body


async def test_a_chunked_body_that_grows_too_large_is_refused() -> None:
    limits = Limits(max_body_bytes=100 * KB)
    async with echo_server(limits) as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(11):
            await client.send(b"2800\r\n" + b"a" * 0x2800 + b"\r\n")
        assert (await client.read_response()).status == 413
        assert server.served == []


async def test_a_large_body_arrives_whole() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        reply = await client.ask("POST", "/", body=b"a" * 10_000_000)
        assert reply.body == b"POST / 10000000"
        assert server.server.bodies.used_bytes == 0


async def test_a_refused_request_with_a_small_body_keeps_the_connection() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        reply = await client.ask("POST", "/", body=b"a" * KB, headers=[("x-refuse", "1")])
        assert (reply.status, reply.header("connection")) == (401, None)
        assert (await client.ask("GET", "/2")).status == 200
        assert server.served == ["GET /2"]


async def test_a_refused_request_with_a_huge_body_is_answered_before_the_body_comes() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nX-Refuse: 1\r\nContent-Length: 10000000000\r\n\r\n"
        )
        assert (await client.read_response()).status == 401
        assert await client.ended() == "fin"
        assert server.served == []


async def test_expect_100_continue_is_answered_only_to_who_is_let_in() -> None:
    async with echo_server() as server:
        expecting = (
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n%b\r\n"
        )
        async with RawClient("127.0.0.1", server.port) as client:
            await client.send(expecting % b"")
            assert not await client.is_silent(0.5)
            await client.send(b"abc")
            assert (await client.read_response()).body == b"POST / 3"
            assert client.raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        async with RawClient("127.0.0.1", server.port) as client:
            await client.send(expecting % b"X-Refuse: 1\r\n")
            assert (await client.read_response()).status == 401
            assert b"100 Continue" not in client.raw


async def test_one_connection_too_many_is_told_so() -> None:
    limits = Limits(max_connections=1)
    async with echo_server(limits) as server, RawClient("127.0.0.1", server.port) as first:
        assert (await first.ask("GET", "/")).status == 200
        async with RawClient("127.0.0.1", server.port) as second:
            assert (await second.read_response()).status == 503
        assert (await first.ask("GET", "/")).status == 200


async def test_large_bodies_wait_for_each_other_when_memory_is_full() -> None:
    limits = Limits(max_bodies_bytes=300 * KB)
    async with echo_server(limits) as server:
        clients = [RawClient("127.0.0.1", server.port) for _ in range(6)]
        for client in clients:
            await client.__aenter__()
        replies = await asyncio.gather(
            *(client.ask("POST", "/", body=b"a" * 200 * KB) for client in clients)
        )
        assert [reply.body for reply in replies] == [b"POST / 204800"] * 6
        assert server.server.bodies.used_bytes == 0
        for client in clients:
            await client.close()


async def test_a_client_that_hangs_up_is_noticed_at_once() -> None:
    async with echo_server() as server:
        for leave in (RawClient.abort, RawClient.half_close):
            async with RawClient("127.0.0.1", server.port) as client:
                await client.send(request_bytes("GET", "/hold"))
                while not server.served:
                    await asyncio.sleep(0.005)
                server.served.clear()
                leave(client)
                async with asyncio.timeout(1):
                    while not server.gone:
                        await asyncio.sleep(0.005)
            assert server.gone.pop() == "GET /hold"


async def test_draining_lets_the_running_request_finish_and_takes_no_other() -> None:
    async with (
        echo_server() as server,
        RawClient("127.0.0.1", server.port) as busy,
        RawClient("127.0.0.1", server.port) as idle,
    ):
        assert (await idle.ask("GET", "/")).status == 200
        await busy.send(request_bytes("GET", "/hold"))
        while "GET /hold" not in server.served:
            await asyncio.sleep(0.005)
        server.server.drain()
        assert await idle.ended() == "fin"
        with pytest.raises(ConnectionRefusedError):
            await RawClient("127.0.0.1", server.port).__aenter__()
        server.hold.set()
        reply = await busy.read_response()
        assert (reply.status, reply.header("connection")) == (200, "close")
        assert await busy.ended() == "fin"


async def test_a_body_in_thousands_of_tiny_chunks_is_refused() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await client.send(b"2\r\nab\r\n" * 5000)
        assert (await client.read_response()).status == 400
        assert server.served == []


async def test_a_body_in_a_few_thousand_small_chunks_is_served() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await client.send(b"2\r\nab\r\n" * 3000 + b"0\r\n\r\n")
        assert (await client.read_response()).body == b"POST / 6000"
