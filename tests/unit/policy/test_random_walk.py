"""Random walks over the whole of policy, on a virtual clock: what holds whatever happens.

A `World` plays requests that overlap and checks every step of each; the machine lets everything
happen to it in any order, and a found counter-example shrinks to the few events that matter.
"""

from collections.abc import Callable
from math import ceil, inf
from random import Random
from typing import NamedTuple

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llm_proxy.domain.faults import (
    CANCELLED,
    CONNECT_REFUSED,
    CONNECT_TIMEOUT,
    DEADLINE,
    FAULTS,
    KEY_REJECTED,
    KEYS_BUSY,
    OVERLOADED,
    QUOTA,
    RATE_LIMITED,
    RESET,
    SERVER_ERROR,
    SILENT,
    Fault,
    Mark,
)
from llm_proxy.domain.target import Target, Upstream
from llm_proxy.policy.board import Board
from llm_proxy.policy.breaker import ModelBreaker, State
from llm_proxy.policy.choose import Pick, Wait
from llm_proxy.policy.limits_seen import Advice
from llm_proxy.policy.plan import Plan
from llm_proxy.policy.queue import Ticket
from llm_proxy.policy.retry import GiveUp, RetryConfig
from llm_proxy.policy.slot import Address, Slot, Standing

from .build import targets, upstream

HAIR = 1e-6
CLEAN, SPENT = Standing.CLEAN, Standing.SPENT


class Ending(NamedTuple):
    """How an attempt will end.

    Attributes:
        took_s: How long it takes.
        fault: None = it answers.
        advice_s: How long the provider asks to wait.
    """

    took_s: float
    fault: Fault | None = None
    advice_s: float | None = None


class Request:
    """One request and what is known of it from outside.

    Attributes:
        plan: Its course.
        model: What it asks for.
        deadline: When it must have ended.
        target: Whom it is asking now.
        began: Since when.
        ends: When and how the attempt will end, where that is planned.
        wake: Until when it waits.
        ticket: What it stands in line with.
        since: Since when it stands there.
        asked: Attempts so far.
        waited_s: All waiting so far.
        is_committed: Content has reached its client.
        end: How it ended.
    """

    def __init__(self, plan: Plan, model: str, deadline: float) -> None:
        self.plan = plan
        self.model = model
        self.deadline = deadline
        self.target: Target | None = None
        self.began = 0.0
        self.ends: tuple[float, Ending] | None = None
        self.wake = inf
        self.ticket: Ticket | None = None
        self.since = 0
        self.asked = 0
        self.waited_s = 0.0
        self.is_committed = False
        self.end: str | None = None

    def event_at(self) -> float:
        """Return when something happens to it by itself."""
        if self.target is None:
            return self.wake
        return min(self.deadline, inf if self.ends is None else self.ends[0])


class Look(NamedTuple):
    """A connection beside a request.

    Attributes:
        address: What it tries to reach.
        at: When it ends by itself.
        fault: How; None = it is there.
    """

    address: Address
    at: float
    fault: Fault | None


