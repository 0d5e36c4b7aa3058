"""kill -9 under load, again and again: it starts each time, and no record is lost or doubled."""

import asyncio
import time
from pathlib import Path

from tests.support.answers import error
from tests.support.client import FramingError, RawClient, TruncatedError
from tests.support.provider import Provider
from tests.support.proxy_process import ProxyProcess

from .stage import PATHS, get, question, records

ROUNDS = 20
LOAD_S = 0.35
WINDOW_S = 0.2
"""Records of requests answered longer ago than this are on disk, whatever happens."""


async def load(proxy: ProxyProcess, answered: list[tuple[str, float]]) -> None:
    """Ask on one connection until it breaks; note the id and time of every whole answer."""
    body = question()
    try:
        async with RawClient.to(proxy.url) as client:
            while True:
                answer = await client.ask(
                    "POST", PATHS["chat"], key=proxy.access_key, json_body=body
                )
                assert answer.status == 200, answer.body
                answered.append((answer.header("x-llm-proxy-request-id") or "", time.monotonic()))
    except (TruncatedError, FramingError, ConnectionError):
        return


async def test_killed_twenty_times_under_load_it_starts_again_with_every_record(
    tmp_path: Path,
) -> None:
    must_be_there: set[str] = set()
    slowest_s = 0.0
    async with Provider() as provider:
        proxy = ProxyProcess(tmp_path, provider.url)
        for number in range(ROUNDS):
            ready_s = await asyncio.to_thread(proxy.start)
            slowest_s = max(slowest_s, ready_s)
            assert ready_s < 3, f"round {number}: {ready_s:.1f} s"
            answered: list[tuple[str, float]] = []
            loads = [asyncio.ensure_future(load(proxy, answered)) for _ in range(4)]
            async with asyncio.timeout(5):
                while len(answered) < 20:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(LOAD_S)
            killed_at = time.monotonic()
            await asyncio.to_thread(proxy.kill)
            await asyncio.gather(*loads)
            must_be_there |= {id_ for id_, at in answered if killed_at - at > WINDOW_S}
        async with proxy:
            ids = [record["id"] for record in await records(proxy)]
            status = await get(proxy, "/api/status")
        output = proxy.output
    print(
        f"{len(ids)} records, {len(must_be_there)} had to be there, slowest start {slowest_s:.2f} s"
    )
    assert len(must_be_there) > ROUNDS
    assert must_be_there - set(ids) == set()
    assert len(set(ids)) == len(ids)
    # The totals are kept beside the records: killing must not part them.
    assert status["totals"]["requests"] == len(ids)
    assert status["totals"]["ok"] == len(ids)
    assert status["store"]["state"] == "ok"
    assert "damaged" not in output
    assert not list((tmp_path / "data").glob("*corrupt*"))
    assert "Traceback" not in output


async def test_totals_and_records_survive_an_orderly_restart(tmp_path: Path) -> None:
    async with Provider() as provider:
        proxy = ProxyProcess(tmp_path, provider.url)
        await asyncio.to_thread(proxy.start)
        async with RawClient.to(proxy.url) as client:
            for _ in range(7):
                await client.ask("POST", PATHS["chat"], key=proxy.access_key, json_body=question())
        before = (await get(proxy, "/api/status"))["totals"]
        assert await asyncio.to_thread(proxy.stop) == 0
        async with proxy:
            assert (await get(proxy, "/api/status"))["totals"] == before
            assert before["requests"] == 7
            assert before["output_tokens"] == 21
            assert len(await records(proxy)) == 7


async def test_a_key_that_rests_still_rests_after_a_restart(tmp_path: Path) -> None:
    async with Provider() as provider:
        proxy = ProxyProcess(tmp_path, provider.url, environment={"MAX_RETRIES": "0"})
        provider.script(error(429, headers=[("retry-after", "600")]), path=PATHS["chat"])
        await asyncio.to_thread(proxy.start)
        async with RawClient.to(proxy.url) as client:
            body = question()
            await client.ask("POST", PATHS["chat"], key=proxy.access_key, json_body=body)
        assert await asyncio.to_thread(proxy.stop) == 0
        async with proxy, RawClient.to(proxy.url) as client:
            body = question()
            answer = await client.ask("POST", PATHS["chat"], key=proxy.access_key, json_body=body)
        assert answer.status == 429
        assert 500 < int(answer.header("retry-after") or 0) <= 601
        assert len([one for one in provider.requests if one.method == "POST"]) == 1
