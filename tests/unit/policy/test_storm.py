"""Many requests at once on a virtual clock: what an outage costs, and what always holds."""

import heapq
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_proxy.domain.faults import (
    CLIENT_FAULT,
    CLIENT_GONE,
    CONNECT_REFUSED,
    CONNECT_TIMEOUT,
    CONTEXT_TOO_LONG,
    FAULTS,
    KEY_REJECTED,
    MODEL_NOT_FOUND,
    OVERLOADED,
    PERMISSION,
    QUOTA,
    RATE_LIMITED,
    SERVER_ERROR,
    SILENT,
    Fault,
    Mark,
)
from llm_proxy.domain.target import Target
from llm_proxy.policy.board import Board
from llm_proxy.policy.choose import Pick, Wait
from llm_proxy.policy.limits_seen import Advice
from llm_proxy.policy.plan import Plan
from llm_proxy.policy.retry import RetryConfig
from llm_proxy.policy.slot import Address, Standing

from .build import Ending, Failure, targets, upstream


class Storm:
    """Plays requests that overlap, in the order of their events.

    Attributes:
        asked: (time, target id) of every attempt.
        ends: End per request, `answered` or why it was given up.
        looked: (time, target id) of every connection beside a request.
    """

    def __init__(self, board: Board, candidates: tuple[Target, ...], seed: int = 1) -> None:
        self.board = board
        self.candidates = candidates
        self.random = Random(seed)
        self.asked: list[tuple[float, str]] = []
        self.ends: list[str] = []
        self.looked: list[tuple[float, str]] = []
        self._looks: list[tuple[float, int, Address, Fault | None]] = []

    def run(self, arrivals: list[float], answer: Callable[[str, float], Ending]) -> None:
        """Let requests arrive; each attempt takes what its failure says, else 0.2 s."""
        queue: list[tuple[float, int, Plan, Target | None, Ending]] = []
        for number, at in enumerate(arrivals):
            plan = Plan(self.board, self.candidates, model="m", deadline=at + 60)
            queue.append((at, number, plan, None, None))
        heapq.heapify(queue)
        number = len(arrivals)
        while queue:
            while self._looks and self._looks[0][0] <= queue[0][0]:
                self._end_look()
            now, _, plan, target, ending = heapq.heappop(queue)
            number += 1
            if target is not None and ending is None:
                plan.answered(target, now)
                self.ends.append("answered")
                continue
            if target is not None:
                self._fail(plan, target, ending, now)
            step = plan.next(now, self.random.random)
            if isinstance(step, Wait):
                heapq.heappush(queue, (step.until, number, plan, None, None))
            elif isinstance(step, Pick):
                self.asked.append((now, step.target.id))
                limit = self.board.slot(step.target).standing("m", now)
                assert limit is not Standing.BANNED
                plan.began(step.target, now)
                for look in step.looks:
                    self._look(look, now, answer)
                ending = answer(step.target.id, now)
                took_s = ending.took_s if isinstance(ending, Failure) else 0.2
                heapq.heappush(queue, (now + took_s, number, plan, step.target, ending))
            else:
                self.ends.append(step.reason)
                assert plan.attempts <= self.board.config.max_retries + 1
                assert plan.waited_s <= self.board.config.max_wait_s + 1e-6

        while self._looks:
            self._end_look()

    def _look(self, target: Target, now: float, answer: Callable[[str, float], Ending]) -> None:
        """Connect beside a request, as long as a connection takes."""
        address = self.board.begin_look(target, now)
        if address is None:
            return
        ending = answer(target.id, now)
        fault = ending.fault if isinstance(ending, Failure) else ending
        took_s = ending.took_s if isinstance(ending, Failure) else 0.02
        if fault is not None and fault.mark is not Mark.ADDRESS:
            fault = None
        self.looked.append((now, target.id))
        entry = (now + took_s, len(self.looked), address, fault)
        heapq.heappush(self._looks, entry)

    def _end_look(self) -> None:
        at, _, address, fault = heapq.heappop(self._looks)
        self.board.looked(address, fault, at, rng=self.random.random)

    def _fail(self, plan: Plan, target: Target, ending: Ending, now: float) -> None:
        failure = ending if isinstance(ending, Failure) else None
        fault = failure.fault if failure else ending
        assert isinstance(fault, Fault)
        told = failure.wait_s if failure else None
        plan.failed(
            target,
            fault,
            now,
            advice=None if told is None else Advice(told, "header"),
            rng=self.random.random,
            took_s=failure.took_s if failure else 0.2,
        )

    def amplification(self, start: float) -> float:
        """Return attempts per arrival since `start`, for arrivals of 20 a second."""
        return len([at for at, _ in self.asked if at >= start]) / ((60 - start) * 20)


