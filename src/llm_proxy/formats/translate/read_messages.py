"""Reads a Messages request into the neutral form."""

from typing import Any

from . import history, markers
from .choice import read_messages_choice
from .conversation import (
    AnswerFormat,
    Block,
    Conversation,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from .effort import read_thinking
from .literal import dump_text, number
from .parts import messages_part, read_messages_parts
from .passage import Passage, wrong
from .read_chat import read_stop
from .tools import read_messages_tools

_MESSAGE = frozenset(("role", "content", "clear_at"))
_USE = frozenset(("type", "id", "name", "input", "cache_control", "caller", "toolset_name"))
_RESULT = frozenset(("type", "tool_use_id", "content", "is_error", "cache_control", "toolset_name"))
_BILLING = "x-anthropic-billing-header:"
_OMITTED = "[content omitted]"
_PROVIDER_BLOCKS = frozenset(
    (
        "server_tool_use",
        "container_upload",
        "fallback",
        "mcp_tool_use",
        "mcp_tool_listing",
        "mcp_tool_result",
    )
)


def read_messages(body: dict[str, Any], same: dict[str, Any], passage: Passage) -> Conversation:
    """Return what a Messages request says.

    Args:
        body: As `literal.load` reads it.
        same: What `fields.settle` found to be the same for the upstream.
        passage: For notes and refusals.

    Raises:
        RequestError: It holds what cannot be carried, or something of the wrong type.
    """
    conversation = Conversation(same=same)
    read_messages_tools(body.get("tools"), conversation, passage)
    conversation.choice, conversation.is_parallel = read_messages_choice(
        body.get("tool_choice"), passage
    )
    _read_system(body.get("system"), conversation, passage)
    _read_turns(body.get("messages"), conversation, passage)
    conversation.max_tokens = body.get("max_tokens")
    if number(conversation.max_tokens) == 0:
        raise passage.refusal("max_tokens", "of 0")
    conversation.temperature = body.get("temperature")
    conversation.top_p = body.get("top_p")
    conversation.top_k = body.get("top_k")
    conversation.stop = read_stop(body.get("stop_sequences"), "stop_sequences", passage)
    passage.context.stop_sequences = tuple(conversation.stop)
    conversation.effort = read_thinking(body, passage)
    conversation.answer_format = _read_format(body, passage)
    return conversation


def _read_system(value: Any, conversation: Conversation, passage: Passage) -> None:
    if value is None:
        return
    blocks: list[Block] = []
    if isinstance(value, str):
        blocks.append(Text(value))
    else:
        for path, entry in passage.objects(value, "system"):
            text = entry.get("text")
            if path == "system.0" and isinstance(text, str) and text.startswith(_BILLING):
                passage.ignore(path)  # differs with every request and would empty prefix caches
                continue
            blocks += messages_part(path, entry, passage)
    if blocks:
        conversation.system.append(Turn("system", blocks, "system"))


def _read_turns(value: Any, conversation: Conversation, passage: Passage) -> None:
    entries = list(passage.objects(value, "messages"))
    users = [at for at, (_, message) in enumerate(entries) if message.get("role") == "user"]
    last_user = users[-1] if users else -1
    removed: set[str] = set()
    for at, (path, message) in enumerate(entries):
        role = message.get("role")
        if role not in ("user", "assistant", "system"):
            raise wrong(f"{path}.role", "user, assistant or system")
        passage.rest(message, _MESSAGE, "messages")
        is_over = message.get("clear_at") == "next_user_message" and at < last_user
        content = message.get("content")
        if role == "system" and (is_over or content is None):
            continue  # shown for a turn that has passed, or only settings
        blocks: list[Block] = []
        if isinstance(content, str):
            blocks.append(Text(content))
        else:
            for inner, entry in passage.objects(content, f"{path}.content"):
                if entry.get("type") in ("tool_addition", "tool_removal"):
                    _change_tools(inner, entry, removed, conversation, passage)
                else:
                    blocks += _block(inner, entry, role, passage)
        if not blocks and role == "assistant" and content:
            blocks.append(Text(_OMITTED))
        conversation.turns.append(Turn(role, blocks, path))
    if removed:
        conversation.tools = [tool for tool in conversation.tools if tool.name not in removed]


def _block(path: str, entry: dict[str, Any], role: str, passage: Passage) -> list[Block]:
    """Read one block of a message; one that is left out gives none."""
    kind = entry.get("type")
    if kind == "tool_use" and role == "assistant":
        return [_use(path, entry, passage)]
    if kind == "tool_result" and role == "user":
        return [_result(path, entry, passage)]
    if kind in ("thinking", "redacted_thinking"):
        return [history.from_messages(entry, path, passage)]
    if kind == "compaction":
        return _compaction(path, entry, passage)
    if isinstance(kind, str) and (kind in _PROVIDER_BLOCKS or _is_provider_result(kind)):
        passage.drop(path, f"(block of type '{kind}')")
        return []
    return [*messages_part(path, entry, passage)]


def _is_provider_result(kind: str) -> bool:
    return kind.endswith("_tool_result")


def _use(path: str, entry: dict[str, Any], passage: Passage) -> ToolCall:
    passage.rest(entry, _USE, "messages.content")
    if entry.get("cache_control") is not None:
        passage.ignore("cache_control")
    call_id, extra = markers.split_tool_id(passage.text(entry.get("id"), f"{path}.id"))
    name = passage.text(entry.get("name"), f"{path}.name")
    given = entry.get("input")
    arguments = "{}" if given is None else dump_text(passage.object(given, f"{path}.input"))
    return ToolCall(call_id, name, arguments, extra=extra, path=path)


def _result(path: str, entry: dict[str, Any], passage: Passage) -> ToolResult:
    passage.rest(entry, _RESULT, "messages.content")
    if entry.get("cache_control") is not None:
        passage.ignore("cache_control")
    tool_use_id = passage.text(entry.get("tool_use_id"), f"{path}.tool_use_id")
    content = entry.get("content")
    parts = read_messages_parts("" if content is None else content, f"{path}.content", passage)
    return ToolResult(
        markers.split_tool_id(tool_use_id)[0],
        parts,
        is_list=isinstance(content, list) and bool(content),
        is_error=entry.get("is_error") is True,
    )


def _change_tools(
    path: str,
    entry: dict[str, Any],
    removed: set[str],
    conversation: Conversation,
    passage: Passage,
) -> None:
    """Apply a change of the tools amid the conversation; what counts is how it ends.

    Tools of the request are all sent, so one that is only added by its name is there already.
    """
    tool = passage.object(entry.get("tool"), f"{path}.tool")
    kind = tool.get("type")
    if kind == "tool_definition":
        read_messages_tools([tool.get("definition")], conversation, passage, f"{path}.tool")
        return
    if kind != "tool_reference":
        passage.drop(path, f"(block of type '{entry['type']}')")
        return
    name = passage.text(tool.get("name"), f"{path}.tool.name")
    if entry["type"] == "tool_removal":
        passage.change(path)
        removed.add(name)
    else:
        removed.discard(name)


def _compaction(path: str, entry: dict[str, Any], passage: Passage) -> list[Block]:
    content = entry.get("content")
    if content is not None:
        return [Text(passage.text(content, f"{path}.content"))]
    if entry.get("encrypted_content") is not None:
        raise passage.refusal(path, "(a compaction that only its provider can read)")
    return []


def _read_format(body: dict[str, Any], passage: Passage) -> AnswerFormat | None:
    config = passage.object(body.get("output_config") or {}, "output_config")
    passage.rest(config, frozenset(("effort", "format")), "output_config")
    path = "output_config.format"
    value = config.get("format")
    if value is None:
        path = "output_format"
        value = body.get("output_format")
        if value is None:
            return None
    value = passage.object(value, path)
    if value.get("type") != "json_schema":
        raise passage.refusal(path)
    schema = passage.object(value.get("schema"), f"{path}.schema")
    return AnswerFormat("json_schema", path, schema=schema, strict=True)
