"""Writes the neutral form as a Chat Completions request.

What only newer servers of this format understand is avoided where an older form says the same:
system and tool messages are strings, user messages too unless they hold more than text.
"""

from typing import Any

from . import effort, history
from .choice import narrow
from .conversation import (
    AnswerFormat,
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
from .literal import dump_text, number
from .passage import Passage, said
from .tools import custom_description, input_schema
from .turns import REMINDER, is_prefill, note_hints, prefill_refusal, text_of

_ERROR = "Error: "
_STREAM_USAGE = {"stream_options": {"include_usage": True}}


def write_chat(conversation: Conversation, passage: Passage) -> dict[str, Any]:
    """Return the body for a chat upstream, after what `request.py` puts first."""
    knobs = passage.knobs
    if not passage.host_is_openai:
        narrow(conversation)  # few servers know `allowed_tools`
    note_hints(conversation, passage)
    body: dict[str, Any] = {"messages": _messages(conversation, passage)}
    body.update(_tools(conversation, passage))
    if conversation.max_tokens is not None:
        body[knobs.max_tokens_field] = conversation.max_tokens
    body.update(_sampling(conversation, passage))
    body.update(effort.to_chat(conversation.effort, passage))
    if conversation.answer_format is not None:
        body["response_format"] = _format(conversation.answer_format, passage)
    body.update(_details(conversation, passage))
    if passage.context.is_stream:
        body["stream"] = True
        body.update(_STREAM_USAGE if knobs.stream_options else {})
    _prefill(conversation, body, passage)
    return body


def _sampling(conversation: Conversation, passage: Passage) -> dict[str, Any]:
    if conversation.top_k is not None and not passage.knobs.top_k:
        passage.drop("top_k")
        conversation.top_k = None
    return said(
        temperature=conversation.temperature,
        top_p=conversation.top_p,
        top_k=conversation.top_k,
        stop=conversation.stop or None,
    )


def _details(conversation: Conversation, passage: Passage) -> dict[str, Any]:
    """Return verbosity, which only OpenAI knows, and probabilities of tokens."""
    found: dict[str, Any] = {}
    if passage.host_is_openai:
        found = said(verbosity=conversation.verbosity)
    elif conversation.verbosity is not None:
        passage.drop("text.verbosity")
    if conversation.top_logprobs is not None:
        found["logprobs"] = True
        if number(conversation.top_logprobs) != 0:
            found["top_logprobs"] = conversation.top_logprobs
    return found


def _tools(conversation: Conversation, passage: Passage) -> dict[str, Any]:
    """Return the tools and what belongs to them, nothing where there are none."""
    if not conversation.tools:
        return {}
    return said(
        tools=[_tool(tool, passage) for tool in conversation.tools],
        tool_choice=_choice(conversation, passage),
        parallel_tool_calls=None if conversation.is_parallel else False,
    )


def _messages(conversation: Conversation, passage: Passage) -> list[Any]:
    found: list[Any] = []
    system = "\n\n".join(filter(None, map(text_of, conversation.system)))
    if system:
        found.append({"role": "system", "content": system})
    order: list[str] = []
    for turn in conversation.turns:
        if turn.role == "assistant":
            order = [block.id for block in turn.blocks if isinstance(block, ToolCall)]
            found.append(_assistant(turn, passage))
        elif turn.role == "system":
            found.extend(_mid_system(turn, passage))
        else:
            found.extend(_user(turn, order, passage))
    return found


def _mid_system(turn: Turn, passage: Passage) -> list[Any]:
    text = text_of(turn)
    if not text:
        return []
    role = passage.knobs.mid_system
    if role == "user":
        passage.change(f"{turn.path}.role")
        text = REMINDER.format(text)
    return [{"role": role, "content": text}]


def _assistant(turn: Turn, passage: Passage) -> dict[str, Any]:
    text = "".join(block.text for block in turn.blocks if isinstance(block, Text))
    calls = [_call(block, passage) for block in turn.blocks if isinstance(block, ToolCall)]
    message: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else "")}
    reasoning = [block for block in turn.blocks if isinstance(block, Reasoning)]
    fields = history.to_chat(reasoning, passage)
    thought = fields.pop(history.PARTS_FIELD, "")
    if thought:
        part = {"type": "thinking", "thinking": [{"type": "text", "text": thought}]}
        message["content"] = [part, {"type": "text", "text": text}] if text else [part]
    message.update(fields)
    if calls:
        message["tool_calls"] = calls
    return message


