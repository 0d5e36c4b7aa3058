"""Which target keeps a prompt's prefix in its cache: rendezvous hashing.

Requests that begin alike go to the same target, because providers bill a cached prefix at a
fraction. Every target gets a score for the prefix and the highest wins, so losing one moves only
its own share to the others. The scores are weighted: a target of weight 2 wins twice as often.
"""

from hashlib import blake2b
from math import log

_MASK = (1 << 64) - 1


def seed_of(target_id: str) -> int:
    """Return the 64 bits that stand for a target; computed once per target."""
    return int.from_bytes(blake2b(target_id.encode(), digest_size=8).digest(), "big")


def prefix_of(affinity: bytes) -> int:
    """Return the 64 bits that stand for a prompt's prefix, of which `affinity` is a digest."""
    return int.from_bytes(affinity[:8], "big")


def score(seed: int, prefix: int) -> int:
    """Return how well a target fits a prefix, 64 bits; higher is better.

    Two multiplications by splitmix64's constants with a shift between them. Cheaper mixes (a
    tuple's hash, a CRC) let the scores of two targets move together, so that one of them wins
    far more than its share; a digest per target would cost five times as much.
    """
    mixed = ((seed ^ prefix) * 0x9E3779B97F4A7C15) & _MASK
    return ((mixed ^ (mixed >> 32)) * 0xBF58476D1CE4E5B9) & _MASK


def weighted(fit: int, weight: float) -> float:
    """Return the score of a target of `weight`; of equal weights, the order of `score` stays."""
    # -weight / ln(uniform) is the weighted form; + 0.5 keeps the uniform off 0.
    return -weight / log(min((fit + 0.5) / 2.0**64, 1 - 2.0**-53))
