"""Thousands of requests, random faults at random bytes: nothing short, nothing mixed, nothing lost.

Every answer carries its request's own token. A client that follows its format must never take a
cut answer for a whole one, never see another's token, and always be answered within its time.
What the answers say of their attempts, what the records say and what the providers saw agree.
"""

import asyncio
import gzip
import json
import re
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.answers import Dialect, error, to_json
from tests.support.client import RawClient, Stream
from tests.support.provider import Request
from tests.support.scripts import (
    Script,
    Step,
    close,
    garbage,
    half_head,
    hang,
    reset,
    respond,
    sleep,
)

from .dialect import DIALECTS, JSON, PATHS, STREAM, assert_is_error, question, read, text_of
from .stage import Scene, Stage, build_stage

REQUESTS = [1_500, pytest.param(10_000, marks=pytest.mark.long)]
WORKERS = 20
LIMIT_S = 6.0
TOKEN = re.compile(rb"token-[0-9a-f]{16}")
SEED = 20_240_601
SCENES = {"brisk": 2, "brisk_keys": 2, "brisk_single": 2}


class Chaos:
    """Decides what the providers do."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)

    def answer(self, request: Request) -> Script:
        """Return what one request gets."""
        dialect: Dialect = next(d for d in DIALECTS if PATHS[d] == request.path)
        (token,) = set(TOKEN.findall(request.body))
        words = wanted(dialect, request.fields, words_of(token.decode()))
        script = self._whole(dialect, words, stream=request.stream)
        kind = self.rng.random()
        if kind < 0.4:
            return script
        if kind < 0.6:
            return self._cut(script)
        if kind < 0.65:
            return self._dribble(script)
        if kind < 0.7:
            return with_surplus(script)
        if kind < 0.72:
            return [*self._cut(script)[:-1], hang()]
        return self._instead(dialect, token.decode(), words, script)

    def _whole(self, dialect: Dialect, words: list[str], *, stream: bool) -> Script:
        how: dict[str, Any] = {}
        framing = self.rng.choice(["chunked", "length", "close"])
        how["framing"] = framing
        if framing == "close":
            how["version"] = self.rng.choice(["1.0", "1.1", "1.1"])
        if self.rng.random() < 0.1:
            how["interim"] = [103]
        if stream:
            return STREAM[dialect](words, **how)
        return JSON[dialect]("".join(words), gzip=self.rng.random() < 0.2, **how)

    def _cut(self, script: Script) -> Script:
        """Break at a random byte.

        Never just before an event's blank line: where the end of the connection ends the body,
        that is a whole event, which comes down as it was sent (`test_stream_cut.py`).
        """
        whole = b"".join(piece for piece in script if isinstance(piece, bytes))
        left = self.rng.randrange(len(whole))
        while whole[left : left + 1] == b"\n":
            left = self.rng.randrange(len(whole))
        short: Script = []
        for piece in script:
            if isinstance(piece, bytes):
                short.append(piece[:left])
                left -= len(piece)
                if left <= 0:
                    break
        return [*short, *self.rng.choice([[close()], [reset()], [sleep(0.01), reset()]])]

    def _dribble(self, script: Script) -> Script:
        """Send in random pieces."""
        slow: list[bytes | Step] = []
        for piece in script:
            if not isinstance(piece, bytes):
                slow.append(piece)
                continue
            at = 0
            while at < len(piece):
                size = self.rng.randrange(1, 200)
                slow += [piece[at : at + size], sleep(0)]
                at += size
        return slow

    def _instead(self, dialect: Dialect, token: str, words: list[str], script: Script) -> Script:
        """Return something else than an answer, or one with a wrench in it."""
        retry = [("retry-after-ms", str(self.rng.randrange(1, 300)))]
        head, *rest = script
        assert isinstance(head, bytes)
        at = self.rng.randrange(len(rest) + 1)
        return self.rng.choice(
            [
                [reset()],
                [close()],
                garbage(),
                half_head(),
                error(429, dialect, headers=retry),
                error(self.rng.choice([500, 502, 503, 529]), dialect),
                error(400, dialect, message=f"refused {token}"),
                respond(b""),
                respond(b"<html>", content_type="text/html"),
                respond(to_json({"error": {"type": "overloaded_error", "message": token}})),
                [head, *rest[:at], b"zz\r\n", *rest[at:]] if b"chunked" in head else [reset()],
                STREAM[dialect](words, error_after=self.rng.randrange(0, 5))
                if b"event-stream" in head
                else error(500, dialect),
            ]
        )


def with_surplus(script: Script) -> Script:
    """Send a second answer in the last write of the first."""
    *pieces, last = script
    if not isinstance(last, bytes):  # delimited by the connection's end: nothing is behind it
        return script
    return [*pieces, last + b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"]


def words_of(token: str) -> list[str]:
    """Return an answer's words; the token stands at both ends, so that a cut shows."""
    return [token, " one", " two", " three", f" {token}"]


def wanted(dialect: Dialect, body: dict[str, Any], words: list[str]) -> list[str]:
    """Return the words a request asks for: all, or those behind the ones it has already."""
    turns = body["input" if dialect == "responses" else "messages"]
    if isinstance(turns, str) or turns[-1].get("role") != "assistant":
        return words
    content = turns[-1]["content"]
    text = content if isinstance(content, str) else "".join(part["text"] for part in content)
    whole = "".join(words)
    assert whole.startswith(text), (whole, text)
    rest = whole[len(text) :]
    return [rest[:3], rest[3:]] if rest else []


