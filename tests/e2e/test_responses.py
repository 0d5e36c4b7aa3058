"""Responses through the proxy, as a user of OpenAI's package sees them."""

import asyncio
import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.e2e.world import World
from tests.support.answers import (
    error,
    responses_events,
    responses_json,
    responses_stream,
    stream_error,
    to_json,
)
from tests.support.scripts import event_stream, raw, respond, wait

ASK: Any = {"model": "test-model", "input": "hi"}
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


class City(BaseModel):
    """What a structured answer holds."""

    name: str
    people: int


def test_an_answer_arrives_with_text_usage_and_request_id(world: World) -> None:
    world.provider.script(responses_json("Hallo", headers=[("x-request-id", "req_of_upstream")]))
    with world.openai() as client:
        answer = client.responses.create(**ASK)
    assert answer.output_text == "Hallo"
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (9, 3)
    assert answer._request_id == "req_of_upstream"


def test_a_request_id_is_made_where_the_upstream_sends_none(world: World) -> None:
    with world.openai() as client:
        got = client.responses.with_raw_response.create(**ASK)
    assert got.request_id == got.headers["x-llm-proxy-request-id"]


def test_events_arrive_in_order_and_numbered(world: World) -> None:
    with world.openai() as client, client.responses.create(**ASK, stream=True) as stream:
        events = list(stream)
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1].type == "response.completed"
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(len(events)))


def test_the_stream_helper_accumulates_the_whole_answer(world: World) -> None:
    with world.openai() as client, client.responses.stream(**ASK) as stream:
        words = [event.delta for event in stream if event.type == "response.output_text.delta"]
        answer = stream.get_final_response()
    assert words == ["Hello", " there", "!"]
    assert answer.output_text == "Hello there!"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 12


def test_a_tool_call_streams_and_its_result_goes_back_up(world: World) -> None:
    world.provider.script(responses_stream(tool=("weather", {"city": "Köln"})))
    with world.openai() as client:
        with client.responses.stream(**ASK, tools=[WEATHER]) as stream:
            first = stream.get_final_response()
        (call,) = first.output
        assert call.type == "function_call"
        assert json.loads(call.arguments) == {"city": "Köln"}
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "7"}
        second = client.responses.create(
            model="test-model", previous_response_id=first.id, input=[result]
        )
    assert second.output_text == "Hello there!"
    sent = world.provider.requests[1].fields
    assert sent["previous_response_id"] == "resp_test"
    assert sent["input"] == [result]


def test_structured_output_is_parsed_from_what_the_upstream_wrote(world: World) -> None:
    world.provider.script(responses_json('{"name":"Köln","people":1087863}'))
    with world.openai() as client:
        answer = client.responses.parse(**ASK, text_format=City)
    assert answer.output_parsed == City(name="Köln", people=1087863)
    assert world.sent.fields["text"]["format"]["type"] == "json_schema"


def test_encrypted_reasoning_arrives_and_goes_back_up(world: World) -> None:
    answer = json.loads(raw(responses_json()).split(b"\r\n\r\n", 1)[1])
    thought = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAAA=="}
    answer["output"].insert(0, thought)
    world.provider.script(respond(to_json(answer)))
    include: Any = ["reasoning.encrypted_content"]
    with world.openai() as client:
        first = client.responses.create(**ASK, store=False, include=include)
        assert first.output[0].to_dict() == thought
        history: Any = [*first.output, {"role": "user", "content": "and?"}]
        client.responses.create(model="test-model", input=history, store=False)
    assert world.provider.requests[0].fields["include"] == include
    assert world.provider.requests[1].fields["input"][0]["encrypted_content"] == "gAAAA=="


def test_tools_of_any_kind_pass(world: World) -> None:
    tools: Any = [
        {"type": "web_search"},
        {"type": "namespace", "name": "repo", "tools": [WEATHER]},
        {"type": "custom", "name": "patch", "format": {"type": "text"}},
    ]
    with world.openai() as client:
        client.responses.create(**ASK, tools=tools)
    assert world.sent.fields["tools"] == tools


