"""A key that its upstream refuses rings at the webhook, and so does its recovery."""

import time
from pathlib import Path

from tests.e2e.world import World
from tests.support.answers import chat_json, error, models_json
from tests.support.provider import ProviderThread
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import respond

TOKEN = "hook-token-canary-0123456789"


def alerts_at(hook: ProviderThread, count: int) -> list[str]:
    """Return what arrived, in words, once it is so much."""
    ends_at = time.monotonic() + 20.0
    while len(hook.requests) < count:
        assert time.monotonic() < ends_at, f"{len(hook.requests)} alerts"
        time.sleep(0.02)
    bodies = [request.json() for request in hook.requests]
    return [f"{body['event']} {body['subject']} {body['state']}" for body in bodies]


async def test_a_refused_key_rings_once_and_again_when_it_is_well(tmp_path: Path) -> None:
    with ProviderThread() as provider, ProviderThread() as hook:
        provider.reply(models_json(("test-model",)), path="/v1/models")
        provider.reply(error(401, code="invalid_api_key"), path="/v1/chat/completions")
        hook.reply(respond(b"{}"))
        environment = {"ALERT_WEBHOOK_URL": f"{hook.url}/{TOKEN}"}
        with ProxyProcess(tmp_path, provider.url, environment=environment) as proxy:
            world = World(proxy, provider)
            assert (await world.generate("chat")).status == 502
            refused = "key_refused upstream-1/key-1"
            assert alerts_at(hook, 1) == [f"{refused} firing"]
            tested = await world.ask("POST", "/api/alerts/test")
            assert tested.json() == {"ok": True, "detail": ""}
            assert alerts_at(hook, 2)[1] == "test  firing"
            provider.reply(chat_json("well"), path="/v1/chat/completions")
            await world.ask("POST", "/api/upstreams/upstream-1/keys/key-1/reset")
            assert (await world.generate("chat")).status == 200
            assert alerts_at(hook, 3)[2] == f"{refused} resolved"
            hook.reply(error(500))
            tested = await world.ask("POST", "/api/alerts/test")
            assert tested.json() == {"ok": False, "detail": "the webhook failed: it answered 500"}
            settings = world.page("/api/settings")["settings"]
            shown = {one["name"]: one["value"] for one in settings}["ALERT_WEBHOOK_URL"]
            assert shown == "http://127.0.0.1/…"
        assert TOKEN not in proxy.output


async def test_without_a_webhook_a_test_says_so(world: World) -> None:
    answer = await world.ask("POST", "/api/alerts/test")
    assert answer.json() == {"ok": False, "detail": "ALERT_WEBHOOK_URL is not set"}
