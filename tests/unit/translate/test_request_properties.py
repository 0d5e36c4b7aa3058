"""Whatever JSON comes, a request is translated or refused; what was said survives the way."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_proxy.domain.errors import RequestError
from llm_proxy.domain.knobs import Knobs
from llm_proxy.formats.translate.context import Translated
from llm_proxy.formats.translate.count import estimate
from llm_proxy.formats.translate.repair import without
from llm_proxy.formats.translate.request import translate_request, warnings_of
from llm_proxy.formats.translate.strip import strip_markers

from .build import send
from .goldens import FORMATS, cases

BODIES = [(case["client"], case["body"]) for case in cases().values()]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "x", "auto", "function", "user", "tool_use", "input_text", "\ud800"]),
    st.sampled_from([[], {}, [[]], [{}], {"type": []}, {"type": {}}, {"type": "text"}, [None]]),
)
KNOBS = st.builds(
    Knobs,
    mid_system=st.sampled_from(["user", "system", "developer"]),
    prefill=st.sampled_from(["refuse", "plain", "prefix", "continue_final_message"]),
    tool_ids=st.sampled_from(["keep", "mistral9"]),
    reasoning_request=st.sampled_from(["effort", "deepseek", "qwen", "openrouter", "none"]),
    reasoning_history=st.sampled_from(["auto", "always", "never"]),
    thinking_style=st.sampled_from(["auto", "adaptive", "budget", "none"]),
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of everything in a JSON value but the value itself."""
    found = [path] if path else []
    if isinstance(value, dict):
        pairs: Any = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        return found
    for key, item in pairs:
        found += _places(item, (*path, key))
    return found


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw a good request of which up to three values are something else, or missing."""
    client, body = draw(st.sampled_from(BODIES))
    body = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(_places(body)))
        outer = body
        for key in path[:-1]:
            outer = outer[key]
        if draw(st.booleans()) and isinstance(outer, dict):
            del outer[path[-1]]
        else:
            outer[path[-1]] = copy.deepcopy(draw(ODD))
        if not body:
            break
    return client, body


def _translated(data: bytes, **options: Any) -> Translated | RequestError:
    try:
        return translate_request(data, **options)
    except RequestError as error:
        return error


@settings(max_examples=600, deadline=None)
@given(damaged(), KNOBS, st.booleans(), st.booleans())
def test_any_json_is_translated_or_refused_with_400(
    request_: tuple[str, dict[str, Any]], knobs: Knobs, is_strict: bool, host_is_openai: bool
) -> None:
    client, body = request_
    data = json.dumps(body).encode()
    for upstream in FORMATS:
        if upstream == client:
            continue
        translated = _translated(
            data,
            client=client,
            upstream=upstream,
            model="claude-sonnet-4-5",
            knobs=knobs,
            is_strict=is_strict,
            host_is_openai=host_is_openai,
        )
        if isinstance(translated, RequestError):
            assert translated.status == 400
            assert translated.message
            continue
        assert json.loads(translated.body)["model"] == "claude-sonnet-4-5"
        assert warnings_of(translated.context).isascii()
        assert not is_strict or "dropped=" not in warnings_of(translated.context)
        for field in ("temperature", "thinking", "strict", "include", "messages.reasoning"):
            without(field, translated.body)
    strip_markers(client, data + b' "gwsig1."')
    strip_markers(client, data.replace(b'"EqQB"', b'"gwsig1.x"'))
    if client != "chat":
        assert estimate(client, data) >= 0


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
INPUTS = st.dictionaries(WORDS, st.one_of(WORDS, st.booleans(), st.integers()), max_size=3)


@st.composite
def history(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw a Messages conversation: texts, calls, and the results right behind them."""
    turns: list[dict[str, Any]] = []
    for turn in range(draw(st.integers(1, 4))):
        user: list[dict[str, Any]] = []
        if turns:
            for block in turns[-1]["content"]:
                if block["type"] == "tool_use":
                    content = draw(st.one_of(st.just(""), WORDS))
                    user.append(
                        {"type": "tool_result", "tool_use_id": block["id"], "content": content}
                    )
        if not user or draw(st.booleans()):
            user.append({"type": "text", "text": draw(WORDS)})
        turns.append({"role": "user", "content": user})
        said: list[dict[str, Any]] = [{"type": "text", "text": draw(WORDS)}]
        said += [
            {"type": "tool_use", "id": f"toolu_{turn}_{call}", "name": "f", "input": draw(INPUTS)}
            for call in range(draw(st.integers(0, 3)))
        ]
        turns.append({"role": "assistant", "content": said[draw(st.integers(0, 1)) :] or said})
    return [*turns, _answers(turns[-1])]


def _answers(turn: dict[str, Any]) -> dict[str, Any]:
    """Return a last user turn with a result for every call."""
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}
        for block in turn["content"]
        if block["type"] == "tool_use"
    ]
    return {"role": "user", "content": [*results, {"type": "text", "text": "Go on."}]}


def _plain(turns: list[dict[str, Any]]) -> list[Any]:
    """Return turns with strings as the blocks that they stand for."""
    return [
        (
            turn["role"],
            [{"type": "text", "text": turn["content"]}]
            if isinstance(turn["content"], str)
            else turn["content"],
        )
        for turn in turns
    ]


@pytest.mark.parametrize("between", ["chat", "responses"])
@given(turns=history())
@settings(max_examples=80, deadline=None)
def test_a_conversation_survives_the_way_to_another_format_and_back(
    turns: list[dict[str, Any]], between: str
) -> None:
    tools = [{"name": "f", "description": "d", "input_schema": {"type": "object"}}]
    body = {"system": "Be brief.", "messages": turns, "tools": tools}
    there = send("messages", between, body)
    back = json.loads(send(between, "messages", there.body).body)
    assert _plain(back["messages"]) == _plain(turns)
    assert back["system"] == [{"type": "text", "text": "Be brief."}]
    assert back["tools"] == tools
    assert back["max_tokens"] == 100
