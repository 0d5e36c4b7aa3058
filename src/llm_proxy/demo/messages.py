"""The demo's Messages dialect."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from .ask import Ask
from .dialect import Failure, Stamp, Stream, named_event
from .reply import Reply

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def document(ask: Ask, reply: Reply, stamp: Stamp) -> dict[str, Any]:
    """Return the whole answer as a JSON object."""
    content: list[dict[str, Any]] = [{"type": "text", "text": reply.text}] if reply.pieces else []
    if reply.tool is not None:
        name, arguments = reply.tool
        content.append(_block(name, stamp) | {"input": msgspec.json.decode(arguments)})
    return _message(ask, reply, stamp, reply.output_tokens) | {
        "content": content,
        "stop_reason": _stop_reason(reply),
    }


def stream(ask: Ask, reply: Reply, stamp: Stamp) -> Stream:
    """Return the answer as a stream, with a ping where Anthropic sends its first."""
    block: dict[str, Any] = {"type": "text", "text": ""}
    deltas: list[dict[str, Any]] = [{"type": "text_delta", "text": word} for word in reply.pieces]
    if reply.tool is not None:
        name, arguments = reply.tool
        block = _block(name, stamp) | {"input": {}}
        parts = ["", *(arguments[at : at + 8] for at in range(0, len(arguments), 8))]
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
    end = {"stop_reason": _stop_reason(reply), "stop_sequence": None}
    usage = _usage(reply, reply.output_tokens)
    return Stream(
        [
            named_event("message_start", {"message": _message(ask, reply, stamp, 1)}),
            named_event("content_block_start", {"index": 0, "content_block": block}),
            named_event("ping", {}),
        ],
        [named_event("content_block_delta", {"index": 0, "delta": delta}) for delta in deltas],
        [
            named_event("content_block_stop", {"index": 0}),
            named_event("message_delta", {"delta": end, "usage": usage}),
            named_event("message_stop", {}),
        ],
    )


def status(failure: Failure) -> int:
    """Return the HTTP status of an error."""
    return failure.messages_status or failure.status


def error(failure: Failure, stamp: Stamp) -> dict[str, Any]:
    """Return an error body."""
    inner = {"type": _TYPES.get(status(failure), "api_error"), "message": failure.message}
    return {"type": "error", "error": inner, "request_id": f"req_{stamp.id}"}


def error_event(failure: Failure, stamp: Stamp) -> bytes:
    """Return an error within a stream."""
    return named_event("error", error(failure, stamp))


def headers(stamp: Stamp) -> list[tuple[str, str]]:
    """Return Anthropic's header fields: request id, rate limits with room left."""
    reset = datetime.fromtimestamp(stamp.at_s + 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = [("request-id", f"req_{stamp.id}")]
    for kind, limit in (
        ("requests", 4000),
        ("input-tokens", 2_000_000),
        ("output-tokens", 400_000),
    ):
        fields += [
            (f"anthropic-ratelimit-{kind}-limit", str(limit)),
            (f"anthropic-ratelimit-{kind}-remaining", str(limit - 1)),
            (f"anthropic-ratelimit-{kind}-reset", reset),
        ]
    return fields


def _message(ask: Ask, reply: Reply, stamp: Stamp, output_tokens: int) -> dict[str, Any]:
    return {
        "id": f"msg_{stamp.id}",
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(reply, output_tokens),
    }


def _block(name: str, stamp: Stamp) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{stamp.id}", "name": name}


def _stop_reason(reply: Reply) -> str:
    if reply.tool is not None:
        return "tool_use"
    return "max_tokens" if reply.is_cut else "end_turn"


def _usage(reply: Reply, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": reply.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }
