"""Addresses that clients get wrong in usual ways work; nothing hostile becomes valid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.wire.path import nearest, repair


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/models", "/v1/models"),
        ("/v1/messages/v1/messages", "/v1/messages"),
        ("/v1/messages/messages/count_tokens", "/v1/messages/count_tokens"),
        ("/openai/v1/responses", "/v1/responses"),
        ("/openai/chat/completions", "/v1/chat/completions"),
        ("/anthropic/v1/messages", "/v1/messages"),
        ("//v1//messages", "/v1/messages"),
        ("/v1/messages/", "/v1/messages"),
        ("/messages/count_tokens", "/v1/messages/count_tokens"),
        ("/responses/resp_1/cancel", "/v1/responses/resp_1/cancel"),
        ("/v1/responses/resp_1", "/v1/responses/resp_1"),
        ("/v1/messages/batches/b_1", "/v1/messages/batches/b_1"),
        ("/models", "/v1/models"),
        ("/v1/models/a%2Fb:free", "/v1/models/a%2Fb:free"),
        ("/models/a%2fb", "/v1/models/a%2fb"),
        ("/v1/models/models/gemini", "/v1/models/models/gemini"),
        ("/audio/speech", "/v1/audio/speech"),
        ("/v1/anything/new", "/v1/anything/new"),
        ("/v1", "/v1"),
    ],
)
def test_a_usual_mistake_is_mended(path: str, expected: str) -> None:
    address = repair(path.encode())
    assert address is not None
    assert (address.path, address.was_corrected) == (expected, path != expected)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "//",
        "/dashboard",
        "/dashboard/live",
        "/api/status",
        "/api/v1/chat/completions",
        "/health",
        "/ready",
        "/metrics",
        "/foo",
        "/chat",
        "/openai",
        "/v2/messages",
        "/v1beta/models",
        "/v1/../dashboard",
        "/v1/./messages",
        "/v1/%2e%2e/api",
        "/v1/%2E./api",
        "/v1/models/..%2f..%2fapi",
        "/v1/mess\tages",
        "/v1/mess ages",
        "/v1/mess%0d%0aages",
        "/v1/mess%00ages",
        "/v1\\messages",
        "/v1/a%5cb",
        "/v1/%zz",
        "/v1/%",
        "/v1/mésages",
        "/v1/messages?x",
        "/v1/messages#x",
        "*",
    ],
)
def test_any_other_path_means_nothing(path: str) -> None:
    assert repair(path.encode()) is None


@given(st.binary(max_size=40) | st.text("/v1.%2eopenaimsg", max_size=40).map(str.encode))
def test_a_mended_path_needs_no_more_mending(path: bytes) -> None:
    address = repair(path)
    if address is not None:
        again = repair(address.path.encode())
        assert again is not None
        assert again.path == address.path
        assert not again.was_corrected
        assert address.path == "/v1" or address.path.startswith("/v1/")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/chat/completion", "/v1/chat/completions"),
        ("/v2/messages", "/v1/messages"),
        ("/api/v1/embeddings", "/v1/embeddings"),
        ("/v1beta/models", "/v1/models"),
        ("/nope", "/v1/chat/completions"),
    ],
)
def test_a_404_names_the_nearest_path(path: str, expected: str) -> None:
    assert nearest(path) == expected
