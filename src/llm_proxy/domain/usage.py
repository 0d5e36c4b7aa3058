"""One normalised token count for every format."""

import msgspec


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of one answer; None = the upstream did not say. Never 0 for unknown.

    Attributes:
        input: All input tokens, cached and cache-written ones included.
        cache_read: Input tokens read from a cache.
        cache_write: Input tokens written to a cache, all lifetimes together.
        output: All output tokens, reasoning included.
        reasoning: Output tokens spent on reasoning.
    """

    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    output: int | None = None
    reasoning: int | None = None


UNKNOWN = Usage()
