"""What a connection to an upstream makes of answers, good and bad, and when it is used again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from llm_proxy.domain.faults import (
    BODY_CUT,
    CONNECT_REFUSED,
    CONNECT_TIMEOUT,
    DNS_FAILED,
    GARBAGE,
    HEAD_LATE,
    HEAD_TOO_LARGE,
    RESET,
    TLS_FAILED,
    Fault,
)
from llm_proxy.domain.secret import Secret
from llm_proxy.domain.target import Key, Target, Timeouts, Upstream
from llm_proxy.net.dial import Dialer
from llm_proxy.net.fetch import Fetched, fetch
from llm_proxy.net.pool import REST_S, Pool
from llm_proxy.net.timers import Wheel
from tests.support.certificate import authority_pem, server_context
from tests.support.provider import Provider, black_hole_url, refused_url
from tests.support.scripts import (
    Script,
    bad_chunk,
    close,
    garbage,
    half_head,
    hang,
    joined,
    many_headers,
    reset,
    respond,
    signal,
    sleep,
    wait,
)

HEAD = b"GET /v1/models HTTP/1.1\r\nhost: test\r\n\r\n"


def target_of(url: str, *, connect_s: float = 3.0, proxy: str | None = None) -> Target:
    """Return a target at `url`."""
    parts = urlsplit(url)
    upstream = Upstream(
        name="upstream-1",
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or 0,
        root="/v1",
        keys=(Key("none", None),),
        proxy=Secret(proxy) if proxy else None,
        timeouts=Timeouts(connect_s=connect_s),
    )
    return Target("upstream-1/none", upstream, upstream.keys[0])


@asynccontextmanager
async def pool_of(target: Target, *, ca_file: str | None = None) -> AsyncIterator[Pool]:
    """Give a pool of its own for `target`."""
    loop = asyncio.get_running_loop()
    wheel = Wheel(loop)
    pool = Pool(loop, wheel, Dialer(loop, ca_file=ca_file), target)
    try:
        yield pool
    finally:
        pool.close()
        wheel.close()
        await asyncio.sleep(0.01)


async def ask(pool: Pool, *, timeout_s: float = 5.0) -> Fetched:
    """Send one request, and let its connection rest."""
    fetched = await fetch(asyncio.get_running_loop(), pool, HEAD, timeout_s=timeout_s)
    await asyncio.sleep(2 * REST_S)
    return fetched


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        pytest.param([close()], RESET, id="closed_before_the_head"),
        pytest.param([reset()], RESET, id="reset_before_the_head"),
        pytest.param(garbage(), GARBAGE, id="no_http"),
        pytest.param(half_head(), GARBAGE, id="half_a_head"),
        pytest.param([b"HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok"], GARBAGE, id="http_2"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok"],
            GARBAGE,
            id="two_lengths",
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nok"],
            GARBAGE,
            id="folded_field",
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nx: a\nb: c\r\ncontent-length: 2\r\n\r\nok"],
            GARBAGE,
            id="line_feed_in_a_value",
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
            GARBAGE,
            id="unknown_coding",
        ),
        pytest.param(
            [b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"],
            GARBAGE,
            id="switches_protocols",
        ),
        pytest.param([*respond(b"{}", length=9), close()], BODY_CUT, id="length_too_long"),
        pytest.param(bad_chunk(), BODY_CUT, id="bad_chunk"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", reset()],
            BODY_CUT,
            id="reset_in_a_chunk",
        ),
        pytest.param(
            respond(b"{}", headers=many_headers(1, 300_000)), HEAD_TOO_LARGE, id="huge_field"
        ),
        pytest.param(
            respond(b"{}", headers=many_headers(1001)), HEAD_TOO_LARGE, id="too_many_fields"
        ),
    ],
)
async def test_a_broken_answer_is_a_fault_and_its_connection_is_closed(
    script: Script, fault: Fault
) -> None:
    async with Provider() as provider, pool_of(target_of(provider.url)) as pool:
        provider.script(script)
        assert (await ask(pool)).fault is fault
        assert pool.sizes == (0, 0)
        assert (await ask(pool)).fault is None


@pytest.mark.parametrize(
    ("script", "body"),
    [
        pytest.param(respond(b"{}", interim=[100, 103]), b"{}", id="interim_answers_first"),
        pytest.param(respond(b"{}", version="1.0"), b"{}", id="http_1_0"),
        pytest.param(respond(b"{}", framing="close"), b"{}", id="until_close"),
        pytest.param(respond(b"{}", framing="chunked"), b"{}", id="chunked"),
        pytest.param(
            respond(b"{}", framing="chunked", trailers=[("x-t", "1")]), b"{}", id="trailers"
        ),
        pytest.param(respond(b"{}", headers=many_headers(500)), b"{}", id="five_hundred_fields"),
        pytest.param(respond(b"{}", headers=many_headers(1, 100_000)), b"{}", id="long_field"),
        pytest.param(respond(b"", status=204, content_type=""), b"", id="no_content"),
    ],
)
async def test_an_unusual_answer_is_an_answer(script: Script, body: bytes) -> None:
    async with Provider() as provider, pool_of(target_of(provider.url)) as pool:
        provider.script(script)
        fetched = await ask(pool)
        assert (fetched.fault, fetched.body) == (None, body)


async def test_a_connection_is_used_again_after_a_whole_answer() -> None:
    async with Provider() as provider, pool_of(target_of(provider.url)) as pool:
        for _ in range(3):
            assert (await ask(pool)).status == 200
        assert len(provider.connections) == 1


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(respond(b"{}", surplus=b"HTTP/1.1 200 OK\r\n"), id="bytes_behind_it"),
        pytest.param(joined(respond(b"1"), respond(b"2")), id="a_second_answer_behind_it"),
        pytest.param(respond(b"{}", headers=[("connection", "close")]), id="close_announced"),
    ],
)
async def test_a_connection_is_not_used_again_after(script: Script) -> None:
    async with Provider() as provider, pool_of(target_of(provider.url)) as pool:
        provider.script(script)
        assert (await ask(pool)).status == 200
        assert pool.sizes == (0, 0)
        provider.script(respond(b"clean"))
        assert (await ask(pool)).body == b"clean"
        assert len(provider.connections) == 2


async def test_bytes_that_come_while_it_is_idle_end_a_connection() -> None:
    async with Provider() as provider, pool_of(target_of(provider.url)) as pool:
        late = asyncio.Event()
        sent = asyncio.Event()

        provider.script([*respond(b"1"), wait(late), b"HTTP/1.1 200 OK\r\n", signal(sent)])
        assert (await ask(pool)).body == b"1"
        assert pool.sizes == (1, 1)
        late.set()
        await sent.wait()
        async with asyncio.timeout(2):
            while pool.sizes != (0, 0):
                await asyncio.sleep(0.005)
        assert (await ask(pool)).fault is None


async def test_an_answer_that_comes_right_behind_another_never_reaches_anybody() -> None:
    """An upstream that answers twice, the second time in a packet of its own."""
    async with Provider() as provider, pool_of(target_of(provider.url)) as pool:
        loop = asyncio.get_running_loop()
        provider.reply([*respond(b"mine"), sleep(0.001), *respond(b"somebody else's")])
        for _ in range(20):
            fetched = await fetch(loop, pool, HEAD, timeout_s=5.0)
            assert fetched.body == b"mine"
        await provider.wait_until(lambda: not provider.open_connections)
        assert len(provider.connections) == 20


async def test_an_upstream_that_answered_twice_gets_a_connection_for_every_request() -> None:
    async with Provider() as provider, pool_of(target_of(provider.url)) as pool:
        provider.script([*respond(b"1"), sleep(0.001), *respond(b"2")])
        for _ in range(4):
            assert (await ask(pool)).fault is None
        assert len(provider.connections) == 4


async def test_an_answer_that_does_not_come_is_late() -> None:
    async with Provider() as provider, pool_of(target_of(provider.url)) as pool:
        provider.script([hang()])
        assert (await ask(pool, timeout_s=0.1)).fault is HEAD_LATE
        assert pool.sizes == (0, 0)


async def test_a_closed_port_refuses() -> None:
    with refused_url() as url:
        async with pool_of(target_of(url)) as pool:
            assert (await ask(pool)).fault is CONNECT_REFUSED


async def test_a_black_hole_times_out() -> None:
    with black_hole_url() as url:
        async with pool_of(target_of(url, connect_s=0.2)) as pool:
            began = asyncio.get_running_loop().time()
            assert (await ask(pool)).fault is CONNECT_TIMEOUT
            assert asyncio.get_running_loop().time() - began < 1


async def test_an_unknown_name_is_a_dns_failure() -> None:
    async with pool_of(target_of("http://no-such-host.invalid:80")) as pool:
        assert (await ask(pool)).fault is DNS_FAILED


async def test_tls_is_verified_named_and_resumed(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority_pem())
    async with Provider(ssl_context=server_context()) as provider:
        async with pool_of(target_of(provider.url), ca_file=str(ca_file)) as pool:
            provider.script(respond(b"1", headers=[("connection", "close")]))
            assert (await ask(pool)).body == b"1"
            assert (await ask(pool)).fault is None
        async with pool_of(target_of(provider.url)) as stranger:
            fetched = await ask(stranger)
            assert fetched.fault is TLS_FAILED
            assert "certificate" in fetched.reason


async def test_plain_http_behind_an_https_address_is_a_tls_failure() -> None:
    async with Provider() as provider:
        url = provider.url.replace("http://", "https://")
        async with pool_of(target_of(url, connect_s=1.0)) as pool:
            assert (await ask(pool)).fault in (TLS_FAILED, CONNECT_TIMEOUT)
