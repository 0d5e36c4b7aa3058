"""Reads the tools of a request, of all three formats.

Three kinds are told apart: functions, freeform (custom) tools, and tools that the provider runs or
whose input only its own models know. The last kind exists nowhere else: it is left out where other
tools remain, as coding agents list a web search among their own tools in every request; it is
refused where it is all there is, or forced.
"""

from typing import Any

from .conversation import Conversation, ProviderTool, Tool
from .passage import Passage

_HINTS = ("eager_input_streaming", "defer_loading", "output_schema", "async")
_FUNCTION = frozenset(("name", "description", "parameters", "strict"))
_MESSAGES = frozenset(
    ("type", "name", "description", "input_schema", "strict", "cache_control", "allowed_callers")
).union(_HINTS)
_RESPONSES = _FUNCTION.union(("type", "format", "allowed_callers"), _HINTS)
NO_INPUT = {"type": "object", "properties": {}}
"""The schema of a function that was declared without one."""
CUSTOM_INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
"""The schema of the function that stands for a freeform tool."""


def read_chat_tools(body: dict[str, Any], conversation: Conversation, passage: Passage) -> None:
    """Read `tools`, or `functions` of older clients, and `web_search_options`."""
    found = conversation.tools
    for path, entry in passage.objects(body.get("tools") or [], "tools"):
        kind = entry.get("type", "function")
        if kind == "function":
            inner = passage.object(entry.get("function"), f"{path}.function")
            tool = _chat_function(inner, f"{path}.function", passage)
        elif kind == "custom":
            inner = passage.object(entry.get("custom"), f"{path}.custom")
            tool = _custom(inner, f"{path}.custom", passage)
        else:
            conversation.provider_tools.append(ProviderTool(str(kind), str(kind), path))
            continue
        tool.cache = entry.get("cache_control") or inner.get("cache_control")
        passage.rest(entry, frozenset(("type", "function", "custom", "cache_control")), "tools")
        found.append(tool)
    for path, entry in passage.objects(body.get("functions") or [], "functions"):
        passage.context.is_legacy_functions = True
        found.append(_chat_function(entry, path, passage))
    if body.get("web_search_options") is not None:
        name = "web_search_options"
        conversation.provider_tools.append(ProviderTool(name, name, name))


def _chat_function(entry: dict[str, Any], path: str, passage: Passage) -> Tool:
    passage.rest(entry, _FUNCTION.union(("cache_control",)), "tools")
    return Tool(
        name=passage.text(entry.get("name"), f"{path}.name"),
        description=_description(entry, path, passage),
        schema=_schema(entry.get("parameters"), f"{path}.parameters", passage),
        is_strict=entry.get("strict") is True,
        path=path,
    )


def _custom(entry: dict[str, Any], path: str, passage: Passage) -> Tool:
    """Read a freeform tool; the chat format keeps its grammar one level deeper."""
    form = passage.object(entry.get("format") or {}, f"{path}.format")
    grammar = None
    if form.get("type") == "grammar":
        inner = passage.object(form.get("grammar", form), f"{path}.format.grammar")
        grammar = (
            passage.text(inner.get("syntax"), f"{path}.format.syntax"),
            passage.text(inner.get("definition"), f"{path}.format.definition"),
        )
    return Tool(
        name=passage.text(entry.get("name"), f"{path}.name"),
        description=_description(entry, path, passage),
        is_custom=True,
        grammar=grammar,
        path=path,
    )


