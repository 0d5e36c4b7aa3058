"""What a translated request loses, and says so; what is refused; what upstreams refuse."""

import asyncio
from typing import Any

import pytest
from anthropic import BadRequestError

from tests.e2e.translation.pairs import FORMATS, STREAMS, WHOLES, Worlds, each_pair, json_error
from tests.e2e.world import PATHS, World
from tests.support.answers import error
from tests.support.client import Answer

HI: list[Any] = [{"role": "user", "content": "hi"}]


def warnings_of(got: Answer) -> list[str]:
    return sorted((got.header("x-llm-proxy-warnings") or "").split(", "))


def unsent(world: World) -> None:
    assert [request for request in world.provider.requests if request.path != "/v1/models"] == []


REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("chat", "messages", {"n": 2}, "n"),
    ("chat", "messages", {"logprobs": True}, "logprobs"),
    ("chat", "messages", {"audio": {"voice": "x", "format": "wav"}}, "audio"),
    ("chat", "responses", {"n": 3}, "n"),
    ("chat", "responses", {"stop": ["END"]}, "stop"),
    ("messages", "chat", {"max_tokens": 0}, "max_tokens"),
    (
        "messages",
        "chat",
        {"mcp_servers": [{"type": "url", "url": "http://x", "name": "n"}]},
        "mcp_servers",
    ),
    ("messages", "chat", {"container": "c"}, "container"),
    ("messages", "chat", {"inference_geo": "eu"}, "inference_geo"),
    (
        "messages",
        "chat",
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        "tools",
    ),
    ("messages", "responses", {"stop_sequences": ["END"]}, "stop_sequences"),
    ("messages", "chat", {"messages": [*HI, {"role": "assistant", "content": "{"}]}, "messages"),
    ("responses", "chat", {"previous_response_id": "resp_1"}, "previous_response_id"),
    ("responses", "chat", {"conversation": "conv_1"}, "conversation"),
    ("responses", "chat", {"background": True}, "background"),
    ("responses", "chat", {"prompt": {"id": "p"}}, "prompt"),
    ("responses", "messages", {"top_logprobs": 2}, "top_logprobs"),
    ("responses", "messages", {"include": ["message.output_text.logprobs"]}, "include"),
    ("responses", "messages", {"previous_response_id": "resp_1"}, "previous_response_id"),
]


@pytest.mark.parametrize(
    ("client", "upstream", "fields", "param"),
    REFUSED,
    ids=[f"{row[0]}_on_{row[1]}_{row[3]}" for row in REFUSED],
)
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
async def test_a_guarantee_that_cannot_be_kept_is_refused(
    worlds: Worlds,
    client: str,
    upstream: str,
    fields: dict[str, Any],
    param: str,
    is_stream: bool,
) -> None:
    world = worlds(upstream)
    got = await world.generate(client, stream=is_stream, **fields)
    assert got.status == 400
    told = json_error(client, got.json())
    assert told["type"] == "invalid_request_error"
    assert param in told["message"]
    if client != "messages":
        assert told["param"].startswith(param)
        assert told["code"] == "unsupported_parameter"
    unsent(world)
    record = world.record_of(got)
    assert record.outcome.name == "REFUSED"
    assert record.attempts == []


