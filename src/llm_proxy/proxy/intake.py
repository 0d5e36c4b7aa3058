"""From a request's head to a visit, from its body to a call: what is asked, by whom, of what."""

from collections.abc import Callable
from typing import Protocol, TypeVar, TypeVarTuple

import msgspec

from llm_proxy.domain.errors import RequestError
from llm_proxy.domain.secret import AccessKey
from llm_proxy.formats.endpoint import Endpoint
from llm_proxy.formats.format import Format
from llm_proxy.policy.deadline import client_deadline_s
from llm_proxy.wire.body import NeedsSlowPeek, Peek, is_large, peek, peek_slowly
from llm_proxy.wire.encoding import decode_all
from llm_proxy.wire.request import Request

from .call import Call, lines_up

CORRECTED = "address corrected"

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Visit(msgspec.Struct):
    """A request that was let in.

    Attributes:
        request: As read.
        id: The request's id.
        at_ms: Arrival, wall clock.
        arrived: Arrival, loop time.
        caller: Whose access key was presented.
        path: The repaired path, percent-encoding kept: `/v1/chat/completions`.
        endpoint: What the path means.
        format: Whose dialect it speaks; errors are told in it.
        notice: What was repaired, or empty.
        origin: What `access-control-allow-origin` says, or empty.
        client_s: The client's own time limit, seconds; None = none.
    """

    request: Request
    id: str
    at_ms: int
    arrived: float
    caller: AccessKey
    path: bytes
    endpoint: Endpoint
    format: Format
    notice: str = ""
    origin: bytes = b""
    client_s: float | None = None

    @property
    def id_name(self) -> bytes:
        """The header under which clients of the format look for a request id."""
        return id_header(self.format)


def id_header(format_: Format) -> bytes:
    """Return the name of the request id header in `format_`."""
    return b"request-id" if format_.name == "messages" else b"x-request-id"


def read_deadline(request: Request) -> float | None:
    """Return the client's time limit, seconds.

    Raises:
        RequestError: 400, it is no positive number.
    """
    return client_deadline_s(request.fields.get(b"x-llm-proxy-timeout-ms"))


class Reader(Protocol):
    """What reading a body needs.

    Attributes:
        max_body_bytes: Largest decoded body.
        has_model_maps: Whether any upstream knows a model by another name.
    """

    @property
    def max_body_bytes(self) -> int: ...
    @property
    def has_model_maps(self) -> bool: ...
    async def aside(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run what would hold the loop up in a thread."""


async def read_call(core: Reader, visit: Visit) -> Call:
    """Read what routing needs from the body and make the call.

    Raises:
        RequestError: The body is unusable.
    """
    request = visit.request
    body = request.body
    lines = lines_up(request, visit.format.name)
    found: Peek | None = None
    if visit.endpoint.has_json_body and body:
        encoding = request.fields.get(b"content-encoding", b"")
        if encoding.lower() not in (b"", b"identity"):
            readable = await core.aside(decode_all, body, encoding, core.max_body_bytes)
            if readable is None:
                raise RequestError(
                    415,
                    "the request body's content-encoding cannot be read here; send it plain",
                    code="unsupported_encoding",
                )
            if core.has_model_maps:
                body = readable
                lines = [line for line in lines if not line.startswith(b"content-encoding:")]
            found = await _peek(core, readable)
            if body is not readable:
                found = msgspec.structs.replace(found, model_span=None)
        else:
            found = await _peek(core, body)
    query = request.query
    return Call(
        method=request.method,
        path=visit.path.removeprefix(b"/v1"),
        query=b"?" + query if query else b"",
        lines=lines,
        body=body,
        peek=found,
        model=found.model if found is not None else None,
        is_stream=found.stream if found is not None else False,
        format=visit.format,
        endpoint=visit.endpoint,
    )


async def _peek(core: Reader, body: bytes) -> Peek:
    try:
        if is_large(body):
            return await core.aside(peek, body)
        return peek(body)
    except NeedsSlowPeek:
        return await core.aside(peek_slowly, body)