class World:
    """Requests, targets and a clock.

    Attributes:
        live: Requests that have not ended.
        looks: Connections beside requests that are under way.
        told: End of the ban per (target id, model), as providers said.
        plan_ending: Says how attempts will end; None = somebody calls `finish`.
    """

    def __init__(
        self,
        upstreams: list[Upstream],
        *,
        seed: int = 0,
        max_retries: int = 3,
        plan_ending: Callable[[str], Ending] | None = None,
    ) -> None:
        self.upstreams = upstreams
        self.targets = targets(*upstreams)
        self.board = Board(self.targets, config=RetryConfig(max_retries=max_retries))
        self.chance = Random(seed).random
        self.now = 100.0
        self.live: list[Request] = []
        self.looks: list[Look] = []
        self.told: dict[tuple[str, str], float] = {}
        self.plan_ending = plan_ending
        self.tickets = 0
        self.picks: list[float] = []
        self.ends: list[str] = []

    def arrive(
        self,
        model: str = "m",
        *,
        time_s: float = 60.0,
        is_repeatable: bool = True,
        affinity: bytes | None = None,
    ) -> Request:
        deadline = self.now + time_s
        plan = Plan(
            self.board,
            self.targets,
            model=model,
            deadline=deadline,
            is_repeatable=is_repeatable,
            affinity=affinity,
        )
        request = Request(plan, model, deadline)
        self.live.append(request)
        self.ask(request)
        return request

    def ask(self, request: Request) -> None:
        """Take a request's next step, and check that it is one it may take."""
        step = request.plan.next(self.now, self.chance)
        if not isinstance(step, Pick):  # of equals, chance may pick another
            assert request.plan.next(self.now, self.chance) == step, "asking twice changes nothing"
        if isinstance(step, GiveUp):
            self._check_giving_up(request, step)
            self._end(request, step.reason)
            return
        assert not request.is_committed
        assert self.now < request.deadline
        if isinstance(step, Wait):
            assert self.now < step.until <= request.deadline
            usable = self.offered(request.model)
            if step.why == "place":  # rather than one that others have found failing
                slots = [self.board.slot(target) for target in usable]
                usable = [s.target for s in slots if s.standing(request.model, self.now) <= SPENT]
            assert request.asked or not usable
            request.wake = step.until
            request.began = self.now
            assert request.waited_s + step.until - self.now <= self.board.config.max_wait_s + HAIR
            if step.ticket is not None:
                self._line_up(request, step.ticket)
            return
        assert isinstance(step, Pick)
        request.ticket = None
        assert self.told.get((step.target.id, request.model), 0.0) <= self.now
        request.asked += 1
        assert request.asked <= self.board.config.max_retries + 1
        request.target, request.began = step.target, self.now
        request.plan.began(step.target, self.now)
        self.picks.append(self.now)
        for look in step.looks:
            self._look(look, request)
        if self.plan_ending is not None:
            ending = self.plan_ending(step.target.id)
            request.ends = (self.now + ending.took_s, ending)

    def _look(self, target: Target, request: Request) -> None:
        """Connect, as a request that goes elsewhere would have done."""
        assert request.target is not None
        assert target.upstream.address != request.target.upstream.address
        address = self.board.begin_look(target, self.now)
        if address is None:
            return
        ending = Ending(inf) if self.plan_ending is None else self.plan_ending(target.id)
        fault = ending.fault
        is_there = fault is None or fault.mark is not Mark.ADDRESS
        self.looks.append(Look(address, self.now + ending.took_s, None if is_there else fault))

    def end_look(self, look: Look, fault: Fault | None) -> None:
        self.looks.remove(look)
        self.board.looked(look.address, fault, self.now, rng=self.chance)

    def _line_up(self, request: Request, ticket: Ticket) -> None:
        def on_call() -> None:
            request.wake = self.now  # it is heard, and answered a moment later

        if ticket is not request.ticket:
            self.tickets += 1
            request.since = self.tickets
        request.ticket = ticket
        ticket.on_call = on_call

    def finish(self, request: Request, fault: Fault | None, advice_s: float | None = None) -> None:
        """End a request's attempt; of other models than its own that says nothing."""
        other = "n" if request.model == "m" else "m"
        before = [self._failures(target, other) for target in self.targets]
        self._finish(request, fault, advice_s)
        assert [self._failures(target, other) for target in self.targets] == before

    def _failures(self, target: Target, model: str) -> object:
        failing = self.board.slot(target).failing.get(model)
        return None if failing is None else (failing.until, failing.run, failing.is_probing)

    def _finish(self, request: Request, fault: Fault | None, advice_s: float | None) -> None:
        target = request.target
        assert target is not None
        request.target, request.ends = None, None
        if fault is None:
            request.plan.answered(target, self.now)
            self._end(request, "answered")
            return
        if fault.mark is Mark.RATE and advice_s is not None:
            key = (target.id, request.model)
            self.told[key] = max(self.told.get(key, 0.0), self.now + advice_s)
        request.plan.failed(
            target,
            fault,
            self.now,
            advice=None if advice_s is None else Advice(advice_s, "header"),
            rng=self.chance,
            took_s=self.now - request.began,
        )
        self.ask(request)

    def commit(self, request: Request) -> None:
        request.is_committed = True
        request.plan.committed(self.now)

    def leave(self, request: Request) -> None:
        """Let the client hang up, wherever its request is."""
        if request.target is not None:
            request.plan.gone(request.target)
        if request.ticket is not None:
            request.ticket.leave()
        self._end(request, "gone")

    def advance(self, seconds: float) -> None:
        """Let time pass: pauses end, planned endings and deadlines come, each at its time."""
        until = self.now + seconds
        while self.live or self.looks:
            look = min(self.looks, key=lambda one: one.at, default=None)
            request = min(self.live, key=Request.event_at, default=None)
            at = inf if request is None else request.event_at()
            if look is not None and look.at <= min(at, until):
                self.now = max(self.now, look.at)
                self.end_look(look, look.fault)
                continue
            if request is None or at > until:
                break
            self.now = max(self.now, at)
            if request.target is None:
                request.wake = inf
                request.waited_s += self.now - request.began
                self.ask(request)
            elif self.now >= request.deadline:
                self.finish(request, DEADLINE)
            elif request.ends is not None:
                self.finish(request, request.ends[1].fault, request.ends[1].advice_s)
        self.now = until

    def offered(self, model: str) -> list[Target]:
        """Return the targets that no provider has forbidden and that have a place."""
        return [
            t
            for t in self.targets
            if self.told.get((t.id, model), 0.0) <= self.now and not self.board.slot(t).is_full
        ]

    def reload(self, upstreams: list[Upstream] | None = None) -> None:
        """Read the configuration again, the same or another one."""
        self.upstreams = upstreams or self.upstreams
        self.targets = targets(*self.upstreams)
        self.board.reconfigure(self.targets)

    def check_places(self, slot: Slot) -> None:
        """Check that a limit holds, that no place is lost, and who gets the next one."""
        if not slot.max_in_flight:
            assert not slot.held
            assert not slot.line
            return
        assert slot.in_flight + slot.held <= slot.max_in_flight
        called = [r for r in self.live if r.ticket is not None and r.ticket.place is slot]
        assert slot.held == len(called)
        waiting = [ticket for ticket in slot.line if not ticket.is_over]
        assert slot.is_full or not waiting, "nobody waits beside a free place"
        since = [r.since for ticket in waiting for r in self.live if r.ticket is ticket]
        assert since == sorted(since), "who came first is called first"

    def check_models(self, slot: Slot) -> None:
        """Check that a model's own failures count, and only where it was asked last."""
        for model in ("m", "n"):
            down = slot.failing.get(model)
            worst = max(slot.health(self.now), CLEAN if down is None else self._rest(down))
            assert slot.health_for(model, self.now) is worst
            if down is None:
                continue
            assert slot.is_suspect
            asked = [r for r in self.live if r.target is not None and r.model == model]
            asking = [r for r in asked if r.target and self.board.slot(r.target) is slot]
            assert asking or not down.is_probing

    def _rest(self, down: ModelBreaker) -> Standing:
        state = down.state(self.now)
        if state is State.HALF_OPEN and not down.is_probing:
            return Standing.HALF_OPEN
        return CLEAN if state is State.CLOSED else Standing.OPEN

    def _check_giving_up(self, request: Request, step: GiveUp) -> None:
        if step.reason == "deadline":
            assert self.now >= request.deadline
            return
        if not request.asked:
            assert step.reason in ("all limited", "full")
            assert not self.offered(request.model), "no guess takes the last target away"
            word = request.plan.last_word(self.now)
            if step.reason == "full":
                assert (word.fault, word.retry_after_s) == (KEYS_BUSY, 1.0)
                return
            soonest = min(self.told[t.id, request.model] for t in self.targets)
            assert word.fault is RATE_LIMITED
            assert word.retry_after_s is not None
            assert word.retry_after_s >= max(1, ceil(soonest - self.now - HAIR))

    def _end(self, request: Request, reason: str) -> None:
        """Note a request's only end; whatever is called behind it changes nothing."""
        assert request.end is None
        request.end = reason
        self.ends.append(reason)
        self.live.remove(request)
        before = self._counts()
        for target in self.targets[:2]:
            request.plan.answered(target, self.now)
            request.plan.failed(target, SERVER_ERROR, self.now, rng=self.chance)
            request.plan.gone(target)
        assert self._counts() == before

    def _counts(self) -> list[float]:
        slots = [self.board.slot(target) for target in self.targets]
        counts: list[float] = [self.board.budget.running]
        for slot in slots:
            counts += [slot.in_flight, slot.failures, slot.attempts, slot.breaker.run, slot.tokens]
        return counts


