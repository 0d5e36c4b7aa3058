"""OpenAI's own SDK, both of its formats, on upstreams that do not speak them."""

import json
from typing import Any

import pytest
from openai import APIError, BadRequestError
from pydantic import BaseModel

from tests.e2e.world import World
from tests.support.answers import (
    chat_json,
    chat_stream,
    error,
    messages_json,
    messages_stream,
    responses_json,
    responses_stream,
)

MODEL = "claude-test"
HELLO: list[Any] = [{"role": "user", "content": "hi"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
RESPONSES_TOOL: Any = {
    "type": "function",
    "name": "weather",
    "parameters": PARAMETERS,
    "strict": False,
}
CALL = ("weather", {"city": "Bremen"})


class City(BaseModel):
    """What is asked for in a structured answer."""

    name: str


def test_a_chat_answer_comes_from_a_messages_upstream(on_messages: World) -> None:
    on_messages.provider.reply(messages_json("Hello there!", usage=(9, 3)))
    turns: list[Any] = [{"role": "system", "content": "Be brief."}, *HELLO]
    answer = on_messages.openai().chat.completions.create(model=MODEL, messages=turns)
    assert answer.choices[0].message.content == "Hello there!"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (9, 3)
    sent = on_messages.sent
    assert sent.path == "/v1/messages"
    assert sent.header("anthropic-version") == "2023-06-01"
    assert sent.header("authorization") is None
    assert sent.header("x-api-key")
    assert sent.fields["max_tokens"] == 8192
    assert sent.fields["system"][0]["text"] == "Be brief."


def test_a_chat_stream_adds_up_in_the_sdk(on_messages: World) -> None:
    on_messages.provider.reply(messages_stream(["Hel", "lo"], usage=(9, 3)))
    client = on_messages.openai()
    options: Any = {"include_usage": True}
    with client.chat.completions.stream(
        model=MODEL, messages=HELLO, stream_options=options
    ) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "Hello"
    assert final.choices[0].finish_reason == "stop"
    assert final.usage is not None
    assert (final.usage.prompt_tokens, final.usage.completion_tokens) == (9, 3)


@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
def test_a_chat_tool_is_called_and_its_result_goes_back(
    on_messages: World, is_stream: bool
) -> None:
    make = messages_stream if is_stream else messages_json
    on_messages.provider.reply(make(tool=CALL))
    client = on_messages.openai()
    if is_stream:
        with client.chat.completions.stream(
            model=MODEL, messages=HELLO, tools=[CHAT_TOOL]
        ) as stream:
            message: Any = stream.get_final_completion().choices[0].message
    else:
        answer = client.chat.completions.create(model=MODEL, messages=HELLO, tools=[CHAT_TOOL])
        assert answer.choices[0].finish_reason == "tool_calls"
        message = answer.choices[0].message
    (call,) = message.tool_calls
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "Bremen"}
    on_messages.reset()
    turns: list[Any] = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]},
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
    ]
    client.chat.completions.create(model=MODEL, messages=turns, tools=[CHAT_TOOL])
    sent = on_messages.sent.fields["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "user"]
    assert sent[1]["content"][0]["input"] == {"city": "Bremen"}
    assert sent[2]["content"][0]["tool_use_id"] == call.id


def test_a_structured_chat_answer_is_parsed(on_messages: World) -> None:
    on_messages.provider.reply(messages_json('{"name":"Bremen"}'))
    answer = on_messages.openai().chat.completions.parse(
        model=MODEL, messages=HELLO, response_format=City
    )
    assert answer.choices[0].message.parsed == City(name="Bremen")
    schema = on_messages.sent.fields["output_config"]["format"]
    assert schema["type"] == "json_schema"
    assert schema["schema"]["required"] == ["name"]


def test_several_choices_are_refused_before_anybody_is_asked(on_messages: World) -> None:
    with pytest.raises(BadRequestError) as caught:
        on_messages.openai().chat.completions.create(model=MODEL, messages=HELLO, n=2)
    assert caught.value.param == "n"
    assert caught.value.code == "unsupported_parameter"
    assert on_messages.provider.requests == []


def test_a_chat_stream_that_breaks_is_told_as_broken(on_messages: World) -> None:
    on_messages.provider.reply(messages_stream(["Hel", "lo"], cut_after=2, cut_by="reset"))
    with pytest.raises(APIError):
        for _ in on_messages.openai().chat.completions.create(
            model=MODEL, messages=HELLO, stream=True
        ):
            pass


def _responses_worlds(request: pytest.FixtureRequest, name: str) -> tuple[World, Any, Any]:
    world: World = request.getfixturevalue(f"on_{name}")
    if name == "chat":
        return world, chat_json, chat_stream
    return world, messages_json, messages_stream


@pytest.mark.parametrize("upstream", ["chat", "messages"])
def test_a_response_comes_from_other_upstreams(
    request: pytest.FixtureRequest, upstream: str
) -> None:
    world, as_json, _ = _responses_worlds(request, upstream)
    world.provider.reply(as_json("Hello there!", usage=(9, 3)))
    response = world.openai().responses.create(model=MODEL, instructions="Be brief.", input="hi")
    assert response.output_text == "Hello there!"
    assert response.status == "completed"
    assert response.instructions == "Be brief."
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (9, 3)


@pytest.mark.parametrize("upstream", ["chat", "messages"])
def test_a_response_stream_adds_up_in_the_sdk(
    request: pytest.FixtureRequest, upstream: str
) -> None:
    world, _, as_stream = _responses_worlds(request, upstream)
    world.provider.reply(as_stream(["Hel", "lo"], usage=(9, 3)))
    with world.openai().responses.stream(model=MODEL, input="hi") as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()
    assert pieces == ["Hel", "lo"]
    assert response.output_text == "Hello"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (9, 3)


@pytest.mark.parametrize("upstream", ["chat", "messages"])
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
def test_a_response_calls_a_tool(
    request: pytest.FixtureRequest, upstream: str, is_stream: bool
) -> None:
    world, as_json, as_stream = _responses_worlds(request, upstream)
    world.provider.reply((as_stream if is_stream else as_json)(tool=CALL))
    client = world.openai()
    if is_stream:
        with client.responses.stream(model=MODEL, input="hi", tools=[RESPONSES_TOOL]) as stream:
            for _ in stream:
                pass
            response: Any = stream.get_final_response()
    else:
        response = client.responses.create(model=MODEL, input="hi", tools=[RESPONSES_TOOL])
    (call,) = [item for item in response.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Bremen"})
    world.reset()
    turns: list[Any] = [
        {"role": "user", "content": "hi"},
        call.model_dump(exclude_none=True),
        {"type": "function_call_output", "call_id": call.call_id, "output": "rain"},
    ]
    client.responses.create(model=MODEL, input=turns, tools=[RESPONSES_TOOL])
    sent = world.sent.fields["messages"]
    if upstream == "chat":
        assert sent[-1] == {"role": "tool", "tool_call_id": call.call_id, "content": "rain"}
    else:
        assert sent[-1]["content"][0]["tool_use_id"] == call.call_id


def test_server_side_state_is_refused_where_none_is_kept(on_chat: World) -> None:
    with pytest.raises(BadRequestError) as caught:
        on_chat.openai().responses.create(
            model=MODEL, input="hi", previous_response_id="resp_unknown"
        )
    assert caught.value.param == "previous_response_id"
    assert on_chat.provider.requests == []


@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
def test_chat_is_served_by_a_responses_upstream(on_responses: World, is_stream: bool) -> None:
    make: Any = responses_stream if is_stream else responses_json
    on_responses.provider.reply(make(tool=CALL))
    client = on_responses.openai()
    ask: dict[str, Any] = {"model": MODEL, "messages": HELLO, "tools": [CHAT_TOOL]}
    if is_stream:
        with client.chat.completions.stream(**ask) as stream:
            message: Any = stream.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(**ask).choices[0].message
    (call,) = message.tool_calls
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "Bremen"}


def test_a_refused_provider_key_is_not_shown_as_the_clients(on_messages: World) -> None:
    on_messages.provider.reply(error(401, "messages", message="invalid x-api-key"))
    with pytest.raises(APIError) as caught:
        on_messages.openai().chat.completions.create(model="refused", messages=HELLO)
    assert getattr(caught.value, "status_code", None) == 502
    assert "x-api-key" not in str(caught.value)
