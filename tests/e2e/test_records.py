"""What is remembered of a request: one record, right in every field, however the request ended."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from llm_proxy.domain.record import Record
from llm_proxy.domain.usage import Usage
from tests.e2e.world import CHAT, MESSAGES, PATHS, RESPONSES, World, faults_of, question
from tests.support.answers import (
    chat_chunk,
    chat_events,
    chat_json,
    chat_stream,
    error,
    messages_event,
    responses_events,
    to_json,
)
from tests.support.provider import ProviderThread
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import event_stream, hang, raw, respond, wait

KINDS = ("ok", "client", "failing", "cut", "gone", "limited", "waiting", "served", "mapped")
"""Models, each with an upstream of its own, so that no test disturbs another one."""


@pytest.fixture(scope="module")
def many_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A proxy with an upstream per kind of end, all at one address."""
    directory = tmp_path_factory.mktemp("records")
    with ProviderThread() as provider:
        file = directory / "llm-proxy.toml"
        tables = [
            f'[[upstream]]\nname = "for-{kind}"\nurl = "{provider.url}"\n'
            f'keys = ["sk-{kind}-0123456789abcd"]\nmodels = ["{kind}"]\n'
            for kind in KINDS
        ]
        tables[-1] += 'model_map = { alias = "mapped" }\n'
        file.write_text("\n".join(tables))
        environment = {"LLM_PROXY_CONFIG": str(file)}
        with ProxyProcess(directory, environment=environment) as proxy:
            yield World(proxy, provider)


@pytest.fixture
def many(many_world: World) -> World:
    """The same, its provider healthy and without memory."""
    many_world.reset()
    return many_world


def assert_times_fit(record: Record) -> None:
    """Check that the times of a record tell one story."""
    assert abs(record.at_ms / 1000 - time.time()) < 60
    assert 0 < record.total_ms < 30_000
    for attempt in record.attempts:
        assert 0 <= attempt.start_ms <= record.total_ms
        assert 0 <= attempt.total_ms <= record.total_ms + 1
        if attempt.connect_ms is not None and attempt.first_byte_ms is not None:
            assert 0 <= attempt.connect_ms <= attempt.first_byte_ms <= attempt.total_ms
    if record.first_token_ms is not None:
        assert 0 < record.first_token_ms <= record.total_ms


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
async def test_a_request_that_went_well(many: World, dialect: str, stream: bool) -> None:
    body = to_json(question(dialect, "ok", stream=stream))
    headers = [("content-type", "application/json"), ("user-agent", "my-agent/1.0")]
    answer = await many.ask("POST", f"{PATHS[dialect]}?beta=true", headers=headers, body=body)
    record = many.record_of(answer)
    assert (record.outcome, record.status, record.error) == ("ok", 200, None)
    assert (record.format, record.method, record.path) == (dialect, "POST", PATHS[dialect])
    assert (record.caller, record.client) == ("key-1", "my-agent/1.0")
    assert (record.model, record.served, record.stream) == ("ok", "ok", stream)
    assert (record.upstream, record.key) == ("for-ok", "key-1 …abcd")
    assert (record.notice, record.broken_events) == (None, 0)
    assert record.bytes_up == len(body)
    assert record.bytes_down > len(answer.body)
    assert (record.first_token_ms is not None) is stream
    (attempt,) = record.attempts
    assert (attempt.upstream, attempt.key, attempt.model) == ("for-ok", record.key, "ok")
    assert (attempt.status, attempt.fault, attempt.reason) == (200, None, None)
    assert (attempt.cost, attempt.cool_s) == (None, None)
    assert attempt.why
    assert_times_fit(record)


async def test_asked_and_served_model_are_told_apart(many: World) -> None:
    record = many.record_of(await many.generate("chat", model="alias"))
    assert (record.model, record.served, record.attempts[0].model) == ("alias", "mapped", "mapped")


async def test_a_request_that_was_at_fault_itself(many: World) -> None:
    many.provider.script(error(400, "messages", message="max_tokens: too large"))
    record = many.record_of(await many.generate("messages", model="client"))
    assert (record.outcome, record.status) == ("client_error", 400)
    assert "max_tokens: too large" in (record.error or "")
    assert faults_of(record) == ["client_fault"]
    assert record.attempts[0].status == 400
    assert record.attempts[0].reason == "max_tokens: too large"
    assert record.usage == Usage()
    assert_times_fit(record)


