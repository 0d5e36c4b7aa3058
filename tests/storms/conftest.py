"""Two providers, and a proxy in front of them that nobody has asked yet."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from tests.support.provider import Provider
from tests.support.proxy_process import ProxyProcess

MODEL = "storm"


class Pair(NamedTuple):
    """A proxy with two upstreams of the same rank, `upstream-1` and `upstream-2`."""

    proxy: ProxyProcess
    a: Provider
    b: Provider

    def seen(self) -> int:
        """Return how many requests for answers the providers saw."""
        return sum(
            request.method == "POST" for each in (self.a, self.b) for request in each.requests
        )


Open: TypeAlias = Callable[[], AbstractAsyncContextManager[Pair]]


@pytest.fixture
def pair(tmp_path: Path) -> Open:
    """Start them: `async with pair() as (proxy, a, b)`."""

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Pair]:
        async with Provider() as a, Provider() as b:
            environment = {"PROXY_MODELS": MODEL, "LOG_LEVEL": "error"}
            async with ProxyProcess(
                tmp_path, [a.url, b.url], api_key=["sk-a-1234567890", "sk-b-1234567890"],
                environment=environment,
            ) as proxy:  # fmt: skip
                yield Pair(proxy, a, b)
            assert a.malformed == b.malformed == []

    return opened
