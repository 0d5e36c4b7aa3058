"""What a client's connection needs: limits, who answers, a home, and what can be slowed."""

import asyncio
from typing import TYPE_CHECKING, Protocol

import msgspec

from llm_proxy.domain.errors import RequestError
from llm_proxy.wire.memo import HeadMemo
from llm_proxy.wire.request import Request

from .bodies import BodySpace
from .timers import Wheel

if TYPE_CHECKING:
    from .client import ClientConnection


class Limits(msgspec.Struct, frozen=True):
    """Bounds on everything a client can grow; sizes in bytes, times in seconds.

    Attributes:
        max_body_bytes: Largest request body.
        max_connections: Client connections; more are answered 503.
        max_bodies_bytes: All request bodies together; beyond it reading waits.
        head_s: From a head's first byte to its last.
        body_idle_s: Silence within a body.
        keepalive_s: Silence between requests.
        stall_s: A client that takes nothing of its answer for so long is gone.
    """

    max_body_bytes: int = 64 * 1024 * 1024
    max_connections: int = 10_000
    max_bodies_bytes: int = 512 * 1024 * 1024
    head_s: float = 10.0
    body_idle_s: float = 60.0
    keepalive_s: float = 75.0
    stall_s: float = 300.0


class Handler(Protocol):
    """Who answers."""

    def on_head(self, client: "ClientConnection", request: Request) -> bool:
        """Decide by the head alone; False: refused, `client.refuse` has been called."""

    def on_request(self, client: "ClientConnection", request: Request) -> None:
        """The body is whole; answer with `client.write` and `client.finish`."""

    def error_answer(self, error: RequestError, request: Request | None) -> bytes:
        """Return a whole answer, `connection: close` included, for a request that is broken."""


class Flow(Protocol):
    """A source of bytes that can be slowed."""

    def pause(self) -> None:
        """Stop reading from it."""

    def resume(self) -> None:
        """Read on."""


class Home(Protocol):
    """What a connection needs of its server.

    Attributes:
        connections: Where it registers itself.
        is_draining: No further request is taken.
    """

    loop: asyncio.AbstractEventLoop
    wheel: Wheel
    handler: Handler
    limits: Limits
    bodies: BodySpace
    memo: HeadMemo
    connections: "set[ClientConnection]"
    is_draining: bool
    refused_connections: int
