"""What the page does with a running proxy: it watches, it acts, and it asks on the owner's behalf."""

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.world import CHAT, World, faults_of, question
from tests.support.answers import chat_events, chat_json, error, models_json, to_json
from tests.support.client import Answer
from tests.support.provider import ProviderThread
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import event_stream, hang, respond

KEYS = ("sk-first-0123456789abcd-one1", "sk-second-0123456789abcd-two2")
OWN_PRICE = '[[price]]\nmodel = "test-model"\ninput = 1\noutput = 2\ncached_input = 0.5\n'


@pytest.fixture(scope="module")
def pool_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A proxy with two keys of one upstream, and a price for its model."""
    directory = tmp_path_factory.mktemp("page")
    with ProviderThread() as provider:
        provider.reply(models_json(("test-model",)), path="/v1/models")
        file = directory / "llm-proxy.toml"
        keys = ", ".join(f'"{key}"' for key in KEYS)
        file.write_text(
            f'[[upstream]]\nname = "pool"\nurl = "{provider.url}"\nkeys = [{keys}]\n' + OWN_PRICE
        )
        environment = {
            "LLM_PROXY_CONFIG": str(file),
            "MY_ACCESS_KEY": "owner:sk-owner-0123456789,friend:sk-friend-0123456789",
        }
        with ProxyProcess(
            directory, access_key="sk-owner-0123456789", environment=environment
        ) as proxy:
            yield World(proxy, provider)


@pytest.fixture
async def world(pool_world: World) -> World:
    """The same, its provider healthy, its keys clean."""
    pool_world.reset()
    for key in ("key-1", "key-2"):
        await order(pool_world, key, "resume")
        await order(pool_world, key, "reset")
    return pool_world


async def order(world: World, key: str, action: str) -> Answer:
    return await world.ask("POST", f"/api/upstreams/pool/keys/{key}/{action}")


async def play(world: World, query: str = "", **fields: Any) -> Answer:
    """Ask in the playground, signed in by cookie as a browser is."""
    signed_in = await world.ask(
        "POST", "/api/session", key=None, json_body={"key": world.proxy.access_key}
    )
    cookie = (signed_in.header("set-cookie") or "").partition(";")[0]
    headers = [("cookie", cookie), ("x-llm-proxy-csrf", "1"), ("sec-fetch-site", "same-origin")]
    body = question("chat") | fields
    return await world.ask(
        "POST", f"/api/playground{query}", key=None, headers=headers, json_body=body
    )


async def test_the_playground_answers_what_the_proxy_would(world: World) -> None:
    world.provider.reply(chat_json("hello from upstream"))
    answer = await play(world)
    assert answer.status == 200
    assert answer.json()["choices"][0]["message"]["content"] == "hello from upstream"
    sent = world.sent
    assert sent.path == "/v1/chat/completions"
    assert sent.header("cookie") is None
    assert sent.header("x-llm-proxy-csrf") is None
    assert sent.key in KEYS
    record = world.record_of(answer)
    assert (record.caller, record.client, record.path) == ("owner", "llm-proxy-playground", CHAT)


async def test_the_playground_streams(world: World) -> None:
    world.provider.reply(event_stream(chat_events("one two")))
    answer = await play(world, stream=True)
    assert (answer.header("content-type") or "").startswith("text/event-stream")
    assert answer.body.rstrip().endswith(b"data: [DONE]")


@pytest.mark.parametrize("number", [1, 2])
async def test_the_playground_asks_the_key_that_was_chosen_and_no_other(
    number: int, world: World
) -> None:
    world.provider.reply(error(500))
    answer = await play(world, f"?target=pool/key-{number}")
    assert answer.status == 500
    assert {request.key for request in world.provider.requests} == {KEYS[number - 1]}


async def test_the_playground_is_the_owners(world: World) -> None:
    body = question("chat")
    path = "/api/playground"
    for key, status in ((None, 401), ("sk-friend-0123456789", 403)):
        answer = await world.ask("POST", path, key=key, json_body=body)
        assert answer.status == status
    assert (await world.ask("POST", f"{path}?format=x", json_body=body)).status == 400
    assert (await world.ask("POST", f"{path}?target=pool/key-9", json_body=body)).status == 404
    assert (await world.ask("POST", path, body=b"{}")).status == 415
    # The lists of models are fetched whenever the proxy likes.
    assert [one for one in world.provider.requests if one.path != "/v1/models"] == []


async def test_a_connection_serves_on_after_the_playground(world: World) -> None:
    world.provider.reply(chat_json("fine"))
    async with world.client() as client:
        for path in ("/api/playground", CHAT, "/api/status", "/api/playground"):
            method, body = ("GET", None) if path == "/api/status" else ("POST", question("chat"))
            answer = await client.ask(method, path, key=world.proxy.access_key, json_body=body)
            assert answer.status == 200, path


async def test_a_paused_key_gets_no_requests_until_it_goes_on(world: World) -> None:
    world.provider.reply(chat_json("fine"))
    assert (await order(world, "key-1", "pause")).status == 204
    for _ in range(6):
        assert (await world.generate("chat")).status == 200
    assert {request.key for request in world.provider.requests} == {KEYS[1]}
    (pool,) = world.page("/api/upstreams")["upstreams"]
    assert [key["state"] for key in pool["keys"]] == ["paused", "ready"]
    await order(world, "key-2", "pause")
    answer = await world.generate("chat")
    assert answer.status == 503
    assert "paused" in answer.json()["error"]["message"]
    await order(world, "key-1", "resume")
    assert (await world.generate("chat")).status == 200


async def test_a_reset_key_is_asked_again_at_once(world: World) -> None:
    limited = error(429, headers=[("retry-after", "1000")])
    world.provider.reply(limited)
    assert (await world.generate("chat")).status == 429
    world.reset()
    world.provider.reply(chat_json("fine"))
    assert (await world.generate("chat")).status == 429
    await order(world, "key-2", "reset")
    assert (await world.generate("chat")).status == 200
    assert {request.key for request in world.provider.requests} == {KEYS[1]}


async def test_a_key_is_tested_without_tokens(world: World) -> None:
    world.provider.reply(models_json(("test-model",)), path="/v1/models", key=KEYS[0])
    world.provider.reply(error(401), path="/v1/models", key=KEYS[1])
    good, bad = await order(world, "key-1", "test"), await order(world, "key-2", "test")
    assert good.json()["ok"] is True
    assert bad.json()["ok"] is False
    assert "refused" in bad.json()["findings"][0][1]
    assert {request.path for request in world.provider.requests} == {"/v1/models"}


async def test_a_request_under_way_is_seen_and_ended(world: World) -> None:
    world.provider.reply(event_stream([*chat_events("one")[:2], hang()]))
    async with world.client() as client:
        await client.request(
            "POST", CHAT, key=world.proxy.access_key, json_body=question("chat", stream=True)
        )
        head = await client.read_head()
        (one,) = world.page("/api/in-flight")["in_flight"]
        assert (one["phase"], one["attempt"], one["model"]) == ("answering", 1, "test-model")
        assert one["upstream"] == "pool"
        assert world.page("/api/in-flight", "sk-friend-0123456789")["in_flight"] == []
        assert (await world.ask("POST", f"/api/in-flight/{one['id']}/cancel")).status == 204
        stream = await client.read_stream(head)
        assert "ended by the proxy's owner" in stream.data[-1]
    record = world.record(one["id"])
    assert faults_of(record) == ["cancelled"]
    assert record.error == "the request was ended by the proxy's owner"
    assert world.page("/api/in-flight")["total"] == 0
    assert (await world.ask("POST", f"/api/in-flight/{one['id']}/cancel")).status == 404


async def test_a_request_that_waits_for_its_answer_is_ended_with_a_sentence(world: World) -> None:
    world.provider.reply([hang()])
    asking = asyncio.create_task(world.generate("chat"))
    while not (found := world.page("/api/in-flight")["in_flight"]) or not found[0]["attempt"]:
        await asyncio.sleep(0.01)
    assert found[0]["phase"] == "trying"
    await world.ask("POST", f"/api/in-flight/{found[0]['id']}/cancel")
    answer = await asking
    assert (answer.status, answer.header("x-should-retry")) == (503, "false")
    assert answer.header("retry-after") is None
    assert "ended by the proxy's owner" in answer.json()["error"]["message"]


async def test_numbers_errors_and_exports_tell_the_same_story(world: World) -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 600},
    }
    before = world.page("/api/numbers?window=1h")["totals"]
    message = {"role": "assistant", "content": "fine"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    answered = to_json({"id": "c", "model": "test-model", "choices": choices, "usage": usage})
    world.provider.script(error(500), respond(answered))
    answer = await world.generate("chat")
    record = world.record_of(answer)
    # 400 plain at $1, 600 cached at $0.5, 100 out at $2 per million.
    assert record.cost_nano == 400_000 + 300_000 + 200_000
    for _ in range(100):
        after = world.page("/api/numbers?window=1h")["totals"]
        if after["rescued"] > before["rescued"]:
            break
        await asyncio.sleep(0.02)
    assert after["cost_nano"] - before["cost_nano"] >= 900_000
    assert after["cached_tokens"] - before["cached_tokens"] >= 600
    errors = {one["fault"]: one for one in world.page("/api/errors?window=1h")["errors"]}
    assert errors["server_error"]["rescued"] >= 1
    assert {key["upstream"] for key in errors["server_error"]["keys"]} == {"pool"}
    found = world.page("/api/requests?rescued=1&fault=server_error&q=test-model")["requests"]
    assert found[0]["id"] == record.id
    lines = (await world.ask("GET", "/api/export.jsonl?rescued=1")).body.splitlines()
    assert record.id in [json.loads(line)["id"] for line in lines]
    table = (await world.ask("GET", "/api/export.csv?rescued=1")).body.decode("utf-8-sig")
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(table))}
    assert rows[record.id]["cost_usd"] == "0.000900000"


async def test_settings_show_where_values_come_from_and_no_secret(world: World) -> None:
    settings = {one["name"]: one for one in world.page("/api/settings")["settings"]}
    assert settings["MY_ACCESS_KEY"]["source"] == "environment"
    assert settings["MAX_RETRIES"] == {
        "name": "MAX_RETRIES",
        "value": "3",
        "source": "default",
        "needs_restart": False,
    }
    text = json.dumps(world.page("/api/settings"))
    assert all(secret not in text for secret in (*KEYS, world.proxy.access_key))


async def test_a_key_shows_what_its_provider_says_is_left_and_how_fast_it_is(world: World) -> None:
    limits = [
        ("x-ratelimit-remaining-requests", "29999"),
        ("x-ratelimit-limit-requests", "30000"),
        ("x-ratelimit-reset-requests", "2s"),
        ("x-ratelimit-remaining-tokens", "1499"),
    ]
    world.provider.reply(event_stream(chat_events("one two"), headers=limits))
    await order(world, "key-2", "pause")
    for _ in range(2):
        await world.stream("chat")
    (pool,) = world.page("/api/upstreams")["upstreams"]
    assert pool["keys"][0]["quota"] == {
        "requests": {"left": 29999, "limit": 30000, "reset_s": 2.0},
        "tokens": {"left": 1499, "limit": None, "reset_s": None},
    }
    assert 0 < pool["keys"][0]["first_token_ms"] < 5_000


async def test_bodies_are_kept_only_while_the_owner_wants_them(world: World) -> None:
    world.provider.reply(chat_json(f"an answer that quotes {KEYS[0]}"))
    await world.generate("chat", messages=[{"role": "user", "content": "before"}])
    assert world.page("/api/status")["capture_until_ms"] is None
    asked = await world.ask("POST", "/api/capture", json_body={"minutes": 5})
    assert asked.json()["until_ms"] > 0
    assert world.page("/api/status")["capture_until_ms"] == asked.json()["until_ms"]
    answer = await world.generate("chat", messages=[{"role": "user", "content": "during"}])
    world.provider.reply(event_stream(chat_events(["one ", "two"])))
    await world.stream("chat", messages=[{"role": "user", "content": "x" * 70_000}])
    stream, json_ = world.page("/api/capture")["bodies"]
    assert json_["id"] == answer.header("x-llm-proxy-request-id")
    assert json.loads(json_["request"])["messages"][0]["content"] == "during"
    assert json.loads(json_["answer"])["choices"][0]["message"]["content"].startswith("an answer")
    assert KEYS[0] not in json.dumps(json_)
    assert not json_["is_cut"]
    assert stream["is_cut"]
    assert len(stream["request"]) == 64 * 1024
    assert stream["answer"].endswith("data: [DONE]\n\n")
    friends = await world.ask("GET", "/api/capture", key="sk-friend-0123456789")
    assert friends.status == 403
    await world.ask("POST", "/api/capture", json_body={"minutes": 0})
    assert world.page("/api/capture") == {"until_ms": None, "bodies": []}


@pytest.mark.parametrize("minutes", [-1, 61, "5", None])
async def test_a_capture_is_limited_to_an_hour(minutes: Any, world: World) -> None:
    answer = await world.ask("POST", "/api/capture", json_body={"minutes": minutes})
    assert answer.status == 400
