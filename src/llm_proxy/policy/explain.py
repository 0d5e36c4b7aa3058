"""Who would serve a model now, in which order, and why each other target would not.

It asks `choose` itself what a request that came now would be told, again and again, as if each
target that it names were limited at that very moment. So it cannot disagree with what happens,
apart from chance among equals and from prompts that stay with the key that has them in its cache.
Nothing is changed by it.
"""

from collections.abc import Sequence

import msgspec

from llm_proxy.domain.faults import QUOTA, RATE_LIMITED
from llm_proxy.domain.target import Target

from .best import NOBODY
from .board import Board
from .breaker import Breaker
from .choose import DOWN, FOREVER, Line, Nothing, Past, Pick, Wait, choose
from .slot import Slot, Standing

_TOLD_BY = {"header": "told by the answer's header", "body": "told by the answer's words"}


class Explained(msgspec.Struct, kw_only=True):
    """One target, and what speaks for or against it.

    Attributes:
        target: Its id, `upstream-1/key-1`.
        upstream: Name of the upstream.
        key: Label of the key.
        asked_for: The model it would be asked for; null = it would not be asked.
        stage: 0 = for the model that was asked for, 1 and more = for its fallbacks.
        order: When it would be asked: 1 = first; null = not at all.
        why: `first`, `equal`, `busier`, `second` (needs a translation), `lower_priority`, `spent`,
            `half_open`, `guessed`, `open`, `refused`, `no_credit`, `limited`, `full`, `paused`,
            `not_reached`, `no_model`.
        says: The same in a sentence.
        until_s: Seconds until that changes by itself; null = it does not, or nobody knows.
        cause: The fault behind it, or null.
        source: Where a limit's length came from: `header`, `body` or `guess`; null = no limit.
        priority: Of its upstream; lower is asked first.
        weight: Share among equals.
        in_flight: Requests it serves.
        max_in_flight: How many it may serve; 0 = any number.
    """

    target: str
    upstream: str
    key: str
    asked_for: str | None = None
    stage: int = 0
    order: int | None = None
    why: str
    says: str
    until_s: float | None = None
    cause: str | None = None
    source: str | None = None
    priority: int = 0
    weight: float = 1.0
    in_flight: int = 0
    max_in_flight: int = 0


class Stage(msgspec.Struct, frozen=True):
    """A model and who may be asked for it.

    Attributes:
        candidates: In configured order; at least one.
        model: By which limits are remembered.
        names: The model's name at each target, by target id.
        second: Ids of candidates that come behind their equals.
    """

    candidates: Sequence[Target]
    model: str
    names: dict[str, str | None]
    second: frozenset[str] = NOBODY


class Outlook(msgspec.Struct):
    """What a request would meet now.

    Attributes:
        verdict: `asks`, `waits` (for a limit to end), `lines_up` (for a place) or `refuses`.
        says: The same in a sentence.
        would_serve: Whether anybody that is not known to fail would be asked, now or after that
            wait.
        until_s: Seconds to wait, or to `Retry-After`; null = none.
        targets: In the order of asking, then those that would not be asked.
    """

    verdict: str
    says: str
    would_serve: bool
    until_s: float | None
    targets: list[Explained]


def explain(board: Board, stages: Sequence[Stage], *, now: float, max_retries: int) -> Outlook:
    """Return what a request with these stages would meet.

    Args:
        board: What is known.
        stages: The model asked for and its fallbacks, in order; at least one.
        now: Loop time.
        max_retries: Further attempts after the first, per model.
    """
    walks = [
        _Walk(board, stage, now, max_retries, is_last=at + 1 == len(stages))
        for at, stage in enumerate(stages)
    ]
    if all(walk.is_refused for walk in walks):  # then what is down is asked after all
        walks = [_Walk(board, stage, now, max_retries, is_last=True) for stage in stages]
    asked: list[Explained] = []
    others: list[Explained] = []
    for number, walk in enumerate(walks):
        for explained in walk.explained():
            explained.stage = number
            (others if explained.order is None else asked).append(explained)
    for order, explained in enumerate(asked, 1):
        explained.order = order
        if order > 1 and explained.why == "first":
            explained.says = "the first to be asked for this model"
    outlook = next((walk for walk in walks if not walk.is_refused), walks[-1]).outlook(now)
    outlook.would_serve = any(walk.would_serve for walk in walks)
    outlook.targets = asked + others
    return outlook


