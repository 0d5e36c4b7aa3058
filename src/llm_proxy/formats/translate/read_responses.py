"""Reads a Responses request into the neutral form."""

from typing import Any

from . import history, markers
from .choice import read_responses_choice
from .conversation import AnswerFormat, Block, Conversation, ToolCall, ToolResult, Turn
from .effort import read_level
from .literal import number
from .parts import read_responses_parts
from .passage import Passage, wrong
from .read_chat import LONGEST_USER, read_schema
from .tools import read_responses_tools

_ECHOED = (
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "max_output_tokens",
    "metadata",
    "text",
    "reasoning",
)
_LOGPROBS = "message.output_text.logprobs"
_SECRET = "reasoning.encrypted_content"  # noqa: S105 - the name of something asked for
_MESSAGE = frozenset(("type", "role", "content", "id", "status", "phase"))
_CALL = frozenset(
    ("type", "id", "call_id", "name", "namespace", "arguments", "input", "status", "caller")
)
_OUTPUT = frozenset(("type", "id", "call_id", "output", "status", "caller"))
_PROVIDER_ITEMS = (
    "compaction",
    "program",
    "mcp_",
    "computer_",
    "image_generation_call",
    "code_interpreter_call",
    "file_search_call",
    "web_search_call",
    "shell_call",
    "local_shell_call",
    "apply_patch_call",
    "tool_search_",
    "configuration_update",
)
"""Beginnings of the types of items that belong to tools or features left out anyway."""


def read_responses(body: dict[str, Any], same: dict[str, Any], passage: Passage) -> Conversation:
    """Return what a Responses request says.

    Args:
        body: As `literal.load` reads it.
        same: What `fields.settle` found to be the same for the upstream.
        passage: For notes and refusals.

    Raises:
        RequestError: It holds what cannot be carried, or something of the wrong type.
    """
    conversation = Conversation(same=same)
    passage.context.echo = {name: body[name] for name in _ECHOED if name in body}
    read_responses_tools(body.get("tools"), conversation, passage)
    instructions = body.get("instructions")
    if instructions is not None:
        parts = read_responses_parts(instructions, "instructions", passage)
        conversation.system.append(Turn("system", list(parts), "instructions"))
    _read_input(body.get("input"), conversation, passage)
    conversation.choice = read_responses_choice(body.get("tool_choice"), conversation, passage)
    conversation.is_parallel = body.get("parallel_tool_calls") is not False
    conversation.max_tokens = body.get("max_output_tokens")
    conversation.temperature = body.get("temperature")
    conversation.top_p = body.get("top_p")
    _read_reasoning(body.get("reasoning"), conversation, passage)
    _read_text(body.get("text"), conversation, passage)
    _read_include(body, conversation, passage)
    if body.get("store") is True:
        passage.change("store")
    user = body.get("user")
    if isinstance(user, str) and len(user) <= LONGEST_USER:
        conversation.user = user
    elif user is not None:
        passage.ignore("user")
    return conversation


def _read_input(value: Any, conversation: Conversation, passage: Passage) -> None:
    turns = conversation.turns
    if isinstance(value, str):
        turns.append(Turn("user", list(read_responses_parts(value, "input", passage)), "input"))
        return
    for path, item in passage.objects(value, "input"):
        kind = item.get("type")
        if kind == "message" or (kind is None and "role" in item):
            _add_message(path, item, conversation, passage)
        elif kind == "reasoning":
            _to_assistant(turns, [history.from_responses(item, path)], path)
        elif kind in ("function_call", "custom_tool_call"):
            _to_assistant(turns, [_call(path, item, passage)], path)
        elif kind in ("function_call_output", "custom_tool_call_output"):
            turns.append(Turn("user", [_output(path, item, passage)], path))
        elif kind == "additional_tools":
            read_responses_tools(item.get("tools"), conversation, passage, f"{path}.tools")
        else:
            _leave_out(path, kind, passage)


def _leave_out(path: str, kind: Any, passage: Passage) -> None:
    """Drop an item of a tool or feature that is left out anyway; refuse any other."""
    if not isinstance(kind, str):
        raise passage.refusal(path, "(item without a type)")
    if not kind.startswith(_PROVIDER_ITEMS):
        raise passage.refusal(path, f"(item of type '{kind}')")
    passage.drop(path, f"(item of type '{kind}')")


