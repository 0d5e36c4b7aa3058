"""Many clients at once, each asking one question after the other on its own connection."""

import asyncio
import contextlib
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NamedTuple

from tests.faults.dialect import (
    DIALECTS,
    PATHS,
    assert_is_error,
    question,
    read,
    text_of,
)
from tests.support.answers import Dialect
from tests.support.client import RawClient
from tests.support.provider import Request
from tests.support.proxy_process import ProxyProcess


def dialect_of(request: Request) -> Dialect:
    """Return the format a provider is asked in."""
    return next(dialect for dialect in DIALECTS if PATHS[dialect] == request.path)


class Got(NamedTuple):
    """What one request got.

    Attributes:
        status: The answer's status; 200 for a whole answer only.
        upstream: Who answered; empty = nobody.
        attempts: As the answer says.
        text: The answer's text, or the error's message.
    """

    status: int
    upstream: str
    attempts: int
    text: str


class Crowd:
    """So many clients of one proxy.

    Attributes:
        got: What they got, in the order of the ends.
    """

    def __init__(self, proxy: ProxyProcess, model: str, *, clients: int) -> None:
        self.proxy = proxy
        self.model = model
        self.clients = clients
        self.got: list[Got] = []

    @property
    def statuses(self) -> Counter[int]:
        """Return how often each status was got."""
        return Counter(one.status for one in self.got)

    async def ask(self, requests: int) -> list[Got]:
        """Send so many requests, shared among the clients; return what they got."""
        turns = iter(range(requests))
        return await self._run(lambda: next(turns, None) is not None)

    @contextlib.asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Let all clients go on asking while the block runs."""
        is_over = False
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run(lambda: not is_over))
            try:
                yield
            finally:
                is_over = True

    async def until(self, condition: Callable[[], bool], *, within_s: float) -> None:
        """Wait for something to happen.

        Raises:
            TimeoutError: It did not.
        """
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.005)

    async def _run(self, may_go_on: Callable[[], bool]) -> list[Got]:
        before = len(self.got)
        kinds = itertools.cycle(itertools.product(DIALECTS, (False, True)))
        async with asyncio.TaskGroup() as group:
            for _ in range(self.clients):
                group.create_task(self._client(may_go_on, kinds))
        return self.got[before:]

    async def _client(
        self, may_go_on: Callable[[], bool], kinds: Iterator[tuple[Dialect, bool]]
    ) -> None:
        async with RawClient.to(self.proxy.url, timeout_s=30) as client:
            while may_go_on():
                dialect, is_stream = next(kinds)
                self.got.append(await self._ask(client, dialect, is_stream=is_stream))
                client.raw.clear()

    async def _ask(self, client: RawClient, dialect: Dialect, *, is_stream: bool) -> Got:
        await client.request(
            "POST",
            PATHS[dialect],
            key=self.proxy.access_key,
            json_body=question(dialect, self.model, stream=is_stream),
        )
        head = await client.read_head()
        upstream = head.header("x-llm-proxy-upstream") or ""
        attempts = int(head.header("x-llm-proxy-attempts") or -1)
        if head.status != 200:
            body = await client.read_body(head)
            error = assert_is_error(dialect, head.status, body)
            return Got(head.status, upstream, attempts, error["message"])
        if not is_stream:
            answer = json.loads(await client.read_body(head))
            return Got(200, upstream, attempts, text_of(dialect, answer))
        seen = read(dialect, await client.read_stream(head))
        assert seen.ending == "whole", seen
        return Got(200, upstream, attempts, seen.text)
