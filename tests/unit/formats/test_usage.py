"""Tokens are found wherever providers report them."""

from typing import Any

import pytest

from llm_proxy.domain.usage import UNKNOWN, Usage
from llm_proxy.formats import CHAT, MESSAGES, OTHER, RESPONSES
from llm_proxy.formats.format import Format
from llm_proxy.formats.usage import chat_usage, messages_usage, responses_usage

from .build import chunk, data, delta, named, usage


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
                     usage(9, 3), id="plain"),
        pytest.param({"prompt_tokens": 9, "completion_tokens": 3,
                      "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
                      "completion_tokens_details": {"reasoning_tokens": 1}},
                     usage(9, 3, 4, 2, 1), id="details"),
        pytest.param({"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": None},
                     usage(9, 3), id="null_details"),
        pytest.param({"prompt_tokens": 9, "completion_tokens": 3, "prompt_cache_hit_tokens": 8,
                      "prompt_cache_miss_tokens": 1}, usage(9, 3, 8), id="deepseek"),
        pytest.param({"completion_tokens": 3, "prompt_cache_hit_tokens": 8,
                      "prompt_cache_miss_tokens": 1}, usage(9, 3, 8), id="hits_and_misses_only"),
        pytest.param({"prompt_tokens": 9, "completion_tokens": 3, "cached_tokens": 5},
                     usage(9, 3, 5), id="moonshot"),
        pytest.param({"prompt_tokens": 9, "completion_tokens": 3, "cache_read_input_tokens": 5,
                      "cache_creation_input_tokens": 1}, usage(9, 3, 5, 1), id="litellm"),
        pytest.param({"prompt_tokens": 5, "completion_tokens": 3,
                      "prompt_tokens_details": {"cached_tokens": 100}},
                     usage(105, 3, 100), id="cached_beside_the_prompt"),
        pytest.param({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 22,
                      "completion_tokens_details": {"reasoning_tokens": 10}},
                     usage(9, 13, reasoning=10), id="xai_reasoning_beside_the_completion"),
        pytest.param({"prompt_tokens": 9, "completion_tokens": 13, "total_tokens": 22,
                      "completion_tokens_details": {"reasoning_tokens": 10}},
                     usage(9, 13, reasoning=10), id="reasoning_inside_the_completion"),
        pytest.param({"prompt_tokens": 2, "total_tokens": 2}, usage(2), id="embeddings"),
        pytest.param({"input_tokens": 2, "output_tokens": 7}, usage(2, 7), id="images"),
        pytest.param({"prompt_tokens": -1, "completion_tokens": 1.5}, UNKNOWN, id="no_counts"),
        pytest.param({"prompt_tokens": True, "completion_tokens": "3"}, UNKNOWN, id="no_numbers"),
        pytest.param({"prompt_tokens": 10**30}, UNKNOWN, id="absurd"),
        pytest.param({"prompt_tokens": 0, "completion_tokens": 0}, usage(0, 0), id="zeros_are_said"),
        pytest.param({}, UNKNOWN, id="empty"),
        pytest.param(None, UNKNOWN, id="null"),
        pytest.param([1], UNKNOWN, id="list"),
    ],
)  # fmt: skip
def test_chat_usage(value: Any, expected: Any) -> None:
    assert chat_usage(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"input_tokens": 9, "output_tokens": 3}, usage(9, 3), id="plain"),
        pytest.param({"input_tokens": 9, "cache_read_input_tokens": 100,
                      "cache_creation_input_tokens": 20, "output_tokens": 3,
                      "output_tokens_details": {"thinking_tokens": 2}},
                     usage(129, 3, 100, 20, 2), id="cache_is_beside_the_input"),
        pytest.param({"input_tokens": 9, "output_tokens": 3, "cache_creation":
                      {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6}},
                     usage(19, 3, None, 10), id="cache_writes_by_lifetime"),
        pytest.param({"output_tokens": 3}, usage(None, 3), id="input_unknown"),
        pytest.param("x", UNKNOWN, id="text"),
    ],
)  # fmt: skip
def test_messages_usage(value: Any, expected: Any) -> None:
    assert messages_usage(value) == expected


def test_responses_usage() -> None:
    value = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 12,
    }
    assert responses_usage(value) == usage(9, 3, 4, 1, 2)
    assert responses_usage(None) == UNKNOWN


FULL = {"prompt_tokens": 9, "completion_tokens": 3}


def watched(format_: Format, *events: bytes) -> Usage:
    watch = format_.watch()
    for event in events:
        watch.read(event)
    return watch.usage


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([chunk({}, "stop"), data({"choices": [], "usage": FULL})], id="last_chunk"),
        pytest.param([chunk({}, "stop", usage=FULL)], id="finish_chunk"),
        pytest.param([chunk({"content": "a"}, usage={"prompt_tokens": 9, "completion_tokens": 1}),
                      chunk({"content": "b"}, usage=FULL)], id="running_total"),
        pytest.param([data({"choices": [{"delta": {}, "finish_reason": "stop", "usage": FULL}]})],
                     id="moonshot"),
        pytest.param([chunk({}, "stop", x_groq={"id": "r", "usage": FULL})], id="groq"),
        pytest.param([data({"choices": [], "usage": FULL}), data({"choices": [], "usage": {}})],
                     id="xai_empty_one_behind"),
        pytest.param([data({"choices": [], "usage": FULL}),
                      data({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}})],
                     id="zeros_behind"),
        pytest.param([chunk({"content": "a"}, usage=None), data({"choices": None, "usage": FULL})],
                     id="null_before"),
    ],
)  # fmt: skip
def test_a_chat_stream_reports_in_many_places(events: list[bytes]) -> None:
    assert watched(CHAT, chunk({"content": "a"}), *events) == usage(9, 3)


def test_a_messages_stream_reports_twice_and_cumulatively() -> None:
    start = named("message_start", message={
        "usage": {"input_tokens": 9, "cache_read_input_tokens": 5, "output_tokens": 1}})  # fmt: skip
    end = named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3})
    assert watched(MESSAGES, start, delta(type="text_delta", text="a"), end) == usage(14, 3, 5)


def test_zeros_on_the_input_side_replace_nothing() -> None:
    start = named("message_start", message={"usage": {"input_tokens": 0, "output_tokens": 0}})
    full = {"input_tokens": 9, "cache_read_input_tokens": 0, "output_tokens": 3}
    end = named("message_delta", delta={"stop_reason": "end_turn"}, usage=full)
    assert watched(MESSAGES, start, end) == usage(9, 3, 0)
    late = named("message_start", message={"usage": full})
    zeros = {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 4}
    end = named("message_delta", delta={"stop_reason": "end_turn"}, usage=zeros)
    assert watched(MESSAGES, late, end) == usage(9, 4, 0)


@pytest.mark.parametrize("kind", ["completed", "incomplete", "failed"])
def test_a_response_reports_at_its_end(kind: str) -> None:
    response = {"usage": {"input_tokens": 9, "output_tokens": 3}, "error": None}
    assert watched(RESPONSES, named(f"response.{kind}", response=response)) == usage(9, 3)


def test_an_embeddings_answer_tells_its_tokens() -> None:
    body = b'{"object":"list","data":[{"embedding":"AAAA"}],"usage":{"prompt_tokens":2}}'
    assert OTHER.read_answer(body).usage == usage(2)
