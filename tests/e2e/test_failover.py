"""What the proxy is for: one upstream is limited all the time, and no client ever notices."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from tests.e2e.world import PATHS, World, faults_of
from tests.support.answers import error
from tests.support.provider import ProviderThread, Request
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import Script

REQUESTS = 1000
AT_ONCE = 20
LIMITED_KEY = "sk-upstream-limited-0123456789"
HEALTHY_KEY = "sk-upstream-healthy-0123456789"


def limited(request: Request) -> Script:
    """Refuse a request as a provider of its format does; no hint when to come back."""
    return error(429, "messages" if request.path.endswith("/messages") else "chat")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A proxy whose first upstream answers everything with 429."""
    directory = tmp_path_factory.mktemp("failover")
    with ProviderThread() as bad, ProviderThread() as good:
        bad.reply(limited)
        urls, keys = [bad.url, good.url], [LIMITED_KEY, HEALTHY_KEY]
        with ProxyProcess(directory, urls, api_key=keys) as proxy:
            yield World(proxy, bad, good)
        assert bad.malformed == good.malformed == []


async def repeat(ask: Callable[[int], Awaitable[tuple[str, str]]]) -> list[tuple[str, str]]:
    """Return (text, request id) of all requests, `AT_ONCE` under way at any time."""
    numbers = iter(range(REQUESTS))
    results: list[tuple[str, str]] = []

    async def worker() -> None:
        for number in numbers:
            results.append(await ask(number))  # noqa: PERF401 - one after the other is the point

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return results


async def chat(client: AsyncOpenAI, number: int) -> tuple[str, str]:
    """Ask once with OpenAI's package; every other time for a stream."""
    ask: Any = {"model": "gpt", "messages": [{"role": "user", "content": "hi"}]}
    chat = client.chat.completions.with_raw_response
    if number % 2:
        raw = await chat.create(**ask, stream=True)
        async with raw.parse() as stream:
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    else:
        raw = await chat.create(**ask)
        text = raw.parse().choices[0].message.content or ""
    return text, raw.headers["x-llm-proxy-request-id"]


async def message(client: AsyncAnthropic, number: int) -> tuple[str, str]:
    """Ask once with Anthropic's package; every other time for a stream."""
    ask: Any = {"model": "claude", "messages": [{"role": "user", "content": "hi"}]}
    ask["max_tokens"] = 64
    if number % 2:
        async with client.messages.stream(**ask) as stream:
            text = await stream.get_final_text()
            return text, stream.response.headers["x-llm-proxy-request-id"]
    raw = await client.messages.with_raw_response.create(**ask)
    (part,) = (await raw.parse()).content
    assert part.type == "text"
    return part.text, raw.headers["x-llm-proxy-request-id"]


@pytest.mark.parametrize("package", ["openai", "anthropic"])
async def test_a_thousand_requests_succeed_while_one_of_two_upstreams_is_limited(
    pair: World, package: str
) -> None:
    pair.providers[1].requests.clear()
    pair.providers[0].requests.clear()
    if package == "openai":
        async with pair.async_openai() as client:
            results = await repeat(lambda number: chat(client, number))
    else:
        async with pair.async_anthropic() as other:
            results = await repeat(lambda number: message(other, number))

    assert Counter(text for text, _ in results) == {"Hello there!": REQUESTS}
    records = {record.id: record for record in pair.all_records()}
    ours = [records[request_id] for _, request_id in results]
    assert len({record.id for record in ours}) == REQUESTS
    ends = {(record.outcome, record.status, record.upstream) for record in ours}
    assert ends == {("ok", 200, "upstream-2")}
    assert sum(record.stream for record in ours) == REQUESTS / 2
    assert {record.usage.output for record in ours if not record.stream} == {3}
    # Why it went on elsewhere stands in the record, and the providers saw what is written there.
    rescued = [record for record in ours if len(record.attempts) > 1]
    assert rescued
    for record in rescued:
        first, last = record.attempts
        assert faults_of(record) == ["rate_limited", None]
        assert (first.upstream, first.status) == ("upstream-1", 429)
        assert first.reason == "the provider says no"
        assert first.cool_s
        assert (last.upstream, last.status) == ("upstream-2", 200)
    asked = [r for r in pair.providers[0].requests if r.method == "POST"]
    assert len(asked) == len(rescued) < REQUESTS / 4, "a limited key is left alone"
    assert {request.key for request in pair.providers[0].requests} == {LIMITED_KEY}
    assert {request.key for request in pair.providers[1].requests} == {HEALTHY_KEY}


async def test_the_page_tells_how_many_were_rescued_and_from_what(pair: World) -> None:
    before = pair.page("/api/status")["totals"]
    ids: list[str | None] = []
    while len(ids) < 6 or not _key(pair, 0)["rate_limited"]:
        for dialect in PATHS:
            answer = await pair.generate(dialect)
            ids.append(answer.header("x-llm-proxy-request-id"))
        assert len(ids) < 100, "the limited upstream is never asked"
    rescued = sum(len(pair.record(one).attempts) == 2 for one in ids)
    totals = await _totals(pair, before["requests"] + len(ids))
    assert totals["ok"] - before["ok"] == len(ids)
    assert totals["rescued"] - before["rescued"] == rescued
    assert totals["rate_limits_met"] - before["rate_limits_met"] == rescued
    assert totals["attempts"] - before["attempts"] == len(ids) + rescued
    assert totals.get("failed", 0) == 0
    limited_key, healthy_key = _key(pair, 0), _key(pair, 1)
    assert limited_key["rate_limited"] == limited_key["failures"] == limited_key["attempts"]
    assert (healthy_key["state"], healthy_key["failures"]) == ("ready", 0)


def _key(world: World, upstream: int) -> dict[str, Any]:
    (key,) = world.page("/api/upstreams")["upstreams"][upstream]["keys"]
    shown: dict[str, Any] = key
    return shown


async def _totals(world: World, requests: int) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while (totals := world.page("/api/status")["totals"])["requests"] < requests:
            await asyncio.sleep(0.05)
    found: dict[str, Any] = totals
    assert found["requests"] == requests
    return found
