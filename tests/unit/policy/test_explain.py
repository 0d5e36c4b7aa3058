"""Who would serve a model, and why nobody else: what is said agrees with what is done."""

from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from llm_proxy.domain.faults import (
    CONNECT_REFUSED,
    KEY_REJECTED,
    QUOTA,
    RATE_LIMITED,
    SERVER_ERROR,
    Fault,
)
from llm_proxy.domain.target import Target, Upstream
from llm_proxy.policy.board import Board
from llm_proxy.policy.choose import DOWN, Pick, choose
from llm_proxy.policy.explain import Explained, Outlook, Stage, explain
from llm_proxy.policy.limits_seen import Advice
from llm_proxy.policy.slot import Standing

from .build import middle, targets, upstream
from .test_random_walk import LAYOUT, LIMITED, Layout, World, upstreams_of

RETRIES = 3


def outlook_of(
    board: Board, candidates: tuple[Target, ...], now: float = 0.0, retries: int = RETRIES
) -> Outlook:
    stage = Stage(candidates, "m", {target.id: "m" for target in candidates})
    return explain(board, [stage], now=now, max_retries=retries)


def lines(outlook: Outlook) -> list[str]:
    """Return one line per target: `1 a/key-1 first`."""
    return [f"{one.order or '-'} {one.target} {one.why}" for one in outlook.targets]


def about(outlook: Outlook, target: str) -> Explained:
    return next(one for one in outlook.targets if one.target == target)


def fail(
    board: Board, target: Target, fault: Fault, wait_s: float | None = None, *, times: int = 1
) -> None:
    for _ in range(times):
        probe = board.begin(target, "m", 0.0)
        told = None if wait_s is None else Advice(wait_s, "body")
        board.failed(target, "m", fault, 0.0, advice=told, rng=middle, probe=probe)


def test_equals_are_told_from_those_that_come_later() -> None:
    board = Board(all_ := targets(upstream("a"), upstream("b"), upstream("c", priority=1)))
    board.begin(all_[0], "m", 0.0)
    outlook = outlook_of(board, all_)
    assert lines(outlook) == ["1 b/key-1 first", "2 a/key-1 busier", "3 c/key-1 lower_priority"]
    assert about(outlook, "c/key-1").says == "lower priority (1 behind 0)"
    board.begin(all_[1], "m", 0.0)
    assert lines(outlook_of(board, all_))[:2] == ["1 a/key-1 first", "2 b/key-1 equal"]
    assert (outlook.verdict, outlook.would_serve) == ("asks", True)
    assert outlook.says == "b key-1 …1 would be asked first"


@pytest.mark.parametrize(
    ("fault", "wait_s", "times", "why", "until_s", "cause", "is_asked"),
    [
        pytest.param(RATE_LIMITED, 37.0, 1, "limited", 37.0, "rate_limited", False, id="told"),
        pytest.param(RATE_LIMITED, None, 1, "guessed", 0.5, "rate_limited", True, id="guessed"),
        pytest.param(KEY_REJECTED, None, 1, "refused", 1.0, "key_rejected", True, id="refused"),
        pytest.param(QUOTA, None, 1, "no_credit", 300.0, "quota", True, id="no_credit"),
        pytest.param(SERVER_ERROR, None, 3, "open", 1.0, "server_error", True, id="open"),
        pytest.param(CONNECT_REFUSED, None, 3, "open", 1.0, "connect_refused", True, id="address"),
    ],
)
def test_what_speaks_against_a_key_is_told_with_its_end(
    fault: Fault,
    wait_s: float | None,
    times: int,
    why: str,
    until_s: float,
    cause: str,
    is_asked: bool,
) -> None:
    board = Board(both := targets())
    fail(board, both[0], fault, wait_s, times=times)
    outlook = outlook_of(board, both)
    told = about(outlook, "a/key-1")
    assert outlook.targets[0].target == "b/key-1"
    assert (told.why, told.cause, told.order is not None) == (why, cause, is_asked)
    assert told.until_s == pytest.approx(until_s)


def test_the_source_of_a_limit_is_told() -> None:
    board = Board(both := targets())
    fail(board, both[0], RATE_LIMITED, 37.0)
    fail(board, both[1], RATE_LIMITED)
    outlook = outlook_of(board, both)
    assert about(outlook, "a/key-1").source == "body"
    assert "told by the answer's words" in about(outlook, "a/key-1").says
    assert about(outlook, "b/key-1").source == "guess"


