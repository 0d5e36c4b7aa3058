"""Reasoning that the proxy made for a client never reaches a provider of the same format."""

import json
from typing import Any

from llm_proxy.formats.translate.markers import make_encrypted, make_signature
from llm_proxy.formats.translate.strip import strip_markers

OURS = {"type": "thinking", "thinking": "hm", "signature": make_signature("reasoning_content")}
HIDDEN = {"type": "redacted_thinking", "data": make_encrypted("reasoning_details", [{}])}
THEIRS = {"type": "thinking", "thinking": "hm", "signature": "EqQB"}
TEXT = {"type": "text", "text": 'the text "gwsig1.x" of a user'}


def _strip(format_name: str, body: dict[str, Any]) -> Any:
    found = strip_markers(format_name, json.dumps(body).encode())
    return None if found is None else json.loads(found)


def test_our_blocks_are_taken_out_and_nothing_else() -> None:
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [OURS, HIDDEN, THEIRS, TEXT]},
        ],
        "unknown": {"a": 1},
    }
    stripped = _strip("messages", body)
    assert stripped["messages"][1]["content"] == [THEIRS, TEXT]
    assert stripped["messages"][0] == body["messages"][0]  # type: ignore[index]
    assert list(stripped) == list(body)


def test_a_turn_of_nothing_else_is_taken_out_whole() -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [OURS]}]
    assert _strip("messages", {"messages": turns})["messages"] == turns[:1]


def test_our_items_are_taken_out() -> None:
    ours = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": HIDDEN["data"]}
    theirs = {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAA"}
    items = [{"role": "user", "content": "Hi"}, ours, theirs]
    assert _strip("responses", {"input": items})["input"] == [items[0], theirs]


def test_a_body_without_our_reasoning_is_left_as_it_is() -> None:
    assert _strip("messages", {"messages": [{"role": "assistant", "content": [THEIRS]}]}) is None
    assert _strip("messages", {"messages": [{"role": "user", "content": [TEXT]}]}) is None
    quoted = {"role": "user", "content": [{"type": "text", "text": "gwsig1."}]}
    assert _strip("messages", {"messages": [quoted]}) is None
    assert strip_markers("chat", b'{"messages":["gwsig1."]}') is None
    assert strip_markers("messages", b'"gwsig1.') is None
    assert strip_markers("responses", b'{"input":"gwenc1."}') is None


def test_numbers_and_half_surrogates_stay_as_they_were() -> None:
    body = json.dumps({"messages": [{"role": "assistant", "content": [OURS, THEIRS]}]}).encode()
    body = body[:-1] + b',"a":1.10,"b":"\\ud83d"}'
    stripped = strip_markers("messages", body)
    assert stripped is not None
    assert stripped.endswith(b',"a":1.10,"b":"\\ud83d"}')
