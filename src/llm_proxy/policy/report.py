"""The board as the page shows it, and as it outlives a restart.

What outlives a restart: bans that were told, and keys that are rejected or out of credit. Guesses
and breakers, of models too, are forgotten: their rests are hardly longer than a restart, and the
first requests learn them anew. A rest never grows by a restart:
it ends when its wall-clock end comes, and after the time it had left when it was written at the
latest, so that a clock that was set back cannot prolong it.
"""

from collections.abc import Iterable

import msgspec

from llm_proxy.domain.faults import FAULTS, QUOTA, RATE_LIMITED
from llm_proxy.domain.made import fingerprint
from llm_proxy.domain.status import KeyStatus, UpstreamStatus

from .cooldown import limit_for
from .limits_seen import MAX_WAIT_S, Source
from .slot import Slot, Standing

STATES = ("ready", "cooling", "refused", "no_credit", "open", "half_open", "paused")
"""What a key may be in; see `KeyStatus`."""

MAX_MODELS = 20
"""Limited models shown per key, and as many failing ones."""


def statuses(slots: Iterable[Slot], now: float) -> list[UpstreamStatus]:
    """Return the state of every upstream and key, in the order of `slots`."""
    found: dict[str, UpstreamStatus] = {}
    for slot in slots:
        upstream = slot.target.upstream
        status = found.get(upstream.name)
        if status is None:
            status = found[upstream.name] = UpstreamStatus(
                name=upstream.name,
                address=upstream.address,
                formats=list(upstream.formats),
                models=list(upstream.models),
                keys=[],
            )
        status.keys.append(_key_status(slot, now))
    return list(found.values())


def _key_status(slot: Slot, now: float) -> KeyStatus:
    status = KeyStatus(
        id=slot.target.id,
        label=slot.target.key.label,
        state="ready",
        models=_limited_models(slot, now),
        failing=_failing_models(slot, now),
        in_flight=slot.in_flight,
        attempts=slot.attempts,
        failures=slot.failures,
        rate_limited=slot.rate_limited,
        recent=list(slot.recent),
    )
    _tell_state(slot, status, now)
    return status


def _tell_state(slot: Slot, status: KeyStatus, now: float) -> None:
    """Fill in state, time, cause and source; the gravest knowledge speaks."""
    if slot.is_paused:
        status.state = "paused"
        return
    death = slot.death
    if death.cause is not None:
        status.state = "no_credit" if death.cause is QUOTA else "refused"
        status.cause, status.source = death.cause.name, "guess"
        status.back_in_s = max(0.0, death.until - now)
        return
    health = slot.health(now)
    if health is not Standing.CLEAN:
        ends = [b for b in (slot.breaker, slot.address.breaker) if b.until is not None]
        last = max(ends, key=lambda breaker: breaker.until or 0.0)
        left_s = max(0.0, (last.until or 0.0) - now)
        status.state = "open" if left_s > 0 else "half_open"
        status.cause = last.cause.name if last.cause is not None else None
        status.back_in_s, status.source = left_s, "guess"
        return
    if status.models:
        model = min(status.models, key=lambda name: status.models[name])
        limit = slot.limits[model]
        status.state, status.cause = "cooling", RATE_LIMITED.name
        status.back_in_s = status.models[model]
        status.source = limit.source if limit.told_until > now else "guess"


def _limited_models(slot: Slot, now: float) -> dict[str, float]:
    """Return the seconds left per limited model, the soonest first."""
    left = {
        model: until - now
        for model, limit in slot.limits.items()
        if (until := max(limit.told_until, limit.guess_until)) > now
    }
    soonest = sorted(left, key=lambda name: left[name])[:MAX_MODELS]
    return {model: left[model] for model in soonest}


def _failing_models(slot: Slot, now: float) -> dict[str, float]:
    """Return the seconds left per model that is left alone, the soonest first."""
    left = {
        model: max(0.0, breaker.until - now)
        for model, breaker in slot.failing.items()
        if breaker.until is not None
    }
    soonest = sorted(left, key=lambda name: left[name])[:MAX_MODELS]
    return {model: left[model] for model in soonest}


class _Rest(msgspec.Struct, omit_defaults=True):
    """One rest that outlives a restart.

    Attributes:
        target: Its id.
        key: Tells whether the id still means the same key of the same address.
        until: Wall clock, seconds.
        left_s: What was left when it was written.
        model: Limited model; None = the whole key.
        fault: Its cause.
        source: Where the length came from.
        times: Rejections in a row.
    """

    target: str
    key: str
    until: float
    left_s: float
    fault: str
    model: str | None = None
    source: Source = "header"
    times: int = 0


def export(slots: Iterable[Slot], now: float, wall_s: float) -> bytes:
    """Return the rests that should outlive a restart."""
    rests: list[_Rest] = []
    for slot in slots:
        target, key = slot.target.id, fingerprint(slot.target)
        death = slot.death
        if death.cause is not None and (left_s := death.until - now) > 0:
            until, fault = wall_s + left_s, death.cause.name
            rests.append(_Rest(target, key, until, left_s, fault, times=death.times))
        for model, limit in slot.limits.items():
            if (left_s := limit.told_until - now) > 0:
                until = wall_s + left_s
                name, source = RATE_LIMITED.name, limit.source
                rests.append(_Rest(target, key, until, left_s, name, model, source))
    return msgspec.json.encode(rests)


def restore(slots: Iterable[Slot], data: bytes, now: float, wall_s: float) -> int:
    """Take up exported rests; returns how many are still under way.

    Raises:
        ValueError: The data cannot be read.
    """
    try:
        rests = msgspec.json.decode(data, type=list[_Rest])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError("the saved cool-downs cannot be read") from error
    known = {(slot.target.id, fingerprint(slot.target)): slot for slot in slots}
    taken = 0
    for rest in rests:
        slot = known.get((rest.target, rest.key))
        left_s = min(rest.until - wall_s, rest.left_s, MAX_WAIT_S)
        fault = FAULTS.get(rest.fault)
        if slot is None or fault is None or left_s <= 0:
            continue
        if rest.model is None:
            slot.death.cause, slot.death.until = fault, now + left_s
            slot.death.times = max(0, rest.times)
        else:
            limit = limit_for(slot.limits, rest.model, now)
            limit.told_until, limit.source = now + left_s, rest.source
        slot.suspect()
        taken += 1
    return taken
