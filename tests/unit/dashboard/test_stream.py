"""What an open page hears, and when."""

from contextlib import AsyncExitStack

from llm_proxy.dashboard.stream import MAX_STRANGERS, MAX_STREAMS
from llm_proxy.domain.errors import StoreError
from llm_proxy.domain.secret import AccessKey, Secret
from tests.support.asgi_client import Event, Stream
from tests.support.dashboard_world import (
    FRIEND_KEY,
    OWNER_KEY,
    World,
    record,
    settle,
)


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def numbers(events: list[Event]) -> list[int]:
    return [int(event.id[3:]) for event in events if event.kind == "request"]


async def begun(stream: Stream) -> list[Event]:
    """Wait for the first status; return all that came until then."""
    events: list[Event] = []
    while "status" not in kinds(events):
        events += await stream.events()
    return events


async def test_the_stream_may_not_be_buffered_or_kept() -> None:
    async with World().open() as stream:
        await begun(stream)
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers["cache-control"] == "no-store"
        assert "content-length" not in stream.headers
        assert stream.body.startswith(b"retry: 3000\n\n")


async def test_the_status_comes_at_once() -> None:
    world = World()
    async with world.open(OWNER_KEY) as stream:
        (status,) = await begun(stream)
        expected = await world.ask("/api/status", as_=OWNER_KEY)
        assert status.data == expected.json


async def test_nothing_new_means_a_status_each_five_seconds() -> None:
    world = World()
    async with world.open(OWNER_KEY) as stream:
        await begun(stream)
        await world.clock.advance(4.75)
        assert stream.waiting_events() == []
        await world.clock.advance(0.25)
        assert kinds(stream.waiting_events()) == ["status"]
        await world.clock.advance(5)
        assert kinds(stream.waiting_events()) == ["status"]


async def test_a_change_shows_within_half_a_second_and_at_most_twice_a_second() -> None:
    world = World()
    async with world.open(OWNER_KEY) as stream:
        await begun(stream)
        await world.clock.advance(1)
        world.key_states[0] = "cooling"
        await world.clock.advance(0.25)
        (status,) = stream.waiting_events()
        assert status.data["state"] == "cooling"
        for _ in range(20):
            world.in_flight += 1
            await world.clock.advance(0.125)
        assert 4 <= kinds(stream.waiting_events()).count("status") <= 5


async def test_a_heartbeat_comes_every_fifteen_seconds() -> None:
    world = World()
    async with world.open() as stream:
        await begun(stream)
        await world.clock.advance(60)
        assert kinds(stream.waiting_events()).count(":") == 4


async def test_a_finished_request_comes_within_a_quarter_second() -> None:
    world = World()
    async with world.open(OWNER_KEY) as stream:
        await begun(stream)
        world.context.feed.publish(record(1, model="<script>"))
        await world.clock.advance(0.25)
        event = stream.waiting_events()[0]
        assert (event.kind, event.id) == ("request", record(1).id)
        assert event.data["model"] == "<script>"
        assert b"<script>" not in stream.body


async def test_everybody_hears_of_their_own_requests_and_the_owner_of_all() -> None:
    world = World()
    async with (
        world.open(OWNER_KEY) as owner,
        world.open(FRIEND_KEY) as friend,
        world.open() as stranger,
    ):
        for stream in (owner, friend, stranger):
            await begun(stream)
        world.context.feed.publish(record(1, caller="owner"))
        world.context.feed.publish(record(2, caller="friend"))
        world.context.feed.publish(record(3, caller=None))
        await world.clock.advance(0.5)
        assert numbers(owner.waiting_events()) == [1, 2, 3]
        assert numbers(friend.waiting_events()) == [2]
        events = stranger.waiting_events()
        assert kinds(events) == ["status"]
        assert "upstreams" not in events[0].data


async def test_a_page_that_was_away_gets_exactly_what_it_missed() -> None:
    world = World()
    for number in (1, 2, 4, 3):  # in the order in which they finished
        world.context.feed.publish(record(number))
    async with world.open(OWNER_KEY, {"last-event-id": record(2).id}) as stream:
        events = await begun(stream)
        assert numbers(events) == [4, 3]
        assert "resync" not in kinds(events)


async def test_after_a_restart_the_store_knows_what_was_missed() -> None:
    world = World()
    world.stored = [record(number) for number in range(1, 8)]
    world.context.feed.publish(record(8))
    world.context.feed.publish(record(9, caller="friend"))
    async with world.open(OWNER_KEY, {"last-event-id": record(5).id}) as stream:
        events = await begun(stream)
        assert numbers(events) == [6, 7, 8, 9]
        assert kinds(events)[0] == "resync"
        world.context.feed.publish(record(10))
        await world.clock.advance(0.25)
        assert numbers(stream.waiting_events()) == [10]
    async with world.open(FRIEND_KEY, {"last-event-id": record(5).id}) as stream:
        assert numbers(await begun(stream)) == [9]


async def test_catching_up_stops_at_fifty_and_says_that_there_is_more() -> None:
    world = World()
    for number in range(100):
        world.context.feed.publish(record(number))
    async with world.open(OWNER_KEY, {"last-event-id": record(9).id}) as stream:
        events = await begun(stream)
        assert numbers(events) == list(range(50, 100))
        assert kinds(events)[0] == "resync"


