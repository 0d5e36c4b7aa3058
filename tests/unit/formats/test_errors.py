"""Our own errors have the shape that each format's official SDK reads."""

import json

import pytest
from anthropic.types import ErrorResponse
from openai.types import ErrorObject
from openai.types.responses import ResponseFailedEvent

from llm_proxy.formats import CHAT, MESSAGES, OTHER, RESPONSES, format_named
from llm_proxy.wire.sse import fields
from tests.support.answers import responses_events

from .build import named

TABLE = [
    (400, "invalid_request_error", "invalid_request_error", None),
    (401, "authentication_error", "invalid_request_error", "invalid_api_key"),
    (402, "billing_error", "insufficient_quota", "insufficient_quota"),
    (403, "permission_error", "permission_error", None),
    (404, "not_found_error", "not_found_error", None),
    (405, "invalid_request_error", "invalid_request_error", None),
    (408, "timeout_error", "timeout_error", "timeout"),
    (409, "conflict_error", "conflict_error", None),
    (413, "request_too_large", "invalid_request_error", "request_too_large"),
    (415, "invalid_request_error", "invalid_request_error", None),
    (422, "invalid_request_error", "invalid_request_error", None),
    (429, "rate_limit_error", "rate_limit_error", "rate_limit_exceeded"),
    (500, "api_error", "server_error", None),
    (502, "api_error", "server_error", None),
    (503, "overloaded_error", "server_error", "overloaded"),
    (504, "timeout_error", "timeout_error", "timeout"),
    (529, "overloaded_error", "server_error", "overloaded"),
]


def told(event: bytes) -> tuple[bytes, bytes]:
    name, data = fields(event)
    assert data is not None
    assert event.endswith(b"\n\n")
    return name, data


@pytest.mark.parametrize(("status", "messages_type", "openai_type", "code"), TABLE)
def test_each_status_has_its_words(
    status: int, messages_type: str, openai_type: str, code: str | None
) -> None:
    body = json.loads(MESSAGES.error_body(status, "what happened", request_id="r1"))
    error = {"type": messages_type, "message": "what happened"}
    assert body == {"type": "error", "error": error, "request_id": "r1"}
    if messages_type not in ("conflict_error", "request_too_large"):  # the SDK has no model of them
        ErrorResponse.model_validate(body)
    for format_ in (CHAT, RESPONSES, OTHER):
        body = format_.error_body(status, "what happened", request_id="r1")
        seen = ErrorObject.model_validate(json.loads(body)["error"], strict=True)
        assert seen == ErrorObject(message="what happened", type=openai_type, param=None, code=code)


def test_code_param_and_type_can_be_given() -> None:
    body = CHAT.error_body(
        404, "no model x", code="model_not_found", param="model", type_="t", request_id="r"
    )
    assert json.loads(body)["error"] == {
        "message": "no model x",
        "type": "t",
        "param": "model",
        "code": "model_not_found",
    }
    body = MESSAGES.error_body(404, "no model x", type_="t", request_id="r")
    assert json.loads(body)["error"] == {"type": "t", "message": "no model x"}


@pytest.mark.parametrize("name", ["chat", "messages", "responses"])
def test_a_message_with_half_a_surrogate_can_be_told(name: str) -> None:
    format_ = format_named(name)
    assert b"bad ?" in format_.error_body(500, "bad \ud83d", code="\ud83d", request_id="r")
    assert b"bad ?" in format_.watch().failure(500, "\ud83d", "bad \ud83d")


def test_a_chat_stream_fails_with_an_error_and_no_done() -> None:
    event = CHAT.watch().failure(502, "stream_cut", "it broke")
    name, data = told(event)
    assert name == b""
    error = ErrorObject.model_validate(json.loads(data)["error"])
    assert (error.type, error.code, error.message) == ("server_error", "stream_cut", "it broke")
    assert b"[DONE]" not in event


def test_a_messages_stream_fails_with_an_error_event() -> None:
    name, data = told(MESSAGES.watch().failure(529, None, "it broke"))
    error = ErrorResponse.model_validate({"request_id": None, **json.loads(data)})
    assert name == b"error"
    assert (error.error.type, error.error.message) == ("overloaded_error", "it broke")


def failed(event: bytes) -> ResponseFailedEvent:
    name, data = told(event)
    assert name == b"response.failed"
    return ResponseFailedEvent.model_validate(json.loads(data))


def test_a_response_fails_with_what_was_finished_and_the_next_number() -> None:
    events = responses_events(["a", "b"])
    watch = RESPONSES.watch()
    for event in events[:-1]:
        watch.read(event)
    seen = failed(watch.failure(502, "stream_cut", "it broke"))
    response = seen.response
    assert seen.sequence_number == len(events) - 1
    assert (response.id, response.status, response.model) == ("resp_test", "failed", "test-model")
    assert response.error is not None
    assert (response.error.code, response.error.message) == ("server_error", "it broke")
    assert response.output_text == "ab"


def test_a_response_cut_within_an_item_leaves_that_item_out() -> None:
    watch = RESPONSES.watch()
    for event in responses_events(["a", "b"])[:6]:
        watch.read(event)
    seen = failed(watch.failure(429, None, "limited"))
    assert seen.sequence_number == 6
    assert seen.response.output == []
    assert seen.response.error is not None
    assert seen.response.error.code == "rate_limit_exceeded"


def test_a_response_that_no_upstream_began_can_fail_too() -> None:
    seen = failed(RESPONSES.watch().failure(504, None, "nobody answered"))
    assert seen.sequence_number == 0
    assert seen.response.status == "failed"


def test_a_code_that_clients_act_on_is_kept() -> None:
    _, data = told(RESPONSES.watch().failure(400, "context_length_exceeded", "x"))
    assert json.loads(data)["response"]["error"]["code"] == "context_length_exceeded"


def test_what_is_kept_for_a_failure_is_bounded() -> None:
    watch = RESPONSES.watch()
    watch.read(named("response.created", response={"id": "r", "instructions": "x" * 1_000_000}))
    for number in range(40):
        item = {"type": "message", "content": "x" * 20_000}
        watch.read(named("response.output_item.done", item=item, sequence_number=number))
    assert len(watch.failure(502, None, "x")) < 600_000


@pytest.mark.parametrize("name", ["chat", "messages", "responses", "other"])
def test_a_keepalive_is_a_whole_event_that_says_nothing(name: str) -> None:
    format_ = format_named(name)
    assert format_.name == name
    assert format_.watch().read(format_.keepalive) == 0