ANY_FAULT = st.sampled_from(
    [
        *(fault for fault in FAULTS.values() if fault is not DEADLINE),
        # the usual ones more often
        *[RATE_LIMITED] * 12,
        *[SERVER_ERROR, OVERLOADED, CONNECT_REFUSED, CONNECT_TIMEOUT] * 3,
        *[KEY_REJECTED, QUOTA, SILENT, RESET] * 2,
    ]
)
ADVICE_S = st.none() | st.floats(0.01, 12) | st.floats(0.01, 4000)
SHORT_S = st.floats(0, 3) | st.floats(0, 40)
Layout = list[tuple[int, float, int, str | None, int]]
LAYOUT = st.lists(
    st.tuples(
        st.integers(1, 3),  # keys
        st.sampled_from([1.0, 0.3, 5.0]),  # weight
        st.sampled_from([0, 0, 0, 1]),  # priority
        st.sampled_from([None, None, None, "shared.test"]),  # host
        st.just(0),  # attempts at once
    ),
    min_size=1,
    max_size=5,
)
LIMITED = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from([1.0, 0.3, 5.0]),
        st.sampled_from([0, 0, 0, 1]),
        st.sampled_from([None, None, None, "shared.test"]),
        st.sampled_from([1, 1, 2, 3, 0]),
    ),
    min_size=1,
    max_size=4,
)