def read_messages_tools(
    entries: Any, conversation: Conversation, passage: Passage, path: str = "tools"
) -> None:
    """Read `tools` of a Messages request."""
    for at, entry in passage.objects(entries or [], path):
        kind = entry.get("type") or "custom"
        if kind != "custom":
            name = entry.get("name")
            conversation.provider_tools.append(
                ProviderTool(str(kind), name if isinstance(name, str) else str(kind), at)
            )
            continue
        if not _is_callable(entry):
            passage.drop(at, _tool_words(entry))
            continue
        _note_hints(entry, passage)
        if entry.get("input_examples"):
            passage.drop(f"{at}.input_examples")
        passage.rest(entry, _MESSAGES.union(("input_examples",)), "tools")
        conversation.tools.append(
            Tool(
                name=passage.text(entry.get("name"), f"{at}.name"),
                description=_description(entry, at, passage),
                schema=_schema(entry.get("input_schema"), f"{at}.input_schema", passage),
                is_strict=entry.get("strict") is True,
                path=at,
            )
        )


def read_responses_tools(
    entries: Any,
    conversation: Conversation,
    passage: Passage,
    path: str = "tools",
    namespace: str | None = None,
) -> None:
    """Read `tools` of a Responses request, or those of a namespace or an input item."""
    for at, entry in passage.objects(entries or [], path):
        kind = entry.get("type")
        if kind == "namespace" and namespace is None:
            inner = passage.text(entry.get("name"), f"{at}.name")
            read_responses_tools(entry.get("tools"), conversation, passage, f"{at}.tools", inner)
            continue
        if kind not in ("function", "custom"):
            word = kind if isinstance(kind, str) else "without a type"
            conversation.provider_tools.append(ProviderTool(word, word, at))
            continue
        if not _is_callable(entry):
            passage.drop(at, _tool_words(entry))
            continue
        _note_hints(entry, passage)
        passage.rest(entry, _RESPONSES, "tools")
        if kind == "custom":
            tool = _custom(entry, at, passage)
        else:
            tool = Tool(
                name=passage.text(entry.get("name"), f"{at}.name"),
                description=_description(entry, at, passage),
                schema=_schema(entry.get("parameters"), f"{at}.parameters", passage),
                is_strict=entry.get("strict") is True,
                path=at,
            )
        tool.namespace = namespace
        conversation.tools.append(tool)


def _is_callable(entry: dict[str, Any]) -> bool:
    """Return whether the model itself may call a tool, not only code that the provider runs."""
    callers = entry.get("allowed_callers")
    return not isinstance(callers, list) or not callers or "direct" in callers


def _tool_words(entry: dict[str, Any]) -> str:
    name = entry.get("name")
    return f"tool '{name}'" if isinstance(name, str) else ""


def _note_hints(entry: dict[str, Any], passage: Passage) -> None:
    if entry.get("cache_control") is not None:
        passage.ignore("cache_control")
    for hint in _HINTS:
        if entry.get(hint):
            passage.ignore(f"tools.{hint}")


def _description(entry: dict[str, Any], path: str, passage: Passage) -> str | None:
    value = entry.get("description")
    return None if value is None else passage.text(value, f"{path}.description")


def _schema(value: Any, path: str, passage: Passage) -> Any:
    return None if value is None else passage.object(value, path)


def custom_description(tool: Tool) -> str | None:
    """Return the description of the function that stands for a freeform tool."""
    if tool.grammar is None:
        return tool.description
    syntax, definition = tool.grammar
    rule = f"The input must follow this {syntax} grammar:\n{definition}"
    return f"{tool.description}\n\n{rule}" if tool.description else rule


def settle_tools(conversation: Conversation, passage: Passage) -> None:
    """Leave out the provider's own tools, or refuse them where nothing else could be called.

    Raises:
        RequestError: They are all there is, or one is forced.
    """
    choice = conversation.choice
    forced = choice.names[0][0] if choice is not None and choice.mode == "tool" else None
    for tool in conversation.provider_tools:
        if not conversation.tools or forced in (tool.name, tool.kind):
            raise passage.refusal(tool.path, f"(tool '{tool.kind}' that the provider runs)")
        passage.drop(tool.path, f"(tool '{tool.kind}' that the provider runs)")


def input_schema(tool: Tool) -> Any:
    """Return the schema a function is sent with."""
    if tool.is_custom:
        return CUSTOM_INPUT
    return NO_INPUT if tool.schema is None else tool.schema
