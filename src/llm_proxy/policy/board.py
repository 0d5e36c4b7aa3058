"""The board: everything that is known about targets and addresses, learnt attempt by attempt.

`begin` when an attempt starts, then exactly one of `succeeded`, `failed`, `released` when it
ends; `committed` in between tells early that a stream has begun to answer. Each fault's `mark`
says what is learnt:

- connections that fail count on the address, for all its keys;
- failures behind a connection count on the target's breaker and on its model's;
- limits rest (key, model), rejections and empty accounts the whole key;
- an answer that is no success but an answer (a limit, a refused request) proves that the
  address is reachable and ends a probe, without forgiving earlier failures;
- a client that leaves, or a deadline, says nothing.

What is known survives a reload for every target whose upstream name, address and key stay.
What an attempt teaches is in `learn.py`, what a target stands for in `slot.py`, who is chosen by
all this in `choose.py`.

Budget: begin + succeeded ≤ 1.5 µs where nothing was learnt before.
"""

from collections.abc import Callable, Iterable, Sequence

from llm_proxy.domain.faults import CANCELLED, CLIENT_GONE, DEADLINE, SHUT_DOWN, Fault, Mark
from llm_proxy.domain.status import UpstreamStatus
from llm_proxy.domain.target import Target

from . import learn, look, report
from .breaker import forget_old
from .budget import Budget
from .cooldown import prune
from .learn import NO_PROBE
from .limits_seen import Advice
from .queue import Queue, offer
from .retry import RetryConfig
from .slot import Address, Slot, Standing

NO_VERDICT = (CANCELLED, CLIENT_GONE, DEADLINE, SHUT_DOWN)
"""Faults that say nothing about the target."""

MAX_KEPT = 256
"""Candidate lists whose slots are kept at hand; more routes than that are merely slower."""

Identity = tuple[str, str, bytes]


