"""Everything that can happen to requests, at random and at once, while the owner meddles.

Clients of two access keys ask in all formats, leave when they like and have little time; providers
answer, limit, break off, fall silent or answer before they have read; keys are paused, resumed and
reset, requests are cancelled, the configuration is reloaded. Whatever happens: every request ends
once, in time, honestly and in one record; what is counted comes back to zero; every place at every
key, and in the process, is there again afterwards; and a stop in the middle of it is orderly.
"""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.faults.dialect import PATHS, STREAM, question, read
from tests.faults.stage import Scene
from tests.faults.test_random_faults import Client
from tests.support.answers import healthy
from tests.support.client import RawClient, Stream
from tests.support.provider import Request
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import Script, hang, wait

from .weather import EMBEDDINGS, FRIEND, ID, MODEL, OWNER, Desk, Layout, Upstream, Weather, tables

WORKERS = 24
ROOM_BYTES = 20 * 1024 * 1024
"""How much resident memory may differ after 2,000 more requests: bodies of 2 MB from several
clients at once leave holes, and no more than that stays (measured: flat over 7,000)."""
UNSURE = {"client_gone", "cancelled", "deadline"}
"""Faults of attempts that may have ended before anything was written."""

LAYOUTS = {
    "one_key": Layout((Upstream(places=1),)),
    "pool": Layout(
        (
            Upstream(keys=3, places=2, lines='models = ["m"]'),
            Upstream(at=1, places=3, priority=1, lines='models = ["m", "spare"]'),
        ),
        {"STREAM_RESCUE": "1", "MODEL_FALLBACKS": "m=spare", "MAX_CONCURRENCY": "8"},
    ),
    "hundred_keys": Layout((Upstream(keys=100, places=1),)),
    "two_formats": Layout(
        (
            Upstream(keys=2, places=2, lines='formats = ["chat"]'),
            Upstream(at=1, keys=2, lines='formats = ["messages"]'),
        ),
        {"STREAM_RESCUE": "1"},
    ),
    "comings_and_goings": Layout(
        (Upstream(keys=2, places=2), Upstream(at=1, keys=2), Upstream(at=1, priority=1)),
        {"MODEL_FALLBACKS": "m=spare", "MAX_RETRIES": "1"},
        may_leave=True,
    ),
}


class Visitor(Client):
    """Asks for more than answers.

    Attributes:
        made: Ids of stored answers, with the access keys they were made for.
    """

    def __init__(self, scene: Scene, rng: Random) -> None:
        super().__init__(scene, rng)
        self.made: list[tuple[str, str]] = []

    def key(self) -> str:
        return self.rng.choice([OWNER, OWNER, FRIEND])

    async def ask(self) -> None:
        kind = self.rng.random()
        if kind < 0.05:
            await self._embed()
        elif kind < 0.15 and self.made:
            await self._follow_up()
        elif kind < 0.25:
            await self._make()
        else:
            await super().ask()

    async def _embed(self) -> None:
        """Send a body that the provider may not care to read."""
        body = {"model": MODEL, "input": "x" * self.rng.choice([10, 300_000, 2_000_000])}
        status, _ = await self._plain("POST", EMBEDDINGS, OWNER, body)
        assert status in (200, 413, 429, 502, 500, 503, 504), status

    async def _make(self) -> None:
        """Have an answer stored."""
        key = self.key()
        token = f"token-{self.rng.getrandbits(64):016x}"
        body = question("responses", MODEL, text=token)
        status, answer = await self._plain("POST", PATHS["responses"], key, body)
        if status == 200 and answer["id"].encode() != ID:  # that stands in a compressed answer
            self.made.append((answer["id"], key))

    async def _follow_up(self) -> None:
        """Ask for a stored answer; only its maker's key, and only for whom it was made."""
        id_, maker = self.rng.choice(self.made[-20:])
        key = self.key()
        status, answer = await self._plain("GET", f"/v1/responses/{id_}", key, None)
        if key not in (maker, OWNER):
            assert status in (404, 503), (status, answer)
        elif status == 200:
            assert answer["id"] == id_

    async def _plain(self, method: str, path: str, key: str, body: Any) -> tuple[int, Any]:
        self.scene.asked += 1
        async with self.scene.client() as client:
            began = time.monotonic()
            limit = [("x-llm-proxy-timeout-ms", "4000")]
            answer = await client.ask(method, path, key=key, headers=limit, json_body=body)
            assert time.monotonic() - began < 5.0
        self._count(str(answer.status))
        id_ = answer.header("x-llm-proxy-request-id")
        assert id_ is not None
        self.told[id_] = int(answer.header("x-llm-proxy-attempts") or -1)
        is_packed = answer.header("content-encoding") == "gzip"
        return answer.status, json.loads(gzip.decompress(answer.body) if is_packed else answer.body)


