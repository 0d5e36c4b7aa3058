"""A request that may be answered by another model: one plan after the other, over one account.

    chain.next(now, rng)  ->  as Plan.next; a plan that gives up hands over to the next model's,
                              unless what it met would meet that one too

Each model of the chain gets its own attempts (`MAX_RETRIES` counts per model) and fresh targets;
time, waiting and the last word are common. A fault of the request itself ends the chain: the same
words would be refused again. A conversation that is too long for one model may fit another.

While another model is left, targets known to be down are not asked as a last resort: the other
model is the better one. Only if nobody could be asked for any model, they are after all.
"""

from collections.abc import Callable, Sequence

from llm_proxy.domain.faults import CONTEXT_TOO_LONG, MODEL_NOT_FOUND, UNKNOWN_ID, Fault, Retry
from llm_proxy.domain.target import Target

from .choose import Pick, Wait
from .last_word import LastWord, most_telling
from .limits_seen import Advice
from .plan import Plan
from .retry import BREAKS, GiveUp

_HANDS_ON = (CONTEXT_TOO_LONG, MODEL_NOT_FOUND, *BREAKS)
_ENDS = ("committed", "deadline", "not repeatable")


class Chain:
    """The plans of one request, in order.

    Attributes:
        stage: Which of them is under way; 0 = the model that was asked for.
        faults: How attempts ended, oldest first, over all plans.
    """

    __slots__ = ("_ahead", "_deadline", "_make", "_plans", "_unasked", "faults", "stage")

    def __init__(self, size: int, make: Callable[[int, float, bool], Plan]) -> None:
        """Start with the first model.

        Args:
            size: How many models there are, at least one.
            make: Makes the plan of a stage, given the seconds waited so far and whether it is the
                last one.
        """
        self._ahead = list(range(1, size))
        self._unasked: list[int] = []
        self._make = make
        self._plans = [make(0, 0.0, size == 1)]
        self._deadline: float | None = None
        self.stage = 0
        self.faults: list[Fault] = []

    @property
    def attempts(self) -> int:
        """Connections tried or requests written so far."""
        return sum([plan.attempts for plan in self._plans])

    @property
    def _plan(self) -> Plan:
        return self._plans[-1]

    def next(self, now: float, rng: Callable[[], float]) -> Pick | Wait | GiveUp:
        """Return what to do now. Asking twice changes nothing."""
        step = self._plan.next(now, rng)
        while isinstance(step, GiveUp) and self._may_hand_on(step):
            self._hand_on(step)
            step = self._plan.next(now, rng)
        return step

    def _hand_on(self, end: GiveUp) -> None:
        over = self._plan
        if not over.faults:
            if end.reason == "no target left":
                self._plans.pop()  # it has met nothing that the client should hear of
            if self._ahead:
                self._unasked.append(self.stage)
        self.stage = (self._ahead or self._unasked).pop(0)
        self._plans.append(self._make(self.stage, over.waited_s, not self._ahead))
        if self._deadline is not None:
            self._plan.until(self._deadline)

    def _may_hand_on(self, end: GiveUp) -> bool:
        if end.reason in _ENDS:
            return False
        if not self._ahead and (self.attempts or not self._unasked):
            return False
        faults = self._plan.faults
        if faults and faults[-1] is UNKNOWN_ID:
            return False  # no model knows it where its maker is not
        return not faults or faults[-1] in _HANDS_ON or faults[-1].retry is not Retry.NEVER

    def began(self, target: Target, now: float) -> None:
        """Count an attempt that starts."""
        self._plan.began(target, now)

    def pass_over(self, target: Target) -> None:
        """Leave out a target that cannot take this request."""
        self._plan.pass_over(target)

    def replayed(self) -> None:
        """Count a request that was written a second time within the attempt."""
        self._plan.replayed()

    def committed(self, now: float, *, spent_s: float | None = None) -> None:
        """Learn that content has reached the client."""
        self._plan.committed(now, spent_s=spent_s)

    def answered(self, target: Target, now: float, *, spent_s: float | None = None) -> None:
        """End the attempt well."""
        self._plan.answered(target, now, spent_s=spent_s)

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
        """End the attempt with a fault; see `Plan.failed`."""
        self.faults.append(fault)
        return self._plan.failed(target, fault, now, advice=advice, rng=rng, took_s=took_s)

    def resume(
        self,
        target: Target,
        fault: Fault,
        now: float,
        *,
        deadline: float,
        rng: Callable[[], float],
    ) -> None:
        """Let a request go on whose answer broke behind content; see `Plan.resume`."""
        self._deadline = deadline
        self._plan.resume(target, fault, now, deadline=deadline, rng=rng)

    def rephrased(self, target: Target, fault: Fault, now: float) -> None:
        """Let a target be asked again at once, in other words."""
        self._plan.rephrased(target, fault, now)

    def gone(self, target: Target) -> None:
        """End the attempt without a verdict: the client left."""
        self._plan.gone(target)

    def has_alternative(self, now: float) -> bool:
        """Whether somebody else could still be asked at once; a model not yet tried counts."""
        return bool(self._ahead) or self._plan.has_alternative(now)

    def last_word(self, now: float) -> LastWord:
        """Return what the client is told, from all that was met with any model."""
        words = [plan.last_word(now) for plan in self._plans]
        if len(words) == 1:
            return words[0]
        starts: Sequence[int] = [
            sum(len(plan.faults) for plan in self._plans[:at]) for at in range(len(words))
        ]
        return most_telling(words, starts)


Course = Plan | Chain
"""What an exchange walks along; both answer the same questions."""
