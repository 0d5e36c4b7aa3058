"""Whoever reads the proxy's output may stop reading; traffic does not notice."""

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.answers import error
from tests.support.client import RawClient
from tests.support.provider import Provider

from .stage import PATHS, ShellProxy, ask, question


class StalledPipe:
    """A named pipe that is open for reading and that nobody reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        # Both ends are ours, so that the proxy's shell can open it without waiting for a reader.
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def fill(self) -> None:
        """Write until nothing more fits."""
        with contextlib.suppress(BlockingIOError):
            while os.write(self._fd, b"-" * 4095 + b"\n"):
                pass

    def read(self) -> str:
        """Return what is in the pipe, all of it."""
        pieces = []
        while True:
            try:
                pieces.append(os.read(self._fd, 1 << 16))
            except BlockingIOError:
                return b"".join(pieces).decode()

    def close(self) -> None:
        """Let go of both ends."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[StalledPipe]:
    stalled = StalledPipe(tmp_path / "pipe")
    yield stalled
    stalled.close()


async def serve_many(proxy: ShellProxy, count: int) -> float:
    """Ask `count` times over a few connections; return the seconds the slowest answer took."""

    async def some(share: int) -> float:
        slowest_s = 0.0
        async with RawClient.to(proxy.url) as client:
            for _ in range(share):
                began = time.monotonic()
                answer = await client.ask(
                    "POST", PATHS["chat"], key=proxy.access_key, json_body=question()
                )
                assert answer.status == 200
                slowest_s = max(slowest_s, time.monotonic() - began)
        return slowest_s

    return max(await asyncio.gather(*(some(count // 4) for _ in range(4))))


async def lines_dropped(proxy: ShellProxy) -> int:
    """Return the counter of lost lines."""
    async with RawClient.to(proxy.url) as client:
        text = (await client.ask("GET", "/metrics", key=proxy.access_key)).body.decode()
    found = re.search(r"^\w*log_lines_dropped\w* ([0-9.e+]+)$", text, re.MULTILINE)
    assert found, text
    return int(float(found[1]))


@pytest.mark.parametrize("level", ["debug", "info"])
async def test_a_pipe_nobody_reads_does_not_slow_traffic(
    tmp_path: Path, pipe: StalledPipe, level: str
) -> None:
    pipe.fill()
    async with Provider() as provider:
        shell = f"exec \"$@\" 2>'{pipe.path}'"
        proxy = ShellProxy(tmp_path, provider.url, shell=shell, environment={"LOG_LEVEL": level})
        async with proxy:
            slowest_s = await serve_many(proxy, 400)
            print(f"slowest answer: {slowest_s * 1000:.0f} ms")
            assert slowest_s < 1.0
            began = time.monotonic()
            assert await asyncio.to_thread(proxy.stop) == 0
            assert time.monotonic() - began < 3.0


async def test_lines_that_a_stalled_pipe_did_not_take_are_counted_and_told_when_it_moves(
    tmp_path: Path, pipe: StalledPipe
) -> None:
    pipe.fill()  # else it would take the first thousand lines
    async with Provider() as provider:
        provider.reply(error(400), model="refused")
        proxy = ShellProxy(tmp_path, provider.url, shell=f"exec \"$@\" 2>'{pipe.path}'")
        async with proxy:
            async with asyncio.timeout(30):
                while not await lines_dropped(proxy):  # of each kind, 100 lines a second pass
                    slowest_s = await serve_many(proxy, 120)
                    assert slowest_s < 1.0
                    await asyncio.gather(*(ask(proxy, model="refused") for _ in range(30)))
            said = ""
            async with asyncio.timeout(10):
                while "log lines were lost: the stream did not take them" not in said:
                    said += pipe.read()
                    await asyncio.sleep(0.05)
            assert proxy.access_key not in said
            # The oldest lines were kept, up to the bound of the queue.
            assert "listens on" in said
            assert await asyncio.to_thread(proxy.stop) == 0


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"], ids=["stderr", "stdout", "both"])
async def test_closed_outputs_are_no_reason_not_to_serve(tmp_path: Path, closed: str) -> None:
    async with Provider() as provider:
        proxy = ShellProxy(tmp_path, provider.url, shell=f'exec "$@" {closed}')
        async with proxy:
            for _ in range(10):
                assert (await ask(proxy)).status == 200
            assert (await ask(proxy, key="sk-wrong-key-0000")).status == 401
            assert await asyncio.to_thread(proxy.stop) == 0


async def test_a_reader_that_goes_away_is_no_reason_not_to_serve(
    tmp_path: Path, pipe: StalledPipe
) -> None:
    async with Provider() as provider:
        proxy = ShellProxy(tmp_path, provider.url, shell=f"exec \"$@\" >'{pipe.path}' 2>&1")
        async with proxy:
            assert "listens on" in pipe.read()
            pipe.close()
            for _ in range(10):
                assert (await ask(proxy)).status == 200
            assert await lines_dropped(proxy) > 0
            assert await asyncio.to_thread(proxy.stop) == 0
