"""Describes `/api/*` for programs: OpenAPI 3.1, made from the very structs that are answered."""

from functools import lru_cache
from typing import Any

import msgspec

from llm_proxy.domain.faults import FAULTS
from llm_proxy.domain.record import Outcome, Record
from llm_proxy.policy.explain import Outlook

from . import shapes
from .asking import DEFAULT_LIMIT, DEFAULT_WINDOW, FILTERS, MAX_LIMIT, MAX_TEXT, WINDOWS
from .control import FORMATS
from .sign_in import CSRF_HEADER, Credentials, SessionShown
from .status import CallerStatus, PublicStatus


class Operation(msgspec.Struct, frozen=True):
    """One address with one method.

    Attributes:
        method: In lower case.
        path: With its parameters in braces.
        summary: What it is for.
        answer: The struct answered with 200, or a tuple of those it may be; None = no JSON.
        status: Of success.
        media_type: Of the answer, where it is not JSON.
        query: Names of `_PARAMETERS`.
        body: The struct sent; None = no body.
        refusals: Statuses of the problem documents that may come instead.
    """

    method: str
    path: str
    summary: str
    answer: Any = None
    status: int = 200
    media_type: str = "application/json"
    query: tuple[str, ...] = ()
    body: Any = None
    refusals: tuple[int, ...] = (400, 401, 429)


_READ = (400, 401, 429, 503)
_ORDER = (400, 401, 403, 404, 429)
_PAGED = ("limit", "before")
_KEY = "/api/upstreams/{name}/keys/{key}/{action}"

OPERATIONS = (
    Operation("get", "/api/openapi.json", "This description", dict[str, Any], refusals=()),
    Operation("get", "/api/session", "Who is asking", SessionShown, refusals=(401, 429)),
    Operation(
        "post", "/api/session", "Sign in: sets the session cookie", status=204, body=Credentials,
        refusals=(400, 401, 403, 413, 429),
    ),
    Operation(
        "delete", "/api/session", "Sign out: clears the cookie", status=204, refusals=(403,)
    ),
    Operation(
        "get", "/api/status", "State and totals; more when signed in", (CallerStatus, PublicStatus),
        refusals=(401, 429),
    ),
    Operation(
        "get", "/api/events", "Server-sent events: status, request, resync",
        media_type="text/event-stream", refusals=(401, 429, 503),
    ),
    Operation(
        "get", "/api/numbers", "Counts of a window, of the one before, and a series",
        shapes.Numbers, query=("window",), refusals=_READ,
    ),
    Operation("get", "/api/upstreams", "Upstreams and keys", shapes.Upstreams, refusals=(401, 429)),
    Operation(
        "post", _KEY, "Test, reset, pause or resume a key; all but a test answer 204",
        shapes.KeyTest, refusals=_ORDER,
    ),
    Operation(
        "get", "/api/in-flight", "Requests under way", shapes.AllInFlight, refusals=(401, 429)
    ),
    Operation(
        "post", "/api/in-flight/{id}/cancel", "End a request", status=204, refusals=_ORDER
    ),
    Operation(
        "get", "/api/requests", "Finished requests, newest first", shapes.Requests,
        query=(*_PAGED, *FILTERS), refusals=_READ,
    ),
    Operation(
        "get", "/api/requests/{id}", "A finished request", Record, refusals=(401, 404, 429, 503)
    ),
    Operation(
        "get", "/api/export.csv", "All that match, as a table", media_type="text/csv",
        query=FILTERS, refusals=_READ,
    ),
    Operation(
        "get", "/api/export.jsonl", "All that match, one JSON per line",
        media_type="application/jsonl", query=FILTERS, refusals=_READ,
    ),
    Operation(
        "get", "/api/errors", "Failed attempts by fault", shapes.Errors, query=("window",),
        refusals=_READ,
    ),
    Operation(
        "post", "/api/playground", "What /v1/… would answer to this body, as the owner's request",
        dict[str, Any], query=("format", "target"), body=dict[str, Any],
        refusals=(400, 401, 403, 404, 415, 429),
    ),
    Operation(
        "get", "/api/capture", "The bodies that are kept", shapes.Captures,
        refusals=(401, 403, 429),
    ),
    Operation(
        "post", "/api/capture", "Keep bodies for so many minutes; 0 ends it",
        shapes.CaptureState, body=shapes.CaptureAsked, refusals=(400, 401, 403, 429),
    ),
    Operation(
        "post", "/api/alerts/test", "Send a test alert", shapes.AlertTest,
        refusals=(401, 403, 429),
    ),
    Operation(
        "get", "/api/explain", "Who would serve a model now, and why each other key would not",
        Outlook, query=("model", "format"), refusals=(400, 401, 403, 429),
    ),
    Operation(
        "get", "/api/settings", "Effective settings, secrets masked", shapes.SettingsShown,
        refusals=(401, 403, 429),
    ),
)  # fmt: skip
"""Every address of the API; a test compares them with the routes."""

