"""What the owner may do, and that nobody else may."""

import pytest

from llm_proxy.dashboard.shapes import InFlight
from tests.support.dashboard_world import FRIEND_KEY, OWNER_KEY, World

ORDERS = [
    "/api/upstreams/upstream-1/keys/key-1/pause",
    "/api/upstreams/upstream-1/keys/key-1/test",
    "/api/in-flight/01K/cancel",
    "/api/alerts/test",
]


def running(request_id: str, caller: str) -> InFlight:
    return InFlight(
        id=request_id, at_ms=1, age_ms=2.0, format="chat", path="/v1/chat/completions",
        caller=caller, client=None, model="m", stream=True, phase="trying", upstream="upstream-1",
        key="key-1 …ab12", attempt=1, max_attempts=4, has_first_byte=False, bytes_down=0,
    )  # fmt: skip


@pytest.mark.parametrize("path", ORDERS)
async def test_only_the_owner_gives_orders(path: str) -> None:
    world = World()
    assert (await world.ask(path, method="POST")).status == 401
    assert (await world.ask(path, method="POST", as_=FRIEND_KEY)).status == 403
    assert (await world.ask(path, as_=OWNER_KEY)).status == 405
    assert world.control.orders == []


@pytest.mark.parametrize("path", ORDERS)
async def test_a_cookie_alone_gives_no_orders(path: str) -> None:
    world = World()
    cookie = await world.cookie()
    assert (await world.ask(path, method="POST", headers=cookie)).status == 403
    assert world.control.orders == []
    ours = cookie | {"x-llm-proxy-csrf": "1", "origin": "http://proxy.test"}
    await world.ask(path, method="POST", headers=ours)
    assert len(world.control.orders) == 1


@pytest.mark.parametrize("action", ["pause", "resume", "reset"])
async def test_keys_are_paused_and_reset(action: str) -> None:
    world = World()
    path = f"/api/upstreams/upstream-1/keys/key-2/{action}"
    assert (await world.ask(path, method="POST", as_=OWNER_KEY)).status == 204
    assert world.control.orders == [f"{action} upstream-1/key-2"]


async def test_a_key_is_tested() -> None:
    path = "/api/upstreams/upstream-1/keys/key-1/test"
    answer = await World().ask(path, method="POST", as_=OWNER_KEY)
    assert answer.json == {"ok": True, "ms": 12.5, "findings": [["ok", "accepted"]]}


@pytest.mark.parametrize(
    "path", ["/upstream-1/keys/key-9/pause", "/x/keys/key-1/test", "/upstream-1/keys/key-1/delete"]
)
async def test_orders_about_nothing_are_404(path: str) -> None:
    answer = await World().ask("/api/upstreams" + path, method="POST", as_=OWNER_KEY)
    assert answer.status == 404


async def test_everybody_sees_their_own_requests_under_way() -> None:
    world = World()
    world.control.running = [running("01A", "owner"), running("01B", "friend")]
    for key, ids in ((OWNER_KEY, ["01A", "01B"]), (FRIEND_KEY, ["01B"])):
        answer = (await world.ask("/api/in-flight", as_=key)).json
        assert ([one["id"] for one in answer["in_flight"]], answer["total"]) == (ids, len(ids))


async def test_a_request_is_cancelled_once() -> None:
    world = World()
    world.control.running = [running("01A", "owner")]
    path = "/api/in-flight/{}/cancel"
    assert (await world.ask(path.format("01A"), method="POST", as_=OWNER_KEY)).status == 204
    assert (await world.ask(path.format("01Z"), method="POST", as_=OWNER_KEY)).status == 404


async def test_settings_are_the_owners_business() -> None:
    world = World()
    assert (await world.ask("/api/settings", as_=FRIEND_KEY)).status == 403
    answer = (await world.ask("/api/settings", as_=OWNER_KEY)).json
    assert answer["settings"][0]["source"] == "environment"
