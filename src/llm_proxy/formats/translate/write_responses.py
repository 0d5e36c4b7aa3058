"""Writes the neutral form as a Responses request. Nothing is stored unless the client asked."""

from typing import Any

from . import effort, history
from .conversation import (
    Conversation,
    Document,
    Image,
    Part,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from .literal import number
from .parts import is_address
from .passage import Passage, said
from .tools import NO_INPUT
from .turns import is_prefill, note_hints, prefill_refusal, text_of
from .write_chat import result_text

_SECRET = "reasoning.encrypted_content"  # noqa: S105 - the name of something asked for
_LOGPROBS = "message.output_text.logprobs"
_SMALLEST_LIMIT = 16


def write_responses(conversation: Conversation, passage: Passage) -> dict[str, Any]:
    """Return the body for a Responses upstream, after what `request.py` puts first."""
    note_hints(conversation, passage)
    body: dict[str, Any] = {}
    leading = [turn for turn in conversation.system if text_of(turn)]
    if len(leading) == 1:
        body["instructions"] = text_of(leading[0])
        leading = []
    items = [_developer(turn) for turn in leading]
    custom = {
        block.id
        for turn in conversation.turns
        for block in turn.blocks
        if isinstance(block, ToolCall) and block.is_custom
    }
    for turn in conversation.turns:
        items += _turn_items(turn, custom, passage)
    body["input"] = items
    _refuse_prefill(conversation, passage)
    body.update(_tools(conversation, passage))
    body.update(
        said(
            max_output_tokens=_limit(conversation.max_tokens, passage),
            temperature=conversation.temperature,
            top_p=conversation.top_p,
        )
    )
    include: list[str] = []
    reasoning = effort.to_responses(conversation.effort)
    if reasoning:
        body["reasoning"] = reasoning
    if passage.context.client == "messages" or reasoning.get("effort", "none") != "none":
        include.append(_SECRET)
    if conversation.top_logprobs is not None:
        include.append(_LOGPROBS)
        if number(conversation.top_logprobs) != 0:
            body["top_logprobs"] = conversation.top_logprobs
    text = said(format=_format(conversation, passage), verbosity=conversation.verbosity)
    if text:
        body["text"] = text
    if include:
        body["include"] = include
    body["store"] = False
    body.update(conversation.same)
    if passage.context.is_stream:
        body["stream"] = True
    return body


def _tools(conversation: Conversation, passage: Passage) -> dict[str, Any]:
    """Return the tools and what belongs to them, nothing where there are none."""
    if not conversation.tools:
        return {}
    return said(
        tools=[_tool(tool, passage) for tool in conversation.tools],
        tool_choice=_choice(conversation, passage),
        parallel_tool_calls=None if conversation.is_parallel else False,
    )


def _limit(given: Any, passage: Passage) -> Any:
    amount = number(given)
    if amount is None or amount >= _SMALLEST_LIMIT:
        return given
    passage.change("max_tokens")
    return _SMALLEST_LIMIT


def _format(conversation: Conversation, passage: Passage) -> dict[str, Any] | None:
    form = conversation.answer_format
    if form is None:
        return None
    if form.kind == "json_object":
        return {"type": "json_object"}
    if passage.knobs.json_schema == "refuse":
        raise passage.refusal(form.path, "of type 'json_schema'")
    written: dict[str, Any] = {"type": "json_schema", "name": form.name}
    if form.description is not None:
        written["description"] = form.description
    written["schema"] = form.schema
    if form.strict is not None:
        written["strict"] = form.strict
    return written


def _refuse_prefill(conversation: Conversation, passage: Passage) -> None:
    if passage.context.client != "messages" or not conversation.turns:
        return
    if is_prefill(conversation.turns[-1]):
        raise prefill_refusal(passage)


def _developer(turn: Turn) -> dict[str, Any]:
    return _message("developer", text_of(turn))


def _message(role: str, content: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content}


def _turn_items(turn: Turn, custom: set[str], passage: Passage) -> list[Any]:
    if turn.role == "system":
        return [_developer(turn)] if text_of(turn) else []
    if turn.role == "assistant":
        return _assistant_items(turn, passage)
    found = [
        _output(block, passage, is_custom=block.id in custom)
        for block in turn.blocks
        if isinstance(block, ToolResult)
    ]
    parts = [
        _part(block)
        for block in turn.blocks
        if (isinstance(block, Text) and block.text) or isinstance(block, Image | Document)
    ]
    if parts:
        is_plain = len(parts) == 1 and parts[0].keys() == {"type", "text"}
        found.append(_message("user", parts[0]["text"] if is_plain else parts))
    return found


def _assistant_items(turn: Turn, passage: Passage) -> list[Any]:
    """Return reasoning, messages and calls as items of their own, texts side by side joined."""
    found: list[Any] = []
    texts: list[str] = []
    for block in turn.blocks:
        if isinstance(block, Text):
            texts.append(block.text)
            continue
        found += _said(texts)
        if isinstance(block, Reasoning):
            found += history.to_responses(block, passage)
        elif isinstance(block, ToolCall):
            found.append(_call(block, passage))
        else:
            raise passage.refusal(turn.path, "(an assistant's turn that holds more than text)")
    return found + _said(texts)


def _said(texts: list[str]) -> list[Any]:
    """Return a message of what was said since the last one, if anything."""
    text = "".join(texts)
    texts.clear()
    return [_message("assistant", text)] if text else []


def _call(call: ToolCall, passage: Passage) -> dict[str, Any]:
    kind, field = (
        ("custom_tool_call", "input") if call.is_custom else ("function_call", "arguments")
    )
    return {
        "type": kind,
        "call_id": passage.names.call(call.id),
        "name": passage.names.tool(call.name, call.namespace),
        field: call.arguments,
    }


def _output(result: ToolResult, passage: Passage, *, is_custom: bool) -> dict[str, Any]:
    output: Any
    if result.is_list:
        parts = [part for part in result.parts if not isinstance(part, Text) or part.text]
        if result.is_error:
            first = parts[0].text if parts and isinstance(parts[0], Text) else ""
            told = Text(result_text(first, result))
            parts = [told, *(parts[1:] if first else parts)]
        output = [_part(part) for part in parts] or ""
    else:
        text = "".join(part.text for part in result.parts if isinstance(part, Text))
        output = result_text(text, result)
    return {
        "type": "custom_tool_call_output" if is_custom else "function_call_output",
        "call_id": passage.names.call(result.id),
        "output": output,
    }


def _part(part: Part) -> dict[str, Any]:
    written: dict[str, Any]
    if isinstance(part, Text):
        written = {"type": "input_text", "text": part.text}
    elif isinstance(part, Image):
        written = {
            "type": "input_image",
            "image_url": part.url,
            "detail": part.detail or "auto",
        }
    else:
        field = "file_url" if is_address(part.url) else "file_data"
        written = {"type": "input_file", field: part.url}
        if part.title or field == "file_data":
            written["filename"] = part.title or "document.pdf"
    if part.mark is not None:
        written["prompt_cache_breakpoint"] = part.mark
    return written


def _tool(tool: Tool, passage: Passage) -> dict[str, Any]:
    if tool.cache is not None:
        passage.ignore("cache_control")
    written: dict[str, Any] = {
        "type": "custom" if tool.is_custom else "function",
        "name": passage.names.tool(tool.name, tool.namespace, is_custom=tool.is_custom),
    }
    if tool.description is not None:
        written["description"] = tool.description
    if not tool.is_custom:
        written["parameters"] = NO_INPUT if tool.schema is None else tool.schema
        written["strict"] = tool.is_strict
    elif tool.grammar is not None:
        syntax, definition = tool.grammar
        written["format"] = {"type": "grammar", "syntax": syntax, "definition": definition}
    return written


def _choice(conversation: Conversation, passage: Passage) -> Any:
    choice = conversation.choice
    if choice is None:
        return None
    custom = {(tool.name, tool.namespace) for tool in conversation.tools if tool.is_custom}
    named = [
        {
            "type": "custom" if name in custom else "function",
            "name": passage.names.tool(*name),
        }
        for name in choice.names
    ]
    if choice.mode == "tool":
        return named[0]
    if named:
        return {"type": "allowed_tools", "mode": choice.mode, "tools": named}
    return choice.mode
