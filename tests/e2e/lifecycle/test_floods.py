"""Connections that send slowly or nothing at all cost the others nothing."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.client import RawClient
from tests.support.provider import Provider
from tests.support.proxy_process import ProxyProcess

from .stage import PATHS, ask, question

FLOOD = 300
GOOD = 200
BOUND_S = 0.5
"""How long the slowest good answer may take here, on a busy machine; the bench measures more."""
HEAD_LIMIT_S = 15.0


async def drip_head(client: RawClient) -> None:
    """Send a head, a field at a time, that never ends."""
    await client.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")
    for number in range(1000):
        await asyncio.sleep(0.5)
        await client.send(b"x-slow-%d: 1\r\n" % number)


async def drip_body(client: RawClient, key: str) -> None:
    """Send a body, a byte at a time, that takes for ever."""
    await client.send(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n"
        b"content-length: 100000\r\n\r\n{" % key.encode()
    )
    for _ in range(1000):
        await asyncio.sleep(0.5)
        await client.send(b" ")


async def stay_idle(client: RawClient) -> None:
    """Send nothing."""
    await asyncio.sleep(1000)


@contextlib.asynccontextmanager
async def flood(
    proxy: ProxyProcess, behave: Callable[[RawClient], Awaitable[None]]
) -> AsyncIterator[None]:
    """Keep connections that behave badly while the block runs."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(RawClient.to(proxy.url)) for _ in range(FLOOD)]
        tasks = [asyncio.ensure_future(behave(client)) for client in clients]
        try:
            yield
            assert not [task for task in tasks if task.done()], "the flood did not hold"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def times_of_good_clients(proxy: ProxyProcess) -> list[float]:
    """Return how long each of many answers took, new and old connections mixed."""
    took: list[float] = []

    async def one_connection() -> None:
        for _ in range(GOOD // 20):
            async with RawClient.to(proxy.url) as client:
                for _ in range(5):
                    began = time.monotonic()
                    answer = await client.ask(
                        "POST", PATHS["chat"], key=proxy.access_key, json_body=question()
                    )
                    assert answer.status == 200
                    took.append(time.monotonic() - began)

    await asyncio.gather(*(one_connection() for _ in range(4)))
    return took


@pytest.mark.parametrize("kind", ["slow_head", "slow_body", "idle"])
async def test_a_flood_of_slow_connections_leaves_good_clients_served(
    tmp_path: Path, kind: str
) -> None:
    async with Provider() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        behave: dict[str, Callable[[RawClient], Awaitable[None]]] = {
            "slow_head": drip_head,
            "slow_body": lambda client: drip_body(client, proxy.access_key),
            "idle": stay_idle,
        }
        async with flood(proxy, behave[kind]):
            await asyncio.sleep(0.6)  # so that the second pieces come as well
            took = await times_of_good_clients(proxy)
            print(
                f"{kind}: median {statistics.median(took) * 1000:.1f} ms,"
                f" slowest {max(took) * 1000:.1f} ms"
            )
            assert max(took) < BOUND_S
            posts = [one for one in provider.requests if one.method == "POST"]
            assert len(posts) == len(took), "a slow request reached the provider"
        assert proxy.resident_bytes() < 150 << 20
        assert (await ask(proxy)).status == 200


@pytest.mark.long
async def test_a_head_that_never_ends_is_refused_in_time(tmp_path: Path) -> None:
    async with Provider() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        async with RawClient.to(proxy.url, timeout_s=HEAD_LIMIT_S) as client:
            began = time.monotonic()
            dripping = asyncio.ensure_future(drip_head(client))
            answer = await client.read_response()
            took_s = time.monotonic() - began
            dripping.cancel()
            await asyncio.gather(dripping, return_exceptions=True)
        assert answer.status == 408
        assert answer.header("connection") == "close"
        assert took_s < HEAD_LIMIT_S


async def test_connections_beyond_the_limit_are_refused_and_served_again_when_others_leave(
    tmp_path: Path,
) -> None:
    environment = {"MAX_CONNECTIONS": "20"}
    async with (
        Provider() as provider,
        ProxyProcess(tmp_path, provider.url, environment=environment) as proxy,
    ):
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(20):
                one = await stack.enter_async_context(RawClient.to(proxy.url))
                await one.ask("GET", "/health")
            async with RawClient.to(proxy.url) as late:
                answer = await late.read_response()
            assert answer.status == 503
            assert answer.header("retry-after")
            assert answer.header("connection") == "close"
        async with asyncio.timeout(2):
            while (await ask(proxy)).status != 200:
                await asyncio.sleep(0.01)
