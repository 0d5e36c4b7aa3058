"""What is asked and what must come back: the same bytes for every target.

Sixteen variants of each request differ in length and content, so nothing that remembers
identical bytes can look fast. The provider and the load build them from the same code, in
different processes, so every request and every answer is compared byte by byte.
"""

from typing import NamedTuple

import msgspec

VARIANTS = 16
ACCESS_KEY = "sk-bench-access-4f1c9d7e2b"
UPSTREAM_KEY = "sk-bench-upstream-8a6d3e05"
PATH = "/v1/chat/completions"

_TEXT = (
    "the proxy keeps a stream alive while its upstream thinks and hands every token on "
    "as soon as it arrives because a reader who waits is a reader who leaves so measure "
    "what the first byte costs and what the last one costs then ask why they differ "
)
_WORDS = _TEXT.split()


class Plan(NamedTuple):
    """One request body and the answer that belongs to it.

    Attributes:
        body: Request body, about 1.3 KB.
        stream: Whether the answer is an event stream.
        pieces: The answer's body: one piece, or for streams what is sent at each step. The first
            step of a stream carries the role and the first content, the last one the end.
    """

    body: bytes
    stream: bool
    pieces: tuple[bytes, ...]

    @property
    def answer(self) -> bytes:
        """Return the whole body that the client must see."""
        return b"".join(self.pieces)


def json_plans() -> list[Plan]:
    """Return the non-streamed requests with answers of about 600 bytes."""
    return [Plan(_body(v, 0, stream=False), False, (_completion(v),)) for v in range(VARIANTS)]


def stream_plans(contents: int) -> list[Plan]:
    """Return streamed requests whose answers carry `contents` content events (>= 1) each."""
    return [
        Plan(_body(v, contents, stream=True), True, tuple(_steps(v, contents)))
        for v in range(VARIANTS)
    ]


def request_bytes(plan: Plan, port: int, key: str) -> bytes:
    """Return the request as the OpenAI SDK for Python would put it on the wire."""
    head = (
        f"POST {PATH} HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\n"
        "Accept-Encoding: gzip, deflate\r\n"
        "Connection: keep-alive\r\n"
        "Accept: application/json\r\n"
        "Content-Type: application/json\r\n"
        "User-Agent: OpenAI/Python 3.54.0\r\n"
        "X-Stainless-Lang: python\r\n"
        "X-Stainless-Package-Version: 3.54.0\r\n"
        "X-Stainless-OS: Linux\r\n"
        "X-Stainless-Arch: x64\r\n"
        "X-Stainless-Runtime: CPython\r\n"
        "X-Stainless-Runtime-Version: 3.13.5\r\n"
        f"Authorization: Bearer {key}\r\n"
        "X-Stainless-Async: false\r\n"
        "x-stainless-retry-count: 0\r\n"
        "x-stainless-read-timeout: 600\r\n"
        f"Content-Length: {len(plan.body)}\r\n"
        "\r\n"
    )
    return head.encode() + plan.body


def traced(request: bytes, number: int) -> bytes:
    """Return `request` with a `traceparent` of its own, as instrumented clients send one."""
    first, end, rest = request.partition(b"\r\n")
    return b"%b\r\ntraceparent: 00-%032x-%016x-01%b%b" % (first, number, number, end, rest)


def _prose(seed: int, count: int) -> str:
    """Return `count` words that differ by `seed`."""
    return " ".join(_WORDS[(seed * 11 + i * (3 + seed % 5)) % len(_WORDS)] for i in range(count))


def _body(variant: int, contents: int, *, stream: bool) -> bytes:
    request: dict[str, object] = {
        "messages": [
            {"role": "system", "content": _prose(variant, 92 + 3 * variant)},
            {"role": "user", "content": f"Question {variant}: {_prose(variant + 1, 40)}?"},
            {"role": "assistant", "content": _prose(variant + 2, 30 + variant % 7)},
            {"role": "user", "content": f"And then: {_prose(variant + 3, 24)}?"},
        ],
        "model": "gpt-5-mini",
        "max_completion_tokens": contents or 512,
        "temperature": 0.2 + variant / 100,
        "user": f"user-{variant * 7919}",
    }
    if stream:
        request |= {"stream": True, "stream_options": {"include_usage": True}}
    return msgspec.json.encode(request)


def _usage(variant: int, output: int) -> dict[str, object]:
    return {
        "prompt_tokens": 250 + variant,
        "completion_tokens": output,
        "total_tokens": 250 + variant + output,
    }


def _completion(variant: int) -> bytes:
    message = {"role": "assistant", "content": _prose(variant + 5, 45 + variant), "refusal": None}
    return msgspec.json.encode(
        {
            "id": f"chatcmpl-bench{variant:04}",
            "object": "chat.completion",
            "created": 1_760_000_000 + variant,
            "model": "gpt-5-mini-2025-08-07",
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            ],
            "usage": _usage(variant, 60 + variant),
            "service_tier": "default",
        }
    )


def _event(variant: int, **fields: object) -> bytes:
    event = {
        "id": f"chatcmpl-bench{variant:04}",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000 + variant,
        "model": "gpt-5-mini-2025-08-07",
        **fields,
    }
    return b"data: " + msgspec.json.encode(event) + b"\n\n"


def _delta(variant: int, delta: dict[str, str], finish: str | None = None) -> bytes:
    return _event(variant, choices=[{"index": 0, "delta": delta, "finish_reason": finish}])


def _steps(variant: int, contents: int) -> list[bytes]:
    steps = [
        _delta(variant, {"content": " " + _prose(variant + step, 1 + step % 3)})
        for step in range(contents)
    ]
    steps[0] = _delta(variant, {"role": "assistant", "content": ""}) + steps[0]
    steps.append(
        _delta(variant, {}, "stop")
        + _event(variant, choices=[], usage=_usage(variant, contents))
        + b"data: [DONE]\n\n"
    )
    return steps
