"""A client that does not read slows its upstream down instead of filling the proxy's memory."""

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.support.answers import chat_chunk
from tests.support.client import RawClient
from tests.support.scripts import Link, Script, chunk, event_stream, head, last_chunk

from .stage import Scene, Stage

SCENES = {"single": 2}

MB = 1024 * 1024
TOTAL = 64 * MB


def flood(piece: bytes, begin: bytes, end: bytes) -> Script:
    """Send 64 MB of pieces as fast as they are taken."""

    async def step(link: Link) -> None:
        for _ in range(TOTAL // len(piece)):
            await link.send(piece)

    return [begin, step, end]


def big_stream() -> Script:
    """Stream 64 MB of words."""
    events = b"".join([chat_chunk({"content": "x" * 900})] * 60)
    begin, *_ = event_stream([])
    assert isinstance(begin, bytes)
    done = chunk(chat_chunk({}, "stop") + b"data: [DONE]\n\n")
    return flood(chunk(events), begin + chunk(chat_chunk({"content": "a"})), done + last_chunk())


def big_file() -> Script:
    """Send 64 MB that pass unread."""
    fields = [("content-type", "application/octet-stream"), ("content-length", str(TOTAL))]
    return flood(b"x" * 65536, head(200, fields), b"")


@pytest.mark.parametrize(
    ("make", "path", "stream"),
    [
        pytest.param(big_stream, "", True, id="stream"),
        pytest.param(big_file, "/v1/audio/speech", False, id="file"),
    ],
)
async def test_a_client_that_stops_reading_costs_no_memory(
    stage: Stage, make: Callable[[], Script], path: str, stream: bool
) -> None:
    async with stage.scene("single") as scene:
        for _ in range(3):
            assert (await scene.ask()).status == 200
        scene.a.reply(make(), path=path or None)
        async with scene.client(receive_buffer=65536, timeout_s=20) as client:
            before = scene.proxy.resident_bytes()
            await scene.send(client, "chat", stream=stream, path=path)
            answer_head = await client.read_head()
            assert answer_head.status == 200
            sent = await _stalled(scene)
            assert scene.proxy.resident_bytes() - before <= 4 * MB
            assert sent < 24 * MB  # the rest waits at the provider: sockets hold some MB
            if stream:
                read = 0
                async for event in client.read_events(answer_head):
                    read += len(event.raw)
                    client.raw.clear()
                assert read > TOTAL - MB
            else:
                size = await _count(client, TOTAL)
                assert size == TOTAL
            assert scene.proxy.resident_bytes() - before <= 8 * MB
        record = (await scene.records())[-1]
        assert record["outcome"] == "ok"
        assert record["bytes_down"] > TOTAL - MB


async def _count(client: RawClient, size: int) -> int:
    got = 0
    while got < size:
        got += len(await client.read_some())
        client.raw.clear()
    return got


async def _stalled(scene: Scene) -> int:
    """Wait until the provider cannot send any more; return what it has sent."""
    connection = scene.a.connections[-1]
    last, since = -1, time.monotonic()
    async with asyncio.timeout(15):
        while time.monotonic() - since < 0.4:
            if connection.sent_bytes != last:
                last, since = connection.sent_bytes, time.monotonic()
            await asyncio.sleep(0.02)
    return last
