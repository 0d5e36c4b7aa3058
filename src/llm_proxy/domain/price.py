"""What an answer costs: prices per token, by time and size, and the sum for a count of tokens.

Money is whole numbers: prices in 10^-12 dollars per token (a price of $0.15 per million tokens is
150,000), costs in 10^-9 dollars. Unknown stays unknown: a cost is given only where every count
that it needs is known.
"""

import msgspec

from .usage import Usage

DAY_MS = 86_400_000

Rate = tuple[tuple[int, int], ...]
"""(more input tokens than, price) in ascending order; the last that applies holds for all tokens.
The first holds from 0 on."""


class Terms(msgspec.Struct, frozen=True):
    """Prices of one model while a condition holds.

    Attributes:
        input: Of input tokens.
        output: Of output tokens; None = there is no price, as for embeddings.
        cache_read: Of input tokens read from a cache; None = as `input`.
        cache_write: Of input tokens written to a cache; None = as `input`.
        from_ms: Wall clock from which they hold.
        daily: First minute of the day and the one behind the last, UTC; None = all day.
    """

    input: Rate
    output: Rate | None = None
    cache_read: Rate | None = None
    cache_write: Rate | None = None
    from_ms: int = 0
    daily: tuple[int, int] | None = None


def terms_at(terms: tuple[Terms, ...], at_ms: int) -> Terms:
    """Return which of a model's terms hold at a wall time: the last whose condition is met."""
    if len(terms) == 1:
        return terms[0]
    for one in reversed(terms):
        if one.from_ms <= at_ms and _is_in(one.daily, at_ms):
            return one
    return terms[0]


def cost_nano(terms: Terms, usage: Usage) -> int | None:
    """Return what an answer costs, in billionths of a dollar; None = unknown.

    Counts that cannot be (more cached than all input) make it unknown.
    """
    whole, output = usage.input, usage.output
    if whole is None or (output is None and terms.output is not None):
        return None
    if output and terms.output is None:
        return None
    read, write = usage.cache_read or 0, usage.cache_write or 0
    plain = whole - read - write
    if plain < 0:
        return None
    pico = plain * _price(terms.input, whole)
    if read:
        pico += read * _price(terms.cache_read or terms.input, whole)
    if write:
        pico += write * _price(terms.cache_write or terms.input, whole)
    if output and terms.output is not None:
        pico += output * _price(terms.output, whole)
    return (pico + 500) // 1000


def _price(rate: Rate, input_tokens: int) -> int:
    if len(rate) == 1:
        return rate[0][1]
    found = rate[0][1]
    for start, price in rate:
        if input_tokens > start:
            found = price
    return found


def _is_in(daily: tuple[int, int] | None, at_ms: int) -> bool:
    if daily is None:
        return True
    minute = at_ms % DAY_MS // 60_000
    first, end = daily
    return first <= minute < end if first <= end else minute >= first or minute < end
