"""The board: everything that is known about targets and addresses, learnt attempt by attempt.

`begin` when an attempt starts, then exactly one of `succeeded`, `failed`, `released` when it
ends; `committed` in between tells early that a stream has begun to answer. Each fault's `mark`
says what is learnt:

- connections that fail count on the address, for all its keys;
- failures of (upstream, key) count on the target's breaker;
- limits rest (key, model), rejections and empty accounts the whole key;
- an answer that is no success but an answer (a limit, a refused request) proves that the
  address is reachable and ends a probe, without forgiving earlier failures;
- a client that leaves, or a deadline, says nothing.

What is known survives a reload for every target whose upstream name, address and key stay.
Who is chosen by all this is in `choose.py`, what a target stands for in `slot.py`.

Budget: begin + succeeded ≤ 1.5 µs where nothing was learnt before.
"""

from collections.abc import Callable, Iterable, Sequence

from llm_proxy.domain.faults import CANCELLED, CLIENT_GONE, DEADLINE, SHUT_DOWN, Fault, Mark
from llm_proxy.domain.status import UpstreamStatus
from llm_proxy.domain.target import Target

from . import report
from .breaker import HALF_OPEN
from .budget import Budget
from .cooldown import limit_for, prune
from .limits_seen import Advice
from .queue import Queue, offer
from .retry import RetryConfig
from .slot import Address, Slot, Standing

NO_VERDICT = (CANCELLED, CLIENT_GONE, DEADLINE, SHUT_DOWN)
"""Faults that say nothing about the target."""

MAX_KEPT = 256
"""Candidate lists whose slots are kept at hand; more routes than that are merely slower."""

Identity = tuple[str, str, bytes]


NO_PROBE, TARGET_PROBE, ADDRESS_PROBE = 0, 1, 2
"""What an attempt is the probe of, as bits; plain integers, as a flag enum costs 1 µs here."""


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
        return _start_probe(slot) if slot.health(now) is Standing.HALF_OPEN else NO_PROBE

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
        _end_probe(slot, probe)
        if slot.is_suspect or spent_s is not None:
            slot.death.revive()
            for breaker in (slot.breaker, slot.address.breaker):
                if breaker.until is not None:
                    breaker.close()
            _learn_limits(slot, model, now, spent_s)
            self._suspect_address(slot)

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
        self._end(slot, probe)
        slot.recent.append(0)
        slot.breaker.succeeded(now, self.config)
        slot.address.breaker.succeeded(now, self.config)
        if slot.is_suspect or spent_s is not None:
            slot.death.revive()
            _learn_limits(slot, model, now, spent_s)
            self._suspect_address(slot)

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
        self._end(slot, probe)
        if fault in NO_VERDICT:
            return None
        slot.recent.append(_RECENT_OF.get(fault.mark, 2))
        if fault.mark is not Mark.NONE:
            slot.failures += 1
        if fault.mark is Mark.ADDRESS:
            cool_s = slot.address.breaker.failed(fault, now, rng=rng, config=self.config)
        else:
            _connected(slot.address, now)
            cool_s = self._learn(slot, model, fault, now, advice=advice, rng=rng)
        self._suspect_address(slot)
        return cool_s

    def released(self, target: Target, *, probe: int = NO_PROBE) -> None:
        """End an attempt without a verdict: its client left, or its time was up."""
        self._end(self.slot(target), probe)

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
        self._suspect_address(slot)
        return True

    def is_usable(self, now: float) -> bool:
        """Whether any target is neither failing nor without a valid key."""
        return any(
            slot.health(now) not in (Standing.OPEN, Standing.DEAD) for slot in self._slots.values()
        )

    def statuses(self, now: float) -> list[UpstreamStatus]:
        """Return the state of every upstream and key, in configured order."""
        for slot in self._slots.values():
            prune(slot.limits, now)
            slot.suspect()
        return report.statuses(self._slots.values(), now)

    def export(self, now: float, wall_s: float) -> bytes:
        """Return the rests that should outlive a restart, with wall-clock ends."""
        return report.export(self._slots.values(), now, wall_s)

    def restore(self, data: bytes, now: float, wall_s: float) -> int:
        """Take up what `export` returned before a restart.

        Returns:
            How many rests are still under way.

        Raises:
            ValueError: The data is not of `export`; nothing was taken up.
        """
        return report.restore(self._slots.values(), data, now, wall_s)

    def _learn(
        self,
        slot: Slot,
        model: str,
        fault: Fault,
        now: float,
        *,
        advice: Advice | None,
        rng: Callable[[], float],
    ) -> float | None:
        if fault.mark is Mark.TARGET:
            return slot.breaker.failed(fault, now, rng=rng, config=self.config)
        if slot.breaker.state(now) is HALF_OPEN:
            slot.breaker.close()
        if fault.mark is Mark.RATE:
            slot.rate_limited += 1
            limit = limit_for(slot.limits, model, now)
            if advice is not None:
                return limit.told(advice, now)
            return limit.guessed(now, rng=rng, config=self.config)
        if fault.mark in (Mark.QUOTA, Mark.AUTH):
            return slot.death.died(fault, now, self.config)
        if slot.death.cause is not None and now >= slot.death.until:
            slot.death.revive()
        return None

    def _end(self, slot: Slot, probe: int) -> None:
        slot.in_flight -= 1
        slot.weigh()
        _end_probe(slot, probe)
        if slot.line:
            offer(slot)

    def _suspect_address(self, slot: Slot) -> None:
        """Bring the flags up to date of all who share the slot's address."""
        slot.suspect()
        for other in self._slots.values():
            if other.address is slot.address:
                other.suspect()


_RECENT_OF = {Mark.NONE: 0, Mark.RATE: 1}


def _identity(target: Target) -> Identity:
    secret = target.key.secret
    return (
        target.upstream.name,
        target.upstream.address,
        b"" if secret is None else secret.digest,
    )


def _start_probe(slot: Slot) -> int:
    probe = NO_PROBE
    if slot.death.cause is not None or slot.breaker.until is not None:
        slot.is_probing = True
        probe |= TARGET_PROBE
    if slot.address.breaker.until is not None:
        slot.address.is_probing = True
        probe |= ADDRESS_PROBE
    return probe


def _end_probe(slot: Slot, probe: int) -> None:
    if probe & TARGET_PROBE:
        slot.is_probing = False
    if probe & ADDRESS_PROBE:
        slot.address.is_probing = False


def _connected(address: Address, now: float) -> None:
    """A connection worked: failures to connect in a row are over."""
    address.breaker.run = 0
    if address.breaker.state(now) is HALF_OPEN:
        address.breaker.close()


def _learn_limits(slot: Slot, model: str, now: float, spent_s: float | None) -> None:
    limit = slot.limits.get(model)
    if limit is not None:
        limit.succeeded()
        if limit.is_over(now):
            del slot.limits[model]
    if spent_s is not None:
        limit_for(slot.limits, model, now).spent_until = now + spent_s
