"""Errors of every shape, told to clients of another format; and what must never be told."""

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anthropic import APIStatusError as AnthropicError
from openai import APIStatusError as OpenAIError

from llm_proxy.domain.record import Outcome
from tests.e2e.translation.pairs import (
    STREAMS,
    WHOLES,
    Worlds,
    broken_by,
    each_pair,
    json_error,
)
from tests.e2e.world import World
from tests.support.answers import chat_chunk, error, stream_error, to_json
from tests.support.provider import ProviderThread
from tests.support.proxy_process import UPSTREAM_KEY, ProxyProcess
from tests.support.scripts import event_stream, respond

SAID = "the provider says no"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Worlds]:
    """A proxy of the test's own, for what a key is blamed for."""
    with contextlib.ExitStack() as stack:

        def make(upstream: str) -> World:
            provider = stack.enter_context(ProviderThread())
            environment = {"PROXY_FORMATS": upstream, "MAX_RETRIES": "0"}
            proxy = ProxyProcess(tmp_path, provider.url, environment=environment)
            return World(stack.enter_context(proxy), provider)

        yield make


STATUSES = [
    # status, Messages' type, OpenAI's type, OpenAI's code, the provider's words are told
    (400, "invalid_request_error", "invalid_request_error", None, True),
    (402, "billing_error", "insufficient_quota", "insufficient_quota", True),
    (403, "permission_error", "permission_error", None, True),
    (404, "not_found_error", "not_found_error", None, True),
    (409, "conflict_error", "conflict_error", None, True),
    (413, "request_too_large", "invalid_request_error", "request_too_large", True),
    (422, "invalid_request_error", "invalid_request_error", None, True),
    (500, "api_error", "server_error", None, True),
    (503, "overloaded_error", "server_error", "overloaded", True),
    (529, "overloaded_error", "server_error", "overloaded", True),
]


@each_pair
@pytest.mark.parametrize(
    ("status", "messages_type", "openai_type", "code", "is_told"),
    STATUSES,
    ids=[str(row[0]) for row in STATUSES],
)
async def test_a_status_passes_in_the_clients_words(
    worlds: Worlds,
    fresh: Worlds,
    client: str,
    upstream: str,
    status: int,
    messages_type: str,
    openai_type: str,
    code: str | None,
    is_told: bool,
) -> None:
    world = fresh(upstream) if status == 402 else worlds(upstream)
    world.provider.reply(error(status, upstream))  # type: ignore[arg-type]
    got = await world.generate(client, model=f"status-{status}")
    assert got.status == status
    told = json_error(client, got.json())
    assert told["type"] == (messages_type if client == "messages" else openai_type)
    if client != "messages":
        assert (told["param"], told["code"]) == (None, code)
    assert (SAID in told["message"]) is is_told
    assert got.header("content-type") == "application/json"


@each_pair
async def test_a_refused_key_is_the_proxys_own_trouble(
    fresh: Worlds, client: str, upstream: str
) -> None:
    world = fresh(upstream)
    world.provider.reply(error(401, upstream, message="bad key sk-other"))  # type: ignore[arg-type]
    got = await world.generate(client, model="refused-401")
    assert got.status == 502
    told = json_error(client, got.json())
    assert told["type"] == ("api_error" if client == "messages" else "server_error")
    assert "sk-other" not in got.body.decode()


SHAPES: list[tuple[str, bytes, str, str]] = [
    ("bare", b'{"error":"model runner crashed"}', "application/json", "model runner crashed"),
    (
        "mistral",
        b'{"object":"error","message":"bad turn","code":"3"}',
        "application/json",
        "bad turn",
    ),
    (
        "detail",
        b'{"detail":[{"loc":["body","x"],"msg":"field required"}]}',
        "application/json",
        "field required",
    ),
    (
        "dashscope",
        b'{"code":"InvalidParameter","message":"url error","request_id":"r"}',
        "application/json",
        "url error",
    ),
    (
        "gemini",
        b'[{"error":{"code":400,"message":"bad schema","status":"INVALID_ARGUMENT"}}]',
        "application/json",
        "bad schema",
    ),
    ("html", b"<html><body><h1>Bad <b>Gateway</b></h1></body></html>", "text/html", "Bad Gateway"),
    ("plain", b"nope, not today", "text/plain", "nope, not today"),
    ("empty", b"", "text/plain", "upstream returned HTTP 400"),
]


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize(
    ("body", "kind", "expected"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES]
)
async def test_every_shape_of_error_is_understood(
    worlds: Worlds, client: str, body: bytes, kind: str, expected: str
) -> None:
    world = worlds("chat")
    world.provider.reply(respond(body, status=400, content_type=kind))
    got = await world.generate(client)
    assert got.status == 400
    told = json_error(client, got.json())
    assert expected in told["message"]
    assert told["type"] == "invalid_request_error"
    assert "<" not in told["message"]


