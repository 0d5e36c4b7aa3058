"""kill -9 under load, again and again: it starts each time, and no record is lost or doubled."""

import asyncio
import contextlib
import time
from pathlib import Path

from tests.support.answers import chat_json, chat_stream, error
from tests.support.client import FramingError, RawClient, TruncatedError
from tests.support.provider import Provider
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import hang, sleep

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


async def test_what_ran_for_a_while_when_it_was_killed_is_in_the_records_as_unknown(
    tmp_path: Path,
) -> None:
    async with Provider() as provider:
        flowing = chat_stream(["one", "two"], cut_after=1, cut_by="hang")
        provider.script(flowing, [hang()], [sleep(2.5), *chat_json()], path=PATHS["chat"])
        proxy = ProxyProcess(tmp_path, provider.url)
        await asyncio.to_thread(proxy.start)
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(RawClient.to(proxy.url)) for _ in range(3)]
            for number, client in enumerate(clients):
                body = question() | {"stream": number == 0}
                await client.request("POST", PATHS["chat"], key=proxy.access_key, json_body=body)
                await provider.wait_for_requests(number + 1)
            answer = await clients[2].read_response()
            await asyncio.sleep(WINDOW_S + 2.2)
            await asyncio.to_thread(proxy.kill)
        for _ in range(2):  # the second start finds nothing new
            await asyncio.to_thread(proxy.start)
            await asyncio.sleep(WINDOW_S)
            found = await records(proxy)
            totals = (await get(proxy, "/api/status"))["totals"]
            assert await asyncio.to_thread(proxy.stop) == 0
            assert len(found) == totals["requests"] == 3
            assert sorted(one["outcome"] for one in found) == ["cut", "ok", "upstream_error"]
            by_id = {one["id"]: one for one in found}
            assert by_id.pop(answer.header("x-llm-proxy-request-id") or "")["outcome"] == "ok"
            for one in by_id.values():
                assert one["error"].endswith("how it ended is unknown")
                (attempt,) = one["attempts"]
                assert (attempt["fault"], attempt["cost"]) == ("shut_down", "unknown")


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
