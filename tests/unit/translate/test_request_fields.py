"""Every top-level field of a request is carried, left out with a token, or refused."""

from typing import Any

import pytest
from anthropic.types.beta.message_create_params import MessageCreateParamsBase as MessagesParams
from openai.types.chat.completion_create_params import CompletionCreateParamsBase as ChatParams
from openai.types.responses.response_create_params import ResponseCreateParamsBase as AnswerParams

from llm_proxy.domain.errors import RequestError
from llm_proxy.formats.translate.fields import RULES
from llm_proxy.formats.translate.request import warnings_of

from .build import send, sent

IGNORED, DROPPED, REFUSED, CARRIED = "ignored", "dropped", "refused", "carried"

# fmt: off
CHAT: list[tuple[str, Any, str, str]] = [
    # field                    value                     to messages  to responses
    ("audio",                  {"voice": "x", "format": "wav"}, REFUSED, REFUSED),
    ("modalities",             ["text", "audio"],        REFUSED,     REFUSED),
    ("frequency_penalty",      0.5,                      DROPPED,     DROPPED),
    ("presence_penalty",       0.5,                      DROPPED,     DROPPED),
    ("logit_bias",             {"1": 2},                 DROPPED,     DROPPED),
    ("seed",                   0,                        DROPPED,     DROPPED),
    ("prediction",             {"type": "content", "content": "x"}, DROPPED, DROPPED),
    ("moderation",             {"model": "x"},           DROPPED,     CARRIED),
    ("logprobs",               True,                     REFUSED,     CARRIED),
    ("top_logprobs",           2,                        REFUSED,     CARRIED),
    ("metadata",               {"a": "b"},               IGNORED,     CARRIED),
    ("store",                  True,                     IGNORED,     CARRIED),
    ("prompt_cache_key",       "k",                      IGNORED,     CARRIED),
    ("prompt_cache_options",   {"ttl": "30m"},           IGNORED,     CARRIED),
    ("prompt_cache_retention", "24h",                    IGNORED,     CARRIED),
    ("n",                      2,                        REFUSED,     REFUSED),
    ("safety_identifier",      "x",                      CARRIED,     CARRIED),
    ("user",                   "x",                      CARRIED,     CARRIED),
    ("service_tier",           "flex",                   DROPPED,     CARRIED),
    ("stop",                   ["x"],                    CARRIED,     REFUSED),
    ("temperature",            0.5,                      CARRIED,     CARRIED),
    ("top_p",                  0.5,                      CARRIED,     CARRIED),
    ("verbosity",              "low",                    DROPPED,     CARRIED),
    ("web_search_options",     {},                       REFUSED,     REFUSED),
    ("top_k",                  5,                        CARRIED,     DROPPED),
    ("reasoning",              {"effort": "low"},        DROPPED,     DROPPED),
    ("thinking",               {"type": "enabled"},      DROPPED,     DROPPED),
    ("enable_thinking",        True,                     DROPPED,     DROPPED),
    ("chat_template_kwargs",   {"a": 1},                 DROPPED,     DROPPED),
    ("provider",               {"a": 1},                 DROPPED,     DROPPED),
    ("transforms",             ["a"],                    DROPPED,     DROPPED),
    ("models",                 ["a"],                    DROPPED,     DROPPED),
    ("extra_body",             {"a": 1},                 DROPPED,     DROPPED),
]
MESSAGES: list[tuple[str, Any, str, str]] = [
    # field                    value                     to chat      to responses
    ("metadata",               {"user_id": "x"},         IGNORED,     IGNORED),
    ("stop_sequences",         ["x"],                    CARRIED,     REFUSED),
    ("temperature",            0.5,                      CARRIED,     CARRIED),
    ("top_p",                  0.5,                      CARRIED,     CARRIED),
    ("top_k",                  5,                        DROPPED,     DROPPED),
    ("cache_control",          {"type": "ephemeral"},    IGNORED,     IGNORED),
    ("diagnostics",            {"previous_message_id": "x"}, IGNORED, IGNORED),
    ("user_profile_id",        "x",                      IGNORED,     IGNORED),
    ("workspace_id",           "x",                      IGNORED,     IGNORED),
    ("betas",                  ["x"],                    IGNORED,     IGNORED),
    ("context_management",     {"edits": [{}]},          DROPPED,     DROPPED),
    ("compaction",             {"a": 1},                 DROPPED,     DROPPED),
    ("fallbacks",              [{"model": "x"}],         DROPPED,     DROPPED),
    ("fallback_credit_token",  "x",                      DROPPED,     DROPPED),
    ("billing_policy",         "x",                      DROPPED,     DROPPED),
    ("speed",                  "fast",                   DROPPED,     DROPPED),
    ("service_tier",           "standard_only",          DROPPED,     DROPPED),
    ("inference_geo",          "us",                     REFUSED,     REFUSED),
    ("container",              {"skills": []},           REFUSED,     REFUSED),
    ("thread",                 {"type": "continue"},     REFUSED,     REFUSED),
    ("mcp_servers",            [{"name": "x"}],          REFUSED,     REFUSED),
]
RESPONSES: list[tuple[str, Any, str, str]] = [
    # field                    value                     to chat      to messages
    ("background",             True,                     REFUSED,     REFUSED),
    ("conversation",           "conv_1",                 REFUSED,     REFUSED),
    ("previous_response_id",   "resp_1",                 REFUSED,     REFUSED),
    ("prompt",                 {"id": "x"},              REFUSED,     REFUSED),
    ("context_management",     [{"a": 1}],               DROPPED,     DROPPED),
    ("truncation",             "auto",                   DROPPED,     DROPPED),
    ("max_tool_calls",         3,                        DROPPED,     DROPPED),
    ("image",                  {"a": 1},                 DROPPED,     DROPPED),
    ("access_programs",        ["x"],                    DROPPED,     DROPPED),
    ("background_options",     {"a": 1},                 DROPPED,     DROPPED),
    ("moderation",             {"a": 1},                 DROPPED,     DROPPED),
    ("service_tier",           "flex",                   DROPPED,     DROPPED),
    ("metadata",               {"a": "b"},               IGNORED,     IGNORED),
    ("prompt_cache_key",       "k",                      IGNORED,     IGNORED),
    ("prompt_cache_options",   {"ttl": "30m"},           IGNORED,     IGNORED),
    ("prompt_cache_retention", "24h",                    IGNORED,     IGNORED),
    ("safety_identifier",      "x",                      IGNORED,     IGNORED),
    ("stream_options",         {"include_obfuscation": False}, IGNORED, IGNORED),
    ("include",                ["file_search_call.results"], IGNORED, IGNORED),
    ("temperature",            0.5,                      CARRIED,     CARRIED),
    ("top_p",                  0.5,                      CARRIED,     CARRIED),
    ("top_logprobs",           2,                        CARRIED,     REFUSED),
    ("user",                   "x",                      IGNORED,     CARRIED),
    ("client_metadata",        {"a": 1},                 DROPPED,     DROPPED),
]
# fmt: on
TABLES = {
    "chat": (CHAT, ("messages", "responses")),
    "messages": (MESSAGES, ("chat", "responses")),
    "responses": (RESPONSES, ("chat", "messages")),
}
CASES = [
    pytest.param(client, upstream, row[0], row[1], row[2 + at], id=f"{row[0]}: {client}>{upstream}")
    for client, (rows, upstreams) in TABLES.items()
    for row in rows
    for at, upstream in enumerate(upstreams)
]