def test_a_stored_answer_is_fetched_listed_cancelled_and_deleted(world: World) -> None:
    stored = json.loads(raw(responses_json("kept")).split(b"\r\n\r\n", 1)[1])
    path = "/v1/responses/resp_test"
    items = {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None}
    world.provider.script(respond(to_json(stored)), respond(to_json(stored)), path=path)
    world.provider.script(respond(to_json(items)), path=path + "/input_items")
    world.provider.script(respond(to_json(stored)), path=path + "/cancel")
    with world.openai() as client:
        assert client.responses.retrieve("resp_test", include=[]).output_text == "kept"
        assert list(client.responses.input_items.list("resp_test", limit=5)) == []
        assert client.responses.cancel("resp_test").id == "resp_test"
        client.responses.delete("resp_test")
    seen = [(request.method, request.target) for request in world.provider.requests]
    assert seen == [
        ("GET", path),
        ("GET", path + "/input_items?limit=5"),
        ("POST", path + "/cancel"),
        ("DELETE", path),
    ]


def test_an_unknown_stored_answer_is_the_upstreams_404(world: World) -> None:
    world.provider.script(error(404, message="Response with id 'resp_x' not found."))
    with world.openai() as client, pytest.raises(openai.NotFoundError, match="resp_x"):
        client.responses.retrieve("resp_x")
    assert len(world.provider.requests) == 1


def test_input_tokens_are_counted_by_the_upstream(world: World) -> None:
    said = {"object": "response.input_tokens", "input_tokens": 4711}
    world.provider.script(respond(to_json(said)), path="/v1/responses/input_tokens")
    with world.openai() as client:
        assert client.responses.input_tokens.count(**ASK).input_tokens == 4711


def test_the_asynchronous_client_streams_many_answers_at_once(world: World) -> None:
    async def one(client: AsyncOpenAI, model: str) -> str:
        async with client.responses.stream(**(ASK | {"model": model})) as stream:
            answer = await stream.get_final_response()
        assert answer.model == model
        return answer.output_text

    async def many() -> list[str]:
        async with world.async_openai() as client:
            return await asyncio.gather(*(one(client, f"model-{n}") for n in range(20)))

    assert asyncio.run(many()) == ["Hello there!"] * 20


def test_a_faulty_request_raises_what_the_provider_said(world: World) -> None:
    world.provider.script(error(400, code="context_length_exceeded", message="too long"))
    with (
        world.openai() as client,
        pytest.raises(openai.BadRequestError, match="too long") as raised,
    ):
        client.responses.create(**ASK)
    assert raised.value.code == "context_length_exceeded"
    assert len(world.provider.requests) == 1


def test_an_error_event_behind_content_arrives_as_the_last_one(world: World) -> None:
    begun = asyncio.Event()  # else the whole stream comes at once and is replaced unseen
    failed = stream_error("responses", message="out of luck")
    world.provider.script(event_stream([*responses_events(["Hello"])[:5], wait(begun), failed]))
    with world.openai() as client, client.responses.create(**ASK, stream=True) as stream:
        assert [next(stream).type for _ in range(5)][-1] == "response.output_text.delta"
        world.provider.set(begun)
        (last,) = list(stream)
    assert last.type == "error"
    assert last.message == "out of luck"


def test_a_stream_that_breaks_off_is_reported_as_failed(world: World) -> None:
    begun = asyncio.Event()
    world.provider.script(event_stream([*responses_events(["Hello"])[:5], wait(begun)]))
    with world.openai() as client, client.responses.create(**ASK, stream=True) as stream:
        assert [next(stream).type for _ in range(5)][-1] == "response.output_text.delta"
        world.provider.set(begun)
        (last,) = list(stream)
    assert last.type == "response.failed"
    assert last.response.status == "failed"
    assert last.response.error is not None
    assert "broke off" in last.response.error.message
    assert last.sequence_number == 5
