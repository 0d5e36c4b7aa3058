"""Errors as providers, relays and the machines before them send them, and what each is.

Bodies are shortened copies of what users posted in public threads or what the provider documents;
the line above a group says where. Organisations, keys and request ids are made up.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from llm_proxy.domain.faults import (
    CLIENT_FAULT,
    CONTENT_FILTERED,
    CONTEXT_TOO_LONG,
    KEY_REJECTED,
    MODEL_NOT_FOUND,
    OVERLOADED,
    PERMISSION,
    QUOTA,
    RATE_LIMITED,
    REQUEST_TIMEOUT,
    SERVER_ERROR,
    Fault,
)
from llm_proxy.policy.limits_seen import Advice

WALL_S = 1_780_000_000.0
"""When the errors arrive: 28 May 2026, 20:26:40 UTC."""


class Seen(NamedTuple):
    """One error and its judgement.

    Attributes:
        name: Provider and situation.
        status: HTTP status; 200 = the error stands within an answer or a stream.
        body: JSON, or the bytes themselves.
        fault: What it is.
        advice: What is believed about when to come back.
        headers: Those that matter.
        format: The format the upstream was asked in.
    """

    name: str
    status: int
    body: Any
    fault: Fault
    advice: Advice | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    format: str = "chat"

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def header(wait_s: float) -> Advice:
    return Advice(wait_s, "header")


def text(wait_s: float) -> Advice:
    return Advice(wait_s, "body")


def openai(message: str, kind: str | None = None, code: Any = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind: str, message: str, **more: Any) -> dict[str, Any]:
    error = {"type": kind, "message": message, **more}
    return {"type": "error", "error": error, "request_id": "req_011"}


def google(code: int, status: str, message: str, *details: dict[str, Any]) -> list[Any]:
    error = {"code": code, "message": message, "status": status}
    return [{"error": {**error, "details": list(details)} if details else error}]


def flat(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "request_id": "r-1"}


def minimax(code: int, message: str) -> dict[str, Any]:
    resp = {"status_code": code, "status_msg": message}
    return {"id": "0", "choices": None, "created": 1, "model": "M2", "base_resp": resp}


def router(code: int, message: str, **metadata: Any) -> dict[str, Any]:
    return {"error": {"message": message, "code": code, "metadata": metadata}, "user_id": "u"}


def xai(code: str, error: str) -> dict[str, Any]:
    return {"code": code, "error": error}


def streamed(value: dict[str, Any], name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()


def page(title: str, server: str = "nginx") -> bytes:
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>{server}</center>\r\n</body></html>\r\n"
    ).encode()


def cloudflare(title: str) -> bytes:
    return (
        '<!DOCTYPE html>\n<!--[if lt IE 7]> <html class="no-js ie6 oldie" lang="en-US"> <![endif]-->'
        f"\n<head><title>api.example.com | {title}</title>"
        '<style>body{margin:0}</style></head><body><div id="cf-wrapper"><h1>'
        f"{title}</h1><p>Please try again in a few minutes.</p></div></body></html>"
    ).encode()


TPM = "Rate limit reached for gpt-4.1 in organization org-x on tokens per min (TPM): Limit 30000, "
QUOTA_WORDS = "You exceeded your current quota, please check your plan and billing details."
NO_ACCESS = "does not exist or you do not have access to it."

OPENAI = [
    # https://github.com/wrtnlabs/autobe/issues/136 (with its headers)
    Seen("openai_tokens_per_minute_with_headers", 429,
         openai(TPM + "Used 30000, Requested 247. Please try again in 494ms.", "tokens",
                "rate_limit_exceeded"),
         RATE_LIMITED, header(0.494),
         {"retry-after": "1", "retry-after-ms": "494", "x-ratelimit-remaining-requests": "9999",
          "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m0.052s"}),
    # https://github.com/semanser/codel/issues/72
    Seen("openai_tokens_per_minute_in_words", 429,
         openai(TPM + "Used 14567, Requested 24754. Please try again in 18.642s. Visit https://"
                "platform.openai.com/account/rate-limits to learn more.", "tokens",
                "rate_limit_exceeded"),
         RATE_LIMITED, text(18.642)),
    Seen("openai_requests_per_day", 429,
         openai("Rate limit reached for gpt-4o in organization org-x on requests per day (RPD):"
                " Limit 200, Used 200, Requested 1. Please try again in 7m12s.", "requests",
                "rate_limit_exceeded"),
         RATE_LIMITED, text(432)),
    # https://github.com/daveshap/Medical_Intake/issues/9
    Seen("openai_old_wording", 429,
         openai("Rate limit reached for 10KTPM-200RPM in organization org-x on tokens per min."
                " Limit: 10000 / min. Please try again in 6ms. Contact us through our help center.",
                "tokens"),
         RATE_LIMITED, text(0.006)),
    # https://github.com/stanford-crfm/helm/issues/97
    Seen("openai_oldest_wording_without_advice", 429,
         openai("Rate limit reached for tokens. Limit: 150000.000000 / min. Current:"
                " 176000.000000 / min."),
         RATE_LIMITED),
    # https://github.com/DrShushen/climb/issues/13
    Seen("openai_request_larger_than_the_limit", 429,
         openai("Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit"
                " 30000, Requested 30601. The input or output tokens must be reduced in order to"
                " run successfully.", "tokens", "rate_limit_exceeded"),
         RATE_LIMITED),
    # https://github.com/openai/openai-cookbook/issues/844
    Seen("openai_quota", 429, openai(QUOTA_WORDS, "insufficient_quota", "insufficient_quota"),
         QUOTA, None, {"x-should-retry": "false"}),
    # https://github.com/LiangYang666/ChatGPT-Web/issues/27
    Seen("openai_quota_without_code", 429, openai(QUOTA_WORDS, "insufficient_quota"), QUOTA),
    Seen("openai_hard_limit", 400,
         openai("Billing hard limit has been reached", "invalid_request_error",
                "billing_hard_limit_reached"),
         QUOTA),
    Seen("openai_billing_not_active", 429,
         openai("Your account is not active, please check your billing details on our website.",
                "billing_not_active", "billing_not_active"),
         QUOTA),
    Seen("openai_bad_key", 401,
         openai("Incorrect API key provided: sk-ab***yz. You can find your API key at https://"
                "platform.openai.com/account/api-keys.", "invalid_request_error",
                "invalid_api_key"),
         KEY_REJECTED),
    Seen("openai_account_closed", 401,
         openai("Your account has been deactivated for violating our usage policies.",
                "invalid_request_error", "account_deactivated"),
         KEY_REJECTED),
    # https://github.com/continuedev/continue/issues/10120
    Seen("openai_project_without_the_model", 403,
         openai("Project `proj_x` does not have access to model `gpt-4.1-2025-04-14`",
                "invalid_request_error", "model_not_found"),
         PERMISSION),
    # https://github.com/receptron/mulmocast-app/issues/1090
    Seen("openai_organization_not_verified", 403,
         openai("Your organization must be verified to use the model `gpt-image-1`. Please go to:"
                " https://platform.openai.com/settings/organization/general",
                "invalid_request_error"),
         PERMISSION),
    Seen("openai_country", 403,
         openai("Country, region, or territory not supported", "request_forbidden",
                "unsupported_country_region_territory"),
         PERMISSION),
    Seen("openai_model", 404,
         openai("The model `gpt-9` " + NO_ACCESS, "invalid_request_error", "model_not_found"),
         MODEL_NOT_FOUND),
    Seen("openai_context", 400,
         openai("This model's maximum context length is 128000 tokens. However, your messages"
                " resulted in 130045 tokens. Please reduce the length of the messages.",
                "invalid_request_error", "context_length_exceeded"),
         CONTEXT_TOO_LONG),
    Seen("openai_prompt_flagged", 400,
         openai("Invalid prompt: your prompt was flagged as potentially violating our usage"
                " policy. Please try again with a different prompt.", "invalid_request_error",
                "invalid_prompt"),
         CONTENT_FILTERED),
    Seen("openai_image_policy", 400,
         openai("Your request was rejected as a result of our safety system.",
                "image_generation_user_error", "content_policy_violation"),
         CONTENT_FILTERED),
    Seen("openai_unknown_argument", 400,
         openai("Unrecognized request argument supplied: foo", "invalid_request_error"),
         CLIENT_FAULT),
    # https://github.com/openai/openai-python/issues/213
    Seen("openai_server_error", 500,
         openai("The server had an error while processing your request. Sorry about that!",
                "server_error"),
         SERVER_ERROR),
    # https://github.com/mckaywrigley/repo-chat/issues/13
    Seen("openai_overloaded", 503,
         openai("The server is currently overloaded with other requests. Sorry about that!",
                "server_error"),
         OVERLOADED),
    Seen("openai_slow_down", 503,
         openai("Slow down", "service_unavailable_error", "slow_down"), OVERLOADED,
         header(3), {"retry-after": "3"}),
    Seen("openai_limit_in_a_stream", 200,
         streamed(openai(TPM + "Used 29000, Requested 2000. Please try again in 2s.", "tokens",
                         "rate_limit_exceeded")),
         RATE_LIMITED, text(2)),
    # https://github.com/Wei-Shaw/sub2api/issues/6631
    Seen("openai_responses_overloaded_event", 200,
         streamed({"error": {"code": "server_is_overloaded", "message": "Our servers are currently"
                             " overloaded. Please try again later.", "param": None,
                             "type": "service_unavailable_error"},
                   "sequence_number": 2, "type": "error"}, "error"),
         OVERLOADED, format="responses"),
    Seen("openai_responses_failed_as_overloaded", 200,
         streamed({"type": "response.failed", "sequence_number": 4,
                   "response": {"id": "resp_1", "object": "response", "status": "failed",
                                "error": {"code": "server_error", "message": "Our servers are"
                                          " currently overloaded. Please try again later."}}},
                  "response.failed"),
         OVERLOADED, format="responses"),
    Seen("openai_responses_failed_as_too_long", 200,
         streamed({"type": "response.failed",
                   "response": {"id": "resp_1", "status": "failed",
                                "error": {"code": "context_length_exceeded", "message": "Your"
                                          " input exceeds the context window of this model."}}},
                  "response.failed"),
         CONTEXT_TOO_LONG, format="responses"),
    Seen("openai_responses_failed_as_limited", 200,
         streamed({"type": "response.failed",
                   "response": {"id": "resp_1", "status": "failed",
                                "error": {"code": "rate_limit_exceeded", "message": TPM
                                          + "Used 1, Requested 2. Please try again in 1.5s."}}},
                  "response.failed"),
         RATE_LIMITED, text(1.5), format="responses"),
]  # fmt: skip

ITPM = (
    "This request would exceed your organization's rate limit of 80,000 input tokens per minute. For"
    " details, refer to: https://docs.anthropic.com/en/api/rate-limits. Please reduce the prompt"
    " length or the maximum tokens requested, or try again later."
)

ANTHROPIC = [
    # https://github.com/RooCodeInc/Roo-Code/issues/554, headers: docs.anthropic.com/en/api/rate-limits
    Seen("anthropic_input_tokens_per_minute", 429, anthropic("rate_limit_error", ITPM),
         RATE_LIMITED, header(25),
         {"retry-after": "25", "anthropic-ratelimit-input-tokens-remaining": "0",
          "anthropic-ratelimit-input-tokens-reset": "2026-05-28T20:27:30Z"}),
    Seen("anthropic_limit_with_a_reset_only", 429, anthropic("rate_limit_error", ITPM),
         RATE_LIMITED, header(50),
         {"anthropic-ratelimit-input-tokens-remaining": "0",
          "anthropic-ratelimit-input-tokens-reset": "2026-05-28T20:27:30Z"}),
    Seen("anthropic_limit_without_advice", 429,
         anthropic("rate_limit_error", "This request would exceed your account's rate limit."),
         RATE_LIMITED),
    # https://github.com/anthropics/claude-code/issues/33514: no wait helps, another key may
    Seen("anthropic_long_context_is_not_in_the_plan", 429,
         anthropic("rate_limit_error", "Extra usage is required for long context requests."),
         PERMISSION),
    Seen("anthropic_spend_limit", 429,
         anthropic("rate_limit_error", "Your workspace has reached its spend limit.",
                   details={"error_code": "enforced_spend_limit_reached"}),
         QUOTA),
    # https://github.com/anthropics/claude-code/issues/38035
    Seen("anthropic_monthly_cap", 400,
         anthropic("invalid_request_error", "You have reached your specified API usage limits. You"
                   " will regain access on 2026-04-01 at 00:00 UTC."),
         QUOTA),
    # https://github.com/Wei-Shaw/sub2api/issues/1586
    Seen("anthropic_credit", 400,
         anthropic("invalid_request_error", "Your credit balance is too low to access the"
                   " Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."),
         QUOTA),
    Seen("anthropic_organization_disabled", 400,
         anthropic("invalid_request_error", "This organization has been disabled."), QUOTA),
    Seen("anthropic_billing_error", 402, anthropic("billing_error", "Payment required"), QUOTA),
    Seen("anthropic_bad_key", 401, anthropic("authentication_error", "invalid x-api-key"),
         KEY_REJECTED),
    # https://github.com/anthropics/claude-code/issues/6043
    Seen("anthropic_no_oauth", 401,
         anthropic("authentication_error", "OAuth authentication is currently not supported."),
         KEY_REJECTED),
    Seen("anthropic_forbidden", 403, anthropic("forbidden", "Request not allowed"), PERMISSION),
    Seen("anthropic_model_not_allowed", 403,
         anthropic("permission_error", "Your API key does not have permission to use the specified"
                   " model."),
         PERMISSION),
    Seen("anthropic_model", 404, anthropic("not_found_error", "model: claude-9"),
         MODEL_NOT_FOUND),
    Seen("anthropic_prompt_too_long", 400,
         anthropic("invalid_request_error", "prompt is too long: 212345 tokens > 200000 maximum"),
         CONTEXT_TOO_LONG),
    Seen("anthropic_prompt_and_answer_too_long", 400,
         anthropic("invalid_request_error", "input length and `max_tokens` exceed context limit:"
                   " 190000 + 20000 > 200000, decrease input length or `max_tokens`"),
         CONTEXT_TOO_LONG),
    Seen("anthropic_too_many_bytes", 413,
         anthropic("request_too_large", "Request exceeds the maximum size"), CLIENT_FAULT),
    Seen("anthropic_filter", 400,
         anthropic("invalid_request_error", "Output blocked by content filtering policy"),
         CONTENT_FILTERED),
    Seen("anthropic_field", 400,
         anthropic("invalid_request_error", "messages.1.content.0: Input should be a valid string"),
         CLIENT_FAULT),
    # https://github.com/anthropics/anthropic-sdk-typescript/issues/616
    Seen("anthropic_overloaded", 529, anthropic("overloaded_error", "Overloaded"), OVERLOADED,
         None, {"x-should-retry": "true"}),
    # https://github.com/anthropics/anthropic-sdk-python/issues/688
    Seen("anthropic_overloaded_in_a_stream", 200,
         streamed(anthropic("overloaded_error", "Overloaded", details=None), "error"), OVERLOADED,
         format="messages"),
    Seen("anthropic_api_error_in_a_stream", 200,
         streamed(anthropic("api_error", "Internal server error"), "error"), SERVER_ERROR,
         format="messages"),
    Seen("anthropic_api_error", 500, anthropic("api_error", "Internal server error"),
         SERVER_ERROR),
]  # fmt: skip

AZURE_LIMIT = (
    "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version"
    " 2024-08-01-preview have exceeded token rate limit of your current OpenAI S0 pricing tier."
)
AZURE_FILTER = (
    "The response was filtered due to the prompt triggering Azure OpenAI's content management"
    " policy. Please modify your prompt and retry."
)

AZURE = [
    # https://github.com/vanderschaarlab/climb/issues/1
    Seen("azure_tokens_for_a_day", 429,
         {"error": {"code": "429", "message": AZURE_LIMIT + " Please retry after 86400 seconds."}},
         RATE_LIMITED, text(86400)),
    Seen("azure_tokens_with_headers", 429,
         {"error": {"code": "429", "message": AZURE_LIMIT + " Please retry after 12 seconds."}},
         RATE_LIMITED, header(11.58),
         {"retry-after": "12", "retry-after-ms": "11580", "x-ratelimit-reset-requests": "0"}),
    Seen("azure_rate_limit_reached", 429,
         {"error": {"code": "RateLimitReached", "message": "Your requests have exceeded the call"
                    " rate limit.", "type": "rate_limit"}},
         RATE_LIMITED),
    # https://github.com/pollinations/pollinations/issues/6260
    Seen("azure_high_demand", 429,
         {"error": {"code": "too_many_requests", "type": "too_many_requests", "message": "The"
                    " system is currently experiencing high demand and cannot process your request."
                    " Please retry after 20 seconds."}},
         RATE_LIMITED, text(20)),
    # https://github.com/Azure-Samples/azure-search-openai-demo/issues/177
    Seen("azure_api_management_limit", 429,
         {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 30 seconds."},
         RATE_LIMITED, text(30)),
    # learn.microsoft.com/azure/api-management/quota-policy
    Seen("azure_api_management_quota", 403,
         {"statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in"
          " 01:20:33."},
         QUOTA),
    # https://github.com/openai/openai-dotnet/issues/55
    Seen("azure_filter_with_innererror", 400,
         {"error": {"message": AZURE_FILTER, "type": None, "param": "prompt",
                    "code": "content_filter", "status": 400,
                    "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result":
                                   {"sexual": {"filtered": True, "severity": "high"}}}}},
         CONTENT_FILTERED),
    # https://github.com/chatboxai/chatbox/issues/646
    Seen("azure_deployment", 404,
         {"error": {"code": "DeploymentNotFound", "message": "The API deployment for this resource"
                    " does not exist. If you created the deployment within the last 5 minutes,"
                    " please wait a moment and try again."}},
         MODEL_NOT_FOUND),
    # https://github.com/microsoft/chat-copilot/issues/738
    Seen("azure_bad_key", 401,
         {"error": {"code": "401", "message": "Access denied due to invalid subscription key or"
                    " wrong API endpoint."}},
         KEY_REJECTED),
    Seen("azure_firewall", 403,
         {"error": {"code": "403", "message": "Access denied due to Virtual Network/Firewall"
                    " rules."}},
         PERMISSION),
    Seen("azure_timeout", 408,
         {"error": {"code": "Timeout", "message": "The operation was timeout."}}, REQUEST_TIMEOUT),
]  # fmt: skip


def retry_info(delay: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def error_info(reason: str) -> dict[str, Any]:
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    return {"@type": kind, "reason": reason, "domain": "googleapis.com"}


def quota_failure(quota: str) -> dict[str, Any]:
    kind = "type.googleapis.com/google.rpc.QuotaFailure"
    return {"@type": kind, "violations": [{"quotaId": quota, "quotaValue": "50"}]}


GEMINI_WORDS = QUOTA_WORDS + " For more information on this error, head to: https://ai.google.dev"

GEMINI = [
    # https://github.com/continuedev/continue/issues/10062
    Seen("gemini_per_minute", 429,
         google(429, "RESOURCE_EXHAUSTED", GEMINI_WORDS + " \nPlease retry in 20.04466179s.",
                quota_failure("GenerateContentInputTokensPerModelPerMinute-FreeTier"),
                retry_info("20s")),
         RATE_LIMITED, text(20)),
    # https://github.com/llmsresearch/paperbanana/issues/10
    Seen("gemini_per_day", 429,
         google(429, "RESOURCE_EXHAUSTED", GEMINI_WORDS,
                quota_failure("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
                retry_info("59s")),
         RATE_LIMITED, text(59)),
    # https://github.com/continuedev/continue/issues/9745
    Seen("gemini_in_an_envelope_of_text", 429,
         {"error": {"message": json.dumps({"error": {"code": 429, "message": GEMINI_WORDS
                                                     + "\nPlease retry in 10.673410956s.",
                                                     "status": "RESOURCE_EXHAUSTED"}}, indent=2),
                    "code": 429, "status": "Too Many Requests"}},
         RATE_LIMITED, text(10.673410956)),
    # https://github.com/continuedev/continue/issues/10560
    Seen("gemini_without_advice", 429,
         google(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
         RATE_LIMITED),
    # https://github.com/google-gemini/gemini-cli/issues/13004
    Seen("gemini_reset_in_hours", 429,
         google(429, "RESOURCE_EXHAUSTED", "You have exhausted your capacity on this model. Your"
                " quota will reset after 8h44m7s."),
         RATE_LIMITED, text(31447)),
    # https://github.com/google-gemini/gemini-cli/issues/26633
    Seen("gemini_no_capacity_as_429", 429,
         google(429, "RESOURCE_EXHAUSTED", "No capacity available for model on the server",
                error_info("MODEL_CAPACITY_EXHAUSTED")),
         OVERLOADED),
    # https://github.com/google-gemini/gemini-cli/issues/23520
    Seen("gemini_no_capacity_as_503", 503,
         google(503, "UNAVAILABLE", "No capacity available for model on the server",
                error_info("MODEL_CAPACITY_EXHAUSTED")),
         OVERLOADED),
    Seen("gemini_bad_key", 400,
         google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.",
                error_info("API_KEY_INVALID")),
         KEY_REJECTED),
    Seen("gemini_bad_key_without_details", 400,
         google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
         KEY_REJECTED),
    Seen("gemini_expired_key", 400,
         google(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."),
         KEY_REJECTED),
    Seen("gemini_leaked_key", 403,
         google(403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another"
                " API key."),
         KEY_REJECTED),
    Seen("gemini_service_disabled", 403,
         google(403, "PERMISSION_DENIED", "Generative Language API has not been used in project 1"
                " before or it is disabled.", error_info("SERVICE_DISABLED")),
         PERMISSION),
    Seen("gemini_country", 400,
         google(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
         PERMISSION),
    Seen("gemini_model", 404,
         google(404, "NOT_FOUND", "models/gemini-9 is not found for API version v1main, or is not"
                " supported for generateContent."),
         MODEL_NOT_FOUND),
    # https://github.com/google-gemini/gemini-cli/issues/6678
    Seen("gemini_context", 400,
         google(400, "INVALID_ARGUMENT", "The input token count (1200293) exceeds the maximum"
                " number of tokens allowed (1048576)."),
         CONTEXT_TOO_LONG),
    # https://github.com/google-gemini/gemini-cli/issues/7227
    Seen("gemini_overloaded", 503,
         google(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
         OVERLOADED),
    Seen("gemini_overloaded_in_a_stream", 200,
         streamed(google(503, "UNAVAILABLE", "The model is overloaded.")[0]), OVERLOADED),
    Seen("gemini_internal", 500,
         google(500, "INTERNAL", "An internal error has occurred. Please retry"), SERVER_ERROR),
]  # fmt: skip

DEEPSEEK = [
    # https://github.com/continuedev/continue/issues/9558
    Seen("deepseek_balance", 402,
         openai("Insufficient Balance", "unknown_error", "invalid_request_error"), QUOTA),
    # https://github.com/continuedev/continue/issues/11820
    Seen("deepseek_bad_key", 401,
         openai("Authentication Fails, Your api key: ****fcc2 is invalid", "authentication_error",
                "invalid_request_error"),
         KEY_REJECTED),
    # https://github.com/FoundationAgents/OpenManus/issues/79
    Seen("deepseek_context", 400,
         openai("This model's maximum context length is 65536 tokens. However, you requested 66343"
                " tokens (62247 in the messages, 4096 in the completion).",
                "invalid_request_error", "invalid_request_error"),
         CONTEXT_TOO_LONG),
    Seen("deepseek_filter", 400,
         openai("Content Exists Risk", "invalid_request_error", "invalid_request_error"),
         CONTENT_FILTERED),
    Seen("deepseek_model", 400,
         openai("Model Not Exist", "invalid_request_error", "invalid_request_error"),
         MODEL_NOT_FOUND),
    Seen("deepseek_busy", 503,
         openai("Service is too busy. We advise users to temporarily switch to alternative LLM"
                " API service providers.", "service_unavailable_error",
                "service_unavailable_error"),
         OVERLOADED),
    Seen("deepseek_body_as_text", 422,
         b"Failed to deserialize the JSON body into the target type: missing field `model` at line"
         b" 1 column 20",
         CLIENT_FAULT),
    Seen("deepseek_out_of_resources_before_content", 200,
         streamed({"id": "x", "choices": [{"index": 0, "delta": {"content": ""},
                                           "finish_reason": "insufficient_system_resource"}]}),
         SERVER_ERROR),
]  # fmt: skip

DASHSCOPE = [
    # help.aliyun.com/zh/model-studio/developer-reference/error-code
    Seen("dashscope_requests", 429,
         flat("Throttling.RateQuota", "Requests rate limit exceeded, please try again later."),
         RATE_LIMITED),
    Seen("dashscope_requests_in_openai_shape", 429,
         openai("You have exceeded your current request limit. For details, see: https://"
                "help.aliyun.com/zh/model-studio/error-code#rate-limit", "limit_requests",
                "limit_requests"),
         RATE_LIMITED),
    # https://github.com/QwenLM/Qwen/issues/2254: tokens per minute, called a quota
    Seen("dashscope_tokens_per_minute", 429,
         flat("Throttling.AllocationQuota", "Allocated quota exceeded, please increase your quota"
              " limit. For details, see: https://help.aliyun.com/zh/model-studio/"
              "error-code#token-limit"),
         RATE_LIMITED),
    Seen("dashscope_tokens_per_minute_in_openai_shape", 429,
         openai("Allocated quota exceeded, please increase your quota limit. For details, see:"
                " https://help.aliyun.com/zh/model-studio/error-code#token-limit",
                "insufficient_quota", "insufficient_quota"),
         RATE_LIMITED),
    # https://github.com/QwenLM/qwen-code/issues/1742
    Seen("dashscope_free_quota", 429,
         openai("Free allocated quota exceeded.", "insufficient_quota", "insufficient_quota"),
         QUOTA),
    # per model: other models of the key go on
    Seen("dashscope_free_tier_of_one_model", 403,
         flat("AllocationQuota.FreeTierOnly", "The free tier of the model has been exhausted. If"
              " you wish to continue access the model on a paid basis, please disable the mode."),
         PERMISSION),
    # https://github.com/tencentmusic/supersonic/issues/1572
    Seen("dashscope_arrearage", 400,
         flat("Arrearage", "Access denied, please make sure your account is in good standing."),
         QUOTA),
    # https://github.com/QwenLM/qwen-code/issues/54
    Seen("dashscope_arrearage_in_openai_shape", 400,
         openai("Access denied, please make sure your account is in good standing.", "Arrearage",
                "Arrearage"),
         QUOTA),
    Seen("dashscope_bad_key", 401, flat("InvalidApiKey", "Invalid API-key provided."),
         KEY_REJECTED),
    Seen("dashscope_model_access", 403, flat("Model.AccessDenied", "Model access denied."),
         PERMISSION),
    Seen("dashscope_model_not_bought", 403,
         flat("AccessDenied.Unpurchased", "Access to model denied. Please make sure you are"
              " eligible for using the model."),
         PERMISSION),
    Seen("dashscope_model", 404,
         openai(f"The model `qwen-x` {NO_ACCESS}", "invalid_request_error", "model_not_found"),
         MODEL_NOT_FOUND),
    Seen("dashscope_model_flat", 400, flat("InvalidParameter", "Model not exist."),
         MODEL_NOT_FOUND),
    # https://github.com/QwenLM/qwen-code/issues/98
    Seen("dashscope_context", 400,
         openai("<400> InternalError.Algo.InvalidParameter: Range of input length should be"
                " [1, 204800]", "invalid_request_error", "invalid_parameter_error"),
         CONTEXT_TOO_LONG),
    Seen("dashscope_filter", 400,
         openai("<400> InternalError.Algo.DataInspectionFailed: Input text data may contain"
                " inappropriate content.", "data_inspection_failed", "data_inspection_failed"),
         CONTENT_FILTERED),
    Seen("dashscope_filter_in_a_stream", 200,
         streamed(openai("Output data may contain inappropriate content.",
                         "data_inspection_failed", "data_inspection_failed")),
         CONTENT_FILTERED),
    Seen("dashscope_internal", 500,
         flat("InternalError", "An internal error has occured, please try again later or contact"
              " service support."),
         SERVER_ERROR),
]  # fmt: skip


def zhipu(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}, "request_id": "20260413"}


ZHIPU = [
    # https://github.com/zhukunpenglinyutong/jetbrains-cc-gui/issues/897
    Seen("zhipu_1302_rate", 429, zhipu("1302", "您的账户已达到速率限制，请您控制请求频率"),
         RATE_LIMITED),
    Seen("zhipu_1305_busy_model", 429, zhipu("1305", "该模型当前访问量过大，请您稍后再试"),
         RATE_LIMITED),
    # https://github.com/anomalyco/opencode/issues/9789
    Seen("zhipu_1302_concurrency", 429,
         zhipu("1302", "您当前使用该API的并发数过高，请降低并发，或联系客服增加限额。"),
         RATE_LIMITED),
    # https://github.com/dirge-code/dirge/issues/818
    Seen("zhipu_1308_five_hours", 429,
         zhipu("1308", "已达到 5 小时的使用上限。您的限额将在 2026-08-25 07:41:44 重置。"),
         RATE_LIMITED),
    # https://github.com/KylinMountain/TradingAgents-AShare/issues/228
    Seen("zhipu_1113_balance", 429, zhipu("1113", "余额不足或无可用资源包,请充值。"), QUOTA),
    # https://github.com/anthropics/claude-code/issues/9201
    Seen("zhipu_1113_in_messages_shape", 429,
         anthropic("1113", "Insufficient balance or no resource package. Please recharge."),
         QUOTA),
    # docs.z.ai/api-reference/api-code
    Seen("zhipu_1301_filter", 400,
         {"contentFilter": [{"level": 1, "role": "user"}],
          **zhipu("1301", "系统检测到输入或生成内容可能包含不安全或敏感内容,请您避免输入易产生敏感"
                  "内容的提示语,感谢您的配合。")},
         CONTENT_FILTERED),
    Seen("zhipu_1301_filter_in_english", 400,
         zhipu("1301", "System detected potentially unsafe or sensitive content in input or"
               " generation."),
         CONTENT_FILTERED),
    Seen("zhipu_1211_model", 400, zhipu("1211", "模型不存在,请检查模型代码。"), MODEL_NOT_FOUND),
    Seen("zhipu_1211_model_in_english", 400,
         zhipu("1211", "Unknown Model, please check the model code."), MODEL_NOT_FOUND),
    Seen("zhipu_1000_key", 401, zhipu("1000", "身份验证失败。"), KEY_REJECTED),
    Seen("zhipu_1261_context", 400, zhipu("1261", "Prompt exceeds max length"),
         CONTEXT_TOO_LONG),
    Seen("zhipu_1214_field", 400, zhipu("1214", "messages 参数非法。请检查文档。"), CLIENT_FAULT),
    Seen("zhipu_1234_network", 500, zhipu("1234", "网络错误，错误id：1，请联系客服。"),
         SERVER_ERROR),
]  # fmt: skip

MOONSHOT = [
    # https://github.com/LLM-Red-Team/kimi-cc/issues/16
    Seen("moonshot_concurrency", 429,
         openai("Your account org-x<ak-x> request reached max organization concurrency: 1, please"
                " try again after 1 seconds", "rate_limit_reached_error"),
         RATE_LIMITED, text(1)),
    # https://github.com/MoonshotAI/kimi-cli/issues/1599
    Seen("moonshot_requests_per_minute", 429,
         openai("Your account org-x<ak-x> request reached organization max RPM: 20, please try"
                " again after 1 seconds", "rate_limit_reached_error"),
         RATE_LIMITED, text(1)),
    Seen("moonshot_tokens_per_day", 429,
         openai("Your account org-x<ak-x> request reached organization TPD rate limit, current:"
                " 1526210, limit: 1500000", "rate_limit_reached_error"),
         RATE_LIMITED),
    # https://github.com/MoonshotAI/Kimi-K2/issues/5
    Seen("moonshot_quota_as_403", 403,
         openai("Your account xx> is not active, organization <xx> exceeded current quota, please"
                " check your plan and billing details", "exceeded_current_quota_error"),
         QUOTA),
    # https://github.com/Alishahryar1/free-claude-code/issues/1223
    Seen("moonshot_suspended", 429,
         openai("Your account org-x <ak-x> is suspended due to insufficient balance, please"
                " recharge your account", "exceeded_current_quota_error"),
         QUOTA),
    # https://github.com/MoonshotAI/MoonshotAI-Cookbook/issues/16
    Seen("moonshot_engine_overloaded", 429,
         openai("The engine is currently overloaded, please try again later",
                "engine_overloaded_error"),
         OVERLOADED),
    # platform.moonshot.ai/docs/api/chat#error-codes
    Seen("moonshot_bad_key", 401,
         openai("Invalid Authentication", "invalid_authentication_error"), KEY_REJECTED),
    Seen("moonshot_model", 404,
         openai("Not found the model kimi-9 or Permission denied", "resource_not_found_error"),
         MODEL_NOT_FOUND),
    Seen("moonshot_context", 400,
         openai("Invalid request: Your request exceeded model token limit: 131072 (requested:"
                " 140000)", "invalid_request_error"),
         CONTEXT_TOO_LONG),
    Seen("moonshot_filter", 400,
         openai("The request was rejected because it was considered high risk", "content_filter"),
         CONTENT_FILTERED),
]  # fmt: skip

MINIMAX = [
    # platform.minimax.io/docs/api-reference/errorcode
    Seen("minimax_1001_timeout", 200, minimax(1001, "request timeout"), REQUEST_TIMEOUT),
    Seen("minimax_1002_rate", 200, minimax(1002, "rate limit, please retry later"), RATE_LIMITED),
    Seen("minimax_1004_key", 200,
         minimax(1004, "login fail: Please carry the API secret key in the 'Authorization' field"),
         KEY_REJECTED),
    Seen("minimax_1008_balance", 200, minimax(1008, "insufficient balance"), QUOTA),
    Seen("minimax_1026_input_filter", 200, minimax(1026, "input new_sensitive"),
         CONTENT_FILTERED),
    Seen("minimax_1027_output_filter", 200, minimax(1027, "output new_sensitive"),
         CONTENT_FILTERED),
    Seen("minimax_1033_system", 200, minimax(1033, "system error"), SERVER_ERROR),
    Seen("minimax_1039_tokens", 200, minimax(1039, "token limit"), RATE_LIMITED),
    Seen("minimax_2013_field", 200, minimax(2013, "invalid params, messages is empty"),
         CLIENT_FAULT),
    # https://github.com/MiniMax-AI/MiniMax-M2/issues/119
    Seen("minimax_2013_context", 200,
         minimax(2013, "invalid params, context window exceeds limit (2013)"), CONTEXT_TOO_LONG),
    # https://github.com/MiniMax-AI/MiniMax-01/issues/37
    Seen("minimax_2049_key", 200, minimax(2049, "invalid api key"), KEY_REJECTED),
    Seen("minimax_1002_in_a_stream", 200,
         streamed(minimax(1002, "rate limit")), RATE_LIMITED),
    # https://github.com/MiniMax-AI/MiniMax-M2/issues/62
    Seen("minimax_balance_as_500", 500,
         anthropic("api_error", "insufficient balance (1008)"), QUOTA),
    # https://github.com/modelscope/modelscope/issues/1691
    Seen("minimax_balance_as_429", 429,
         {"error": {"http_code": "429", "message": "insufficient balance (1008)",
                    "type": "insufficient_balance_error"}, "request_id": "x"},
         QUOTA),
    # https://github.com/MiniMax-AI/MiniMax-M2.7/issues/36
    Seen("minimax_plan_limit", 429,
         anthropic("rate_limit_error", "usage limit exceeded, 5-hour usage limit reached for Token"
                   " Plan Starter (0/0 used), resets at 2026-05-15T15:00:00Z (2056)"),
         RATE_LIMITED),
    # https://github.com/egoist/chatwise-releases/issues/1368
    Seen("minimax_bad_key_as_401", 401, anthropic("authentication_error", "invalid api key"),
         KEY_REJECTED),
]  # fmt: skip


def ark(kind: str, code: str, message: str) -> dict[str, Any]:
    error = {"code": code, "message": message + " Request id: 0217", "param": "", "type": kind}
    return {"error": error}


ARK = [
    # volcengine.com/docs/82379/1299023
    Seen("ark_requests_per_minute", 429,
         ark("TooManyRequests", "RateLimitExceeded.EndpointRPMExceeded", "The Requests Per Minute"
             " (RPM) limit of the associated endpoint for your account has been exceeded."),
         RATE_LIMITED),
    Seen("ark_tokens_per_minute_of_the_account", 429,
         ark("TooManyRequests", "ModelAccountTpmRateLimitExceeded", "Your account has exceeded the"
             " tokens per minute limit for this model."),
         RATE_LIMITED),
    # https://github.com/volcengine/MineContext/issues/328
    Seen("ark_own_limit_of_one_model", 429,
         ark("TooManyRequests", "SetLimitExceeded", "Your account [21] has reached the set"
             " inference limit for the [doubao-seed-1-6] model, and the model service has been"
             " paused."),
         RATE_LIMITED),
    Seen("ark_overloaded", 429,
         ark("TooManyRequests", "ServerOverloaded", "The service is currently unable to process"
             " additional requests due to server overload."),
         OVERLOADED),
    Seen("ark_overdue", 403,
         ark("Forbidden", "AccountOverdueError", "The request failed because your account has an"
             " overdue balance."),
         QUOTA),
    Seen("ark_service_overdue", 403,
         ark("Forbidden", "OperationDenied.ServiceOverdue", "Operation is denied because your"
             " account balance is overdue."),
         QUOTA),
    Seen("ark_bad_key", 401,
         ark("Unauthorized", "AuthenticationError", "The API key or AK/SK in the request is missing"
             " or invalid."),
         KEY_REJECTED),
    Seen("ark_access", 403,
         ark("Forbidden", "AccessDenied", "The request failed because you do not have access to the"
             " requested resource."),
         PERMISSION),
    # https://github.com/cloudwego/eino/issues/107
    Seen("ark_model", 404,
         ark("NotFound", "InvalidEndpointOrModel.NotFound", "The model or endpoint doubao-1.5"
             f" {NO_ACCESS}"),
         MODEL_NOT_FOUND),
    Seen("ark_model_not_activated", 404,
         ark("NotFound", "ModelNotOpen", "Your account 21 has not activated the model doubao."
             " Please activate the model service in the Ark Console."),
         PERMISSION),
    Seen("ark_filter", 400,
         ark("BadRequest", "SensitiveContentDetected", "The request failed because the input text"
             " may contain sensitive information."),
         CONTENT_FILTERED),
    Seen("ark_filter_of_input_text", 400,
         ark("BadRequest", "InputTextSensitiveContentDetected", "The request failed because the"
             " input text may contain sensitive information."),
         CONTENT_FILTERED),
    Seen("ark_severe_filter", 400,
         ark("BadRequest", "SensitiveContentDetected.SevereViolation", "The request failed because"
             " the input text may contain severe violation information."),
         CONTENT_FILTERED),
    Seen("ark_context", 400,
         ark("BadRequest", "InvalidParameter", "Total tokens of image and text exceed max message"
             " tokens."),
         CONTEXT_TOO_LONG),
]  # fmt: skip

SILICONFLOW = [
    # https://github.com/AIDotNet/OpenDeepWiki/issues/269
    Seen("siliconflow_tokens", 429,
         {"message": "Request was rejected due to rate limiting. Details: TPM limit reached.",
          "data": None},
         RATE_LIMITED),
    # https://github.com/anyme123/Any-code/issues/1
    Seen("siliconflow_model", 400,
         {"code": 20012, "message": "Model does not exist. Please check it carefully.",
          "data": None},
         MODEL_NOT_FOUND),
    # https://github.com/chatboxai/chatbox/issues/2060
    Seen("siliconflow_context", 400,
         {"code": 20015, "message": "length of prompt_tokens (68957) must be less than max_seq_len"
          " (65536).", "data": None},
         CONTEXT_TOO_LONG),
    # docs.siliconflow.cn/faqs/error-code
    Seen("siliconflow_balance", 403,
         {"code": 30001, "message": "Sorry, your account balance is insufficient", "data": None},
         QUOTA),
    Seen("siliconflow_bad_key_as_a_bare_string", 401, b'"Invalid token"', KEY_REJECTED),
    Seen("siliconflow_overloaded", 503,
         {"code": 50505, "message": "Model service overloaded. Please try again later.",
          "data": None},
         OVERLOADED),
]  # fmt: skip

OPENROUTER = [
    # https://github.com/open-webui/computer/issues/293
    Seen("openrouter_upstream_limited", 429,
         router(429, "Provider returned error", raw="z-ai/glm-5.3-flash is temporarily rate-limited"
                " upstream. Please retry shortly.", provider_name="BaseTen"),
         RATE_LIMITED),
    # https://github.com/QuantumNous/new-api/issues/977
    Seen("openrouter_free_models_per_day", 429,
         router(429, "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free"
                " model requests per day"),
         RATE_LIMITED, header(3600),
         {"x-ratelimit-limit": "50", "x-ratelimit-remaining": "0",
          "x-ratelimit-reset": "1780003600000"}),
    Seen("openrouter_limit_within_a_200", 200,
         router(429, "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free"
                " model requests per day"),
         RATE_LIMITED),
    # https://github.com/anomalyco/opencode/issues/24462: its provider's account, not our key
    Seen("openrouter_its_own_provider_has_no_credit", 429,
         router(429, "Provider returned error", raw='{"error":{"message":"Your account org-x is'
                ' suspended due to insufficient balance, please recharge","type":"e"}}'),
         RATE_LIMITED),
    # https://github.com/anomalyco/opencode/issues/12219
    Seen("openrouter_credits", 402,
         router(402, "This request requires more credits, or fewer max_tokens. You requested up to"
                " 32000 tokens, but can only afford 0."),
         QUOTA),
    # https://github.com/tailcallhq/forgecode/issues/571
    Seen("openrouter_credits_of_the_key_within_a_200", 200,
         {"error": {"code": 402, "message": "More credits are required to run this request."}},
         QUOTA),
    Seen("openrouter_key_limit", 403,
         router(403, "Key limit exceeded (total limit). Manage it using https://openrouter.ai/"
                "settings/keys"),
         QUOTA),
    # openrouter.ai/docs/api-reference/errors
    Seen("openrouter_moderation", 403,
         router(403, 'openai/gpt-4o requires moderation on OpenAI. Your input was flagged for'
                ' "violence". No credits were charged.', reasons=["violence"]),
         CONTENT_FILTERED),
    Seen("openrouter_bad_key", 401, router(401, "User not found."), KEY_REJECTED),
    Seen("openrouter_model", 400, router(400, "gpt-99 is not a valid model ID"), MODEL_NOT_FOUND),
    Seen("openrouter_no_endpoints", 404, router(404, "No endpoints found for x/y."),
         MODEL_NOT_FOUND),
    Seen("openrouter_context", 400,
         router(400, "This endpoint's maximum context length is 65536 tokens. However, you"
                " requested about 70000 tokens."),
         CONTEXT_TOO_LONG),
    Seen("openrouter_context_in_raw", 400,
         router(400, "Provider returned error",
                raw='{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}'),
         CONTEXT_TOO_LONG),
    Seen("openrouter_timeout", 408, router(408, "Timed out"), REQUEST_TIMEOUT),
    Seen("openrouter_model_down", 502, router(502, "Provider returned error"), SERVER_ERROR),
    Seen("openrouter_no_provider", 503, router(503, "No instances available"), OVERLOADED),
    # openrouter.ai/docs/api-reference/streaming
    Seen("openrouter_cut_in_a_stream", 200,
         b": OPENROUTER PROCESSING\n\n"
         + streamed({"id": "gen-1", "object": "chat.completion.chunk", "model": "m",
                     "error": {"code": 502, "message": "Provider disconnected"},
                     "choices": [{"index": 0, "delta": {"content": ""},
                                  "finish_reason": "error"}]}),
         SERVER_ERROR),
]  # fmt: skip


def groq(window: str, wait: str) -> dict[str, Any]:
    return openai(
        "Rate limit reached for model `llama-3.3-70b-versatile` in organization `org_x` service"
        f" tier `on_demand` on tokens per {window}: Limit 12000, Used 2542, Requested 9855. Please"
        f" try again in {wait}. Need more tokens? Upgrade to Dev Tier today",
        "tokens",
        "rate_limit_exceeded",
    )


GROQ = [
    # https://github.com/ago19800/HomeMind/issues/29
    Seen("groq_tokens_per_minute", 429, groq("minute (TPM)", "1.984999999s"), RATE_LIMITED,
         header(2), {"retry-after": "2", "x-ratelimit-remaining-tokens": "9458",
                     "x-ratelimit-reset-tokens": "12.7s"}),
    # https://github.com/continuedev/continue/issues/10920
    Seen("groq_tokens_per_day", 429, groq("day (TPD)", "9m38.016s"), RATE_LIMITED, text(578.016)),
    # https://github.com/podscript/podscript/issues/20
    Seen("groq_request_larger_than_the_limit", 413,
         openai("Request too large for model `llama-3.3-70b-versatile` on tokens per minute (TPM):"
                " Limit 6000, Requested 10338, please reduce your message size and try again.",
                "tokens", "rate_limit_exceeded"),
         RATE_LIMITED),
    # https://github.com/ag5826000/resume-commentor/issues/4
    Seen("groq_bad_key", 401,
         openai("Invalid API Key", "invalid_request_error", "invalid_api_key"), KEY_REJECTED),
    # https://github.com/continuedev/continue/issues/11567
    Seen("groq_model", 404,
         openai("The model `llama3.1-405b` " + NO_ACCESS, "invalid_request_error",
                "model_not_found"),
         MODEL_NOT_FOUND),
    # console.groq.com/docs/deprecations
    Seen("groq_model_retired", 400,
         openai("The model `mixtral-8x7b-32768` has been decommissioned and is no longer supported.",
                "invalid_request_error", "model_decommissioned"),
         MODEL_NOT_FOUND),
    Seen("groq_organization_restricted", 400,
         openai("Organization has been restricted. Please reach out to support if you believe this"
                " was in error.", "invalid_request_error", "organization_restricted"),
         QUOTA),
    Seen("groq_flex_capacity", 498,
         openai("The model is over capacity", "capacity_exceeded", "capacity_exceeded"),
         OVERLOADED),
    # https://github.com/groq/groq-typescript/issues/28
    Seen("groq_tool_call", 400,
         openai("Failed to call a function. Please adjust your prompt. See 'failed_generation' for"
                " more details.", "invalid_request_error", "tool_use_failed"),
         CLIENT_FAULT),
    # https://github.com/anomalyco/opencode/issues/1018
    Seen("groq_tool_call_in_a_stream", 200,
         streamed({"error": {"message": "Failed to call a function. Please adjust your prompt.",
                             "type": "invalid_request_error", "code": "tool_use_failed",
                             "failed_generation": "x", "status_code": 400}}, "error"),
         CLIENT_FAULT),
]  # fmt: skip


def mistral(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


MISTRAL = [
    # https://github.com/raycast/extensions/issues/31107
    Seen("mistral_rate", 429, mistral("Rate limit exceeded", "rate_limited", "1300"),
         RATE_LIMITED),
    # https://github.com/continuedev/continue/issues/6185
    Seen("mistral_tier_capacity", 429,
         mistral("Service tier capacity exceeded for this model.", "invalid_request_error"),
         RATE_LIMITED),
    # https://github.com/BerriAI/litellm/pull/25078
    Seen("mistral_tier_capacity_of_the_backend", 503,
         mistral("Service tier capacity exceeded for this model.",
                 "service_tier_capacity_exceeded", "3505"),
         OVERLOADED),
    Seen("mistral_bad_key", 401, {"detail": "Unauthorized"}, KEY_REJECTED),
    Seen("mistral_model", 400, mistral("Invalid model: mistral-x", "invalid_model", "1500"),
         MODEL_NOT_FOUND),
    Seen("mistral_context", 400,
         mistral("Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768"
                 " maximum context length", "invalid_request_prompt", "3051"),
         CONTEXT_TOO_LONG),
    Seen("mistral_field", 422,
         {"detail": [{"type": "extra_forbidden", "loc": ["body", "foo"],
                      "msg": "Extra inputs are not permitted", "input": 1}]},
         CLIENT_FAULT),
    Seen("mistral_role_order", 400,
         mistral("Expected last role User or Tool (or Assistant with prefix True) for serving but"
                 " got assistant", "invalid_request_message_order", "3230"),
         CLIENT_FAULT),
]  # fmt: skip

XAI = [
    # https://github.com/continuedev/continue/issues/10778
    Seen("xai_bad_key_as_400", 400,
         xai("Client specified an invalid argument", "Incorrect API key provided: na***ys. You can"
             " obtain an API key from https://console.x.ai."),
         KEY_REJECTED),
    # https://github.com/continuedev/continue/issues/10373
    Seen("xai_credits_as_429", 429,
         xai("Some resource has been exhausted", "Your team 16f2 has either used all available"
             " credits or reached its monthly spending limit. To continue making API requests,"
             " please purchase more credits or raise your spending limit."),
         QUOTA),
    # https://github.com/continuedev/continue/issues/12670
    Seen("xai_no_credits_yet", 403,
         xai("The caller does not have permission to execute the specified operation", "Your newly"
             " created team doesn't have any credits or licenses yet. You can purchase those on"
             " https://console.x.ai/team/481c."),
         QUOTA),
    # https://github.com/Wei-Shaw/sub2api/issues/4069
    Seen("xai_out_of_credits", 403,
         xai("permission-denied", "You have run out of credits or need a Grok subscription."),
         QUOTA),
    # docs.x.ai/docs/guides
    Seen("xai_filter", 403,
         xai("The caller does not have permission to execute the specified operation", "Content"
             " violates usage guidelines. Team: 16f2, API key ID: 9, Model: grok-4, Failed check:"
             " SAFETY_CHECK_TYPE_BIO"),
         CONTENT_FILTERED),
    Seen("xai_model", 404,
         xai("Some requested entity was not found", "The model grok-9 does not exist or your team"
             " 16f2 does not have access to it."),
         MODEL_NOT_FOUND),
    Seen("xai_context", 400,
         xai("Client specified an invalid argument", "This model's maximum prompt length is 131072"
             " but the request contains 537812 tokens."),
         CONTEXT_TOO_LONG),
    Seen("xai_rate", 429,
         xai("Some resource has been exhausted", "Too many requests for team 16f2 and model grok-4."
             " Your team's rate limit is: Requests per Minute (actual/limit): 61/60."),
         RATE_LIMITED),
]  # fmt: skip

TOGETHER = [
    # https://github.com/togethercomputer/MoA/issues/27
    Seen("together_rate_called_a_credit_limit", 429,
         openai("You have been rate limited. Your rate limit is 60 queries per minute. Please"
                " navigate to https://api.together.xyz/settings/billing to upgrade.",
                "credit_limit"),
         RATE_LIMITED),
    # https://github.com/xtekky/gpt4free/issues/3032
    Seen("together_rate_of_one_model", 429,
         openai("You have reached the rate limit specific to this model flux. The maximum rate"
                " limit for this model is 9.0 queries per minute.", "model_rate_limit"),
         RATE_LIMITED),
    # https://github.com/expectedparrot/edsl/issues/2098
    Seen("together_credit", 402,
         {"id": "o3", **openai("Credit limit exceeded. Please navigate to https://api.together.xyz/"
                               "settings/billing to add credit.", "credit_limit")},
         QUOTA),
    Seen("together_model", 404,
         openai("Unable to access model x/y. Please visit https://api.together.ai/models to view"
                " the list of supported models.", "invalid_request_error", "model_not_available"),
         MODEL_NOT_FOUND),
    Seen("together_context", 422,
         openai("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given:"
                " 9000 `inputs` tokens and 512 `max_new_tokens`", "invalid_request_error"),
         CONTEXT_TOO_LONG),
]  # fmt: skip

FIREWORKS = [
    # https://github.com/pollinations/pollinations/issues/12136
    Seen("fireworks_suspended_as_412", 412,
         {"error": {"message": "Account x is suspended, possibly due to reaching the monthly"
                    " spending limit or failure to pay past invoices.", "param": None,
                    "code": "PRECONDITION_FAILED", "type": "error"}, "request_id": "1"},
         QUOTA),
    Seen("fireworks_model", 404,
         {"error": {"object": "error", "type": "invalid_request_error", "code": "NOT_FOUND",
                    "message": "Model not found, inaccessible, and/or not deployed"}},
         MODEL_NOT_FOUND),
    Seen("fireworks_context", 400,
         {"error": {"object": "error", "type": "invalid_request_error", "message": "The prompt is"
                    " too long: 140000, model maximum context length: 131071"}},
         CONTEXT_TOO_LONG),
    Seen("fireworks_bad_key", 401, {"error": "unauthorized"}, KEY_REJECTED),
    # https://github.com/BerriAI/litellm/pull/39852
    Seen("fireworks_template", 400,
         {"error": {"type": "invalid_request_error", "code": "invalid_request_error",
                    "message": "jinja template rendering failed. System message must be at the"
                    " beginning."}},
         CLIENT_FAULT),
]  # fmt: skip

VLLM = [
    # https://github.com/QwenLM/Qwen3/issues/20
    Seen("vllm_old_model", 404,
         {"object": "error", "message": "The model `Qwen/Qwen1.5-7B-Chat` does not exist.",
          "type": "NotFoundError", "param": None, "code": 404},
         MODEL_NOT_FOUND),
    Seen("vllm_model", 404,
         openai("The model `x` does not exist.", "NotFoundError", 404), MODEL_NOT_FOUND),
    # https://github.com/ogx-ai/ogx/issues/4534
    Seen("vllm_old_context", 400,
         {"object": "error", "message": "This model's maximum context length is 6048 tokens."
          " However, you requested 6616 tokens.", "type": "BadRequestError", "param": None,
          "code": 400},
         CONTEXT_TOO_LONG),
    # https://github.com/vllm-project/vllm/pull/33425
    Seen("vllm_context", 400,
         openai("This model's maximum context length is 2048 tokens. However, your request has 8"
                " input tokens plus 2045 'max_tokens'.", "BadRequestError", 400),
         CONTEXT_TOO_LONG),
    Seen("vllm_context_of_the_decoder", 400,
         openai("The decoder prompt (length 40000) is longer than the maximum model length of"
                " 32768.", "BadRequestError", 400),
         CONTEXT_TOO_LONG),
    Seen("vllm_context_in_a_stream", 200,
         streamed(openai("This model's maximum context length is 2048 tokens.", "BadRequestError",
                         400)),
         CONTEXT_TOO_LONG),
    # https://github.com/nashsu/llm_wiki/issues/45
    Seen("vllm_system_message", 400,
         openai("System message must be at the beginning.", "BadRequestError", 400), CLIENT_FAULT),
    # https://github.com/vllm-project/vllm/issues/2080
    Seen("vllm_old_role_order", 400,
         {"object": "error", "message": "Conversation roles must alternate user/assistant/user/"
          "assistant/...", "type": "invalid_request_error", "param": None, "code": None},
         CLIENT_FAULT),
    Seen("vllm_bad_key", 401, {"error": "Unauthorized"}, KEY_REJECTED),
    Seen("vllm_engine_died_in_a_stream", 200,
         streamed(openai("EngineCore encountered an issue. See stack trace.", "InternalServerError",
                         500)),
         SERVER_ERROR),
    Seen("sglang_context", 400,
         {"object": "error", "message": "The input (40000 tokens) is longer than the model's context"
          " length (32768 tokens).", "type": "BadRequestError", "param": None, "code": 400},
         CONTEXT_TOO_LONG),
    Seen("tgi_overloaded", 429, {"error": "Model is overloaded", "error_type": "overloaded"},
         OVERLOADED),
]  # fmt: skip

OLLAMA = [
    Seen("ollama_model", 404, {"error": 'model "qwen9" not found, try pulling it first'},
         MODEL_NOT_FOUND),
    Seen("ollama_model_in_openai_shape", 404,
         openai("model 'qwen9' not found", "not_found_error"), MODEL_NOT_FOUND),
    # https://github.com/valentinfrlch/ha-llmvision/issues/648
    Seen("ollama_queue_full", 503,
         {"error": "server busy, please try again.  maximum pending requests exceeded"},
         OVERLOADED),
    # https://github.com/ollama/ollama/issues/15934
    Seen("ollama_cloud_overloaded", 503,
         {"error": "Server overloaded, please retry shortly (ref: aaa65c70)"}, OVERLOADED),
    # https://github.com/continuedev/continue/issues/11444
    Seen("ollama_cloud_session_limit", 429,
         {"error": "you (x) have reached your session usage limit, upgrade for higher limits:"
          " https://ollama.com/upgrade"},
         RATE_LIMITED),
    # https://github.com/continuedev/continue/issues/11478
    Seen("ollama_memory", 500,
         {"error": "model requires more system memory (5.3 GiB) than is available (3.3 GiB)"},
         SERVER_ERROR),
    Seen("ollama_no_tools", 400,
         openai("registry.ollama.ai/library/gemma:2b does not support tools", "api_error"),
         CLIENT_FAULT),
]  # fmt: skip

LM_STUDIO = [
    # https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/237
    Seen("lm_studio_context", 400,
         {"error": "Trying to keep the first 15857 tokens when context the overflows. However, the"
          " model is loaded with context length of only 4096 tokens, which is not enough."},
         CONTEXT_TOO_LONG),
    # https://github.com/Gitlawb/openclaude/issues/353
    Seen("lm_studio_context_in_other_words", 400,
         {"error": "The number of tokens to keep from the initial prompt is greater than the context"
          " length (n_keep: 13055>= n_ctx: 4096)."},
         CONTEXT_TOO_LONG),
    # https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/2339
    Seen("lm_studio_context_in_a_stream", 200,
         streamed({"error": {"message": "Context size has been exceeded."}}, "error"),
         CONTEXT_TOO_LONG),
    Seen("lm_studio_nothing_loaded", 404,
         openai("No models loaded. Please load a model in the developer page or use the `lms load`"
                " command.", "invalid_request_error", "model_not_found"),
         MODEL_NOT_FOUND),
]  # fmt: skip

LLAMA_CPP = [
    # https://github.com/ggml-org/llama.cpp/issues/19774
    Seen("llama_cpp_context", 400,
         {"error": {"code": 400, "message": "request (4390 tokens) exceeds the available context"
                    " size (4096 tokens), try increasing it", "type": "exceed_context_size_error",
                    "n_prompt_tokens": 4390, "n_ctx": 4096}},
         CONTEXT_TOO_LONG),
    Seen("llama_cpp_context_as_500", 500,
         {"error": {"code": 500, "message": "Context size has been exceeded.",
                    "type": "server_error"}},
         CONTEXT_TOO_LONG),
    # https://github.com/oobabooga/textgen/issues/7257
    Seen("llama_cpp_context_within_a_200", 200,
         {"error": {"code": 400, "message": "the request exceeds the available context size. try"
                    " increasing the context size or enable context shift",
                    "type": "exceed_context_size_error", "n_prompt_tokens": 14429}},
         CONTEXT_TOO_LONG),
    Seen("llama_cpp_loading", 503,
         {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
         OVERLOADED),
    Seen("llama_cpp_bad_key", 401,
         {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}},
         KEY_REJECTED),
    # https://github.com/ggml-org/llama.cpp/issues/20733
    Seen("llama_cpp_template", 400,
         {"error": {"code": 400, "message": "Unable to generate parser for this template."
                    " \nError: Jinja Exception: System message must be at the beginning.",
                    "type": "invalid_request_error"}},
         CLIENT_FAULT),
]  # fmt: skip

LITELLM = [
    # https://github.com/BerriAI/litellm/issues/20615
    Seen("litellm_budget", 400,
         openai("Budget has been exceeded! Current cost: 76.16, Max budget: 10.0",
                "budget_exceeded", "400"),
         QUOTA),
    # https://github.com/OWASP/OpenCRE/pull/1102
    Seen("litellm_budget_as_429", 429,
         openai("LiteLLM User: e-1, exceeded budget for model=claude", "budget_exceeded", "429"),
         QUOTA),
    Seen("litellm_cooling_down", 429,
         openai("No deployments available for selected model, Try again in 5 seconds. Passed"
                " model=gpt-4. pre-call-checks=False, cooldown_list=['a']", "None", "429"),
         RATE_LIMITED, text(5)),
    # https://github.com/jasonacox/TinyLLM/issues/17
    Seen("litellm_passes_azures_limit_on", 429,
         openai("litellm.RateLimitError: AzureException RateLimitError - Error code: 429 - "
                + AZURE_LIMIT + " Please retry after 86400 seconds.", "throttling_error", "429"),
         RATE_LIMITED, text(86400)),
    # https://github.com/FoundationAgents/OpenManus/issues/746
    Seen("litellm_passes_anthropics_limit_on", 429,
         openai(ITPM, "invalid_request_error", "rate_limit_error"), RATE_LIMITED),
    # https://github.com/BerriAI/litellm/pull/16231
    Seen("litellm_passes_azures_filter_on", 400,
         {"error": {"message": "litellm.ContentPolicyViolationError: AzureException - "
                    + AZURE_FILTER, "type": None, "param": None, "code": "400",
                    "provider_specific_fields":
                    {"innererror": {"code": "ResponsibleAIPolicyViolation"}}}},
         CONTENT_FILTERED),
    Seen("litellm_bad_key", 401,
         openai("Authentication Error, Invalid proxy server token passed. Received API Key ="
                " sk-...1234", "token_not_found_in_db", "401"),
         KEY_REJECTED),
    Seen("litellm_key_without_the_model", 401,
         openai("key not allowed to access model. This key can only access models=['a']. Tried to"
                " access b", "key_model_access_denied", "401"),
         PERMISSION),
    Seen("litellm_model", 400,
         openai("/chat/completions: Invalid model name passed in model=gpt-9. Call `/v1/models` to"
                " view available models for your key.", "None", "400"),
         MODEL_NOT_FOUND),
    Seen("litellm_timeout", 408,
         openai("litellm.Timeout: APITimeoutError - Request timed out.", None, "408"),
         REQUEST_TIMEOUT),
]  # fmt: skip

SATURATED = "当前分组上游负载已饱和，请稍后再试 (request id: 2025)"

NEW_API = [
    # https://github.com/WEIFENG2333/VideoCaptioner/issues/1120
    Seen("new_api_saturated", 429, openai(SATURATED, "upstream_error", "bad_response_status_code"),
         RATE_LIMITED),
    # https://github.com/666ghj/BettaFish/issues/579: one of its channels is empty, not our account
    Seen("new_api_saturated_by_an_empty_channel", 429,
         openai(SATURATED, "insufficient_quota", "insufficient_quota"), RATE_LIMITED),
    # https://github.com/popjane/free_chatgpt_api/issues/78
    Seen("new_api_user_quota", 403,
         openai("user quota is not enough (request id: 2025)", "v_api_error",
                "insufficient_user_quota"),
         QUOTA),
    # https://github.com/QuantumNous/new-api/issues/1737
    Seen("new_api_token_quota", 403,
         openai("token quota is not enough, token remain quota: ＄0.250000, need quota: ＄5.500000",
                "new_api_error", "pre_consume_token_quota_failed"),
         QUOTA),
    Seen("new_api_token_used_up", 403, openai("该令牌额度已用尽", "new_api_error"), QUOTA),
    Seen("new_api_bad_token", 401, openai("无效的令牌 (request id: 2025)", "new_api_error"),
         KEY_REJECTED),
    Seen("new_api_token_without_the_model", 403,
         openai("该令牌无权访问模型 gpt-5 (request id: 2025)", "new_api_error"), PERMISSION),
    Seen("new_api_no_channel", 503,
         openai("No available channel for model gpt-9 under group default (distributor)",
                "new_api_error", "model_not_found"),
         MODEL_NOT_FOUND),
    # https://github.com/songquanpeng/one-api/issues/2340
    Seen("one_api_no_channel", 503,
         openai("当前分组 default 下对于模型 gpt-9 无可用渠道 (request id: 2025)",
                "one_api_error"),
         MODEL_NOT_FOUND),
    # doc.tokendog.io/zh/api-reference/guide/error-codes
    Seen("new_api_filter", 400,
         openai("user sensitive words detected", "new_api_error", "sensitive_words_detected"),
         CONTENT_FILTERED),
    Seen("new_api_upstream_failed", 500,
         openai("upstream error: do request failed", "new_api_error", "do_request_failed"),
         SERVER_ERROR),
]  # fmt: skip

OTHERS = [
    # https://github.com/continuedev/continue/issues/9800
    Seen("cerebras_tokens_per_minute", 429,
         {"message": "Tokens per minute limit exceeded - too many tokens processed.",
          "type": "too_many_tokens_error", "param": "quota", "code": "token_quota_exceeded"},
         RATE_LIMITED),
    Seen("github_models_rate", 429,
         {"error": {"code": "RateLimitReached", "message": "Rate limit of 10 per 60s exceeded for"
                    " UserByModelByMinute. Please wait 23 seconds before retrying."}},
         RATE_LIMITED, text(23)),
    Seen("bedrock_throttled", 429,
         {"__type": "ThrottlingException", "message": "Too many tokens, please wait before trying"
          " again."},
         RATE_LIMITED),
    Seen("workers_ai_limit", 429,
         {"success": False, "result": None, "messages": [],
          "errors": [{"code": 3040, "message": "Capacity temporarily exceeded, please try again."}]},
         RATE_LIMITED),
]  # fmt: skip

MACHINES = [
    Seen("nginx_bad_gateway", 502, page("502 Bad Gateway"), SERVER_ERROR),
    Seen("nginx_gateway_timeout", 504, page("504 Gateway Time-out"), SERVER_ERROR),
    Seen("nginx_unavailable", 503, page("503 Service Temporarily Unavailable"), OVERLOADED),
    Seen("nginx_limit", 429, page("429 Too Many Requests"), RATE_LIMITED),
    Seen("nginx_body_too_large", 413, page("413 Request Entity Too Large"), CLIENT_FAULT),
    Seen("nginx_password", 401, page("401 Authorization Required"), KEY_REJECTED),
    Seen("nginx_not_found", 404, page("404 Not Found"), CLIENT_FAULT),
    Seen("load_balancer_timeout", 504, page("504 Gateway Time-out", "awselb/2.0"), SERVER_ERROR),
    # https://github.com/anthropics/claude-code/issues/16737
    Seen("cloudflare_524_timeout", 524, cloudflare("524: A timeout occurred"), SERVER_ERROR),
    # https://github.com/anthropics/claude-code/issues/3197
    Seen("cloudflare_520", 520, cloudflare("520: Web server is returning an unknown error"),
         SERVER_ERROR),
    # https://github.com/lobehub/lobehub/issues/1727
    Seen("cloudflare_520_in_one_line", 520, b"error code: 520", SERVER_ERROR),
    Seen("cloudflare_blocked", 403, cloudflare("Sorry, you have been blocked"), PERMISSION),
    Seen("cloudflare_limit", 429, b"error code: 1015", RATE_LIMITED, header(30),
         {"retry-after": "30"}),
    Seen("envoy_no_upstream", 503, b"no healthy upstream", OVERLOADED),
    Seen("envoy_reset", 503,
         b"upstream connect error or disconnect/reset before headers. reset reason: connection"
         b" timeout",
         OVERLOADED),
    Seen("plain_limit_with_a_date", 429, b"Too Many Requests", RATE_LIMITED, header(60),
         {"retry-after": "Thu, 28 May 2026 20:27:40 GMT"}),
    Seen("plain_limit_with_junk_for_advice", 429, b"Too Many Requests", RATE_LIMITED, None,
         {"retry-after": "nan"}),
    Seen("plain_internal_error", 500, b"Internal Server Error", SERVER_ERROR),
    Seen("nothing_but_a_403", 403, b"", PERMISSION),
    Seen("nothing_but_a_503", 503, b"", OVERLOADED),
]  # fmt: skip

ERRORS = [
    *OPENAI, *ANTHROPIC, *AZURE, *GEMINI, *DEEPSEEK, *DASHSCOPE, *ZHIPU, *MOONSHOT, *MINIMAX, *ARK,
    *SILICONFLOW, *OPENROUTER, *GROQ, *MISTRAL, *XAI, *TOGETHER, *FIREWORKS, *VLLM, *OLLAMA,
    *LM_STUDIO, *LLAMA_CPP, *LITELLM, *NEW_API, *OTHERS, *MACHINES,
]  # fmt: skip
