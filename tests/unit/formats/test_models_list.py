"""The list of models in both shapes, as the official SDKs read it."""

import json
from typing import Any

import pytest
from anthropic.types import ModelInfo
from openai.types import Model as OpenAIModel

from llm_proxy.domain.errors import RequestError
from llm_proxy.formats.models_list import (
    Listing,
    Model,
    Page,
    id_in,
    page_of,
    read_list,
    write_list,
    write_one,
)

MODELS = [
    Model("gpt-5", 1_700_000_000, "openai"),
    Model("a/b:free"),
    Model("claude-x", 1_767_225_600, "", "Claude X"),
]


def anthropic_ids(page: Page) -> tuple[list[str], bool]:
    value = json.loads(write_list(MODELS, is_anthropic=True, page=page))
    ids = [entry["id"] for entry in value["data"]]
    assert value["first_id"] == (ids[0] if ids else None)
    assert value["last_id"] == (ids[-1] if ids else None)
    return ids, value["has_more"]


def test_openai_reads_its_list() -> None:
    value = json.loads(write_list(MODELS, is_anthropic=False))
    assert value["object"] == "list"
    models = [OpenAIModel.model_validate(entry, strict=True) for entry in value["data"]]
    assert [(model.id, model.created, model.owned_by) for model in models] == [
        ("gpt-5", 1_700_000_000, "openai"),
        ("a/b:free", 0, ""),
        ("claude-x", 1_767_225_600, ""),
    ]


def test_anthropic_reads_its_list() -> None:
    value = json.loads(write_list(MODELS, is_anthropic=True))
    models = [ModelInfo.model_validate(entry) for entry in value["data"]]
    assert [(model.id, model.display_name) for model in models] == [
        ("gpt-5", "gpt-5"),
        ("a/b:free", "a/b:free"),
        ("claude-x", "Claude X"),
    ]
    assert value["data"][2]["created_at"] == "2026-01-01T00:00:00Z"
    assert value["data"][1]["created_at"] == "1970-01-01T00:00:00Z"
    assert value["has_more"] is False


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        pytest.param(Page(), (["gpt-5", "a/b:free", "claude-x"], False), id="all"),
        pytest.param(Page(limit=2), (["gpt-5", "a/b:free"], True), id="first_page"),
        pytest.param(Page(limit=2, after_id="a/b:free"), (["claude-x"], False), id="last_page"),
        pytest.param(Page(limit=3), (["gpt-5", "a/b:free", "claude-x"], False), id="just_fits"),
        pytest.param(Page(limit=1, before_id="claude-x"), (["a/b:free"], True), id="backwards"),
        pytest.param(Page(before_id="gpt-5"), ([], False), id="nothing_before"),
        pytest.param(Page(after_id="claude-x"), ([], False), id="nothing_behind"),
        pytest.param(Page(after_id="unknown"), ([], False), id="unknown_id_ends_the_walk"),
    ],
)
def test_pages(page: Page, expected: Any) -> None:
    assert anthropic_ids(page) == expected


def test_walking_the_pages_ends() -> None:
    seen, page = [], Page(limit=1)
    while True:
        ids, has_more = anthropic_ids(page)
        seen += ids
        if not has_more:
            break
        page = Page(limit=1, after_id=ids[-1])
    assert seen == [model.id for model in MODELS]


def test_an_empty_list_has_no_first_entry() -> None:
    value = json.loads(write_list([], is_anthropic=True))
    assert value == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", Page()),
        (b"limit=1000", Page(limit=1000)),
        (b"limit=5&after_id=a%2Fb&beta=true", Page(limit=5, after_id="a/b")),
        (b"before_id=x", Page(before_id="x")),
        (b"limit=", Page()),
    ],
)
def test_a_query_says_which_page(query: bytes, expected: Any) -> None:
    assert page_of(query) == expected


@pytest.mark.parametrize("limit", [b"0", b"1001", b"-1", b"x", b"1e3", b"99999999", b"\xb2"])
def test_a_limit_that_is_none_is_refused(limit: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        page_of(b"limit=" + limit)
    assert (caught.value.status, caught.value.param) == (400, "limit")


def test_one_model_has_the_shape_of_the_list() -> None:
    assert json.loads(write_one(MODELS[0], is_anthropic=False))["object"] == "model"
    assert json.loads(write_one(MODELS[0], is_anthropic=True))["type"] == "model"
    assert id_in("/v1/models/a%2Fb:free") == id_in("/v1/models/a/b:free") == "a/b:free"


@pytest.mark.parametrize("is_anthropic", [True, False])
def test_what_is_written_can_be_read(is_anthropic: bool) -> None:
    listing = read_list(write_list(MODELS, is_anthropic=is_anthropic))
    assert [model.id for model in listing.models] == [model.id for model in MODELS]
    assert [model.created for model in listing.models] == [model.created for model in MODELS]


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        pytest.param('[{"id":"a"},{"id":"b"}]', ["a", "b"], id="bare_list"),
        pytest.param('{"models":[{"name":"a","model":"a"}]}', ["a"], id="ollama"),
        pytest.param('{"data":[{"id":""},{"id":7},"x",{"id":"a"}]}', ["a"], id="odd_entries"),
        pytest.param(
            '{"data":[{"id":"a","created":"soon","created_at":"x"}]}', ["a"], id="no_date"
        ),
        pytest.param('{"data":[]}', [], id="empty"),
    ],
)
def test_other_lists_are_read(body: str, ids: list[str]) -> None:
    assert [model.id for model in read_list(body.encode()).models] == ids


def test_a_list_with_more_pages_says_where_the_next_begins() -> None:
    body = b'{"data":[{"id":"a"},{"id":"b"}],"has_more":true}'
    assert read_list(body) == Listing([Model("a"), Model("b")], "b")


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error":{}}', b'{"data":{}}', b"7"])
def test_what_is_no_list_of_models_is_said_so(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_list(body)