MALFORMED: list[tuple[str, dict[str, Any]]] = [
    ("chat", {"messages": None}),
    ("chat", {"messages": "hi"}),
    ("chat", {"messages": [7]}),
    ("chat", {"messages": [{"role": "user", "content": 7}]}),
    ("chat", {"messages": [*HI, {"role": "assistant", "tool_calls": "x"}]}),
    ("chat", {"messages": [*HI, {"role": "assistant", "tool_calls": [None]}]}),
    ("chat", {"messages": [{"role": 5, "content": "x"}]}),
    ("chat", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
    ("chat", {"messages": HI, "tools": {"a": 1}}),
    ("chat", {"messages": HI, "tools": [1]}),
    ("chat", {"messages": HI, "tool_choice": 7}),
    ("chat", {"messages": HI, "stream": "yes"}),
    ("messages", {"messages": None}),
    ("messages", {"messages": [{"role": "user", "content": {"a": 1}}]}),
    ("messages", {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}),
    ("messages", {"messages": [{"role": "user", "content": [{"type": "image", "source": 1}]}]}),
    ("messages", {"messages": HI, "system": 7}),
    ("messages", {"messages": HI, "tools": [{"name": 5, "input_schema": {}}]}),
    ("messages", {"messages": HI, "thinking": "on"}),
    ("messages", {"messages": HI, "output_config": [1]}),
    ("responses", {"input": 7}),
    ("responses", {"input": [7]}),
    ("responses", {"input": [{"type": "message", "role": "user", "content": 7}]}),
    ("responses", {"input": [{"type": "function_call"}]}),
    ("responses", {"input": [{"type": "function_call_output", "output": {"a": 1}}]}),
    ("responses", {"input": "hi", "reasoning": "high"}),
    ("responses", {"input": "hi", "text": []}),
    ("responses", {"input": "hi", "tools": [{"type": "namespace", "tools": 7}]}),
]


@pytest.mark.parametrize(
    ("client", "fields"), MALFORMED, ids=[f"{c}-{i}" for i, (c, _) in enumerate(MALFORMED)]
)
async def test_what_is_malformed_is_400_or_the_upstreams_to_judge(
    worlds: Worlds, client: str, fields: dict[str, Any]
) -> None:
    for upstream in FORMATS:
        if upstream == client:
            continue
        world = worlds(upstream)
        got = await world.generate(client, **fields)
        assert got.status in (200, 400), (upstream, got.body)
        if got.status == 400:
            json_error(client, got.json())
            unsent(world)


@each_pair
@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":' + b"[" * 5000 + b"]" * 5000 + b',"max_tokens":9,"input":"x"}',
        b'{"model":"m","messages":[{"role":"user","content":"\\ud83d"}],"max_tokens":9,"input":"\\ud83d"}',
        b'{"model":"m","max_tokens":1e400,"messages":[{"role":"user","content":"x"}],"input":"x"}',
        b'{"model":"m","messages":[],"input":[],"max_tokens":9}',
        b'{"model":"m","messages":[{"role":"user","content":"\xff"}],"input":"\xff"}',
        b'{"model":"m","model":"n","messages":[{"role":"user","content":"x"}],"input":"x"}',
        b'["model"]',
        b'{"messages":[{"role":"user","content":"x"}],"input":"x","max_tokens":9}',
        b'\xef\xbb\xbf{"model":"m","messages":[{"role":"user","content":"x"}],"input":"x","max_tokens":9}',
        b'{"model":"m","temperature":NaN,"messages":[{"role":"user","content":"x"}],"input":"x"}',
        b'{"model":7,"messages":[{"role":"user","content":"x"}],"input":"x"}',
    ],
    ids=[
        "deep",
        "surrogate",
        "huge",
        "none",
        "bytes",
        "twice",
        "list",
        "nameless",
        "bom",
        "nan",
        "number",
    ],
)
async def test_odd_bodies_are_no_fault_of_the_proxy(
    worlds: Worlds, client: str, upstream: str, body: bytes
) -> None:
    world = worlds(upstream)
    got = await world.ask(
        "POST", PATHS[client], headers=[("content-type", "application/json")], body=body
    )
    assert got.status in (200, 400), got.body
    if got.status == 400:
        json_error(client, got.json())


async def test_a_thread_is_refused_so_that_the_sdk_goes_on_without(worlds: Worlds) -> None:
    for upstream in ("chat", "responses"):
        world = worlds(upstream)
        got = await world.generate("messages", thread={"type": "new"})
        assert got.status == 400
        assert got.json()["error"]["details"] == {"error_code": "thread_unsupported_request"}
        unsent(world)
        with world.anthropic() as client, pytest.raises(BadRequestError) as caught:
            client.messages.create(
                model="m", max_tokens=9, messages=HI, extra_body={"thread": {"type": "new"}}
            )
        del caught


DROPPED: list[tuple[str, str, dict[str, Any], list[str]]] = [
    (
        "chat",
        "messages",
        {"seed": 5, "temperature": 1.5, "metadata": {"a": "b"}},
        ["added=max_tokens", "changed=temperature", "dropped=seed", "ignored=metadata"],
    ),
    ("chat", "messages", {"max_tokens": 5, "frobnicate": 1}, ["dropped=frobnicate"]),
    (
        "messages",
        "chat",
        {"top_k": 3, "context_management": {"edits": []}},
        ["dropped=context_management", "dropped=top_k"],
    ),
    (
        "responses",
        "chat",
        {"truncation": "auto", "store": True, "client_metadata": {"a": "b"}},
        ["changed=store", "dropped=client_metadata", "dropped=truncation"],
    ),
    ("chat", "responses", {"seed": 4}, ["dropped=seed"]),
]


