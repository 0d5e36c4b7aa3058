"""MAX_CONCURRENCY: so many requests are in flight at once; a few more wait, the rest are told."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.client import Answer, RawClient
from tests.support.provider import Provider
from tests.support.proxy_process import ProxyProcess

from .test_places import KEY, Desk, ask, proxy_of, under_way
from .world import CHAT, question


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A provider that answers when it is let."""
    async with Provider() as provider:
        desk = Desk(provider)
        desk.gate.clear()
        yield desk


async def hurried(proxy: ProxyProcess, user: str, within_ms: int) -> Answer:
    async with RawClient.to(proxy.url) as client:
        limit = [("x-llm-proxy-timeout-ms", str(within_ms))]
        body = question("chat") | {"user": user}
        return await client.ask("POST", CHAT, key=KEY, headers=limit, json_body=body)


async def test_requests_beyond_the_limit_wait_and_are_served_in_their_order(
    tmp_path: Path, desk: Desk
) -> None:
    async with proxy_of(tmp_path, (desk.provider, 'key = "k"'), MAX_CONCURRENCY="2") as proxy:
        asked = []
        for number in range(4):
            asked.append(asyncio.create_task(ask(proxy, str(number))))
            await under_way(proxy, number + 1)
        assert desk.now == 2
        desk.gate.set()
        assert {answer.status for answer in await asyncio.gather(*asked)} == {200}
        assert (desk.most, desk.order) == (2, ["0", "1", "2", "3"])


async def test_who_has_waited_in_vain_or_left_takes_nobodys_place_in_the_line(
    tmp_path: Path, desk: Desk
) -> None:
    async with proxy_of(tmp_path, (desk.provider, 'key = "k"'), MAX_CONCURRENCY="1") as proxy:
        held = asyncio.create_task(ask(proxy, "held"))
        await desk.provider.wait_until(lambda: desk.now == 1)
        for _ in range(2):
            began = time.monotonic()
            answer = await hurried(proxy, "in vain", 200)
            assert 0.15 < time.monotonic() - began < 1.0
            assert (answer.status, answer.header("retry-after")) == (503, "1")
        for _ in range(2):
            async with RawClient.to(proxy.url) as client:
                body = question("chat") | {"user": "left"}
                await client.request("POST", CHAT, key=KEY, json_body=body)
                await under_way(proxy, 2)
                client.abort()
            await under_way(proxy, 1)
        patient = asyncio.create_task(ask(proxy, "patient"))
        await under_way(proxy, 2)
        assert (await ask(proxy, "one too many")).status == 503
        desk.gate.set()
        assert [answer.status for answer in (await held, await patient)] == [200, 200]
        assert desk.order == ["held", "patient"]


async def test_after_a_crowd_that_waits_leaves_and_is_ended_every_place_is_free(
    tmp_path: Path, desk: Desk
) -> None:
    async with proxy_of(tmp_path, (desk.provider, 'key = "k"'), MAX_CONCURRENCY="3") as proxy:
        desk.gate.set()
        desk.took_s = 0.01

        async def visit(number: int) -> None:
            async with RawClient.to(proxy.url) as client:
                await client.request("POST", CHAT, key=KEY, json_body=question("chat"))
                if number % 3:
                    await client.read_response()
                else:
                    await asyncio.sleep(number % 7 * 0.003)
                    client.abort()

        async def end() -> None:
            async with RawClient.to(proxy.url) as client:
                for _ in range(40):
                    found = (await client.ask("GET", "/api/in-flight", key=KEY)).json()
                    for one in found["in_flight"][:2]:
                        await client.ask("POST", f"/api/in-flight/{one['id']}/cancel", key=KEY)

        await asyncio.gather(end(), *map(visit, range(120)))
        await under_way(proxy, 0)
        desk.gate.clear()
        desk.now = 0
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(3):
                client = await stack.enter_async_context(RawClient.to(proxy.url))
                await client.request("POST", CHAT, key=KEY, json_body=question("chat"))
            await desk.provider.wait_until(lambda: desk.now == 3)