def test_a_recovered_key_is_asked_first_as_its_probe_and_others_wait_for_it() -> None:
    board = Board(both := targets())
    fail(board, both[0], SERVER_ERROR, times=3)
    outlook = outlook_of(board, both, now=60.0)
    assert lines(outlook) == ["1 a/key-1 half_open", "2 b/key-1 equal"]
    board.begin(both[0], "m", 60.0)
    told = about(outlook_of(board, both, now=60.0), "a/key-1")
    assert (told.why, "a probe is under way" in told.says) == ("open", True)


def test_a_model_that_is_down_is_told_from_its_key_that_is_well() -> None:
    board = Board(all_ := targets(upstream("a"), upstream("b", priority=1)))
    fail(board, all_[0], SERVER_ERROR, times=3)
    board.begin(all_[0], "other", 0.1)
    board.succeeded(all_[0], "other", 0.1)
    told = about(outlook_of(board, all_, 0.25), "a/key-1")
    assert (told.why, told.cause, told.until_s) == ("open", "server_error", 0.75)
    assert told.says == "this model there keeps failing; asked as a last resort"


def test_an_address_that_is_looked_at_beside_the_request_is_told_from_one_that_is_probed() -> None:
    board = Board(all_ := targets(upstream("a"), upstream("b", priority=1)))
    fail(board, all_[0], CONNECT_REFUSED, times=3)
    outlook = outlook_of(board, all_, 1.5)
    assert lines(outlook) == ["1 b/key-1 first", "2 a/key-1 half_open"]
    assert about(outlook, "a/key-1").says.endswith(
        "a connection beside the request looks at its address"
    )
    assert about(outlook_of(board, all_[:1], 1.5), "a/key-1").says.endswith("asked as a probe")


def test_spent_keys_come_behind_those_that_have_something_left() -> None:
    board = Board(both := targets())
    board.begin(both[0], "m", 0.0)
    board.succeeded(both[0], "m", 0.0, spent_s=30.0)
    outlook = outlook_of(board, both)
    assert lines(outlook) == ["1 b/key-1 first", "2 a/key-1 spent"]
    assert about(outlook, "a/key-1").until_s == 30.0


def test_a_paused_key_is_asked_by_nobody() -> None:
    board = Board(both := targets())
    board.change("a/key-1", "pause")
    assert lines(outlook_of(board, both)) == ["1 b/key-1 first", "- a/key-1 paused"]
    board.change("b/key-1", "pause")
    outlook = outlook_of(board, both)
    assert (outlook.verdict, outlook.would_serve) == ("refuses", False)
    assert "paused" in outlook.says


def test_a_full_key_is_told_with_its_numbers_and_waited_for_where_all_are_full() -> None:
    board = Board(both := targets(upstream("a", max_concurrency=1), upstream("b", priority=1)))
    board.begin(both[0], "m", 0.0)
    outlook = outlook_of(board, both)
    assert lines(outlook) == ["1 b/key-1 first", "- a/key-1 full"]
    assert about(outlook, "a/key-1").says == "full: 1 of 1 requests in flight"
    alone = outlook_of(board, both[:1])
    assert (alone.verdict, alone.would_serve, alone.targets[0].order) == ("lines_up", True, None)


def test_limits_that_end_soon_are_waited_for_and_others_refused_with_their_end() -> None:
    board = Board(one := targets(upstream("a")))
    fail(board, one[0], RATE_LIMITED, 4.0)
    outlook = outlook_of(board, one)
    assert (outlook.verdict, outlook.would_serve, outlook.until_s) == ("waits", True, 4.0)
    fail(board, one[0], RATE_LIMITED, 60.0)
    outlook = outlook_of(board, one)
    assert (outlook.verdict, outlook.would_serve, outlook.until_s) == ("refuses", False, 60.0)


def test_a_key_that_only_fails_is_a_last_resort_and_serves_nobody() -> None:
    board = Board(one := targets(upstream("a")))
    fail(board, one[0], KEY_REJECTED)
    outlook = outlook_of(board, one)
    assert (outlook.verdict, outlook.would_serve) == ("asks", False)
    assert "last resort" in outlook.says
    assert lines(outlook) == ["1 a/key-1 refused"]


def test_keys_behind_the_last_attempt_are_not_reached() -> None:
    board = Board(all_ := targets(upstream("a", keys=3)))
    outlook = outlook_of(board, all_, retries=1)
    assert lines(outlook)[2] == "- a/key-3 not_reached"
    assert "MAX_RETRIES" in outlook.targets[2].says


