"""Which target is asked next: the best of those that are left, a wait, or nobody.

Ranks, best first:

1. a half-open target, as a request's first attempt, one probe in flight, and only where no
   target of higher priority is clean: the way back into service. One whose address could not be
   reached is looked at by a connection beside the request instead, if there is anybody else;
2. clean targets, then spent ones; those of an address that has just failed this request come
   after both of other addresses, and last who broke an answer that is to be gone on with. That
   is no retry: the budget keeps outages from being multiplied, and streams that break one by one
   are none. Many that break together open the breaker, and from there on it needs the budget;
3. waiting in line for a place, where clean or spent ones are left that are only full;
4. doubtful ones: half-open, limited by guess, open, dead. As a retry they need the budget;
5. targets this request has tried already, after their pause; within the budget;
6. waiting in line where these are full, too;
7. waiting for the soonest ban that was told, if that fits the request.

Who of a rank is asked is decided in `best.py`.

Paused targets are asked by nobody, full ones by nobody more. Told bans are always honoured.
Guesses only order: while any target may be asked at all, they never leave a request without one.

Budget: choose, begin and succeeded together ≤ 5 µs where nothing was learnt (measured: 2.5 µs
with 2 targets, 4.2 with 20; a prefix to keep together costs 0.3 µs per target more).
"""

from collections.abc import Callable, Sequence

import msgspec

from llm_proxy.domain.target import Target

from .best import NOBODY, best
from .board import Board
from .look import set_apart
from .queue import Ticket
from .slot import Slot, Standing

FOREVER = float("inf")
DOWN = (Standing.OPEN, Standing.DEAD)
TRIED = 2
"""More than any failure of others puts a target behind."""


class Pick(msgspec.Struct, frozen=True):
    """Ask `target` now.

    Attributes:
        target: Whom.
        why: `healthy`, `spent`, `probe`, `last resort`, `again`; for the record.
        is_retry: Whether it counts against the retry budget.
        standing: How the target stood when it was chosen.
        looks: Targets whose addresses a connection beside the attempt should try to reach.
    """

    target: Target
    why: str
    is_retry: bool = False
    standing: Standing = Standing.CLEAN
    looks: tuple[Target, ...] = ()


class Wait(msgspec.Struct, frozen=True):
    """Ask again at `until`, loop time.

    Attributes:
        until: Loop time, at most the time the request may wait.
        why: `limit` (a told ban ends), `back-off` or `place` (all that are left are full).
        is_retry: Whether it counts against the retry budget.
        ticket: Calls when a place is free, which may be before `until`; None = no place is
            waited for.
    """

    until: float
    why: str
    is_retry: bool = False
    ticket: Ticket | None = None


class Line(msgspec.Struct, frozen=True):
    """Nobody has a place: stand in line.

    Attributes:
        slots: Whose.
        back_at: Loop time from which one that rests may be asked again; infinite = none rests.
    """

    slots: list[Slot]
    back_at: float


class Nothing(msgspec.Struct, frozen=True, gc=False):
    """Nobody can be asked in time.

    Attributes:
        why: `all limited`, `full`, `budget` or `no target left`.
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
        is_broken: An answer broke behind its first content, and somebody is to go on with it.
        is_first: Nobody has been asked yet; targets were only passed over.
    """

    __slots__ = ("done_addresses", "failed_addresses", "is_broken", "is_first", "tried")

    def __init__(self) -> None:
        self.tried: dict[str, float] = {}
        self.failed_addresses: set[str] = set()
        self.done_addresses: set[str] = set()
        self.is_broken = False
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
    may_line_up: bool = True,
    is_granted: bool = False,
    affinity: bytes | None = None,
    second: frozenset[str] = NOBODY,
) -> Pick | Wait | Line | Nothing:
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
        may_line_up: Whether there is time to wait for a place at targets that are full.
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
            return Pick(best(slots, rng, affinity, second).target, "healthy")
    left = _sort(slots, model, now, past, may_ask_down=may_ask_down)
    if (pick := _untried(left, now, rng, affinity, second)) is not None:
        return pick
    if left.full and may_line_up:
        return left.line(left.full)
    is_first = past is None or past.is_first
    is_free = is_first or is_granted
    is_denied = False
    if may_doubt:
        pick, is_denied = _doubtful(board, left, now, rng, second, is_free=is_free)
        if pick is not None:
            return Pick(pick.target, pick.why, not is_first, pick.standing)
        if left.full_doubtful and may_line_up:
            return left.line(left.full + left.full_doubtful)
    latest = min(deadline, now + board.config.max_wait_s - waited_s)
    return _wait(board, left, now=now, latest=latest, may_doubt=may_doubt, is_denied=is_denied)


