"""One request's course through its attempts: the exchange only asks "what next?".

    plan.next(now, rng)  ->  Pick: plan.began(target, now), make the attempt, then exactly one of
                                   plan.answered, plan.failed, plan.gone
                             Wait: sleep until then, ask again
                             GiveUp: answer the client with plan.last_word(now)

`committed` may be called in between, when a stream's first content goes to the client; it makes
a recovered target known at once instead of minutes later. Every call that ends an attempt is
idempotent, so that the exchange's last door may call `gone` whatever happened before.

Composed of `choose.py` (who), `retry.py` (whether), `budget.py` (how much) and the board (what
is known); it owns what concerns this request alone: whom it tried, how long it waited, what it
was told. `chain.py` walks one plan per model.
"""

from collections.abc import Callable, Sequence

from llm_proxy.domain.faults import Fault, Mark
from llm_proxy.domain.target import Target

from .best import NOBODY
from .board import Board
from .choose import Line, Nothing, Past, Pick, Wait, choose
from .last_word import LastWord, last_word
from .learn import NO_PROBE
from .limits_seen import Advice
from .queue import offer
from .retry import FOREVER, GiveUp, RetryConfig, TryAgain, after_break, after_fault
from .slot import Standing
from .waiting import Waiting, pass_on


class Plan:
    """The state of one request between its attempts.

    Attributes:
        attempts: Connections tried or requests written so far.
        faults: How attempts ended, oldest first.
    """

    __slots__ = (
        "_advices",
        "_affinity",
        "_backoffs",
        "_board",
        "_candidates",
        "_config",
        "_counted",
        "_current",
        "_deadline",
        "_end",
        "_is_committed",
        "_is_granted",
        "_is_last",
        "_is_repeatable",
        "_is_retrying",
        "_is_single_shot",
        "_model",
        "_past",
        "_pick",
        "_probe",
        "_second",
        "_waited_s",
        "_waiting",
        "attempts",
        "faults",
    )

    def __init__(
        self,
        board: Board,
        candidates: Sequence[Target],
        *,
        model: str,
        deadline: float = FOREVER,
        config: RetryConfig | None = None,
        is_repeatable: bool = True,
        affinity: bytes | None = None,
        is_last: bool = True,
        waited_s: float = 0.0,
        second: frozenset[str] = NOBODY,
    ) -> None:
        """Start without an attempt.

        Args:
            board: What is known of the targets, shared by all requests.
            candidates: Targets that serve the model, in configured order; at least one.
            model: What is asked for; empty if no model is named.
            deadline: Loop time at which the whole request ends.
            config: The numbers; the board's by default. Waiting in `choose` goes by the board's.
            is_repeatable: Whether it may be sent again although an upstream may have acted.
            affinity: What identifies the prompt's prefix, or None.
            is_last: Whether nothing comes behind this plan; else targets that are down are left
                alone.
            waited_s: Seconds the request has waited before.
            second: Ids of candidates that come behind their equals.

        Raises:
            ValueError: There is no candidate; the request should have got its 404.
        """
        if not candidates:
            raise ValueError("a plan needs at least one target")
        self._board = board
        self._candidates = candidates
        self._model = model
        self._deadline = deadline
        self._config = config if config is not None else board.config
        self._is_repeatable = is_repeatable
        self._affinity = affinity
        self._second = second
        self._past: Past | None = None
        self._advices: list[Advice | None] = []
        self._backoffs = 0
        self._counted = 0
        self._current: Target | None = None
        self._probe = NO_PROBE
        self._pick: Pick | None = None
        self._waited_s = waited_s
        self._waiting: Waiting | None = None
        self._end: GiveUp | None = None
        self._is_committed = False
        self._is_granted = False
        self._is_retrying = False
        self._is_single_shot = False
        self._is_last = is_last
        self.attempts = 0
        self.faults: list[Fault] = []

    @property
    def waited_s(self) -> float:
        """Seconds waited so far."""
        return self._waited_s if self._waiting is None else self._waiting.waited_s

    def next(self, now: float, rng: Callable[[], float]) -> Pick | Wait | GiveUp:
        """Return what to do now. Asking twice changes nothing."""
        if self._end is not None:
            return self._end
        if now >= self._deadline:
            return self._give_up("deadline")
        waiting, held = self._waiting, None
        if waiting is not None and (wait := waiting.wait) is not None:
            if waiting.is_on(now):
                return wait
            held = waiting.book(now)
            self._is_granted = self._is_granted or wait.is_retry or wait.why == "limit"
        chosen = choose(
            self._board,
            self._candidates,
            model=self._model,
            past=self._past,
            now=now,
            rng=rng,
            deadline=self._deadline,
            waited_s=self.waited_s,
            may_ask_down=self._is_last,
            may_doubt=not self._is_single_shot,
            may_line_up=waiting is None or waiting.may_line_up(),
            is_granted=self._is_granted,
            affinity=self._affinity,
            second=self._second,
        )
        if isinstance(chosen, Pick):
            if held is not None:
                pass_on(held, self._board.slot(chosen.target))
            self._pick = chosen
            return chosen
        pass_on(held, None)
        if isinstance(chosen, Nothing):
            return self._give_up(chosen.why)
        return self._wait(chosen, now, rng)

    def _wait(
        self, step: Wait | Line, now: float, rng: Callable[[], float]
    ) -> Pick | Wait | GiveUp:
        waiting = self._waiting
        if waiting is None:
            waiting = self._waiting = Waiting(self._board, self._waited_s)
            if isinstance(step, Line) and not waiting.may_line_up():
                return self.next(now, rng)
        if isinstance(step, Wait) and step.why == "back-off":
            self._backoffs += 1
        return waiting.begin(step, now, self._deadline)

    def began(self, target: Target, now: float) -> None:
        """Count an attempt that starts."""
        self.attempts += 1
        self._counted += 1
        self._current = target
        self._probe = self._board.begin(target, self._model, now)
        if self._waiting is not None:
            self._waiting.leave_line()
        pick, self._pick = self._pick, None
        self._is_granted = False
        if pick is None:
            return
        if pick.is_retry:
            self._start_retry(target, now)
        elif pick.why == "last resort":
            slot = self._board.slot(target)
            self._is_single_shot = slot.is_hopeless(pick.standing, self._model)

    def replayed(self) -> None:
        """Count a request that was written a second time within the attempt.

        A stale connection's replay is an attempt to the provider and the record, but none of
        `MAX_RETRIES`.
        """
        self.attempts += 1

    def committed(self, now: float, *, spent_s: float | None = None) -> None:
        """Learn that content has reached the client: no other attempt from here."""
        self._is_committed = True
        self._end_retry()
        if self._current is not None:
            probe, self._probe = self._probe, NO_PROBE
            self._board.committed(self._current, self._model, now, spent_s=spent_s, probe=probe)

    def answered(self, target: Target, now: float, *, spent_s: float | None = None) -> None:
        """End the attempt well."""
        if self._current is None:
            return
        self._current = None
        self._end_retry()
        self._board.succeeded(target, self._model, now, spent_s=spent_s, probe=self._probe)

    def failed(
        self,
        target: Target,
        fault: Fault,
        now: float,
        *,
        advice: Advice | None = None,
        rng: Callable[[], float],
        took_s: float = 0.0,
    ) -> float | None:
        """End the attempt with a fault, learn from it and decide whether another may follow.

        Args:
            target: Who failed.
            fault: How.
            now: Loop time.
            advice: How long the provider asks to wait.
            rng: Uniform in [0, 1).
            took_s: How long the attempt took.

        Returns:
            Seconds the target rests because of it; None = it does not rest.
        """
        if self._current is None:
            return None
        self._current = None
        self._end_retry()
        self.faults.append(fault)
        self._advices.append(advice)
        cool_s = self._board.failed(
            target, self._model, fault, now, advice=advice, rng=rng, probe=self._probe
        )
        verdict = after_fault(
            fault,
            attempts=self._counted,
            is_committed=self._is_committed,
            is_repeatable=self._is_repeatable,
            backoffs=self._backoffs,
            advice_s=None if advice is None else advice.wait_s,
            took_s=took_s,
            deadline=self._deadline,
            now=now,
            rng=rng,
            config=self._config,
        )
        self._reopen(target, fault, verdict)
        return cool_s

    def pass_over(self, target: Target) -> None:
        """Leave a target out that cannot take this request; it was not asked, so nothing counts."""
        past = self._past
        if past is None:
            past = self._past = Past()
            past.is_first = True
        past.tried[target.id] = FOREVER
        self._candidates = [t for t in self._candidates if t is not target] or self._candidates
        self._pick = None
        offer(self._board.slot(target))

    def resume(
        self,
        target: Target,
        fault: Fault,
        now: float,
        *,
        deadline: float,
        rng: Callable[[], float],
    ) -> None:
        """Let a request go on whose answer broke behind content; `next` says who may continue it.

        To be called behind `failed`, with the same target and fault. From here `deadline` counts:
        the loop time at which the client must have more.
        """
        self._deadline = deadline
        self._is_committed = self._is_single_shot = False
        verdict = after_break(
            fault,
            attempts=self._counted,
            backoffs=self._backoffs,
            is_last=self._is_last,
            deadline=deadline,
            now=now,
            rng=rng,
            config=self._config,
        )
        self._reopen(target, fault, verdict)
        if self._past is not None:
            self._past.is_broken = True

    def rephrased(self, target: Target, fault: Fault, now: float) -> None:
        """Let a target be asked again at once, in other words: it refused a form, no request.

        To be called behind `failed`, with the same target and fault.
        """
        is_over = self._counted > self._config.max_retries
        self._reopen(target, fault, GiveUp("attempts") if is_over else TryAgain(now))

    def until(self, deadline: float) -> None:
        """Let the whole request end at another loop time."""
        self._deadline = deadline

    def _reopen(self, target: Target, fault: Fault, verdict: GiveUp | TryAgain) -> None:
        self._end = verdict if isinstance(verdict, GiveUp) else None
        if isinstance(verdict, TryAgain):
            self._remember(target, fault, verdict)

    def gone(self, target: Target) -> None:
        """End the attempt without a verdict: the client left."""
        if self._current is None:
            return
        self._current = None
        self._end_retry()
        self._board.released(target, self._model, probe=self._probe)

    def has_alternative(self, now: float) -> bool:
        """Whether an untried target could still be asked at once.

        A first token that is late is worth a move only then; else waiting on is better.
        """
        if self._is_committed or self._counted > self._config.max_retries or now >= self._deadline:
            return False
        current, past = self._current, self._past or Past()
        for target in self._candidates:
            if target.id in past.tried or (current is not None and target.id == current.id):
                continue  # by id: after a reload the one under way is another object
            if target.upstream.address in past.done_addresses:
                continue
            slot = self._board.slot(target)
            if not slot.is_full and slot.standing(self._model, now) <= Standing.SPENT:
                return True
        return False

    def last_word(self, now: float) -> LastWord:
        """Return what the client is told, from all that was met."""
        return last_word(
            self.faults,
            self._advices,
            self._board.slots(self._candidates),
            model=self._model,
            now=now,
            reason="" if self._end is None else self._end.reason,
            attempts=self.attempts,
        )

    def _give_up(self, reason: str) -> GiveUp:
        if self._waiting is not None:
            self._waiting.leave_line()
        self._end = GiveUp(reason)
        return self._end

    def _remember(self, target: Target, fault: Fault, verdict: TryAgain) -> None:
        past = self._past
        if past is None:
            past = self._past = Past()
        past.is_first = False
        # A failed probe fails over, but does not ask the same target again.
        is_out = self._probe != NO_PROBE and fault.mark in (Mark.TARGET, Mark.ADDRESS)
        past.tried[target.id] = FOREVER if is_out else verdict.same_at
        if verdict.is_elsewhere_first:
            past.failed_addresses.add(target.upstream.address)
        if verdict.is_address_done:
            past.done_addresses.add(target.upstream.address)

    def _start_retry(self, target: Target, now: float) -> None:
        self._is_retrying = True
        slot = self._board.slot(target)
        slot.tokens = self._board.budget.spend(slot.tokens, now)
        self._board.budget.running += 1

    def _end_retry(self) -> None:
        if self._is_retrying:
            self._is_retrying = False
            self._board.budget.running -= 1
