"""Which target is asked next: the best of those that are left, a wait, or nobody.

Ranks, best first:

1. a half-open target, as a request's first attempt, one probe in flight, and only where no
   target of higher priority is clean: the way back into service;
2. clean targets, then spent ones; those of an address that has just failed this request come
   after both of other addresses;
3. doubtful ones: half-open, limited by guess, open, dead. As a retry they need the budget;
4. targets this request has tried already, after their pause; within the budget;
5. waiting for the soonest ban that was told, if that fits the request.

Within a rank: priority, then those that need no translation, then (if the prompt's prefix is worth a cache) rendezvous hashing, else
fewest in flight per weight, ties at random by weight. Speed is no criterion: a target that fails
fast would look best.

Paused targets are asked by nobody. Told bans are always honoured. Guesses only order: while any target may be asked at all, they
never leave a request without one.

Budget: choose, begin and succeeded together ≤ 5 µs where nothing was learnt (measured: 2.5 µs
with 2 targets, 4.2 with 20; a prefix to keep together costs 0.3 µs per target more).
"""

from collections.abc import Callable, Sequence

import msgspec

from llm_proxy.domain.target import Target

from .affinity import prefix_of, score, weighted
from .board import Board
from .slot import Slot, Standing

FOREVER = float("inf")
NOBODY: frozenset[str] = frozenset()
CROWD = 8
"""Attempts in flight from which on a target that has twice the load of another is crowded; fewer
are no load for any provider, and worth less than its cache."""


class Pick(msgspec.Struct, frozen=True):
    """Ask `target` now.

    Attributes:
        target: Whom.
        why: `healthy`, `spent`, `probe`, `last resort`, `again`; for the record.
        is_retry: Whether it counts against the retry budget.
        standing: How the target stood when it was chosen.
    """

    target: Target
    why: str
    is_retry: bool = False
    standing: Standing = Standing.CLEAN


class Wait(msgspec.Struct, frozen=True, gc=False):
    """Ask again at `until`, loop time.

    Attributes:
        until: Loop time, at most the time the request may wait.
        why: `limit` (a told ban ends) or `back-off`.
        is_retry: Whether it counts against the retry budget.
    """

    until: float
    why: str
    is_retry: bool = False


class Nothing(msgspec.Struct, frozen=True, gc=False):
    """Nobody can be asked in time.

    Attributes:
        why: `all limited`, `budget` or `no target left`.
        soonest: Loop time at which the first ban ends; None = there is none.
    """

    why: str
    soonest: float | None = None


class Past:
    """What a request has met so far.

    Attributes:
        tried: Ids of targets it has tried, with the loop time from which each may be asked
            again; infinite = never.
        failed_addresses: Addresses whose other targets come last.
        done_addresses: Addresses whose other targets cannot help.
        is_first: Nobody has been asked yet; targets were only passed over.
    """

    __slots__ = ("done_addresses", "failed_addresses", "is_first", "tried")

    def __init__(self) -> None:
        self.tried: dict[str, float] = {}
        self.failed_addresses: set[str] = set()
        self.done_addresses: set[str] = set()
        self.is_first = False