async def test_a_request_no_upstream_could_answer(many: World) -> None:
    many.provider.reply(error(500, message="broken inside"), model="failing")
    answer = await many.generate("chat", model="failing")
    record = many.record_of(answer)
    assert answer.status == record.status == 500
    assert record.outcome == "upstream_error"
    assert "broken inside" in (record.error or "")
    assert set(faults_of(record)) == {"server_error"}
    assert str(len(record.attempts)) == answer.header("x-llm-proxy-attempts")
    assert len(record.attempts) == len(many.provider.requests) > 1
    assert {attempt.cost for attempt in record.attempts} == {"unknown"}
    assert record.attempts[1].wait_ms > 0
    starts = [attempt.start_ms for attempt in record.attempts]
    assert starts == sorted(starts)
    assert_times_fit(record)


async def test_a_request_that_met_nothing_but_limits(many: World) -> None:
    many.provider.reply(error(429, headers=[("retry-after", "33")]), model="limited")
    record = many.record_of(await many.generate("chat", model="limited"))
    assert (record.outcome, record.status) == ("rate_limited", 429)
    assert faults_of(record) == ["rate_limited"]
    assert record.attempts[0].cool_s == pytest.approx(33)
    assert record.attempts[0].cost == "none"
    again = many.record_of(await many.generate("chat", model="limited"))
    assert (again.outcome, again.status, again.attempts) == ("rate_limited", 429, [])


async def test_a_stream_that_broke_behind_content(many: World) -> None:
    begun = asyncio.Event()
    many.provider.script(event_stream([*chat_events(["Hello"])[:2], wait(begun)]))
    async with many.client() as client:
        body = question("chat", "cut", stream=True)
        await client.request("POST", CHAT, key=many.proxy.access_key, json_body=body)
        head = await client.read_head()
        async for _ in client.read_events(head):
            many.provider.set(begun)
    record = many.record(head.header("x-llm-proxy-request-id"))
    assert (record.outcome, record.status, record.upstream) == ("cut", 200, "for-cut")
    assert record.error == "the upstream's stream broke off"
    assert faults_of(record) == ["stream_cut"]
    assert record.attempts[0].cost == "partial"
    assert record.first_token_ms is not None
    assert_times_fit(record)


@pytest.mark.parametrize("when", ["waiting for the answer", "reading the stream"])
async def test_a_client_that_left(many: World, when: str) -> None:
    is_stream = when == "reading the stream"
    model, path = ("gone", MESSAGES) if is_stream else ("waiting", RESPONSES)
    many.provider.script(_messages_start() if is_stream else [hang()], model=model)
    async with many.client() as client:
        body = question("messages" if is_stream else "responses", model, stream=is_stream)
        await client.request("POST", path, key=many.proxy.access_key, json_body=body)
        if is_stream:
            head = await client.read_head()
            async for event in client.read_events(head):
                if event.name == "content_block_delta":
                    break
        else:
            many.provider.wait_until(lambda: bool(many.provider.requests))
        client.abort()
    record = many.newest_record(path)
    assert (record.outcome, record.model) == ("client_gone", model)
    assert record.status == (200 if is_stream else 0)
    assert faults_of(record) == ["client_gone"]
    assert record.attempts[0].cost == "partial"
    assert_times_fit(record)


def _messages_start() -> Any:
    start: dict[str, Any] = {"id": "m", "type": "message", "role": "assistant", "model": "gone"}
    start |= {"content": [], "stop_reason": None, "stop_sequence": None}
    start["usage"] = {"input_tokens": 7, "output_tokens": 1}
    text = {"type": "text", "text": ""}
    delta = {"type": "text_delta", "text": "Hel"}
    return event_stream(
        [
            messages_event("message_start", message=start),
            messages_event("content_block_start", index=0, content_block=text),
            messages_event("content_block_delta", index=0, delta=delta),
            hang(),
        ]
    )


async def test_what_is_known_of_the_usage_is_kept_when_the_client_leaves(many: World) -> None:
    many.provider.script(_messages_start(), model="gone")
    async with many.client() as client:
        body = question("messages", "gone", stream=True)
        await client.request("POST", MESSAGES, key=many.proxy.access_key, json_body=body)
        head = await client.read_head()
        async for event in client.read_events(head):
            if event.name == "content_block_delta":
                break
        client.abort()
    assert many.record(head.header("x-llm-proxy-request-id")).usage.input == 7


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 400, "JSON"),
        (b'{"model":"nobody-serves"}', 404, "nobody-serves"),
        (b'{"model":"a","model":"b"}', 400, "model"),
    ],
    ids=["no json", "no such model", "two models"],
)
async def test_a_request_the_proxy_refused_itself(
    many: World, body: bytes, status: int, says: str
) -> None:
    record = many.record_of(await many.ask("POST", CHAT, body=body))
    assert (record.outcome, record.status, record.attempts) == ("refused", status, [])
    assert says in (record.error or "")
    assert (record.upstream, record.key, record.served) == (None, None, None)
    assert (record.bytes_up, record.usage) == (len(body), Usage())