@pytest.mark.parametrize("upstream", ["messages", "responses"])
async def test_context_too_long_has_the_code_that_codex_knows(
    worlds: Worlds, upstream: str
) -> None:
    client = "responses" if upstream == "messages" else "chat"
    world = worlds(upstream)
    said = "prompt is too long: 250000 tokens > 200000 maximum"
    world.provider.reply(error(400, upstream, message=said))  # type: ignore[arg-type]
    got = await world.generate(client)
    assert got.status == 400
    assert json_error(client, got.json())["code"] == "context_length_exceeded"


@each_pair
async def test_advice_and_ids_of_the_upstream_come_down(
    worlds: Worlds, client: str, upstream: str
) -> None:
    world = worlds(upstream)
    name = "request-id" if upstream == "messages" else "x-request-id"
    wanted = "request-id" if client == "messages" else "x-request-id"
    fields = [
        (name, "req_of_the_upstream"),
        ("x-ratelimit-remaining-requests", "17"),
        ("anthropic-ratelimit-requests-remaining", "18"),
        ("openai-processing-ms", "12"),
        ("openai-organization", "secret-org"),
        ("set-cookie", "a=b"),
    ]
    for script, status in (
        (WHOLES[upstream](headers=fields), 200),
        (error(400, upstream, headers=fields), 400),  # type: ignore[arg-type]
    ):
        world.reset()
        world.provider.reply(script)
        got = await world.generate(client)
        assert got.status == status
        assert got.head.headers_named(wanted) == ["req_of_the_upstream"]
        assert got.header("x-ratelimit-remaining-requests") == "17"
        assert got.header("anthropic-ratelimit-requests-remaining") == "18"
        assert got.header("openai-processing-ms") == "12"
        assert got.header("openai-organization") is None
        assert got.header("set-cookie") is None
        assert got.header("x-llm-proxy-request-id")


async def test_an_id_is_there_when_the_upstream_gave_none(worlds: Worlds) -> None:
    got = await worlds("chat").generate("messages")
    assert got.header("request-id") == got.header("x-llm-proxy-request-id")


async def test_an_sdk_finds_the_request_id(worlds: Worlds) -> None:
    world = worlds("chat")
    world.provider.script(
        WHOLES["chat"](headers=[("x-request-id", "req_up")]),
        error(400, headers=[("x-request-id", "req_down")]),
    )
    ask: dict[str, Any] = {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
    }
    with world.anthropic() as client:
        assert client.messages.create(**ask)._request_id == "req_up"
        with pytest.raises(AnthropicError) as caught:
            client.messages.create(**ask)
        assert caught.value.request_id == "req_down"
    world = worlds("messages")
    world.provider.reply(error(400, "messages", headers=[("request-id", "req_m")]))
    with world.openai() as other:
        with pytest.raises(OpenAIError) as failed:
            other.chat.completions.create(model="m", messages=ask["messages"])
        assert failed.value.request_id == "req_m"


@each_pair
async def test_a_spent_quota_says_that_waiting_is_useless(
    fresh: Worlds, client: str, upstream: str
) -> None:
    world = fresh(upstream)
    spent, said = "insufficient_quota", "You exceeded your current quota"
    world.provider.reply(error(429, upstream, spent, spent, said))  # type: ignore[arg-type]
    got = await world.generate(client, model=f"poor-{client}")
    assert got.status == 429
    assert got.header("x-should-retry") == "false"
    assert got.header("retry-after")
    told = json_error(client, got.json())
    assert "exceeded your current quota" in told["message"]
    if client != "messages":
        assert told["code"] == "insufficient_quota"


@each_pair
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
async def test_all_limited_is_said_in_the_clients_dialect(
    worlds: Worlds, client: str, upstream: str, is_stream: bool
) -> None:
    world = worlds(upstream)
    limited = error(429, upstream, message="slow down", headers=[("retry-after", "77")])  # type: ignore[arg-type]
    world.provider.reply(limited)
    got = await world.generate(client, model=f"limited-{client}-{is_stream}", stream=is_stream)
    assert got.status == 429
    assert got.header("retry-after") in ("76", "77")
    assert got.header("x-should-retry") == "false"
    told = json_error(client, got.json())
    assert told["type"] == "rate_limit_error"
    assert "错误重试全都rate limit,请再次重试." in told["message"]
    assert "slow down" in told["message"]
    record = world.record_of(got)
    assert record.outcome is Outcome.RATE_LIMITED


CANARY = UPSTREAM_KEY


@each_pair
async def test_a_key_in_a_translated_answer_is_blanked(
    worlds: Worlds, client: str, upstream: str
) -> None:
    world = worlds(upstream)
    world.provider.script(
        WHOLES[upstream](f"your key is {CANARY}!"),
        WHOLES[upstream](tool=("t", {"key": CANARY})),
        WHOLES[upstream](model=CANARY),
        WHOLES[upstream](headers=[("x-request-id", CANARY)]),
        WHOLES[upstream](f"your key is {CANARY}!", gzip=True),
        error(400, upstream, message=f"your key {CANARY} is odd"),  # type: ignore[arg-type]
        error(500, upstream, message=base64.b64encode(CANARY.encode()).decode()),  # type: ignore[arg-type]
    )
    for _ in range(7):
        got = await world.generate(client)
        whole = str(got.head) + got.body.decode()
        assert CANARY not in whole
        assert base64.b64encode(CANARY.encode()).decode() not in whole


