"""Chat Completions through the proxy, as a user of OpenAI's package sees them."""

import asyncio
import json
from typing import Any

import openai
import pytest
from openai import pydantic_function_tool
from pydantic import BaseModel

from tests.e2e.world import World
from tests.support.answers import (
    chat_chunk,
    chat_events,
    chat_json,
    error,
    stream_error,
    to_json,
)
from tests.support.scripts import event_stream, respond, wait

ASK: Any = {"model": "test-model", "messages": [{"role": "user", "content": "hi"}]}


class Weather(BaseModel):
    """What a tool or a structured answer holds."""

    city: str
    celsius: int


def tool_call(index: int, **fields: Any) -> bytes:
    """Return a chunk with a piece of one tool call."""
    return chat_chunk({"tool_calls": [{"index": index, **fields}]})


def test_an_answer_arrives_with_text_usage_and_request_id(world: World) -> None:
    world.provider.script(chat_json("Hallo Welt", headers=[("x-request-id", "req_of_upstream")]))
    with world.openai() as client:
        answer = client.chat.completions.create(**ASK)
    assert answer.choices[0].message.content == "Hallo Welt"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (9, 3)
    assert answer._request_id == "req_of_upstream"


def test_a_request_id_is_made_where_the_upstream_sends_none(world: World) -> None:
    with world.openai() as client:
        raw = client.chat.completions.with_raw_response.create(**ASK)
    assert raw.request_id == raw.headers["x-llm-proxy-request-id"]
    assert raw.parse().choices[0].message.content == "Hello there!"


