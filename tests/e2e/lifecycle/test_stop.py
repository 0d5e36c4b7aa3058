"""SIGTERM lets what is running finish, records it, and ends with exit code 0."""

import asyncio
import json
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.answers import Dialect, chat_json
from tests.support.client import Head, RawClient, Stream
from tests.support.provider import Provider
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import Script, sleep, wait
from tests.support.scripts import signal as tell

from .stage import DIALECTS, LAST_WORDS, PATHS, STREAMS, ask, eventually, question, stop


def held_stream(dialect: Dialect, reached: asyncio.Event, go: asyncio.Event) -> Script:
    """Return a stream that stops after its second word until the test says `go`."""
    script = STREAMS[dialect](["one ", "two ", "three ", "four "])
    at = next(n for n, piece in enumerate(script) if isinstance(piece, bytes) and b"three" in piece)
    return [*script[:at], tell(reached), wait(go), *script[at:]]


async def begin_stream(client: RawClient, proxy: ProxyProcess, dialect: Dialect) -> Head:
    """Ask for a stream and read its head."""
    body = question(dialect, stream=True)
    await client.request("POST", PATHS[dialect], key=proxy.access_key, json_body=body)
    return await client.read_head()


def stored(proxy: ProxyProcess) -> list[tuple[str, str]]:
    """Return format and outcome of all records on disk, oldest first."""
    file = proxy.directory / "data" / "records.sqlite3"
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.execute("SELECT format, outcome FROM records ORDER BY id"))


def faults(proxy: ProxyProcess) -> list[list[str | None]]:
    """Return how the attempts of each record on disk ended; None = it answered."""
    file = proxy.directory / "data" / "records.sqlite3"
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT attempts FROM records ORDER BY id").fetchall()
    return [[attempt.get("fault") for attempt in json.loads(row)] for (row,) in rows]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_sigterm_lets_an_open_stream_finish_and_takes_no_new_ones(
    tmp_path: Path, dialect: Dialect
) -> None:
    reached, go = asyncio.Event(), asyncio.Event()
    async with Provider() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        provider.script(held_stream(dialect, reached, go), path=PATHS[dialect])
        async with RawClient.to(proxy.url) as client, RawClient.to(proxy.url) as idle:
            await idle.ask("GET", "/health")
            head = await begin_stream(client, proxy, dialect)
            await reached.wait()
            proxy.send_signal(signal.SIGTERM)
            assert await idle.ended() == "fin"
            with pytest.raises(ConnectionRefusedError):
                await ask(proxy)
            go.set()
            stream = await client.read_stream(head)
            assert stream.ending == "complete"
            assert b"four" in stream.raw
            assert LAST_WORDS[dialect] in stream.raw
            assert await asyncio.to_thread(proxy.wait) == 0
    assert stored(proxy) == [(dialect, "ok")]
    assert "stopped" in proxy.stderr


async def test_sigterm_lets_an_open_json_answer_finish(tmp_path: Path) -> None:
    reached, go = asyncio.Event(), asyncio.Event()
    async with Provider() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        provider.script([tell(reached), wait(go), *chat_json("late but whole")], path=PATHS["chat"])
        asking = asyncio.ensure_future(ask(proxy))
        await reached.wait()
        proxy.send_signal(signal.SIGTERM)
        await asyncio.to_thread(_wait_for, proxy, "draining")
        go.set()
        answer = await asking
        assert answer.status == 200
        assert answer.header("connection") == "close"
        assert "late but whole" in answer.body.decode()
        assert await asyncio.to_thread(proxy.wait) == 0
    assert stored(proxy) == [("chat", "ok")]


def _wait_for(proxy: ProxyProcess, words: str, within_s: float = 5.0) -> None:
    end = time.monotonic() + within_s
    while words not in proxy.stderr:
        assert time.monotonic() < end, proxy.output
        time.sleep(0.01)


def test_an_idle_proxy_ends_at_once(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path, "http://127.0.0.1:9") as proxy:
        began = time.monotonic()
        assert proxy.stop() == 0
        took_s = time.monotonic() - began
    print(f"idle exit: {took_s * 1000:.0f} ms")
    assert took_s <= 1.5


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_that_outlasts_the_drain_time_is_told_so_in_band(
    tmp_path: Path, dialect: Dialect
) -> None:
    reached, never = asyncio.Event(), asyncio.Event()
    environment = {"DRAIN_TIMEOUT_S": "0.2"}
    async with (
        Provider() as provider,
        ProxyProcess(tmp_path, provider.url, environment=environment) as proxy,
    ):
        provider.script(held_stream(dialect, reached, never), path=PATHS[dialect])
        async with RawClient.to(proxy.url) as client:
            head = await begin_stream(client, proxy, dialect)
            await reached.wait()
            proxy.send_signal(signal.SIGTERM)
            stream = await client.read_stream(head)
        assert await asyncio.to_thread(proxy.wait) == 0
        assert "Traceback" not in proxy.output
    assert stream.ending == "complete", stream
    assert b"two" in stream.raw
    assert b"shutting down" in stream.events[-1].raw
    assert b"error" in stream.events[-1].raw
    assert LAST_WORDS[dialect] not in stream.raw
    assert stored(proxy) == [(dialect, "cut")]
    assert faults(proxy) == [["shut_down"]]


