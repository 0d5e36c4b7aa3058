"""What a request's head means: who asks for what. Decided once for equal heads."""

import msgspec

from llm_proxy.domain.secret import AccessKey
from llm_proxy.domain.target import Target
from llm_proxy.formats.endpoint import Endpoint
from llm_proxy.formats.format import Format
from llm_proxy.wire.request import Request


class Admission(msgspec.Struct):
    """A head that was let in. It holds as long as `config` is in force.

    Attributes:
        config: The configuration it was decided by; another one decides anew.
        caller: Whose access key was presented.
        path: The repaired path, percent-encoding kept: `/v1/chat/completions`.
        endpoint: What the path means.
        format: Whose dialect it speaks; errors are told in it.
        id_name: The header under which clients of the format look for a request id.
        notice: What was repaired, or empty.
        origin: What `access-control-allow-origin` says, or empty.
        client_s: The client's own time limit, seconds; None = none.
        path_text: The path as records show it.
        client_text: The client's `user-agent` as records show it.
        heads: Request heads made for targets so far: id → (target, bytes before the length).
        pin: Fingerprint of the only target that may be asked; empty = any. No client can set it.
    """

    config: object
    caller: AccessKey
    path: bytes
    endpoint: Endpoint
    format: Format
    id_name: bytes
    notice: str
    origin: bytes
    client_s: float | None
    path_text: str
    client_text: str | None
    heads: dict[str, tuple[Target, bytes]]
    pin: str = ""


class Visit(msgspec.Struct):
    """A request that was let in.

    Attributes:
        request: As read.
        admission: What its head means.
        id: The request's id.
        at_ms: Arrival, wall clock.
        arrived: Arrival, loop time.
    """

    request: Request
    admission: Admission
    id: str
    at_ms: int
    arrived: float


def id_header(format_: Format) -> bytes:
    """Return the name of the request id header in `format_`."""
    return b"request-id" if format_.name == "messages" else b"x-request-id"