class Storm:
    """A proxy, two providers, the owner and the crowd."""

    def __init__(self, proxy: ProxyProcess, layout: Layout, seed: int) -> None:
        self.scene = Scene(proxy, MODEL, ("", ""))
        self.layout = layout
        self.providers = [self.scene.a, self.scene.b]
        self.desk = Desk(proxy, layout, self.providers)
        self.weather = Weather(seed)
        self.rng = Random(seed + 1)
        self.visitor = Visitor(self.scene, Random(seed))

    async def rage(self, requests: int) -> None:
        """Let the crowd send so many requests while the owner meddles."""
        for provider in self.providers:
            provider.reply(self.weather.answer)
            provider.reply(self.weather.early, path=EMBEDDINGS, early=True)
        is_over = False

        async def work() -> None:
            for _ in range(-(-requests // WORKERS)):
                await self.visitor.ask()

        async def meddle() -> None:
            while not is_over:
                await self.desk.meddle(self.rng)
                await asyncio.sleep(self.rng.random() * 0.1)

        async with asyncio.TaskGroup() as group:
            meddling = group.create_task(meddle())
            crowd = [group.create_task(work()) for _ in range(WORKERS)]
            await asyncio.gather(*crowd)
            is_over = True
            await meddling

    async def calm_down(self) -> None:
        """End it, and wait until nothing is under way."""
        await self.desk.reload(self.desk.original)
        await self.desk.each("resume", "reset")
        for provider in self.providers:
            provider.forget()
        async with asyncio.timeout(8):
            while any(await self.desk.in_flight()):
                await asyncio.sleep(0.02)
        assert not min(await self.desk.in_flight()), "a count fell below zero"

    async def check_records(self) -> None:
        """Check that every request is in the records once, with the attempts the providers saw."""
        records = await self._records()
        assert len(records) == self.scene.asked
        attempts = {record["id"]: record.get("attempts", []) for record in records}
        assert len(attempts) == len(records), "a record stands twice"
        is_rescuing = "STREAM_RESCUE" in self.layout.environment
        for id_, told in self.visitor.told.items():
            made = len(attempts[id_])
            assert told <= made if is_rescuing else told == made, (told, attempts[id_])
        written = [one for made in attempts.values() for one in made]
        unsure = [
            one
            for one in written
            if "first_byte_ms" not in one
            and (one.get("fault") in UNSURE or "kept connection" in one.get("reason", ""))
        ]
        seen = sum(
            request.path != "/v1/models" for each in self.providers for request in each.requests
        )
        assert len(written) - len(unsure) <= seen <= len(written), (len(written), len(unsure), seen)
        assert self.scene.a.malformed == self.scene.b.malformed == []
        if not self.layout.may_leave:
            assert self.weather.strays == []

    async def _records(self) -> list[dict[str, Any]]:
        async with asyncio.timeout(10):
            while True:
                found, before = [], ""
                while True:
                    page = await self.desk.ask("GET", f"/api/requests?limit=200{before}")
                    found += page["requests"]
                    if page["next"] is None:
                        break
                    before = f"&before={page['next']}"
                if len(found) >= self.scene.asked:
                    return found
                await asyncio.sleep(0.05)

    async def check_places(self) -> None:
        """Check that as many requests are served at once as may be."""
        places = [one.places * one.keys for one in self.layout.upstreams]
        most = sum(places) if all(places) else 20
        most = min(most, int(self.layout.environment.get("MAX_CONCURRENCY", most)))
        held, go = 0, asyncio.Event()

        def answer(request: Request) -> Script:
            nonlocal held
            held += 1
            return [wait(go), *healthy(request.path, stream=False, model=MODEL)]

        for provider in self.providers:
            provider.reply(answer)
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self.scene.ask()) for _ in range(most)]
            async with asyncio.timeout(5):
                while held < most:
                    await asyncio.sleep(0.005)
            go.set()
        assert {one.result().status for one in asked} == {200}

    async def check_stop(self) -> None:
        """Stop the proxy while streams flow and requests stand in line; nobody is left hanging."""
        for provider in self.providers:
            provider.reply([*STREAM["chat"](["one"], cut_after=1)[:-1], hang()])
        streams = [asyncio.create_task(self._stream()) for _ in range(6)]
        await asyncio.sleep(0.3)
        assert await asyncio.to_thread(self.scene.proxy.stop) == 0
        for stream in await asyncio.gather(*streams):
            if stream is not None:
                assert read("chat", stream).ending == "error", stream.raw

    async def _stream(self) -> Stream | None:
        """Return a stream; None where the answer was an error."""
        async with RawClient.to(self.scene.proxy.url, timeout_s=15) as client:
            await client.request(
                "POST",
                PATHS["chat"],
                key=OWNER,
                json_body=question("chat", MODEL, stream=True),
            )
            head = await client.read_head()
            if head.status != 200:
                assert head.status in (429, 502, 503, 504)
                return None
            return await client.read_stream(head)


@asynccontextmanager
async def storm_of(directory: Path, name: str, seed: int) -> AsyncIterator[Storm]:
    layout = LAYOUTS[name]
    file = directory / "llm-proxy.toml"
    proxy = ProxyProcess(
        directory,
        access_key=OWNER,
        environment={
            "LLM_PROXY_CONFIG": str(file),
            "MY_ACCESS_KEY": f"owner:{OWNER},friend:{FRIEND}",
            "DRAIN_TIMEOUT_S": "1",
            "LOG_LEVEL": "error",
            **layout.environment,
        },
    )
    storm = Storm(proxy, layout, seed)
    async with storm.scene.a, storm.scene.b:
        file.write_text(tables(storm.desk.original, storm.providers))
        async with proxy:
            yield storm


@pytest.mark.parametrize("name", LAYOUTS)
async def test_whatever_happens_at_once_every_request_ends_once_in_time_and_nothing_is_lost(
    tmp_path: Path, name: str
) -> None:
    async with storm_of(tmp_path, name, 7) as storm:
        await storm.rage(400)
        await storm.calm_down()
        await storm.check_records()
        await storm.check_places()
        await storm.check_stop()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", LAYOUTS)
async def test_and_in_thousands_of_requests_memory_does_not_grow(
    tmp_path: Path, name: str, seed: int
) -> None:
    async with storm_of(tmp_path, name, 100 + seed) as storm:
        await storm.rage(1_000)
        early = storm.scene.proxy.resident_bytes()
        await storm.rage(2_000)
        await storm.calm_down()
        assert storm.scene.proxy.resident_bytes() < early + ROOM_BYTES
        await storm.check_records()
        await storm.check_places()
        await storm.check_stop()
