"""Proxies whose only upstream speaks one format, whatever the client speaks."""

from collections.abc import Iterator

import pytest

from tests.e2e.translation.pairs import Worlds
from tests.e2e.world import World
from tests.support.provider import ProviderThread
from tests.support.proxy_process import ProxyProcess


@pytest.fixture(scope="session")
def shared_worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, World]]:
    """A proxy with three upstreams' formats each, by the format its upstream speaks."""
    worlds: dict[str, World] = {}
    with ProviderThread() as chat, ProviderThread() as messages, ProviderThread() as responses:
        providers = {"chat": chat, "messages": messages, "responses": responses}
        proxies = []
        for name, provider in providers.items():
            directory = tmp_path_factory.mktemp(f"only-{name}")
            proxy = ProxyProcess(directory, provider.url, environment={"PROXY_FORMATS": name})
            proxies.append(proxy)
            worlds[name] = World(proxy.__enter__(), provider)
        yield worlds
        for proxy in proxies:
            proxy.__exit__(None, None, None)
        assert [provider.malformed for provider in providers.values()] == [[], [], []]


def _world(worlds: dict[str, World], name: str) -> World:
    world = worlds[name]
    world.reset()
    return world


@pytest.fixture
def on_chat(shared_worlds: dict[str, World]) -> World:
    """A proxy whose upstream speaks Chat Completions only."""
    return _world(shared_worlds, "chat")


@pytest.fixture
def on_messages(shared_worlds: dict[str, World]) -> World:
    """A proxy whose upstream speaks Messages only."""
    return _world(shared_worlds, "messages")


@pytest.fixture
def on_responses(shared_worlds: dict[str, World]) -> World:
    """A proxy whose upstream speaks Responses only."""
    return _world(shared_worlds, "responses")


@pytest.fixture
def worlds(shared_worlds: dict[str, World]) -> Worlds:
    """By the format of its only upstream: a proxy, its provider healthy and without a past."""
    return lambda name: _world(shared_worlds, name)
