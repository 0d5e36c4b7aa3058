"""Lets an ASGI application answer a request that our own server has read.

Only the page and its data go this way, never the data path. The server hands over one whole
request and an object to answer on; this module speaks ASGI 3 in between. It owns the order of an
answer (head, body, end), its length and what a failing application looks like to the client:

- it fails before the head: a 500 with a problem document;
- it fails later, or its body does not have the announced length: the connection is cut, so that a
  short answer is never taken for a whole one;
- the client leaves: `receive` says `http.disconnect` and `send` raises, so that an endless answer
  ends whether or not the application listens.

Routing, access and the meaning of paths are the application's business.

An application may find that a request is not its to answer, and hand it over to the server by the
extension `llm_proxy.hand_over` of its scope: a function that is called with the application's
words about it, before anything was sent.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from enum import IntEnum
from functools import partial
from logging import Logger
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_FRAMING = frozenset((b"connection", b"content-length", b"date", b"server", b"transfer-encoding"))
"""Fields that the server writes itself; two of them in one head would be ambiguous."""

_FAILED = b'{"type":"about:blank","title":"Internal error","status":500}'
_FAILED_HEADERS = [
    (b"content-type", b"application/problem+json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]


class Request(Protocol):
    """A request that has been read to its end."""

    @property
    def method(self) -> str:
        """The method, as sent: `GET`."""

    @property
    def path(self) -> bytes:
        """The raw path without its query, percent-encoding kept."""

    @property
    def query(self) -> bytes:
        """The raw query without its question mark."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """All fields in order, names in lower case."""

    @property
    def body(self) -> bytes:
        """The whole body."""

    @property
    def http_version(self) -> str:
        """`1.1` or `1.0`."""

    @property
    def peer(self) -> tuple[str, int] | None:
        """Address and port of the client's socket."""


class Reply(Protocol):
    """The way back to one client. Its methods may be called after the client has gone."""

    @property
    def is_open(self) -> bool:
        """False once the client is gone."""

    def send_head(
        self, status: int, headers: list[tuple[bytes, bytes]], length: int | None
    ) -> None:
        """Write the head. `headers` hold no framing: the server derives it from `length`.

        `length` is the body's; None = unknown, or a status that has no body. To a HEAD request
        it is what a GET would have got, and no `send_body` follows.
        """

    def send_body(self, data: bytes) -> None:
        """Write body bytes, never empty."""

    def finish(self) -> None:
        """End the answer."""

    def abort(self) -> None:
        """Cut the connection so that the client sees a broken answer."""

    async def drained(self) -> None:
        """Return when more may be written, or the client is gone."""

    async def gone(self) -> None:
        """Return when the client has hung up."""


class ClientGoneError(OSError):
    """The application sent something to a client that has hung up."""


class State(IntEnum):
    """Life of an answer. Only `_go` changes it, along `_NEXT`."""

    WAITING, STREAMING, DONE = range(3)


WAITING, STREAMING, DONE = State

_NEXT: dict[State, set[State]] = {
    WAITING: {STREAMING, DONE},  # DONE without a head: the client left, or the 500 went down
    STREAMING: {DONE},
    DONE: set(),
}


async def run_asgi(
    app: Application,
    request: Request,
    reply: Reply,
    *,
    log: Logger,
    hand_over: Callable[..., None] | None = None,
) -> None:
    """Answer `request` with what `app` says; returns when the answer is finished or cut.

    Args:
        app: An ASGI 3 application; websockets and lifespan are not offered.
        request: The request, body included.
        reply: Where the answer goes; belongs to this call until it returns.
        hand_over: Takes the request, and with it the client, over from the application.
        log: Hears of failing applications, with method and path but no query, header or body.
    """
    call = _Call(request, reply)
    try:
        scope = _scope(request)
        if hand_over is not None:
            scope["extensions"] = {"llm_proxy.hand_over": partial(call.hand_over, hand_over)}
        await app(scope, call.receive, call.send)
    except Exception:  # a bug in the page ends one answer, never the server
        if reply.is_open:
            log.exception("the page failed at %s %.200r", request.method, request.path)
        else:
            log.debug("answer ended: the client hung up", exc_info=True)
    finally:
        call.close()


def _scope(request: Request) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": request.http_version,
        "method": request.method,
        "scheme": "http",
        "path": unquote_to_bytes(request.path).decode("utf-8", "replace"),
        "raw_path": request.path,
        "query_string": request.query,
        "root_path": "",
        "headers": request.headers,
        "client": request.peer,
        "server": None,
    }


class _Call:
    """The application's two channels to one request."""

    __slots__ = ("_is_head", "_left", "_reply", "_state", "_unread")

    def __init__(self, request: Request, reply: Reply) -> None:
        self._reply = reply
        self._state = WAITING
        self._is_head = request.method == "HEAD"
        self._unread: bytes | None = request.body
        self._left: int | None = None

    async def receive(self) -> Message:
        """Give the body, then the news that the client has gone or the answer is over."""
        if self._unread is not None:
            body, self._unread = self._unread, None
            return {"type": "http.request", "body": body, "more_body": False}
        if self._state is not DONE:
            await self._reply.gone()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take the application's next message, waiting while the client reads slowly.

        Raises:
            ClientGoneError: Nobody is there to read it.
            RuntimeError: The application broke the protocol.
        """
        kind = message["type"]
        if not self._reply.is_open:
            raise ClientGoneError("the client hung up")
        if kind == "http.response.start" and self._state is WAITING:
            self._send_head(message["status"], message.get("headers", ()))
        elif kind == "http.response.body" and self._state is STREAMING:
            await self._send_body(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} is not possible while {self._state.name.lower()}")

    def hand_over(self, take: Callable[..., None], *words: Any) -> None:
        """Give the request away; nothing of it is the application's from here.

        Raises:
            RuntimeError: Something was sent already, or nobody is there.
        """
        if self._state is not WAITING or not self._reply.is_open:
            raise RuntimeError("it is too late to hand the request over")
        self._go(DONE)
        take(*words)

    def close(self) -> None:
        """End an answer that the application left unfinished; harmless after a finished one."""
        if self._state is WAITING and self._reply.is_open:
            self._reply.send_head(500, list(_FAILED_HEADERS), len(_FAILED))
            if not self._is_head:
                self._reply.send_body(_FAILED)
            self._reply.finish()
        elif self._state is not DONE:
            self._reply.abort()
        if self._state is not DONE:
            self._go(DONE)

    def _send_head(self, status: int, headers: Any) -> None:
        fields = [(bytes(name).lower(), bytes(value)) for name, value in headers]
        lengths = [value for name, value in fields if name == b"content-length"]
        length = int(lengths[0]) if lengths else None
        self._left = None if self._is_head else length
        self._reply.send_head(status, [f for f in fields if f[0] not in _FRAMING], length)
        self._go(STREAMING)

    async def _send_body(self, data: bytes, *, more: bool) -> None:
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0 or (self._left > 0 and not more):
                raise RuntimeError("the body has not the length its head announced")
        if data and not self._is_head:
            self._reply.send_body(data)
        if more:
            await self._reply.drained()
        else:
            self._reply.finish()
            self._go(DONE)

    def _go(self, state: State) -> None:
        if state not in _NEXT[self._state]:
            raise AssertionError(f"{self._state.name} does not lead to {state.name}")
        self._state = state
