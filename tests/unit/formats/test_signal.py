"""Errors of many providers, taken apart. Bodies as providers and gateways send them."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.domain.faults import (
    CLIENT_FAULT,
    CONTENT_FILTERED,
    CONTEXT_TOO_LONG,
    KEY_REJECTED,
    MODEL_NOT_FOUND,
    NOT_JSON,
    OVERLOADED,
    PERMISSION,
    QUOTA,
    RATE_LIMITED,
    SERVER_ERROR,
    Fault,
)
from llm_proxy.domain.signal import Signal
from llm_proxy.formats.signal import error_inside, read_signal, text_signal
from llm_proxy.formats.status import status_in_stream
from llm_proxy.policy.classify import classify


def read(status: int, body: Any, content_type: bytes = b"application/json") -> Signal:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_signal(status, content_type, data)


def openai(message: str, type_: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": type_, "param": None, "code": code}}


def anthropic(message: str, type_: str, **more: Any) -> dict[str, Any]:
    error = {"type": type_, "message": message, **more}
    return {"type": "error", "error": error, "request_id": "req_1"}


def google(code: int, status: str, message: str, details: Sequence[Any] = ()) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": [*details]}}


OPENAI_RATE = (
    "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000,"
    " Used 29000, Requested 2000. Please try again in 1.898s."
)
CORPUS = [
    # id, status, body, type, code, start of message, advice, fault
    ("openai_rate", 429, openai(OPENAI_RATE, "tokens", "rate_limit_exceeded"),
     "tokens", "rate_limit_exceeded", "Rate limit reached", 1.898, RATE_LIMITED),
    ("openai_rate_minutes", 429, openai("Please try again in 6m0.5s.", "requests", None),
     "requests", "", "Please try again", 360.5, RATE_LIMITED),
    ("openai_rate_ms", 429, openai("Please try again in 350ms.", "requests"),
     "requests", "", "Please try again", 0.35, RATE_LIMITED),
    ("openai_quota", 429,
     openai("You exceeded your current quota.", "insufficient_quota", "insufficient_quota"),
     "insufficient_quota", "insufficient_quota", "You exceeded", None, QUOTA),
    ("openai_key", 401,
     openai("Incorrect API key provided: sk-***.", "invalid_request_error", "invalid_api_key"),
     "invalid_request_error", "invalid_api_key", "Incorrect API key", None, KEY_REJECTED),
    ("openai_model", 404,
     openai("The model `x` does not exist", "invalid_request_error", "model_not_found"),
     "invalid_request_error", "model_not_found", "The model", None, MODEL_NOT_FOUND),
    ("openai_context", 400,
     openai("This model's maximum context length is 8192 tokens.", "invalid_request_error",
            "context_length_exceeded"),
     "invalid_request_error", "context_length_exceeded", "This model's", None, CONTEXT_TOO_LONG),
    ("openai_server", 500, openai("The server had an error", "server_error"),
     "server_error", "", "The server had", None, SERVER_ERROR),
    ("azure_rate", 429,
     {"error": {"code": "429", "message": "Requests have exceeded call rate limit. Please retry"
                " after 7 seconds."}},
     "", "429", "Requests have", 7.0, RATE_LIMITED),
    ("azure_gateway", 429,
     {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 12 seconds."},
     "", "429", "Rate limit is", 12.0, RATE_LIMITED),
    ("azure_filter", 400,
     {"error": {"message": "The response was filtered", "type": None, "param": "prompt",
                "code": "content_filter", "status": 400,
                "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
     "", "content_filter", "The response was", None, CONTENT_FILTERED),
    ("azure_deployment", 404,
     {"error": {"code": "DeploymentNotFound", "message": "The API deployment does not exist."}},
     "", "DeploymentNotFound", "The API deployment", None, MODEL_NOT_FOUND),
    ("anthropic_rate", 429, anthropic("This request would exceed your rate limit",
                                      "rate_limit_error"),
     "rate_limit_error", "", "This request", None, RATE_LIMITED),
    ("anthropic_overloaded", 529, anthropic("Overloaded", "overloaded_error"),
     "overloaded_error", "", "Overloaded", None, OVERLOADED),
    ("anthropic_credit", 400,
     anthropic("Your credit balance is too low to access the Anthropic API.",
               "invalid_request_error"),
     "invalid_request_error", "", "Your credit", None, QUOTA),
    ("anthropic_spend", 429,
     anthropic("Limit reached", "rate_limit_error",
               details={"error_code": "enforced_spend_limit_reached"}),
     "rate_limit_error", "", "Limit reached", None, QUOTA),
    ("anthropic_long", 400,
     anthropic("prompt is too long: 212345 tokens > 200000 maximum", "invalid_request_error"),
     "invalid_request_error", "", "prompt is too long", None, CONTEXT_TOO_LONG),
    ("anthropic_thread", 404,
     anthropic("Thread not found", "not_found_error", details={"error_code": "thread_not_found"}),
     "not_found_error", "", "Thread", None, CLIENT_FAULT),
    ("anthropic_key", 401, anthropic("invalid x-api-key", "authentication_error"),
     "authentication_error", "", "invalid x-api-key", None, KEY_REJECTED),
    ("gemini_list", 429,
     [google(429, "RESOURCE_EXHAUSTED", "Quota exceeded. Please retry in 34.07s.",
             [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}])],
     "", "RESOURCE_EXHAUSTED", "Quota exceeded", 34.0, RATE_LIMITED),
    ("gemini_words", 429,
     google(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota. Please retry in 2.5s."),
     "", "RESOURCE_EXHAUSTED", "You exceeded", 2.5, RATE_LIMITED),
    ("gemini_key", 400,
     google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.",
            [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]),
     "API_KEY_INVALID", "INVALID_ARGUMENT", "API key not valid", None, KEY_REJECTED),
    ("gemini_busy", 503, google(503, "UNAVAILABLE", "The model is overloaded."),
     "", "UNAVAILABLE", "The model is", None, OVERLOADED),
    ("vertex_model", 404, google(404, "NOT_FOUND", "Publisher Model `x` was not found"),
     "", "NOT_FOUND", "Publisher Model", None, MODEL_NOT_FOUND),
    ("mistral_old", 401, {"message": "Unauthorized", "request_id": "x"},
     "", "", "Unauthorized", None, KEY_REJECTED),
    ("mistral", 429, {"object": "error", "message": "Requests rate limit exceeded",
                      "type": "rate_limited", "param": None, "code": "1300"},
     "rate_limited", "1300", "Requests rate", None, RATE_LIMITED),
    ("mistral_detail_in_message", 422,
     {"object": "error", "type": "invalid_request_error",
      "message": {"detail": [{"type": "missing", "loc": ["body", "model"],
                              "msg": "Field required"}]}},
     "invalid_request_error", "", "body.model: Field required", None, CLIENT_FAULT),
    ("fastapi_list", 422,
     {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]},
     "", "", "body.messages: Field required", None, CLIENT_FAULT),
    ("fastapi_text", 404, {"detail": "Not Found"}, "", "", "Not Found", None, CLIENT_FAULT),
    ("vllm_old", 400, {"object": "error", "message": "This model's maximum context length is 4096",
                       "type": "BadRequestError", "param": None, "code": 400},
     "BadRequestError", "400", "This model's", None, CONTEXT_TOO_LONG),
    ("vllm_new", 404,
     {"error": {"message": "The model `x` does not exist.", "type": "NotFoundError",
                "param": "model", "code": 404}},
     "NotFoundError", "404", "The model", None, MODEL_NOT_FOUND),
    ("ollama", 404, {"error": "model 'x' not found"},
     "", "", "model 'x' not found", None, MODEL_NOT_FOUND),
    ("tgi", 429, {"error": "Model is overloaded", "error_type": "overloaded"},
     "overloaded", "", "Model is overloaded", None, OVERLOADED),
    ("huggingface_list", 400, {"error": ["Input is too long", "and more"]},
     "", "", "Input is too long", None, CLIENT_FAULT),
    ("dashscope", 429, {"code": "Throttling.RateQuota", "message": "Requests throttling triggered.",
                        "request_id": "r"},
     "", "Throttling.RateQuota", "Requests throttling", None, RATE_LIMITED),
    ("dashscope_arrears", 400, {"code": "Arrearage", "message": "Access denied, account overdue."},
     "", "Arrearage", "Access denied", None, QUOTA),
    ("dashscope_filter", 400, {"code": "DataInspectionFailed", "message": "Input data may contain"},
     "", "DataInspectionFailed", "Input data", None, CONTENT_FILTERED),
    ("zhipu", 429, {"error": {"code": "1302", "message": "您的账户已达到速率限制"}},
     "", "1302", "您的账户", None, RATE_LIMITED),
    ("zhipu_no_money", 429, {"error": {"code": "1113", "message": "您的账户已欠费,请充值"}},
     "", "1113", "您的账户", None, QUOTA),
    ("deepseek_balance", 402, openai("Insufficient Balance", "unknown_error",
                                     "invalid_request_error"),
     "unknown_error", "invalid_request_error", "Insufficient Balance", None, QUOTA),
    ("moonshot", 429, openai("max RPM: 3, please try again after 1 seconds", "rate_limit_reached_error"),
     "rate_limit_reached_error", "", "max RPM", 1.0, RATE_LIMITED),
    ("moonshot_engine", 429, openai("The engine is currently overloaded", "engine_overloaded_error"),
     "engine_overloaded_error", "", "The engine", None, OVERLOADED),
    ("minimax", 500, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
     "", "1008", "insufficient balance", None, QUOTA),
    ("openrouter", 429,
     {"error": {"code": 429, "message": "Provider returned error",
                "metadata": {"raw": "x is temporarily rate-limited upstream", "provider_name": "p"}},
      "user_id": "u"},
     "", "429", "Provider returned error: x is temporarily", None, RATE_LIMITED),
    ("openrouter_raw_object", 400,
     {"error": {"code": 400, "message": "Provider returned error",
                "metadata": {"raw": {"message": "prompt is too long"}}}},
     "", "400", "Provider returned error: prompt is too long", None, CONTEXT_TOO_LONG),
    ("groq_capacity", 498, openai("flex tier capacity exceeded", "", "capacity_exceeded"),
     "", "capacity_exceeded", "flex tier", None, OVERLOADED),
    ("xai", 400, {"code": "Client specified an invalid argument", "error": "Model not found: x"},
     "", "Client specified an invalid argument", "Model not found", None, MODEL_NOT_FOUND),
    ("cloudflare", 429, {"success": False, "result": None,
                         "errors": [{"code": 7009, "message": "Too many requests"}]},
     "", "7009", "Too many requests", None, RATE_LIMITED),
    ("bedrock", 429, {"__type": "ThrottlingException", "message": "Too many tokens, please wait"},
     "ThrottlingException", "", "Too many tokens", None, RATE_LIMITED),
    ("baidu", 429, {"error_code": 18, "error_msg": "Open api qps request limit reached"},
     "", "18", "Open api qps", None, RATE_LIMITED),
    ("ark", 429, openai("Requests exceeded, retry later", "TooManyRequests",
                        "RateLimitExceeded.EndpointRPMExceeded"),
     "TooManyRequests", "RateLimitExceeded.EndpointRPMExceeded", "Requests", None, RATE_LIMITED),
    ("problem_json", 503, {"type": "about:blank", "title": "Service Unavailable", "status": 503},
     "", "", "Service Unavailable", None, OVERLOADED),
    ("new_api", 403, openai("This token may not use model x", "new_api_error"),
     "new_api_error", "", "This token", None, PERMISSION),
    ("retry_after_in_body", 429, {"error": {"message": "slow down", "retry_after": 3.5}},
     "", "", "slow down", 3.5, RATE_LIMITED),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "type_", "code", "message", "advice", "fault"),
    [pytest.param(*row[1:], id=row[0]) for row in CORPUS],
)
def test_a_providers_error_is_understood(
    status: int, body: Any, type_: str, code: str, message: str, advice: float | None, fault: Fault
) -> None:
    signal = read(status, body)
    assert signal.status == status
    assert (signal.type, signal.code) == (type_, code)
    assert signal.message.startswith(message)
    assert signal.retry_after_s == pytest.approx(advice)
    assert signal.is_json
    assert classify(signal) is fault


NGINX = b"""<html>\r\n<head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center><hr><script>var a = "<b>";</script>nginx</body></html>"""


@pytest.mark.parametrize(
    ("status", "body", "content_type", "message", "advice"),
    [
        pytest.param(502, NGINX, b"text/html", "502 Bad Gateway 502 Bad Gateway nginx", None, id="nginx"),
        pytest.param(429, b"Too many requests, try again in 3 seconds", b"text/plain",
                     "Too many requests, try again in 3 seconds", 3.0, id="text"),
        pytest.param(503, b"", b"", "upstream returned HTTP 503", None, id="empty"),
        pytest.param(500, b"   \n", b"", "upstream returned HTTP 500", None, id="blank"),
        pytest.param(500, b"\xff\xfe\x00", b"", "��\x00", None, id="binary"),
        pytest.param(500, b'{"error":', b"application/json", '{"error":', None, id="cut_json"),
        pytest.param(429, "请在 5 秒后重试".encode(), b"", "请在 5 秒后重试", 5.0, id="chinese"),
    ],
)  # fmt: skip
def test_an_error_that_is_no_json_still_has_words(
    status: int, body: Any, content_type: bytes, message: str, advice: float | None
) -> None:
    signal = read(status, body, content_type)
    assert signal == Signal(status, message=message, retry_after_s=advice, is_json=False)


def test_an_error_sent_as_an_event_is_read() -> None:
    body = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Busy"}}\n\n'
    signal = read(529, body, b"text/event-stream")
    assert (signal.type, signal.message) == ("overloaded_error", "Busy")


def test_json_that_says_nothing_is_json_all_the_same() -> None:
    assert read(500, {"a": 1}) == Signal(500, message="upstream returned HTTP 500")


def test_of_a_huge_page_only_the_beginning_is_read() -> None:
    body = b"<script " * 200_000
    assert len(read(500, body, b"text/html").message) <= 200


def test_half_a_surrogate_in_a_message_can_be_written() -> None:
    signal = read(500, b'{"error":{"message":"bad \\ud83d text"}}')
    assert signal.message == "bad ? text"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["error", "message", "detail", "errors", "code", "type",
                                         "details", "metadata", "raw", "base_resp", "status",
                                         "retryDelay", "loc", "msg"]), inner, max_size=4),
                    max_leaves=12))  # fmt: skip
def test_no_shape_of_json_breaks_the_reading(value: Any) -> None:
    assert read(500, value).message
    error_inside(value)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading(body: Any) -> None:
    assert read(500, body).message


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        pytest.param(openai("x", "rate_limit_error"), RATE_LIMITED, id="openai"),
        pytest.param(anthropic("x", "overloaded_error"), OVERLOADED, id="anthropic"),
        pytest.param({"object": "error", "message": "no", "type": "invalid_request_error"},
                     CLIENT_FAULT, id="mistral"),
        pytest.param({"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rpm"}},
                     RATE_LIMITED, id="minimax_rate"),
        pytest.param({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
                     QUOTA, id="minimax_money"),
        pytest.param({"code": "InvalidApiKey", "message": "no", "request_id": "r"},
                     KEY_REJECTED, id="dashscope"),
        pytest.param([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "x"}}],
                     RATE_LIMITED, id="gemini_list"),
        pytest.param({"error": "model is busy"}, SERVER_ERROR, id="bare_string"),
        pytest.param({"error": {"code": 502, "message": "x"}, "choices": []}, SERVER_ERROR,
                     id="openrouter"),
        pytest.param({"type": "error", "code": "server_error", "message": "x", "param": None},
                     SERVER_ERROR, id="responses_event"),
    ],
)  # fmt: skip
def test_an_error_inside_a_200_is_found(value: Any, fault: Fault) -> None:
    signal = error_inside(value)
    assert signal is not None
    assert signal.status == 200
    assert classify(signal) is fault


@pytest.mark.parametrize(
    "value",
    [
        {"error": None, "choices": [{}]},
        {"base_resp": {"status_code": 0, "status_msg": ""}, "choices": [{}]},
        {"code": 0, "message": "ok"},
        {"code": "x", "message": "y", "output": {"text": "hi"}},
        {"type": "message", "content": []},
        {"object": "list", "data": []},
        {"id": "file-1", "code": "x", "message": "y"},
        [],
        None,
        "error",
    ],
)
def test_an_answer_is_no_error(value: Any) -> None:
    assert error_inside(value) is None


def test_plain_words_of_an_error_event_become_a_signal() -> None:
    signal = text_signal(200, b"upstream is on fire")
    assert signal.message == "upstream is on fire"
    assert classify(signal) is NOT_JSON


@pytest.mark.parametrize(
    ("signal", "chat", "messages"),
    [
        pytest.param(Signal(200, type="rate_limit_error"), 429, 429, id="rate"),
        pytest.param(Signal(200, code="insufficient_quota"), 429, 429, id="quota"),
        pytest.param(Signal(200, code="429"), 429, 429, id="number_429"),
        pytest.param(Signal(200, type="overloaded_error"), 503, 529, id="overloaded"),
        pytest.param(Signal(200, code="503"), 503, 529, id="number_503"),
        pytest.param(Signal(200, type="authentication_error"), 502, 502, id="our_key"),
        pytest.param(Signal(200, code="401"), 502, 502, id="number_401"),
        pytest.param(Signal(200, type="invalid_request_error"), 400, 400, id="client"),
        pytest.param(Signal(200, type="invalid_request_error", code="context_length_exceeded"),
                     400, 400, id="context"),
        pytest.param(Signal(200, code="tool_use_failed"), 400, 400, id="groq"),
        pytest.param(Signal(200, type="timeout_error"), 504, 504, id="timeout"),
        pytest.param(Signal(200, code="418"), 418, 418, id="any_number"),
        pytest.param(Signal(200, code="1002"), 429, 429, id="minimax"),
        pytest.param(Signal(200, type="api_error"), 502, 502, id="api_error"),
        pytest.param(Signal(200), 502, 502, id="nothing"),
    ],
)  # fmt: skip
def test_an_error_in_a_stream_has_the_status_its_type_says(
    signal: Signal, chat: int, messages: int
) -> None:
    assert status_in_stream(signal, "chat") == chat
    assert status_in_stream(signal, "responses") == chat
    assert status_in_stream(signal, "messages") == messages
