"""From a request's body to a call: what routing needs is read, nothing is changed."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, TypeVarTuple

import msgspec

from llm_proxy.domain.errors import RequestError
from llm_proxy.formats.translate.strip import strip_markers
from llm_proxy.wire.body import NeedsSlowPeek, Peek, is_large, peek, peek_slowly
from llm_proxy.wire.encoding import decode_all

from .admission import Visit
from .call import MARKED, Call

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Reader(Protocol):
    """What reading a body needs.

    Attributes:
        max_body_bytes: Largest decoded body.
        rewrites_bodies: Whether any body is changed on the way up.
    """

    @property
    def max_body_bytes(self) -> int: ...
    @property
    def rewrites_bodies(self) -> bool: ...
    def aside(self, function: Callable[[*Ts], T], *args: *Ts) -> Awaitable[T]:
        """Run what would hold the loop up in a thread."""


def read_call(visit: Visit) -> Call | None:
    """Make the call of a request that is plain and small; None: `read_call_slowly` must.

    Raises:
        RequestError: The body is unusable.
    """
    request, admission = visit.request, visit.admission
    body = request.body
    if not admission.endpoint.has_json_body or not body:
        return Call(request, admission, body)
    if b"content-encoding" in request.fields or is_large(body):
        return None
    try:
        found = peek(body)
    except NeedsSlowPeek:
        return None
    return Call(request, admission, body, found, found.model, found.stream)


async def read_call_slowly(core: Reader, visit: Visit) -> Call:
    """Make the call of a request whose body is coded, large, or odd, off the loop.

    Raises:
        RequestError: The body is unusable.
    """
    request = visit.request
    body = request.body
    encoding = request.fields.get(b"content-encoding", b"").lower()
    if encoding in (b"", b"identity"):
        found, unmarked = await core.aside(_read, body, visit.admission.endpoint.format)
        return Call(
            request,
            visit.admission,
            body,
            found,
            found.model,
            found.stream,
            unmarked=unmarked,
        )
    plain = await core.aside(decode_all, body, encoding, core.max_body_bytes)
    if plain is None:
        raise RequestError(
            415,
            "the request body's content-encoding cannot be read here; send it plain",
            code="unsupported_encoding",
        )
    found, unmarked = await core.aside(_read, plain, visit.admission.endpoint.format)
    if core.rewrites_bodies:
        return Call(
            request,
            visit.admission,
            plain,
            found,
            found.model,
            found.stream,
            is_recoded=True,
            received=body,
            unmarked=unmarked,
        )
    found = msgspec.structs.replace(found, model_span=None)
    return Call(request, visit.admission, body, found, found.model, found.stream)


def _read(body: bytes, format_: str) -> tuple[Peek, tuple[bytes, Peek] | None]:
    """Return what routing needs of a body and, where that is another, of what may go up of it."""
    found = _peek(body)
    unmarked = strip_markers(format_, body) if format_ in MARKED else None
    return found, (unmarked, _peek(unmarked)) if unmarked is not None else None


def _peek(body: bytes) -> Peek:
    try:
        return peek(body)
    except NeedsSlowPeek:
        return peek_slowly(body)
