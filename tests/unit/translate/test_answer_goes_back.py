"""What an upstream said comes back to it, with all that it wants back, in the next request."""

import json
from typing import Any

import pytest

from llm_proxy.domain.knobs import Knobs
from llm_proxy.formats.translate.request import translate_request

from .answers import cases, targets, told_json

CASES = cases()


def _next_body(client: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return the request a client makes of an answer: its own, the results, a question."""
    if client == "messages":
        calls = [block["id"] for block in answer["content"] if block["type"] == "tool_use"]
        results: list[dict[str, Any]] = [
            {"type": "tool_result", "tool_use_id": call, "content": "done"} for call in calls
        ]
        turns = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": answer["content"]},
            {"role": "user", "content": [*results, {"type": "text", "text": "And?"}]},
        ]
        return {"model": "m", "max_tokens": 9, "messages": turns}
    if client == "responses":
        results = [
            {"type": f"{item['type']}_output", "call_id": item["call_id"], "output": "done"}
            for item in answer["output"]
            if "call_id" in item
        ]
        asked = {"type": "message", "role": "user", "content": "Hi"}
        again = {"type": "message", "role": "user", "content": "And?"}
        return {"model": "m", "input": [asked, *answer["output"], *results, again]}
    message = answer["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "done"}
        for call in message.get("tool_calls", ())
    ]
    asked, again = ({"role": "user", "content": text} for text in ("Hi", "And?"))
    return {"model": "m", "messages": [asked, message, *results, again]}


def _back(name: str, client: str) -> dict[str, Any]:
    """Return the next request as the upstream gets it."""
    case = CASES[name]
    answer = json.loads(told_json(case, client))
    translated = translate_request(
        json.dumps(_next_body(client, answer)).encode(),
        client=client,
        upstream=case["upstream"],
        model="m",
        knobs=Knobs(),
        is_strict=False,
        host_is_openai=False,
    )
    found: dict[str, Any] = json.loads(translated.body)
    return found


@pytest.mark.parametrize("client", ["chat", "responses"])
def test_signed_thinking_comes_back_unchanged_in_front(client: str) -> None:
    body = _back("messages: thinking with its signature, then a call", client)
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "toolu_1", "name": "get", "input": {"a": 1}},
    ]
    assert body["messages"][2]["content"][0]["tool_use_id"] == "toolu_1"


@pytest.mark.parametrize("client", ["chat", "responses"])
def test_redacted_and_omitted_thinking_come_back(client: str) -> None:
    body = _back("messages: redacted and omitted thinking", client)
    assert body["messages"][1]["content"][:2] == [
        {"type": "redacted_thinking", "data": "AAAA"},
        {"type": "thinking", "thinking": "", "signature": "c2ln"},
    ]


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("DeepSeek: reasoning_content, then text", "reasoning_content", "Let me see."),
        ("vLLM: reasoning", "reasoning", "Hm."),
        ("reasoning that is not shown", "reasoning_content", "Secret."),
    ],
)
def test_reasoning_comes_back_in_the_field_it_came_in(
    client: str, name: str, field: str, value: str
) -> None:
    message = _back(f"chat_reasoning: {name}", client)["messages"][1]
    assert message == {"role": "assistant", "content": "42", field: value}


@pytest.mark.parametrize("client", ["messages", "responses"])
def test_details_come_back_whole(client: str) -> None:
    body = _back("chat_reasoning: OpenRouter: reasoning and details are one thing", client)
    assert body["messages"][1]["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "text": "Let me see.",
            "index": 0,
            "format": "anthropic-claude-v1",
            "signature": "sig",
        }
    ]
    body = _back("chat_reasoning: OpenRouter: encrypted reasoning only", client)
    assert body["messages"][1]["reasoning_details"][0]["data"] == "AAAA"


@pytest.mark.parametrize("client", ["chat", "messages"])
def test_a_reasoning_item_comes_back_whole(client: str) -> None:
    for name in ("reasoning in two parts, then a call", "only the last event"):
        items = _back(f"responses: {name}", client)["input"]
        found = [item for item in items if item.get("type") == "reasoning"]
        assert [item["encrypted_content"] for item in found] == ["AAAA"]
        assert [part["text"] for part in found[0]["summary"]] == ["One.", "Two."]


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize("where", ["on the call", "behind the call", "alone in the delta"])
def test_a_signature_of_a_call_comes_back_on_it(client: str, where: str) -> None:
    messages = _back(f"chat_tools: Gemini: a signature {where}", client)["messages"]
    call = messages[1]["tool_calls"][0]
    assert call["id"] == messages[2]["tool_call_id"] == "call_a"
    assert call["extra_content"] == {"google": {"thought_signature": "c2ln"}}


@pytest.mark.parametrize(
    ("name", "client"),
    [
        pytest.param(name, client, id=f"{name} > {client}")
        for name, case in CASES.items()
        for client in targets(case)
        if "context" not in case and "numbers keep" not in name
    ],
)
def test_every_answer_can_be_part_of_the_next_request(name: str, client: str) -> None:
    assert _back(name, client)
