"""When descriptors run out the proxy refuses, keeps its log small, and recovers by itself."""

import asyncio
import contextlib
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.answers import chat_json
from tests.support.client import RawClient, TruncatedError
from tests.support.provider import Provider
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import sleep

from .stage import PATHS, ShellProxy, ask, question
from .test_plain_asyncio import write_shim

DESCRIPTORS = 80
FLOOD = 200
LINES_PER_S = 100


@contextlib.contextmanager
def flood(proxy: ProxyProcess) -> Iterator[None]:
    """Hold idle connections to the proxy, more than it has descriptors."""
    with contextlib.ExitStack() as stack:
        for _ in range(FLOOD):
            one = stack.enter_context(socket.socket())
            one.settimeout(1)
            with contextlib.suppress(OSError):
                one.connect(("127.0.0.1", proxy.port))
        yield


async def attempt(proxy: ProxyProcess) -> int:
    """Ask once; return the status, 0 where the connection was refused, cut or kept waiting."""
    try:
        async with asyncio.timeout(0.5):
            return (await ask(proxy)).status
    except (OSError, TruncatedError, TimeoutError):
        return 0


async def ask_on(client: RawClient, proxy: ProxyProcess) -> int:
    """Ask on a connection that was there before the flood."""
    answer = await client.ask("POST", PATHS["chat"], key=proxy.access_key, json_body=question())
    return answer.status


def fullest_second(output: str) -> int:
    """Return how many lines of one kind the fullest second of a log holds."""
    seconds = Counter(re.findall(r"^(\S+T\d\d:\d\d:\d\d)\.\d+Z (\w+ +\w+):", output, re.MULTILINE))
    return max(seconds.values(), default=0)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_descriptor_exhaustion_refuses_and_recovers_with_a_bounded_log(
    tmp_path: Path, loop: str
) -> None:
    environment = write_shim(tmp_path) if loop == "asyncio" else {}
    shell = f'ulimit -n {DESCRIPTORS}; exec "$@"'
    async with Provider() as provider, contextlib.AsyncExitStack() as stack:
        provider.reply([sleep(0.05), *chat_json()], path=PATHS["chat"])  # so that four need four
        proxy = ShellProxy(tmp_path, provider.url, shell=shell, environment=environment)
        await asyncio.to_thread(proxy.start)
        clients = [await stack.enter_async_context(RawClient.to(proxy.url)) for _ in range(4)]
        assert await ask_on(clients[0], proxy) == 200
        with flood(proxy):
            assert await attempt(proxy) in {0, 503}
            # Who is connected stays so, and hears of it where no upstream can be reached.
            statuses = await asyncio.gather(*(ask_on(one, proxy) for one in clients))
            assert 200 in statuses
            assert set(statuses) <= {200, 502, 503}
            await asyncio.sleep(1.2)
        ended_at = time.monotonic()
        async with asyncio.timeout(5):
            while await attempt(proxy) != 200:
                await asyncio.sleep(0.02)
        print(f"{loop}: {statuses}, back after {time.monotonic() - ended_at:.2f} s")
        # No upstream is held responsible for what this machine lacked.
        assert await asyncio.gather(*(ask_on(one, proxy) for one in clients)) == [200] * 4
        assert await asyncio.to_thread(proxy.stop) == 0
        assert fullest_second(proxy.stderr) <= LINES_PER_S + 5  # and the lines that sum up