def test_a_fallback_model_is_asked_behind_the_first_and_before_its_failing_keys() -> None:
    board = Board(all_ := targets(upstream("a"), upstream("b")))
    fail(board, all_[0], SERVER_ERROR, times=3)
    stages = [
        Stage(all_[:1], "big", {"a/key-1": "big"}),
        Stage(all_[1:], "small", {"b/key-1": "tiny"}),
    ]
    outlook = explain(board, stages, now=0.0, max_retries=RETRIES)
    assert lines(outlook) == ["1 b/key-1 first", "- a/key-1 open"]
    assert (outlook.targets[0].asked_for, outlook.targets[0].stage) == ("tiny", 1)
    assert about(outlook, "a/key-1").says.endswith("the fallback model is asked instead")
    assert outlook.says == "b key-1 …1 would be asked first"


def test_what_is_down_is_asked_after_all_where_no_other_model_can_be() -> None:
    board = Board(all_ := targets(upstream("a"), upstream("b")))
    fail(board, all_[0], SERVER_ERROR, times=3)
    stages = [
        Stage(all_[:1], "big", {"a/key-1": "big"}),
        Stage(all_[1:], "small", {"b/key-1": "tiny"}),
    ]
    board.change("b/key-1", "pause")
    outlook = explain(board, stages, now=0.0, max_retries=RETRIES)
    assert lines(outlook) == ["1 a/key-1 open", "- b/key-1 paused"]
    assert outlook.verdict == "asks"
    assert not outlook.would_serve


def crowded(layout: Layout, seed: int) -> World:
    """Return a world in which much has happened."""
    world, pick = World(upstreams_of(layout), seed=seed), Random(seed)
    for _ in range(pick.randrange(60)):
        flying = [request for request in world.live if request.target is not None]
        what = pick.random()
        if what < 0.5 or not flying:
            world.arrive(time_s=600.0)
        elif what < 0.85:
            fault = pick.choice(
                [None, RATE_LIMITED, SERVER_ERROR, KEY_REJECTED, QUOTA, CONNECT_REFUSED]
            )
            advice_s = pick.choice([None, 3.0, 60.0])
            world.finish(pick.choice(flying), fault, advice_s)
        else:
            world.advance(pick.random() * 3)
    if pick.random() < 0.3:
        world.board.change(pick.choice(world.targets).id, "pause")
    return world


def knowledge(world: World) -> list[object]:
    slots = [world.board.slot(target) for target in world.targets]
    kept = world.board.export(world.now, 1.7e9)  # forgets what is over
    return [
        (s.in_flight, s.held, s.attempts, s.tokens, s.is_probing, s.is_suspect, len(s.line))
        for s in slots
    ] + [kept, world.board.queue.size]


@settings(max_examples=300, deadline=None)
@given(layout=LAYOUT | LIMITED, seed=st.integers(0, 1 << 32))
def test_the_first_in_the_order_is_whom_choose_picks_ties_aside(layout: Layout, seed: int) -> None:
    world = crowded(layout, seed)
    before = knowledge(world)
    outlook = outlook_of(world.board, world.targets, world.now)
    assert knowledge(world) == before, "looking changes nothing"
    assert sorted(one.target for one in outlook.targets) == sorted(t.id for t in world.targets)
    ordered = [one.order for one in outlook.targets if one.order is not None]
    assert ordered == list(range(1, len(ordered) + 1))
    chances = Random(seed)
    for _ in range(8):
        step = choose(world.board, world.targets, model="m", now=world.now, rng=chances.random)
        if not isinstance(step, Pick):
            assert outlook.verdict != "asks"
            return
        assert outlook.verdict == "asks"
        first = outlook.targets[0]
        picked = about(outlook, step.target.id)
        assert first.target == picked.target or is_as_good(world, first, picked)
        if step.standing is Standing.CLEAN:
            assert picked.why in ("first", "equal", "not_reached")
            assert outlook.would_serve
        if step.standing in DOWN and outlook.would_serve:  # by a key that is back in time
            assert any(one.why == "limited" for one in outlook.targets)


def is_as_good(world: World, one: Explained, other: Explained) -> bool:
    """Whether chance alone decides between two targets."""
    slots = {target.id: world.board.slot(target) for target in world.targets}
    a, b = slots[one.target], slots[other.target]
    return a.standing("m", world.now) == b.standing("m", world.now) and a.order == b.order


def test_labels_are_all_that_is_shown_of_a_key() -> None:
    held: Upstream = upstream("a", secret="sk-canary")
    outlook = outlook_of(Board(one := targets(held)), one)
    assert "canary" not in repr(outlook)
    assert "a.test" not in repr(outlook)
