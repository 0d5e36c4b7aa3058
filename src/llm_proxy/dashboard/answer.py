"""How the page's server side answers: JSON, and problem documents (RFC 9457) when it refuses."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from llm_proxy.domain.errors import StoreError

from .encode import to_json


class Problem(Exception):  # noqa: N818 - RFC 9457's word; it is an answer, raised to stop a handler
    """A refusal, raised anywhere in a handler.

    Attributes:
        status: HTTP status.
        detail: What is wrong and what to do; repeats nothing the client sent.
        headers: Further response fields.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


class _Document(msgspec.Struct, omit_defaults=True):
    title: str
    status: int
    detail: str = ""


def json_answer(value: Any) -> Response:
    """Return `value` as a JSON answer."""
    return Response(to_json(value), media_type="application/json")


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    document = _Document(HTTPStatus(status).phrase, status, detail)
    return Response(
        to_json(document), status, dict(headers or {}), media_type="application/problem+json"
    )


async def answer_error(_request: Request, error: Exception) -> Response:
    """Answer an exception that stopped a handler; a bug is logged where the answer is sent."""
    match error:
        case Problem():
            return _problem(error.status, error.detail, error.headers)
        case HTTPException():  # from the router: no such path, or not with this method
            return _problem(error.status_code, "", error.headers)
        case StoreError():
            detail = "the records cannot be read right now; requests are served all the same"
            return _problem(503, detail, {"Retry-After": "5"})
        case _:
            return _problem(500, "")


ERROR_HANDLERS: dict[Any, ExceptionHandler] = dict.fromkeys(
    (Problem, HTTPException, StoreError, Exception), answer_error
)
"""For Starlette."""
