"""Why an answer ended, what failed, and what cannot be told at all."""

import json
from typing import Any

import pytest

from llm_proxy.domain.signal import Signal
from llm_proxy.formats.translate.errors import (
    AnswerError,
    AnswerTooLargeError,
    NoAnswerError,
    UpstreamFailedError,
    translated_error,
)
from llm_proxy.formats.translate.interpreter import Interpreter
from llm_proxy.wire.sse import fields

from .answers import context_of, counter, events_of, interpreter_for, stream_bytes
from .test_answer_golden import check_shape


def _new(upstream: str, client: str, *, is_stream: bool = True, **options: Any) -> Interpreter:
    case = {"upstream": upstream, "context": options}
    return interpreter_for(context_of(case, client, is_stream=is_stream))


def _events(*stream: Any) -> list[bytes]:
    return events_of([stream_bytes({"stream": list(stream)})])


def _body(*, finish: Any = "stop", message: Any = None, **top: Any) -> bytes:
    choice = {"index": 0, "message": message or {"content": "x"}, "finish_reason": finish}
    return json.dumps({"id": "c", "model": "m", "choices": [choice], **top}).encode()


CALL = {"content": None, "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}

REASONS = [
    *((word, "end_turn") for word in ("stop", "eos", "end_turn", "STOP", "eos_token", "complete")),
    *((word, "end_turn") for word in ("tool_calls", "function_call", "tool_use", None, "")),
    *((word, "max_tokens") for word in ("length", "max_tokens", "MAX_TOKENS")),
    ("model_length", "model_context_window_exceeded"),
    ("model_context_window_exceeded", "model_context_window_exceeded"),
    *(
        (word, "refusal")
        for word in ("content_filter", "sensitive", "SAFETY", "RECITATION", "PROHIBITED_CONTENT")
    ),
    ("surprise", "end_turn"),
]
AS_RESPONSE = {
    "end_turn": ("completed", None),
    "tool_use": ("completed", None),
    "max_tokens": ("incomplete", {"reason": "max_output_tokens"}),
    "model_context_window_exceeded": ("incomplete", {"reason": "max_output_tokens"}),
    "refusal": ("incomplete", {"reason": "content_filter"}),
}


@pytest.mark.parametrize(("reason", "expected"), REASONS)
@pytest.mark.parametrize("message", [{"content": "x"}, CALL], ids=["text", "call"])
def test_a_chat_reason_is_told_by_what_the_answer_holds(
    reason: Any, expected: str, message: Any
) -> None:
    if message is CALL and expected == "end_turn":
        expected = "tool_use"
    body = _body(finish=reason, message=message)
    told = json.loads(_new("chat", "messages", is_stream=False).whole(body))
    assert told["stop_reason"] == expected
    told = json.loads(_new("chat", "responses", is_stream=False).whole(body))
    assert (told["status"], told["incomplete_details"]) == AS_RESPONSE[expected]


@pytest.mark.parametrize(
    "reason",
    ["error", "network_error", "insufficient_system_resource", "abort", "MALFORMED_FUNCTION_CALL"],
)
def test_a_reason_that_means_failure_is_no_answer(reason: str) -> None:
    interpreter = _new("chat", "messages")
    with pytest.raises(UpstreamFailedError) as found:
        interpreter.whole(_body(finish=reason))
    assert found.value.signal.code == reason
    interpreter = _new("chat", "messages")
    events = _events({"delta": {"content": "x"}}, {"delta": {}, "finish_reason": reason})
    told = interpreter.feed(events[0])
    with pytest.raises(UpstreamFailedError):
        interpreter.feed(events[1])
    told += interpreter.failure(502, None, "failed")
    check_shape("messages", told, is_failed=True)


def test_tool_calls_after_stop_count() -> None:
    events = _events(
        {"delta": {"content": "x"}, "finish_reason": "stop"},
        {"delta": CALL, "finish_reason": "tool_calls"},
    )
    interpreter = _new("chat", "messages", is_stream=False)
    for event in events:
        interpreter.feed(event)
    interpreter.end()
    assert json.loads(interpreter.gathered())["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("upstream", "body", "words"),
    [
        ("chat", b'{"id":"x"}', "upstream returned no choices"),
        ("chat", b'{"choices":null}', "upstream returned no choices"),
        ("chat", b'{"choices":[]}', "upstream returned no choices"),
        ("messages", b'{"type":"message"}', "upstream returned no content"),
        ("responses", b'{"object":"response"}', "upstream returned no output"),
        ("chat", b"<html>", "not JSON"),
        ("chat", b"[]", "no JSON object"),
        ("chat", b'"x"', "no JSON object"),
    ],
)
def test_a_body_without_an_answer_is_never_an_empty_success(
    upstream: str, body: bytes, words: str
) -> None:
    client = "responses" if upstream == "messages" else "messages"
    for read in ("whole", "stream_of"):
        with pytest.raises(NoAnswerError, match=words):
            getattr(_new(upstream, client, is_stream=read == "stream_of"), read)(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":"no","type":"server_error"}}',
        b'{"error":"no"}',
        b'{"base_resp":{"status_code":1008,"status_msg":"no"},"choices":null}',
        b'{"code":"Throttling","message":"no"}',
        b'[{"error":{"message":"no","code":429}}]',
        b'{"object":"error","message":"no","type":"x","code":1}',
    ],
)
def test_an_error_in_place_of_an_answer_is_one(body: bytes) -> None:
    with pytest.raises(UpstreamFailedError) as found:
        _new("chat", "messages").whole(body)
    assert found.value.signal.message == "no"
    with pytest.raises(UpstreamFailedError):
        _new("chat", "messages").feed(b"data: " + body + b"\n\n")