def test_a_stream_arrives_word_by_word_with_its_usage(world: World) -> None:
    options: Any = {"include_usage": True}
    with (
        world.openai() as client,
        client.chat.completions.create(**ASK, stream=True, stream_options=options) as stream,
    ):
        chunks = list(stream)
    words = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert words == ["Hello", " there", "!"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 12
    assert world.sent.fields["stream_options"] == {"include_usage": True}


def test_usage_that_was_not_asked_for_is_not_made_up(world: World) -> None:
    with world.openai() as client, client.chat.completions.create(**ASK, stream=True) as stream:
        chunks = list(stream)
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert "stream_options" not in world.sent.fields


def test_the_stream_accumulator_ends_with_the_whole_answer(world: World) -> None:
    with world.openai() as client, client.chat.completions.stream(**ASK) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert answer.choices[0].message.content == "Hello there!"
    assert answer.choices[0].finish_reason == "stop"


def test_parallel_tool_calls_stream_piece_by_piece(world: World) -> None:
    pieces = [
        chat_chunk({"role": "assistant", "content": None}),
        tool_call(0, id="call_a", type="function", function={"name": "Weather", "arguments": ""}),
        tool_call(0, function={"arguments": '{"city":"Kö'}),
        tool_call(0, function={"arguments": 'ln","celsius":7}'}),
        tool_call(1, id="call_b", type="function", function={"name": "Weather", "arguments": ""}),
        tool_call(1, function={"arguments": '{"city":"Rom","celsius":21}'}),
        chat_chunk({}, "tool_calls"),
        b"data: [DONE]\n\n",
    ]
    world.provider.script(event_stream(pieces))
    tools: Any = [pydantic_function_tool(Weather)]
    with world.openai() as client, client.chat.completions.stream(**ASK, tools=tools) as stream:
        answer = stream.get_final_completion()
    calls = answer.choices[0].message.tool_calls or []
    assert [call.id for call in calls] == ["call_a", "call_b"]
    assert calls[0].function.parsed_arguments == Weather(city="Köln", celsius=7)
    assert calls[1].function.parsed_arguments == Weather(city="Rom", celsius=21)
    assert world.sent.fields["tools"][0]["function"]["name"] == "Weather"


def test_a_tool_call_and_its_result_make_a_conversation(world: World) -> None:
    world.provider.script(chat_json(tool=("weather", {"city": "Köln"})), chat_json("7 °C"))
    with world.openai() as client:
        first = client.chat.completions.create(**ASK)
        (call,) = first.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert json.loads(call.function.arguments) == {"city": "Köln"}
        history: Any = [*ASK["messages"], first.choices[0].message]
        history.append({"role": "tool", "tool_call_id": call.id, "content": "7"})
        second = client.chat.completions.create(model="test-model", messages=history)
    assert second.choices[0].message.content == "7 °C"
    sent = world.provider.requests[1].fields["messages"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == "call_test"


def test_structured_output_is_parsed_from_what_the_upstream_wrote(world: World) -> None:
    world.provider.script(chat_json('{"city":"Köln","celsius":7}'))
    with world.openai() as client:
        answer = client.chat.completions.parse(**ASK, response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="Köln", celsius=7)
    schema = world.sent.fields["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["required"] == ["city", "celsius"]


def test_reasoning_of_compatible_providers_arrives(world: World) -> None:
    pieces = [
        chat_chunk({"role": "assistant", "content": ""}),
        chat_chunk({"reasoning_content": "Hm."}),
        chat_chunk({"content": "Yes."}, "stop"),
        b"data: [DONE]\n\n",
    ]
    world.provider.script(event_stream(pieces))
    with world.openai() as client, client.chat.completions.create(**ASK, stream=True) as stream:
        deltas = [chunk.choices[0].delta.to_dict() for chunk in stream]
    assert [delta.get("reasoning_content") for delta in deltas] == [None, "Hm.", None]


def test_the_asynchronous_client_streams_many_answers_at_once(world: World) -> None:
    async def one(client: openai.AsyncOpenAI, number: int) -> str:
        model = f"model-{number}"
        async with await client.chat.completions.create(
            **(ASK | {"model": model}), stream=True
        ) as s:
            chunks = [chunk async for chunk in s]
        assert {chunk.model for chunk in chunks} == {model}
        return "".join(c.choices[0].delta.content or "" for c in chunks)

    async def many() -> list[str]:
        async with world.async_openai() as client:
            return await asyncio.gather(*(one(client, number) for number in range(20)))

    assert asyncio.run(many()) == ["Hello there!"] * 20


def test_a_faulty_request_raises_what_the_provider_said(world: World) -> None:
    said = error(
        400,
        code="context_length_exceeded",
        message="This model's maximum context length is 8192 tokens",
        param="messages",
    )
    world.provider.script(said)
    with world.openai() as client, pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(**ASK)
    assert raised.value.code == "context_length_exceeded"
    assert raised.value.param == "messages"
    assert "maximum context length is 8192 tokens" in raised.value.message
    assert raised.value.request_id
    assert len(world.provider.requests) == 1


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_a_faulty_request_is_asked_once(world: World, status: int) -> None:
    world.provider.reply(error(status))
    with world.openai() as client, pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(**ASK)
    assert raised.value.status_code == status
    assert len(world.provider.requests) == 1


@pytest.mark.parametrize("ending", ["error event", "cut"])
def test_a_stream_that_breaks_behind_content_raises_instead_of_ending(
    world: World, ending: str
) -> None:
    begun = asyncio.Event()  # else the whole stream comes at once and is replaced unseen
    last = [stream_error("chat", message="out of luck")] if ending == "error event" else []
    world.provider.script(event_stream([*chat_events(["Hello"])[:2], wait(begun), *last]))
    with world.openai() as client, client.chat.completions.create(**ASK, stream=True) as stream:
        next(stream)
        assert next(stream).choices[0].delta.content == "Hello"
        world.provider.set(begun)
        with pytest.raises(openai.APIError, match="out of luck" if last else "broke off"):
            next(stream)


def test_unknown_fields_survive_in_both_directions(world: World) -> None:
    body = json.loads(
        b"".join(p for p in chat_json() if isinstance(p, bytes)).split(b"\r\n\r\n")[1]
    )
    world.provider.script(respond(to_json(body | {"x_new": {"n": 2**70}})))
    with world.openai() as client:
        answer = client.chat.completions.create(**ASK, extra_body={"thinking": {"type": "auto"}})
    assert answer.to_dict()["x_new"] == {"n": 2**70}
    assert world.sent.fields["thinking"] == {"type": "auto"}


def test_pictures_of_several_megabytes_pass(world: World) -> None:
    url = "data:image/png;base64," + "A" * 4_000_000
    parts: Any = [{"type": "image_url", "image_url": {"url": url}}]
    with world.openai() as client:
        answer = client.chat.completions.create(
            model="test-model", messages=[{"role": "user", "content": parts}]
        )
    assert answer.choices[0].message.content == "Hello there!"
    assert world.sent.fields["messages"][0]["content"] == parts