class _Walk:
    """One model's targets, asked one after the other."""

    def __init__(
        self, board: Board, stage: Stage, now: float, max_retries: int, *, is_last: bool
    ) -> None:
        self._slots = board.slots(stage.candidates)
        self._stage = stage
        self._now = now
        self._is_last = is_last
        self._may_doubt = True
        self._is_used_up = False
        self.picks: list[Pick] = []
        self.rest: Wait | Line | Nothing | None = None
        self._has_line_first = False
        past: Past | None = None
        may_line_up = True
        while not self._is_used_up:
            step = choose(
                board,
                stage.candidates,
                model=stage.model,
                past=past,
                now=now,
                rng=_no_chance,
                may_doubt=self._may_doubt,
                may_ask_down=is_last,
                may_line_up=may_line_up,
                second=stage.second,
            )
            if isinstance(step, Line):
                self._has_line_first = not self.picks
                may_line_up = False
                continue
            if not isinstance(step, Pick):
                self.rest = step
                break
            self.picks.append(step)
            past = past or Past()
            past.tried[step.target.id] = FOREVER
            if step.why == "last resort" and not step.is_retry:
                slot = board.slot(step.target)
                self._may_doubt = not slot.is_hopeless(step.standing, stage.model)
            self._is_used_up = len(self.picks) > max_retries

    @property
    def is_refused(self) -> bool:
        """Whether nobody would be asked, not even later."""
        return not self.picks and not self._has_line_first and isinstance(self.rest, Nothing)

    @property
    def would_serve(self) -> bool:
        """Whether anybody that is not known to fail would be asked."""
        if any(pick.standing not in DOWN for pick in self.picks):
            return True
        return self._has_line_first or isinstance(self.rest, Wait)

    def outlook(self, now: float) -> Outlook:
        """Return what would happen first, without the targets."""
        if self._has_line_first:
            says = "every usable key is full; the request would wait for a place"
            return Outlook("lines_up", says, True, None, [])
        if self.picks:
            pick = self.picks[0]
            says = f"{pick.target.upstream.name} {pick.target.key.label} would be asked first"
            if pick.standing in DOWN:
                says += ", as a last resort: nobody better is left"
            return Outlook("asks", says, True, None, [])
        if isinstance(self.rest, Wait):
            until_s = self.rest.until - now
            says = f"every key is limited; the request would wait {until_s:.1f} s"
            return Outlook("waits", says, True, until_s, [])
        if all(slot.is_paused for slot in self._slots):
            says = "every key is paused; the request would be refused with 503"
            return Outlook("refuses", says, False, None, [])
        soonest = self.rest.soonest if isinstance(self.rest, Nothing) else None
        if soonest is not None:
            says = "every key is limited; the request would be refused with 429"
            return Outlook("refuses", says, False, soonest - now, [])
        return Outlook("refuses", "nobody would be asked", False, None, [])

    def explained(self) -> list[Explained]:
        """Return every target: those that are asked first, in their order."""
        order = {pick.target.id: at for at, pick in enumerate(self.picks)}
        by_id = {slot.target.id: slot for slot in self._slots}
        found = [self._one(by_id[pick.target.id], pick) for pick in self.picks]
        found += [self._one(slot, None) for slot in self._slots if slot.target.id not in order]
        return found

    def _one(self, slot: Slot, pick: Pick | None) -> Explained:
        standing = slot.standing(self._stage.model, self._now)
        explained = _against(slot, standing, self._stage.model, self._now)
        target = slot.target
        explained.priority, explained.weight = slot.priority, slot.weight
        explained.in_flight, explained.max_in_flight = slot.in_flight, slot.max_in_flight
        if pick is None:
            if explained.why not in ("limited", "full", "paused"):
                self._say_not_reached(explained)
            return explained
        explained.order = 0  # numbered over all stages later
        explained.asked_for = self._stage.names.get(target.id)
        if standing is Standing.HALF_OPEN and self._is_looked_at(target):
            explained.says = (
                "its rest is over; a connection beside the request looks at its address"
            )
        elif pick.why == "probe":
            explained.says += "; it is asked as a probe"
        elif pick.why == "last resort":
            explained.says += "; asked as a last resort"
        elif pick is self.picks[0]:
            if standing is Standing.CLEAN:
                explained.why, explained.says = "first", "nothing speaks against it"
        elif standing is Standing.CLEAN:
            explained.why, explained.says = self._behind(slot)
        return explained

    def _is_looked_at(self, target: Target) -> bool:
        address = target.upstream.address
        return any(one.upstream.address == address for one in self.picks[0].looks)

    def _behind(self, slot: Slot) -> tuple[str, str]:
        """Return why one that is clean comes behind the first."""
        first = next(s for s in self._slots if s.target.id == self.picks[0].target.id)
        if slot.priority > first.priority:
            return "lower_priority", f"lower priority ({slot.priority} behind {first.priority})"
        if slot.target.id in self._stage.second and first.target.id not in self._stage.second:
            return "second", "its requests need a translation"
        if slot.order > first.order:
            return "busier", "more requests in flight for its weight"
        return "equal", "as good as the first: chance decides, by weight"

    def _say_not_reached(self, explained: Explained) -> None:
        if explained.why == "free":
            explained.why, explained.says = "not_reached", "nothing speaks against it"
        if self._is_used_up:
            reason = "no attempt is left for it (MAX_RETRIES)"
        elif not self._is_last and explained.why in ("open", "refused", "no_credit"):
            reason = "the fallback model is asked instead"
        elif not self._may_doubt:
            reason = "one attempt must do while everything fails"
        else:
            reason = "the retry budget is used up"
        explained.says += f"; {reason}"


