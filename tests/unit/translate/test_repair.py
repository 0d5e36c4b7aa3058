"""A preference that an upstream refuses is left out once; content, tools and formats never are."""

import json
from typing import Any

import pytest

from llm_proxy.formats.translate.repair import repair, without

CHAT: dict[str, Any] = {
    "model": "up",
    "messages": [
        {"role": "user", "content": "temperature"},
        {"role": "assistant", "content": "a", "reasoning_content": "hm"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}}],
    "parallel_tool_calls": False,
    "temperature": 0.7,
    "top_p": 0.9,
    "reasoning_effort": "high",
    "verbosity": "low",
    "stream": True,
    "stream_options": {"include_usage": True},
}
MESSAGES: dict[str, Any] = {
    "model": "up",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hi"}],
    "tools": [{"name": "f", "input_schema": {}, "strict": True}],
    "temperature": 1,
    "top_k": 5,
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {}}},
    "metadata": {"user_id": "x"},
}
RESPONSES: dict[str, Any] = {
    "model": "up",
    "input": [],
    "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": True}],
    "reasoning": {"effort": "high", "summary": "auto"},
    "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    "text": {"verbosity": "low"},
    "user": "x",
    "temperature": 0.5,
}
BODIES = {"chat": CHAT, "messages": MESSAGES, "responses": RESPONSES}

# fmt: off
REPAIRED = [
    # upstream     field                    what the upstream says
    ("chat",      "temperature",           "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is supported."),
    ("chat",      "top_p",                 "Unsupported parameter: 'top_p' is not supported with this model."),
    ("chat",      "temperature",           "invalid temperature: only 1 is allowed for this model"),
    ("chat",      "reasoning_effort",      "Unrecognized request argument supplied: reasoning_effort"),
    ("chat",      "reasoning_effort",      "`reasoning_effort` is not supported with this model"),
    ("chat",      "parallel_tool_calls",   "Unknown parameter: 'parallel_tool_calls'."),
    ("chat",      "stream_options",        "Unrecognized request argument supplied: stream_options"),
    ("chat",      "stream_options",        "stream_options: Extra inputs are not permitted"),
    ("chat",      "verbosity",             "Unsupported parameter: 'verbosity' is not supported with this model."),
    ("chat",      "strict",                "tools[0].function: unknown field `strict`"),
    ("chat",      "messages.reasoning",    "'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property 'reasoning_content' is unsupported)]"),
    ("messages",  "temperature",           "`temperature` is deprecated for this model."),
    ("messages",  "top_k",                 "top_k: Extra inputs are not permitted"),
    ("messages",  "thinking",              "adaptive thinking is not supported on this model"),
    ("messages",  "output_config.effort",  "This model does not support the effort parameter. output_config.effort: not supported"),
    ("messages",  "metadata.user_id",      "metadata.user_id: Extra inputs are not permitted"),
    ("messages",  "strict",                "tools.0.strict: Extra inputs are not permitted"),
    ("responses", "reasoning",             "Unsupported parameter: 'reasoning.effort' is not supported with this model."),
    ("responses", "include",               "Encrypted content is not supported with this model."),
    ("responses", "text.verbosity",        "Unknown parameter: 'text.verbosity'."),
    ("responses", "user",                  "Unknown parameter: 'user'."),
]
LEFT = [
    # upstream     why                      what the upstream says
    ("chat",      "about content",         "messages.1.content: Input should be a valid string"),
    ("chat",      "a word in a sentence",  "the user message must not be empty"),
    ("chat",      "about the format",      "Invalid schema for response_format 'n': 'strict' must be true"),
    ("chat",      "nothing is named",      "Bad Request"),
    ("chat",      "it was not sent",       "Unsupported parameter: 'top_k' is not supported"),
    ("chat",      "about tools",           "Unknown parameter: 'tools'."),
    ("messages",  "about the format",      "output_config.format: Extra inputs are not permitted"),
    ("messages",  "a limit",               "max_tokens: 100000 > 64000, which is the maximum allowed"),
    ("responses", "about the input",       "Invalid value: 'input[0].role'."),
]
# fmt: on


@pytest.mark.parametrize(("upstream", "field", "message"), REPAIRED)
def test_the_field_that_was_refused_is_left_out(upstream: str, field: str, message: str) -> None:
    body = json.dumps(BODIES[upstream]).encode()
    repaired = repair(400, message, body, upstream)
    assert repaired is not None
    assert repaired.field == field
    assert repaired.body != body
    assert without(field, body) == repaired.body
    assert without(field, repaired.body) is None


@pytest.mark.parametrize(("upstream", "why", "message"), LEFT)
def test_what_the_client_asked_for_is_never_left_out(upstream: str, why: str, message: str) -> None:
    assert repair(400, message, json.dumps(BODIES[upstream]).encode(), upstream) is None


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_other_failures_are_no_refusals(status: int) -> None:
    body = json.dumps(CHAT).encode()
    assert repair(status, "Unsupported parameter: 'temperature'", body, "chat") is None


def test_422_is_a_refusal_too() -> None:
    assert repair(422, "Unknown parameter: 'temperature'", json.dumps(CHAT).encode(), "chat")


def _left(field: str, body: dict[str, Any]) -> dict[str, Any]:
    found = without(field, json.dumps(body).encode())
    assert found is not None
    result: dict[str, Any] = json.loads(found)
    return result


def test_what_is_left_out_leaves_the_rest_alone() -> None:
    assert _left("temperature", CHAT) == {k: v for k, v in CHAT.items() if k != "temperature"}
    assert _left("output_config.effort", MESSAGES)["output_config"] == {
        "format": {"type": "json_schema", "schema": {}}
    }
    assert "metadata" not in _left("metadata.user_id", MESSAGES)
    assert _left("include", RESPONSES)["include"] == ["message.output_text.logprobs"]
    assert _left("strict", RESPONSES)["tools"][0]["strict"] is False
    assert "strict" not in _left("strict", CHAT)["tools"][0]["function"]
    assert _left("messages.reasoning", CHAT)["messages"][1] == {"role": "assistant", "content": "a"}


def test_a_level_goes_with_the_thinking_it_belongs_to() -> None:
    left = _left("thinking", MESSAGES)
    assert "thinking" not in left
    assert left["output_config"] == {"format": {"type": "json_schema", "schema": {}}}


def test_numbers_keep_their_spelling_in_a_repaired_request() -> None:
    body = b'{"model":"up","messages":[],"temperature":0.70,"top_p":0.90}'
    assert without("temperature", body) == b'{"model":"up","messages":[],"top_p":0.90}'
