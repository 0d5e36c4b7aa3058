"""Reads which tools the model may or must call, and says it to the upstream.

Two things must never happen: that `none` becomes `auto`, and that a subset of the tools becomes
all of them. Where an upstream has no word for a subset, only those tools are sent.
"""

from typing import Any

from .conversation import Choice, Conversation
from .passage import Passage, wrong

_PLAIN = ("auto", "none", "required")


def read_chat_choice(body: dict[str, Any], passage: Passage) -> Choice | None:
    """Read `tool_choice`, or `function_call` of older clients."""
    value = body.get("tool_choice")
    if value is None:
        value = body.get("function_call")
        if value is None:
            return None
        if isinstance(value, dict):
            return Choice("tool", [(passage.text(value.get("name"), "function_call.name"), None)])
        return _plain(value, "function_call")
    if not isinstance(value, dict):
        return _plain(value, "tool_choice")
    kind = value.get("type")
    if kind in ("function", "custom"):
        return Choice("tool", [_chat_name(value, "tool_choice", passage)])
    if kind == "allowed_tools":
        inner = passage.object(value.get("allowed_tools"), "tool_choice.allowed_tools")
        entries = passage.objects(inner.get("tools"), "tool_choice.allowed_tools.tools")
        names = [
            _chat_name(entry, path, passage)
            for path, entry in entries
            if entry.get("type") in ("function", "custom")
        ]
        return _allowed(inner.get("mode"), names, passage)
    raise passage.refusal("tool_choice", _quoted(kind))


def _chat_name(entry: dict[str, Any], path: str, passage: Passage) -> tuple[str, str | None]:
    kind = entry.get("type")
    inner = passage.object(entry.get(str(kind)), f"{path}.{kind}")
    return passage.text(inner.get("name"), f"{path}.{kind}.name"), None


def read_messages_choice(value: Any, passage: Passage) -> tuple[Choice | None, bool]:
    """Return the choice of a Messages request and whether calls may be parallel."""
    if value is None:
        return None, True
    value = passage.object(value, "tool_choice")
    is_parallel = value.get("disable_parallel_tool_use") is not True
    kind = value.get("type")
    if kind == "tool":
        name = passage.text(value.get("name"), "tool_choice.name")
        return Choice("tool", [(name, None)]), is_parallel
    if kind == "any":
        return Choice("required"), is_parallel
    if kind in ("auto", "none"):
        return Choice(kind), is_parallel
    raise passage.refusal("tool_choice", _quoted(kind))


def read_responses_choice(
    value: Any, conversation: Conversation, passage: Passage
) -> Choice | None:
    """Read `tool_choice` of a Responses request; the tools have been read before."""
    if value is None:
        return None
    if not isinstance(value, dict):
        return _plain(value, "tool_choice")
    kind = value.get("type")
    spaces: dict[str, str | None] = {}
    for tool in conversation.tools:
        if tool.namespace is None or tool.name not in spaces:
            spaces[tool.name] = tool.namespace
    if kind in ("function", "custom"):
        return Choice("tool", [_responses_name(value, "tool_choice", spaces, passage)])
    if kind == "allowed_tools":
        entries = passage.objects(value.get("tools"), "tool_choice.tools")
        names = [
            _responses_name(entry, path, spaces, passage)
            for path, entry in entries
            if entry.get("type") in ("function", "custom")
        ]
        return _allowed(value.get("mode"), names, passage)
    raise passage.refusal("tool_choice", _quoted(kind))


def _responses_name(
    entry: dict[str, Any], path: str, spaces: dict[str, str | None], passage: Passage
) -> tuple[str, str | None]:
    """Return a tool's name and namespace, which a choice may leave out.

    Args:
        entry: What names the tool.
        path: Where it stands.
        spaces: The namespace of each tool by its name; a tool without one comes first.
        passage: For refusals.
    """
    name = passage.text(entry.get("name"), f"{path}.name")
    space = entry.get("namespace")
    return name, space if isinstance(space, str) else spaces.get(name)


def _plain(value: Any, path: str) -> Choice:
    if value not in _PLAIN:
        raise wrong(path, "'auto', 'none', 'required' or an object that names a tool")
    return Choice(value)


def _allowed(mode: Any, names: list[tuple[str, str | None]], passage: Passage) -> Choice:
    if mode not in ("auto", "required"):
        raise wrong("tool_choice.mode", "'auto' or 'required'")
    if not names:
        raise passage.refusal("tool_choice", "that allows none of the client's own tools")
    return Choice(mode, names)


def _quoted(kind: Any) -> str:
    return f"'{kind}'" if isinstance(kind, str) else ""


def settle_choice(conversation: Conversation, passage: Passage) -> None:
    """Check the choice against the tools that are sent.

    Raises:
        RequestError: A tool is forced that is not there, or of a subset none is.
    """
    choice = conversation.choice
    if choice is None:
        return
    known = {(tool.name, tool.namespace) for tool in conversation.tools}
    if choice.mode == "tool":
        if choice.names[0] not in known:
            raise passage.refusal("tool_choice", f"of a tool '{choice.names[0][0]}' not in 'tools'")
    elif choice.names and known.isdisjoint(choice.names):
        raise passage.refusal("tool_choice", "that allows no tool of 'tools'")
    elif not known:
        if choice.mode == "required":
            passage.drop("tool_choice", "'required' without tools")
        conversation.choice = None


def narrow(conversation: Conversation) -> None:
    """Keep only the tools that the choice allows, for an upstream without a word for a subset."""
    choice = conversation.choice
    if choice is None or choice.mode == "tool" or not choice.names:
        return
    allowed = set(choice.names)
    conversation.tools = [
        tool for tool in conversation.tools if (tool.name, tool.namespace) in allowed
    ]
    conversation.choice = Choice(choice.mode)
