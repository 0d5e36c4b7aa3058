"""Writes the neutral form as a Messages request.

The format is the strictest of the three: a limit is required, empty texts are refused, results
stand in the turn right behind their calls, reasoning goes back only with its signature, and
sampling, budgets and forced tools exclude each other.
"""

import base64
import binascii
from typing import Any

from . import effort, history
from .choice import narrow
from .conversation import (
    Block,
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
from .fields import is_default
from .literal import number, object_in
from .parts import is_address, split_data_url
from .passage import Passage, said
from .tools import custom_description, input_schema
from .turns import REMINDER, is_prefill, text_of

_JSON_RULE = "Respond with a single valid JSON object and nothing else."
_EPHEMERAL = {"type": "ephemeral"}
_ALONE = {"disable_parallel_tool_use": True}


def write_messages(conversation: Conversation, passage: Passage) -> dict[str, Any]:
    """Return the body for a Messages upstream, after what `request.py` puts first."""
    narrow(conversation)
    limit = conversation.max_tokens
    if limit is None:
        limit = passage.knobs.default_max_tokens
        passage.add("max_tokens")
    body: dict[str, Any] = {"max_tokens": limit}
    system = _system(conversation, passage)
    if system:
        body["system"] = system
    thinking = effort.to_messages(conversation, passage, number(limit))
    body["messages"] = _messages(conversation, passage)
    if conversation.tools:
        body["tools"] = [_tool(tool, passage) for tool in conversation.tools]
        body.update(said(tool_choice=_choice(conversation, passage)))
    _sampling(conversation, body, passage, is_thinking=thinking.is_on)
    if conversation.stop:
        body["stop_sequences"] = conversation.stop
    body.update(said(thinking=thinking.config))
    config = said(effort=thinking.level or None, format=_format(conversation, passage))
    if config:
        body["output_config"] = config
    if conversation.verbosity is not None and passage.context.client == "responses":
        passage.drop("text.verbosity")
    if conversation.user:
        body["metadata"] = {"user_id": conversation.user}
    if passage.context.is_stream:
        body["stream"] = True
    return body


def _format(conversation: Conversation, passage: Passage) -> dict[str, Any] | None:
    form = conversation.answer_format
    if form is None or form.kind != "json_schema":
        return None
    if passage.knobs.json_schema == "refuse":
        raise passage.refusal(form.path, "of type 'json_schema'")
    if form.strict is False:
        passage.change(form.path)
    return {"type": "json_schema", "schema": form.schema}


def _system(conversation: Conversation, passage: Passage) -> list[Any]:
    found = [
        _part(block, passage)
        for turn in conversation.system
        for block in turn.blocks
        if isinstance(block, Text) and block.text
    ]
    form = conversation.answer_format
    if form is not None and form.kind == "json_object":
        passage.change(form.path)
        found.append({"type": "text", "text": _JSON_RULE})
    return found


def _sampling(
    conversation: Conversation, body: dict[str, Any], passage: Passage, *, is_thinking: bool
) -> None:
    """Add temperature, `top_p` and `top_k`, as far as they go with each other and reasoning."""
    heat, top_p, top_k = conversation.temperature, conversation.top_p, conversation.top_k
    given = {"temperature": heat, "top_p": top_p, "top_k": top_k}
    if is_thinking:
        for name, value in given.items():
            if not is_default(name, value):
                passage.drop(name)
        return
    if heat is not None:
        amount = number(heat)
        if amount is not None and not 0 <= amount <= 1:
            passage.change("temperature")
            heat = 0 if amount < 0 else 1
        body["temperature"] = heat
    if top_p is not None and heat is None:
        body["top_p"] = top_p
    elif not is_default("top_p", top_p):
        passage.drop("top_p")
    if top_k is not None:
        body["top_k"] = top_k


def _messages(conversation: Conversation, passage: Passage) -> list[Any]:
    turns = _with_reminders(conversation.turns, passage)
    found: list[Any] = []
    for at, turn in enumerate(turns):
        is_last = at == len(turns) - 1
        if turn.role == "assistant":
            blocks = _assistant(turn, passage, is_prefill=is_last and is_prefill(turn))
        elif turn.role == "system":
            found.append({"role": "system", "content": text_of(turn)})
            continue
        else:
            blocks = [
                _user_block(block, passage)
                for block in turn.blocks
                if not isinstance(block, Text) or block.text
            ]
        if blocks:
            found.append({"role": turn.role, "content": _content(blocks)})
    return found


def _with_reminders(turns: list[Turn], passage: Passage) -> list[Turn]:
    """Put system messages amid the conversation where the upstream takes them.

    As `system` only right behind a user's turn; otherwise they are a text in the user's turn.
    """
    found: list[Turn] = []
    waiting: list[Block] = []
    for turn in turns:
        if turn.role == "system":
            text = text_of(turn)
            is_behind_user = bool(found) and found[-1].role == "user"
            if not text:
                continue
            if passage.knobs.mid_system == "system" and is_behind_user and not waiting:
                found.append(turn)
                continue
            passage.change(f"{turn.path}.role")
            block = Text(REMINDER.format(text))
            if is_behind_user:
                found[-1].blocks.append(block)
            else:
                waiting.append(block)
        elif waiting and turn.role == "user":
            at = sum(isinstance(block, ToolResult) for block in turn.blocks)
            blocks = [*turn.blocks[:at], *waiting, *turn.blocks[at:]]
            found.append(Turn("user", blocks, turn.path))
            waiting = []
        else:
            if waiting:
                found.append(Turn("user", waiting))
                waiting = []
            found.append(turn)
    if waiting:
        found.append(Turn("user", waiting))
    return found


def _content(blocks: list[Any]) -> Any:
    """Return a plain string where there is but one plain text."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"]
    return blocks


def _assistant(turn: Turn, passage: Passage, *, is_prefill: bool) -> list[Any]:
    reasoning: list[Any] = []
    rest: list[Any] = []
    is_first = bool(turn.blocks) and isinstance(turn.blocks[0], Reasoning)
    for block in turn.blocks:
        if isinstance(block, Reasoning):
            signed = history.to_messages(block, passage)
            # Behind a first one they keep their places among the calls, as they were signed.
            (rest if is_first else reasoning).extend(signed)
        elif isinstance(block, ToolCall):
            rest.append(_call(block, passage))
        elif isinstance(block, Text) and block.text:
            rest.append(_part(block, passage))
        elif not isinstance(block, Text):
            raise passage.refusal(turn.path, "(an assistant's turn that holds more than text)")
    if is_prefill and rest:
        passage.change("messages" if passage.context.client == "chat" else "input")
        _strip_end(rest)
    return reasoning + rest


def _strip_end(blocks: list[Any]) -> None:
    """Remove white space at the end of a last assistant turn, which the format refuses."""
    last = blocks[-1]
    if last.get("type") != "text":
        return
    text = last["text"].rstrip()
    if text:
        blocks[-1] = {**last, "text": text}
    else:
        blocks.pop()


def _call(call: ToolCall, passage: Passage) -> dict[str, Any]:
    if call.is_custom:
        given: Any = {"input": call.arguments}
    else:
        given = object_in(call.arguments)
        if given is None:
            passage.change(call.path)
            given = {"_invalid_json": call.arguments}
    return {
        "type": "tool_use",
        "id": passage.names.call(call.id),
        "name": passage.names.tool(call.name, call.namespace),
        "input": given,
    }


def _user_block(block: Block, passage: Passage) -> dict[str, Any]:
    if isinstance(block, ToolResult):
        return _result(block, passage)
    assert isinstance(block, Text | Image | Document)
    return _part(block, passage)


def _result(result: ToolResult, passage: Passage) -> dict[str, Any]:
    written: dict[str, Any] = {
        "type": "tool_result",
        "tool_use_id": passage.names.call(result.id),
    }
    parts = [part for part in result.parts if not isinstance(part, Text) or part.text]
    if result.is_list:
        if parts:
            written["content"] = [_part(part, passage) for part in parts]
    else:
        written["content"] = "".join(part.text for part in parts if isinstance(part, Text))
    if result.is_error:
        written["is_error"] = True
    return written


def _part(part: Part, passage: Passage) -> dict[str, Any]:
    written: dict[str, Any]
    if isinstance(part, Text):
        written = {"type": "text", "text": part.text}
    elif isinstance(part, Image):
        written = {"type": "image", "source": _image_source(part, passage)}
        if part.detail not in ("", "auto"):
            passage.ignore(f"{part.path}.detail")
    else:
        written = {"type": "document", "source": _document_source(part, passage)}
        if part.title:
            written["title"] = part.title
    cache = part.cache if part.cache is not None else part.mark and _EPHEMERAL
    if cache:
        written["cache_control"] = cache
    return written


def _image_source(image: Image, passage: Passage) -> dict[str, Any]:
    if is_address(image.url):
        return {"type": "url", "url": image.url}
    found = split_data_url(image.url)
    if found is None:
        raise passage.refusal(image.path, "that is no base64 data URL")
    return {"type": "base64", "media_type": found[0], "data": found[1]}


def _document_source(document: Document, passage: Passage) -> dict[str, Any]:
    if is_address(document.url):
        return {"type": "url", "url": document.url}
    found = split_data_url(document.url)
    if found is None:
        raise passage.refusal(document.path, "(a file that is no base64 data URL)")
    media_type, data = found
    if media_type == "application/pdf":
        return {"type": "base64", "media_type": media_type, "data": data}
    if not media_type.startswith("text/"):
        raise passage.refusal(document.path, f"(a file of type '{media_type}')")
    try:
        text = base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise passage.refusal(document.path, "(a text file that is not UTF-8)") from error
    return {"type": "text", "media_type": "text/plain", "data": text}


def _tool(tool: Tool, passage: Passage) -> dict[str, Any]:
    written: dict[str, Any] = {
        "name": passage.names.tool(tool.name, tool.namespace, is_custom=tool.is_custom)
    }
    description = custom_description(tool)
    if description is not None:
        written["description"] = description
    written["input_schema"] = input_schema(tool)
    if tool.is_strict:
        written["strict"] = True
    if tool.cache is not None:
        written["cache_control"] = tool.cache
    return written


def _choice(conversation: Conversation, passage: Passage) -> dict[str, Any] | None:
    choice = conversation.choice
    if choice is None:
        return None if conversation.is_parallel else {"type": "auto", **_ALONE}
    if choice.mode == "none":
        return {"type": "none"}
    written: dict[str, Any]
    if choice.mode == "tool":
        written = {"type": "tool", "name": passage.names.tool(*choice.names[0])}
    else:
        written = {"type": "any" if choice.mode == "required" else "auto"}
    return written if conversation.is_parallel else {**written, **_ALONE}