def test_a_successful_code_of_minimax_is_no_error() -> None:
    body = _body(base_resp={"status_code": 0, "status_msg": ""})
    assert b'"text":"x"' in _new("chat", "messages", is_stream=False).whole(body)


def test_a_failed_response_is_no_answer() -> None:
    body = b'{"status":"failed","output":[],"error":{"code":"rate_limit_exceeded","message":"no"}}'
    with pytest.raises(UpstreamFailedError) as found:
        _new("responses", "chat").whole(body)
    assert (found.value.signal.code, found.value.signal.message) == ("rate_limit_exceeded", "no")


def test_a_stream_of_usage_alone_is_no_answer() -> None:
    interpreter = _new("chat", "messages")
    assert interpreter.feed(b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n') == b""
    with pytest.raises(NoAnswerError):
        interpreter.end()


def test_nothing_is_told_before_the_first_content() -> None:
    interpreter = _new("chat", "responses")
    preamble = _events(
        ": keep-alive",
        {"delta": {"role": "assistant", "content": ""}},
        {"delta": {"reasoning_content": "", "tool_calls": []}},
        {"delta": {}, "top": {"choices": []}},
    )
    assert b"".join(map(interpreter.feed, preamble)) == b""


def test_a_bare_json_answer_under_a_streams_type_is_told_as_a_stream() -> None:
    interpreter = _new("chat", "messages")
    told = interpreter.feed(_body() + b"\n\n") + interpreter.end()
    check_shape("messages", told)


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize("count", range(4))
def test_a_failure_is_told_honestly_wherever_it_comes(client: str, count: int) -> None:
    events = _events(
        {"delta": {"reasoning_content": "Hm."}},
        {"delta": {"content": "x"}},
        {"delta": CALL},
        {"delta": {"content": "y"}},
    )
    interpreter = _new("chat", client)
    told = b"".join(map(interpreter.feed, events[:count]))
    told += interpreter.failure(504, None, "too slow")
    check_shape(client, told, is_failed=True)
    assert b"too slow" in told
    assert interpreter.feed(events[0]) == interpreter.end() == b""


def test_a_failed_response_holds_the_items_that_were_finished() -> None:
    interpreter = _new("chat", "responses")
    events = _events({"delta": {"content": "x"}}, {"delta": CALL}, {"delta": {"content": "y"}})
    told = b"".join(map(interpreter.feed, events)) + interpreter.failure(429, "odd", "no")
    last = json.loads(fields(events_of([told])[-1])[1] or b"")["response"]
    assert [item["type"] for item in last["output"]] == ["message", "function_call"]
    assert last["error"] == {"code": "rate_limit_exceeded", "message": "no"}
    assert last["status"] == "failed"


def test_a_chat_client_learns_of_a_failure_by_an_error_without_an_end() -> None:
    interpreter = _new("messages", "chat")
    told = interpreter.feed(
        b'data: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":"x"}}\n\n'
    )
    told += interpreter.failure(529, "overloaded_error", "no")
    check_shape("chat", told, is_failed=True)
    assert json.loads(fields(events_of([told])[-1])[1] or b"") == {
        "error": {
            "message": "no",
            "type": "server_error",
            "param": None,
            "code": "overloaded_error",
        }
    }


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize("is_stream", [True, False])
def test_what_must_be_held_is_bounded(client: str, is_stream: bool) -> None:
    context = context_of({"upstream": "chat"}, client, is_stream=is_stream)
    interpreter = Interpreter(context, now_s=1, new_id=counter(), max_held=100_000)
    start = {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"a":"'}}
    more = {"index": 0, "function": {"arguments": "x" * 1000}}
    other = {"index": 1, "id": "b", "function": {"name": "f", "arguments": "y" * 1000}}
    events = _events(*({"delta": {"tool_calls": [entry]}} for entry in (start, more, other)))
    interpreter.feed(events[0])
    with pytest.raises(AnswerTooLargeError):
        b"".join(map(interpreter.feed, events[1:] * 200))


def test_nesting_beyond_reason_is_an_answer_error() -> None:
    deep = "[" * 5000 + "]" * 5000
    arguments = '{"id":"a","function":{"name":"f","arguments":' + deep + "}}"
    message = '{"tool_calls":[' + arguments + "]}"
    body = '{"id":"x","choices":[{"index":0,"message":' + message + "}]}"
    with pytest.raises(AnswerError):
        _new("chat", "messages").whole(body.encode())


# fmt: off
ERRORS = [
    # signal                                                client       status  type and code
    (Signal(400, "invalid_request_error", "bad", message="no"), "chat", 400, "invalid_request_error", "bad"),
    (Signal(400, "invalid_request_error", message="no"), "messages", 400, "invalid_request_error", None),
    (Signal(422, "", "", message="no"), "messages", 422, "invalid_request_error", None),
    (Signal(401, "authentication_error", message="bad key"), "chat", 502, "server_error", None),
    (Signal(401, "", "invalid_api_key", message="bad key"), "messages", 502, "api_error", None),
    (Signal(402, message="no"), "chat", 402, "insufficient_quota", "insufficient_quota"),
    (Signal(403, message="no"), "messages", 403, "permission_error", None),
    (Signal(404, "not_found_error", message="model: x"), "chat", 404, "not_found_error", "model_not_found"),
    (Signal(413, "request_too_large", message="no"), "responses", 413, "invalid_request_error", "request_too_large"),
    (Signal(429, "rate_limit_error", message="no"), "chat", 429, "rate_limit_error", "rate_limit_exceeded"),
    (Signal(429, "insufficient_quota", "insufficient_quota", message="no"), "chat", 429, "rate_limit_error", "insufficient_quota"),
    (Signal(500, "api_error", message="no"), "chat", 500, "server_error", None),
    (Signal(500, "", "42", message="no"), "chat", 500, "server_error", None),
    (Signal(529, "overloaded_error", message="no"), "chat", 529, "server_error", "overloaded"),
    (Signal(529, "overloaded_error", message="no"), "messages", 529, "overloaded_error", None),
    (Signal(302, message="no"), "messages", 502, "api_error", None),
    (Signal(200, "overloaded_error", message="no"), "chat", 503, "server_error", "overloaded"),
    (Signal(200, "", "overloaded", message="no"), "messages", 529, "overloaded_error", None),
    (Signal(200, "rate_limit_error", message="no"), "responses", 429, "rate_limit_error", "rate_limit_exceeded"),
]
# fmt: on


@pytest.mark.parametrize(("signal", "client", "status", "type_", "code"), ERRORS)
def test_an_upstreams_error_is_told_in_the_clients_format(
    signal: Signal, client: str, status: int, type_: str, code: str | None
) -> None:
    told = translated_error(signal, client, request_id="req_1")
    body = json.loads(told.body)
    assert told.status == status
    assert body["error"]["type"] == type_
    if client == "messages":
        assert body["type"] == "error"
        assert body["request_id"] == "req_1"
    else:
        assert (body["error"]["code"], body["error"]["param"]) == (code, None)
    expected = "no" if "no" in signal.message else signal.message
    if signal.status == 401:
        expected = "upstream rejected the proxy's credentials"
    assert body["error"]["message"] == expected


@pytest.mark.parametrize(
    "signal",
    [
        Signal(400, "", "context_length_exceeded", message="too much"),
        Signal(400, message="This model's maximum context length is 8192 tokens."),
        Signal(400, message="input length exceeds the context window"),
        Signal(400, message="too many tokens"),
        Signal(200, "", "context_length_exceeded", message="too much"),
    ],
)
def test_a_prompt_that_is_too_long_is_told_so_that_agents_compact(signal: Signal) -> None:
    told = translated_error(signal, "messages", request_id="r")
    assert told.status == 400
    assert told.message == f"prompt is too long: {signal.message}"
    for client in ("chat", "responses"):
        told = translated_error(signal, client, request_id="r")
        assert told.code == "context_length_exceeded"
        assert json.loads(told.body)["error"]["code"] == "context_length_exceeded"
        assert told.message == signal.message


def test_the_words_for_a_long_prompt_are_not_doubled() -> None:
    signal = Signal(400, message="prompt is too long: 250000 tokens > 200000 maximum")
    assert translated_error(signal, "messages", request_id="r").message == signal.message
    interpreter = _new("chat", "messages")
    told = interpreter.failure(400, "context_length_exceeded", "too much")
    assert b'"message":"prompt is too long: too much"' in told


def test_usage_is_estimated_for_those_who_require_it() -> None:
    told = json.loads(_new("chat", "messages", is_stream=False).whole(_body()))
    assert told["usage"]["input_tokens"] == 7
    assert told["usage"]["output_tokens"] == 1
    message = {"type": "message", "content": [{"type": "text", "text": "x"}]}
    told = json.loads(_new("messages", "chat", is_stream=False).whole(json.dumps(message).encode()))
    assert "usage" not in told


def test_a_response_repeats_its_request() -> None:
    echo = {"instructions": "Be brief.", "temperature": 0.5, "metadata": {"a": "b"}}
    told = json.loads(_new("chat", "responses", is_stream=False, echo=echo).whole(_body()))
    assert {name: told[name] for name in echo} == echo
    assert told["truncation"] == "disabled"
    assert told["store"] is False
    assert told["previous_response_id"] is None


@pytest.mark.parametrize(
    ("id_", "client", "told"),
    [
        ("chatcmpl-1", "messages", "msg_chatcmpl-1"),
        ("msg_1", "messages", "msg_1"),
        ("ä b", "messages", "msg_b"),
        ("", "messages", "msg_000000000000000000000001"),
        ("resp_1", "responses", "resp_1"),
    ],
)
def test_an_answers_id_has_the_clients_form(id_: str, client: str, told: str) -> None:
    answer = json.loads(_new("chat", client, is_stream=False).whole(_body(id=id_)))
    assert answer["id"] == told


def test_an_answer_that_names_no_model_has_the_one_that_was_asked() -> None:
    body = _body(model=None)
    assert json.loads(_new("chat", "messages", is_stream=False).whole(body))["model"] == "asked"


def test_json_and_stream_can_be_asked_for_whatever_the_request_said() -> None:
    assert json.loads(_new("chat", "messages").whole(_body()))["content"]
    told = _new("chat", "messages", is_stream=False).stream_of(_body())
    check_shape("messages", told)


def test_warnings_of_the_streams_head_are_not_repeated_at_its_end() -> None:
    context = context_of({"upstream": "chat"}, "messages", is_stream=True)
    context.note("dropped", "seed")
    interpreter = interpreter_for(context)
    events = _events(
        {"delta": {"content": "x"}},
        {"delta": {"content": "y"}, "index": 1},
        {"delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 1}},
    )
    told = b"".join(map(interpreter.feed, events)) + interpreter.end()
    assert b": x-llm-proxy-warnings: ignored=choices\n\nevent: message_delta" in told
