"""Reads a client's body as it came: nothing is judged but that it is an object."""

from typing import Any

from llm_proxy.domain.errors import RequestError

from .literal import load


def read_body(body: bytes) -> dict[str, Any]:
    """Return a request body, numbers as they were spelt.

    Raises:
        RequestError: 400, it is no JSON object.
    """
    try:
        top = load(body)
    except ValueError as error:
        raise unusable("it is not valid JSON in UTF-8, or nested too deeply") from error
    if not isinstance(top, dict):
        raise unusable("it must be a JSON object")
    return top


def unusable(why: str) -> RequestError:
    """Return the refusal of a body that cannot be worked with."""
    return RequestError(400, f"The request body cannot be used: {why}", code="invalid_json")