def upstreams_of(layout: Layout) -> list[Upstream]:
    return [
        upstream(
            "abcde"[n],
            keys=keys,
            weight=weight,
            priority=priority,
            host=host,
            max_concurrency=at_once,
        )
        for n, (keys, weight, priority, host, at_once) in enumerate(layout)
    ]


class Walk(RuleBasedStateMachine):
    """Everything that can happen, in any order."""

    world: World

    @initialize(
        layout=LAYOUT | LIMITED, max_retries=st.integers(0, 4), seed=st.integers(0, 1 << 32)
    )
    def begin(self, layout: Layout, max_retries: int, seed: int) -> None:
        self.world = World(upstreams_of(layout), seed=seed, max_retries=max_retries)

    @rule(
        model=st.sampled_from(["m", "m", "n"]),
        time_s=st.just(600.0) | st.floats(0.05, 20),
        is_repeatable=st.sampled_from([True, True, True, False]),
        affinity=st.sampled_from([None, None, b"12345678"]),
    )
    def a_request_arrives(
        self, model: str, time_s: float, is_repeatable: bool, affinity: bytes | None
    ) -> None:
        self.world.arrive(model, time_s=time_s, is_repeatable=is_repeatable, affinity=affinity)

    @precondition(lambda self: self.attempts())
    @rule(which=st.integers(0, 99), fault=ANY_FAULT, advice_s=ADVICE_S)
    def an_attempt_fails(self, which: int, fault: Fault, advice_s: float | None) -> None:
        self.world.finish(self.attempts()[which % len(self.attempts())], fault, advice_s)

    @precondition(lambda self: self.attempts())
    @rule(which=st.integers(0, 99))
    def an_attempt_answers(self, which: int) -> None:
        self.world.finish(self.attempts()[which % len(self.attempts())], None)

    @precondition(lambda self: self.attempts())
    @rule(which=st.integers(0, 99))
    def content_reaches_a_client(self, which: int) -> None:
        self.world.commit(self.attempts()[which % len(self.attempts())])

    @precondition(lambda self: self.attempts())
    @rule(which=st.integers(0, 99))
    def a_stale_connection_is_replayed(self, which: int) -> None:
        plan = self.attempts()[which % len(self.attempts())].plan
        before = plan.attempts
        plan.replayed()
        assert plan.attempts == before + 1

    @precondition(lambda self: self.world.live)
    @rule(which=st.integers(0, 99))
    def a_client_leaves(self, which: int) -> None:
        self.world.leave(self.world.live[which % len(self.world.live)])

    @rule(seconds=SHORT_S)
    def time_passes(self, seconds: float) -> None:
        self.world.advance(seconds)

    @precondition(lambda self: self.world.looks)
    @rule(which=st.integers(0, 99), fault=st.sampled_from([None, CONNECT_REFUSED, CANCELLED]))
    def a_connection_beside_a_request_ends(self, which: int, fault: Fault | None) -> None:
        looks = self.world.looks
        self.world.end_look(looks[which % len(looks)], fault)

    @rule()
    def the_configuration_is_read_again(self) -> None:
        self.world.reload()

    @rule(down_s=st.floats(0, 100), now=st.floats(0, 1e6))
    def a_restart_would_keep_the_bans(self, down_s: float, now: float) -> None:
        world, wall_s = self.world, 1.7e9
        board = Board(world.targets)
        board.restore(world.board.export(world.now, wall_s), now, wall_s + down_s)
        for target in world.targets:
            for model in ("m", "n"):
                told = world.told.get((target.id, model), 0.0)
                left_s = max(0.0, told - world.now - down_s)
                kept_s = max(0.0, board.slot(target).banned_until(model) - now)
                assert abs(kept_s - left_s) < 1.0

    @invariant()
    def counts_and_bans_are_exact(self) -> None:
        world = self.world
        flying = [request.target.id for request in world.live if request.target is not None]
        assert world.board.budget.running <= len(flying)
        looked_at = [look.address.name for look in world.looks]
        assert len(set(looked_at)) == len(looked_at), "one at a time"
        for target in world.targets:
            slot = world.board.slot(target)
            assert slot.address.is_probing or slot.address.name not in looked_at
            assert slot.in_flight == flying.count(target.id)
            world.check_places(slot)
            world.check_models(slot)
            assert 0 <= slot.tokens <= world.board.config.budget_cap
            for model in ("m", "n"):
                told = world.told.get((target.id, model), 0.0)
                banned = slot.banned_until(model)
                assert max(banned, world.now) == max(told, world.now)
                is_banned = slot.standing(model, world.now) is Standing.BANNED
                assert is_banned == (told > world.now)

    def attempts(self) -> list[Request]:
        return [request for request in self.world.live if request.target is not None]

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        while world.live:
            world.leave(world.live[0])
        while world.looks:
            world.end_look(world.looks[0], CANCELLED)
        assert world.board.budget.running == 0
        for target in world.targets:
            slot = world.board.slot(target)
            counts = (slot.in_flight, slot.held, slot.is_probing, slot.address.is_probing)
            assert counts == (0, 0, False, False)
        assert world.board.queue.size == 0
        self.whatever_works_again_is_back_soon()
        for target in world.targets:
            slot = world.board.slot(target)
            later = world.now + 8000.0
            assert slot.standing("m", later) in (Standing.CLEAN, Standing.HALF_OPEN)
        assert world.board.budget.in_progress(world.now + 60.0) == 0

    def whatever_works_again_is_back_soon(self) -> None:
        """At a request per 4 s, each of which finds out about one target."""
        world = self.world
        world.plan_ending = lambda _: Ending(0.1)
        first = min(target.upstream.priority for target in world.targets)
        slots = [world.board.slot(t) for t in world.targets if t.upstream.priority == first]
        resting = [slot for slot in slots if slot.health(world.now) is not Standing.CLEAN]
        expected = [
            slot
            for slot in slots
            if slot.death.until <= world.now and slot.banned_until("m") <= world.now
        ]
        for _ in range(ceil(max(30.0, 9 + 4.0 * (len(resting) + 1)) / 4) - 1):
            world.advance(4.0)
            world.arrive()
        world.advance(1.0)
        assert all(slot.health(world.now) is Standing.CLEAN for slot in expected)
        assert not world.live


