"""One connection to an upstream: one request in flight, its answer handed to a sink by callback.

A connection goes back to its pool only after a whole answer with nothing behind it, with the
request fully written; bytes that nobody asked for end it. Callbacks only translate into the
fault table's words; what follows is decided elsewhere.
"""

import asyncio
from enum import IntEnum
from typing import Protocol, cast

from llm_proxy.domain.errors import ResponseError
from llm_proxy.domain.faults import BODY_CUT, GARBAGE, HEAD_TOO_LARGE, RESET, Fault
from llm_proxy.wire.response import HeadTooLargeError, ResponseReader

from .sockets import tune
from .timers import Wheel

FAREWELL_S = 1.0
"""Bytes that come later on an idle connection say goodbye."""
LARGE_BODY_BYTES = 64 * 1024
"""From this size on head and body are written apart, which saves a copy of the body."""


class AnswerSink(Protocol):
    """Who gets an answer."""

    def on_head(
        self, status: int, headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]
    ) -> None:
        """The final head, names in lower case; `fields` is the same as a dict."""

    def on_data(self, data: bytes) -> None:
        """A piece of the body, framing removed."""

    def on_end(self) -> None:
        """The answer is whole; the connection is already somebody else's."""

    def on_broken(self, fault: Fault, reason: str) -> None:
        """No more will come; the connection is gone."""

    def on_late(self, now: float) -> None:
        """The deadline set by `set_due` passed; the connection still lives."""


class Home(Protocol):
    """Where a connection goes when it is free.

    Attributes:
        last_fields: Set to the header fields of each answer.
    """

    last_fields: dict[bytes, bytes]

    def put(self, connection: "UpstreamConnection") -> None:
        """Take it back for the next request."""

    def forget(self, connection: "UpstreamConnection") -> None:
        """It is closed."""

    def distrust(self) -> None:
        """Bytes came behind a whole answer."""


class State(IntEnum):
    """Life of a connection. Only `_go` changes it, along `_NEXT`."""

    CONNECTING, IDLE, WAITING, RELAYING, CLOSED = range(5)


CONNECTING, IDLE, WAITING, RELAYING, CLOSED = State

_NEXT = {
    CONNECTING: {IDLE, CLOSED},
    IDLE: {WAITING, CLOSED},  # acquired from the pool
    WAITING: {RELAYING, IDLE, CLOSED},  # request written, head not seen
    RELAYING: {IDLE, CLOSED},  # body flows to the sink
    CLOSED: set[State](),
}


