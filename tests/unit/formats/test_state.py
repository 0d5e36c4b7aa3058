"""Which ids requests name and answers give out."""

import json
from typing import Any

import pytest

from llm_proxy.formats.endpoint import endpoint_of
from llm_proxy.formats.state import (
    MAX_READ_BYTES,
    files_in,
    is_kept,
    made_in,
    named_in,
    named_in_small,
    place_of,
)
from llm_proxy.wire.body import peek, peek_slowly


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/responses/resp_1", "resp_1"),
        ("DELETE", "/v1/responses/resp_1", "resp_1"),
        ("POST", "/v1/responses/resp_1/cancel", "resp_1"),
        ("GET", "/v1/responses/resp_1/input_items", "resp_1"),
        ("POST", "/v1/responses", ""),
        ("POST", "/v1/responses/compact", ""),
        ("GET", "/v1/chat/completions/chatcmpl-1", "chatcmpl-1"),
        ("GET", "/v1/chat/completions", ""),
        ("GET", "/v1/messages/batches/msgbatch_1/results", "msgbatch_1"),
        ("POST", "/v1/messages/batches", ""),
        ("GET", "/v1/files/file-1/content", "file-1"),
        ("GET", "/v1/files", ""),
        ("POST", "/v1/fine_tuning/jobs/ftjob-1/cancel", "ftjob-1"),
        ("GET", "/v1/models/gpt-5", ""),
        ("GET", "/v1/files/" + "x" * 201, ""),
        ("GET", "/v1/responses/resp%5F1", "resp_1"),
    ],
)
def test_the_thing_a_path_is_about_is_found(method: str, path: str, expected: str) -> None:
    assert place_of(endpoint_of(method, path)) == expected


CASES = [
    pytest.param("/v1/responses", {"previous_response_id": "resp_1"}, ["resp_1"], id="previous"),
    pytest.param("/v1/responses", {"conversation": "conv_1"}, ["conv_1"], id="conversation"),
    pytest.param("/v1/responses", {"conversation": {"id": "conv_1"}}, ["conv_1"], id="object"),
    pytest.param("/v1/responses", {"previous_response_id": None}, [], id="null"),
    pytest.param("/v1/responses", {"previous_response_id": "a b"}, [], id="no_id"),
    pytest.param(
        "/v1/messages",
        {"thread": {"type": "continue", "previous_message_id": "msg_1"}},
        ["msg_1"],
        id="thread",
    ),
    pytest.param("/v1/messages", {"thread": {"type": "create"}}, [], id="new_thread"),
    pytest.param("/v1/messages", {"container": "container_1"}, ["container_1"], id="container"),
    pytest.param("/v1/chat/completions", {"previous_response_id": "resp_1"}, [], id="chat"),
]


@pytest.mark.parametrize(("path", "body", "expected"), CASES)
def test_ids_at_the_top_of_a_request_are_found(
    path: str, body: dict[str, Any], expected: list[str]
) -> None:
    raw = json.dumps(body).encode()
    for read in (peek, peek_slowly):
        assert named_in(endpoint_of("POST", path), read(raw).top) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"input_file_id": "file-1", "endpoint": "/v1/x"}, ["file-1"], id="batch"),
        pytest.param({"file_ids": ["file-1", 3, "file-2"]}, ["file-1", "file-2"], id="list"),
        pytest.param([1], [], id="no_object"),
        pytest.param({"metadata": {"file_id": "file-1"}}, [], id="deeper"),
    ],
)
def test_ids_in_other_bodies_are_found(body: Any, expected: list[str]) -> None:
    assert named_in_small(json.dumps(body).encode()) == expected


def test_bodies_that_are_no_json_or_large_name_nothing() -> None:
    assert named_in_small(b'{"file_id": ') == []
    assert named_in_small(b"") == []
    assert named_in_small(b'{"file_id": "file-1"}' + b" " * MAX_READ_BYTES) == []


def test_files_are_found_anywhere_in_a_prompt() -> None:
    part = {"type": "input_file", "file_id": "file-1"}
    quoted = json.dumps({"file_id": "file-2"})
    body = {"input": [{"role": "user", "content": [part, {"type": "input_text", "text": quoted}]}]}
    assert files_in(json.dumps(body).encode()) == ["file-1"]


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/v1/responses", {}, True),
        ("POST", "/v1/responses", {"store": True}, True),
        ("POST", "/v1/responses", {"store": False}, False),
        ("POST", "/v1/chat/completions", {}, False),
        ("POST", "/v1/chat/completions", {"store": True}, True),
        ("POST", "/v1/messages", {}, False),
        ("POST", "/v1/messages", {"thread": {"type": "create"}}, True),
        ("POST", "/v1/messages/batches", {}, True),
        ("POST", "/v1/files", {}, True),
        ("GET", "/v1/batches/batch_1", {}, True),
        ("GET", "/v1/files/file-1/content", {}, False),
        ("GET", "/v1/messages/batches/msgbatch_1/results", {}, False),
        ("POST", "/v1/embeddings", {}, False),
        ("POST", "/v1/moderations", {}, False),
        ("POST", "/v1/messages/count_tokens", {}, False),
    ],
)
def test_only_what_can_be_asked_for_later_is_kept(
    method: str, path: str, body: dict[str, Any], expected: bool
) -> None:
    assert is_kept(endpoint_of(method, path), peek(json.dumps(body).encode()).top) is expected


BATCH = {"id": "batch_1", "output_file_id": "file-2", "error_file_id": None}


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        pytest.param("/v1/responses", b'{"id":"resp_1","output":[]}', ["resp_1"], id="first"),
        pytest.param("/v1/responses", b'{"output":[],"id":"resp_1"}', ["resp_1"], id="last"),
        pytest.param("/v1/responses", b'{"id":"a\\u0020b"}', [], id="no_id"),
        pytest.param("/v1/responses", b"[]", [], id="no_object"),
        pytest.param("/v1/responses", b"<html>", [], id="no_json"),
        pytest.param(
            "/v1/responses",
            b'{"id": "resp_1", "output": "%b"}' % (b"x" * MAX_READ_BYTES),
            ["resp_1"],
            id="long",
        ),
        pytest.param("/v1/batches", json.dumps(BATCH).encode(), ["batch_1", "file-2"], id="batch"),
        pytest.param(
            "/v1/uploads/upload_1/complete",
            b'{"id":"upload_1","file":{"id":"file-3"}}',
            ["upload_1", "file-3"],
            id="upload",
        ),
    ],
)
def test_ids_that_an_answer_gives_out_are_found(
    path: str, body: bytes, expected: list[str]
) -> None:
    assert made_in(endpoint_of("POST", path), body) == expected
