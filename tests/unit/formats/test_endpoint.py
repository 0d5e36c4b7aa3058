"""What a path means."""

import pytest

from llm_proxy.formats.endpoint import (
    COUNT,
    EMBED,
    GENERATE,
    MODEL,
    MODELS,
    OTHER,
    STATE,
    Kind,
    endpoint_of,
)


@pytest.mark.parametrize(
    ("request_", "format_", "kind", "has_json_body", "is_repeatable"),
    [
        ("POST /v1/chat/completions", "chat", GENERATE, True, True),
        ("POST /v1/messages", "messages", GENERATE, True, True),
        ("POST /v1/messages/count_tokens", "messages", COUNT, True, True),
        ("POST /v1/responses", "responses", GENERATE, True, True),
        ("POST /v1/responses/input_tokens", "responses", COUNT, True, True),
        ("POST /v1/responses/compact", "responses", STATE, True, False),
        ("POST /v1/completions", "other", GENERATE, True, True),
        ("POST /v1/embeddings", "other", EMBED, True, True),
        ("POST /v1/rerank", "other", OTHER, True, True),
        ("POST /v1/moderations", "other", OTHER, True, True),
        ("POST /v1/images/generations", "other", OTHER, True, False),
        ("POST /v1/audio/transcriptions", "other", OTHER, False, False),
        ("POST /v1/files", "other", OTHER, False, False),
        ("POST /v1/messages/batches", "messages", STATE, False, False),
        ("GET /v1/messages/batches/b", "messages", STATE, False, True),
        ("GET /v1/responses/resp_1", "responses", STATE, False, True),
        ("DELETE /v1/responses/resp_1", "responses", STATE, False, True),
        ("POST /v1/responses/resp_1/cancel", "responses", STATE, False, False),
        ("GET /v1/chat/completions", "chat", STATE, False, True),
        ("GET /v1/models", "other", MODELS, False, True),
        ("HEAD /v1/models", "other", MODELS, False, True),
        ("GET /v1/models/a%2Fb:free", "other", MODEL, False, True),
        ("DELETE /v1/models/ft-1", "other", OTHER, False, True),
        ("PATCH /v1/anything", "other", OTHER, False, False),
        ("GET /v1/chatter", "other", OTHER, False, True),
        ("GET /v1", "other", OTHER, False, True),
    ],
)
def test_what_a_request_means(
    request_: str, format_: str, kind: Kind, has_json_body: bool, is_repeatable: bool
) -> None:
    method, path = request_.split()
    endpoint = endpoint_of(method, path)
    assert (endpoint.format, endpoint.kind) == (format_, kind)
    assert (endpoint.has_json_body, endpoint.is_repeatable) == (has_json_body, is_repeatable)
    assert endpoint.path == path