@pytest.mark.parametrize(("client", "upstream", "field", "value", "verb"), CASES)
def test_a_field_ends_as_the_table_says(
    client: str, upstream: str, field: str, value: Any, verb: str
) -> None:
    fields = {field: value}
    if field == "top_logprobs" and verb == CARRIED:
        fields["logprobs"] = True
    if verb == REFUSED:
        with pytest.raises(RequestError) as caught:
            send(client, upstream, fields)
        assert caught.value.status == 400
        assert caught.value.param == field
        assert f"'{field}'" in caught.value.message
        assert "model m " in caught.value.message
        return
    context = send(client, upstream, fields).context
    said = warnings_of(context).split(", ")
    if verb == CARRIED:
        assert not [token for token in said if token.endswith(f"={field}")]
        assert sent(client, upstream, fields) != sent(client, upstream, {})
    else:
        assert f"{verb}={field}" in said


@pytest.mark.parametrize(("client", "upstream", "field", "value", "verb"), CASES)
def test_a_strict_client_is_refused_what_would_be_dropped(
    client: str, upstream: str, field: str, value: Any, verb: str
) -> None:
    if verb == DROPPED:
        with pytest.raises(RequestError, match=f"'{field}'"):
            send(client, upstream, {field: value}, is_strict=True)
    elif verb == IGNORED:
        send(client, upstream, {field: value}, is_strict=True)


