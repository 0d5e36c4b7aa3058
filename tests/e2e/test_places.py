"""Keys that serve so many requests at once and no more, over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import pytest

from tests.support.answers import chat_json, chat_stream, error
from tests.support.client import Answer, FramingError, RawClient, TruncatedError
from tests.support.provider import Provider, Request
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import Link, Script, Step, reset

from .world import CHAT, question

KEY = "sk-access-key-of-this-test"
SEEN = "x-llm-proxy-upstream"


class Desk:
    """A provider that counts whom it serves at once.

    Attributes:
        most: The most at any time.
        order: Who was served, in order, by the user field of the request.
        gate: Answers wait for it.
    """

    def __init__(self, provider: Provider, *, took_s: float = 0.0) -> None:
        self.provider = provider
        self.took_s = took_s
        self.now = self.most = 0
        self.order: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        provider.reply(self.answer, path=CHAT)

    def answer(self, request: Request) -> Script:
        return [self.serving(request), *chat_json("served")]

    def serving(self, request: Request) -> Step:
        async def step(_: Link) -> None:
            self.order.append(request.fields.get("user", ""))
            with self.counted():
                await self.gate.wait()
                await asyncio.sleep(self.took_s)

        return step

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            yield
        finally:
            self.now -= 1


@contextlib.asynccontextmanager
async def proxy_of(
    directory: Path, *tables: tuple[Provider, str], **environment: str
) -> AsyncIterator[ProxyProcess]:
    """Run a proxy whose upstreams `a`, `b`, … are given with further lines of their tables."""
    file = directory / "proxy.toml"
    file.write_text(
        "".join(
            f'[[upstream]]\nname = "{name}"\nurl = "{provider.url}"\n{lines}\n'
            for name, (provider, lines) in zip("abc", tables, strict=False)
        )
    )
    variables = {"LLM_PROXY_CONFIG": str(file), **environment}
    async with ProxyProcess(directory, access_key=KEY, environment=variables) as proxy:
        yield proxy


async def ask(proxy: ProxyProcess, user: str = "", **fields: object) -> Answer:
    async with RawClient.to(proxy.url) as client:
        body = question("chat") | {"user": user} | fields
        return await client.ask("POST", CHAT, key=KEY, json_body=body)


async def in_flight(proxy: ProxyProcess) -> list[int]:
    async with RawClient.to(proxy.url) as client:
        found = (await client.ask("GET", "/api/upstreams", key=KEY)).json()["upstreams"]
    return [key["in_flight"] for one in found for key in one["keys"]]


async def under_way(proxy: ProxyProcess, count: int) -> None:
    """Return when so many requests are under way, in line or served."""
    async with RawClient.to(proxy.url) as client, asyncio.timeout(5):
        while (await client.ask("GET", "/api/in-flight", key=KEY)).json()["total"] != count:
            await asyncio.sleep(0.005)


async def phases(proxy: ProxyProcess) -> list[str]:
    """Return what the requests under way are doing, oldest first."""
    async with RawClient.to(proxy.url) as client:
        found = (await client.ask("GET", "/api/in-flight", key=KEY)).json()["in_flight"]
    return [one["phase"] for one in found]


async def test_a_key_of_two_places_serves_twenty_clients_two_at_a_time_in_their_order(
    tmp_path: Path,
) -> None:
    async with Provider() as provider:
        desk = Desk(provider, took_s=0.03)
        async with proxy_of(tmp_path, (provider, 'key = "k1"\nmax_concurrency = 2')) as proxy:
            desk.gate.clear()
            asked = []
            for number in range(20):
                asked.append(asyncio.create_task(ask(proxy, f"{number:02}")))
                await under_way(proxy, number + 1)  # so that there is an order to keep
            assert desk.order == ["00", "01"]
            assert await phases(proxy) == ["trying"] * 2 + ["waiting"] * 18
            desk.gate.set()
            answers = await asyncio.gather(*asked)
            assert {answer.status for answer in answers} == {200}
            assert desk.most == 2
            assert desk.order == [f"{number:02}" for number in range(20)]
            assert await in_flight(proxy) == [0]


async def test_a_second_upstream_takes_the_overflow_at_once(tmp_path: Path) -> None:
    async with Provider() as first, Provider() as second:
        one, two = Desk(first), Desk(second)
        one.gate.clear()
        tables = (first, 'key = "k1"\nmax_concurrency = 2'), (second, 'key = "k2"\npriority = 1')
        async with proxy_of(tmp_path, *tables) as proxy:
            held = [asyncio.create_task(ask(proxy)) for _ in range(2)]
            await first.wait_until(lambda: one.now == 2)
            async with asyncio.timeout(2):
                answers = [await ask(proxy) for _ in range(5)]
            assert [answer.header(SEEN) for answer in answers] == ["b"] * 5
            one.gate.set()
            assert [answer.header(SEEN) for answer in await asyncio.gather(*held)] == ["a", "a"]
            assert (await ask(proxy)).header(SEEN) == "a"
            assert (one.most, two.most) == (2, 1)


async def test_the_limit_is_per_key(tmp_path: Path) -> None:
    async with Provider() as provider:
        desk = Desk(provider)
        desk.gate.clear()
        lines = 'keys = ["k1", "k2"]\nmax_concurrency = 2'
        async with proxy_of(tmp_path, (provider, lines)) as proxy:
            held = [asyncio.create_task(ask(proxy)) for _ in range(6)]
            await provider.wait_until(lambda: desk.now == 4)
            assert await in_flight(proxy) == [2, 2]
            desk.gate.set()
            assert {answer.status for answer in await asyncio.gather(*held)} == {200}
            assert desk.most == 4


async def test_without_a_place_the_client_hears_503_overloaded_and_when_to_come_again(
    tmp_path: Path,
) -> None:
    async with Provider() as provider:
        desk = Desk(provider)
        desk.gate.clear()
        async with proxy_of(tmp_path, (provider, 'key = "k1"\nmax_concurrency = 1')) as proxy:
            held = asyncio.create_task(ask(proxy))
            await provider.wait_until(lambda: desk.now == 1)
            began = asyncio.get_running_loop().time()
            answer = await ask(proxy, stream=True)
            assert 4.5 < asyncio.get_running_loop().time() - began < 6.5
            desk.gate.set()
            assert (await held).status == 200
            async with RawClient.to(proxy.url) as client:
                found = (await client.ask("GET", "/api/requests", key=KEY)).json()["requests"]
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    assert answer.json()["error"]["code"] == "overloaded"
    assert "as many requests as it may" in answer.json()["error"]["message"]
    refused = next(one for one in found if one["status"] == 503)
    assert refused.get("attempts", []) == []


async def test_clients_that_leave_the_line_do_not_keep_others_from_their_places(
    tmp_path: Path,
) -> None:
    async with Provider() as provider:
        desk = Desk(provider)
        desk.gate.clear()
        async with proxy_of(tmp_path, (provider, 'key = "k1"\nmax_concurrency = 1')) as proxy:
            held = asyncio.create_task(ask(proxy, "held"))
            await provider.wait_until(lambda: desk.now == 1)
            async with contextlib.AsyncExitStack() as stack:
                leaving = [
                    await stack.enter_async_context(RawClient.to(proxy.url)) for _ in range(10)
                ]
                for client in leaving:
                    await client.request(
                        "POST", CHAT, key=KEY, json_body=question("chat") | {"user": "left"}
                    )
                await under_way(proxy, 11)
                patient = asyncio.create_task(ask(proxy, "patient"))
                await under_way(proxy, 12)
                for client in leaving:
                    client.abort()
                await under_way(proxy, 2)
            desk.gate.set()
            assert (await held).status == 200
            assert (await patient).status == 200
            assert desk.order == ["held", "patient"]
            assert await in_flight(proxy) == [0]


def hostile(desk: Desk, pick: Random, request: Request) -> Script:
    """Return an answer of any kind, served in an uneven time."""
    desk.took_s = pick.random() * 0.02
    serving = desk.serving(request)
    if request.fields.get("stream"):
        whole = chat_stream(["a", "b", "c"], gap_s=pick.random() * 0.01)
        broken = chat_stream(["a", "b", "c"], cut_after=1)
        return [serving, *pick.choice([whole, whole, broken])]
    good = chat_json("x")
    answers: list[Script] = [good, good, error(429), error(500), [reset()]]
    return [serving, *pick.choice(answers)]


@pytest.mark.parametrize("seed", range(3))
async def test_after_a_hostile_crowd_every_place_is_free_again(tmp_path: Path, seed: int) -> None:
    """Clients leave at any moment; streams break, keys are limited, connections are reset."""
    pick = Random(seed)
    async with Provider() as provider:
        desk = Desk(provider)
        provider.forget()
        provider.reply(lambda request: hostile(desk, pick, request), path=CHAT)
        lines = 'keys = ["k1", "k2"]\nmax_concurrency = 2'
        async with proxy_of(tmp_path, (provider, lines), MAX_RETRIES="5") as proxy:

            async def visit() -> None:
                await asyncio.sleep(pick.random() * 0.5)
                body = question("chat", stream=pick.random() < 0.5)
                async with RawClient.to(proxy.url) as client:
                    await client.request("POST", CHAT, key=KEY, json_body=body)
                    if pick.random() < 0.4:
                        await asyncio.sleep(pick.random() * 0.2)
                        client.abort()
                        return
                    with contextlib.suppress(TruncatedError, FramingError):
                        await client.read_response()

            await asyncio.gather(*(visit() for _ in range(120)))
            for _ in range(100):
                if await in_flight(proxy) == [0, 0]:
                    break
                await asyncio.sleep(0.05)
            assert await in_flight(proxy) == [0, 0]
            provider.forget()
            calm = Desk(provider)
            calm.gate.clear()
            # Guessed limits and breakers of the crowd may rest a key for some seconds.
            held = [asyncio.create_task(ask(proxy)) for _ in range(4)]
            await provider.wait_until(lambda: calm.now == 4, timeout_s=10)
            calm.gate.set()
            assert {answer.status for answer in await asyncio.gather(*held)} == {200}
