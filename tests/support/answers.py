"""Ready-made answers of a provider in the three formats, for the test provider's scripts.

Three builders per format: `*_json` (a whole answer), `*_events` (a stream's events as they are
on the wire, so that a test can compare bytes) and `*_stream` (the script that sends them).
All take the `How` keywords of `scripts.py`: status, headers, framing, gzip, surplus and so on.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, Unpack

from .scripts import How, Script, Step, close, event_stream, hang, reset, respond, sleep

Dialect: TypeAlias = Literal["chat", "messages", "responses"]
Ending: TypeAlias = Literal["fin", "reset", "hang", "clean", "half_event"]
Tokens: TypeAlias = tuple[int, int]
"""(input, output)."""
Tool: TypeAlias = tuple[str, dict[str, Any]]
"""(name, arguments) of one call the model makes."""

MODEL = "test-model"
TOKENS: Tokens = (9, 3)
WORDS = ("Hello", " there", "!")


def to_json(value: Any) -> bytes:
    """Return compact JSON, text not escaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _tokens(usage: Tokens | bool) -> Tokens | None:
    return (TOKENS if usage else None) if isinstance(usage, bool) else usage


# --- chat


def chat_usage(usage: Tokens) -> dict[str, Any]:
    """Return a chat usage object: `chat_usage((9, 3))`."""
    return {
        "prompt_tokens": usage[0],
        "completion_tokens": usage[1],
        "total_tokens": sum(usage),
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def chat_json(
    text: str = "Hello there!",
    *,
    model: str = MODEL,
    usage: Tokens | bool = True,
    finish: str = "stop",
    tool: Tool | None = None,
    **how: Unpack[How],
) -> Script:
    """Answer a chat request: `chat_json("hi", usage=(9, 3), headers=[("x-request-id", "r1")])`."""
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if tool:
        message |= {"content": None, "tool_calls": [{"id": "call_test", **_chat_call(tool)}]}
        finish = "tool_calls"
    body = {
        "id": "chatcmpl-test",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
    }
    if tokens := _tokens(usage):
        body["usage"] = chat_usage(tokens)
    return respond(to_json(body), **how)


def _chat_call(tool: Tool) -> dict[str, Any]:
    function = {"name": tool[0], "arguments": json.dumps(tool[1])}
    return {"type": "function", "function": function}


def chat_chunk(delta: dict[str, Any], finish: str | None = None, *, model: str = MODEL) -> bytes:
    """Return one chat event: `chat_chunk({"content": "hi"})`."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _chat_event({"choices": [choice]}, model)


def _chat_event(fields: dict[str, Any], model: str) -> bytes:
    frame = {"id": "chatcmpl-test", "object": "chat.completion.chunk", "created": 1_700_000_000}
    return b"data: %s\n\n" % to_json({**frame, "model": model, **fields})


def chat_events(
    words: Sequence[str] = WORDS,
    *,
    model: str = MODEL,
    usage: Tokens | bool = True,
    done: bool = True,
    finish: str | None = "stop",
    tool: Tool | None = None,
) -> list[bytes]:
    """Return a chat stream's events: `b"".join(chat_events(["a"]))` is what a client must get."""
    opening, middle, closing = _chat_parts(words, model, _tokens(usage), done, finish, tool)
    return [*opening, *middle, *closing]


Parts: TypeAlias = tuple[list[bytes], list[bytes], list[bytes]]
"""Events before the content, one per word, and after it."""


def _chat_parts(
    words: Sequence[str],
    model: str,
    tokens: Tokens | None,
    done: bool,
    finish: str | None,
    tool: Tool | None,
) -> Parts:
    middle = [chat_chunk({"content": word}, model=model) for word in words]
    if tool:
        call = _chat_call(tool)
        arguments = call["function"].pop("arguments")
        start = {"index": 0, "id": "call_test", **call}
        start["function"]["arguments"] = ""
        more = {"index": 0, "function": {"arguments": arguments}}
        middle = [chat_chunk({"tool_calls": [piece]}, model=model) for piece in (start, more)]
        finish = "tool_calls"
    closing = [chat_chunk({}, finish, model=model)] if finish else []
    if tokens:
        closing.append(_chat_event({"choices": [], "usage": chat_usage(tokens)}, model))
    if done:
        closing.append(b"data: [DONE]\n\n")
    return [chat_chunk({"role": "assistant", "content": ""}, model=model)], middle, closing


def chat_stream(
    words: Sequence[str] = WORDS,
    *,
    model: str = MODEL,
    usage: Tokens | bool = True,
    done: bool = True,
    finish: str | None = "stop",
    tool: Tool | None = None,
    cut_after: int | None = None,
    cut_by: Ending = "fin",
    error_after: int | None = None,
    gap_s: float = 0.0,
    **how: Unpack[How],
) -> Script:
    """Stream a chat answer: `chat_stream(["a", "b", "c"], cut_after=2, cut_by="reset")`.

    Args:
        words: One content event each.
        model: Name in every chunk.
        usage: (input, output) of the usage chunk; True = 9 and 3; False = none is sent.
        done: Whether `[DONE]` is sent.
        finish: The finish reason; None = no finish chunk.
        tool: A call to stream instead of words.
        cut_after: Content events to send before the stream breaks; 0 = only the role chunk.
        cut_by: How it breaks: `fin`, `reset`, `hang`, `clean` (a proper end of the body without
            a proper end of the stream), `half_event` (half of the next event, then FIN).
        error_after: Content events to send before an error event; the body then ends properly.
        gap_s: Pause before each content event.
        how: See `How`.
    """
    parts = _chat_parts(words, model, _tokens(usage), done, finish, tool)
    error = stream_error("chat")
    return event_stream(_broken(parts, error, cut_after, cut_by, error_after, gap_s), **how)


# --- messages


def messages_usage(usage: Tokens) -> dict[str, Any]:
    """Return a Messages usage object: `messages_usage((9, 3))`."""
    return {
        "input_tokens": usage[0],
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": usage[1],
    }


def messages_json(
    text: str = "Hello there!",
    *,
    model: str = MODEL,
    usage: Tokens = TOKENS,
    finish: str = "end_turn",
    tool: Tool | None = None,
    **how: Unpack[How],
) -> Script:
    """Answer a Messages request: `messages_json("hi", usage=(9, 3))`."""
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if tool:
        content = [{"type": "tool_use", "id": "toolu_test", "name": tool[0], "input": tool[1]}]
        finish = "tool_use"
    message = _message(model, usage) | {"content": content, "stop_reason": finish}
    return respond(to_json(message), **how)


def _message(model: str, usage: Tokens) -> dict[str, Any]:
    return {
        "id": "msg_test",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": messages_usage(usage),
    }


def messages_event(kind: str, **fields: Any) -> bytes:
    """Return one Messages event: `messages_event("ping")`."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), to_json({"type": kind, **fields}))


def messages_events(
    words: Sequence[str] = WORDS,
    *,
    model: str = MODEL,
    usage: Tokens = TOKENS,
    done: bool = True,
    finish: str | None = "end_turn",
    tool: Tool | None = None,
) -> list[bytes]:
    """Return a Messages stream's events: `b"".join(messages_events(["a"]))`."""
    opening, middle, closing = _messages_parts(words, model, usage, done, finish, tool)
    return [*opening, *middle, *closing]


def _messages_parts(
    words: Sequence[str],
    model: str,
    tokens: Tokens,
    done: bool,
    finish: str | None,
    tool: Tool | None,
) -> Parts:
    block: dict[str, Any] = {"type": "text", "text": ""}
    deltas: list[dict[str, Any]] = [{"type": "text_delta", "text": word} for word in words]
    if tool:
        block = {"type": "tool_use", "id": "toolu_test", "name": tool[0], "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(tool[1])}]
        finish = "tool_use"
    opening = [
        messages_event("message_start", message=_message(model, (tokens[0], 1))),
        messages_event("content_block_start", index=0, content_block=block),
        messages_event("ping"),
    ]
    middle = [messages_event("content_block_delta", index=0, delta=delta) for delta in deltas]
    closing = [messages_event("content_block_stop", index=0)]
    if finish:
        delta = {"stop_reason": finish, "stop_sequence": None}
        closing.append(messages_event("message_delta", delta=delta, usage=messages_usage(tokens)))
    if done:
        closing.append(messages_event("message_stop"))
    return opening, middle, closing


def messages_stream(
    words: Sequence[str] = WORDS,
    *,
    model: str = MODEL,
    usage: Tokens = TOKENS,
    done: bool = True,
    finish: str | None = "end_turn",
    tool: Tool | None = None,
    cut_after: int | None = None,
    cut_by: Ending = "fin",
    error_after: int | None = None,
    gap_s: float = 0.0,
    **how: Unpack[How],
) -> Script:
    """Stream a Messages answer: `messages_stream(["a", "b"], error_after=1)`; see `chat_stream`."""
    parts = _messages_parts(words, model, usage, done, finish, tool)
    error = stream_error("messages")
    return event_stream(_broken(parts, error, cut_after, cut_by, error_after, gap_s), **how)


# --- responses


def responses_usage(usage: Tokens) -> dict[str, Any]:
    """Return a Responses usage object: `responses_usage((9, 3))`."""
    return {
        "input_tokens": usage[0],
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage[1],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sum(usage),
    }


def _response(model: str) -> dict[str, Any]:
    return {
        "id": "resp_test",
        "object": "response",
        "created_at": 1_700_000_000,
        "completed_at": None,
        "status": "in_progress",
        "model": model,
        "output": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
    }


def _response_item(text: str, tool: Tool | None) -> dict[str, Any]:
    if tool:
        call = {"call_id": "call_test", "name": tool[0], "arguments": json.dumps(tool[1])}
        return {"id": "fc_test", "type": "function_call", "status": "completed", **call}
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"id": "msg_test", "type": "message", "status": "completed", "role": "assistant"}
    return {**item, "content": [part]}


def _completed(
    model: str, item: dict[str, Any], tokens: Tokens | None, incomplete: str | None
) -> dict[str, Any]:
    return _response(model) | {
        "status": "incomplete" if incomplete else "completed",
        "completed_at": None if incomplete else 1_700_000_001,
        "incomplete_details": {"reason": incomplete} if incomplete else None,
        "output": [item],
        "usage": responses_usage(tokens) if tokens else None,
    }


def responses_json(
    text: str = "Hello there!",
    *,
    model: str = MODEL,
    usage: Tokens | bool = True,
    incomplete: str | None = None,
    tool: Tool | None = None,
    **how: Unpack[How],
) -> Script:
    """Answer a Responses request: `responses_json("hi", incomplete="max_output_tokens")`."""
    item = _response_item(text, tool)
    return respond(to_json(_completed(model, item, _tokens(usage), incomplete)), **how)


def responses_events(
    words: Sequence[str] = WORDS,
    *,
    model: str = MODEL,
    usage: Tokens | bool = True,
    done: bool = True,
    incomplete: str | None = None,
    tool: Tool | None = None,
) -> list[bytes]:
    """Return a Responses stream's events: `b"".join(responses_events(["a"]))`."""
    opening, middle, closing = _responses_parts(
        words, model, _tokens(usage), done, incomplete, tool
    )
    return [*opening, *middle, *closing]


def _responses_parts(
    words: Sequence[str],
    model: str,
    tokens: Tokens | None,
    done: bool,
    incomplete: str | None,
    tool: Tool | None,
) -> Parts:
    item = _response_item("".join(words), tool)
    response = _response(model)
    started = [("response.created", {"response": response})]
    started.append(("response.in_progress", {"response": response}))
    opening, middle, closing = _item_events(item, words)
    if done:
        kind = "response.incomplete" if incomplete else "response.completed"
        closing.append((kind, {"response": _completed(model, item, tokens, incomplete)}))
    groups = [[*started, *opening], middle, closing]
    numbered: list[list[bytes]] = []
    number = 0
    for group in groups:
        numbered.append([])
        for kind, fields in group:
            numbered[-1].append(messages_event(kind, sequence_number=number, **fields))
            number += 1
    return numbered[0], numbered[1], numbered[2]


_Group: TypeAlias = list[tuple[str, dict[str, Any]]]


def _item_events(item: dict[str, Any], words: Sequence[str]) -> tuple[_Group, _Group, _Group]:
    """Return (kind, fields) of the events that open, fill and close one output item."""
    place = {"item_id": item["id"], "output_index": 0}
    done = ("response.output_item.done", {"output_index": 0, "item": item})
    if item["type"] == "function_call":
        kind, arguments = "response.function_call_arguments", item["arguments"]
        empty = item | {"status": "in_progress", "arguments": ""}
        return (
            [("response.output_item.added", {"output_index": 0, "item": empty})],
            [(f"{kind}.delta", {**place, "delta": arguments})],
            [(f"{kind}.done", {**place, "name": item["name"], "arguments": arguments}), done],
        )
    (part,) = item["content"]
    empty = item | {"status": "in_progress", "content": []}
    inside = {**place, "content_index": 0}
    return (
        [
            ("response.output_item.added", {"output_index": 0, "item": empty}),
            ("response.content_part.added", {**inside, "part": part | {"text": ""}}),
        ],
        [
            ("response.output_text.delta", {**inside, "delta": word, "logprobs": []})
            for word in words
        ],
        [
            ("response.output_text.done", {**inside, "text": part["text"], "logprobs": []}),
            ("response.content_part.done", {**inside, "part": part}),
            done,
        ],
    )


def responses_stream(
    words: Sequence[str] = WORDS,
    *,
    model: str = MODEL,
    usage: Tokens | bool = True,
    done: bool = True,
    incomplete: str | None = None,
    tool: Tool | None = None,
    cut_after: int | None = None,
    cut_by: Ending = "fin",
    error_after: int | None = None,
    gap_s: float = 0.0,
    **how: Unpack[How],
) -> Script:
    """Stream a Responses answer: `responses_stream(["a", "b"], cut_after=1)`; see `chat_stream`."""
    parts = _responses_parts(words, model, _tokens(usage), done, incomplete, tool)
    error = stream_error("responses")
    return event_stream(_broken(parts, error, cut_after, cut_by, error_after, gap_s), **how)


# --- breaking a stream, errors, the rest


def _broken(
    parts: Parts,
    error: bytes,
    cut_after: int | None,
    cut_by: Ending,
    error_after: int | None,
    gap_s: float,
) -> list[bytes | Step]:
    opening, middle, closing = parts
    stop_after = error_after if cut_after is None else cut_after
    pieces: list[bytes | Step] = [*opening]
    for event in middle[:stop_after]:
        if gap_s:
            pieces.append(sleep(gap_s))
        pieces.append(event)
    if cut_after is not None:
        if cut_by == "half_event":
            following = (middle[cut_after:] + closing)[0]
            pieces.append(following[: len(following) // 2])
        # RST may overtake what was just written: let it arrive first
        ends: dict[Ending, list[bytes | Step]] = {
            "fin": [close()],
            "half_event": [close()],
            "reset": [sleep(0.05), reset()],
            "hang": [hang()],
            "clean": [],
        }
        return [*pieces, *ends[cut_by]]
    return [*pieces, error] if error_after is not None else [*pieces, *closing]


def stream_error(
    dialect: Dialect,
    type_: str = "overloaded_error",
    message: str = "Overloaded",
    code: str | None = None,
) -> bytes:
    """Return an error event: `[*chat_events(["a"])[:2], stream_error("chat")]`."""
    if dialect == "messages":
        return messages_event("error", error={"type": type_, "message": message})
    if dialect == "responses":
        return messages_event("error", sequence_number=99, code=code, message=message, param=None)
    fields = {"message": message, "type": type_, "param": None, "code": code}
    return b"data: %s\n\n" % to_json({"error": fields})


def error(
    status: int,
    /,
    dialect: Dialect = "chat",
    type_: str = "",
    code: str | None = None,
    message: str = "the provider says no",
    *,
    param: str | None = None,
    error_code: str | None = None,
    **how: Unpack[How],
) -> Script:
    """Answer with an error: `error(429, "chat", headers=[("retry-after", "2")])`.

    `type_` defaults to what the format's provider uses for the status; `error_code` becomes
    Anthropic's `error.details.error_code`.
    """
    if dialect == "messages":
        inner: dict[str, Any] = {"type": type_ or _MESSAGES_TYPES.get(status, "api_error")}
        inner["message"] = message
        if error_code:
            inner["details"] = {"error_code": error_code}
        body: dict[str, Any] = {"type": "error", "error": inner, "request_id": "req_test"}
    else:
        default = _OPENAI_TYPES.get(status, "server_error")
        fields = {"message": message, "type": type_ or default, "param": param, "code": code}
        body = {"error": fields}
    how.setdefault("status", status)
    return respond(to_json(body), **how)


_MESSAGES_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OPENAI_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "permission_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}


def models_json(
    names: Sequence[str] = (MODEL,), dialect: Dialect = "chat", **how: Unpack[How]
) -> Script:
    """Answer a models request: `models_json(["a", "b"], "messages")`."""
    if dialect != "messages":
        entries = [
            {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "test"}
            for name in names
        ]
        return respond(to_json({"object": "list", "data": entries}), **how)
    models = [
        {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
        for name in names
    ]
    ends = {"first_id": names[0], "last_id": names[-1]} if names else {}
    return respond(to_json({"data": models, "has_more": False, **ends}), **how)


def embeddings_json(vector: Sequence[float] = (0.25, -0.5), **how: Unpack[How]) -> Script:
    """Answer an embeddings request with floats: `embeddings_json([0.1, 0.2])`."""
    item = {"object": "embedding", "index": 0, "embedding": list(vector)}
    usage = {"prompt_tokens": 2, "total_tokens": 2}
    return respond(
        to_json({"object": "list", "data": [item], "model": MODEL, "usage": usage}), **how
    )


def count_tokens_json(count: int = 9, **how: Unpack[How]) -> Script:
    """Answer a count_tokens request: `count_tokens_json(42)`."""
    return respond(to_json({"input_tokens": count}), **how)


def healthy(path: str, *, stream: bool, model: str, usage: bool = True) -> Script:
    """Answer like a healthy provider, judging by the path; what unscripted requests get."""
    name = path.rstrip("/").rpartition("/")[2]
    dialects: dict[str, Script] = {
        "completions": chat_stream(model=model, usage=usage) if stream else chat_json(model=model),
        "messages": messages_stream(model=model) if stream else messages_json(model=model),
        "responses": responses_stream(model=model) if stream else responses_json(model=model),
        "count_tokens": count_tokens_json(),
        "embeddings": embeddings_json(),
        "models": models_json(),
    }
    default = error(404, message="the test provider has no answer for this path")
    return dialects.get(name, default)
