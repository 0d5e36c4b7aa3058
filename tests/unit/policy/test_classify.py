"""What providers send, and which fault it is."""

import pytest

from llm_proxy.domain.faults import (
    CLIENT_FAULT,
    CONTENT_FILTERED,
    CONTEXT_TOO_LONG,
    KEY_REJECTED,
    LOCKED,
    MODEL_NOT_FOUND,
    NOT_JSON,
    OVERLOADED,
    PERMISSION,
    PROXY_FAILED,
    QUOTA,
    RATE_LIMITED,
    REDIRECTED,
    REQUEST_TIMEOUT,
    SERVER_ERROR,
    Fault,
)
from llm_proxy.domain.signal import Signal
from llm_proxy.policy.classify import classify


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (301, REDIRECTED),
        (307, REDIRECTED),
        (400, CLIENT_FAULT),
        (401, KEY_REJECTED),
        (402, QUOTA),
        (403, PERMISSION),
        (404, CLIENT_FAULT),
        (405, CLIENT_FAULT),
        (407, PROXY_FAILED),
        (408, REQUEST_TIMEOUT),
        (409, CLIENT_FAULT),
        (410, CLIENT_FAULT),
        (413, CLIENT_FAULT),
        (415, CLIENT_FAULT),
        (422, CLIENT_FAULT),
        (425, LOCKED),
        (429, RATE_LIMITED),
        (451, CLIENT_FAULT),
        (498, OVERLOADED),
        (499, REQUEST_TIMEOUT),
        (500, SERVER_ERROR),
        (502, SERVER_ERROR),
        (503, OVERLOADED),
        (504, SERVER_ERROR),
        (520, SERVER_ERROR),
        (529, OVERLOADED),
        (999, SERVER_ERROR),
    ],
)
def test_an_error_without_words_is_judged_by_its_status(status: int, expected: Fault) -> None:
    assert classify(Signal(status, is_json=False)) is expected