async def test_an_unreadable_store_does_not_keep_the_page_from_opening() -> None:
    world = World()
    world.store_error = StoreError("broken")
    async with world.open(OWNER_KEY, {"last-event-id": record(9).id}) as stream:
        assert kinds(await begun(stream)) == ["resync", "status"]


async def test_nonsense_as_last_event_id_is_ignored() -> None:
    world = World()
    world.context.feed.publish(record(1))
    async with world.open(OWNER_KEY, {"last-event-id": "'; DROP"}) as stream:
        assert kinds(await begun(stream)) == ["status"]


async def test_a_stranger_gets_no_requests_by_asking_for_missed_ones() -> None:
    world = World()
    world.stored = [record(1), record(2)]
    world.context.feed.publish(record(3))
    async with world.open(headers={"last-event-id": record(1).id}) as stream:
        assert kinds(await begun(stream)) == ["status"]


async def test_a_slow_reader_is_sent_nothing_and_told_to_fetch_again_later() -> None:
    world = World()
    async with world.open(OWNER_KEY) as slow, world.open(OWNER_KEY) as quick:
        await begun(slow)
        await begun(quick)
        slow.stop_reading()
        quick_saw = []
        for batch in range(50):
            for number in range(20):
                world.context.feed.publish(record(batch * 20 + number))
            await world.clock.advance(0.25)
            quick_saw += quick.waiting_events()
        assert numbers(quick_saw) == list(range(1000))
        stuck = len(slow.body)
        assert stuck < 20_000
        slow.read_on()
        await world.clock.advance(0.5)
        events = slow.waiting_events()
        assert "resync" in kinds(events)
        assert numbers(events)[-50:] == list(range(950, 1000))


async def test_a_burst_costs_one_write() -> None:
    world = World()
    async with world.open(OWNER_KEY) as stream:
        await begun(stream)
        for number in range(500):
            world.context.feed.publish(record(number))
        await world.clock.advance(0.25)
        assert stream._pieces.qsize() == 1
        events = stream.waiting_events()
        assert numbers(events) == list(range(450, 500))
        assert kinds(events)[0] == "resync"


async def test_open_pages_share_one_look_at_the_proxy() -> None:
    world = World()
    looks = 0
    upstreams = world.context.upstreams

    def counted() -> object:
        nonlocal looks
        looks += 1
        return upstreams()

    world.context.upstreams = counted  # type: ignore[assignment]
    async with AsyncExitStack() as stack:
        for _ in range(20):
            await stack.enter_async_context(world.open(OWNER_KEY))
        await world.clock.advance(10)
        assert 20 <= looks <= 42


async def test_a_stream_ends_when_its_key_leaves_the_configuration() -> None:
    world = World()
    cookie = await world.cookie(FRIEND_KEY)
    async with world.open(FRIEND_KEY) as bearer, world.open(headers=cookie) as session:
        await begun(bearer)
        await begun(session)
        world.keys = (world.owner,)
        world.context.feed.publish(record(1, caller="friend"))
        await world.clock.advance(0.25)
        for stream in (bearer, session):
            await stream.finished()
            assert stream.waiting_events() == []


async def test_a_stream_ends_with_its_session() -> None:
    world = World()
    cookie = await world.cookie()
    world.clock.now += 30 * 24 * 3600 - 1
    async with world.open(headers=cookie) as stream:
        await begun(stream)
        await world.clock.advance(1)
        await stream.finished()


async def test_a_reload_that_keeps_the_key_keeps_the_stream() -> None:
    world = World()
    async with world.open(OWNER_KEY) as stream:
        await begun(stream)
        world.keys = (AccessKey("owner", Secret(OWNER_KEY)),)
        await world.clock.advance(1)
        assert not stream.is_over


async def test_a_draining_proxy_says_so_and_closes_its_streams() -> None:
    world = World()
    async with world.open(OWNER_KEY) as stream, world.open() as stranger:
        await begun(stream)
        await begun(stranger)
        world.is_draining = True
        world.context.feed.publish(record(1))
        await world.clock.advance(0.25)
        await stream.finished()
        await stranger.finished()
        events = stream.waiting_events()
        assert kinds(events) == ["request", "status"]
        assert events[-1].data["state"] == "draining"


async def test_strangers_cannot_keep_the_owner_out() -> None:
    world = World()
    keys = [""] * MAX_STRANGERS + [OWNER_KEY] * (MAX_STREAMS - MAX_STRANGERS)
    async with AsyncExitStack() as stack:
        streams = []
        for number, key in enumerate(keys):
            streams.append(await stack.enter_async_context(world.open(key)))
            await settle()
            if number + 1 == MAX_STRANGERS:
                answer = await world.ask("/api/events")
                assert answer.status == 503
                assert answer.headers["retry-after"]
        assert {stream.status for stream in streams} == {200}
        assert (await world.ask("/api/events", as_=OWNER_KEY)).status == 503
    async with world.open(OWNER_KEY) as stream:
        await begun(stream)
        assert stream.status == 200


async def test_a_head_request_opens_no_stream() -> None:
    answer = await World().ask("/api/events", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