def _add_message(
    path: str, item: dict[str, Any], conversation: Conversation, passage: Passage
) -> None:
    turn = _message(path, item, passage)
    if turn.role == "assistant":
        _to_assistant(conversation.turns, turn.blocks, path)
    elif turn.role == "system" and not conversation.turns:
        conversation.system.append(turn)
    else:
        conversation.turns.append(turn)


def _to_assistant(turns: list[Turn], blocks: list[Block], path: str) -> None:
    """Add to the assistant's turn: its message, reasoning and calls are separate items."""
    if turns and turns[-1].role == "assistant":
        turns[-1].blocks.extend(blocks)
    else:
        turns.append(Turn("assistant", list(blocks), path))


def _message(path: str, item: dict[str, Any], passage: Passage) -> Turn:
    role = item.get("role")
    if role not in ("user", "assistant", "system", "developer"):
        raise wrong(f"{path}.role", "user, assistant, system or developer")
    if item.get("phase") is not None:
        passage.ignore("input.phase")
    passage.rest(item, _MESSAGE, "input")
    parts = read_responses_parts(item.get("content"), f"{path}.content", passage)
    return Turn("system" if role == "developer" else role, list(parts), path)


def _call(path: str, item: dict[str, Any], passage: Passage) -> ToolCall:
    passage.rest(item, _CALL, "input")
    call_id, extra = markers.split_tool_id(passage.text(item.get("call_id"), f"{path}.call_id"))
    space = item.get("namespace")
    is_custom = item.get("type") == "custom_tool_call"
    field = "input" if is_custom else "arguments"
    given = item.get(field)
    text = "" if given is None else passage.text(given, f"{path}.{field}")
    return ToolCall(
        call_id,
        passage.text(item.get("name"), f"{path}.name"),
        text if is_custom else text or "{}",
        namespace=None if space is None else passage.text(space, f"{path}.namespace"),
        is_custom=is_custom,
        extra=extra,
        path=path,
    )


def _output(path: str, item: dict[str, Any], passage: Passage) -> ToolResult:
    passage.rest(item, _OUTPUT, "input")
    call_id = passage.text(item.get("call_id"), f"{path}.call_id")
    output = item.get("output")
    return ToolResult(
        markers.split_tool_id(call_id)[0],
        read_responses_parts("" if output is None else output, f"{path}.output", passage),
        is_list=isinstance(output, list),
        is_error=item.get("status") == "incomplete",
    )


def _read_reasoning(value: Any, conversation: Conversation, passage: Passage) -> None:
    value = passage.object({} if value is None else value, "reasoning")
    conversation.effort = read_level(value.get("effort"), "reasoning.effort", passage)
    summary = value.get("summary") or value.get("generate_summary")
    passage.context.shows_reasoning = summary is not None
    for name in ("context", "mode"):
        if value.get(name) not in (None, "auto", "standard"):
            passage.drop(f"reasoning.{name}")
    known = frozenset(("effort", "summary", "generate_summary", "context", "mode"))
    passage.rest(value, known, "reasoning")


def _read_text(value: Any, conversation: Conversation, passage: Passage) -> None:
    value = passage.object({} if value is None else value, "text")
    conversation.verbosity = value.get("verbosity")
    passage.rest(value, frozenset(("format", "verbosity")), "text")
    form = passage.object(value.get("format") or {}, "text.format")
    kind = form.get("type", "text")
    if kind == "json_object":
        conversation.answer_format = AnswerFormat("json_object", "text.format")
    elif kind == "json_schema":
        conversation.answer_format = read_schema(form, "text.format", "text.format", passage)
    elif kind != "text":
        raise passage.refusal("text.format", f"of type '{kind}'" if isinstance(kind, str) else "")


def _read_include(body: dict[str, Any], conversation: Conversation, passage: Passage) -> None:
    wanted = body.get("include")
    if wanted is None:
        wanted = []
    if not isinstance(wanted, list):
        raise wrong("include", "a list")
    top = body.get("top_logprobs")
    if _LOGPROBS in wanted or number(top):
        if passage.context.upstream == "messages":
            raise passage.refusal("include", f"of '{_LOGPROBS}'")
        conversation.top_logprobs = 0 if top is None else top
    if any(item not in (_LOGPROBS, _SECRET) for item in wanted):
        passage.ignore("include")
