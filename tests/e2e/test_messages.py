"""Messages through the proxy, as a user of Anthropic's package sees them."""

import asyncio
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic
from pydantic import BaseModel

from tests.e2e.world import World
from tests.support.answers import (
    count_tokens_json,
    error,
    messages_event,
    messages_events,
    messages_json,
    stream_error,
    to_json,
)
from tests.support.scripts import event_stream, respond, wait

ASK: Any = {
    "model": "test-model",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "hi"}],
}
WEATHER: Any = {
    "name": "weather",
    "description": "Tell the weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


class City(BaseModel):
    """What a structured answer holds."""

    name: str
    people: int


def delta(index: int, kind: str, **fields: str) -> bytes:
    """Return a `content_block_delta`."""
    return messages_event("content_block_delta", index=index, delta={"type": kind, **fields})


def block(index: int, **fields: Any) -> bytes:
    """Return a `content_block_start`."""
    return messages_event("content_block_start", index=index, content_block=fields)


def stop(index: int) -> bytes:
    """Return a `content_block_stop`."""
    return messages_event("content_block_stop", index=index)


def stream_of(*blocks: bytes, finish: str = "end_turn") -> list[bytes]:
    """Return a whole stream around some blocks."""
    events = messages_events(["x"], finish=finish)
    return [events[0], *blocks, *events[-2:]]


def test_an_answer_arrives_with_text_usage_and_request_id(world: World) -> None:
    world.provider.script(messages_json("Hallo", headers=[("request-id", "req_of_upstream")]))
    with world.anthropic() as client:
        answer = client.messages.create(**ASK)
    assert answer.content[0].type == "text"
    assert answer.content[0].text == "Hallo"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (9, 3)
    assert answer._request_id == "req_of_upstream"


def test_a_request_id_is_made_where_the_upstream_sends_none(world: World) -> None:
    with world.anthropic() as client:
        raw = client.messages.with_raw_response.create(**ASK)
    assert raw.request_id == raw.headers["x-llm-proxy-request-id"]


def test_the_stream_helper_accumulates_text_and_usage(world: World) -> None:
    with world.anthropic() as client, client.messages.stream(**ASK) as stream:
        words = list(stream.text_stream)
        answer = stream.get_final_message()
    assert words == ["Hello", " there", "!"]
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (9, 3)


def test_named_events_arrive_in_order(world: World) -> None:
    with world.anthropic() as client, client.messages.create(**ASK, stream=True) as stream:
        kinds = [event.type for event in stream]
    assert kinds == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * 3,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_thinking_and_its_signature_arrive_and_go_back_up(world: World) -> None:
    events = stream_of(
        block(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="Let me "),
        delta(0, "thinking_delta", thinking="see."),
        delta(0, "signature_delta", signature="c2lnbmF0dXJl"),
        stop(0),
        block(1, type="redacted_thinking", data="c2VjcmV0"),
        stop(1),
        block(2, type="text", text=""),
        delta(2, "text_delta", text="42"),
        stop(2),
    )
    world.provider.script(event_stream(events))
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    with world.anthropic() as client:
        with client.messages.stream(**ASK, thinking=thinking) as stream:
            first = stream.get_final_message()
        history: Any = [
            *ASK["messages"],
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": "sure?"},
        ]
        client.messages.create(**(ASK | {"messages": history}), thinking=thinking)
    assert [part.type for part in first.content] == ["thinking", "redacted_thinking", "text"]
    thought = {"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmF0dXJl"}
    assert first.content[0].to_dict() == thought
    sent = world.provider.requests[1].fields["messages"][1]["content"]
    assert sent[0] == thought
    assert sent[1] == {"type": "redacted_thinking", "data": "c2VjcmV0"}


def test_parallel_tool_calls_stream_piece_by_piece(world: World) -> None:
    events = stream_of(
        block(0, type="tool_use", id="toolu_a", name="weather", input={}),
        delta(0, "input_json_delta", partial_json='{"city":"K'),
        delta(0, "input_json_delta", partial_json='öln"}'),
        stop(0),
        block(1, type="tool_use", id="toolu_b", name="weather", input={}),
        delta(1, "input_json_delta", partial_json='{"city":"Rom"}'),
        stop(1),
        finish="tool_use",
    )
    world.provider.script(event_stream(events))
    with world.anthropic() as client, client.messages.stream(**ASK, tools=[WEATHER]) as stream:
        answer = stream.get_final_message()
    calls = [(part.id, part.input) for part in answer.content if part.type == "tool_use"]
    assert calls == [("toolu_a", {"city": "Köln"}), ("toolu_b", {"city": "Rom"})]
    assert answer.stop_reason == "tool_use"


def test_the_tool_runner_calls_and_answers(world: World) -> None:
    asked: list[str] = []

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """Tell the weather of a city.

        Args:
            city: Its name.
        """
        asked.append(city)
        return "7 °C"

    world.provider.script(messages_json(tool=("weather", {"city": "Köln"})), messages_json("Cold"))
    with world.anthropic() as client:
        answer = client.beta.messages.tool_runner(**ASK, tools=[weather]).until_done()
    assert asked == ["Köln"]
    assert answer.content[0].type == "text"
    assert answer.content[0].text == "Cold"
    result = world.provider.requests[1].fields["messages"][-1]["content"][0]
    assert (result["type"], result["tool_use_id"]) == ("tool_result", "toolu_test")


def test_betas_reach_the_upstream_with_their_query(world: World) -> None:
    with world.anthropic() as client:
        betas = ["one-2025-01-01", "two-2025-01-01"]
        client.beta.messages.create(**ASK, betas=betas, extra_query={"beta": "true"})
    (sent,) = world.sent.headers_named("anthropic-beta")
    assert sent == ",".join(betas)
    assert world.sent.target == "/v1/messages?beta=true"


def test_structured_output_is_parsed_from_what_the_upstream_wrote(world: World) -> None:
    world.provider.script(messages_json('{"name":"Köln","people":1087863}'))
    with world.anthropic() as client:
        answer = client.messages.parse(**ASK, output_format=City)
    assert answer.parsed_output == City(name="Köln", people=1087863)
    assert world.sent.fields["output_config"]["format"]["type"] == "json_schema"


def test_tokens_are_counted_by_the_upstream(world: World) -> None:
    world.provider.script(count_tokens_json(4711))
    with world.anthropic() as client:
        counted = client.messages.count_tokens(model="test-model", messages=ASK["messages"])
    assert counted.input_tokens == 4711
    assert world.sent.path == "/v1/messages/count_tokens"


def test_twenty_seven_counts_at_once_are_all_answered(world: World) -> None:
    async def one(client: AsyncAnthropic) -> int:
        counted = await client.messages.count_tokens(model="m", messages=ASK["messages"])
        return counted.input_tokens

    async def all_of_them() -> list[int]:
        async with world.async_anthropic() as client:
            return await asyncio.gather(*(one(client) for _ in range(27)))

    assert asyncio.run(all_of_them()) == [9] * 27


def test_the_asynchronous_client_streams_many_answers_at_once(world: World) -> None:
    async def one(client: AsyncAnthropic, model: str) -> str:
        async with client.messages.stream(**(ASK | {"model": model})) as stream:
            answer = await stream.get_final_message()
        assert answer.model == model
        return "".join(part.text for part in answer.content if part.type == "text")

    async def many() -> list[str]:
        async with world.async_anthropic() as client:
            return await asyncio.gather(*(one(client, f"model-{n}") for n in range(20)))

    assert asyncio.run(many()) == ["Hello there!"] * 20


def test_a_faulty_request_raises_what_the_provider_said(world: World) -> None:
    said = error(400, "messages", message="no such thread", error_code="thread_not_found")
    world.provider.script(said)
    with world.anthropic() as client, pytest.raises(anthropic.BadRequestError) as raised:
        client.messages.create(**ASK)
    body: Any = raised.value.body
    assert body["error"]["details"] == {"error_code": "thread_not_found"}
    assert body["error"]["message"] == "no such thread"
    assert raised.value.request_id
    assert len(world.provider.requests) == 1


@pytest.mark.parametrize("ending", ["error event", "cut"])
def test_a_stream_that_breaks_behind_content_raises_instead_of_ending(
    world: World, ending: str
) -> None:
    begun = asyncio.Event()  # else the whole stream comes at once and is replaced unseen
    is_error = ending == "error event"
    last = [stream_error("messages", message="out of luck")] if is_error else []
    world.provider.script(event_stream([*messages_events(["Hello"])[:4], wait(begun), *last]))
    with world.anthropic() as client, client.messages.create(**ASK, stream=True) as stream:
        assert [next(stream).type for _ in range(3)][-1] == "content_block_delta"
        world.provider.set(begun)
        with pytest.raises(anthropic.APIStatusError, match="out of luck" if last else "broke off"):
            list(stream)


def test_unknown_fields_survive_in_both_directions(world: World) -> None:
    answer = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "hi", "x_part": 1}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
        "container": {"id": "c", "expires_at": "2026-01-01T00:00:00Z"},
        "x_new": 2**70,
    }
    world.provider.script(respond(to_json(answer)))
    extra = {"context_management": {"edits": []}, "x_up": 2**70}
    with world.anthropic() as client:
        got = client.messages.create(**ASK, extra_body=extra)
    assert got.to_dict()["x_new"] == 2**70
    assert got.content[0].to_dict()["x_part"] == 1
    assert {name: world.sent.fields[name] for name in extra} == extra


def test_a_system_message_within_the_conversation_passes(world: World) -> None:
    messages: Any = [*ASK["messages"], {"role": "system", "content": "be brief"}]
    with world.anthropic() as client:
        client.messages.create(**(ASK | {"messages": messages}))
    assert world.sent.fields["messages"] == messages


@pytest.mark.parametrize("how", ["auth_token", "x-api-key"])
def test_both_ways_to_give_a_key_are_accepted(world: World, how: str) -> None:
    key = world.proxy.access_key
    options: dict[str, Any] = {"auth_token": key, "api_key": None}
    if how == "x-api-key":
        options = {"default_headers": {"x-api-key": key}}
    with world.anthropic(**options) as client:
        client.messages.create(**ASK)
    assert world.sent.headers_named("x-api-key") == [world.proxy.environment["API_KEY"]]
    assert world.sent.header("authorization") is None