_TEXT = {"type": "string", "maxLength": MAX_TEXT}
_FLAG = {"type": "string", "enum": ["0", "1"]}
_TIME = {"type": "integer", "minimum": 0, "maximum": 99_999_999_999_999}
_ID = {"type": "string", "pattern": "^[0-9A-Za-z]{26}$"}
_PARAMETERS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("q", "model", "upstream", "key", "caller", "client"), _TEXT),
    **dict.fromkeys(("rescued", "slow"), _FLAG),
    **dict.fromkeys(("since_ms", "until_ms"), _TIME),
    "outcome": {
        "type": "string",
        "description": "One or several, with commas; failed stands for the three that failed.",
        "examples": ["failed", *(outcome.value for outcome in Outcome)],
    },
    "status": {"type": "string", "pattern": "^[1-5](xx|[0-9]{2})$"},
    "fault": {"type": "string", "enum": sorted(FAULTS)},
    "before": _ID,
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_LIMIT,
        "default": DEFAULT_LIMIT,
    },
    "format": {"type": "string", "enum": [*FORMATS], "default": FORMATS[0]},
    "target": _TEXT,
    "window": {"type": "string", "enum": [*WINDOWS], "default": DEFAULT_WINDOW},
}


@lru_cache(1)
def description(version: str) -> dict[str, Any]:
    """Return the description."""
    types: list[Any] = [shapes.ProblemDocument]
    types += [answer for one in OPERATIONS for answer in _answers(one)]
    types += [one.body for one in OPERATIONS if one.body is not None]
    found, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    refs = dict(zip(types, found, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method] = _operation(one, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "LLM Proxy", "version": version},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "access_key": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "llm_proxy_session"},
            },
        },
        "security": [{"access_key": []}, {"session": []}],
    }


def _answers(one: Operation) -> tuple[Any, ...]:
    if one.answer is None:
        return ()
    return one.answer if isinstance(one.answer, tuple) else (one.answer,)


def _operation(one: Operation, refs: dict[Any, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "Done"}
    if one.answer is not None:
        found = [refs[answer] for answer in _answers(one)]
        schema = found[0] if len(found) == 1 else {"anyOf": found}
        answer["content"] = {one.media_type: {"schema": schema}}
    elif one.status == 200:
        answer["content"] = {one.media_type: {"schema": {"type": "string"}}}
    problem = {"schema": refs[shapes.ProblemDocument]}
    responses = {str(one.status): answer} | {
        str(status): {
            "description": "A problem document",
            "content": {"application/problem+json": problem},
        }
        for status in one.refusals
    }
    if one.path == _KEY:
        responses["204"] = {"description": "Done"}
    described = {
        "summary": one.summary,
        "parameters": _parameters(one),
        "responses": responses,
    }
    if one.body is not None:
        content = {"application/json": {"schema": refs[one.body]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _parameters(one: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "query", "schema": _PARAMETERS[name]} for name in one.query
    ]
    for part in one.path.split("/"):
        if part.startswith("{"):
            schema = {"type": "string"}
            found.append({"name": part[1:-1], "in": "path", "required": True, "schema": schema})
    if one.method != "get":
        schema = {"type": "string", "const": "1"}
        why = "Needed where nothing but the cookie vouches for the request."
        found.append({"name": CSRF_HEADER, "in": "header", "schema": schema, "description": why})
    return found
