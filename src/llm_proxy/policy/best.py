"""Who of equals is asked: targets of one rank, of which each would do.

Priority comes first, then those that need no translation, then (if the prompt's prefix is worth a
cache) rendezvous hashing, else fewest in flight per weight, ties at random by weight. Speed is no
criterion: a target that fails fast would look best.
"""

from collections.abc import Callable

from .affinity import prefix_of, score, weighted
from .slot import Slot

NOBODY: frozenset[str] = frozenset()
CROWD = 8
"""Attempts in flight from which on a target that has twice the load of another is crowded; fewer
are no load for any provider, and worth less than its cache."""


def best(
    slots: list[Slot],
    rng: Callable[[], float],
    affinity: bytes | None,
    second: frozenset[str],
) -> Slot:
    """Return the best of `slots`.

    Args:
        slots: At least one.
        rng: Uniform in [0, 1).
        affinity: A digest of the prompt's prefix, or None.
        second: Ids of targets that come behind others of their priority.
    """
    if second:
        slots = _first_hand(slots, second)
    if len(slots) == 1:
        return slots[0]
    if affinity is not None:
        return _fittest(slots, prefix_of(affinity))
    orders = [slot.order for slot in slots]
    lowest = min(orders)
    count = orders.count(lowest)
    if count == 1:
        return slots[orders.index(lowest)]
    if count < len(slots):
        slots = [slot for slot in slots if slot.order == lowest]
    return _drawn(slots, rng)


def _drawn(slots: list[Slot], rng: Callable[[], float]) -> Slot:
    """Return one of equals by chance, each as often as its weight says."""
    weights = [slot.weight for slot in slots]
    if weights.count(weights[0]) == len(slots):  # nearly always: no sum is needed
        return slots[int(rng() * len(slots))]
    point = rng() * sum(weights)
    for slot in slots:
        point -= slot.weight
        if point < 0.0:
            return slot
    return slots[-1]


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
