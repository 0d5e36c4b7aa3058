"""Bodies that are coded, large, many at once, or marked; and those that must stay as they are."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llm_proxy.proxy import beat
from tests.e2e.translation.pairs import (
    FORMATS,
    STREAMS,
    WHOLES,
    Worlds,
    assert_broken,
    each_pair,
    ends_of,
    errors_of,
    json_error,
    text_of,
)
from tests.e2e.world import PATHS, World, question
from tests.net.test_review_exchange import upstream_of
from tests.net.test_review_exchange import world as running
from tests.support.answers import to_json
from tests.support.client import RawClient
from tests.support.provider import Provider, ProviderThread, Request
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import Script, event_stream, respond, sleep


def _text(request: Request) -> str:
    """Return the last thing a client said, in whatever format it arrived."""
    turns = request.fields.get("messages") or request.fields.get("input")
    assert isinstance(turns, list)
    content = turns[-1]["content"]
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content)


def said(client: str, text: str) -> dict[str, Any]:
    if client == "responses":
        return {"input": text}
    return {"messages": [{"role": "user", "content": text}]}


async def test_a_request_in_a_coding_that_cannot_be_read_is_refused(worlds: Worlds) -> None:
    fields = [("content-encoding", "zstd"), ("content-type", "application/json")]
    got = await worlds("chat").ask("POST", PATHS["messages"], headers=fields, body=b"(\xb5/\xfd")
    assert got.status == 415
    json_error("messages", got.json())


@each_pair
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_coded_request_is_translated(
    worlds: Worlds, client: str, upstream: str, coding: str
) -> None:
    plain = to_json(question(client) | said(client, "coded words"))
    body = gzip.compress(plain) if coding == "gzip" else zlib.compress(plain)
    world = worlds(upstream)
    fields = [("content-encoding", coding), ("content-type", "application/json")]
    got = await world.ask("POST", PATHS[client], headers=fields, body=body)
    assert got.status == 200, got.body
    assert _text(world.sent) == "coded words"
    assert world.sent.header("content-encoding") is None


@each_pair
async def test_five_megabytes_are_translated(worlds: Worlds, client: str, upstream: str) -> None:
    world = worlds(upstream)
    long = "0123456789abcdé " * 320_000
    got = await world.generate(client, **said(client, long))
    assert got.status == 200
    # The history's last blank may go where the format wants none.
    assert _text(world.sent).rstrip() == long.rstrip()


@each_pair
async def test_a_large_answer_is_translated(worlds: Worlds, client: str, upstream: str) -> None:
    world = worlds(upstream)
    long = "wörd " * 100_000
    world.provider.reply(WHOLES[upstream](long))
    got = await world.generate(client)
    assert got.status == 200
    assert json.dumps(long, ensure_ascii=False).encode() in got.body
    stream = await world.stream(client)
    assert text_of(client, stream) == long
    assert ends_of(client, stream) == 1


@each_pair
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
async def test_an_answer_that_is_too_large_is_none(
    worlds: Worlds, client: str, upstream: str, is_stream: bool
) -> None:
    world = worlds(upstream)
    world.provider.reply(WHOLES[upstream]("x" * (17 * 1024 * 1024)))
    got = await world.generate(client, stream=is_stream)
    assert got.status == 502, got.body[:200]
    json_error(client, got.json())


@each_pair
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
async def test_an_answer_in_an_unknown_coding_is_none(
    worlds: Worlds, client: str, upstream: str, is_stream: bool
) -> None:
    world = worlds(upstream)
    coded = [("content-encoding", "x-secret")]
    if is_stream:
        world.provider.reply(event_stream([b"\x1b\x03\x00"], headers=coded))
    else:
        world.provider.reply(respond(b"\x1b\x03\x00", headers=coded))
    got = await world.generate(client, stream=is_stream)
    assert got.status == 502, got.head
    json_error(client, got.json())


@each_pair
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
async def test_a_coded_answer_is_translated(
    worlds: Worlds, client: str, upstream: str, is_stream: bool
) -> None:
    world = worlds(upstream)
    if is_stream:
        body = b"".join(
            piece
            for piece in STREAMS[upstream](["a", "b"], framing="close")
            if isinstance(piece, bytes)
        ).partition(b"\r\n\r\n")[2]
        world.provider.reply(respond(body, gzip=True, content_type="text/event-stream"))
        stream = await world.stream(client)
        assert text_of(client, stream) == "ab"
        assert ends_of(client, stream) == 1
    else:
        world.provider.reply(WHOLES[upstream]("a b", gzip=True))
        got = await world.generate(client)
        assert got.status == 200
        assert got.header("content-encoding") is None
        assert "a b" in got.body.decode()


async def test_two_hundred_streams_do_not_mix(worlds: Worlds) -> None:
    world = worlds("chat")

    def answer(request: Request) -> Script:
        name = _text(request)
        return STREAMS["chat"]([f"{name}-{part};" for part in range(5)], gap_s=0.01)

    world.provider.reply(answer)

    async def one(number: int) -> None:
        client = ("messages", "responses")[number % 2]
        stream = await world.stream(client, **said(client, f"n{number}"))
        assert text_of(client, stream) == "".join(f"n{number}-{part};" for part in range(5))
        assert ends_of(client, stream) == 1

    async with asyncio.TaskGroup() as group:
        for number in range(200):
            group.create_task(one(number))


ODD_BODIES = {
    "chat": b' {"n" : 2, "model":"m" ,"messages":[{"role":"user","content":"\\u00e9\\ud83d","x":1e400}],"y":[1.10,-0.0] }\n',
    "messages": b' {"thread":{"a":1}, "model":"m" ,"max_tokens":9,"messages":[{"role":"user","content":"gwsig1. \\ud83d"}]}\n',
    "responses": b' {"background":false, "model":"m" ,"input":"gwenc1.\\ud83d","y":12345678901234567890 }\n',
}


@pytest.mark.parametrize("name", FORMATS)
async def test_who_speaks_the_format_gets_the_very_bytes(worlds: Worlds, name: str) -> None:
    world = worlds(name)
    body = ODD_BODIES[name]
    got = await world.ask(
        "POST", PATHS[name], headers=[("content-type", "application/json")], body=body
    )
    assert got.status == 200
    assert world.sent.body == body
    assert got.header("x-llm-proxy-warnings") is None


@pytest.mark.parametrize("name", FORMATS)
async def test_who_speaks_the_format_answers_in_its_very_bytes(worlds: Worlds, name: str) -> None:
    world = worlds(name)
    script = STREAMS[name](["a", "b"])
    world.provider.reply(script)
    stream = await world.stream(name)
    body = b"".join(piece for piece in script if isinstance(piece, bytes)).partition(b"\r\n\r\n")[2]
    sent = b"".join(line for line in body.split(b"\r\n")[1::2])
    assert stream.raw == sent


async def test_a_coded_request_stays_coded_for_who_speaks_the_format(worlds: Worlds) -> None:
    world = worlds("chat")
    body = gzip.compress(to_json(question("chat")), mtime=0)
    fields = [("content-encoding", "gzip"), ("content-type", "application/json")]
    got = await world.ask("POST", PATHS["chat"], headers=fields, body=body)
    assert got.status == 200
    assert world.sent.body == body
    assert world.sent.header("content-encoding") == "gzip"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[World]:
    """A chat upstream for one model and a Messages and Responses upstream for the other."""
    with ProviderThread() as chat, ProviderThread() as native:
        environment = {
            "PROXY_FORMATS": "chat;messages,responses",
            "PROXY_MODELS": "thinker;served",
            "MODEL_MAP": "real=served",
        }
        with ProxyProcess(tmp_path, [chat.url, native.url], environment=environment) as proxy:
            yield World(proxy, chat, native)


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize("padding", [0, 400_000], ids=["small", "large"])
async def test_reasoning_of_a_translation_does_not_reach_who_would_refuse_it(
    pair: World, client: str, padding: int
) -> None:
    chat, native = pair.providers
    message = {"role": "assistant", "content": "Four.", "reasoning_content": "Hm."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    chat.reply(respond(to_json({"id": "x", "model": "m", "choices": [choice]})))
    got = await pair.generate(client, model="thinker")
    assert got.status == 200
    answer = got.json()
    last = {"role": "user", "content": "and 12345678901234567890?" + "x" * padding}
    first = {"role": "user", "content": "hi"}
    turns: dict[str, Any]
    if client == "messages":
        turns = {"messages": [first, {"role": "assistant", "content": answer["content"]}, last]}
        assert answer["content"][0]["signature"].startswith("gwsig1.")
    else:
        turns = {"input": [first, *answer["output"], last]}
        assert answer["output"][0]["encrypted_content"].startswith("gwenc1.")
    numbers = b',"big":12345678901234567890,"float":1.10}'
    body = to_json(question(client, "real") | turns)[:-1] + numbers
    fields = [("content-type", "application/json")]
    got = await pair.ask("POST", PATHS[client], headers=fields, body=body)
    assert got.status == 200
    (sent,) = [request for request in native.requests if request.path != "/v1/models"]
    assert b"gwsig1." not in sent.body
    assert b"gwenc1." not in sent.body
    assert sent.body.endswith(numbers)
    wanted = json.loads(body) | {"model": "served"}
    if client == "messages":
        wanted["messages"][1]["content"].pop(0)
    else:
        wanted["input"].pop(1)
    assert sent.json() == wanted
    assert list(sent.json()) == list(wanted)
    # On the way back to where it came from it is whole.
    chat.requests.clear()
    got = await pair.generate(client, model="thinker", **turns)
    assert got.status == 200
    assert chat.requests[-1].fields["messages"][1]["reasoning_content"] == "Hm."


@each_pair
async def test_json_behind_an_early_head_is_told_as_a_stream(
    monkeypatch: pytest.MonkeyPatch, client: str, upstream: str
) -> None:
    monkeypatch.setattr(beat, "BEAT_S", 0.1)
    async with Provider() as provider:
        one = msgspec.structs.replace(upstream_of(provider), formats=(upstream,))
        async with running(one) as proxy:
            for script, is_answer in (
                (WHOLES[upstream]("late"), True),
                (STREAMS[upstream](["la", "te"]), True),
                (respond(b"{}"), False),
                (respond(b'{"error":{"message":"said late"}}', status=400), False),
            ):
                provider.reply([sleep(0.3), *script], path=PATHS[upstream])
                async with proxy.client() as connection:
                    await connection.request(
                        "POST",
                        PATHS[client],
                        key="access-key-of-the-test",
                        json_body=question(client, stream=True) | {"frobnicate": 1},
                    )
                    stream = await connection.read_stream()
                    assert connection.raw.count(b"HTTP/1.1 ") == 1
                if is_answer:
                    assert stream.raw.count(b"dropped=frobnicate") == 1
                    assert text_of(client, stream) == "late"
                    assert ends_of(client, stream) == 1
                    assert errors_of(client, stream) == []
                else:
                    assert_broken(client, stream)


async def test_a_client_of_the_old_http_gets_a_stream_too(worlds: Worlds) -> None:
    world = worlds("chat")
    body = to_json(question("messages", stream=True))
    async with RawClient.to(world.proxy.url) as connection:
        await connection.send(
            b"POST /v1/messages HTTP/1.0\r\nauthorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b"
            % (world.proxy.access_key.encode(), len(body), body)
        )
        stream = await connection.read_stream()
    assert ends_of("messages", stream) == 1