class Client:
    """Sends requests and judges what comes.

    Attributes:
        counts: How requests ended.
        told: Attempts as the answers' heads say, by request id.
    """

    def __init__(self, scene: Scene, rng: Random) -> None:
        self.scene = scene
        self.rng = rng
        self.counts: dict[str, int] = {}
        self.told: dict[str, int] = {}

    def key(self) -> str:
        """Return the access key for the next request."""
        return self.scene.proxy.access_key

    async def ask(self) -> None:
        """Send one request on a connection of its own or leave during it."""
        dialect = self.rng.choice(DIALECTS)
        stream = self.rng.random() < 0.6
        token = f"token-{self.rng.getrandbits(64):016x}"
        limit_s = self.rng.choice([LIMIT_S, LIMIT_S, 1.5])
        self.scene.asked += 1
        async with self.scene.client(timeout_s=LIMIT_S + 4) as client:
            began = time.monotonic()
            await client.request(
                "POST",
                PATHS[dialect],
                key=self.key(),
                headers=[("x-llm-proxy-timeout-ms", str(int(limit_s * 1000)))],
                json_body=question(dialect, self.scene.model, stream=stream, text=token),
            )
            if self.rng.random() < 0.08:
                await self._leave(client)
            else:
                await self._judge(client, dialect, token, stream=stream)
                assert time.monotonic() - began < limit_s + 1.0
            assert set(TOKEN.findall(client.raw)) <= {token.encode()}, "another's answer"
            assert b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" not in client.raw, "surplus bytes"
            client.raw.clear()  # judged

    async def _leave(self, client: RawClient) -> None:
        self._count("left")
        if self.rng.random() < 0.5:
            await asyncio.sleep(self.rng.random() * 0.02)
            return
        await client.read_some()

    async def _judge(
        self, client: RawClient, dialect: Dialect, token: str, *, stream: bool
    ) -> None:
        head = await client.read_head()
        id_ = head.header("x-llm-proxy-request-id")
        assert id_ is not None
        self.told[id_] = int(head.header("x-llm-proxy-attempts") or -1)
        whole = "".join(words_of(token))
        kind = head.header("content-type") or ""
        if kind.startswith("text/event-stream"):
            assert stream
            assert head.status == 200
            self._judge_stream(await client.read_stream(head), dialect, whole)
            return
        body = await client.read_body(head)
        if head.status >= 400:
            assert_is_error(dialect, head.status, body)
            self._count(str(head.status))
            return
        if head.header("content-encoding") == "gzip":
            body = gzip.decompress(body)
        assert text_of(dialect, json.loads(body)) == whole, (head.raw, body)
        self._count("whole")

    def _judge_stream(self, stream: Stream, dialect: Dialect, whole: str) -> None:
        seen = read(dialect, stream)
        assert (stream.ending, stream.rest) == ("complete", b"")
        assert seen.ending in ("whole", "error"), stream.raw
        if seen.ending == "whole":
            assert seen.text == whole
        else:
            assert whole.startswith(seen.text)
            assert seen.after == []
        self._count(seen.ending)

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


@pytest.mark.parametrize("requests", REQUESTS)
async def test_random_faults_never_shorten_mix_or_lose_an_answer(
    stage: Stage, requests: int
) -> None:
    await _run_all(stage, requests)


@pytest.mark.long
async def test_nor_do_they_where_streams_that_break_go_on_elsewhere(tmp_path: Path) -> None:
    with build_stage(tmp_path, SCENES, environment={"STREAM_RESCUE": "1"}) as stage:
        await _run_all(stage, 10_000, is_rescuing=True)


async def _run_all(stage: Stage, requests: int, *, is_rescuing: bool = False) -> None:
    async with asyncio.TaskGroup() as group:
        runs = [
            group.create_task(
                _run(stage, kind, SEED + number, requests // len(SCENES), is_rescuing=is_rescuing)
            )
            for number, kind in enumerate(SCENES)
        ]
    for kind, run in zip(SCENES, runs, strict=True):
        print(f"{kind}: {run.result()}")


async def _run(stage: Stage, kind: str, seed: int, requests: int, *, is_rescuing: bool) -> str:
    """Send requests to a scene; return what happened, for people."""
    async with stage.scene(kind) as scene:
        scene.is_checked = False  # the last request need not pass: all upstreams may be resting
        chaos = Chaos(seed)
        for provider in (scene.a, scene.b):
            provider.reply(chaos.answer)
        client = Client(scene, Random(seed))

        async def work() -> None:
            for _ in range(-(-requests // WORKERS)):
                await client.ask()

        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(work())
        await _check(scene, client, is_rescuing=is_rescuing)
        asked = scene.seen()
        per_request = asked / scene.asked
        return f"{scene.asked} requests, {asked} attempts ({per_request:.2f}), {client.counts}"


async def _check(scene: Scene, client: Client, *, is_rescuing: bool) -> None:
    assert client.counts["whole"] > scene.asked * 0.4, client.counts
    records = await scene.records()
    scene.account(records)
    attempts = {record["id"]: len(record["attempts"]) for record in records}
    if is_rescuing:  # a head cannot tell of the attempts behind it
        assert all(told <= attempts[id_] for id_, told in client.told.items())
        assert any(told < attempts[id_] for id_, told in client.told.items())
    else:
        assert {id_: attempts[id_] for id_ in client.told} == client.told
    assert scene.a.malformed == scene.b.malformed == []
    ended = [record["outcome"] for record in records]
    assert ended.count("client_gone") <= client.counts["left"]
    told = client.counts.get("error", 0)
    assert told <= ended.count("cut") <= told + client.counts["left"]
