"""Keys that serve so many requests at once and no more: who gets a place, and who waits for one."""

from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from llm_proxy.domain.faults import KEYS_BUSY, RATE_LIMITED, SERVER_ERROR
from llm_proxy.policy.board import Board
from llm_proxy.policy.choose import Pick, Wait
from llm_proxy.policy.limits_seen import Advice
from llm_proxy.policy.plan import Plan
from llm_proxy.policy.retry import GiveUp, RetryConfig

from .build import middle, targets, upstream
from .test_random_walk import LIMITED, Layout, Request, World, upstreams_of

ONE = upstream("a", max_concurrency=1)


def asked(world: World, request: Request) -> str:
    """Return whom a request asks now, or how it ended; empty = it waits."""
    return request.end or (request.target.id if request.target is not None else "")


@settings(max_examples=150, deadline=None)
@given(layout=LIMITED, seed=st.integers(0, 1 << 32), hurry=st.sampled_from([0.2, 0.02, 1.0]))
def test_whatever_happens_no_key_serves_more_than_it_may_and_no_place_is_lost(
    layout: Layout, seed: int, hurry: float
) -> None:
    """Crowds come and go, fail and are retried, leave while they wait or have just been called."""
    world = World(upstreams_of(layout), seed=seed)
    pick = Random(seed)
    for _ in range(120):
        flying = [request for request in world.live if request.target is not None]
        what = pick.random()
        if what < 0.45 or not world.live:
            world.arrive(time_s=pick.choice([600.0, 600.0, 3.0, 0.5]))
        elif what < 0.55:
            world.leave(pick.choice(world.live))
        elif what < 0.75 and flying:
            world.finish(pick.choice(flying), None)
        elif what < 0.85 and flying:
            told = pick.choice([None, 0.5, 30.0])
            world.finish(pick.choice(flying), pick.choice([RATE_LIMITED, SERVER_ERROR]), told)
        elif what < 0.87:
            world.reload()
        else:
            world.advance(pick.random() * hurry)
        for target in world.targets:
            world.check_places(world.board.slot(target))
    while world.live:
        world.leave(world.live[0])
    assert world.board.queue.size == 0
    for target in world.targets:
        slot = world.board.slot(target)
        assert (slot.in_flight, slot.held) == (0, 0)


def test_a_full_key_is_passed_over_for_one_that_has_a_place() -> None:
    world = World([ONE, upstream("b", priority=1)])
    assert [asked(world, world.arrive()) for _ in range(3)] == ["a/key-1", "b/key-1", "b/key-1"]


def test_places_are_given_in_the_order_of_arrival_also_against_newcomers() -> None:
    world = World([ONE])
    first, second, third = (world.arrive() for _ in range(3))
    world.finish(first, None)
    late = world.arrive()  # between the call and its being heard
    assert asked(world, late) == ""
    world.advance(0)
    assert [asked(world, one) for one in (second, third, late)] == ["a/key-1", "", ""]
    world.finish(second, None)
    world.advance(0)
    assert [asked(world, one) for one in (third, late)] == ["a/key-1", ""]


def test_who_has_left_the_line_is_passed_by_and_a_place_held_for_it_goes_on() -> None:
    world = World([ONE])
    first, second, third = (world.arrive() for _ in range(3))
    world.finish(first, None)
    world.leave(second)  # called already, but gone before it could choose
    world.advance(0)
    assert asked(world, third) == "a/key-1"


def test_a_place_counts_for_any_of_the_keys_that_are_waited_for() -> None:
    world = World([upstream("a", keys=2, max_concurrency=1)])
    first, second, third = (world.arrive() for _ in range(3))
    place = second.target
    world.finish(second, None)
    world.advance(0)
    assert third.target is place
    world.finish(first, None)
    assert asked(world, world.arrive()) != ""


def test_without_a_place_for_five_seconds_the_answer_is_503_with_advice_to_come_again() -> None:
    world = World([ONE])
    world.arrive()
    second = world.arrive()
    world.advance(4.99)
    assert asked(world, second) == ""
    world.advance(0.02)
    assert asked(world, second) == "full"
    word = second.plan.last_word(world.now)
    assert (word.fault, word.retry_after_s, word.should_retry) == (KEYS_BUSY, 1.0, None)


def test_a_deadline_ends_the_waiting_for_a_place() -> None:
    world = World([ONE])
    world.arrive()
    second = world.arrive(time_s=2.0)
    world.advance(2.0)
    assert (asked(world, second), world.board.queue.size) == ("deadline", 0)


def test_a_thousand_may_wait_and_the_next_is_told_at_once() -> None:
    world = World([ONE])
    crowd = [world.arrive(time_s=60.0) for _ in range(1002)]
    assert [asked(world, one) for one in crowd[-2:]] == ["", "full"]


def test_a_healthy_key_that_is_full_is_waited_for_before_a_failing_one_is_asked() -> None:
    world = World([ONE, upstream("b")])
    for _ in range(20):
        request = world.arrive()
        target = request.target
        assert target is not None
        world.finish(request, SERVER_ERROR if target.id == "b/key-1" else None)
        if request in world.live:
            world.finish(request, None)
    slot = world.board.slot(world.targets[1])
    assert slot.breaker.until is not None
    busy = world.arrive()
    assert asked(world, busy) == "a/key-1"
    waiting = world.arrive()
    assert asked(world, waiting) == ""
    world.finish(busy, None)
    world.advance(0)
    assert asked(world, waiting) == "a/key-1"


