"""What the demo says, and when it misbehaves."""

from typing import Any

import pytest

from llm_proxy.demo.ask import Ask, Format, Tool, estimate_tokens, read_ask
from llm_proxy.demo.fault import FAULTS, Trick, fault_of
from llm_proxy.demo.listing import guide
from llm_proxy.demo.reply import compose, sample

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}


def ask(text: str = "Hello", **fields: Any) -> Ask:
    return Ask(**({"format": "chat", "model": "demo", "text": text} | fields))


def test_the_answer_speaks_the_prompts_language_and_says_that_it_is_a_demo() -> None:
    assert "demo provider" in compose(ask(), "a").text
    assert "演示" in compose(ask("今天怎么样？"), "a").text


def test_a_weather_question_calls_the_first_tool_and_its_result_is_repeated() -> None:
    tool = Tool("get_weather", SCHEMA)
    for words in ("What's the Weather?", "天气如何"):
        assert compose(ask(words, tool=tool), "a").tool == ("get_weather", '{"city":"Paris"}')
    assert compose(ask("hello", tool=tool), "a").tool is None
    answered = compose(ask("weather", tool=tool, tool_result="12 degrees"), "a")
    assert "12 degrees" in answered.text


def test_a_length_limit_cuts_the_text() -> None:
    reply = compose(ask(max_tokens=3), "a")
    assert (reply.is_cut, reply.output_tokens, len(reply.pieces)) == (True, 3, 3)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        pytest.param(SCHEMA, {"city": "Paris"}, id="required_only"),
        pytest.param({"enum": ["x", "y"]}, "x", id="enum"),
        pytest.param({"anyOf": [{"type": "null"}, {"type": "string"}]}, None, id="any_of"),
        pytest.param({"type": ["boolean", "null"]}, True, id="type_list"),
        pytest.param({"properties": {"a": {"type": "array"}}}, {"a": []}, id="no_type"),
        pytest.param({}, None, id="anything"),
    ],
)
def test_samples_fit_their_schema(schema: dict[str, Any], value: Any) -> None:
    assert sample(schema) == value


def test_an_endless_schema_ends() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    schema["properties"]["self"] = schema
    assert isinstance(sample(schema), dict)


TURNS: dict[Format, dict[str, Any]] = {
    "chat": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "weather"}]},
            {"role": "tool", "tool_call_id": "c", "content": "sunny"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
    },
    "messages": {
        "messages": [
            {"role": "user", "content": "weather"},
            {"role": "user", "content": [{"type": "tool_result", "content": "sunny"}]},
        ],
        "tools": [{"name": "f", "input_schema": SCHEMA}],
    },
    "responses": {
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "weather"}]},
            {"type": "function_call_output", "call_id": "c", "output": "sunny"},
        ],
        "tools": [
            {"type": "web_search"},
            {"type": "function", "name": "f", "parameters": SCHEMA},
        ],
    },
}


@pytest.mark.parametrize("format_", TURNS)
def test_tools_and_their_results_are_found_in_every_format(format_: Format) -> None:
    body = TURNS[format_]
    read = read_ask(format_, {"model": "m", **body})
    assert read.tool == Tool("f", SCHEMA)
    assert read.tool_result == "sunny"
    turns = "input" if format_ == "responses" else "messages"
    first = read_ask(format_, {"model": "m", **body, turns: body[turns][:1]})
    assert (first.text, first.tool_result) == ("weather", None)
    assert read_ask(format_, {"model": "m", **body, "tool_choice": "none"}).tool is None


def test_a_body_of_unexpected_types_is_read_as_empty() -> None:
    body: dict[str, Any] = {"model": 1, "messages": "x", "tools": {"a": 1}, "max_tokens": "many"}
    read = read_ask("chat", body)
    assert (read.model, read.text, read.tool, read.max_tokens) == ("", "", None, None)


def test_prompts_are_counted_by_their_characters() -> None:
    assert estimate_tokens({"messages": [{"role": "user", "content": "a" * 396}]}) == 100
    assert estimate_tokens({"input": "天" * 300}) == 200
    assert estimate_tokens({}) == 1


def test_faults_are_chosen_by_model_name_and_upstream() -> None:
    assert fault_of("gpt-5", "a") is None
    assert fault_of("demo", "a") is None
    for name, fault in FAULTS.items():
        assert fault_of(name, "a") is fault
        assert fault_of(f"{name}-a", "a") is fault
        assert fault_of(f"{name}-a", "b") is None
        assert name in guide()
    odd = fault_of("demo-418", "b")
    assert odd is not None
    assert (odd.trick, odd.failure.status) == (Trick.FAIL, 418)
    assert fault_of("demo-700", "b") is None
