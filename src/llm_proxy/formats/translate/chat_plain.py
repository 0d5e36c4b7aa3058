"""The chunks that most of a chat stream consists of, read at a fifth of the cost.

A chunk that says anything else than one more piece of text, reasoning or arguments does not decode
as `Plain`, and takes the way on which everything is looked at.
"""

from typing import Annotated, Literal

import msgspec

_Nothing = Literal[""] | None
_NoEntries = Annotated[list[None], msgspec.Meta(max_length=0)] | None


class _Function(msgspec.Struct, gc=False):
    arguments: str
    name: _Nothing = None


class PlainCall(msgspec.Struct, gc=False):
    """More arguments of a call that is known."""

    index: int
    function: _Function
    id: str | None = None
    extra_content: None = None
    custom: None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: Annotated[list[PlainCall], msgspec.Meta(max_length=1)] | None = None
    refusal: _Nothing = None
    reasoning_details: _NoEntries = None
    annotations: _NoEntries = None
    function_call: None = None
    extra_content: None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta
    index: Literal[0] = 0
    finish_reason: _Nothing = None
    logprobs: None = None
    usage: None = None


class Plain(msgspec.Struct, gc=False):
    """A chunk with nothing but a delta."""

    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1, max_length=1)]
    usage: None = None
    error: None = None
    type: None = None
    x_groq: None = None
    base_resp: None = None


_read = msgspec.json.Decoder(Plain).decode


def read_plain(data: bytes) -> tuple[str, str, PlainCall | None] | None:
    """Return text, reasoning and call of a plain chunk, of which exactly one is not empty.

    Returns:
        None for any other chunk.
    """
    try:
        delta = _read(data).choices[0].delta
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    text, calls = delta.content, delta.tool_calls
    thought = delta.reasoning_content or delta.reasoning
    if text:
        return None if thought or calls else (text, "", None)
    if thought:
        return None if calls else ("", thought, None)
    return ("", "", calls[0]) if calls else None