ARRIVALS = [n / 20 for n in range(60 * 20)]
TWO = targets(upstream("a"), upstream("b"))


def test_an_outage_of_everything_hardly_multiplies_the_traffic() -> None:
    storm = Storm(Board(TWO), TWO)
    storm.run(ARRIVALS, lambda *_: SERVER_ERROR)
    assert storm.amplification(5.0) <= 1.2


@pytest.mark.parametrize("per_second", [1, 20])
def test_limits_without_advice_on_everything_hardly_multiply_the_traffic(per_second: int) -> None:
    storm = Storm(Board(TWO), TWO)
    arrivals = [n / per_second for n in range(60 * per_second)]
    storm.run(arrivals, lambda *_: RATE_LIMITED)
    late = [at for at, _ in storm.asked if at >= 10.0]
    assert len(late) / (50 * per_second) <= 1.3


def test_limits_with_advice_on_everything_touch_each_target_once_per_ban() -> None:
    storm = Storm(Board(TWO), TWO)
    storm.run(ARRIVALS, lambda *_: Failure(RATE_LIMITED, 30.0, 0.01))
    assert len(storm.asked) <= 4 * 2
    assert set(storm.ends) == {"all limited"}


def test_no_request_fails_when_one_of_two_upstreams_dies() -> None:
    storm = Storm(Board(TWO), TWO)
    storm.run(ARRIVALS, lambda name, now: CONNECT_REFUSED if name[0] == "a" and now > 10 else None)
    assert set(storm.ends) == {"answered"}
    to_dead = [at for at, name in storm.asked if name[0] == "a" and at > 11]
    assert len(to_dead) <= 12  # probes only


def test_a_black_hole_is_learnt_by_the_requests_that_are_under_way_when_it_opens() -> None:
    storm = Storm(Board(TWO), TWO)
    storm.run(
        ARRIVALS, lambda name, _: Failure(CONNECT_TIMEOUT, None, 3.0) if name[0] == "a" else None
    )
    assert set(storm.ends) == {"answered"}
    slow = [at for at, name in storm.asked if name[0] == "a"]
    assert len(slow) <= 0.1 * len(ARRIVALS)


def test_a_black_hole_that_is_known_costs_no_request_any_time() -> None:
    storm = Storm(Board(TWO), TWO)
    hole = Failure(CONNECT_TIMEOUT, None, 3.0)
    storm.run(ARRIVALS, lambda name, now: hole if name[0] == "a" and now < 40.0 else None)
    asked = [at for at, name in storm.asked if name[0] == "a"]
    assert not [at for at in asked if 3.0 < at < 40.0]
    assert min(at for at in asked if at >= 40.0) <= 40.0 + 3.0 + 8.0
    assert 4 <= len(storm.looked) <= 9
    assert set(storm.ends) == {"answered"}


def test_a_recovered_upstream_is_back_within_thirty_seconds_under_light_traffic() -> None:
    board = Board(TWO)
    storm = Storm(board, TWO)
    arrivals = [4.0 * n for n in range(60)]
    storm.run(arrivals, lambda name, now: SERVER_ERROR if name[0] == "a" and now < 120 else None)
    back = min(at for at, name in storm.asked if name[0] == "a" and at >= 120)
    assert back <= 150
    assert set(storm.ends) == {"answered"}


