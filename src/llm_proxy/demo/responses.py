"""The demo's Responses dialect; errors and header fields are the Chat ones."""

from typing import Any

from . import chat
from .ask import Ask
from .dialect import Failure, Stamp, Stream, named_event
from .reply import Reply

status = chat.status
error = chat.error
headers = chat.headers


def document(ask: Ask, reply: Reply, stamp: Stamp) -> dict[str, Any]:
    """Return the whole answer as a JSON object."""
    return _finished(ask, reply, stamp, _item(reply, stamp))


def stream(ask: Ask, reply: Reply, stamp: Stamp) -> Stream:
    """Return the answer as a stream, in the event order of the API."""
    item = _item(reply, stamp)
    started = {"response": _response(ask, stamp)}
    opening = [("response.created", started), ("response.in_progress", started)]
    added, filled, done = _call_events(item) if reply.tool else _text_events(item, reply)
    finished = _finished(ask, reply, stamp, item)
    done.append((f"response.{finished['status']}", {"response": finished}))
    sent: list[list[bytes]] = []
    number = 0
    for group in ([*opening, *added], filled, done):
        events = [
            named_event(kind, {"sequence_number": number + at, **fields})
            for at, (kind, fields) in enumerate(group)
        ]
        number += len(events)
        sent.append(events)
    return Stream(*sent)


def error_event(failure: Failure, _stamp: Stamp) -> bytes:
    """Return an error within a stream."""
    fields = {"code": failure.code or "server_error", "message": failure.message, "param": None}
    return named_event("error", {"sequence_number": 0, **fields})


_Events = list[tuple[str, dict[str, Any]]]


def _text_events(item: dict[str, Any], reply: Reply) -> tuple[_Events, _Events, _Events]:
    (part,) = item["content"]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    empty = item | {"status": "in_progress", "content": []}
    return (
        [
            ("response.output_item.added", {"output_index": 0, "item": empty}),
            ("response.content_part.added", {**place, "part": part | {"text": ""}}),
        ],
        [
            ("response.output_text.delta", {**place, "delta": word, "logprobs": []})
            for word in reply.pieces
        ],
        [
            ("response.output_text.done", {**place, "text": reply.text, "logprobs": []}),
            ("response.content_part.done", {**place, "part": part}),
            ("response.output_item.done", {"output_index": 0, "item": item}),
        ],
    )


def _call_events(item: dict[str, Any]) -> tuple[_Events, _Events, _Events]:
    kind, arguments = "response.function_call_arguments", item["arguments"]
    place = {"item_id": item["id"], "output_index": 0}
    empty = item | {"status": "in_progress", "arguments": ""}
    pieces = [arguments[at : at + 8] for at in range(0, len(arguments), 8)]
    return (
        [("response.output_item.added", {"output_index": 0, "item": empty})],
        [(f"{kind}.delta", {**place, "delta": piece}) for piece in pieces],
        [
            (f"{kind}.done", {**place, "name": item["name"], "arguments": arguments}),
            ("response.output_item.done", {"output_index": 0, "item": item}),
        ],
    )


def _item(reply: Reply, stamp: Stamp) -> dict[str, Any]:
    if reply.tool is not None:
        name, arguments = reply.tool
        call = {"call_id": f"call_{stamp.id}", "name": name, "arguments": arguments}
        return {"id": f"fc_{stamp.id}", "type": "function_call", "status": "completed", **call}
    part = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
    return {
        "id": f"msg_{stamp.id}",
        "type": "message",
        "status": "incomplete" if reply.is_cut else "completed",
        "role": "assistant",
        "content": [part],
    }


def _response(ask: Ask, stamp: Stamp) -> dict[str, Any]:
    return {
        "id": f"resp_{stamp.id}",
        "object": "response",
        "created_at": stamp.at_s,
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": ask.max_tokens,
        "metadata": {},
        "model": ask.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
    }


def _finished(ask: Ask, reply: Reply, stamp: Stamp, item: dict[str, Any]) -> dict[str, Any]:
    return _response(ask, stamp) | {
        "status": "incomplete" if reply.is_cut else "completed",
        "completed_at": None if reply.is_cut else stamp.at_s,
        "incomplete_details": {"reason": "max_output_tokens"} if reply.is_cut else None,
        "output": [item],
        "usage": {
            "input_tokens": reply.input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": reply.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": reply.input_tokens + reply.output_tokens,
        },
    }
