"""The world of all tests that leave their proxy as they found it."""

from collections.abc import Iterator

import pytest

from tests.e2e.world import World
from tests.support.answers import models_json
from tests.support.provider import ProviderThread
from tests.support.proxy_process import ProxyProcess

MODELS = ("test-model", "claude-test", "vendor/model:free")


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A proxy with one upstream; nothing here may make it cool down or open its breaker."""
    directory = tmp_path_factory.mktemp("e2e")
    with ProviderThread() as provider:
        provider.reply(models_json(MODELS), path="/v1/models")
        with ProxyProcess(directory, provider.url) as proxy:
            provider.wait_for_requests(1)  # the list of models
            yield World(proxy, provider)
        assert provider.malformed == []


@pytest.fixture
def world(shared_world: World) -> World:
    """The shared world, its provider healthy and without memory."""
    shared_world.reset()
    return shared_world