class _Left:
    """Candidates that are left, by what they are good for.

    Attributes:
        probes: Half-open ones.
        is_broken: An answer is to be gone on with.
        wanted: Clean and spent ones that are untried or may go on, by rank: how far they have
            failed (1 = the address has; `TRIED` more = it was asked), spent.
        doubtful: Other untried ones, by rank: standing, the address has failed.
        full: Those of them that have no place.
        full_doubtful: Other ones that have no place, tried ones included.
        ready: Tried ones whose pause is over, by rank likewise.
        pausing: Tried ones, the loop times at which their pauses end, and whether each may then
            go on.
        bans: Loop times at which bans end.
        clean_bans: Those of them behind which an untried target without any doubt waits.
    """

    __slots__ = (
        "bans",
        "clean_bans",
        "doubtful",
        "full",
        "full_doubtful",
        "is_broken",
        "pausing",
        "probes",
        "ready",
        "wanted",
    )

    def __init__(self, *, is_broken: bool) -> None:
        self.is_broken = is_broken
        self.probes: list[Slot] = []
        self.wanted: dict[tuple[int, Standing], list[Slot]] = {}
        self.doubtful: dict[tuple[Standing, bool], list[Slot]] = {}
        self.full: list[Slot] = []
        self.full_doubtful: list[Slot] = []
        self.ready: dict[tuple[Standing, bool], list[Slot]] = {}
        self.pausing: list[tuple[float, Slot, bool]] = []
        self.bans: list[float] = []
        self.clean_bans: list[float] = []

    def add(
        self,
        slot: Slot,
        standing: Standing,
        *,
        has_failed: bool,
        is_tried: bool,
        may_probe: bool,
        may_ask_down: bool,
    ) -> None:
        """Take in one that may be asked now, if it has a place."""
        is_wanted = standing <= Standing.SPENT and (not is_tried or self.is_broken)
        if standing in DOWN and not (is_tried or may_ask_down):
            return
        if slot.is_full:
            (self.full if is_wanted else self.full_doubtful).append(slot)
        elif is_wanted:
            failed = has_failed + (TRIED if is_tried else 0)
            self.wanted.setdefault((failed, standing), []).append(slot)
        elif is_tried:
            self.ready.setdefault((standing, has_failed), []).append(slot)
        elif standing is Standing.HALF_OPEN and may_probe:
            self.probes.append(slot)
        else:
            self.doubtful.setdefault((standing, has_failed), []).append(slot)

    def line(self, slots: list[Slot]) -> Line:
        """Return the line of `slots`."""
        ends = [until for until, _, _ in self.pausing]
        return Line(slots, min(self.bans + ends, default=FOREVER))


def _sort(
    slots: list[Slot], model: str, now: float, past: Past | None, *, may_ask_down: bool
) -> _Left:
    is_first = past is None or past.is_first
    past = past or Past()
    left = _Left(is_broken=past.is_broken)
    for slot in slots:
        if slot.is_paused:
            continue
        again_at = past.tried.get(slot.target.id)
        address = slot.address.name
        if again_at == FOREVER or (again_at is None and address in past.done_addresses):
            continue
        standing = slot.standing(model, now)
        if standing is Standing.BANNED:
            until = max(slot.banned_until(model), again_at or 0.0)
            left.bans.append(until)
            if again_at is None and slot.health_for(model, now) <= Standing.SPENT:
                left.clean_bans.append(until)
        elif again_at is not None and again_at > now:
            goes_on = left.is_broken and standing <= Standing.SPENT
            left.pausing.append((again_at, slot, goes_on))
        else:
            left.add(
                slot,
                standing,
                has_failed=address in past.failed_addresses,
                is_tried=again_at is not None,
                may_probe=is_first,
                may_ask_down=may_ask_down,
            )
    return left


def _untried(
    left: _Left,
    now: float,
    rng: Callable[[], float],
    affinity: bytes | None,
    second: frozenset[str],
) -> Pick | None:
    """Return the probe, or the best target that can be had for free."""
    wanted: Slot | None = None
    failed, standing = 0, Standing.CLEAN
    if left.wanted:
        failed, standing = rank = min(left.wanted)
        wanted = best(left.wanted[rank], rng, affinity, second)
    probes = left.probes
    looks: tuple[Target, ...] = ()
    if probes and wanted is not None:
        probes, looks = set_apart(probes, wanted.priority, now)
    if probes:
        probe = best(probes, rng, None, second)
        return Pick(probe.target, "probe", standing=Standing.HALF_OPEN, looks=looks)
    if wanted is None:
        return None
    why = "healthy" if standing is Standing.CLEAN else "spent"
    why = "again" if failed >= TRIED else why
    return Pick(wanted.target, why, standing=standing, looks=looks)


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
        slot = best(ranks[rank], rng, None, second)
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
        until, slot, goes_on = min(left.pausing, key=lambda pause: pause[0])
        if goes_on or board.budget.allows(slot.tokens, now):
            waits.append(Wait(until, "back-off", not goes_on))
        else:
            is_denied = True
    fitting = [wait for wait in waits if wait.until < latest]
    if fitting:
        return min(fitting, key=lambda wait: wait.until)
    if left.full or (may_doubt and left.full_doubtful):
        return Nothing("full", soonest)
    if soonest is not None and not is_denied and not left.pausing:
        return Nothing("all limited", soonest)
    return Nothing("budget" if is_denied else "no target left", soonest)