def _call(call: ToolCall, passage: Passage) -> dict[str, Any]:
    arguments = dump_text({"input": call.arguments}) if call.is_custom else call.arguments
    written: dict[str, Any] = {
        "id": passage.names.call(call.id),
        "type": "function",
        "function": {
            "name": passage.names.tool(call.name, call.namespace),
            "arguments": arguments,
        },
    }
    if call.extra is not None:
        written["extra_content"] = call.extra
    return written


def _user(turn: Turn, order: list[str], passage: Passage) -> list[Any]:
    """Return one message for every result, in the order of the calls, then one with the rest.

    Tool messages hold only text. What else a result shows follows in the user message, as a model
    that is not shown it would invent it.
    """
    results = [block for block in turn.blocks if isinstance(block, ToolResult)]
    places = {call_id: at for at, call_id in enumerate(order)}
    results.sort(key=lambda result: places.get(result.id, len(places)))
    found: list[Any] = []
    shown: list[Part] = []
    count = 0
    for result in results:
        words: list[str] = []
        for part in result.parts:
            if isinstance(part, Text):
                words.append(part.text)
                continue
            count += 1
            kind = "image" if isinstance(part, Image) else "document"
            words.append(f"[{kind} {count}: see next message]")
            told = f"{kind.capitalize()} {count} from tool result {passage.names.call(result.id)}:"
            shown += [Text(told), part]
        text = result_text("\n".join(words), result)
        call_id = passage.names.call(result.id)
        found.append({"role": "tool", "tool_call_id": call_id, "content": text})
    rest = [block for block in turn.blocks if isinstance(block, Text | Image | Document)]
    parts = [part for part in (*shown, *rest) if not isinstance(part, Text) or part.text]
    if parts:
        found.append({"role": "user", "content": _content(parts, passage)})
    return found


def result_text(text: str, result: ToolResult) -> str:
    """Return what a tool said; where a format has no flag for failure, the text says it."""
    if not result.is_error or text.lower().startswith("error"):
        return text
    return _ERROR + text


def _content(parts: list[Part], passage: Passage) -> Any:
    if all(isinstance(part, Text) for part in parts):
        return "\n\n".join(part.text for part in parts if isinstance(part, Text))
    return [_part(part, passage) for part in parts]


def _part(part: Part, passage: Passage) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        image = {"url": part.url}
        if part.detail:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}
    if part.url[:5].lower() != "data:":
        raise passage.refusal(part.path, "(a document that lies elsewhere)")
    is_pdf = part.url[:20].lower().startswith("data:application/pdf")
    title = part.title or ("document.pdf" if is_pdf else "document")
    return {"type": "file", "file": {"filename": title, "file_data": part.url}}


def _tool(tool: Tool, passage: Passage) -> dict[str, Any]:
    if tool.cache is not None:
        passage.ignore("cache_control")
    function: dict[str, Any] = {
        "name": passage.names.tool(tool.name, tool.namespace, is_custom=tool.is_custom)
    }
    description = custom_description(tool)
    if description is not None:
        function["description"] = description
    function["parameters"] = input_schema(tool)
    if tool.is_strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _choice(conversation: Conversation, passage: Passage) -> Any:
    choice = conversation.choice
    if choice is None:
        return None
    named = [
        {"type": "function", "function": {"name": passage.names.tool(*name)}}
        for name in choice.names
    ]
    if choice.mode == "tool":
        return named[0]
    if named:
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": named}}
    return choice.mode


def _format(form: AnswerFormat, passage: Passage) -> dict[str, Any]:
    if form.kind == "json_object":
        return {"type": "json_object"}
    if passage.knobs.json_schema == "refuse":
        raise passage.refusal(form.path, "of type 'json_schema'")
    schema: dict[str, Any] = {"name": form.name}
    if form.description is not None:
        schema["description"] = form.description
    schema["schema"] = form.schema
    if form.strict is not None:
        schema["strict"] = form.strict
    return {"type": "json_schema", "json_schema": schema}


def _prefill(conversation: Conversation, body: dict[str, Any], passage: Passage) -> None:
    """Say how a last assistant message of a Messages client is to be continued."""
    if passage.context.client != "messages" or not conversation.turns:
        return
    last = conversation.turns[-1]
    if not is_prefill(last):
        return
    style = passage.knobs.prefill
    if style == "refuse":
        raise prefill_refusal(passage)
    passage.context.prefill = "".join(
        block.text for block in last.blocks if isinstance(block, Text)
    )
    if style in ("prefix", "partial"):
        body["messages"][-1][style] = True
    elif style == "continue_final_message":
        body["continue_final_message"] = True
        body["add_generation_prompt"] = False