def said(
    status: int,
    message: str = "",
    *,
    kind: str = "",
    code: str = "",
    error_code: str = "",
    after: float | None = None,
) -> Signal:
    return Signal(status, kind, code, error_code, message, after)


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        # Limits
        pytest.param(
            said(429, "Rate limit reached for gpt-5", kind="tokens", code="rate_limit_exceeded"),
            RATE_LIMITED,
            id="openai_tokens_per_minute",
        ),
        pytest.param(
            said(413, "Request too large for model", kind="tokens", code="rate_limit_exceeded"),
            RATE_LIMITED,
            id="groq_limit_as_413",
        ),
        pytest.param(
            said(429, "Too many tokens, please wait before trying again."),
            RATE_LIMITED,
            id="bedrock_too_many_tokens_per_minute_is_no_context_length",
        ),
        pytest.param(
            said(429, "Number of request tokens has exceeded", kind="rate_limit_error"),
            RATE_LIMITED,
            id="anthropic",
        ),
        pytest.param(
            said(
                429,
                "You exceeded your current quota, please check your plan and billing details.",
                code="RESOURCE_EXHAUSTED",
            ),
            RATE_LIMITED,
            id="google_words_its_limits_per_minute_like_an_empty_account",
        ),
        pytest.param(
            said(
                429, "You exceeded your current quota. Please retry in 31s.", code="429", after=31
            ),
            RATE_LIMITED,
            id="advice_means_that_waiting_helps",
        ),
        pytest.param(
            said(429, code="Throttling.RateQuota"), RATE_LIMITED, id="dashscope_throttling"
        ),
        pytest.param(said(500, code="RateLimitReached"), RATE_LIMITED, id="azure_in_any_status"),
        pytest.param(said(200, kind="rate_limit_error"), RATE_LIMITED, id="within_a_stream"),
        pytest.param(said(200, "limit", code="429"), RATE_LIMITED, id="a_200_that_says_429"),
        pytest.param(said(200, "rate limit", code="1002"), RATE_LIMITED, id="minimax"),
        # Empty accounts
        pytest.param(
            said(
                429,
                "You exceeded your current quota, please check your plan and billing details.",
                kind="insufficient_quota",
                code="insufficient_quota",
            ),
            QUOTA,
            id="openai_quota_is_no_ordinary_429",
        ),
        pytest.param(
            said(429, kind="rate_limit_error", error_code="enforced_spend_limit_reached"),
            QUOTA,
            id="anthropic_monthly_cap_dressed_as_a_limit",
        ),
        pytest.param(
            said(
                400,
                "Your credit balance is too low to access the Anthropic API.",
                kind="invalid_request_error",
            ),
            QUOTA,
            id="anthropic_credit",
        ),
        pytest.param(
            said(400, "This organization has been disabled.", kind="invalid_request_error"),
            QUOTA,
            id="anthropic_disabled",
        ),
        pytest.param(said(402, "Insufficient Balance"), QUOTA, id="deepseek"),
        pytest.param(said(400, "Access denied", code="Arrearage"), QUOTA, id="dashscope_arrears"),
        pytest.param(
            said(429, "余额不足或无可用资源包,请充值。", code="1113"), QUOTA, id="zhipu_balance"
        ),
        pytest.param(
            said(429, "suspended", kind="exceeded_current_quota_error"), QUOTA, id="moonshot"
        ),
        pytest.param(
            said(403, "insufficient_user_quota: 预扣费"), PERMISSION, id="text_is_no_code"
        ),
        pytest.param(said(403, code="insufficient_user_quota"), QUOTA, id="relay_user_quota"),
        pytest.param(said(200, kind="billing_error"), QUOTA, id="within_a_200"),
        pytest.param(said(200, "insufficient balance", code="1008"), QUOTA, id="minimax_balance"),
        # Nobody may rest a shared key by asking about it
        pytest.param(
            said(400, "Unrecognized request argument supplied: credit balance is too low"),
            CLIENT_FAULT,
            id="a_quotation_after_a_colon",
        ),
        pytest.param(
            said(400, "Invalid value: 'insufficient balance'. Supported values are"),
            CLIENT_FAULT,
            id="a_quotation_in_quotes",
        ),
        pytest.param(
            said(400, "The tool named `invalid api key` is unknown"),
            CLIENT_FAULT,
            id="a_quoted_tool_name",
        ),
        # Keys
        pytest.param(
            said(401, "Incorrect API key provided: sk-…", code="invalid_api_key"),
            KEY_REJECTED,
            id="openai_key",
        ),
        pytest.param(
            said(400, "API key not valid. Please pass a valid API key.", code="INVALID_ARGUMENT"),
            KEY_REJECTED,
            id="google_says_400_to_a_bad_key",
        ),
        pytest.param(said(403, "Invalid API key"), KEY_REJECTED, id="a_403_about_the_key"),
        pytest.param(
            said(403, "Method doesn't allow unregistered callers. Please use API Key"),
            KEY_REJECTED,
            id="google_no_key",
        ),
        pytest.param(said(200, kind="authentication_error"), KEY_REJECTED, id="auth_in_a_200"),
        pytest.param(said(200, "login fail", code="1004"), KEY_REJECTED, id="minimax_auth"),
        # What the key may not do
        pytest.param(
            said(
                403, "Country, region, or territory not supported", code="unsupported_country_code"
            ),
            PERMISSION,
            id="country",
        ),
        pytest.param(
            said(403, "This API key has no access to model gpt-5"),
            PERMISSION,
            id="a_good_key_without_this_model",
        ),
        pytest.param(said(200, kind="permission_error"), PERMISSION, id="within_a_stream_too"),
        # Models
        pytest.param(said(404, code="model_not_found"), MODEL_NOT_FOUND, id="openai_model"),
        pytest.param(
            said(404, "model: claude-9", kind="not_found_error"),
            MODEL_NOT_FOUND,
            id="anthropic_model",
        ),
        pytest.param(said(404, 'model "qwen" not found'), MODEL_NOT_FOUND, id="ollama_model"),
        pytest.param(said(400, "Model Not Exist"), MODEL_NOT_FOUND, id="deepseek_model"),
        pytest.param(said(503, code="model_not_found"), MODEL_NOT_FOUND, id="relay_no_channel"),
        pytest.param(said(404, "no such route"), CLIENT_FAULT, id="another_404"),
        pytest.param(
            said(404, "thread of model not found", error_code="thread_not_found"),
            CLIENT_FAULT,
            id="a_lost_thread_is_the_clients_to_replay",
        ),
        # The request itself
        pytest.param(said(400, code="context_length_exceeded"), CONTEXT_TOO_LONG, id="openai_long"),
        pytest.param(
            said(400, "prompt is too long: 210000 tokens > 200000 maximum"),
            CONTEXT_TOO_LONG,
            id="anthropic_long",
        ),
        pytest.param(
            said(400, "This model's maximum context length is 8192 tokens", kind="BadRequestError"),
            CONTEXT_TOO_LONG,
            id="vllm_long",
        ),
        pytest.param(
            said(200, code="context_length_exceeded"), CONTEXT_TOO_LONG, id="long_within_a_stream"
        ),
        pytest.param(
            said(413, "Request exceeds the maximum size", kind="request_too_large"),
            CLIENT_FAULT,
            id="too_many_bytes_are_no_context_length",
        ),
        pytest.param(
            said(400, "…triggering Azure's content management policy", code="content_filter"),
            CONTENT_FILTERED,
            id="azure_filter",
        ),
        pytest.param(
            said(400, "Output blocked by content filtering policy"),
            CONTENT_FILTERED,
            id="anthropic_filter",
        ),
        pytest.param(
            said(400, code="DataInspectionFailed"), CONTENT_FILTERED, id="dashscope_filter"
        ),
        pytest.param(said(400, code="tool_use_failed"), CLIENT_FAULT, id="groq_tool_call"),
        pytest.param(said(200, kind="invalid_request_error"), CLIENT_FAULT, id="bad_within_200"),
        # The upstream
        pytest.param(said(200, kind="overloaded_error"), OVERLOADED, id="anthropic_stream"),
        pytest.param(
            said(429, kind="engine_overloaded_error"), OVERLOADED, id="moonshot_engine_overloaded"
        ),
        pytest.param(said(503, code="slow_down"), OVERLOADED, id="openai_slow_down"),
        pytest.param(said(200, kind="api_error"), SERVER_ERROR, id="api_error_in_a_stream"),
        pytest.param(said(200, "boom", code="503"), OVERLOADED, id="a_200_that_says_503"),
        pytest.param(said(200, "?"), SERVER_ERROR, id="an_error_nobody_explains"),
        pytest.param(said(500, kind="invalid_request_error"), SERVER_ERROR, id="status_beats_type"),
        pytest.param(Signal(200, is_json=False), NOT_JSON, id="html_with_200"),
        pytest.param(said(409, "lock timeout, try again"), LOCKED, id="lock"),
        pytest.param(said(409, "a vector store of this name exists"), CLIENT_FAULT, id="conflict"),
        pytest.param(said(302, code="insufficient_quota"), REDIRECTED, id="never_followed"),
    ],
)
def test_an_error_is_judged_by_its_body_first(signal: Signal, expected: Fault) -> None:
    assert classify(signal) is expected


def test_a_giant_message_is_judged_quickly_by_its_beginning() -> None:
    assert classify(said(404, "model " + "x" * 10**6 + " not found")) is CLIENT_FAULT