TestWalk = Walk.TestCase
TestWalk.settings = settings(
    max_examples=70, stateful_step_count=60, deadline=None, report_multiple_bugs=False
)


FAILURES = [
    CONNECT_REFUSED,
    KEY_REJECTED,
    OVERLOADED,
    QUOTA,
    RATE_LIMITED,
    RESET,
    SERVER_ERROR,
    SILENT,
]


def price_of_an_outage(world: World, per_second: float) -> float:
    """Return how many attempts a second are made beyond one per request, once all is known."""
    for _ in range(int(20 * per_second)):
        world.arrive()
        world.advance(1 / per_second)
    world.picks.clear()
    for _ in range(int(20 * per_second)):
        world.arrive()
        world.advance(1 / per_second)
    return len(world.picks) / 20 - per_second


@settings(max_examples=30, deadline=None)
@given(
    layout=LAYOUT,
    fault=st.sampled_from(FAILURES),
    per_second=st.integers(10, 40),
    took_s=st.floats(0.01, 1.5),
    seed=st.integers(0, 1 << 32),
)
def test_when_everything_fails_a_request_costs_one_attempt_and_few_look_whether_it_is_over(
    layout: Layout,
    fault: Fault,
    per_second: int,
    took_s: float,
    seed: int,
) -> None:
    """At most 1.2 attempts a request, and a look at each target per longest rest."""
    ending = Ending(took_s, fault)
    world = World(upstreams_of(layout), seed=seed, plan_ending=lambda _: ending)
    looks = len(world.targets) / world.board.config.breaker_rest_cap_s
    assert price_of_an_outage(world, per_second) <= 0.2 * per_second + looks


