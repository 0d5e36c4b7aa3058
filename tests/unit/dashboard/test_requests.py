"""The list of requests and the single one."""

import pytest

from tests.support.dashboard_world import FRIEND_KEY, OWNER_KEY, World, record


def world_with(count: int) -> World:
    world = World()
    world.stored = [record(number) for number in range(count)]
    return world


async def ids(world: World, query: str = "", as_: str = OWNER_KEY) -> tuple[list[str], str | None]:
    answer = (await world.ask(f"/api/requests{query}", as_=as_)).json
    return [r["id"] for r in answer["requests"]], answer["next"]


async def test_the_newest_fifty_come_first() -> None:
    found, following = await ids(world_with(60))
    assert found == [record(number).id for number in range(59, 9, -1)]
    assert following == record(10).id


async def test_paging_reaches_every_request_once() -> None:
    world = world_with(60)
    seen, following = await ids(world, "?limit=25")
    while following:
        page, following = await ids(world, f"?limit=25&before={following}")
        seen += page
    assert seen == [record(number).id for number in range(59, -1, -1)]


async def test_a_request_shows_before_the_store_has_written_it() -> None:
    world = world_with(2)
    world.context.feed.publish(record(3))
    world.context.feed.publish(record(1, status=502))
    world.context.feed.publish(record(4, caller="friend"))
    assert (await ids(world))[0] == [record(n).id for n in (4, 3, 1, 0)]
    assert (await ids(world, as_=FRIEND_KEY))[0] == [record(4).id]
    answer = await world.ask(f"/api/requests/{record(3).id}", as_=OWNER_KEY)
    assert answer.json["model"] == "gpt-5"


@pytest.mark.parametrize(
    "query",
    [
        *("?limit=0", "?limit=201", "?limit=-1", "?limit=x", "?limit=", "?limit=²", "?limit=1e1"),
        *("?before=", "?before=x", "?before=" + "'" * 26, "?before=" + "é" * 26),
    ],
)
async def test_nonsense_in_the_query_is_refused(query: str) -> None:
    answer = await world_with(1).ask(f"/api/requests{query}", as_=OWNER_KEY)
    assert answer.status == 400
    assert answer.json["detail"]


@pytest.mark.parametrize("name", [record(9).id, "x", "%00", "0" * 26, "'; DROP TABLE records"])
async def test_a_request_that_is_not_there_is_404(name: str) -> None:
    assert (await world_with(1).ask(f"/api/requests/{name}", as_=OWNER_KEY)).status == 404


async def test_a_model_name_is_text_in_every_answer() -> None:
    name = "</script><script>alert('x')</script>&<img src=x>"
    world = World()
    world.stored = [record(1, model=name, client=name, error=name)]
    for path in ("/api/requests", f"/api/requests/{record(1).id}"):
        answer = await world.ask(path, as_=OWNER_KEY)
        assert b"<" not in answer.body
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        found = answer.json.get("requests", [answer.json])[0]
        assert found["model"] == name


@pytest.mark.parametrize("limit", [1, 200])
async def test_a_page_may_be_as_small_and_as_large_as_said(limit: int) -> None:
    assert len((await ids(world_with(300), f"?limit={limit}"))[0]) == limit
