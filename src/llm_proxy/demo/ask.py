"""Reads from a request, in any of the three formats, the little the demo needs to answer it."""

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import msgspec

Format: TypeAlias = Literal["chat", "messages", "responses"]


class Tool(msgspec.Struct, frozen=True):
    """A function the client offers."""

    name: str
    schema: dict[str, Any]


class Ask(msgspec.Struct, frozen=True):
    """A generation request, reduced.

    Attributes:
        format: The format it came in, so the format of the answer.
        model: As asked.
        stream: Whether a stream is wanted.
        wants_usage: Whether a chat stream ends with a usage chunk.
        text: What the user said last.
        tool: The first function on offer that may be called; None if there is none.
        tool_result: What the client's tool answered, when the conversation ends with that.
        schema: JSON schema the answer must follow; None = free text.
        max_tokens: Length limit; None = no limit.
        input_tokens: Rough size of the prompt.
    """

    format: Format
    model: str
    stream: bool = False
    wants_usage: bool = False
    text: str = ""
    tool: Tool | None = None
    tool_result: str | None = None
    schema: dict[str, Any] | None = None
    max_tokens: int | None = None
    input_tokens: int = 0


def read_ask(format_: Format, body: dict[str, Any]) -> Ask:
    """Reduce a decoded request body; whatever has an unexpected type counts as absent."""
    last = _last_turn(body)
    options = _dict(body.get("stream_options"))
    limits = [body.get(name) for name in _LIMITS]
    return Ask(
        format=format_,
        model=_text(body.get("model")),
        stream=body.get("stream") is True,
        wants_usage=options.get("include_usage") is True,
        text=_said(last),
        tool=_offered(body),
        tool_result=_tool_result(last),
        schema=_schema(body),
        max_tokens=next((n for n in limits if isinstance(n, int) and n > 0), None),
        input_tokens=estimate_tokens(body),
    )


def estimate_tokens(body: dict[str, Any]) -> int:
    """Guess the prompt's tokens: a quarter per ASCII character, two thirds per other one."""
    parts = [body.get(name) for name in ("system", "instructions", "messages", "input", "tools")]
    ascii_count = other_count = 0
    for text in _strings(parts):
        here = sum(character.isascii() for character in text)
        ascii_count += here
        other_count += len(text) - here
    return max(1, -(-ascii_count // 4) - (-2 * other_count // 3))


_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _strings(value: Any) -> Iterator[str]:
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            pending.extend(one.values())
        elif isinstance(one, list):
            pending.extend(one)


def _last_turn(body: dict[str, Any]) -> dict[str, Any]:
    """Return the last item of the conversation that is the user's or a tool's."""
    if isinstance(body.get("input"), str):
        return {"role": "user", "content": body["input"]}
    turns = [_dict(turn) for turn in _list(body.get("messages")) + _list(body.get("input"))]
    theirs = [turn for turn in turns if turn.get("role") in {"user", "tool"} or "output" in turn]
    return theirs[-1] if theirs else {}


def _said(turn: dict[str, Any]) -> str:
    content = turn.get("content")
    if isinstance(content, str):
        return content
    return " ".join(_text(_dict(part).get("text")) for part in _list(content)).strip()


def _tool_result(turn: dict[str, Any]) -> str | None:
    if "output" in turn:  # responses: function_call_output
        return " ".join(_strings(turn["output"]))
    if turn.get("role") == "tool":
        return _said(turn)
    for part in _list(turn.get("content")):
        if _dict(part).get("type") == "tool_result":
            result = part.get("content")
            return result if isinstance(result, str) else _said(part)
    return None


def _offered(body: dict[str, Any]) -> Tool | None:
    choice = body.get("tool_choice")
    if choice == "none" or _dict(choice).get("type") == "none":
        return None
    for tool in map(_dict, _list(body.get("tools"))):
        inner = _dict(tool.get("function")) or tool
        name = _text(inner.get("name"))
        schema = inner.get("parameters", inner.get("input_schema"))
        if name and isinstance(schema, dict):
            return Tool(name, schema)
    return None


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    for wanted in (
        body.get("response_format"),
        _dict(body.get("text")).get("format"),
        _dict(body.get("output_config")).get("format"),
        body.get("output_format"),
    ):
        described = _dict(wanted)
        if described.get("type") == "json_object":
            return {"type": "object"}
        if described.get("type") == "json_schema":
            inner = _dict(described.get("json_schema")) or described
            return _dict(inner.get("schema"))
    return None
