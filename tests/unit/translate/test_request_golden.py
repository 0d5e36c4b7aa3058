"""Requests become what the golden files say, and what the upstream's own SDK would send."""

import functools
from typing import Any

import pytest
from anthropic.types.beta.message_create_params import MessageCreateParams
from openai.types.chat.completion_create_params import CompletionCreateParams
from openai.types.responses.response_create_params import ResponseCreateParams
from pydantic import TypeAdapter

from .goldens import cases, result_of, targets

CASES = cases()
_TYPES: dict[str, Any] = {
    "chat": CompletionCreateParams,
    "messages": MessageCreateParams,
    "responses": ResponseCreateParams,
}


PAIRS = [
    pytest.param(case, upstream, id=f"{name} > {upstream}")
    for name, case in CASES.items()
    for upstream in targets(case)
]


@functools.cache
def _type_of(upstream: str) -> TypeAdapter[Any]:
    return TypeAdapter(_TYPES[upstream])


def _look_through(value: Any) -> None:
    """Make pydantic check what the SDK declares as iterables, which it does on iteration."""
    if isinstance(value, dict):
        for item in value.values():
            _look_through(item)
    elif not isinstance(value, str) and hasattr(value, "__iter__"):
        for item in value:
            _look_through(item)


@pytest.mark.parametrize(("case", "upstream"), PAIRS)
def test_a_request_becomes_what_its_golden_file_says(case: dict[str, Any], upstream: str) -> None:
    assert result_of(case, upstream) == case["to"][upstream]


@pytest.mark.parametrize(("case", "upstream"), PAIRS)
def test_a_request_is_one_that_the_upstreams_sdk_would_send(
    case: dict[str, Any], upstream: str
) -> None:
    body = case["to"][upstream].get("body")
    if body is not None and "beyond_sdk" not in case:  # another provider's own dialect
        _look_through(_type_of(upstream).validate_python(body))
        assert next(iter(body)) == "model"


def test_every_golden_case_names_all_formats_it_is_for() -> None:
    for case in CASES.values():
        assert list(case["to"]) == targets(case)