def test_keys_that_are_all_limited_are_not_tried_by_all_requests_whenever_a_guess_ends() -> None:
    """Fifteen keys refused 60 requests a second, each after a second, with two attempts each."""
    limited = Ending(1.0, RATE_LIMITED)
    keys = [upstream(name, keys=3) for name in "abcde"]
    world = World(keys, plan_ending=lambda _: limited)
    assert price_of_an_outage(world, 60) <= 0.1 * 60


@settings(max_examples=40, deadline=None)
@given(
    layout=LAYOUT.filter(lambda layout: len(layout) < 3),
    waits_s=st.lists(st.floats(0.1, 9.9), min_size=1, max_size=20),
    gap_s=st.floats(0.01, 5),
    time_s=st.floats(1, 60),
    seed=st.integers(0, 1 << 32),
)
def test_limits_that_keep_coming_make_nobody_wait_more_than_ten_seconds_in_all(
    layout: Layout,
    waits_s: list[float],
    gap_s: float,
    time_s: float,
    seed: int,
) -> None:
    """Nor beyond its deadline, nor less than told; `World` checks each step."""
    pick = Random(seed)
    world = World(upstreams_of(layout), seed=seed, max_retries=8)
    world.plan_ending = lambda _: Ending(0.05, RATE_LIMITED, pick.choice(waits_s))
    for _ in range(40):
        world.arrive(time_s=time_s)
        world.advance(gap_s)
    world.advance(time_s)
    assert len(world.ends) == 40


@settings(max_examples=60, deadline=None)
@given(
    layout=LAYOUT,
    fault=st.sampled_from([fault for fault in FAILURES if fault not in (KEY_REJECTED, QUOTA)]),
    which=st.integers(0, 14),
    outage_s=st.floats(5, 120),
    seed=st.integers(0, 1 << 32),
)
def test_a_target_that_works_again_is_back_within_thirty_seconds_at_a_request_per_four(
    layout: Layout,
    fault: Fault,
    which: int,
    outage_s: float,
    seed: int,
) -> None:
    world = World(upstreams_of(layout), seed=seed)
    first = min(target.upstream.priority for target in world.targets)
    of_first = [target for target in world.targets if target.upstream.priority == first]
    broken = of_first[which % len(of_first)]
    over_at = world.now + outage_s

    def ending(name: str) -> Ending:
        fails = name == broken.id and world.now < over_at
        return Ending(0.2, fault) if fails else Ending(0.5)

    world.plan_ending = ending
    while world.now < over_at + 30.0:
        world.arrive()
        world.advance(min(4.0, over_at + 30.0 - world.now) + HAIR)
    world.advance(1.0)
    assert world.board.slot(broken).standing("m", world.now) is Standing.CLEAN


@settings(max_examples=60, deadline=None)
@given(
    layout=LAYOUT,
    faults=st.lists(st.sampled_from(FAILURES), min_size=1, max_size=4),
    gaps=st.lists(st.floats(0.01, 6), min_size=1, max_size=60),
    seed=st.integers(0, 1 << 32),
)
def test_the_first_request_behind_an_outage_of_everything_is_answered_by_its_first_attempt(
    layout: Layout,
    faults: list[Fault],
    gaps: list[float],
    seed: int,
) -> None:
    """Whatever was guessed meanwhile: a guess only puts one target behind another."""
    pick = Random(seed)
    world = World(upstreams_of(layout), seed=seed)
    world.plan_ending = lambda _: Ending(0.1, pick.choice(faults))
    for gap_s in gaps:
        world.arrive()
        world.advance(gap_s)
    world.advance(60.0)
    assert not world.live
    world.plan_ending = lambda _: Ending(0.1)
    request = world.arrive()
    world.advance(0.2)
    assert (request.end, request.asked) == ("answered", 1)