async def test_a_request_without_an_answer_when_the_drain_time_is_over_gets_503(
    tmp_path: Path,
) -> None:
    environment = {"DRAIN_TIMEOUT_S": "0.2"}
    async with (
        Provider() as provider,
        ProxyProcess(tmp_path, provider.url, environment=environment) as proxy,
    ):
        provider.script([sleep(5), *chat_json()], path=PATHS["chat"])
        asking = asyncio.ensure_future(ask(proxy))
        await provider.wait_until(lambda: any(r.method == "POST" for r in provider.requests))
        proxy.send_signal(signal.SIGTERM)
        answer = await asking
        assert answer.status == 503
        assert "shutting down" in answer.json()["error"]["message"]
        assert await asyncio.to_thread(proxy.wait) == 0
    assert stored(proxy) == [("chat", "upstream_error")]
    assert faults(proxy) == [["shut_down"]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_ends_what_is_still_running_and_says_so(
    tmp_path: Path, number: signal.Signals
) -> None:
    reached, never = asyncio.Event(), asyncio.Event()
    async with Provider() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        provider.script(held_stream("chat", reached, never), path=PATHS["chat"])
        async with RawClient.to(proxy.url) as client:
            head = await begin_stream(client, proxy, "chat")
            await reached.wait()
            proxy.send_signal(number)
            await asyncio.to_thread(_wait_for, proxy, "draining")
            began = time.monotonic()
            proxy.send_signal(number)
            assert await asyncio.to_thread(proxy.wait) == 0
            assert time.monotonic() - began < 1.5
            stream: Stream = await client.read_stream(head)
        assert "shutting down" in stream.data[-1]
        assert "[DONE]" not in stream.data
    assert stored(proxy) == [("chat", "cut")]
    assert faults(proxy) == [["shut_down"]]
    assert "Traceback" not in proxy.output


def test_sigterm_during_the_start_ends_it(tmp_path: Path) -> None:
    """Whether or not the signal is handled yet, the process goes, quickly and without a noise."""
    proxy = ProxyProcess(tmp_path, "http://127.0.0.1:9")
    for after_s in (0.0, 0.05, 0.1, 0.15, 0.2, 0.25):
        proxy.spawn()
        time.sleep(after_s)
        began = time.monotonic()
        code = proxy.stop()
        assert code in {0, -signal.SIGTERM}, proxy.output
        assert time.monotonic() - began < 1.5
    assert "Traceback" not in proxy.output
    assert proxy.start() < 10
    assert proxy.stop() == 0


async def test_a_proxy_that_is_draining_says_so(tmp_path: Path) -> None:
    reached, go = asyncio.Event(), asyncio.Event()
    async with Provider() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        provider.script(held_stream("chat", reached, go), path=PATHS["chat"])
        async with RawClient.to(proxy.url) as client:
            # A request whose head has begun keeps its connection while the others are closed.
            async with RawClient.to(proxy.url) as asking:
                head = await begin_stream(client, proxy, "chat")
                await reached.wait()
                await asking.send(b"GET /ready HTTP/1.1\r\nhost: x\r\n")
                await asyncio.to_thread(_wait_accepted, proxy)
                proxy.send_signal(signal.SIGTERM)
                await eventually(lambda: "draining" in proxy.stderr)
                await asking.send(b"\r\n")
                answer = await asking.read_response()
            assert answer.status == 503
            assert answer.json() == {"status": "draining"}
            go.set()
            await client.read_stream(head)
        assert await stop_is_clean(proxy)


def _wait_accepted(proxy: ProxyProcess) -> None:
    # One more round trip on another connection: what was sent before it has been read.
    assert proxy._is_healthy()


async def stop_is_clean(proxy: ProxyProcess) -> bool:
    """Say whether the end that is under way has exit code 0."""
    return await asyncio.to_thread(proxy.wait) == 0


async def test_sigterm_ends_a_proxy_whose_page_is_being_watched(tmp_path: Path) -> None:
    async with Provider() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        async with RawClient.to(proxy.url) as page:
            await page.request("GET", "/api/events", key=proxy.access_key)
            head = await page.read_head()
            assert head.status == 200
            began = time.monotonic()
            assert await stop(proxy) == 0
            assert time.monotonic() - began < 1.5
        assert "Traceback" not in proxy.output
