"""Builders of stream events: a case shows only what differs."""

import json
from typing import Any

from llm_proxy.domain.usage import Usage


def data(value: Any) -> bytes:
    return b"data: %s\n\n" % json.dumps(value).encode()


def named(type_: str, **more: Any) -> bytes:
    body = json.dumps({"type": type_, **more}, separators=(",", ":")).encode()
    return b"event: %s\ndata: %s\n\n" % (type_.encode(), body)


def chunk(delta: Any = None, finish: Any = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return data({"id": "c1", "object": "chat.completion.chunk", "choices": [choice], **more})


def block(**content: Any) -> bytes:
    return named("content_block_start", index=0, content_block=content)


def delta(**content: Any) -> bytes:
    return named("content_block_delta", index=0, delta=content)


def usage(
    input: int | None = None,  # noqa: A002 - the field's name
    output: int | None = None,
    read: int | None = None,
    write: int | None = None,
    reasoning: int | None = None,
) -> Usage:
    return Usage(input, read, write, output, reasoning)
