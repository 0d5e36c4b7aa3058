"""One attempt at one target: connect, send, wait, and say how it went.

The attempt is the sink of its connection until the answer's kind is known. It settles once: with
a whole answer, with a stream that has content, with the head of a body that passes unread, or
with a fault. Nothing is decided here but what the bytes are.
"""

import asyncio
import time

from llm_proxy.domain.faults import (
    BODY_CUT,
    CLIENT_GONE,
    DEADLINE,
    REDIRECTED,
    RESET,
    Fault,
)
from llm_proxy.domain.signal import Signal
from llm_proxy.domain.target import Target
from llm_proxy.formats.format import Rewriter
from llm_proxy.net.client import ClientConnection
from llm_proxy.net.dial import DialError
from llm_proxy.net.pool import Pool
from llm_proxy.net.upstream import UpstreamConnection
from llm_proxy.wire.encoding import Decoder
from llm_proxy.wire.head import chunk

from .beat import Beat
from .blank import Blank, key_to_blank
from .call import Call
from .mode import NONE, PASS, STREAM, WHOLE
from .patience import FirstToken, arm, on_late
from .relay import FLOWING, HELD, OVER, StreamRelay

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""A JSON answer is held to its end up to here; a larger one goes down as it comes."""
STALE_S = 1.0
"""A reused connection that dies this soon after the request was dead before it."""


class Attempt:
    """What is known of one attempt.

    Attributes:
        fault: Why it failed; None = it answered, or is under way.
        signal: The upstream's error, where it gave one as an event.
        reason: Our words about `fault`.
        status: The answer's status; 0 = no head came.
        headers: The answer's head.
        fields: The same as a dict.
        parts: Pieces of the body so far (WHOLE) or what waits for the client (PASS).
        relay: The stream (STREAM).
        rewriter: Makes the client's events of the stream's; set before `start`.
        settled: Done when the exchange has something to decide or, after `follow`, at the end.
        is_over: No more bytes come.
        call: What was asked.
        client: Where the answer flows to; None = nothing has been committed.
        connection: The upstream's connection while the answer is under way.
        deadline: Loop time at which the whole request ends.
        upstream_at: Loop time until which the upstream may take to answer.
        sent_at: Loop time at which the request was written.
        first_token: Limit to the first content; None = there is none.
        byte_at: Loop time of the last byte of a body that passes unread.
        beat: Keep-alive frames for the client; None = it asked for no stream.
        key: The upstream's key, which is blanked wherever the upstream echoes it.
        is_decoded: The body's content-encoding was undone.
    """

    __slots__ = (
        "_blank",
        "_is_chunked",
        "_is_fresh_only",
        "_loop",
        "_pool",
        "_size",
        "_started",
        "_timer",
        "beat",
        "byte_at",
        "call",
        "client",
        "connect_ms",
        "connection",
        "deadline",
        "fault",
        "fields",
        "first_byte_ms",
        "first_token",
        "headers",
        "is_decoded",
        "is_over",
        "is_reused",
        "key",
        "mode",
        "model",
        "parts",
        "reason",
        "relay",
        "replays",
        "rewriter",
        "sent_at",
        "settled",
        "signal",
        "status",
        "target",
        "upstream_at",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pool: Pool,
        call: Call,
        model: str | None,
        *,
        deadline: float,
        first_token: FirstToken | None,
        beat: Beat | None,
    ) -> None:
        self._loop = loop
        self._pool = pool
        self.call = call
        self.deadline = deadline
        self.client: ClientConnection | None = None
        self.connection: UpstreamConnection | None = None
        self._is_chunked = True
        self._is_fresh_only = not call.endpoint.is_repeatable
        self._size = 0
        self._started = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self.upstream_at = 0.0
        target = pool.target
        self.key = key_to_blank(target)
        self.target: Target = target
        self.model = model
        self.beat = beat
        self._blank: Blank | None = None
        self.byte_at = 0.0
        self.sent_at = 0.0
        self.connect_ms: float | None = None
        self.first_byte_ms: float | None = None
        self.first_token = first_token
        self.fault: Fault | None = None
        self.signal: Signal | None = None
        self.reason = ""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.fields: dict[bytes, bytes] = {}
        self.mode = NONE
        self.parts: list[bytes] = []
        self.relay: StreamRelay | None = None
        self.is_over = False
        self.is_decoded = False
        self.is_reused = False
        self.replays = 0
        self.rewriter: Rewriter | None = None
        self.settled: asyncio.Future[None] = loop.create_future()

    @property
    def total_ms(self) -> float:
        """Milliseconds since the attempt began."""
        return (time.monotonic() - self._started) * 1000

    def start(self) -> None:
        """Send the request, on an idle connection or on a new one."""
        connection = None if self._is_fresh_only else self._pool.take()
        if connection is not None:
            self.is_reused = True
            self.connect_ms = 0.0
            self._send(connection)
        else:
            self._dial()

    def abort(self, fault: Fault, reason: str = "") -> None:
        """End it from our side; the upstream's connection is closed now."""
        if self.is_over:
            return
        if self.connection is not None:
            self.connection.abort()
        if self.relay is not None:
            self.relay.stop(fault, reason)
        else:
            self._settle(fault, reason)

    def follow(self, client: ClientConnection, *, is_chunked: bool) -> None:
        """Let the answer flow to `client`, whose head is written; `settled` is new: the end."""
        self.client = client
        self._is_chunked = is_chunked
        self.settled = self._loop.create_future()
        self.byte_at = self._loop.time()
        if self.relay is not None:
            self.relay.attach(client, is_chunked=is_chunked)
        else:
            self._blank = Blank(self.key)
        for part in self.parts:
            self._pass_on(part)
        self.parts = []
        if self.is_over:
            self._pass_on(b"")
            self.settled.set_result(None)
            return
        if self.connection is not None:
            client.flow = self.connection
            if client.is_choked:
                self.connection.pause()
            arm(self, self._loop.time())

    # Connecting.

    def _dial(self) -> None:
        self.is_reused = False
        task = asyncio.ensure_future(self._pool.open())
        task.add_done_callback(self._on_dialled)
        if self.deadline != float("inf"):
            self._timer = self._loop.call_at(
                self.deadline, self.abort, DEADLINE, "while connecting"
            )

    def _on_dialled(self, task: "asyncio.Future[UpstreamConnection]") -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if task.cancelled():
            self._settle(CLIENT_GONE, "")
            return
        error = task.exception()
        if error is None:
            connection = task.result()
            if self.is_over:
                self._pool.put(connection)  # the client left; the next one finds it warm
                return
            if self.connect_ms is None:
                self.connect_ms = self.total_ms
            self._send(connection)
        elif isinstance(error, DialError):
            self._settle(error.fault, str(error))
        else:
            self._settle(RESET, type(error).__name__)
            self._loop.call_exception_handler({"message": "dial failed", "exception": error})

    def _send(self, connection: UpstreamConnection) -> None:
        self.connection = connection
        now = self.sent_at = self._loop.time()
        timeouts = self.target.upstream.timeouts
        self.upstream_at = now + timeouts.upstream_s if timeouts.upstream_s else float("inf")
        body = self.call.body_for(self.model)
        head = self.call.head_for(self.target, body)
        arm(self, now)
        connection.send(head, body, self, is_head_request=self.call.method == "HEAD")

    # AnswerSink.

    def on_head(
        self, status: int, headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]
    ) -> None:
        """Decide what kind of answer comes."""
        self.first_byte_ms = self.total_ms
        self.status = status
        self.headers = headers
        self.fields = fields
        if 300 <= status < 400 and status != 304:
            self.abort(REDIRECTED, f"answered {status}")
            return
        if status >= 400:
            self.mode = WHOLE
            return
        kind = fields.get(b"content-type", b"").lower()
        if self.call.is_stream_kind(kind):
            self._on_stream_head(fields)
        elif self.call.is_answer_read or b"json" in kind:
            self.mode = WHOLE
        else:
            self.mode = PASS
            self._settle_open()

    def _on_stream_head(self, fields: dict[bytes, bytes]) -> None:
        encoding = fields.get(b"content-encoding", b"").lower()
        decoder = None
        if encoding not in (b"", b"identity"):
            decoder = Decoder.of(encoding, MAX_ANSWER_BYTES)
            if decoder is None:
                if self.call.is_retold:
                    self.abort(BODY_CUT, "its coding cannot be read here")
                self.mode = PASS
                self._settle_open()
                return
            self.is_decoded = True
        self.mode = STREAM
        self.relay = StreamRelay(
            self._loop,
            self.call.format,
            decoder=decoder,
            key=self.key,
            on_change=self._on_relay,
            rewriter=self.rewriter,
        )
        if self.connection is not None:
            arm(self, self._loop.time())

    def on_data(self, data: bytes) -> None:
        """Take a piece of the body."""
        if self.relay is not None:
            self.relay.on_data(data)
            return
        if self.mode is PASS:
            self._pass_on(data)
            return
        self.parts.append(data)
        self._size += len(data)
        if self._size > MAX_ANSWER_BYTES:
            if self.status >= 400 or self.call.is_retold:
                self.abort(BODY_CUT, "the body is too large to be read")
                return
            self.mode = PASS
            self._settle_open()

    def on_end(self) -> None:
        """The answer is whole."""
        self._let_go()
        if self.relay is not None:
            self.relay.on_end()
        else:
            if self.client is not None:
                self._pass_on(b"")
            self._settle(None, "")

    def on_broken(self, fault: Fault, reason: str) -> None:
        """The connection broke."""
        connection = self.connection
        self._let_go()
        if (
            self.is_reused
            and connection is not None
            and not connection.has_begun
            and not self.replays
            and self._loop.time() - self.sent_at < STALE_S
        ):
            self.replays = 1
            self._dial()
        elif self.relay is not None:
            self.relay.on_broken(fault, reason)
        else:
            self._settle(fault, reason)

    def on_late(self, now: float) -> None:
        """A deadline of the connection passed; see which."""
        on_late(self, now)

    # Steps.

    def _on_relay(self) -> None:
        relay = self.relay
        assert relay is not None
        if relay.state is HELD:
            return
        if relay.state is FLOWING:
            # All is said and the farewell is not waited for long; but bytes may still come, and
            # behind the end of the client's answer they would stand in its next one.
            arm(self, self._loop.time())
            return
        if relay.state is OVER:
            self.is_over = True
            self.fault = relay.fault
            self.signal = relay.signal
            self.reason = relay.reason
            if self.connection is not None and relay.fault is not None:
                self.connection.abort()
            self._let_go()
        self._settle_open()

    def _settle_open(self) -> None:
        if not self.settled.done():
            self.settled.set_result(None)

    def _settle(self, fault: Fault | None, reason: str) -> None:
        if self.is_over:
            return
        self.is_over = True
        self._let_go()
        self.fault = fault
        self.reason = reason
        self._settle_open()

    def _let_go(self) -> None:
        """Part from the connection; a slow client must not slow the next request on it."""
        self.connection = None
        if self.client is not None:
            self.client.flow = None

    def _pass_on(self, data: bytes) -> None:
        """Pass a piece on; an empty one says that no more comes."""
        client, blank = self.client, self._blank
        if client is None or blank is None:
            self.parts.append(data)
            return
        self.byte_at = self._loop.time()
        data = blank.feed(data) if data else blank.rest()
        if data:
            client.write(chunk(data) if self._is_chunked else data)
