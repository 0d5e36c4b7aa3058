"""One client's connection: requests in order, one at a time, and every bound on it.

A connection serves one request at a time; pipelined ones wait in order, unread bytes wait in the
kernel. Nothing is read from a client that does not take its answers. The handler sees a request twice: when its head is there (so that a refusal costs no body)
and when its body is. Afterwards the connection belongs to the exchange until `finish`.

Budget: one `data_received`, two handler calls and no timer operation per request.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from llm_proxy.domain.errors import RequestError
from llm_proxy.wire.request import Request, RequestReader, discard_body

from .bodies import BodyShare, too_large
from .client_state import BODY, BUSY, CLOSED, IDLE, LINGER, NEXT, SKIP, State
from .handler import Home
from .outlet import Outlet
from .sockets import tune

LINGER_S = 2.0
"""How long a refused client may go on sending, so that it reads the answer before the reset."""
LINGER_BYTES = 8 * 1024 * 1024
SMALL_BODY_BYTES = 64 * 1024
"""A refused request's body up to this size is read and dropped; beyond it the connection ends.
Bodies up to it need no reservation."""
MAX_PIPELINED = 64


class ClientConnection(Outlet):
    """Owns a client's transport; one request at a time.

    Attributes:
        on_gone: Called once if the client hangs up while its request is served.
    """

    __slots__ = (
        "_current",
        "_discarded",
        "_error",
        "_is_reading",
        "_queue",
        "_reader",
        "_server",
        "_share",
        "_state",
        "due",
        "on_gone",
        "peer",
        "slot",
    )

    def __init__(self, server: Home) -> None:
        super().__init__(server.loop)
        self._server = server
        self._reader = RequestReader(self, server.memo)
        self._state = IDLE
        self._current: Request | None = None
        self._queue: deque[Request] | None = None
        self._error: RequestError | None = None
        self._discarded = 0
        self._is_reading = True
        self._share = BodyShare(server.bodies, self._on_space)
        self.due = 0.0
        self.slot = 0
        self.on_gone: Callable[[], None] | None = None
        self.peer: tuple[str, int] | None = None

    def _go(self, state: State) -> None:
        if state not in NEXT[self._state]:
            raise AssertionError(f"client connection: {self._state.name} to {state.name}")
        self._state = state

    # What an exchange does.

    @property
    def will_close(self) -> bool:
        """Whether the connection ends with this answer, which its head must say."""
        request = self._current
        return (
            request is None
            or not request.keep_alive
            or self._error is not None
            or self._server.is_draining
        )

    def finish(self) -> None:
        """The answer is whole: serve the next request or close."""
        request, server = self._current, self._server
        self._release_current()
        if not self.is_open:
            return
        if request is None or not request.keep_alive or server.is_draining:
            # Input that nobody reads would turn a close into a reset of the answer's end.
            self._linger() if self._queue or self._error else self._close()
            return
        self._go(IDLE)
        if self.is_choked:
            self._stop_reading()
            server.wheel.arm(self, server.loop.time() + server.limits.stall_s)
        elif self._queue or self._error:
            server.loop.call_soon(self._next)
        else:
            server.wheel.arm(self, server.loop.time() + server.limits.keepalive_s)

    def refuse(self, answer: bytes) -> None:
        """Answer a request whose body has not been read; see SMALL_BODY_BYTES."""
        request = self._current
        self.write(answer)
        if not self.is_open or request is None:
            return
        length = request.content_length
        if self.will_close or length is None or length > SMALL_BODY_BYTES:
            self._linger()
        else:
            self._go(SKIP)

    def release_body(self) -> None:
        """Forget the request's body, which nobody will need again: others' get its room."""
        if self._current is not None:
            discard_body(self._current)
        self._share.release()

    def close_if_idle(self) -> None:
        """Close unless a request is under way."""
        if self._state is IDLE and self._reader.is_idle:
            self._close()

    # asyncio's callbacks.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        server = self._server
        self.transport = cast("asyncio.Transport", transport)
        self.is_open = True
        tune(transport)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.peer = (peer[0], peer[1])
        if len(server.connections) >= server.limits.max_connections or server.is_draining:
            server.refused_connections += 1
            error = RequestError(503, "too many connections; try again", code="overloaded")
            self.write(server.handler.error_answer(error, None))
            self._linger()
            return
        server.connections.add(self)
        server.wheel.arm(self, server.loop.time() + server.limits.keepalive_s)

    def data_received(self, data: bytes) -> None:
        if self._state is LINGER or self._error is not None:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.abort()
            return
        try:
            self._reader.feed(data)
        except RequestError as error:
            self._on_error(error)
            return
        self._after_feed()

    def _after_feed(self) -> None:
        state = self._state
        if state is BODY:
            if not self._share.wants_bytes:
                self._arm_body()
        elif state is IDLE:
            if not self._reader.is_idle and self._current is None:
                now = self._server.loop.time()
                limit = now + self._server.limits.head_s
                if not self.due or self.due > limit:
                    self._server.wheel.arm(self, limit)
        elif self._queue:
            self._stop_reading()

    def eof_received(self) -> None:
        # A client that closes its sending side has left: clients of this kind of service wait
        # with both sides open, and an answer to nobody costs money.
        self._hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        self._hang_up()
        self._state = CLOSED
        self._server.wheel.disarm(self)
        self._server.connections.discard(self)
        self._reader.close()
        self._release_current()

    def pause_writing(self) -> None:
        self.is_choked = True
        if self.flow is not None:
            self.flow.pause()
        if self._state not in (BODY, BUSY):
            self._stop_reading()
        self.has_moved()
        self._server.wheel.arm(self, self._server.loop.time() + self._server.limits.stall_s)

    def resume_writing(self) -> None:
        server = self._server
        self.is_choked = False
        if self._state is BUSY:
            server.wheel.disarm(self)
        elif self.is_open and self._state is not BODY:
            limit_s = LINGER_S if self._state is LINGER else server.limits.keepalive_s
            server.wheel.arm(self, server.loop.time() + limit_s)
            server.loop.call_soon(self._next)
        if self.flow is not None:
            self.flow.resume()
        self.wake()

    # RequestSink.

    def on_head(self, request: Request) -> None:
        if self._state in (LINGER, CLOSED):
            return  # it came behind the last request that is answered here
        request.peer = self.peer
        if self._current is None and not self._queue:
            self._admit(request)
            return
        if self._queue is None:
            self._queue = deque()
        if len(self._queue) >= MAX_PIPELINED:
            raise RequestError(429, "too many pipelined requests", code="rate_limit_exceeded")
        self._queue.append(request)

    def on_body(self, request: Request, size: int) -> None:
        if self._state is SKIP and request is self._current:
            discard_body(request)
            if request.received_bytes > SMALL_BODY_BYTES:
                self._linger()
            return
        if request.received_bytes > self._max_body_bytes(request):
            raise too_large(self._max_body_bytes(request))
        if request is self._current and request.received_bytes > SMALL_BODY_BYTES:
            self._cover(request.received_bytes)

    def on_complete(self, request: Request) -> None:
        if request is not self._current:
            return
        if self._state is SKIP:
            self._go(IDLE)
            self._release_current()
            self._server.wheel.arm(self, self._server.loop.time() + self._server.limits.keepalive_s)
        elif self._state is BODY:
            self._start(request)

    # The connection's own steps.

    def _admit(self, request: Request) -> None:
        server = self._server
        self._current = request
        self.sent_bytes = 0
        if not server.handler.on_head(self, request):
            if self._state is IDLE and self.is_open:
                self._go(SKIP)
            return
        length = request.content_length
        if length is not None and length > self._max_body_bytes(request):
            raise too_large(self._max_body_bytes(request))
        self._go(BODY)
        if length and length > SMALL_BODY_BYTES:
            self._cover(length)
        if length != 0 and request.head.expects_continue and request.http_version == "1.1":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _start(self, request: Request) -> None:
        self._go(BUSY)
        self._server.handler.on_request(self, request)

    def _next(self) -> None:
        """Serve what was pipelined behind the request just answered, or read on."""
        if not self.is_open or self.is_choked or self._state not in (IDLE, SKIP):
            return
        if self._queue and self._current is None:
            try:
                self._take(self._queue.popleft())
            except RequestError as error:
                self._on_error(error)
        elif self._error is not None:
            broken, self._error = self._error, None
            self._on_error(broken)
        else:
            self._read_on()

    def _take(self, request: Request) -> None:
        """Take up a pipelined request; only the last one may lack a part of its body."""
        self._admit(request)
        if request.is_complete:
            if self._state is BODY:
                self._start(request)
            elif self._state is SKIP:
                self.on_complete(request)
                self._server.loop.call_soon(self._next)
        elif self._error is not None:
            broken, self._error = self._error, None
            self._on_error(broken)
        elif not self._share.wants_bytes:
            self._arm_body()
            self._read_on()

    def _on_error(self, error: RequestError) -> None:
        """Answer a broken request, after those in front of it."""
        if self._state is BUSY or self._queue:
            self._error = error
            self._stop_reading()
            if self._state is IDLE:
                self._server.loop.call_soon(self._next)
            return
        if self._state in (LINGER, CLOSED):
            return
        if self._state is not SKIP:  # else it has its answer
            self.write(self._server.handler.error_answer(error, self._current))
        self._linger()

    def _max_body_bytes(self, request: Request) -> int:
        return request.max_body_bytes or self._server.limits.max_body_bytes

    def _linger(self) -> None:
        if not self.is_open:
            return
        self._go(LINGER)
        self._release_current()
        self._server.wheel.arm(self, self._server.loop.time() + LINGER_S)
        self._read_on()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _close(self) -> None:
        """Close once all is sent; a client that does not take it is let go by `on_due`."""
        self.is_open = False
        self.has_moved()
        self._server.wheel.arm(self, self._server.loop.time() + self._server.limits.stall_s)
        self.transport.close()

    def _hang_up(self) -> None:
        self.is_open = False
        callback, self.on_gone = self.on_gone, None
        self.flow = None
        self.wake()
        if callback is not None:
            callback()

    def _cover(self, size: int) -> None:
        if not self._share.cover(size):
            self._stop_reading()
            self._arm_body()

    def _on_space(self) -> None:
        if self._state is BODY:
            self._read_on()
            self._arm_body()

    def _release_current(self) -> None:
        if self._current is not None:
            self._current.visit = None  # it refers back: both would wait for the collector
        self._current = None
        self.on_gone = None
        self.flow = None
        self._share.release()

    def _arm_body(self) -> None:
        server = self._server
        server.wheel.arm(self, server.loop.time() + server.limits.body_idle_s)

    def _stop_reading(self) -> None:
        if self._is_reading and self.is_open:
            self._is_reading = False
            self.transport.pause_reading()

    def _read_on(self) -> None:
        if not self._is_reading and self.is_open:
            self._is_reading = True
            self.transport.resume_reading()

    def on_due(self, now: float) -> None:
        """Wheel: the deadline of the current state passed."""
        if self.is_choked or not self.is_open:
            if self.has_moved():
                self._server.wheel.arm(self, now + self._server.limits.stall_s)
            else:
                self.transport.abort()
        elif self._state is LINGER or (self._state is IDLE and self._reader.is_idle):
            self._close()
        elif self._state is BUSY:
            return
        elif self._share.wants_bytes:
            self._on_error(RequestError(503, "too many large requests at once", code="overloaded"))
        else:
            self._on_error(RequestError(408, "the request did not arrive in time", code="timeout"))
