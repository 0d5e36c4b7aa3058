"""Prompts that begin alike have one digest; what differs behind the beginning does not count."""

import json
from typing import Any

import pytest

from llm_proxy.formats.prefix import digest_of
from llm_proxy.wire.body import peek

LONG = 'You are an agent. Do what is asked, in small steps, and say "done" at the end.\n' * 100
SHORT = "Be brief."
TOOLS = [{"type": "function", "name": f"tool_{n}", "description": "does things"} for n in range(40)]


def digest(format_: str, *, indent: int | None = None, **body: Any) -> bytes | None:
    return digest_of(format_, peek(json.dumps({"model": "m", **body}, indent=indent).encode()).top)


def turn(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def chat(*turns: dict[str, Any], **fields: Any) -> bytes | None:
    return digest("chat", messages=list(turns), **fields)


def messages(system: Any, *turns: dict[str, Any], **fields: Any) -> bytes | None:
    return digest("messages", system=system, messages=list(turns), **fields)


def responses(instructions: str | None, input_: Any, **fields: Any) -> bytes | None:
    return digest("responses", instructions=instructions, input=input_, **fields)


HI, HO, SO = turn("user", "hi"), turn("user", "ho"), turn("assistant", "so")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(
            chat(turn("system", LONG), HI), chat(turn("system", LONG), HO), id="chat_system"
        ),
        pytest.param(
            chat(turn("developer", LONG), HI),
            chat(turn("developer", LONG), HI, SO, HO),
            id="chat_developer",
        ),
        pytest.param(
            chat(turn("system", LONG[:1200]), HI),
            chat(turn("system", LONG[:1200]), HO, SO, HI),
            id="chat_system_that_ends_within_what_is_hashed",
        ),
        pytest.param(
            chat({"content": LONG[:1200], "role": "system"}, HI),
            chat({"content": LONG[:1200], "role": "system"}, HO),
            id="chat_role_behind_the_content",
        ),
        pytest.param(
            chat(turn("system", [{"type": "text", "text": LONG[:1200]}]), HI),
            chat(turn("system", [{"type": "text", "text": LONG[:1200]}]), HO),
            id="chat_system_in_parts",
        ),
        pytest.param(
            chat(turn("system", SHORT), HI, tools=TOOLS),
            chat(turn("system", SHORT), HI, SO, HO, tools=TOOLS),
            id="chat_tools_and_first_message",
        ),
        pytest.param(
            chat(turn("system", SHORT), turn("user", LONG[:1500])),
            chat(turn("system", SHORT), turn("user", LONG[:1500]), SO, HI),
            id="chat_long_first_message",
        ),
        pytest.param(messages(LONG, HI), messages(LONG, HO), id="messages_system"),
        pytest.param(
            messages(None, HI, tools=TOOLS),
            messages(None, HI, SO, HO, tools=TOOLS),
            id="messages_tools_and_first_message",
        ),
        pytest.param(responses(LONG, [HI]), responses(LONG, [HO]), id="responses_instructions"),
        pytest.param(
            responses(None, [turn("developer", LONG[:2000]), HI]),
            responses(None, [turn("developer", LONG[:2000]), HO]),
            id="responses_developer_item",
        ),
        pytest.param(
            responses(SHORT, "hi", tools=TOOLS),
            responses(SHORT, "hi", tools=TOOLS),
            id="input_text",
        ),
        pytest.param(
            digest("chat", indent=2, messages=[turn("system", LONG[:1200]), HI]),
            digest("chat", indent=2, messages=[turn("system", LONG[:1200]), HO, SO, HI]),
            id="indented",
        ),
    ],
)
def test_what_begins_alike_belongs_together(one: bytes | None, other: bytes | None) -> None:
    assert one is not None
    assert one == other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(
            chat(turn("system", LONG), HI), chat(turn("system", "A" + LONG), HI), id="system"
        ),
        pytest.param(
            chat(turn("system", SHORT), HI, tools=TOOLS),
            chat(turn("system", SHORT), HO, tools=TOOLS),
            id="first_message_behind_a_short_system_prompt",
        ),
        pytest.param(
            responses(LONG, [HI], prompt_cache_key="a"),
            responses(LONG, [HI], prompt_cache_key="b"),
            id="cache_key",
        ),
    ],
)
def test_what_begins_differently_is_told_apart(one: bytes | None, other: bytes | None) -> None:
    assert one is not None
    assert other is not None
    assert one != other


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(chat(turn("system", SHORT), HI), id="chat"),
        pytest.param(chat(HI, turn("user", LONG)), id="chat_later_message"),
        pytest.param(chat(), id="chat_without_messages"),
        pytest.param(messages(SHORT, HI), id="messages"),
        pytest.param(responses(SHORT, "hi"), id="responses"),
        pytest.param(digest("other", prompt=LONG), id="other"),
        pytest.param(digest("chat"), id="nothing"),
    ],
)
def test_what_is_too_short_for_a_cache_goes_anywhere(found: bytes | None) -> None:
    assert found is None


def billed(nonce: str) -> list[dict[str, Any]]:
    head = f"x-anthropic-billing-header: cc_version=2.1.7; cch={nonce};"
    return [{"type": "text", "text": head}, {"type": "text", "text": LONG[:3000]}]


def test_a_billing_number_that_changes_with_every_request_does_not_count() -> None:
    one = messages(billed("3f1"), HI)
    assert one is not None
    assert one == messages(billed("a90c5"), HO)
    assert one != messages([*billed("3f1")[:1], {"type": "text", "text": SHORT}], HI)
