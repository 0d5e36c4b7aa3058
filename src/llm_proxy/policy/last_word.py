"""What the client is told when no attempt answered: the most telling fault and when to come back.

The client retries too, and multiplies whatever happens here. So the last word is exact about
time (`Retry-After` is the soonest recovery of any usable target) and frank where repeating is
pointless (`x-should-retry: false`).
"""

from collections.abc import Sequence
from math import ceil

import msgspec

from llm_proxy.domain.faults import (
    CLIENT_FAULT,
    CONTENT_FILTERED,
    CONTEXT_TOO_LONG,
    DEADLINE,
    KEYS_BUSY,
    OVERLOADED,
    PAUSED,
    RATE_LIMITED,
    UNKNOWN_ID,
    Fault,
    Mark,
    Retry,
)

from .board import NO_VERDICT
from .limits_seen import Advice
from .slot import Slot, Standing

PATIENCE_S = 60.0
"""A longer `Retry-After` comes with `x-should-retry: false`: SDKs would hold their caller."""


class LastWord(msgspec.Struct, frozen=True):
    """What the client is told when no attempt answered.

    Attributes:
        fault: The most telling fault.
        index: Which of `Plan.faults` it is, so that its answer can be passed on; None = no
            attempt ended in it.
        retry_after_s: Whole seconds for `Retry-After`, at least 1; None = unknown.
        should_retry: For `x-should-retry`; None = leave it out.
        is_all_limited: Whether nothing but rate limits stood in the way.
        is_unanimous: Whether all attempts failed alike. Otherwise the provider's own
            `x-should-retry` must not go down: it knows of its own failure only.
        attempts: Connections tried or requests written.
    """

    fault: Fault
    index: int | None
    retry_after_s: float | None
    should_retry: bool | None
    is_all_limited: bool
    is_unanimous: bool
    attempts: int


def last_word(
    faults: Sequence[Fault],
    advices: Sequence[Advice | None],
    slots: Sequence[Slot],
    *,
    model: str,
    now: float,
    reason: str,
    attempts: int,
) -> LastWord:
    """Judge a request that got no answer.

    Args:
        faults: How its attempts ended, oldest first.
        advices: What each of them was told about waiting.
        slots: Its candidates.
        model: What was asked for.
        now: Loop time.
        reason: Why it was given up (`GiveUp.reason`).
        attempts: Connections tried or requests written.
    """
    # Who does not know an id has said nothing yet of those that could not be asked for it.
    telling = [fault for fault in faults if fault is not UNKNOWN_ID]
    is_all_limited = (
        all(fault is RATE_LIMITED for fault in telling) if telling else reason == "all limited"
    )
    index: int | None = None
    if is_all_limited:
        fault = RATE_LIMITED
        index = len(faults) - 1 - faults[::-1].index(RATE_LIMITED) if telling else None
    elif not faults and all(slot.is_paused for slot in slots):
        fault = PAUSED
    elif not faults and reason == "full":
        fault = KEYS_BUSY
    elif not faults or reason == "deadline":
        fault = DEADLINE
    else:
        index = max(range(len(faults)), key=lambda i: (_weight(faults[i]), i))
        fault = faults[index]
    told = advices[index] if index is not None else None
    if is_all_limited and len(telling) < len(faults):
        slots = [slot for slot in slots if slot.back_at(model, now) > now] or slots
    retry_after_s = _retry_after_s(fault, told, slots, model, now)
    return LastWord(
        fault=fault,
        index=index,
        retry_after_s=retry_after_s,
        should_retry=_should_retry(fault, retry_after_s),
        is_all_limited=is_all_limited,
        is_unanimous=all(other is fault for other in faults),
        attempts=attempts,
    )


def most_telling(words: Sequence[LastWord], starts: Sequence[int]) -> LastWord:
    """Return one last word out of those of several models.

    Args:
        words: One per model, in the order of asking.
        starts: How many faults were met before each of them.
    """
    is_all_limited = all(word.is_all_limited for word in words)
    best = max(range(len(words)), key=lambda at: (_weight(words[at].fault), at))
    word = words[best]
    waits = [w.retry_after_s for w in words if w.retry_after_s is not None]
    retry_after_s = min(waits) if is_all_limited and waits else word.retry_after_s
    return LastWord(
        fault=word.fault,
        index=None if word.index is None else starts[best] + word.index,
        retry_after_s=retry_after_s,
        should_retry=_should_retry(word.fault, retry_after_s),
        is_all_limited=is_all_limited,
        is_unanimous=all(w.is_unanimous and w.fault is word.fault for w in words),
        attempts=sum(w.attempts for w in words),
    )


def _weight(fault: Fault) -> int:
    """Return how much a fault tells the client; of equals the last one counts.

    What is true of the request itself helps most, then what may be over soon; that one upstream
    knows no such model, or that one key is bad, matters only if nothing else went wrong.
    """
    if fault is UNKNOWN_ID:
        return 0  # whoever could not be asked may know it
    if fault in NO_VERDICT:
        return 6
    if fault in (CONTENT_FILTERED, CLIENT_FAULT, CONTEXT_TOO_LONG):
        return 5
    if fault.mark in (Mark.TARGET, Mark.ADDRESS) or fault.retry is Retry.ANYWHERE:
        return 4
    if fault.retry in (Retry.EACH_ONCE, Retry.EACH_ADDRESS_ONCE, Retry.NEVER):
        return 3
    return 1 if fault is RATE_LIMITED else 2


def _retry_after_s(
    fault: Fault, told: Advice | None, slots: Sequence[Slot], model: str, now: float
) -> float | None:
    """Return whole seconds until asking again makes sense."""
    if fault is KEYS_BUSY:
        return 1.0
    if fault is OVERLOADED and told is not None:
        return float(max(1, ceil(told.wait_s)))
    if fault is not OVERLOADED and fault.mark not in (Mark.RATE, Mark.QUOTA):
        return None
    usable = [slot for slot in slots if slot.health(now) is not Standing.DEAD] or slots
    soonest_s = min(slot.back_at(model, now) for slot in usable) - now
    # A hair is taken off, or a sum of floats would round 30 s up to 31.
    return float(max(1, ceil(soonest_s - 1e-6)))


def _should_retry(fault: Fault, retry_after_s: float | None) -> bool | None:
    if fault.mark is Mark.QUOTA or (fault.status == 0 and fault.retry in _POINTLESS):
        return False
    if retry_after_s is not None and retry_after_s > PATIENCE_S:
        return False
    return None


_POINTLESS = (Retry.NEVER, Retry.EACH_ONCE, Retry.EACH_ADDRESS_ONCE)
"""With the provider's own status, these are answers to the request itself."""
