"""Guessing access keys on the page."""

import pytest

from llm_proxy.dashboard.throttle import WRONG_IN_ALL, WRONG_PER_PEER, Throttle
from tests.support.dashboard_world import OWNER_KEY, World


async def guess(world: World, peer: str = "10.0.0.1") -> int:
    return (await world.sign_in("sk-wrong", peer=peer)).status


async def test_after_five_wrong_keys_even_the_right_one_must_wait_a_minute() -> None:
    world = World()
    assert [await guess(world) for _ in range(7)] == [401] * 5 + [429] * 2
    world.clock.now += 20
    answer = await world.sign_in(peer="10.0.0.1")
    assert answer.status == 429
    assert answer.headers["retry-after"] == "40"
    world.clock.now += 40
    assert (await world.sign_in(peer="10.0.0.1")).status == 204


async def test_others_can_still_sign_in_meanwhile() -> None:
    world = World()
    for _ in range(9):
        await guess(world)
    assert (await world.sign_in(peer="10.0.0.2")).status == 204


async def test_many_peers_together_are_slowed_too() -> None:
    world = World()
    statuses = [await guess(world, peer=f"10.0.0.{number}") for number in range(30)]
    assert statuses == [401] * 20 + [429] * 10


@pytest.mark.parametrize("path", ["/api/status", "/api/session", "/api/requests"])
async def test_a_key_in_a_header_is_guessed_no_faster(path: str) -> None:
    world = World()
    statuses = [(await world.ask(path, as_="sk-wrong")).status for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    assert (await world.ask(path, as_=OWNER_KEY)).status == 429


async def test_whoever_is_signed_in_notices_nothing() -> None:
    world = World()
    cookie = await world.cookie()
    for _ in range(9):
        await guess(world, peer="127.0.0.1")
    assert (await world.ask("/api/upstreams", headers=cookie)).status == 200
    assert (await world.ask("/api/status")).status == 200


async def test_right_keys_are_never_counted() -> None:
    world = World()
    assert {(await world.sign_in()).status for _ in range(50)} == {204}


def test_the_wait_ends_when_the_oldest_wrong_key_is_a_minute_old() -> None:
    throttle = Throttle()
    for second in range(WRONG_PER_PEER):
        assert throttle.wait_s("a", second) == 0
        throttle.on_wrong("a", second)
    assert throttle.wait_s("a", 10) == 50
    assert throttle.wait_s("b", 10) == 0
    assert throttle.wait_s("a", 60) == 0


def test_the_memory_of_wrong_keys_is_bounded() -> None:
    throttle = Throttle()
    for number in range(1000):
        throttle.on_wrong(f"peer-{number}", 0.0)
    assert len(throttle._wrong) == WRONG_IN_ALL
