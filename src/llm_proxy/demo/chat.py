"""The demo's Chat Completions dialect, and OpenAI's errors, which Responses shares."""

from typing import Any

import msgspec

from .ask import Ask
from .dialect import Failure, Stamp, Stream
from .reply import Reply

_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    429: "requests",
}


def document(ask: Ask, reply: Reply, stamp: Stamp) -> dict[str, Any]:
    """Return the whole answer as a JSON object."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.tool is not None:
        message["tool_calls"] = [_call(reply.tool, stamp)]
    else:
        message["annotations"] = []
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
    return _frame("chat.completion", ask, stamp) | {"choices": [choice], "usage": _usage(reply)}


def stream(ask: Ask, reply: Reply, stamp: Stamp) -> Stream:
    """Return the answer as a stream: role, words, finish, usage if asked for, `[DONE]`."""

    def chunk(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        fields = _frame("chat.completion.chunk", ask, stamp) | {"choices": choices}
        if ask.wants_usage:
            fields["usage"] = usage
        return b"data: %s\n\n" % msgspec.json.encode(fields)

    def piece(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}])

    deltas = [piece({"content": word}) for word in reply.pieces]
    if reply.tool is not None:
        name, arguments = reply.tool
        start = _call((name, ""), stamp) | {"index": 0}
        deltas = [piece({"tool_calls": [start]})]
        for at in range(0, len(arguments), 8):
            function = {"arguments": arguments[at : at + 8]}
            deltas.append(piece({"tool_calls": [{"index": 0, "function": function}]}))
    closing = [piece({}, _finish(reply))]
    if ask.wants_usage:
        closing.append(chunk([], _usage(reply)))
    return Stream(
        [piece({"role": "assistant", "content": "", "refusal": None})],
        deltas,
        [*closing, b"data: [DONE]\n\n"],
    )


def status(failure: Failure) -> int:
    """Return the HTTP status of an error."""
    return failure.status


def error(failure: Failure, _stamp: Stamp) -> dict[str, Any]:
    """Return an error body."""
    kind = _TYPES.get(failure.status, "server_error")
    if failure.code == "insufficient_quota":
        kind = failure.code
    fields = {"message": failure.message, "type": kind, "param": None, "code": failure.code}
    return {"error": fields}


def error_event(failure: Failure, stamp: Stamp) -> bytes:
    """Return an error within a stream."""
    return b"data: %s\n\n" % msgspec.json.encode(error(failure, stamp))


def headers(stamp: Stamp) -> list[tuple[str, str]]:
    """Return OpenAI's header fields: request id, version, rate limits with room left."""
    return [
        ("x-request-id", f"req_{stamp.id}"),
        ("openai-version", "2020-10-01"),
        ("openai-processing-ms", "12"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "2000000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "1999000"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-reset-tokens", "30ms"),
    ]


def _frame(kind: str, ask: Ask, stamp: Stamp) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{stamp.id}",
        "object": kind,
        "created": stamp.at_s,
        "model": ask.model,
        "service_tier": "default",
        "system_fingerprint": "fp_demo",
    }


def _call(tool: tuple[str, str], stamp: Stamp) -> dict[str, Any]:
    function = {"name": tool[0], "arguments": tool[1]}
    return {"id": f"call_{stamp.id}", "type": "function", "function": function}


def _finish(reply: Reply) -> str:
    if reply.tool is not None:
        return "tool_calls"
    return "length" if reply.is_cut else "stop"


def _usage(reply: Reply) -> dict[str, Any]:
    return {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reply.input_tokens + reply.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
