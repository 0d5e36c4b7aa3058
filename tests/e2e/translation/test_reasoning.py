"""Reasoning over two turns: what an upstream thought comes back to it as it was, by any client."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.translation.pairs import Worlds, each_pair, text_of, values_of
from tests.e2e.world import World
from tests.support.answers import chat_chunk, messages_event, messages_usage, to_json
from tests.support.client import Stream
from tests.support.scripts import Script, event_stream, respond

THOUGHT = "Let me think: 2 + 2 …"
SIGNED = "EqQBCgYIBRgCKkBsignature/of+Anthropic=="
SECRET = "EncryptedThoughts/+=="
TOOL_ARGUMENTS = '{"id":12345678901234567890}'


def chat_answer(is_stream: bool) -> Script:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "f", "arguments": TOOL_ARGUMENTS},
    }
    if is_stream:
        return event_stream(
            [
                chat_chunk({"role": "assistant", "content": ""}),
                chat_chunk({"reasoning_content": THOUGHT[:9]}),
                chat_chunk({"reasoning_content": THOUGHT[9:]}),
                chat_chunk({"content": "Four."}),
                chat_chunk({"tool_calls": [{"index": 0, **call}]}),
                chat_chunk({}, "tool_calls"),
                b"data: [DONE]\n\n",
            ]
        )
    message = {
        "role": "assistant",
        "content": "Four.",
        "reasoning_content": THOUGHT,
        "tool_calls": [call],
    }
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return respond(to_json({"id": "x", "model": "m", "choices": [choice]}))


MESSAGES_BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": THOUGHT, "signature": SIGNED},
    {"type": "redacted_thinking", "data": SECRET},
    {"type": "text", "text": "Four."},
    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"id": 1}},
]


def messages_answer(is_stream: bool) -> Script:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": MESSAGES_BLOCKS,
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": messages_usage((9, 3)),
    }
    if not is_stream:
        return respond(to_json(message).replace(b'{"id":1}', TOOL_ARGUMENTS.encode()))
    events = [
        messages_event("message_start", message=message | {"content": [], "stop_reason": None})
    ]
    filled: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        (
            {"type": "thinking", "thinking": "", "signature": ""},
            [
                {"type": "thinking_delta", "thinking": THOUGHT[:9]},
                {"type": "thinking_delta", "thinking": THOUGHT[9:]},
                {"type": "signature_delta", "signature": SIGNED},
            ],
        ),
        (MESSAGES_BLOCKS[1], []),
        ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "Four."}]),
        (
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
            [{"type": "input_json_delta", "partial_json": TOOL_ARGUMENTS}],
        ),
    ]
    for index, (block, deltas) in enumerate(filled):
        events.append(messages_event("content_block_start", index=index, content_block=block))
        events += [messages_event("content_block_delta", index=index, delta=one) for one in deltas]
        events.append(messages_event("content_block_stop", index=index))
    end = {"stop_reason": "tool_use", "stop_sequence": None}
    events.append(messages_event("message_delta", delta=end, usage=messages_usage((9, 3))))
    events.append(messages_event("message_stop"))
    return event_stream(events)


ITEMS: list[dict[str, Any]] = [
    {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": THOUGHT}],
        "encrypted_content": SECRET,
    },
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Four.", "annotations": [], "logprobs": []}],
    },
    {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "call_1",
        "name": "f",
        "arguments": TOOL_ARGUMENTS,
        "status": "completed",
    },
]


def responses_answer(is_stream: bool) -> Script:
    response: dict[str, Any] = {"id": "resp_1", "object": "response", "model": "m", "output": ITEMS}
    response |= {"status": "completed", "error": None, "usage": None}
    if not is_stream:
        return respond(to_json(response))
    begun = response | {"status": "in_progress", "output": []}
    events = [messages_event("response.created", response=begun)]
    reasoning, message, call = ITEMS
    at = {"output_index": 0}
    events += [
        messages_event(
            "response.output_item.added",
            item=reasoning | {"summary": [], "encrypted_content": ""},
            **at,
        ),
        messages_event(
            "response.reasoning_summary_part.added",
            summary_index=0,
            part={"type": "summary_text", "text": ""},
            **at,
        ),
        messages_event(
            "response.reasoning_summary_text.delta", summary_index=0, delta=THOUGHT, **at
        ),
        messages_event("response.reasoning_summary_text.done", summary_index=0, text=THOUGHT, **at),
        messages_event("response.output_item.done", item=reasoning, **at),
    ]
    at = {"output_index": 1}
    events += [
        messages_event("response.output_item.added", item=message | {"content": []}, **at),
        messages_event("response.output_text.delta", content_index=0, delta="Four.", **at),
        messages_event("response.output_item.done", item=message, **at),
    ]
    at = {"output_index": 2}
    events += [
        messages_event("response.output_item.added", item=call | {"arguments": ""}, **at),
        messages_event("response.function_call_arguments.delta", delta=TOOL_ARGUMENTS, **at),
        messages_event("response.output_item.done", item=call, **at),
        messages_event("response.completed", response=response),
    ]
    return event_stream(events)


ANSWERS: dict[str, Callable[[bool], Script]] = {
    "chat": chat_answer,
    "messages": messages_answer,
    "responses": responses_answer,
}


def gathered(client: str, stream: Stream) -> Any:
    """Return what a client of this format keeps of a stream."""
    values = values_of(stream)
    if client == "responses":
        return next(v for v in values if v["type"] == "response.completed")["response"]["output"]
    if client == "messages":
        blocks: list[dict[str, Any]] = []
        arguments: dict[int, str] = {}
        for value in values:
            if value["type"] == "content_block_start":
                assert value["index"] == len(blocks)
                blocks.append(value["content_block"])
            elif value["type"] == "content_block_delta":
                delta, block = value["delta"], blocks[value["index"]]
                for name in ("text", "thinking", "signature"):
                    if name in delta:
                        block[name] += delta[name]
                if "partial_json" in delta:
                    so_far = arguments.get(value["index"], "") + delta["partial_json"]
                    arguments[value["index"]] = so_far
        for index, text in arguments.items():
            blocks[index]["input"] = json.loads(text)
        return blocks
    message: dict[str, Any] = {"role": "assistant", "content": "", "reasoning_content": ""}
    for value in values:
        for choice in value.get("choices", ()):
            delta = choice["delta"]
            for name in ("content", "reasoning_content"):
                message[name] += delta.get(name) or ""
            for one in delta.get("reasoning_details", ()):
                message.setdefault("reasoning_details", []).append(one)
            for one in delta.get("tool_calls", ()):
                calls = message.setdefault("tool_calls", [])
                if one["index"] == len(calls):
                    calls.append({key: item for key, item in one.items() if key != "index"})
                else:
                    calls[one["index"]]["function"]["arguments"] += one["function"]["arguments"]
    return message


def kept(client: str, body: dict[str, Any]) -> Any:
    if client == "chat":
        return body["choices"][0]["message"]
    return body["content"] if client == "messages" else body["output"]


def thought_of(client: str, answer: Any) -> str:
    """Return the reasoning that a client shows."""
    if client == "chat":
        return answer["reasoning_content"]  # type: ignore[no-any-return]
    if client == "messages":
        return "".join(b["thinking"] for b in answer if b["type"] == "thinking")
    items = [item for item in answer if item["type"] == "reasoning"]
    return "".join(part["text"] for item in items for part in item["summary"])


def second_turn(client: str, answer: Any) -> dict[str, Any]:
    """Return the fields of the request in which the tool's result goes back."""
    first = {"role": "user", "content": "2 + 2?"}
    if client == "responses":
        call = next(item for item in answer if item["type"] == "function_call")
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "ok"}
        return {"input": [first, *answer, result]}
    if client == "messages":
        call = next(block for block in answer if block["type"] == "tool_use")
        content = [{"type": "tool_result", "tool_use_id": call["id"], "content": "ok"}]
        turns = [
            first,
            {"role": "assistant", "content": answer},
            {"role": "user", "content": content},
        ]
        return {"messages": turns}
    result = {"role": "tool", "tool_call_id": answer["tool_calls"][0]["id"], "content": "ok"}
    return {"messages": [first, answer, result]}


