"""Tokens of a request are estimated by a rule that anyone can check by hand."""

import json
from typing import Any

import pytest

from llm_proxy.domain.errors import RequestError
from llm_proxy.formats.translate.count import answer, estimate


def _messages(**fields: Any) -> int:
    return estimate("messages", json.dumps({"model": "m", "max_tokens": 9, **fields}).encode())


def _responses(**fields: Any) -> int:
    return estimate("responses", json.dumps({"model": "m", **fields}).encode())


def _user(*blocks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(blocks)}]


IMAGE = {"type": "base64", "media_type": "image/png", "data": "A" * 1000}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "A" * 1000}
SCHEMA = {"type": "object", "properties": {}}

# fmt: off
CASES = [
    pytest.param({"messages": []}, 0, id="nothing"),
    pytest.param({"messages": [{"role": "user", "content": "12345678"}]}, 4 + 2, id="ascii"),
    pytest.param({"messages": [{"role": "user", "content": "早上好"}]}, 4 + 2, id="other_scripts"),
    pytest.param({"messages": [{"role": "user", "content": "a早"}]}, 4 + 1 + 1, id="both"),
    pytest.param({"system": "1234", "messages": []}, 1, id="system"),
    pytest.param({"system": [{"type": "text", "text": "1234", "cache_control": {"type": "ephemeral"}}],
                  "messages": []}, 1, id="system_blocks"),
    pytest.param({"messages": _user({"type": "image", "source": IMAGE})}, 4 + 1600, id="image"),
    pytest.param({"messages": _user({"type": "document", "source": PDF})}, 4 + 50, id="document"),
    pytest.param({"messages": _user({"type": "document", "title": "1234",
                                     "source": {"type": "text", "data": "1234"}})},
                 4 + 2, id="text_document"),
    pytest.param({"messages": [{"role": "assistant", "content": [
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": 1}}]}]},
                 4 + 3, id="call"),  # look{"a":1}
    pytest.param({"messages": _user({"type": "tool_result", "tool_use_id": "toolu_1",
                                     "content": [{"type": "text", "text": "1234"}]})},
                 4 + 1, id="result"),
    pytest.param({"messages": _user({"type": "thinking", "thinking": "1234", "signature": "x" * 99})},
                 4 + 1, id="thinking"),
    pytest.param({"messages": [], "tools": [
        {"name": "look", "description": "1234", "input_schema": SCHEMA}]},
                 -(-(8 + 33) // 4), id="tool"),
]
# fmt: on


@pytest.mark.parametrize(("fields", "tokens"), CASES)
def test_a_messages_request_is_counted_by_the_rule(fields: dict[str, Any], tokens: int) -> None:
    assert _messages(**fields) == tokens


def test_a_responses_request_is_counted_by_the_same_rule() -> None:
    assert _responses(input="12345678") == 4 + 2
    items = [
        {
            "role": "user",
            "content": [{"type": "input_image", "image_url": "data:...", "detail": "auto"}],
        },
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "12345"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x" * 99},
    ]
    tools = [{"type": "function", "name": "look", "parameters": SCHEMA, "strict": False}]
    counted = _responses(input=items, instructions="1234", tools=tools)
    assert counted == 4 * 4 + 1600 + -(-(4 + 7 + 5 + 4 + 4 + 33) // 4)


def test_a_body_that_is_no_object_is_refused() -> None:
    with pytest.raises(RequestError):
        estimate("messages", b"[]")


def test_the_answer_has_the_shape_of_the_format() -> None:
    assert json.loads(answer("messages", 7)) == {"input_tokens": 7}
    assert json.loads(answer("responses", 7)) == {
        "object": "response.input_tokens",
        "input_tokens": 7,
    }
