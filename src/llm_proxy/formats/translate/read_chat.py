"""Reads a Chat Completions request into the neutral form."""

from typing import Any

from . import history
from .choice import read_chat_choice
from .conversation import (
    AnswerFormat,
    Block,
    Conversation,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from .effort import read_level
from .fields import is_default
from .literal import dump_text
from .names import made_id
from .parts import read_chat_parts
from .passage import Passage, wrong
from .tools import read_chat_tools

LONGEST_USER = 256
"""Characters of an id of a user that Messages takes."""
_MESSAGE = frozenset(
    (
        "role",
        "content",
        "refusal",
        "name",
        "tool_calls",
        "tool_call_id",
        "function_call",
        "audio",
        "reasoning_content",
        "reasoning",
        "reasoning_details",
        "cache_control",
    )
)
_CALL = frozenset(("id", "index", "type", "function", "custom"))


def read_chat(body: dict[str, Any], same: dict[str, Any], passage: Passage) -> Conversation:
    """Return what a chat request says.

    Args:
        body: As `literal.load` reads it.
        same: What `fields.settle` found to be the same for the upstream.
        passage: For notes and refusals.

    Raises:
        RequestError: It holds what cannot be carried, or something of the wrong type.
    """
    conversation = Conversation(same=same)
    read_chat_tools(body, conversation, passage)
    conversation.choice = read_chat_choice(body, passage)
    conversation.is_parallel = body.get("parallel_tool_calls") is not False
    _read_messages(body.get("messages"), conversation, passage)
    limit = body.get("max_completion_tokens")
    conversation.max_tokens = body.get("max_tokens") if limit is None else limit
    conversation.temperature = body.get("temperature")
    conversation.top_p = body.get("top_p")
    conversation.top_k = body.get("top_k")
    conversation.stop = read_stop(body.get("stop"), "stop", passage)
    conversation.effort = read_level(body.get("reasoning_effort"), "reasoning_effort", passage)
    conversation.answer_format = _read_format(body.get("response_format"), passage)
    conversation.verbosity = body.get("verbosity")
    if body.get("logprobs") is True:
        conversation.top_logprobs = body.get("top_logprobs") or 0
    options = passage.object(body.get("stream_options") or {}, "stream_options")
    passage.context.wants_usage = options.get("include_usage") is True
    for name in ("safety_identifier", "user"):
        value = body.get(name)
        if value is None or name in same:
            continue
        if isinstance(value, str) and 0 < len(value) <= LONGEST_USER and not conversation.user:
            conversation.user = value
        elif not is_default(name, value):
            passage.ignore(name)
    return conversation


def _read_messages(value: Any, conversation: Conversation, passage: Passage) -> None:
    calls: dict[str, str] = {}
    for path, message in passage.objects(value, "messages"):
        if message.get("name") is not None and message.get("role") not in ("function", "tool"):
            passage.drop("messages.name")
        passage.rest(message, _MESSAGE, "messages")
        if message.get("cache_control") is not None:
            passage.ignore("cache_control")
        role = message.get("role")
        if role in ("system", "developer"):
            blocks: list[Block] = list(
                read_chat_parts(message.get("content"), f"{path}.content", passage)
            )
            turn = Turn("system", blocks, path)
            (conversation.turns or conversation.system).append(turn)
        elif role == "user":
            parts = read_chat_parts(message.get("content"), f"{path}.content", passage)
            conversation.turns.append(Turn("user", list(parts), path))
        elif role == "assistant":
            conversation.turns.append(_assistant(message, path, calls, passage))
        elif role in ("tool", "function"):
            result = _result(message, path, calls, passage)
            conversation.turns.append(Turn("user", [result], path))
        else:
            raise wrong(f"{path}.role", "system, developer, user, assistant, tool or function")


def _assistant(message: dict[str, Any], path: str, calls: dict[str, str], passage: Passage) -> Turn:
    if message.get("audio") is not None:
        raise passage.refusal(f"{path}.audio")
    blocks: list[Block] = [*history.from_chat(message)]
    content = message.get("content")
    if content is not None:
        blocks += read_chat_parts(content, f"{path}.content", passage)
    refusal = message.get("refusal")
    if refusal is not None:
        blocks.append(Text(passage.text(refusal, f"{path}.refusal")))
    for at, entry in passage.objects(message.get("tool_calls") or [], f"{path}.tool_calls"):
        blocks.append(_call(entry, at, passage))
    legacy = message.get("function_call")
    if legacy is not None:
        legacy = passage.object(legacy, f"{path}.function_call")
        name = passage.text(legacy.get("name"), f"{path}.function_call.name")
        call_id = made_id(f"{path} {name}")
        calls[name] = call_id
        arguments = _arguments(legacy.get("arguments"), f"{path}.function_call", passage)
        blocks.append(ToolCall(call_id, name, arguments, path=f"{path}.function_call"))
    return Turn("assistant", blocks, path)


def _call(entry: dict[str, Any], path: str, passage: Passage) -> ToolCall:
    passage.rest(entry, _CALL, "messages.tool_calls")
    call_id = passage.text(entry.get("id"), f"{path}.id")
    if entry.get("type") == "custom":
        inner = passage.object(entry.get("custom"), f"{path}.custom")
        name = passage.text(inner.get("name"), f"{path}.custom.name")
        text = passage.text(inner.get("input"), f"{path}.custom.input")
        return ToolCall(call_id, name, text, is_custom=True, path=path)
    inner = passage.object(entry.get("function"), f"{path}.function")
    name = passage.text(inner.get("name"), f"{path}.function.name")
    arguments = _arguments(inner.get("arguments"), f"{path}.function", passage)
    return ToolCall(call_id, name, arguments, path=path)


def _arguments(value: Any, path: str, passage: Passage) -> str:
    """Return a call's arguments as text; some clients send the object itself."""
    if isinstance(value, dict):
        return dump_text(value)
    if value is None or value == "":
        return "{}"
    return passage.text(value, f"{path}.arguments")


def _result(
    message: dict[str, Any], path: str, calls: dict[str, str], passage: Passage
) -> ToolResult:
    if message.get("role") == "function":
        name = passage.text(message.get("name"), f"{path}.name")
        call_id = calls.get(name) or made_id(f"{path} {name}")
    else:
        call_id = passage.text(message.get("tool_call_id"), f"{path}.tool_call_id")
    content = message.get("content")
    parts = read_chat_parts("" if content is None else content, f"{path}.content", passage)
    return ToolResult(call_id, parts, is_list=isinstance(content, list))


def read_stop(value: Any, path: str, passage: Passage) -> list[str]:
    """Read the texts that end an answer: one or a list."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value] if value else []
    if not isinstance(value, list):
        raise wrong(path, "a string or a list of strings")
    return [passage.text(item, f"{path}.{at}") for at, item in enumerate(value)]


def _read_format(value: Any, passage: Passage) -> AnswerFormat | None:
    if value is None:
        return None
    value = passage.object(value, "response_format")
    kind = value.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return AnswerFormat("json_object", "response_format")
    if kind != "json_schema":
        raise passage.refusal("response_format", f"of type '{kind}'" if kind else "")
    inner = passage.object(value.get("json_schema"), "response_format.json_schema")
    return read_schema(inner, "response_format", "response_format.json_schema", passage)


def read_schema(
    inner: dict[str, Any], path: str, inner_path: str, passage: Passage
) -> AnswerFormat:
    """Read name, schema, strictness and description of a schema for the answer."""
    name, description = inner.get("name"), inner.get("description")
    return AnswerFormat(
        "json_schema",
        path,
        schema=passage.object(inner.get("schema") or {}, f"{inner_path}.schema"),
        name="output" if name is None else passage.text(name, f"{inner_path}.name"),
        description=None
        if description is None
        else passage.text(description, f"{inner_path}.description"),
        strict=inner["strict"] if isinstance(inner.get("strict"), bool) else None,
    )
