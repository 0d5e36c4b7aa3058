"""A first token that is late: whether somebody else is left counts at that moment, not before."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.answers import chat_json, chat_stream
from tests.support.client import Head, RawClient, Stream
from tests.support.provider import Provider
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import hang, sleep, wait

from .test_places import KEY, ask, proxy_of
from .world import CHAT, question

SLOW_S = 0.8
A = 'key = "ka"\nmodels = ["m"]\ntimeouts = { first_token_s = 0.3 }'
B = 'key = "kb"\nmodels = ["m", "other"]\nmax_concurrency = 1\npriority = 1'


class Scene:
    """A slow upstream `a`, and one behind it with a single place.

    Attributes:
        leave: Set: the request that takes `b`'s place is answered.
    """

    def __init__(self, proxy: ProxyProcess, a: Provider, b: Provider) -> None:
        self.proxy, self.a, self.b = proxy, a, b
        self.leave = asyncio.Event()
        head, *rest = chat_stream(["from a"])
        a.reply([head, sleep(SLOW_S), *rest], path=CHAT)
        b.reply(chat_stream(["from b"]), path=CHAT, model="m")
        b.reply([wait(self.leave), *chat_json()], path=CHAT, model="other")

    async def stream(self) -> tuple[Head, Stream]:
        async with RawClient.to(self.proxy.url) as client:
            body = question("chat", "m", stream=True)
            await client.request("POST", CHAT, key=KEY, json_body=body)
            head = await client.read_head()
            return head, await client.read_stream(head)

    async def take_place(self) -> "asyncio.Task[object]":
        """Have the place of `b` taken."""
        task = asyncio.create_task(ask(self.proxy, model="other"))
        await self.b.wait_until(lambda: any(one.model == "other" for one in self.b.requests))
        return task


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with Provider() as a, Provider() as b, proxy_of(tmp_path, (a, A), (b, B)) as proxy:
        yield Scene(proxy, a, b)


async def test_a_slow_stream_is_kept_where_the_other_key_has_got_full_meanwhile(
    scene: Scene,
) -> None:
    streaming = asyncio.create_task(scene.stream())
    await scene.a.wait_until(lambda: any(one.path == CHAT for one in scene.a.requests))
    other = await scene.take_place()
    head, stream = await streaming
    assert (head.header("x-llm-proxy-upstream"), head.header("x-llm-proxy-attempts")) == ("a", "1")
    assert b"from a" in stream.raw
    scene.leave.set()
    await other


async def test_a_slow_stream_is_left_for_a_key_that_has_got_free_meanwhile(scene: Scene) -> None:
    other = await scene.take_place()
    streaming = asyncio.create_task(scene.stream())
    await scene.a.wait_until(lambda: any(one.path == CHAT for one in scene.a.requests))
    scene.leave.set()
    await other
    head, stream = await streaming
    assert (head.header("x-llm-proxy-upstream"), head.header("x-llm-proxy-attempts")) == ("b", "2")
    assert b"from b" in stream.raw


@pytest.mark.long
async def test_a_stream_whose_head_never_comes_is_left_before_clients_give_up(
    tmp_path: Path,
) -> None:
    async with Provider(limit_s=240) as a, Provider() as b:
        a.reply([hang()], path=CHAT)
        lower = B.replace("max_concurrency = 1", "")
        async with proxy_of(tmp_path, (a, 'key = "ka"'), (b, lower)) as proxy:
            began = time.monotonic()
            async with RawClient.to(proxy.url, timeout_s=220) as client:
                body = question("chat", "m", stream=True)
                await client.request("POST", CHAT, key=KEY, json_body=body)
                stream = await client.read_stream()
            assert 199 < time.monotonic() - began < 210
            assert stream.raw.count(b": keepalive") >= 12
            assert stream.data[-1] == "[DONE]"