@pytest.mark.parametrize("fault", [SERVER_ERROR, CONNECT_REFUSED, SILENT, RATE_LIMITED])
@pytest.mark.parametrize("outage_s", [1.0, 4.0, 9.0, 30.0, 300.0])
def test_a_recovered_upstream_is_back_within_ten_seconds_under_traffic(
    fault: Fault, outage_s: float
) -> None:
    for seed in range(5):
        storm = Storm(Board(TWO), TWO, seed)
        arrivals = [0.2 * n for n in range(int(5 * (outage_s + 15)))]
        storm.run(arrivals, lambda name, now: fault if name[0] == "a" and now < outage_s else None)
        after = [at for at, name in storm.asked if name[0] == "a" and at >= outage_s]
        assert after[0] <= outage_s + 10
        assert len(after) > 10, "it is in use, not only looked at"
        assert set(storm.ends) == {"answered"}


def test_light_traffic_gets_its_retries_during_a_partial_outage() -> None:
    one = targets(upstream("a"))
    storm = Storm(Board(one), one)
    chance = Random(3)
    storm.run(
        [2.0 * n for n in range(200)],
        lambda *_: SERVER_ERROR if chance.random() < 0.2 else None,
    )
    assert storm.ends.count("answered") >= 198


FAULT = st.sampled_from(
    [
        CLIENT_FAULT,
        CLIENT_GONE,
        CONNECT_REFUSED,
        CONNECT_TIMEOUT,
        CONTEXT_TOO_LONG,
        KEY_REJECTED,
        MODEL_NOT_FOUND,
        OVERLOADED,
        PERMISSION,
        QUOTA,
        RATE_LIMITED,
        SERVER_ERROR,
        SILENT,
        *FAULTS.values(),
    ]
)
ENDING = st.one_of(
    st.none(),
    st.builds(
        Failure,
        FAULT,
        st.none() | st.floats(min_value=0.001, max_value=100),
        st.floats(min_value=0, max_value=8),
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    endings=st.lists(ENDING, min_size=1, max_size=30),
    gaps=st.lists(st.floats(min_value=0, max_value=20), min_size=1, max_size=25),
    seed=st.integers(0, 2**32),
    max_retries=st.integers(0, 5),
)
def test_whatever_happens_the_invariants_hold(
    endings: list[Ending], gaps: list[float], seed: int, max_retries: int
) -> None:
    """Told bans honoured, attempts and waits capped (checked in `Storm`), and in the end nothing
    in flight, no probe forgotten, no retry leaked, and every key askable again by itself."""
    candidates = targets(upstream("a", keys=2), upstream("b"), upstream("c", priority=1))
    board = Board(candidates, config=RetryConfig(max_retries=max_retries))
    storm = Storm(board, candidates, seed)
    arrivals = [sum(gaps[:n]) for n in range(len(gaps))]
    storm.run(arrivals, lambda *_: storm.random.choice(endings))
    assert len(storm.ends) == len(arrivals)
    assert board.budget.running == 0
    for target in candidates:
        slot = board.slot(target)
        assert (slot.in_flight, slot.is_probing, slot.address.is_probing) == (0, False, False)
        assert 0 <= slot.tokens <= board.config.budget_cap
        assert slot.health(1e6) in (Standing.CLEAN, Standing.HALF_OPEN)
        assert slot.standing("m", 1e6) is not Standing.BANNED
    assert board.budget.in_progress(1e6) == 0
    assert board.is_usable(1e6)


@settings(max_examples=100, deadline=None)
@given(endings=st.lists(ENDING.filter(lambda e: e is not None and e.wait_s is None), max_size=40))
def test_guesses_never_leave_a_request_without_a_target(endings: list[Failure]) -> None:
    candidates = targets(upstream("a", keys=2))
    board, now, chance = Board(candidates), 0.0, Random(1).random
    for ending in endings:
        plan = Plan(board, candidates, model="m")
        step = plan.next(now, chance)
        assert isinstance(step, Pick)
        plan.began(step.target, now)
        now += ending.took_s
        plan.failed(step.target, ending.fault, now, rng=chance, took_s=ending.took_s)