def test_a_resting_key_that_comes_back_is_asked_while_one_waits_for_a_full_one() -> None:
    world = World([ONE, upstream("b")])
    first, second = world.arrive(), world.arrive()
    resting, busy = (first, second) if asked(world, first) == "b/key-1" else (second, first)
    world.finish(resting, RATE_LIMITED, 2.0)  # moves on, and waits for a
    assert (asked(world, resting), asked(world, busy)) == ("", "a/key-1")
    world.advance(1.9)
    waiting = world.arrive()
    assert asked(world, waiting) == ""
    world.advance(0.3)
    assert asked(world, waiting) == "b/key-1"


def test_every_attempt_counts_retries_included() -> None:
    world = World([upstream("a", max_concurrency=1), upstream("b", max_concurrency=1)])
    first, second = world.arrive(), world.arrive()
    world.finish(first, SERVER_ERROR)  # the other address is full: it waits, though it may retry
    third = world.arrive()
    for target in world.targets:
        assert world.board.slot(target).in_flight <= 1
    world.finish(second, None)
    world.advance(5)
    assert world.board.queue.size == 0
    assert third.target is not None or third.end is not None


def test_a_raised_limit_calls_those_who_wait_and_a_lowered_one_lets_nobody_in() -> None:
    world = World([upstream("a", max_concurrency=2)])
    first, second, third = (world.arrive() for _ in range(3))
    world.reload([upstream("a", max_concurrency=3)])
    world.advance(0)
    assert asked(world, third) == "a/key-1"
    world.reload([ONE])
    fourth = world.arrive()
    world.finish(first, None)
    world.finish(second, None)
    world.advance(0)
    assert asked(world, fourth) == ""
    world.finish(third, None)
    world.advance(0)
    assert asked(world, fourth) == "a/key-1"


def test_a_limit_that_goes_away_lets_everybody_in() -> None:
    world = World([ONE])
    crowd = [world.arrive() for _ in range(5)]
    world.reload([upstream("a")])
    world.advance(0)
    assert [asked(world, one) for one in crowd] == ["a/key-1"] * 5


def test_a_key_that_leaves_the_configuration_keeps_its_limit_for_those_who_still_ask_it() -> None:
    world = World([ONE])
    crowd = [world.arrive() for _ in range(4)]
    old = world.targets[0]
    world.reload([upstream("b")])
    for number, request in enumerate(crowd):
        assert request.target is old
        assert [asked(world, one) for one in crowd[number + 1 :]] == [""] * (3 - number)
        world.finish(request, None)
        world.advance(0)
    assert asked(world, world.arrive()) == "b/key-1"


def test_a_target_that_is_passed_over_leaves_its_place_to_the_next() -> None:
    board = Board(targets(ONE))
    held, passing, behind = (Plan(board, targets(ONE), model="m") for _ in range(3))
    step = held.next(0.0, middle)
    assert isinstance(step, Pick)
    held.began(step.target, 0.0)
    waits = [plan.next(0.0, middle) for plan in (passing, behind)]
    assert all(isinstance(one, Wait) for one in waits)
    held.answered(step.target, 1.0)
    picked = passing.next(1.0, middle)
    assert isinstance(picked, Pick)
    passing.pass_over(picked.target)
    assert isinstance(behind.next(1.0, middle), Pick)


@pytest.mark.parametrize("waited_s", [10.0, 9.9995])
def test_a_request_that_has_waited_its_share_waits_for_no_place(waited_s: float) -> None:
    board = Board(targets(ONE), config=RetryConfig())
    board.begin(board.slot(targets(ONE)[0]).target, "m", 0.0)
    plan = Plan(board, targets(ONE), model="m", waited_s=waited_s)
    assert plan.next(0.0, middle) == GiveUp("full")


def test_a_full_key_is_no_alternative_for_a_late_first_token() -> None:
    board = Board(both := targets(ONE, upstream("b")))
    plan = Plan(board, both, model="m")
    plan.began(both[1], 0.0)
    assert plan.has_alternative(0.0)
    board.begin(both[0], "m", 0.0)
    assert not plan.has_alternative(0.0)


def test_a_limit_met_at_one_key_while_another_is_full_is_told_as_a_limit_soon_over() -> None:
    """Every attempt was limited, so the answer is that of limits; the busy key is free soon."""
    board = Board(both := targets(ONE, upstream("b")))
    board.begin(both[0], "m", 0.0)
    plan = Plan(board, both, model="m", deadline=3.0)
    step = plan.next(0.0, middle)
    assert isinstance(step, Pick)
    plan.began(step.target, 0.0)
    plan.failed(step.target, RATE_LIMITED, 0.0, advice=Advice(60.0, "header"), rng=middle)
    step = plan.next(0.0, middle)
    assert isinstance(step, Wait)
    assert step.why == "place"
    word = plan.last_word(5.0)
    assert (word.is_all_limited, word.retry_after_s) == (True, 1.0)
