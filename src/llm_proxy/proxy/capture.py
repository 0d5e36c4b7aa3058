"""Keeps bodies for a while, when the owner asks for it: to see what a client and a provider say.

Off unless switched on, and off again by itself. What is kept lies in memory only, the last
`MAX_HELD` requests, each body cut at `MAX_BYTES`, and is gone when the capture ends. Secrets are
blanked when it is shown. While it is off, a request costs one comparison.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import msgspec

from llm_proxy.domain.redact import Redactor
from llm_proxy.net.client import ClientConnection

from .admission import Visit

MAX_HELD = 50
MAX_BYTES = 64 * 1024
MAX_S = 3600.0

_CHUNKED = b"\r\ntransfer-encoding: chunked"


class Kept(msgspec.Struct):
    """One request's bodies as they are shown.

    Attributes:
        id: The request's.
        at_ms: Arrival.
        request: What the client sent.
        answer: What it got, head and framing removed.
        is_cut: Whether one of them was longer than is kept.
    """

    id: str
    at_ms: int
    request: str
    answer: str
    is_cut: bool


class Capture:
    """The switch and what is kept.

    Attributes:
        until_ms: Wall clock at which it ends by itself; None = it is off.
    """

    __slots__ = ("_held", "_loop", "_redactor", "_timer", "_wall_ms", "until_ms")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        wall_ms: Callable[[], int],
        redactor: Callable[[], Redactor],
    ) -> None:
        self._loop = loop
        self._wall_ms = wall_ms
        self._redactor = redactor
        self._held: deque[_Tap] = deque(maxlen=MAX_HELD)
        self._timer: asyncio.TimerHandle | None = None
        self.until_ms: int | None = None

    @property
    def held(self) -> int:
        """How many requests are kept."""
        return len(self._held)

    def switch(self, seconds: float) -> None:
        """Keep bodies for so long from now on, at most MAX_S; 0 ends it and forgets them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds <= 0:
            self.until_ms = None
            self._held.clear()
            return
        seconds = min(seconds, MAX_S)
        self.until_ms = self._wall_ms() + int(seconds * 1000)
        self._timer = self._loop.call_later(seconds, self.switch, 0)

    def tap(self, client: ClientConnection, visit: Visit) -> ClientConnection:
        """Return what stands between a request and its client from now on, looking on."""
        if self.until_ms is None:
            return client
        tap = _Tap(client, visit)
        self._held.append(tap)
        return cast("ClientConnection", tap)  # it has all that one has

    def shown(self) -> list[Kept]:
        """Return what is kept, newest first, secrets blanked."""
        redact = self._redactor().text
        return [
            Kept(
                id=tap.visit_id,
                at_ms=tap.at_ms,
                request=redact(_text(tap.request)),
                answer=redact(_text(_body_of(bytes(tap.answer)))),
                is_cut=tap.is_cut,
            )
            for tap in reversed(self._held)
        ]


class _Tap:
    """A client's connection with somebody looking on; for one request."""

    __slots__ = ("_client", "answer", "at_ms", "is_cut", "request", "visit_id")

    def __init__(self, client: ClientConnection, visit: Visit) -> None:
        put = object.__setattr__
        body = visit.request.body
        put(self, "_client", client)
        put(self, "visit_id", visit.id)
        put(self, "at_ms", visit.at_ms)
        put(self, "request", bytes(body[:MAX_BYTES]))
        put(self, "answer", bytearray())
        put(self, "is_cut", len(body) > MAX_BYTES)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._client, name, value)

    def write(self, data: bytes) -> None:
        """Send on, and keep what there is room for."""
        room = MAX_BYTES - len(self.answer)
        self.answer.extend(data[:room])
        if len(data) > room:
            object.__setattr__(self, "is_cut", True)
        self._client.write(data)


def _body_of(answer: bytes) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    if _CHUNKED not in head.lower():
        return body
    pieces: list[bytes] = []
    while body:
        size, found, rest = body.partition(b"\r\n")
        if not found:
            break
        length = int(size, 16)  # chunks are ours
        pieces.append(rest[:length])
        body = rest[length + 2 :]
    return b"".join(pieces)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