def choose(
    board: Board,
    candidates: Sequence[Target],
    *,
    model: str,
    past: Past | None = None,
    now: float,
    rng: Callable[[], float],
    deadline: float = FOREVER,
    waited_s: float = 0.0,
    may_doubt: bool = True,
    may_ask_down: bool = True,
    is_granted: bool = False,
    affinity: bytes | None = None,
    second: frozenset[str] = NOBODY,
) -> Pick | Wait | Nothing:
    """Choose among `candidates`, at least one.

    Args:
        board: What is known.
        candidates: Targets that serve the model, in configured order.
        model: What is asked for; limits are per model.
        past: What this request has met; None = this is its first attempt.
        now: Loop time.
        rng: Uniform in [0, 1).
        deadline: Loop time at which the request ends; nothing waits beyond it.
        waited_s: Seconds this request has waited already.
        may_doubt: Whether doubtful and tried targets may be asked.
        may_ask_down: Whether untried targets that are open or dead may be asked.
        is_granted: Whether the retry budget has been asked already.
        affinity: A digest of the prompt's prefix, at least 8 bytes, or None.
        second: Ids of targets that come behind others of their priority that stand as well.
    """
    slots = board.slots(candidates)
    if past is None:
        for slot in slots:
            if slot.is_suspect:
                break
        else:
            return Pick(_best(slots, rng, affinity, second).target, "healthy")
    left = _sort(slots, model, now, past)
    if not may_ask_down:
        left.leave_out_down()
    if (pick := _untried(left, rng, affinity, second)) is not None:
        return pick
    is_first = past is None or past.is_first
    is_free = is_first or is_granted
    is_denied = False
    if may_doubt:
        pick, is_denied = _doubtful(board, left, now, rng, second, is_free=is_free)
        if pick is not None:
            return Pick(pick.target, pick.why, not is_first, pick.standing)
    latest = min(deadline, now + board.config.max_wait_s - waited_s)
    return _wait(board, left, now=now, latest=latest, may_doubt=may_doubt, is_denied=is_denied)


class _Left:
    """Candidates that are left, by what they are good for.

    Attributes:
        probes: Half-open ones.
        wanted: Untried clean and spent ones, by rank: the address has failed, spent.
        doubtful: Other untried ones, by rank: standing, the address has failed.
        ready: Tried ones whose pause is over, by rank likewise.
        pausing: Tried ones and the loop times at which their pauses end.
        bans: Loop times at which bans end.
        clean_bans: Those of them behind which an untried target without any doubt waits.
    """

    __slots__ = ("bans", "clean_bans", "doubtful", "pausing", "probes", "ready", "wanted")

    def __init__(self) -> None:
        self.probes: list[Slot] = []
        self.wanted: dict[tuple[bool, Standing], list[Slot]] = {}
        self.doubtful: dict[tuple[Standing, bool], list[Slot]] = {}
        self.ready: dict[tuple[Standing, bool], list[Slot]] = {}
        self.pausing: list[tuple[float, Slot]] = []
        self.bans: list[float] = []
        self.clean_bans: list[float] = []

    def leave_out_down(self) -> None:
        """Forget the doubtful ones that are open or dead."""
        for rank in [rank for rank in self.doubtful if rank[0] in (Standing.OPEN, Standing.DEAD)]:
            del self.doubtful[rank]


def _sort(slots: list[Slot], model: str, now: float, past: Past | None) -> _Left:
    left = _Left()
    is_first = past is None or past.is_first
    past = past or Past()
    for slot in slots:
        if slot.is_paused:
            continue
        again_at = past.tried.get(slot.target.id)
        address = slot.address.name
        if again_at == FOREVER or (again_at is None and address in past.done_addresses):
            continue
        standing = slot.standing(model, now)
        has_failed = address in past.failed_addresses
        if standing is Standing.BANNED:
            until = max(slot.banned_until(model), again_at or 0.0)
            left.bans.append(until)
            if again_at is None and slot.health(now) <= Standing.SPENT:
                left.clean_bans.append(until)
        elif again_at is not None and again_at > now:
            left.pausing.append((again_at, slot))
        elif again_at is not None:
            left.ready.setdefault((standing, has_failed), []).append(slot)
        elif standing <= Standing.SPENT:
            left.wanted.setdefault((has_failed, standing), []).append(slot)
        elif standing is Standing.HALF_OPEN and is_first:
            left.probes.append(slot)
        else:
            left.doubtful.setdefault((standing, has_failed), []).append(slot)
    return left


