"""Who may go on with an answer that broke behind its first content."""

from typing import Any

import pytest

from llm_proxy.domain.faults import (
    CLIENT_FAULT,
    CLIENT_GONE,
    CONTENT_FILTERED,
    DEADLINE,
    RATE_LIMITED,
    SERVER_ERROR,
    SHUT_DOWN,
    STREAM_CUT,
    STREAM_ERROR,
    STREAM_STALLED,
    TEXT_DIFFERS,
    Fault,
)
from llm_proxy.policy.board import Board
from llm_proxy.policy.chain import Chain
from llm_proxy.policy.choose import Pick, Wait
from llm_proxy.policy.plan import Plan
from llm_proxy.policy.retry import FOREVER, GiveUp, RetryConfig, TryAgain, after_break

from .build import middle, targets, upstream

CONFIG = RetryConfig()
ONE = targets(upstream("a"))
TWO = targets(upstream("a"), upstream("b", priority=1))


@pytest.mark.parametrize(
    ("fault", "facts", "expected"),
    [
        pytest.param(STREAM_CUT, {}, TryAgain(10.0525, True), id="others_first_then_the_same"),
        pytest.param(STREAM_ERROR, {}, TryAgain(10.0525, True), id="an_error_event_likewise"),
        pytest.param(SERVER_ERROR, {}, TryAgain(10.0525, True), id="whatever_it_says"),
        pytest.param(RATE_LIMITED, {}, TryAgain(10.0525, True), id="a_limit_too"),
        pytest.param(STREAM_CUT, {"backoffs": 9}, TryAgain(11.75, True), id="pauses_grow"),
        pytest.param(
            STREAM_STALLED, {}, TryAgain(FOREVER, True), id="who_fell_silent_is_not_asked_again"
        ),
        pytest.param(
            STREAM_CUT, {"is_last": False}, TryAgain(FOREVER, True), id="another_model_comes_first"
        ),
        pytest.param(STREAM_CUT, {"attempts": 4}, GiveUp("attempts"), id="attempts_count"),
        pytest.param(STREAM_CUT, {"deadline": 10.0}, GiveUp("deadline"), id="so_does_time"),
        *[
            pytest.param(fault, {}, GiveUp(fault.name), id=f"never_after_{fault.name}")
            for fault in (
                CONTENT_FILTERED,
                CLIENT_FAULT,
                CLIENT_GONE,
                DEADLINE,
                SHUT_DOWN,
                TEXT_DIFFERS,
            )
        ],
    ],
)
def test_a_break(fault: Fault, facts: dict[str, Any], expected: GiveUp | TryAgain) -> None:
    known: dict[str, Any] = {"attempts": 1, "now": 10.0, "rng": middle, "config": CONFIG} | facts
    assert after_break(fault, **known) == expected


def broken(plan: Plan | Chain, now: float, fault: Fault = STREAM_CUT) -> str:
    """Let the next attempt break behind its content and the plan go on; return whose it was."""
    step = plan.next(now, middle)
    assert isinstance(step, Pick)
    plan.began(step.target, now)
    plan.committed(now)
    plan.failed(step.target, fault, now, rng=middle)
    end = plan.next(now, middle)
    assert isinstance(end, GiveUp)
    plan.resume(step.target, fault, now, deadline=now + 200, rng=middle)
    return step.target.id


def test_another_target_is_next_then_the_broken_ones_after_their_pause() -> None:
    plan = Plan(Board(TWO), TWO, model="m", deadline=5.0)
    assert [broken(plan, 0.0), broken(plan, 1.0)] == ["a/key-1", "b/key-1"]
    step = plan.next(1.0, middle)
    assert isinstance(step, Pick)
    assert (step.target.id, step.why) == ("a/key-1", "again")


def test_the_time_limit_of_the_first_attempt_is_over_once_content_flowed() -> None:
    plan = Plan(Board(TWO), TWO, model="m", deadline=5.0)
    assert broken(plan, 0.0) == "a/key-1"
    assert isinstance(plan.next(100.0, middle), Pick)
    assert plan.next(200.0, middle) == GiveUp("deadline")


def test_the_only_target_is_asked_again_after_a_pause() -> None:
    plan = Plan(Board(ONE), ONE, model="m")
    broken(plan, 0.0)
    step = plan.next(0.0, middle)
    assert isinstance(step, Wait)
    assert isinstance(plan.next(step.until, middle), Pick)


def test_a_target_that_refuses_the_form_is_asked_again_at_once_in_other_words() -> None:
    plan = Plan(Board(TWO), TWO, model="m")
    broken(plan, 0.0)
    for expected in ("b/key-1", "b/key-1"):
        step = plan.next(1.0, middle)
        assert isinstance(step, Pick)
        assert step.target.id == expected
        plan.began(step.target, 1.0)
        plan.failed(step.target, CLIENT_FAULT, 1.0, rng=middle)
        assert plan.next(1.0, middle) == GiveUp("client_fault")
        plan.rephrased(step.target, CLIENT_FAULT, 1.0)


def test_rephrasing_does_not_add_an_attempt() -> None:
    plan = Plan(Board(TWO), TWO, model="m", config=RetryConfig(max_retries=1))
    broken(plan, 0.0)
    step = plan.next(1.0, middle)
    assert isinstance(step, Pick)
    plan.began(step.target, 1.0)
    plan.failed(step.target, CLIENT_FAULT, 1.0, rng=middle)
    plan.rephrased(step.target, CLIENT_FAULT, 1.0)
    assert plan.next(1.0, middle) == GiveUp("attempts")


def test_another_model_goes_on_and_gets_the_same_time() -> None:
    board = Board(ONE)

    def make(stage: int, waited_s: float, is_last: bool) -> Plan:
        return Plan(board, ONE, model="xy"[stage], deadline=5.0, is_last=is_last, waited_s=waited_s)

    chain = Chain(2, make)
    broken(chain, 4.0)
    step = chain.next(100.0, middle)
    assert isinstance(step, Pick)
    assert chain.stage == 1
    assert chain.next(204.0, middle) == GiveUp("deadline")
