"""Token counts from every place and spelling in which providers report them.

What is missing stays None: a zero would be a statement. Negative, fractional and absurd counts are
missing.
"""

from typing import Any

import msgspec

from llm_proxy.domain.usage import UNKNOWN, Usage

MAX_COUNT = 2**48
"""More is no count of tokens, and would not fit where records lie."""


def chat_usage(value: Any) -> Usage:
    """Read a Chat Completions `usage` object, or that of embeddings, images and the like.

    Cached tokens are part of the prompt's, unless they are more: then the provider reports the
    uncached part only. Reasoning is part of the completion's, unless the total says otherwise
    (xAI, Gemini).
    """
    if not isinstance(value, dict):
        return UNKNOWN
    details = _object(value, "prompt_tokens_details") or _object(value, "input_tokens_details")
    input_ = _first(value, "prompt_tokens", "input_tokens")
    read = _first(details, "cached_tokens")
    if read is None:
        read = _first(value, "prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")
    write = _first(details, "cache_write_tokens")
    if write is None:
        write = _first(value, "cache_creation_input_tokens")
    miss = _first(value, "prompt_cache_miss_tokens")
    if input_ is None and read is not None and miss is not None:
        input_ = read + miss
    if input_ is not None and read is not None and read > input_:
        input_ += read + (write or 0)
    output = _first(value, "completion_tokens", "output_tokens")
    inside = _object(value, "completion_tokens_details") or _object(value, "output_tokens_details")
    reasoning = _first(inside, "reasoning_tokens")
    if reasoning is None:
        reasoning = _first(value, "reasoning_tokens")
    if (
        reasoning
        and input_ is not None
        and output is not None
        and _first(value, "total_tokens") == input_ + output + reasoning
    ):
        output += reasoning
    return Usage(input_, read, write, output, reasoning)


def responses_usage(value: Any) -> Usage:
    """Read a Responses `usage` object; its cached tokens are part of the input's."""
    if not isinstance(value, dict):
        return UNKNOWN
    details = _object(value, "input_tokens_details")
    input_ = _first(value, "input_tokens")
    read = _first(details, "cached_tokens")
    write = _first(details, "cache_write_tokens")
    if input_ is not None and read is not None and read > input_:
        input_ += read + (write or 0)
    reasoning = _first(_object(value, "output_tokens_details"), "reasoning_tokens")
    return Usage(input_, read, write, _first(value, "output_tokens"), reasoning)


class MessagesUsage:
    """Collects the `usage` objects of one Messages answer.

    A stream reports twice and cumulatively: later values replace earlier ones, except that a zero
    on the input side never replaces a count, as some servers send zeros in one of the two.
    """

    __slots__ = ("_input", "_output", "_read", "_reasoning", "_write")

    def __init__(self) -> None:
        self._input: int | None = None
        self._read: int | None = None
        self._write: int | None = None
        self._output: int | None = None
        self._reasoning: int | None = None

    def add(self, value: Any) -> Usage:
        """Take a `usage` object and return all that is known so far.

        Messages count cached and cache-written tokens beside the input; here they are part of it.
        """
        if isinstance(value, dict):
            write = _first(value, "cache_creation_input_tokens")
            if write is None:
                write = _sum(_object(value, "cache_creation"))
            self._input = _newer(self._input, _first(value, "input_tokens"))
            self._read = _newer(self._read, _first(value, "cache_read_input_tokens"))
            self._write = _newer(self._write, write)
            output = _first(value, "output_tokens")
            if output is not None:
                self._output = output
            reasoning = _first(_object(value, "output_tokens_details"), "thinking_tokens")
            if reasoning is not None:
                self._reasoning = reasoning
        input_ = self._input
        if input_ is not None:
            input_ += (self._read or 0) + (self._write or 0)
        return Usage(input_, self._read, self._write, self._output, self._reasoning)


def messages_usage(value: Any) -> Usage:
    """Read the `usage` object of a whole Messages answer."""
    return MessagesUsage().add(value)


def merged(known: Usage, new: Usage) -> Usage:
    """Return `known` with what `new` says; an empty report after a full one changes nothing."""
    if known is UNKNOWN:
        return new
    if not new.input and not new.output:
        return known
    values = {name: getattr(new, name) for name in Usage.__struct_fields__}
    return msgspec.structs.replace(
        known, **{name: value for name, value in values.items() if value is not None}
    )


def _object(value: dict[str, Any], name: str) -> dict[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}


def _first(value: dict[str, Any], *names: str) -> int | None:
    for name in names:
        count = value.get(name)
        if type(count) is int and 0 <= count <= MAX_COUNT:
            return count
    return None


def _newer(known: int | None, new: int | None) -> int | None:
    return new if new or known is None else known


def _sum(value: dict[str, Any]) -> int | None:
    counts = [count for name in value if (count := _first(value, name)) is not None]
    return sum(counts) if counts else None
