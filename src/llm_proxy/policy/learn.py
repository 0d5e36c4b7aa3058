"""What the beginning and the end of an attempt say about its target, its address and its model.

A probe is what finds out about a half-open one. It may be that of several at once: of a target
whose key was refused and whose model was failing, say.
"""

from collections.abc import Callable

from llm_proxy.domain.faults import Fault, Mark

from .breaker import HALF_OPEN, breaker_for
from .cooldown import limit_for
from .limits_seen import Advice
from .retry import BREAKS, RetryConfig
from .slot import Address, Slot

NO_PROBE, TARGET_PROBE, ADDRESS_PROBE, MODEL_PROBE = 0, 1, 2, 4
"""What an attempt is the probe of, as bits; plain integers, as a flag enum costs 1 µs here."""


def start_probe(slot: Slot, model: str) -> int:
    """Let an attempt that begins be the probe of whatever is half-open; return of what."""
    probe = NO_PROBE
    if slot.death.cause is not None or slot.breaker.until is not None:
        slot.is_probing = True
        probe |= TARGET_PROBE
    if slot.address.breaker.until is not None:
        slot.address.is_probing = True
        probe |= ADDRESS_PROBE
    failing = slot.failing.get(model)
    if failing is not None and failing.until is not None:
        failing.is_probing = True
        probe |= MODEL_PROBE
    return probe


def end_probe(slot: Slot, model: str, probe: int) -> None:
    """Let others probe again."""
    if probe & TARGET_PROBE:
        slot.is_probing = False
    if probe & ADDRESS_PROBE:
        slot.address.is_probing = False
    if probe & MODEL_PROBE and model in slot.failing:
        slot.failing[model].is_probing = False


def committed(slot: Slot, model: str, now: float, spent_s: float | None) -> None:
    """Learn from a stream that has begun to answer; failures in a row count on to its end.

    Where streams broke, another beginning proves nothing, or whoever breaks every stream would be
    well again with each of them. Such a target stays half-open until one has come to its end, and
    others may begin meanwhile, one at a time.
    """
    slot.death.revive()
    failing = slot.failing.get(model)
    for breaker in (slot.breaker, slot.address.breaker, failing):
        if breaker is not None and breaker.until is not None and breaker.cause not in BREAKS:
            breaker.close()
    _learn_limits(slot, model, now, spent_s)


def answered(
    slot: Slot, model: str, now: float, spent_s: float | None, config: RetryConfig
) -> None:
    """Learn from an answer that came to its end; of other models it says nothing."""
    slot.death.revive()
    failing = slot.failing.get(model)
    if failing is not None:
        failing.succeeded(now, config)
        if failing.is_over():
            del slot.failing[model]
    _learn_limits(slot, model, now, spent_s)


def failed(
    slot: Slot,
    model: str,
    fault: Fault,
    now: float,
    *,
    advice: Advice | None,
    rng: Callable[[], float],
    config: RetryConfig,
) -> float | None:
    """Learn from a failure; return the seconds that it, its key or model rests, or None."""
    if fault.mark is Mark.ADDRESS:
        return slot.address.breaker.failed(fault, now, rng=rng, config=config)
    _connected(slot.address, now)
    if fault.mark is Mark.TARGET:
        return _failed_both(slot, model, fault, now, rng=rng, config=config)
    failing = slot.failing.get(model)
    for breaker in (slot.breaker, failing):
        if breaker is not None and breaker.state(now) is HALF_OPEN:
            breaker.close()
    if fault.mark is Mark.RATE:
        slot.rate_limited += 1
        limit = limit_for(slot.limits, model, now)
        if advice is not None:
            return limit.told(advice, now)
        return limit.guessed(now, rng=rng, config=config)
    if fault.mark in (Mark.QUOTA, Mark.AUTH):
        return slot.death.died(fault, now, config)
    if slot.death.cause is not None and now >= slot.death.until:
        slot.death.revive()
    return None


def _failed_both(
    slot: Slot,
    model: str,
    fault: Fault,
    now: float,
    *,
    rng: Callable[[], float],
    config: RetryConfig,
) -> float | None:
    """Count a failure on the target and on its model; return the longer rest."""
    chance = rng()  # one for both, so that rests that begin together end together

    def same() -> float:
        return chance

    model_s = breaker_for(slot.failing, model, now).failed(fault, now, rng=same, config=config)
    target_s = slot.breaker.failed(fault, now, rng=same, config=config)
    if model_s is None or target_s is None:
        return model_s if target_s is None else target_s
    return max(model_s, target_s)


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
