"""Tokens: what a client of one format hears of what an upstream of another has counted."""

import json
from typing import Any

import pytest

from llm_proxy.domain.usage import Usage
from tests.e2e.translation.pairs import STREAMS, WHOLES, Worlds, each_pair, values_of
from tests.e2e.world import PATHS
from tests.support.client import Answer, Stream
from tests.support.scripts import Script

# 100 tokens went in, 60 of them from the cache and 10 into it; 40 came out, 25 of them reasoning.
COUNTED: dict[str, dict[str, Any]] = {
    "chat": {
        "prompt_tokens": 100,
        "completion_tokens": 40,
        "total_tokens": 140,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 25},
    },
    "messages": {
        "input_tokens": 30,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 10,
        "output_tokens": 40,
        "output_tokens_details": {"thinking_tokens": 25},
    },
    "responses": {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "output_tokens": 40,
        "output_tokens_details": {"reasoning_tokens": 25},
        "total_tokens": 140,
    },
}


def counted(upstream: str, script: Script, usage: Any) -> Script:
    """Return an answer with `usage` wherever it names tokens; None = nowhere."""

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict):
            return value
        made = {}
        for name, item in value.items():
            if name == "usage" and item:
                if usage is not None:
                    made[name] = usage
            else:
                made[name] = walk(item)
        return made

    whole = b"".join(piece for piece in script if isinstance(piece, bytes))
    head, _, body = whole.partition(b"\r\n\r\n")
    if b"text/event-stream" in head:
        lines = []
        for line in body.split(b"\n"):
            if line.startswith(b"data: {"):
                lines.append(b"data: " + json.dumps(walk(json.loads(line[6:]))).encode() + b"\n")
            elif line.startswith((b"event:", b"data:")):
                lines.append(line + b"\n")
            elif line == b"":
                lines.append(b"\n")
        body = b"".join(lines)
        kind = b"text/event-stream"
    else:
        body = json.dumps(walk(json.loads(body))).encode()
        kind = b"application/json"
    fields = b"content-type: %b\r\ncontent-length: %d" % (kind, len(body))
    return [b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (fields, body)]


def told_whole(got: Answer) -> dict[str, Any]:
    usage: dict[str, Any] = got.json()["usage"]
    return usage


def told_stream(client: str, stream: Stream) -> dict[str, Any] | None:
    """Return the usage in the final event."""
    usage: dict[str, Any] | None = None
    for value in values_of(stream):
        if client == "chat":
            usage = value.get("usage") or usage
        elif client == "messages" and value["type"] == "message_delta":
            usage = value["usage"]
        elif client == "responses" and value["type"] == "response.completed":
            usage = value["response"]["usage"]
    return usage


def assert_same(client: str, usage: dict[str, Any] | None) -> None:
    assert usage is not None
    for name, value in COUNTED[client].items():
        if isinstance(value, dict):
            assert {key: usage[name].get(key) for key in value} == value
        else:
            assert usage[name] == value, name


EXPECTED = Usage(input=100, output=40, cache_read=60, cache_write=10, reasoning=25)


@each_pair
async def test_tokens_of_a_whole_answer_keep_their_meaning(
    worlds: Worlds, client: str, upstream: str
) -> None:
    world = worlds(upstream)
    world.provider.reply(counted(upstream, WHOLES[upstream](), COUNTED[upstream]))
    got = await world.generate(client)
    assert got.status == 200
    assert_same(client, told_whole(got))
    assert world.record_of(got).usage == EXPECTED


@each_pair
async def test_tokens_of_a_stream_keep_their_meaning(
    worlds: Worlds, client: str, upstream: str
) -> None:
    world = worlds(upstream)
    world.provider.reply(counted(upstream, STREAMS[upstream](), COUNTED[upstream]))
    options: dict[str, Any] = (
        {"stream_options": {"include_usage": True}} if client == "chat" else {}
    )
    stream = await world.stream(client, **options)
    assert_same(client, told_stream(client, stream))
    assert world.newest_record(PATHS[client]).usage == EXPECTED


async def test_a_chat_client_that_did_not_ask_gets_no_tokens(worlds: Worlds) -> None:
    world = worlds("messages")
    stream = await world.stream("chat")
    assert told_stream("chat", stream) is None
    assert all(value["choices"] for value in values_of(stream))
    assert world.newest_record(PATHS["chat"]).usage.output == 3


PROMPT = "abcd" * 250  # a thousand characters, 250 tokens by the rule of thumb


def _long(client: str) -> dict[str, Any]:
    if client == "responses":
        return {"input": PROMPT}
    return {"messages": [{"role": "user", "content": PROMPT}]}


@pytest.mark.parametrize(
    ("client", "upstream"),
    [
        ("messages", "chat"),
        ("messages", "responses"),
        ("responses", "chat"),
        ("responses", "messages"),
    ],
)
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
async def test_tokens_that_nobody_counted_are_estimated(
    worlds: Worlds, client: str, upstream: str, is_stream: bool
) -> None:
    world = worlds(upstream)
    make = STREAMS if is_stream else WHOLES
    world.provider.reply(
        counted(upstream, make[upstream](["x" * 40] if is_stream else "x" * 40), None)
    )
    if is_stream:
        stream = await world.stream(client, **_long(client))
        usage = told_stream(client, stream)
        assert b": x-llm-proxy-warnings: estimated=usage\n" in stream.raw
        record = world.newest_record(PATHS[client])
    else:
        got = await world.generate(client, **_long(client))
        usage = told_whole(got)
        assert "estimated=usage" in (got.header("x-llm-proxy-warnings") or "")
        record = world.record_of(got)
    assert usage is not None
    assert 240 <= usage["input_tokens"] <= 270
    assert usage["output_tokens"] == 10
    assert "estimated=usage" in (record.notice or "")
    assert record.usage.input is None


async def test_a_chat_client_is_told_no_tokens_that_nobody_counted(worlds: Worlds) -> None:
    world = worlds("responses")
    world.provider.reply(counted("responses", WHOLES["responses"](), None))
    got = await world.generate("chat")
    assert got.status == 200
    assert "usage" not in got.json()
