"""Who may go on with an answer that broke behind its first content."""

import heapq
from collections.abc import Callable
from functools import partial
from random import Random
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
from llm_proxy.domain.target import Target
from llm_proxy.policy.board import Board
from llm_proxy.policy.chain import Chain
from llm_proxy.policy.choose import Pick, Wait
from llm_proxy.policy.plan import Plan
from llm_proxy.policy.retry import FOREVER, GiveUp, RetryConfig, TryAgain, after_break
from llm_proxy.policy.slot import Standing

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


def test_an_answer_goes_on_at_the_only_target_however_many_retries_are_in_progress() -> None:
    board = Board(ONE)
    board.budget.running = 10
    plan = Plan(board, ONE, model="m")
    broken(plan, 0.0)
    wait = plan.next(0.0, middle)
    assert isinstance(wait, Wait)
    assert (wait.why, wait.is_retry) == ("back-off", False)
    step = plan.next(wait.until, middle)
    assert isinstance(step, Pick)
    assert (step.why, step.is_retry) == ("again", False)
    plan.began(step.target, wait.until)
    assert board.budget.in_progress(wait.until) == 10, "it takes no other request's place"


def test_it_needs_the_budget_where_answers_keep_breaking() -> None:
    board = Board(ONE)
    board.budget.running = 10
    plan = Plan(board, ONE, model="m")
    broken(plan, 0.0)
    wait = plan.next(0.0, middle)
    assert isinstance(wait, Wait)
    for _ in range(2):  # meanwhile others break too
        probe = board.begin(ONE[0], "m", 0.01)
        board.failed(ONE[0], "m", STREAM_CUT, 0.01, rng=middle, probe=probe)
    assert plan.next(wait.until, middle) == GiveUp("budget")


def test_a_target_that_breaks_streams_is_not_well_again_because_another_begins() -> None:
    board = Board(ONE)
    slot = board.slot(ONE[0])
    for _ in range(3):
        board.begin(ONE[0], "m", 0.0)
        board.failed(ONE[0], "m", STREAM_CUT, 0.0, rng=middle)
    probe = board.begin(ONE[0], "m", 1.5)
    assert slot.standing("m", 1.5) is Standing.OPEN
    board.committed(ONE[0], "m", 1.6, probe=probe)
    assert slot.standing("m", 1.6) is Standing.HALF_OPEN, "another one may begin"
    board.succeeded(ONE[0], "m", 9.0)
    assert slot.standing("m", 9.0) is Standing.CLEAN


class Streams:
    """Streams that overlap, some of which break somewhere in five seconds; each goes on twice.

    Attributes:
        attempts: All that were made.
        whole: Requests that got all of their answer.
    """

    def __init__(self, upstreams: int, per_second: int, share: float) -> None:
        candidates = targets(*(upstream(name) for name in "abc"[:upstreams]))
        board = Board(candidates)
        self._chance = Random(1).random
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = 0
        self._share = share
        self.attempts = 0
        self.whole = 0
        for number in range(60 * per_second):
            plan = Plan(board, candidates, model="m")
            self._at(number / per_second, partial(self._step, plan, 0))
        while self._events:
            now, _, event = heapq.heappop(self._events)
            event(now)

    def _at(self, at: float, event: Callable[[float], None]) -> None:
        self._number += 1
        heapq.heappush(self._events, (at, self._number, event))

    def _step(self, plan: Plan, rescues: int, now: float) -> None:
        step = plan.next(now, self._chance)
        if isinstance(step, Wait):
            self._at(step.until, partial(self._step, plan, rescues))
        elif isinstance(step, Pick):
            self.attempts += 1
            plan.began(step.target, now)
            self._at(now + 0.2, partial(self._flow, plan, rescues, step.target))

    def _flow(self, plan: Plan, rescues: int, target: Target, now: float) -> None:
        plan.committed(now)
        if self._chance() < self._share:
            self._at(now + 5 * self._chance(), partial(self._break, plan, rescues, target))
        else:
            self._at(now + 5, partial(self._end, plan, target))

    def _end(self, plan: Plan, target: Target, now: float) -> None:
        plan.answered(target, now)
        self.whole += 1

    def _break(self, plan: Plan, rescues: int, target: Target, now: float) -> None:
        plan.failed(target, STREAM_CUT, now, rng=self._chance)
        if rescues < 2:
            plan.resume(target, STREAM_CUT, now, deadline=now + 200, rng=self._chance)
            self._step(plan, rescues + 1, now)


@pytest.mark.parametrize(("per_second", "most"), [(2, 3.0), (20, 1.8), (100, 1.4)])
@pytest.mark.parametrize("upstreams", [1, 2])
def test_where_every_stream_breaks_the_more_there_are_the_fewer_are_gone_on_with(
    upstreams: int, per_second: int, most: float
) -> None:
    streams = Streams(upstreams, per_second, 1.0)
    assert streams.attempts <= most * 60 * per_second


@pytest.mark.parametrize("per_second", [2, 20, 100])
def test_where_some_streams_break_nearly_all_are_gone_on_with_at_the_only_target(
    per_second: int,
) -> None:
    streams = Streams(1, per_second, 0.05)
    assert streams.whole >= 0.995 * 60 * per_second
    streams = Streams(1, per_second, 0.3)
    assert streams.whole >= 0.94 * 60 * per_second
    assert streams.attempts <= 1.45 * 60 * per_second


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
