"""The neutral form of an answer: what is heard from an upstream and told to a client, in order.

An upstream's stream and its JSON answer become the same pieces (`hear_*.py`), and pieces become
either form of the client's format (`tell_*.py`): so a stream adds up to the JSON answer.
"""

from typing import Any

import msgspec


class Text(msgspec.Struct, gc=False, frozen=True):
    """Some of the answer's text, never empty.

    Attributes:
        text: Any characters, half surrogate pairs included.
        logprobs: Of its tokens, as both OpenAI formats write them; None = none came.
    """

    text: str
    logprobs: Any = None


class TextEnd(msgspec.Struct, gc=False, frozen=True):
    """A run of text is over; more text is another run."""


class Refusal(msgspec.Struct, gc=False, frozen=True):
    """Some of the words with which the model declines, never empty."""

    text: str


class Reasoning(msgspec.Struct, gc=False, frozen=True):
    """Some readable reasoning, never empty."""

    text: str


class ReasoningEnd(msgspec.Struct, frozen=True):
    """A block of reasoning is over, and this is what its upstream wants back with it.

    Attributes:
        kind: See `markers.Marker`.
        data: What a marker of that kind carries; None = the text.
        signature: Anthropic's, for the kind `blocks`; empty = none came.
    """

    kind: str
    data: Any = None
    signature: str = ""


class HiddenReasoning(msgspec.Struct, frozen=True):
    """A block of reasoning without a readable word; attributes as in `ReasoningEnd`."""

    kind: str
    data: Any


class ToolStart(msgspec.Struct, frozen=True):
    """A call begins.

    Attributes:
        key: Tells the calls of one answer apart.
        id: The upstream's, empty where it gave none; behind `order.py` the client's.
        name: By which the upstream knows the tool, never empty.
        extra: `extra_content` of a chat upstream.
    """

    key: int
    id: str
    name: str
    extra: dict[str, Any] | None = None


class ToolArguments(msgspec.Struct, gc=False, frozen=True):
    """Some of a call's arguments as JSON text, never empty."""

    key: int
    text: str


class ToolEnd(msgspec.Struct, gc=False, frozen=True):
    """A call is complete."""

    key: int


class Citation(msgspec.Struct, gc=False, frozen=True):
    """A page that backs a part of the text.

    Attributes:
        url: Of the page.
        title: Of the page.
        start: Where the part begins in all text of the answer joined, in characters.
        end: Where it ends.
    """

    url: str
    title: str
    start: int
    end: int


class Finish(msgspec.Struct, frozen=True):
    """Why the answer ends.

    Attributes:
        reason: `stop` (also for tool calls: whether there are any, the pieces say), `stop_sequence`,
            `length`, `context` (the model's window is full), `declined` (the model's own words
            say no), `refusal` (the provider says no).
        stop_sequence: The one that was met.
        explanation: The upstream's words on a refusal.
    """

    reason: str = "stop"
    stop_sequence: str | None = None
    explanation: str = ""


Piece = (
    Text
    | TextEnd
    | Refusal
    | Reasoning
    | ReasoningEnd
    | HiddenReasoning
    | ToolStart
    | ToolArguments
    | ToolEnd
    | Citation
)