@pytest.mark.parametrize(("client", "upstream", "fields", "expected"), DROPPED)
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
async def test_what_is_lost_is_said(
    worlds: Worlds,
    client: str,
    upstream: str,
    fields: dict[str, Any],
    expected: list[str],
    is_stream: bool,
) -> None:
    world = worlds(upstream)
    make = STREAMS if is_stream else WHOLES
    world.provider.reply(make[upstream]())
    got = await world.generate(client, stream=is_stream, **fields)
    assert got.status == 200
    assert warnings_of(got) == expected
    notice = world.record_of(got).notice or ""
    assert all(warning in notice for warning in expected)
    strict = [("x-llm-proxy-strict", "true")]
    world.reset()
    refused = await world.generate(client, headers=strict, stream=is_stream, **fields)
    assert refused.status == 400
    json_error(client, refused.json())
    unsent(world)


async def test_what_is_ignored_passes_strictly(worlds: Worlds) -> None:
    world = worlds("chat")
    strict = [("x-llm-proxy-strict", "true")]
    got = await world.generate("messages", headers=strict, metadata={"user_id": "u"})
    assert got.status == 200
    assert world.sent.header("x-llm-proxy-strict") is None


@each_pair
async def test_nothing_is_said_where_nothing_was_lost(
    worlds: Worlds, client: str, upstream: str
) -> None:
    world = worlds(upstream)
    fields: dict[str, Any] = (
        {"max_tokens": 50} if client != "responses" else {"max_output_tokens": 50}
    )
    got = await world.generate(client, **fields)
    assert got.status == 200
    assert got.header("x-llm-proxy-warnings") is None


async def test_names_of_unknown_fields_make_no_new_header(worlds: Worlds) -> None:
    world = worlds("chat")
    evil: dict[str, Any] = {"a\r\nx-evil: 1": 1, "é" * 40: 1, "b" * 3000: 2, "c, dropped=d": 1}
    got = await world.generate("messages", **evil)
    assert got.status == 200
    assert got.header("x-evil") is None
    assert len(got.header("x-llm-proxy-warnings") or "") <= 1024
    assert (got.header("x-llm-proxy-warnings") or "").isascii()


REPAIRED: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("messages", "chat", {"temperature": 0.5}, "temperature", "'temperature' is not supported"),
    (
        "chat",
        "messages",
        {"reasoning_effort": "low"},
        "output_config.effort",
        "output_config.effort: Extra inputs are not permitted",
    ),
    (
        "responses",
        "chat",
        {
            "parallel_tool_calls": False,
            "tools": [{"type": "function", "name": "t", "parameters": {"type": "object"}}],
        },
        "parallel_tool_calls",
        "Unsupported parameter: parallel_tool_calls",
    ),
    ("chat", "responses", {"top_p": 0.4}, "top_p", "Unsupported parameter: 'top_p'"),
]


@pytest.mark.parametrize(("client", "upstream", "fields", "field", "said"), REPAIRED)
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
async def test_a_refused_preference_is_left_out_and_remembered(
    worlds: Worlds,
    client: str,
    upstream: str,
    fields: dict[str, Any],
    field: str,
    said: str,
    is_stream: bool,
) -> None:
    world = worlds(upstream)
    make = STREAMS if is_stream else WHOLES
    world.provider.script(error(400, upstream, message=said))  # type: ignore[arg-type]
    world.provider.reply(make[upstream]())
    model = f"choosy-{field}-{is_stream}"
    got = await world.generate(client, model=model, stream=is_stream, **fields)
    assert got.status == 200
    assert f"dropped={field}" in warnings_of(got)
    first, second = world.provider.requests
    outer, _, inner = field.partition(".")
    assert outer in first.fields
    assert inner in first.fields[outer] if inner else True
    assert outer not in second.fields or inner not in second.fields[outer]
    record = world.record_of(got)
    assert [attempt.why for attempt in record.attempts][-1] == "repair"
    assert record.attempts[0].reason == said
    world.reset()
    world.provider.reply(make[upstream]())
    again = await world.generate(client, model=model, stream=is_stream, **fields)
    assert again.status == 200
    assert f"dropped={field}" in warnings_of(again)
    assert again.header("x-llm-proxy-attempts") == "1"
    assert outer not in world.sent.fields or inner not in world.sent.fields[outer]
    # Another model may like it.
    world.reset()
    world.provider.reply(make[upstream]())
    await world.generate(client, model=f"{model}-other", stream=is_stream, **fields)
    assert outer in world.sent.fields