def _against(slot: Slot, standing: Standing, model: str, now: float) -> Explained:
    """Return what speaks against a target; the gravest knowledge speaks."""
    limit = slot.limits.get(model)
    until, cause = now, None
    source: str | None = None
    if slot.is_paused:
        why, says = "paused", "paused by the owner"
    elif standing is Standing.BANNED and limit is not None:
        source, until, cause = limit.source, limit.told_until, RATE_LIMITED
        why, says = "limited", f"rate limited, {_TOLD_BY[limit.source]}"
    elif slot.is_full:
        why = "full"
        says = f"full: {slot.in_flight + slot.held} of {slot.max_in_flight} requests in flight"
    elif standing is Standing.DEAD:
        until, cause = slot.death.until, slot.death.cause
        why, says = (
            ("no_credit", "the key is out of credit")
            if cause is QUOTA
            else ("refused", "the key was refused")
        )
    elif standing in (Standing.OPEN, Standing.HALF_OPEN):
        breaker, who = _resting_last(slot, model)
        until, cause = breaker.until or now, breaker.cause
        if standing is Standing.HALF_OPEN:
            cause = cause or slot.death.cause
            why, says = "half_open", "its rest is over and one request may try it"
        else:
            why, says = "open", f"{who} keeps failing"
    elif standing is Standing.GUESSED and limit is not None:
        source, until, cause = "guess", max(limit.guess_until, limit.look_until), RATE_LIMITED
        why, says = "guessed", "rate limited, for how long is guessed"
    elif standing is Standing.SPENT and limit is not None:
        until = limit.spent_until
        why, says = "spent", "its answers say that nothing is left of a limit"
    else:
        why, says = "free", "nothing speaks against it"
    if standing in DOWN and not slot.is_paused and until <= now:
        says += "; a probe is under way"
    return Explained(
        target=slot.target.id,
        upstream=slot.target.upstream.name,
        key=slot.target.key.label,
        why=why,
        says=says,
        until_s=until - now if until > now else None,
        cause=None if cause is None else cause.name,
        source=source,
    )


def _resting_last(slot: Slot, model: str) -> tuple[Breaker, str]:
    """Return the breaker that rests longest, and what it watches."""
    found: list[tuple[Breaker, str]] = [(slot.breaker, "it"), (slot.address.breaker, "its address")]
    if model in slot.failing:
        found.append((slot.failing[model], "this model there"))
    return max(found, key=lambda one: one[0].until or 0.0)


def _no_chance() -> float:
    return 0.0
