"""Anthropic's own SDK on upstreams that do not speak its format."""

import json
from typing import Any

import pytest
from anthropic import APIStatusError, BadRequestError, RateLimitError

from tests.e2e.world import World
from tests.support.answers import (
    chat_chunk,
    chat_json,
    chat_stream,
    error,
    responses_json,
    responses_stream,
)
from tests.support.scripts import event_stream

MODEL = "test-model"
HELLO: list[Any] = [{"role": "user", "content": "hi"}]
TOOLS: list[Any] = [
    {
        "name": "weather",
        "description": "Tells the weather",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def test_a_plain_answer_comes_in_the_clients_words(on_chat: World) -> None:
    on_chat.provider.reply(chat_json("Hello there!", usage=(9, 3)))
    message = on_chat.anthropic().messages.create(model=MODEL, max_tokens=64, messages=HELLO)
    assert message.content[0].type == "text"
    assert message.content[0].text == "Hello there!"
    assert (message.stop_reason, message.role, message.type) == ("end_turn", "assistant", "message")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (9, 3)
    sent = on_chat.sent
    assert sent.path == "/v1/chat/completions"
    assert sent.header("x-api-key") is None
    assert sent.fields["messages"] == [{"role": "user", "content": "hi"}]
    assert sent.fields["max_tokens"] == 64


def test_a_stream_adds_up_in_the_sdk(on_chat: World) -> None:
    on_chat.provider.reply(chat_stream(["Hel", "lo"], usage=(9, 3)))
    client = on_chat.anthropic()
    with client.messages.stream(model=MODEL, max_tokens=64, messages=HELLO) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
    assert pieces == ["Hel", "lo"]
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (9, 3)
    assert on_chat.sent.fields["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
def test_a_tool_is_called_and_its_result_goes_back(on_chat: World, is_stream: bool) -> None:
    tool = ("weather", {"city": "Bremen"})
    make = chat_stream if is_stream else chat_json
    on_chat.provider.reply(make(tool=tool))
    client = on_chat.anthropic()
    ask: dict[str, Any] = {"model": MODEL, "max_tokens": 64, "tools": TOOLS}
    if is_stream:
        with client.messages.stream(messages=HELLO, **ask) as stream:
            message = stream.get_final_message()
    else:
        message = client.messages.create(messages=HELLO, **ask)
    assert message.stop_reason == "tool_use"
    (call,) = [block for block in message.content if block.type == "tool_use"]
    assert (call.name, call.input) == ("weather", {"city": "Bremen"})
    on_chat.reset()
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
    follow_up: Any = {"role": "user", "content": [result, {"type": "text", "text": "and?"}]}
    client.messages.create(
        messages=[
            *HELLO,
            {"role": "assistant", "content": message.content},
            follow_up,
        ],
        **ask,
    )
    sent = on_chat.sent.fields["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "tool", "user"]
    assert sent[1]["tool_calls"][0]["id"] == call.id == sent[2]["tool_call_id"]
    assert json.loads(sent[1]["tool_calls"][0]["function"]["arguments"]) == {"city": "Bremen"}
    assert (sent[2]["content"], sent[3]["content"]) == ("rain", "and?")
    assert on_chat.sent.fields["tools"][0]["function"]["parameters"] == TOOLS[0]["input_schema"]


def test_an_image_goes_up_as_a_data_address(on_chat: World) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": DOT}
    content: list[Any] = [{"type": "image", "source": source}, {"type": "text", "text": "what?"}]
    on_chat.anthropic().messages.create(
        model=MODEL, max_tokens=64, messages=[{"role": "user", "content": content}]
    )
    (image, text) = on_chat.sent.fields["messages"][0]["content"]
    assert image["image_url"]["url"] == f"data:image/png;base64,{DOT}"
    assert text == {"type": "text", "text": "what?"}


def test_reasoning_is_shown_as_thinking_and_finds_its_way_back(on_chat: World) -> None:
    events = [
        chat_chunk({"role": "assistant", "content": ""}),
        chat_chunk({"reasoning_content": "Let me "}),
        chat_chunk({"reasoning_content": "think."}),
        chat_chunk({"content": "Four."}),
        chat_chunk({}, "stop"),
        b"data: [DONE]\n\n",
    ]
    on_chat.provider.reply(event_stream(events))
    client = on_chat.anthropic()
    ask: dict[str, Any] = {
        "model": MODEL,
        "max_tokens": 4096,
        "thinking": {"type": "enabled", "budget_tokens": 2048},
    }
    with client.messages.stream(messages=HELLO, **ask) as stream:
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].type == "thinking"
    assert message.content[0].thinking == "Let me think."
    assert message.content[0].signature
    assert on_chat.sent.fields["reasoning_effort"] == "low"
    on_chat.reset()
    turns = [*HELLO, {"role": "assistant", "content": message.content}, *HELLO]
    client.messages.create(messages=turns, **ask)
    assert on_chat.sent.fields["messages"][1]["reasoning_content"] == "Let me think."


def test_tokens_are_estimated_where_nobody_counts_them(on_chat: World) -> None:
    answer = on_chat.anthropic().messages.with_raw_response.count_tokens(
        model=MODEL, messages=[{"role": "user", "content": "a" * 400}]
    )
    assert 100 <= answer.parse().input_tokens <= 120
    assert answer.headers["x-llm-proxy-warnings"] == "estimated=input_tokens"
    assert on_chat.provider.requests == []


def test_a_limit_is_a_limit_in_the_clients_words(on_chat: World) -> None:
    on_chat.provider.reply(error(429, headers=[("retry-after", "30")]))
    with pytest.raises(RateLimitError) as caught:
        on_chat.anthropic().messages.create(model="limited", max_tokens=9, messages=HELLO)
    assert caught.value.body["error"]["type"] == "rate_limit_error"  # type: ignore[index]
    assert caught.value.response.headers["retry-after"] in ("29", "30")


def test_a_conversation_that_is_too_long_says_so_as_the_client_expects(on_chat: World) -> None:
    said = "This model's maximum context length is 8192 tokens."
    on_chat.provider.reply(error(400, message=said))
    with pytest.raises(BadRequestError) as caught:
        on_chat.anthropic().messages.create(model=MODEL, max_tokens=9, messages=HELLO)
    assert f"prompt is too long: {said}" in str(caught.value)


def test_what_cannot_be_carried_is_refused_before_anybody_is_asked(on_chat: World) -> None:
    with pytest.raises(BadRequestError) as caught:
        on_chat.anthropic().messages.create(
            model=MODEL, max_tokens=9, messages=HELLO, extra_body={"container": "c1"}
        )
    assert "container" in str(caught.value)
    assert on_chat.provider.requests == []


def test_what_is_left_out_is_said_or_refused(on_chat: World) -> None:
    client = on_chat.anthropic()
    ask: dict[str, Any] = {"model": MODEL, "max_tokens": 9, "messages": HELLO}
    ask["extra_body"] = {"top_k": 5, "metadata": {"user_id": "u"}}
    answer = client.messages.with_raw_response.create(**ask)
    warnings = answer.headers["x-llm-proxy-warnings"].split(", ")
    assert sorted(warnings) == ["dropped=top_k", "ignored=metadata"]
    record = on_chat.record(answer.headers["x-llm-proxy-request-id"])
    assert "dropped=top_k" in (record.notice or "")
    with pytest.raises(BadRequestError, match="top_k"):
        client.messages.create(extra_headers={"x-llm-proxy-strict": "true"}, **ask)


def test_a_preference_that_the_upstream_refuses_is_left_out_once_and_for_all(
    on_chat: World,
) -> None:
    said = "Unsupported parameter: 'temperature' is not supported with this model."
    refusal = error(400, message=said, param="temperature")
    on_chat.provider.script(refusal, chat_json("fine"))
    ask: dict[str, Any] = {"model": "choosy", "max_tokens": 9, "messages": HELLO}
    client = on_chat.anthropic()
    answer = client.messages.with_raw_response.create(extra_body={"temperature": 0.5}, **ask)
    assert answer.headers["x-llm-proxy-warnings"] == "dropped=temperature"
    assert answer.headers["x-llm-proxy-attempts"] == "2"
    first, second = on_chat.provider.requests
    assert "temperature" in first.fields
    assert "temperature" not in second.fields
    on_chat.reset()
    client.messages.create(extra_body={"temperature": 0.5}, **ask)
    assert "temperature" not in on_chat.sent.fields


def test_a_stream_that_breaks_is_told_as_broken(on_chat: World) -> None:
    on_chat.provider.reply(chat_stream(["Hel", "lo"], cut_after=2, cut_by="reset"))
    client = on_chat.anthropic()
    with (
        pytest.raises(APIStatusError),
        client.messages.stream(model=MODEL, max_tokens=9, messages=HELLO) as stream,
    ):
        stream.get_final_message()


def test_json_for_a_stream_becomes_a_stream(on_chat: World) -> None:
    on_chat.provider.reply(chat_json("Hello there!"))
    with on_chat.anthropic().messages.stream(model=MODEL, max_tokens=9, messages=HELLO) as stream:
        assert stream.get_final_text() == "Hello there!"


def test_a_stream_for_json_becomes_json(on_chat: World) -> None:
    on_chat.provider.reply(chat_stream(["Hel", "lo"]))
    message = on_chat.anthropic().messages.create(model=MODEL, max_tokens=9, messages=HELLO)
    assert message.content[0].type == "text"
    assert message.content[0].text == "Hello"


@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
def test_responses_upstreams_serve_it_too(on_responses: World, is_stream: bool) -> None:
    tool = ("weather", {"city": "Bremen"})
    make = responses_stream if is_stream else responses_json
    on_responses.provider.reply(make(tool=tool))
    client = on_responses.anthropic()
    ask: dict[str, Any] = {"model": MODEL, "max_tokens": 64, "tools": TOOLS, "messages": HELLO}
    if is_stream:
        with client.messages.stream(**ask) as stream:
            message = stream.get_final_message()
    else:
        message = client.messages.create(**ask)
    assert message.stop_reason == "tool_use"
    (call,) = [block for block in message.content if block.type == "tool_use"]
    assert (call.name, call.input) == ("weather", {"city": "Bremen"})
    assert on_responses.sent.path == "/v1/responses"
    assert on_responses.sent.fields["store"] is False