def _untried(
    left: _Left, rng: Callable[[], float], affinity: bytes | None, second: frozenset[str]
) -> Pick | None:
    """Return the probe, or the best target that can be had for free."""
    wanted: Slot | None = None
    standing = Standing.CLEAN
    if left.wanted:
        rank = min(left.wanted)
        wanted, standing = _best(left.wanted[rank], rng, affinity, second), rank[1]
    if left.probes:
        probe = _best(left.probes, rng, None, second)
        if wanted is None or probe.priority <= wanted.priority:
            return Pick(probe.target, "probe", standing=Standing.HALF_OPEN)
    if wanted is None:
        return None
    return Pick(
        wanted.target, "healthy" if standing is Standing.CLEAN else "spent", False, standing
    )


def _doubtful(
    board: Board,
    left: _Left,
    now: float,
    rng: Callable[[], float],
    second: frozenset[str],
    *,
    is_free: bool,
) -> tuple[Pick | None, bool]:
    """Return the best target that has something against it, and whether the budget denied one."""
    is_denied = False
    for ranks, why in ((left.doubtful, "last resort"), (left.ready, "again")):
        if not ranks:
            continue
        rank = min(ranks)
        slot = _best(ranks[rank], rng, None, second)
        if is_free or board.budget.allows(slot.tokens, now):
            return Pick(slot.target, why, standing=rank[0]), False
        is_denied = True
    return None, is_denied


def _wait(
    board: Board,
    left: _Left,
    *,
    now: float,
    latest: float,
    may_doubt: bool,
    is_denied: bool,
) -> Wait | Nothing:
    """Return the soonest wait that fits, or why there is none."""
    soonest = min(left.bans, default=None)
    # Where doubtful targets may not be asked, waiting for the end of their bans is for nothing.
    awaited = min(left.bans if may_doubt else left.clean_bans, default=None)
    waits = [] if awaited is None else [Wait(awaited, "limit")]
    if may_doubt and left.pausing:
        until, slot = min(left.pausing, key=lambda pause: pause[0])
        if board.budget.allows(slot.tokens, now):
            waits.append(Wait(until, "back-off", True))
        else:
            is_denied = True
    fitting = [wait for wait in waits if wait.until < latest]
    if fitting:
        return min(fitting, key=lambda wait: wait.until)
    if soonest is not None and not is_denied and not left.pausing:
        return Nothing("all limited", soonest)
    return Nothing("budget" if is_denied else "no target left", soonest)


def _best(
    slots: list[Slot],
    rng: Callable[[], float],
    affinity: bytes | None,
    second: frozenset[str],
) -> Slot:
    """Return the best of equals: by priority, then prefix or load, ties at random by weight."""
    if second:
        slots = _first_hand(slots, second)
    if len(slots) == 1:
        return slots[0]
    if affinity is not None:
        return _fittest(slots, prefix_of(affinity))
    lowest = min([slot.order for slot in slots])
    equals = [slot for slot in slots if slot.order == lowest]
    if len(equals) == 1:
        return equals[0]
    point = rng() * sum([slot.weight for slot in equals])
    for slot in equals:
        point -= slot.weight
        if point < 0.0:
            return slot
    return equals[-1]


def _first_hand(slots: list[Slot], second: frozenset[str]) -> list[Slot]:
    """Return those of the highest priority that are not second, if there are any."""
    first = min([slot.priority for slot in slots])
    equals = [slot for slot in slots if slot.priority == first]
    return [slot for slot in equals if slot.target.id not in second] or equals


def _fittest(slots: list[Slot], prefix: int) -> Slot:
    """Return the target of the highest priority that has the prefix in its cache.

    One that is crowded while another idles is passed over: many clients of one agent all begin
    alike, and a key that they drive into its limit serves none of them well.
    """
    first = min([slot.priority for slot in slots])
    equals = [slot for slot in slots if slot.priority == first]
    if max([slot.in_flight for slot in equals]) >= CROWD:
        bound = 2 * min([slot.in_flight / slot.weight for slot in equals])
        equals = [s for s in equals if s.in_flight < CROWD or s.in_flight / s.weight <= bound]
    weight = equals[0].weight
    if all(slot.weight == weight for slot in equals):
        return max(equals, key=lambda slot: score(slot.seed, prefix))
    return max(equals, key=lambda slot: weighted(score(slot.seed, prefix), slot.weight))