async def test_what_is_refused_again_stays_refused(worlds: Worlds) -> None:
    world = worlds("chat")
    world.provider.reply(error(400, message="'temperature' is not supported"))
    got = await world.generate("messages", model="never-happy", temperature=0.5)
    assert got.status == 400
    assert "'temperature' is not supported" in got.json()["error"]["message"]
    assert len(world.provider.requests) == 2


async def test_content_is_never_left_out_to_please(worlds: Worlds) -> None:
    world = worlds("chat")
    world.provider.reply(error(400, message="'response_format' of type json_schema: unsupported"))
    schema = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    got = await world.generate("messages", output_config=schema)
    assert got.status == 400
    assert len(world.provider.requests) == 1


@pytest.mark.parametrize("upstream", ["chat", "responses"])
async def test_tokens_are_counted_without_asking(worlds: Worlds, upstream: str) -> None:
    world = worlds(upstream)
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * 4000}]}
    got = await world.ask("POST", "/v1/messages/count_tokens?beta=true", json_body=body)
    assert got.status == 200
    assert got.json() == {"input_tokens": 1004}
    assert got.header("x-llm-proxy-warnings") == "estimated=input_tokens"
    unsent(world)
    large: dict[str, Any] = {**body, "system": "y" * 200_000}
    got = await world.ask("POST", "/v1/messages/count_tokens", json_body=large)
    assert got.json() == {"input_tokens": 51004}


async def test_a_responses_client_counts_too(worlds: Worlds) -> None:
    world = worlds("messages")
    body = {"model": "m", "input": "x" * 400}
    got = await world.ask("POST", "/v1/responses/input_tokens", json_body=body)
    assert got.json() == {"object": "response.input_tokens", "input_tokens": 104}
    for bad in (b"", b"[]", b"{", b'{"input":' + b"[" * 3000 + b"]" * 3000 + b"}"):
        got = await world.ask(
            "POST",
            "/v1/responses/input_tokens",
            headers=[("content-type", "application/json")],
            body=bad,
        )
        assert got.status in (200, 400), got.body


@pytest.mark.parametrize("upstream", FORMATS)
async def test_models_are_listed_in_both_shapes(worlds: Worlds, upstream: str) -> None:
    world = worlds(upstream)
    got = await world.ask("GET", "/v1/models")
    assert got.json()["object"] == "list"
    version = [("anthropic-version", "2023-06-01")]
    got = await world.ask("GET", "/v1/models?limit=1000", headers=version)
    assert got.json()["has_more"] is False


async def test_stored_responses_are_not_available(worlds: Worlds) -> None:
    world = worlds("chat")
    for method, path in (
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("POST", "/v1/responses/compact"),
    ):
        got = await world.ask(method, path, json_body={"model": "m"} if method == "POST" else None)
        assert got.status == 404, (path, got.body)
        json_error("responses", got.json())
        unsent(world)


async def test_many_may_meet_the_same_refusal_at_once(worlds: Worlds) -> None:
    world = worlds("chat")
    refusal = error(400, message="Unsupported parameter: 'temperature'")
    world.provider.reply(
        lambda request: refusal if "temperature" in request.fields else WHOLES["chat"]("fine")
    )
    large: dict[str, Any] = {"system": "z" * 40_000, "temperature": 0.5}
    asked = [world.generate("messages", model="choosy-crowd", **large) for _ in range(20)]
    for got in await asyncio.gather(*asked):
        assert got.status == 200
        assert warnings_of(got) == ["dropped=temperature"]
    assert (await world.generate("messages", model="choosy-crowd", **large)).status == 200
