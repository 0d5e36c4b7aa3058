"""Whole answers: what they say, and which ones only look like success."""

import json
from typing import Any

import pytest

from llm_proxy.domain.faults import RATE_LIMITED, SERVER_ERROR
from llm_proxy.domain.usage import Usage
from llm_proxy.formats import CHAT, MESSAGES, OTHER, RESPONSES
from llm_proxy.formats.format import Answer, Format
from llm_proxy.policy.classify import classify

CHAT_OK = {
    "model": "m",
    "choices": [{"message": {"content": "hi"}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3},
}
MESSAGES_OK = {
    "type": "message",
    "model": "m",
    "content": [{"type": "text", "text": "hi"}],
    "usage": {"input_tokens": 9, "output_tokens": 3},
}
RESPONSES_OK = {
    "object": "response",
    "model": "m",
    "output": [{"type": "message"}],
    "error": None,
    "usage": {"input_tokens": 9, "output_tokens": 3},
}


def dumps(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


@pytest.mark.parametrize(
    ("format_", "value"),
    [(CHAT, CHAT_OK), (MESSAGES, MESSAGES_OK), (RESPONSES, RESPONSES_OK), (OTHER, CHAT_OK)],
)
def test_an_answer_tells_model_and_tokens(format_: Format, value: Any) -> None:
    expected = Answer(model="m", usage=Usage(input=9, output=3))
    assert format_.read_answer(dumps(value)) == expected
    odd = dumps({**value, "x": 1}).replace(b'"x": 1', b'"x": [NaN, "\\ud83d"]')
    assert format_.read_answer(odd) == expected


@pytest.mark.parametrize("format_", [CHAT, MESSAGES, RESPONSES, OTHER])
@pytest.mark.parametrize(
    ("body", "is_empty"),
    [(b"", True), (b" \n", True), (b"<html>no</html>", False), (b'{"choices":[', False)],
)
def test_what_is_no_json_is_no_answer(format_: Format, body: bytes, is_empty: bool) -> None:
    answer = format_.read_answer(body)
    assert not answer.is_json
    assert answer.is_empty is is_empty


@pytest.mark.parametrize(
    ("format_", "value"),
    [
        (CHAT, {}),
        (CHAT, {"choices": []}),
        (CHAT, {"choices": None, "model": "m"}),
        (CHAT, {"id": "x", "object": "chat.completion"}),
        (CHAT, None),
        (CHAT, []),
        (MESSAGES, {}),
        (MESSAGES, {"type": "message", "content": None}),
        (RESPONSES, {}),
        (RESPONSES, {"output": []}),
    ],
)
def test_an_answer_without_anything_is_empty(format_: Format, value: Any) -> None:
    assert format_.read_answer(dumps(value)).is_empty


@pytest.mark.parametrize(
    ("format_", "value"),
    [
        (CHAT, {"object": "list", "data": [{"id": "chatcmpl-1"}]}),
        (CHAT, {"id": "chatcmpl-1", "deleted": True}),
        (MESSAGES, {"type": "message", "content": [], "stop_reason": "end_turn"}),
        (MESSAGES, {"input_tokens": 9}),
        (MESSAGES, {"data": [{}]}),
        (RESPONSES, {"object": "response", "status": "queued", "output": []}),
        (RESPONSES, {"object": "response.input_tokens", "input_tokens": 9}),
        (OTHER, {}),
        (OTHER, []),
        (OTHER, {"text": "transcript"}),
        (OTHER, {"object": "list", "data": []}),
    ],
)
def test_an_answer_of_another_kind_is_not_empty(format_: Format, value: Any) -> None:
    answer = format_.read_answer(dumps(value))
    assert answer.is_json
    assert not answer.is_empty
    assert answer.signal is None


@pytest.mark.parametrize("format_", [CHAT, MESSAGES, RESPONSES, OTHER])
@pytest.mark.parametrize(
    "value",
    [
        {"error": {"message": "slow down", "type": "rate_limit_error"}},
        {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}},
        {"object": "error", "type": "rate_limit_error", "message": "slow down"},
        {"base_resp": {"status_code": 1002, "status_msg": "slow down"}, "choices": None},
        {"code": "Throttling.RateQuota", "message": "slow down", "request_id": "r"},
        [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow down"}}],
    ],
)
def test_an_error_in_a_200_is_an_error(format_: Format, value: Any) -> None:
    signal = format_.read_answer(dumps(value)).signal
    assert signal is not None
    assert signal.message == "slow down"
    assert classify(signal) is RATE_LIMITED


def test_a_failed_response_is_an_error() -> None:
    value = {**RESPONSES_OK, "status": "failed", "error": {"code": "server_error", "message": "x"}}
    signal = RESPONSES.read_answer(dumps(value)).signal
    assert signal is not None
    assert classify(signal) is SERVER_ERROR


def test_a_model_that_is_no_text_is_unknown() -> None:
    assert CHAT.read_answer(dumps({**CHAT_OK, "model": 7})).model is None
    assert CHAT.read_answer(dumps({**CHAT_OK, "usage": "x"})).usage == Usage()