@each_pair
async def test_a_key_in_a_translated_stream_is_blanked(
    worlds: Worlds, client: str, upstream: str
) -> None:
    world = worlds(upstream)
    world.provider.script(
        STREAMS[upstream](["your key", f" is {CANARY}", "!"]),
        STREAMS[upstream](tool=("t", {"key": CANARY})),
        STREAMS[upstream](model=CANARY),
        broken_by(upstream, ["a"], stream_error(upstream, message=f"key {CANARY}")),  # type: ignore[arg-type]
        WHOLES[upstream](f"your key is {CANARY}!"),
    )
    for _ in range(5):
        stream = await world.stream(client)
        assert CANARY.encode() not in stream.raw
    assert CANARY not in world.proxy.output


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
async def test_a_key_is_not_hidden_in_what_carries_reasoning(
    worlds: Worlds, client: str, is_stream: bool
) -> None:
    world = worlds("chat")
    details = [{"type": "reasoning.text", "text": f"key {CANARY}", "id": CANARY}]
    fields = {"content": "Four.", "reasoning_details": details}
    if is_stream:
        script = event_stream([chat_chunk(fields), chat_chunk({}, "stop"), b"data: [DONE]\n\n"])
    else:
        message = {"role": "assistant", **fields}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        script = respond(to_json({"id": "x", "model": "m", "choices": [choice]}))
    world.provider.reply(script)
    got = await world.generate(client, stream=is_stream)
    text = got.body.decode()
    assert "Four." in text
    for at in range(len(text)):
        if text.startswith(("gwsig1.", "gwenc1."), at):
            marker = text[at + 7 :].split('"')[0]
            plain = base64.urlsafe_b64decode(marker + "=" * (-len(marker) % 4))
            assert CANARY.encode() not in plain
            break
    else:
        raise AssertionError("no marker")
    assert CANARY not in text


@each_pair
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"{}", "application/json"),
        (b"null", "application/json"),
        (b"[]", "application/json"),
        (b'"hi"', "application/json"),
        (b"<html>hi</html>", "text/html"),
        (b'{"id":"x","choices":[],"content":null,"output":null}', "application/json"),
        (b'{"id":', "application/json"),
        (b'{"choices":"no","content":7,"output":{"a":1}}', "application/json"),
        (b'{"choices":[null]}', "application/json"),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, "application/json"),
        (b"\xff\xfe{}", "application/json"),
    ],
    ids=[
        "empty",
        "braces",
        "null",
        "list",
        "string",
        "html",
        "none",
        "half",
        "odd",
        "nulls",
        "deep",
        "bytes",
    ],
)
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
async def test_a_200_without_an_answer_is_an_error(
    worlds: Worlds, client: str, upstream: str, body: bytes, kind: str, is_stream: bool
) -> None:
    world = worlds(upstream)
    world.provider.reply(respond(body, content_type=kind))
    got = await world.generate(client, stream=is_stream)
    assert got.status == 502, got.body
    json_error(client, got.json())
    assert "internal error" not in got.body.decode()


async def test_errors_in_a_200_have_their_own_status(fresh: Worlds) -> None:
    world = fresh("chat")
    cases = [
        ({"error": {"message": "x", "code": 529}}, 529),
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, 402),
        ({"code": "Throttling", "message": "slow"}, 429),
        ({"error": {"message": "x", "type": "invalid_request_error"}}, 400),
    ]
    for body, status in cases:
        world.provider.script(*[respond(to_json(body))] * 5)
        got = await world.generate("messages", model=f"inside-{status}")
        assert got.status == status, got.body
        world.reset()


@each_pair
async def test_an_upstreams_address_stays_here(worlds: Worlds, client: str, upstream: str) -> None:
    world = worlds(upstream)
    url = world.provider.url
    said = f"POST {url}/v1/secret/path failed at 127.0.0.1:{world.provider.port}"
    in_stream = stream_error(upstream, message=said)  # type: ignore[arg-type]
    limited = error(429, upstream, message=said, headers=[("retry-after", "60")])  # type: ignore[arg-type]
    world.provider.script(
        error(400, upstream, message=said),  # type: ignore[arg-type]
        broken_by(upstream, ["a"], in_stream),
        limited,
    )
    got = await world.generate(client)
    stream = await world.stream(client)
    last = await world.generate(client, model=f"limited-at-{client}")
    for raw in (got.body, stream.raw, last.body):
        assert b"failed at ***" in raw
        assert str(world.provider.port).encode() not in raw
