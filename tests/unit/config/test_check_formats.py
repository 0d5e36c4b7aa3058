"""What `llm-proxy check` says of the formats an upstream speaks, against real servers."""

import pytest

from .conftest import UPSTREAM_KEY, Load
from .test_check import Answer, Rule, openai, report, serving

OPENAI_ERROR = '{"error": {"message": "you must provide a model parameter"}}'
CLAUDE_ERROR = (
    '{"type": "error", "error": {"type": "invalid_request_error", "message": "model: x"}}'
)


def formats_said(load_with: Load, rule: Rule, formats: str = "auto") -> list[str]:
    with serving(rule) as url:
        lines = report(load_with, PROXY_URL=url, PROXY_FORMATS=formats)
    return [
        line.replace("upstream-1: ", "") for line in lines if "format" in line or "auth" in line
    ]


def speaking(*paths: str, refusal: Answer = (400, OPENAI_ERROR)) -> Rule:
    """Return a provider that has a model list and refuses an empty request at `paths`."""

    def rule(method: str, path: str, headers: dict[str, str]) -> Answer:
        if path == "/v1/models":
            return 200, '{"data": []}'
        return refusal if path.removeprefix("/v1") in paths else (404, '{"detail": "Not Found"}')

    return rule


def test_an_unknown_host_that_speaks_chat_only_is_told_what_to_set(load_with: Load) -> None:
    spoken, advice = formats_said(load_with, speaking("/chat/completions"))
    assert spoken == "ok formats: speaks chat"
    assert advice == (
        "warn formats: the host is not known, so messages and responses requests go up as they are "
        "and fail; set PROXY_FORMATS=chat for it, then they are translated"
    )


def test_an_upstream_configured_as_it_speaks_leaves_nothing_to_say(load_with: Load) -> None:
    rule = speaking("/chat/completions", "/messages")
    assert formats_said(load_with, rule, "chat,messages") == ["ok formats: speaks chat, messages"]


def test_a_format_that_is_not_configured_is_mentioned(load_with: Load) -> None:
    assert formats_said(load_with, openai, "chat") == [
        "ok formats: speaks chat, responses",
        "note formats: PROXY_FORMATS leaves out responses; such requests are translated",
    ]


def test_a_format_that_is_not_there_fails_and_says_which_are(load_with: Load) -> None:
    assert formats_said(load_with, speaking("/messages"), "chat,messages")[-1] == (
        "FAIL formats: configured but not there: chat; set PROXY_FORMATS=messages for it"
    )


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param((400, CLAUDE_ERROR), id="in_its_own_shape"),
        pytest.param((422, '{"detail": [{"loc": ["body", "model"]}]}'), id="fastapi"),
        pytest.param((404, '{"error": "model \\"\\" not found"}'), id="not_found_of_the_model"),
        pytest.param((429, ""), id="limited_just_now"),
        pytest.param((200, '{"base_resp": {"status_code": 2013}}'), id="error_inside_200"),
    ],
)
def test_any_refusal_of_the_empty_request_shows_that_the_endpoint_is_there(
    load_with: Load, refusal: Answer
) -> None:
    said = formats_said(load_with, speaking("/messages", refusal=refusal), "messages")
    assert said == ["ok formats: speaks messages"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((400, OPENAI_ERROR), id="refuses_any_path"),
        pytest.param((200, "<!doctype html>"), id="shows_a_page_for_any_path"),
        pytest.param((404, '{"error": "no route for this model"}'), id="not_found_of_any_path"),
        pytest.param((503, ""), id="is_down"),
    ],
)
def test_a_server_that_answers_every_path_alike_proves_nothing(
    load_with: Load, answer: Answer
) -> None:
    def rule(method: str, path: str, headers: dict[str, str]) -> Answer:
        return (200, '{"data": []}') if path == "/v1/models" else answer

    assert formats_said(load_with, rule) == [
        "warn formats: none could be made sure of",
        "note formats: unclear are chat, messages, responses",
    ]


def test_a_key_that_messages_reads_from_the_other_header_is_found_out(load_with: Load) -> None:
    def rule(method: str, path: str, headers: dict[str, str]) -> Answer:
        if headers.get("authorization") != f"Bearer {UPSTREAM_KEY}":
            return 401, "{}"
        return speaking("/chat/completions", "/messages")(method, path, headers)

    assert formats_said(load_with, rule, "chat,messages") == [
        'warn messages: takes the key only with message_auth = "bearer"',
        "ok formats: speaks chat, messages",
    ]