@pytest.mark.parametrize(("client", "upstream", "field", "value", "verb"), CASES)
def test_null_is_as_good_as_absent(
    client: str, upstream: str, field: str, value: Any, verb: str
) -> None:
    with_null = send(client, upstream, {field: None})
    without = send(client, upstream, {})
    assert with_null.body == without.body
    assert with_null.context.notes == without.context.notes


@pytest.mark.parametrize(
    ("client", "params"),
    [("chat", ChatParams), ("messages", MessagesParams), ("responses", AnswerParams)],
)
def test_the_table_knows_every_field_of_the_newest_sdk(client: str, params: Any) -> None:
    table, _ = RULES[client]
    assert set(params.__annotations__) <= set(table)


@pytest.mark.parametrize(
    ("client", "upstream", "fields"),
    [
        pytest.param("messages", "chat", {"service_tier": "auto"}, id="tier"),
        pytest.param("responses", "chat", {"truncation": "disabled"}, id="truncation"),
        pytest.param(
            "responses", "messages", {"background": False, "store": False}, id="background"
        ),
        pytest.param(
            "responses", "messages", {"top_logprobs": 0, "include": []}, id="probabilities"
        ),
        pytest.param(
            "messages", "responses", {"stop_sequences": [], "mcp_servers": []}, id="lists"
        ),
        pytest.param("chat", "responses", {"n": 1.0, "stop": ""}, id="numbers"),
        pytest.param("chat", "messages", {"frequency_penalty": 0.0, "seed": None}, id="penalty"),
    ],
)
def test_documented_defaults_say_nothing(
    client: str, upstream: str, fields: dict[str, Any]
) -> None:
    found = send(client, upstream, fields)
    assert found.body == send(client, upstream, {}).body
    assert found.context.notes == send(client, upstream, {}).context.notes


def test_a_thread_is_refused_so_that_the_sdk_goes_on_without() -> None:
    with pytest.raises(RequestError) as caught:
        send("messages", "chat", {"thread": {"type": "continue"}})
    assert caught.value.code == "thread_unsupported_request"


def test_refusals_carry_the_code_for_unsupported_parameters() -> None:
    with pytest.raises(RequestError) as caught:
        send("chat", "messages", {"n": 3})
    assert caught.value.code == "unsupported_parameter"
    assert caught.value.message == (
        "'n' greater than 1 is not supported for model m (upstream speaks anthropic-messages)"
    )


def test_names_of_unknown_fields_cannot_break_the_warnings_header() -> None:
    context = send("chat", "messages", {"a\r\nset-cookie: x, y": 1, "ключ": 1}).context
    text = warnings_of(context)
    assert text.isascii()
    assert text.isprintable()
    assert text == "dropped=a??set-cookie:?x??y, dropped=????, added=max_tokens"


def test_the_warnings_header_has_a_largest_length() -> None:
    fields = {f"field_{number}": 1 for number in range(500)}
    text = warnings_of(send("chat", "messages", fields).context)
    assert len(text) <= 1024
    assert text.endswith(", ...")
    assert text.startswith("dropped=field_0, dropped=field_1, ")


def test_there_is_no_header_when_there_is_nothing_to_say() -> None:
    assert warnings_of(send("messages", "chat", {}).context) == ""
