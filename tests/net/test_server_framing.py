"""What the server takes for a request, and what it refuses: the request-smuggling table."""

import pytest

from tests.support.client import RawClient
from tests.support.echo_server import echo_server

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"

MALFORMED = {
    "http_2_version": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "http_0_9_version": b"GET / HTTP/0.9\r\nHost: a\r\n\r\n",
    "http_1_2_version": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "no_version": b"GET /\r\n\r\n",
    "http2_preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no_host": b"GET / HTTP/1.1\r\n\r\n",
    "two_hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "two_hosts_that_differ": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "host_list": b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "host_with_userinfo": b"GET / HTTP/1.1\r\nHost: x@a\r\n\r\n",
    "length_and_chunked": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n" + HIDDEN
    ),
    "chunked_and_length": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
        b"0\r\n\r\n" + HIDDEN
    ),
    "two_lengths": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 33\r\n\r\n" + HIDDEN
    ),
    "two_equal_lengths": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"
    ),
    "length_list": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
    "length_with_plus": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
    "negative_length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc",
    "hex_length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc",
    "length_beyond_64_bits": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\nabc"
    ),
    "gzip_before_chunked": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + HIDDEN
    ),
    "chunked_twice": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN
    ),
    "chunked_then_identity": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"
        + HIDDEN
    ),
    "xchunked": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n" + HIDDEN,
    "quoted_chunked": b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "chunked"\r\n\r\n'
    + HIDDEN,
    "chunked_in_http_1_0": (
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN
    ),
    "blank_before_colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "blank_before_coding_colon": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN
    ),
    "folded_field": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n",
    "first_field_folded": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "bare_line_feeds": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare_carriage_return_in_value": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n",
    "nul_in_value": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n",
    "nul_in_name": b"GET / HTTP/1.1\r\nHost: a\r\nX\0A: b\r\n\r\n",
    "field_without_colon": b"GET / HTTP/1.1\r\nHost: a\r\nX-A\r\n\r\n",
    "empty_field_name": b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "chunk_size_with_0x": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n"
    ),
    "chunk_size_with_sign": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n"
    ),
    "chunk_size_overflow": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"FFFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n"
    ),
    "chunk_without_its_line_end": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"
    ),
    "line_feed_in_chunk_extension": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;a=\nb\r\nabc\r\n0\r\n\r\n"
    ),
    "absolute_target_of_another_host": b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "target_with_fragment": b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "target_without_slash": b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "asterisk_without_options": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "connect": b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
    "trace": b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
    "unknown_method": b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n",
    "tls_hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_request_gets_400_and_nothing_behind_it_is_served(name: str) -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(MALFORMED[name])
        reply = await client.read_response()
        assert reply.status == 400
        assert reply.header("connection") == "close"
        assert await client.ended() == "fin"
        assert server.served == []


@pytest.mark.parametrize("name", MALFORMED)
async def test_it_makes_no_difference_that_a_malformed_request_comes_byte_by_byte(
    name: str,
) -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        for at in range(len(MALFORMED[name])):
            await client.send(MALFORMED[name][at : at + 1])
        assert (await client.read_response()).status == 400
        assert server.served == []


async def test_what_hides_behind_a_good_request_is_answered_in_order_as_its_own() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(
            b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
            b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\n\r\n"
            b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        bodies = [(await client.read_response()).body for _ in range(3)]
        assert bodies == [b"POST /1 3", b"POST /2 2", b"GET /3 0"]


async def test_pipelined_requests_wait_for_the_one_in_front() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(
            b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        assert await client.is_silent(0.05)
        assert server.served == ["GET /hold"]
        server.hold.set()
        assert (await client.read_response()).body == b"GET /hold"
        assert (await client.read_response()).body == b"GET /2 0"


async def test_junk_behind_a_running_request_costs_only_itself() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n\0junk\r\n\r\n")
        assert await client.is_silent(0.05)
        server.hold.set()
        assert (await client.read_response()).body == b"GET /hold"
        assert (await client.read_response()).status == 400
        assert await client.ended() == "fin"


async def test_an_upgrade_offer_is_ignored_and_its_body_kept() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(
            b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\nContent-Length: 5\r\n\r\nhello"
            b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        assert (await client.read_response()).body == b"POST /x 5"
        assert (await client.read_response()).body == b"GET /2 0"


async def test_an_absolute_target_of_the_same_host_is_served_as_its_path() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(b"GET http://a.b:1/p?q=1 HTTP/1.1\r\nHost: a.b:1\r\n\r\n")
        assert (await client.read_response()).body == b"GET /p?q=1 0"


async def test_http_1_0_is_answered_and_closed() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(b"GET /x HTTP/1.0\r\n\r\n")
        reply = await client.read_response()
        assert (reply.status, reply.body, reply.header("connection")) == (200, b"GET /x 0", "close")
        assert await client.ended() == "fin"


async def test_trailers_of_a_request_are_dropped() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(
            b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\na\r\n0\r\nHost: b\r\nX-Evil: 1\r\n\r\n"
        )
        assert (await client.read_response()).body == b"POST /x 1"
        assert (b"x-evil", b"1") not in server.heads[0].headers


async def test_nothing_behind_a_refused_last_request_is_looked_at() -> None:
    async with echo_server() as server, RawClient("127.0.0.1", server.port) as client:
        await client.send(
            b"POST /1 HTTP/1.1\r\nHost: a\r\nX-Refuse: 1\r\nContent-Length: 100000\r\n\r\n"
            + b"a" * 100_000
            + b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        assert (await client.read_response()).status == 401
        assert await client.ended() == "fin"
        assert len(server.heads) == 1
        assert server.served == []
