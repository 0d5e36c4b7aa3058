"""A stream on its way from an upstream to its client: held back, then flowing by callback.

Until its first content a stream is held, so that another attempt can still replace it unseen.
From then on `data_received` of the upstream's connection ends in `write` of the client's, with no
task in between; usage and the terminal event are watched on the side. Only whole events pass, so
that an error event can follow at any time, and an event that is no JSON is dropped and counted,
since every SDK dies on it.

Where the client is to get other events than the upstream sends, a rewriter makes them; then every
event is read.

Budget, flowing: one `is_plain` (1 µs), one chunk header, one write per read.
"""

import asyncio
from collections.abc import Callable
from enum import IntEnum

from llm_proxy.domain.faults import (
    BODY_CUT,
    EMPTY_ANSWER,
    GARBAGE,
    STREAM_CUT,
    STREAM_ERROR,
    Fault,
)
from llm_proxy.domain.signal import Signal
from llm_proxy.formats.format import Format, Kind, RewriteError, Rewriter
from llm_proxy.net.client import ClientConnection
from llm_proxy.wire.encoding import Decoder
from llm_proxy.wire.head import chunk
from llm_proxy.wire.sse import EventSplitter, OversizeEventError

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""A larger event is a broken stream; whole answers stand in one event of the Responses format."""
NO_EVENT = b":\n\r"
"""With these begin comments and blank lines: signs of life, but no events."""
HOLD_BYTES = 1024 * 1024
"""A preamble that grows beyond this is let go."""


class State(IntEnum):
    """Life of a stream."""

    HELD, READY, FLOWING, OVER = range(4)


HELD, READY, FLOWING, OVER = State


class StreamRelay:
    """Gets a stream's bytes and passes its events on.

    Attributes:
        watch: What the upstream's events said: usage, model, end.
        rewriter: Makes the client's events; None = they are the upstream's.
        fault: Why the stream is over; None = it ended properly, or goes on.
        signal: The upstream's own words when `fault` came as an event.
        reason: Our words about a broken connection.
        is_told: The client has got the upstream's own error event.
        broken_events: Events dropped because they were no JSON.
        byte_at: Loop time of the last byte.
        event_at: Loop time of the last event that was no comment.
        sent_at: Loop time of the last write to the client.
        first_content_at: Loop time of the first content; 0 = none yet.
    """

    __slots__ = (
        "_client",
        "_decoder",
        "_format",
        "_held_bytes",
        "_is_chunked",
        "_is_plain",
        "_key",
        "_loop",
        "_on_change",
        "_out",
        "_splitter",
        "broken_events",
        "byte_at",
        "event_at",
        "fault",
        "first_content_at",
        "is_told",
        "reason",
        "rewriter",
        "sent_at",
        "signal",
        "state",
        "watch",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        format_: Format,
        *,
        decoder: Decoder | None,
        key: bytes,
        on_change: Callable[[], None],
        rewriter: Rewriter | None = None,
    ) -> None:
        now = loop.time()
        self._loop = loop
        self._format = format_
        self._is_plain = format_.is_plain if rewriter is None else _never
        self.rewriter = rewriter
        self._decoder = decoder
        self._key = key
        self._on_change = on_change
        self._splitter = EventSplitter(MAX_EVENT_BYTES)
        self._out: list[bytes] = []
        self._held_bytes = 0
        self._client: ClientConnection | None = None
        self._is_chunked = True
        self.watch = format_.watch()
        self.state = HELD
        self.fault: Fault | None = None
        self.signal: Signal | None = None
        self.reason = ""
        self.is_told = False
        self.broken_events = 0
        self.byte_at = now
        self.event_at = now
        self.sent_at = now
        self.first_content_at = 0.0

    def attach(self, client: ClientConnection, *, is_chunked: bool) -> None:
        """Let what is held go to `client`, whose head is written, and the rest as it comes."""
        self._client = client
        self._is_chunked = is_chunked
        if self.state is READY:
            self.state = FLOWING
        self._flush()

    # AnswerSink, called by the attempt or by the connection itself.

    def on_data(self, data: bytes) -> None:
        """Take a piece of the body."""
        now = self.byte_at = self._loop.time()
        if self._decoder is not None:
            try:
                data = self._decoder.feed(data)
            except ValueError:
                self._over(GARBAGE if self.state is HELD else self._cut(), "undecodable body")
                return
        if (
            self.state is FLOWING
            and not self._splitter.rest
            and self._is_plain(data)
            and self._key not in data
        ):
            if data[0] != 58 or b"\ndata:" in data:  # a comment is no event
                self.event_at = now
            self._write(data)
            return
        self._read(data, now)

    def on_end(self) -> None:
        """The body ended as its framing says."""
        if self.state is OVER:
            return
        rest = bytes(self._splitter.rest)
        if rest and not rest.startswith(b"data:") and b"\ndata:" not in rest:
            self.broken_events += rest[0] not in NO_EVENT
            rest = b""  # the head of an event that never came: no client may see half of it
        if rest:
            # The last event may lack its blank line; completed, it must make sense by itself.
            ends = {10: b"\n", 13: b"\r"}  # half of the blank line may be there
            self._read(ends.get(rest[-1], b"\n\n"), self._loop.time(), is_last=True)
            if self._is_over():
                return
        watch = self.watch
        if watch.is_ended or watch.is_finished:
            if rest and self.rewriter is None and self._out and self._out[-1].startswith(rest):
                self._out[-1] = rest  # as it came: nothing follows that would need the boundary
            self._over(None, "")
        elif self.state is HELD:
            self._over(EMPTY_ANSWER, "the stream ended without content")
        else:
            self._over(self._cut(), "the stream ended without its terminal event")

    def on_broken(self, fault: Fault, reason: str) -> None:
        """The connection broke."""
        if self.state is OVER:
            return
        watch = self.watch
        if watch.is_ended or (watch.is_finished and self._format.name == "chat"):
            self._over(None, "")  # all that is missing is the transport's farewell
        elif self.state is HELD:
            self._over(fault if fault is not BODY_CUT else EMPTY_ANSWER, reason)
        else:
            self._over(self._cut(), reason)

    def stop(self, fault: Fault | None, reason: str) -> None:
        """End it from our side."""
        if self.state is not OVER:
            self._over(fault, reason)

    def failure(self, fault: Fault) -> bytes:
        """Return the event that tells the client that its stream failed."""
        teller = self.rewriter or self.watch
        return teller.failure(fault.status, fault.name, fault.says)

    # Steps.

    def _is_over(self) -> bool:
        return self.state is OVER

    def _cut(self) -> Fault:
        """Name a break behind content; what nobody has got yet can still come from elsewhere."""
        return BODY_CUT if self.state is READY else STREAM_CUT

    def _read(self, data: bytes, now: float, *, is_last: bool = False) -> None:
        try:
            events = self._splitter.feed(data)
        except OversizeEventError:
            self._over(GARBAGE if self.state is HELD else self._cut(), "an event is too large")
            return
        for event in events:
            kind = self.watch.read(event)
            if kind is Kind.BROKEN:
                self.broken_events += 1
                continue
            if event[0] not in NO_EVENT:
                self.event_at = now
            if kind is Kind.ERROR:
                self._on_error_event(event)
                return
            if self.state is HELD and not self._hold(kind, event, now):
                return
            if self.rewriter is None:
                self._out.append(event)
            elif not self._rewrite(self.rewriter, event, kind):
                return
        if not is_last:
            self._flush()
            self._look_for_end()

    def _look_for_end(self) -> None:
        if self.watch.is_ended and self.state is FLOWING:
            self._on_change()

    def _hold(self, kind: Kind, event: bytes, now: float) -> bool:
        """Decide whether a held stream may go; False: it is over."""
        watch = self.watch
        if kind is Kind.PREAMBLE:
            self._held_bytes += len(event)
            if self._held_bytes <= HOLD_BYTES:
                return True
        elif kind is Kind.END and not watch.has_content and not watch.is_finished:
            self._over(EMPTY_ANSWER, "the stream ended without content")
            return False
        self.state = READY
        self.first_content_at = now
        self._on_change()
        return True

    def _on_error_event(self, event: bytes) -> None:
        self.signal = self.watch.signal
        if self.state is not HELD:
            if self.rewriter is None:
                self._out.append(event)
                self.is_told = True
            else:
                told = len(self._out)
                if not self._rewrite(self.rewriter, event, Kind.ERROR):
                    return
                self.is_told = len(self._out) > told
        self._over(STREAM_ERROR, "")

    def _rewrite(self, rewriter: Rewriter, event: bytes, kind: Kind) -> bool:
        """Add what the client gets instead of `event`; False: the stream is over."""
        if self._key in event:  # what is made of it may go to another upstream
            event = event.replace(self._key, b"*" * len(self._key))
        try:
            made = rewriter.feed(event, kind)
        except RewriteError as error:
            self.signal = error.signal
            self._over(error.fault, str(error))
            return False
        if made:
            self._out.append(made)
        return True

    def _finish(self, rewriter: Rewriter) -> tuple[Fault | None, str]:
        """Add what the client gets behind the last event; return why that fails, if it does."""
        try:
            made = rewriter.end()
        except RewriteError as error:
            self.signal = error.signal
            return error.fault, str(error)
        if made:
            self._out.append(made)
        return None, ""

    def _flush(self) -> None:
        if self._out and self._client is not None and self.state is not HELD:
            data = b"".join(self._out)
            self._out.clear()
            if self._key in data:
                data = data.replace(self._key, b"*" * len(self._key))
            self._write(data)

    def _write(self, data: bytes) -> None:
        client = self._client
        if client is not None:
            self.sent_at = self.byte_at
            client.write(chunk(data) if self._is_chunked else data)

    def _over(self, fault: Fault | None, reason: str) -> None:
        was_ready = self.state is not HELD
        if fault is None and self.rewriter is not None:
            fault, reason = self._finish(self.rewriter)
        self.fault = fault
        self.reason = reason
        if was_ready:
            self._flush()
        self.state = OVER
        tell, self._on_change = self._on_change, _nobody  # who refers to the relay, too
        tell()


def _never(_: bytes) -> bool:
    """No event passes unread where events are rewritten."""
    return False


def _nobody() -> None:
    """Tell nobody: all has been said."""
