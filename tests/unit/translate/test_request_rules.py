"""What every translation of a request keeps, whatever the formats: spelling, names, ids, refusals."""

import json
from typing import Any

import msgspec
import pytest

from llm_proxy.domain.errors import RequestError
from llm_proxy.formats.translate.effort import style_of
from llm_proxy.formats.translate.names import fitting_name

from .build import SMALLEST, send, sent

PAIRS = [
    (client, upstream)
    for client in ("chat", "messages", "responses")
    for upstream in ("chat", "messages", "responses")
    if client != upstream
]
DIGITS = '{"id":12345678901234567890,"far":1e400,"sum":1.10,"none":-0.0,"tiny":1E-7,"list":[0.10]}'


def _with_tool(client: str, schema: str, arguments: str) -> bytes:
    """Return a request whose one tool has `schema` and was called with `arguments`."""
    text = json.dumps(arguments)
    if client == "chat":
        return (
            '{"model":"m","messages":[{"role":"user","content":"Hi"},{"role":"assistant",'
            '"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":'
            f'{text}}}}}]}},{{"role":"tool","tool_call_id":"c1","content":"ok"}}],'
            f'"tools":[{{"type":"function","function":{{"name":"f","parameters":{schema}}}}}]}}'
        ).encode()
    if client == "messages":
        return (
            '{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"},'
            '{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f",'
            f'"input":{arguments}}}]}},{{"role":"user","content":[{{"type":"tool_result",'
            '"tool_use_id":"c1","content":"ok"}]}],'
            f'"tools":[{{"name":"f","input_schema":{schema}}}]}}'
        ).encode()
    return (
        '{"model":"m","input":[{"role":"user","content":"Hi"},{"type":"function_call",'
        f'"call_id":"c1","name":"f","arguments":{text}}},{{"type":"function_call_output",'
        '"call_id":"c1","output":"ok"}],'
        f'"tools":[{{"type":"function","name":"f","strict":false,"parameters":{schema}}}]}}'
    ).encode()