class UpstreamConnection(asyncio.Protocol):
    """Owns one transport and reads the answers on it.

    Attributes:
        answers: Whole answers read so far; 0 = fresh.
        idle_since: Loop time since which it waits in its pool.
    """

    __slots__ = (
        "_home",
        "_is_reading",
        "_loop",
        "_reader",
        "_sink",
        "_state",
        "_transport",
        "_wheel",
        "answers",
        "due",
        "idle_since",
        "slot",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, wheel: Wheel, home: Home) -> None:
        self._loop = loop
        self._wheel = wheel
        self._home = home
        self._reader = ResponseReader()
        self._sink: AnswerSink | None = None
        self._state = CONNECTING
        self._transport = cast("asyncio.Transport", None)
        self._is_reading = True
        self.answers = 0
        self.due = 0.0
        self.slot = 0
        self.idle_since = 0.0

    def _go(self, state: State) -> None:
        if state not in _NEXT[self._state]:
            raise AssertionError(f"upstream connection: {self._state.name} to {state.name}")
        self._state = state

    # What an attempt does.

    @property
    def has_begun(self) -> bool:
        """Whether a byte of the current answer has come."""
        return self._reader.has_begun

    @property
    def transport(self) -> asyncio.Transport:
        """The transport, for what it knows of TLS."""
        return self._transport

    def send(
        self, head: bytes, body: bytes, sink: AnswerSink, *, is_head_request: bool = False
    ) -> None:
        """Write a request; `sink` gets the answer.

        A connection may end between the look at it and this call; `sink` is told, a turn later.
        """
        if self._state is CLOSED or self._transport.is_closing():
            self._close()
            self._loop.call_soon(sink.on_broken, RESET, "closed by the upstream")
            return
        self._go(WAITING)
        self._sink = sink
        self._reader.start(self, is_head_request=is_head_request)
        if len(body) < LARGE_BODY_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))

    def set_due(self, due: float) -> None:
        """Call the sink's `on_late` at loop time `due`; replaces an earlier deadline."""
        if self._state is not CLOSED:
            self._wheel.arm(self, due)

    def clear_due(self) -> None:
        """Have no deadline."""
        self.due = 0.0

    def pause(self) -> None:
        """Read no more: the client is slower than the upstream."""
        if self._is_reading and self._state in (WAITING, RELAYING):
            self._is_reading = False
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._is_reading and self._state in (WAITING, RELAYING):
            self._is_reading = True
            self._transport.resume_reading()

    @property
    def is_paused(self) -> bool:
        """Whether reading is paused."""
        return not self._is_reading

    def abort(self) -> None:
        """Close at once, without a word to the sink."""
        self._sink = None
        self._close()

    @property
    def is_free(self) -> bool:
        """Whether it is open and nobody's."""
        return self._state is IDLE and not self._transport.is_closing()

    # asyncio's callbacks.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        tune(transport)
        self._go(IDLE)
        self.idle_since = self._loop.time()

    def data_received(self, data: bytes) -> None:
        if self._state is not RELAYING and self._state is not WAITING:
            # Bytes nobody asked for: never hand them to the next request. Long after an answer
            # they are a server's farewell (408), right behind it they belong to that answer.
            if self.answers and self._loop.time() - self.idle_since < FAREWELL_S:
                self._home.distrust()
            self._close()
            return
        reader = self._reader
        try:
            reader.feed(data)
        except HeadTooLargeError:
            self._break(HEAD_TOO_LARGE, "the answer's head is too large")
            return
        except ResponseError as error:
            self._break(self._garbage(), str(error))
            return
        if reader.is_complete:
            self._complete()

    def eof_received(self) -> None:
        self._on_gone("closed by the upstream", is_orderly=True)

    def connection_lost(self, exc: Exception | None) -> None:
        reason = type(exc).__name__ if exc is not None else "closed by the upstream"
        self._on_gone(reason, is_orderly=exc is None)
        self._close()

    # ResponseSink.

    def on_head(
        self, status: int, headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]
    ) -> None:
        if self._state is WAITING:
            self._go(RELAYING)
            self._home.last_fields = fields
            if self._sink is not None:
                self._sink.on_head(status, headers, fields)

    def on_data(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink.on_data(data)

    # The connection's own steps.

    def _garbage(self) -> Fault:
        return BODY_CUT if self._state is RELAYING else GARBAGE

    def _complete(self) -> None:
        sink, self._sink = self._sink, None
        self.answers += 1
        if self._state is CLOSED:
            return
        reader = self._reader
        if (
            reader.can_continue
            and not reader.has_surplus
            and not self._transport.is_closing()
            and not self._transport.get_write_buffer_size()
        ):
            self.resume()
            self._go(IDLE)
            self.idle_since = self._loop.time()
            self._home.put(self)
        else:
            self._close()
            if reader.has_surplus:
                self._home.distrust()
        if sink is not None:
            sink.on_end()

    def _on_gone(self, reason: str, *, is_orderly: bool) -> None:
        if self._state not in (WAITING, RELAYING):
            self._close()
        elif is_orderly and self._reader.feed_eof():
            self._complete()
        elif self._state is RELAYING:
            self._break(BODY_CUT, reason)
        else:
            self._break(GARBAGE if self._reader.has_begun else RESET, reason)

    def _break(self, fault: Fault, reason: str) -> None:
        sink, self._sink = self._sink, None
        self._close()
        if sink is not None:
            sink.on_broken(fault, reason)

    def _close(self) -> None:
        if self._state is CLOSED:
            return
        self._state = CLOSED
        self._wheel.disarm(self)
        self._reader.close()
        self._home.forget(self)
        if self._transport is not None:
            self._transport.abort()

    def on_due(self, now: float) -> None:
        """Wheel: the deadline passed."""
        if self._state is IDLE:
            self._close()
        elif self._sink is not None:
            self._sink.on_late(now)