def assert_back(upstream: str, world: World) -> None:
    """Check that the upstream sees its own reasoning as it was, and its call's digits."""
    sent = world.sent
    assert b"12345678901234567890" in sent.body
    assert b"gwsig1" not in sent.body
    assert b"gwenc1" not in sent.body
    if upstream == "chat":
        (turn,) = [turn for turn in sent.fields["messages"] if turn["role"] == "assistant"]
        assert turn["reasoning_content"] == THOUGHT
        assert turn["content"] == "Four."
        assert turn["tool_calls"][0]["function"]["arguments"] == TOOL_ARGUMENTS
    elif upstream == "messages":
        (turn,) = [turn for turn in sent.fields["messages"] if turn["role"] == "assistant"]
        assert turn["content"][:2] == MESSAGES_BLOCKS[:2]
        assert [block["type"] for block in turn["content"][2:]] == ["text", "tool_use"]
    else:
        (item,) = [one for one in sent.fields["input"] if one.get("type") == "reasoning"]
        assert item["encrypted_content"] == SECRET
        assert item["summary"] == ITEMS[0]["summary"]
        assert sent.fields["input"].index(item) == 1


TOOLS: dict[str, Any] = {
    "chat": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "messages": [{"name": "f", "input_schema": {"type": "object"}}],
    "responses": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
}


@each_pair
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
async def test_reasoning_comes_back_as_it_was(
    worlds: Worlds, client: str, upstream: str, is_stream: bool
) -> None:
    world = worlds(upstream)
    world.provider.reply(ANSWERS[upstream](is_stream))
    tools: dict[str, Any] = {"tools": TOOLS[client]}
    if client == "responses":
        tools["reasoning"] = {"summary": "auto"}
    if is_stream:
        stream = await world.stream(client, **tools)
        assert text_of(client, stream) == "Four."
        answer = gathered(client, stream)
    else:
        got = await world.generate(client, **tools)
        assert got.status == 200
        answer = kept(client, got.json())
    assert thought_of(client, answer) == THOUGHT
    world.reset()
    got = await world.generate(client, **second_turn(client, answer), **tools)
    assert got.status == 200
    assert_back(upstream, world)


@pytest.mark.parametrize("upstream", ["chat", "messages"])
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
async def test_reasoning_that_is_not_shown_comes_back_too(
    worlds: Worlds, upstream: str, is_stream: bool
) -> None:
    world = worlds(upstream)
    world.provider.reply(ANSWERS[upstream](is_stream))
    tools: dict[str, Any] = {"tools": TOOLS["responses"]}
    if is_stream:
        answer = gathered("responses", await world.stream("responses", **tools))
    else:
        answer = kept("responses", (await world.generate("responses", **tools)).json())
    assert thought_of("responses", answer) == ""
    world.reset()
    await world.generate("responses", **second_turn("responses", answer), **tools)
    assert_back(upstream, world)