def _schema_and_arguments(upstream: str, body: bytes) -> tuple[bytes, bytes]:
    """Return schema and arguments of such a request as they are spelt."""
    top = msgspec.json.decode(body, type=dict[str, msgspec.Raw])

    def inner(raw: msgspec.Raw) -> dict[str, msgspec.Raw]:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])

    def items(raw: msgspec.Raw) -> list[dict[str, msgspec.Raw]]:
        return msgspec.json.decode(raw, type=list[dict[str, msgspec.Raw]])

    tool = items(top["tools"])[0]
    if upstream == "messages":
        call = items(items(top["messages"])[1]["content"])[0]
        return bytes(tool["input_schema"]), bytes(call["input"])
    if upstream == "chat":
        call = inner(items(items(top["messages"])[1]["tool_calls"])[0]["function"])
        schema = inner(tool["function"])["parameters"]
    else:
        call = items(top["input"])[1]
        schema = tool["parameters"]
    arguments: str = json.loads(bytes(call["arguments"]))
    return bytes(schema), arguments.encode()


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_numbers_in_schemas_and_arguments_keep_their_digits(client: str, upstream: str) -> None:
    body = send(client, upstream, _with_tool(client, DIGITS, DIGITS)).body
    assert _schema_and_arguments(upstream, body) == (DIGITS.encode(), DIGITS.encode())


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_mapped_numbers_keep_their_spelling(client: str, upstream: str) -> None:
    body = json.dumps(SMALLEST[client]).encode()[:-1] + b',"temperature":0.70}'
    assert b'"temperature":0.70' in send(client, upstream, body).body


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_half_a_surrogate_pair_stays_an_escape(client: str, upstream: str) -> None:
    arguments = '{"text":"\\ud83d","\\ude00":1.10}'
    body = send(client, upstream, _with_tool(client, '{"type":"object"}', arguments)).body
    assert "�".encode() not in body
    top = json.loads(body)
    if upstream == "messages":
        given = top["messages"][1]["content"][0]["input"]
    elif upstream == "chat":
        given = json.loads(top["messages"][1]["tool_calls"][0]["function"]["arguments"])
    else:
        given = json.loads(top["input"][1]["arguments"])
    assert given == {"text": "\ud83d", "\ude00": 1.1}
    assert b"1.10" in body


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_half_a_surrogate_pair_in_a_text_stays_an_escape(client: str, upstream: str) -> None:
    body = json.dumps(SMALLEST[client]).replace('"Hi"', '"a\\ud83db"').encode()
    translated = send(client, upstream, body).body
    assert b'"a\\ud83db"' in translated


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_text_beyond_ascii_arrives(client: str, upstream: str) -> None:
    body = json.dumps(SMALLEST[client], ensure_ascii=False).replace("Hi", "早上好 😀").encode()
    translated = send(client, upstream, b"\xef\xbb\xbf" + body).body
    assert "早上好 😀" in json.dumps(json.loads(translated), ensure_ascii=False)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a_list"),
        pytest.param(b'"x"', id="a_string"),
        pytest.param(b'{"model":', id="cut"),
        pytest.param(b'{"model":"m","temperature":NaN}', id="not_a_number"),
        pytest.param(b'{"model":"\xff"}', id="not_utf8"),
        pytest.param(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="too_deep"),
    ],
)
@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_a_body_that_is_no_json_object_is_refused(client: str, upstream: str, body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        send(client, upstream, body)
    assert caught.value.status == 400
    assert caught.value.code == "invalid_json"


def test_a_schema_nested_deeper_than_any_is_carried() -> None:
    deep = '{"a":' * 200 + "1" + "}" * 200
    body = send("messages", "chat", _with_tool("messages", deep, "{}")).body
    assert deep.encode() in body


WRONG: list[tuple[str, str, Any, str]] = [
    ("chat", "messages", None, "messages"),
    ("chat", "messages", "Hi", "messages"),
    ("chat", "messages", ["Hi"], "messages.0"),
    ("chat", "messages", [{"role": "user"}], "messages.0.content"),
    ("chat", "messages", [{"role": "user", "content": 5}], "messages.0.content"),
    ("chat", "messages", [{"role": "user", "content": ["x"]}], "messages.0.content.0"),
    ("chat", "messages", [{"role": "robot", "content": "x"}], "messages.0.role"),
    ("chat", "messages", [{"role": "tool", "content": "x"}], "messages.0.tool_call_id"),
    ("chat", "messages", [{"role": "assistant", "tool_calls": "x"}], "messages.0.tool_calls"),
    ("chat", "messages", [{"role": "assistant", "tool_calls": [{}]}], "messages.0.tool_calls.0.id"),
    ("chat", "tools", {"a": 1}, "tools"),
    ("chat", "tools", [{"type": "function"}], "tools.0.function"),
    ("chat", "tool_choice", 5, "tool_choice"),
    ("chat", "stream", "yes", "stream"),
    ("chat", "stop", 5, "stop"),
    ("chat", "reasoning_effort", {"effort": "low"}, "reasoning_effort"),
    ("messages", "messages", {}, "messages"),
    ("messages", "messages", [{"role": "user", "content": None}], "messages.0.content"),
    ("messages", "messages", [{"role": "user", "content": [5]}], "messages.0.content.0"),
    ("messages", "system", 5, "system"),
    ("messages", "tools", [{"name": 5}], "tools.0.name"),
    ("messages", "tools", [{"name": "f", "input_schema": 5}], "tools.0.input_schema"),
    ("messages", "thinking", "on", "thinking"),
    ("messages", "thinking", {"type": "enabled"}, "thinking.budget_tokens"),
    ("messages", "output_config", [1], "output_config"),
    ("responses", "input", None, "input"),
    ("responses", "input", 5, "input"),
    ("responses", "input", [5], "input.0"),
    ("responses", "input", [{"type": "message", "role": "x", "content": ""}], "input.0.role"),
    ("responses", "input", [{"type": "function_call", "name": "f"}], "input.0.call_id"),
    ("responses", "text", "x", "text"),
    ("responses", "include", "x", "include"),
]


@pytest.mark.parametrize(
    ("client", "field", "value", "param"),
    [pytest.param(*row, id=f"{row[0]}: {row[1]}={json.dumps(row[2])}") for row in WRONG],
)
def test_a_wrong_type_is_named(client: str, field: str, value: Any, param: str) -> None:
    for upstream in ("chat", "messages", "responses"):
        if upstream != client:
            with pytest.raises(RequestError) as caught:
                send(client, upstream, {field: value})
            assert (caught.value.status, caught.value.param) == (400, param)
            assert f"'{param}'" in caught.value.message


def test_a_tools_name_is_rewritten_alike_in_every_request() -> None:
    long = "x" * 70
    assert fitting_name("a_b-C9", 64) == "a_b-C9"
    assert fitting_name(long, 64) == fitting_name(long, 64)
    assert len(fitting_name(long, 64)) == 64
    assert fitting_name(long, 64) != fitting_name(long + "x", 64)
    assert fitting_name(long, 128) == long
    assert fitting_name("a.b", 64) != fitting_name("a/b", 64)
    assert fitting_name("", 64)


def test_a_namespaced_tool_and_one_of_the_same_flat_name_stay_apart() -> None:
    tools = [
        {"type": "function", "name": "a__b", "parameters": {}, "strict": False},
        {
            "type": "namespace",
            "name": "a",
            "description": "",
            "tools": [{"type": "function", "name": "b", "parameters": {}, "strict": False}],
        },
    ]
    translated = send("responses", "chat", {"tools": tools})
    names = [tool["function"]["name"] for tool in json.loads(translated.body)["tools"]]
    assert names[0] == "a__b"
    assert names[1] != "a__b"
    assert translated.context.tools[names[1]].namespace == "a"


def test_the_knob_for_names_lengths_counts() -> None:
    tools = [{"name": "t" * 40, "input_schema": {"type": "object"}}]
    body = sent("messages", "chat", {"tools": tools}, tool_name_max=32)
    assert len(body["tools"][0]["function"]["name"]) == 32


def test_a_request_without_tools_never_gets_a_tool_choice() -> None:
    for client, upstream in PAIRS:
        choice = {"type": "none"} if client == "messages" else "none"
        fields: dict[str, Any] = {"tool_choice": choice, "parallel_tool_calls": False, "tools": []}
        body = sent(client, upstream, fields)
        assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(body)


@pytest.mark.parametrize(
    ("model", "style"),
    [
        ("claude-3-7-sonnet-20250219", "budget"),
        ("claude-opus-4-20250514", "budget"),
        ("claude-opus-4-1-20250805", "budget"),
        ("claude-opus-4-5", "budget"),
        ("claude-sonnet-4-20250514", "budget"),
        ("anthropic/claude-sonnet-4.5", "budget"),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", "budget"),
        ("claude-opus-4@20250514", "budget"),
        ("claude-opus-4-6", "adaptive"),
        ("claude-opus-5", "adaptive"),
        ("claude-sonnet-5", "adaptive"),
        ("kimi-k3", "adaptive"),
        ("claude-3-5-sonnet-20241022", "none"),
        ("claude-3-opus-20240229", "none"),
        ("claude-3.5-haiku", "none"),
        ("claude-2.1", "none"),
        ("claude-instant-1.2", "none"),
    ],
)
def test_a_models_name_tells_how_it_is_asked_to_think(model: str, style: str) -> None:
    assert style_of(model) == style


def test_what_a_responses_answer_repeats_is_remembered_as_it_was_sent() -> None:
    body = b'{"model":"m","input":"Hi","instructions":"Be brief.","temperature":0.70,"tools":[]}'
    echo = send("responses", "chat", body).context.echo
    assert msgspec.json.encode(echo) == (
        b'{"instructions":"Be brief.","tools":[],"temperature":0.70}'
    )