async def test_a_stranger_leaves_no_record(many: World) -> None:
    answer = await many.ask("POST", CHAT, key="sk-wrong", body=b"{}")
    request_id = answer.header("x-llm-proxy-request-id")
    assert (await many.ask("GET", f"/api/requests/{request_id}")).status == 404


# --- usage

CHAT_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 64},
    "completion_tokens_details": {"reasoning_tokens": 12},
}
MESSAGES_USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 20,
    "cache_read_input_tokens": 70,
    "output_tokens": 20,
}
RESPONSES_USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 64},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 12},
    "total_tokens": 120,
}
OPENAI = Usage(input=100, cache_read=64, output=20, reasoning=12)
ANTHROPIC = Usage(input=100, cache_read=70, cache_write=20, output=20)


def _body(script: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(raw(script).split(b"\r\n\r\n", 1)[1])
    return value


async def test_tokens_of_chat_answers_are_counted(world: World) -> None:
    answer = _body(chat_json()) | {"usage": CHAT_USAGE}
    last = b"data: %s\n\n" % to_json({"choices": [], "usage": CHAT_USAGE})
    events = [chat_chunk({"content": "x"}, "stop"), last, b"data: [DONE]\n\n"]
    world.provider.script(respond(to_json(answer)), event_stream(events))
    for stream in (False, True):
        got = await world.generate("chat", stream=stream)
        assert world.record_of(got).usage == OPENAI


async def test_tokens_of_messages_are_counted_with_their_caches(world: World) -> None:
    message: dict[str, Any] = {"id": "m", "type": "message", "role": "assistant", "model": "m"}
    message |= {"content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn"}
    start = message | {"content": [], "stop_reason": None}
    started = start | {"usage": MESSAGES_USAGE | {"output_tokens": 1}}
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    events = [
        messages_event("message_start", message=started),
        messages_event("content_block_start", index=0, content_block={"type": "text", "text": "x"}),
        messages_event("content_block_stop", index=0),
        messages_event("message_delta", delta=delta, usage={"output_tokens": 20}),
        messages_event("message_stop"),
    ]
    whole = to_json(message | {"usage": MESSAGES_USAGE})
    world.provider.script(respond(whole), event_stream(events))
    for stream in (False, True):
        got = await world.generate("messages", stream=stream)
        assert world.record_of(got).usage == ANTHROPIC


async def test_tokens_of_responses_are_counted(world: World) -> None:
    events = responses_events(["x"])
    _, _, data = events[-1].partition(b"data: ")
    completed = json.loads(data)
    completed["response"]["usage"] = RESPONSES_USAGE
    last = messages_event("response.completed", **_without_type(completed))
    whole = to_json(completed["response"])
    world.provider.script(respond(whole), event_stream([*events[:-1], last]))
    for stream in (False, True):
        got = await world.generate("responses", stream=stream)
        assert world.record_of(got).usage == OPENAI


def _without_type(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "type"}


async def test_tokens_nobody_told_stay_unknown(world: World) -> None:
    world.provider.script(chat_json(usage=False), chat_stream(usage=False))
    for stream in (False, True):
        got = await world.generate("chat", stream=stream)
        assert world.record_of(got).usage == Usage()


# --- the page


async def test_the_pages_totals_are_the_sum_of_the_records(tmp_path: Any) -> None:
    with ProviderThread() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        world = World(proxy, provider)
        provider.reply(error(400), model="faulty")
        provider.reply(error(429, headers=[("retry-after", "30")]), model="limited")
        provider.script(error(500), model="twice")
        for dialect in PATHS:
            await world.generate(dialect)
        await world.generate("chat", stream=True, stream_options={"include_usage": True})
        await world.generate("chat", model="twice")
        await world.generate("chat", model="faulty")
        await world.generate("chat", model="limited")
        await world.generate("chat", model="limited")
        await world.ask("POST", CHAT, body=b"{")
        await world.ask("POST", CHAT, key="sk-wrong", body=b"{")  # nobody's request
        await _settled(world, 9)
        totals = world.page("/api/status")["totals"]
        records = world.all_records()
    shown = {name: totals.get(name, 0) for name in EXPECTED}
    assert shown == EXPECTED
    assert len(records) == 9
    assert [r.id for r in records] == sorted((r.id for r in records), reverse=True)
    assert sum(len(record.attempts) for record in records) == EXPECTED["attempts"]


EXPECTED = {
    "requests": 9,
    "ok": 5,
    "rescued": 1,
    "client_errors": 2,
    "failed": 2,
    "rate_limited": 2,
    "rate_limits_met": 1,
    "client_gone": 0,
    "attempts": 8,
    "input_tokens": 45,
    "output_tokens": 15,
}


async def _settled(world: World, requests: int) -> None:
    async with asyncio.timeout(5):
        while world.page("/api/status")["totals"].get("requests", 0) < requests:
            await asyncio.sleep(0.02)