class Board:
    """Owns a slot per target and an address per `scheme://host:port`.

    Attributes:
        budget: The process's retries in progress.
        config: The numbers.
        queue: Who waits for a place at keys that are full.
    """

    __slots__ = (
        "_addresses",
        "_by_identity",
        "_kept",
        "_leaving",
        "_slots",
        "budget",
        "config",
        "queue",
    )

    def __init__(self, targets: Iterable[Target], *, config: RetryConfig | None = None) -> None:
        self.config = config if config is not None else RetryConfig()
        self.budget = Budget(self.config)
        self.queue = Queue()
        self._slots: dict[str, Slot] = {}
        self._by_identity: dict[Identity, Slot] = {}
        self._addresses: dict[str, Address] = {}
        self._kept: dict[int, tuple[Sequence[Target], list[Slot]]] = {}
        self._leaving: dict[Identity, Slot] = {}
        self.reconfigure(targets)

    def reconfigure(self, targets: Iterable[Target], *, config: RetryConfig | None = None) -> None:
        """Take over new targets, and numbers where given; what is known of those that stay stays."""
        if config is not None:
            self.config = self.budget.config = config
        old_slots = self._leaving | self._by_identity
        old_addresses = {slot.address.name: slot.address for slot in old_slots.values()}
        self._slots, self._by_identity, self._addresses = {}, {}, {}
        self._kept.clear()
        for target in targets:
            name = target.upstream.address
            address = self._addresses.get(name) or old_addresses.get(name) or Address(name)
            self._addresses[name] = address
            identity = _identity(target)
            slot = old_slots.get(identity)
            if slot is None or identity in self._by_identity:
                slot = Slot(target, address)
            else:
                slot.address = address
                slot.adopt(target)
            slot.suspect()
            self._slots[target.id] = slot
            self._by_identity.setdefault(identity, slot)
            offer(slot)
        self._leaving = {
            identity: slot
            for identity, slot in old_slots.items()
            if identity not in self._by_identity and (slot.in_flight or slot.line)
        }

    def slot(self, target: Target) -> Slot:
        """Return what is known about `target`.

        A target of an earlier configuration finds its successor. One that is gone is shared by
        those who still ask it, and forgotten once a later change finds that nobody does: should
        it come back meanwhile, the attempts at it are still counted.
        """
        slot = self._slots.get(target.id)
        if slot is not None and slot.target is target:
            return slot
        identity = _identity(target)
        slot = self._by_identity.get(identity) or self._leaving.get(identity)
        if slot is None:
            slot = self._leaving[identity] = Slot(target, Address(target.upstream.address))
        return slot

    def slots(self, targets: Sequence[Target]) -> list[Slot]:
        """Return the slots of `targets`, in their order; not to be changed.

        A route's candidates are one tuple that comes with every request, so its slots are kept:
        with 20 targets that saves 3 µs a request.
        """
        kept = self._kept.get(id(targets))
        if kept is not None and kept[0] is targets:
            return kept[1]
        slots = [self.slot(target) for target in targets]
        if isinstance(targets, tuple):
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[id(targets)] = (targets, slots)
        return slots

    def begin(self, target: Target, model: str, now: float) -> int:
        """Count an attempt that starts.

        Returns:
            What it is the probe of, to be handed back when it ends.
        """
        slot = self.slot(target)
        slot.attempts += 1
        slot.in_flight += 1
        slot.weigh()
        slot.tokens = self.budget.earn(slot.tokens)
        if not slot.is_suspect:
            return NO_PROBE
        limit = slot.limits.get(model)
        if limit is not None:
            limit.looked_at(now, self.config)
        if slot.health_for(model, now) is not Standing.HALF_OPEN:
            return NO_PROBE
        return learn.start_probe(slot, model)

    def committed(
        self,
        target: Target,
        model: str,
        now: float,
        *,
        spent_s: float | None = None,
        probe: int = NO_PROBE,
    ) -> None:
        """Learn that a stream has begun to answer, long before it ends.

        Revives the key, closes half-open breakers and ends the probe; failures in a row are
        forgotten only when the stream ends well.
        """
        slot = self.slot(target)
        if probe:
            learn.end_probe(slot, model, probe)
        if slot.is_suspect or spent_s is not None:
            learn.committed(slot, model, now, spent_s)
            self._suspect_address(slot.address)

    def succeeded(
        self,
        target: Target,
        model: str,
        now: float,
        *,
        spent_s: float | None = None,
        probe: int = NO_PROBE,
    ) -> None:
        """Learn from an attempt that answered to its end.

        Args:
            target: Who answered.
            model: What was asked for; empty if no model was named.
            now: Loop time.
            spent_s: Seconds until a used-up limit is reset (`limits_seen.spent`).
            probe: As `begin` returned it.
        """
        slot = self.slot(target)
        self._end(slot, model, probe)
        slot.recent.append(0)
        slot.breaker.succeeded(now, self.config)
        slot.address.breaker.succeeded(now, self.config)
        if slot.is_suspect or spent_s is not None:
            learn.answered(slot, model, now, spent_s, self.config)
            self._suspect_address(slot.address)

    def failed(
        self,
        target: Target,
        model: str,
        fault: Fault,
        now: float,
        *,
        advice: Advice | None = None,
        rng: Callable[[], float],
        probe: int = NO_PROBE,
    ) -> float | None:
        """Learn from an attempt that failed.

        Args:
            target: Who failed.
            model: What was asked for; empty if no model was named.
            fault: How.
            now: Loop time.
            advice: How long the provider asks to wait.
            rng: Uniform in [0, 1), for jitter.
            probe: As `begin` returned it.

        Returns:
            Seconds the target (or its key, model or address) rests because of it; None = it
            does not rest.
        """
        slot = self.slot(target)
        self._end(slot, model, probe)
        if fault in NO_VERDICT:
            return None
        slot.recent.append(_RECENT_OF.get(fault.mark, 2))
        if fault.mark is not Mark.NONE:
            slot.failures += 1
        cool_s = learn.failed(slot, model, fault, now, advice=advice, rng=rng, config=self.config)
        self._suspect_address(slot.address)
        return cool_s

    def released(self, target: Target, model: str, *, probe: int = NO_PROBE) -> None:
        """End an attempt without a verdict: its client left, or its time was up."""
        self._end(self.slot(target), model, probe)

    def begin_look(self, target: Target, now: float) -> Address | None:
        """Begin to find out by a bare connection whether `target` can be reached again.

        Returns:
            What `looked` must be told about; None = no connection should be made.
        """
        address = self.slot(target).address
        return address if look.begin(address, now) else None

    def looked(
        self, address: Address, fault: Fault | None, now: float, *, rng: Callable[[], float]
    ) -> None:
        """Learn how a connection went; None = well."""
        look.end(address, fault, now, rng=rng, config=self.config)
        self._suspect_address(address)

    def change(self, target_id: str, action: str) -> bool:
        """Follow the owner's order about a target.

        Args:
            target_id: `upstream-1/key-1`.
            action: `pause`, `resume`, or `reset`: forget what speaks against it.

        Returns:
            Whether there is such a target.
        """
        slot = self._slots.get(target_id)
        if slot is None:
            return False
        if action == "reset":
            slot.forget()
        else:
            slot.is_paused = action == "pause"
        self._suspect_address(slot.address)
        return True

    def is_usable(self, now: float) -> bool:
        """Whether any target is neither failing nor without a valid key."""
        return any(
            slot.health(now) not in (Standing.OPEN, Standing.DEAD) for slot in self._slots.values()
        )

    def statuses(self, now: float) -> list[UpstreamStatus]:
        """Return the state of every upstream and key, in configured order."""
        self._tidy(now)
        return report.statuses(self._slots.values(), now)

    def export(self, now: float, wall_s: float) -> bytes:
        """Return the rests that should outlive a restart, with wall-clock ends."""
        self._tidy(now)
        return report.export(self._slots.values(), now, wall_s)

    def restore(self, data: bytes, now: float, wall_s: float) -> int:
        """Take up what `export` returned before a restart.

        Returns:
            How many rests are still under way.

        Raises:
            ValueError: The data is not of `export`; nothing was taken up.
        """
        return report.restore(self._slots.values(), data, now, wall_s)

    def _tidy(self, now: float) -> None:
        """Forget what is over, so that nothing of it has to be read any more."""
        for slot in self._slots.values():
            prune(slot.limits, now)
            forget_old(slot.failing, now)
            slot.suspect()

    def _end(self, slot: Slot, model: str, probe: int) -> None:
        slot.in_flight -= 1
        slot.weigh()
        if probe:
            learn.end_probe(slot, model, probe)
        if slot.line:
            offer(slot)

    def _suspect_address(self, address: Address) -> None:
        """Bring the flags up to date of all who share an address."""
        for slots in (self._slots, self._leaving):
            for slot in slots.values():
                if slot.address is address:
                    slot.suspect()


_RECENT_OF = {Mark.NONE: 0, Mark.RATE: 1}


def _identity(target: Target) -> Identity:
    secret = target.key.secret
    return (
        target.upstream.name,
        target.upstream.address,
        b"" if secret is None else secret.digest,
    )
