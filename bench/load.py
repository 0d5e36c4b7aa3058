"""The load: one process, own uvloop protocols, every answer compared byte by byte.

Three shapes: `saturate` keeps a number of connections busy, `pace` starts requests on a schedule
whatever becomes of the earlier ones, `Crowd` holds many streams open. A wrong status, a wrong
byte, a cut or a hang is a failure; failures are counted by kind and spoil the whole run.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count
from time import perf_counter
from typing import cast

import httptools

from bench.payload import Plan, request_bytes, traced

ANSWER_TIMEOUT_S = 20.0
"""After this the answers still owed count as failures."""


class Failures(Counter[str]):
    """What went wrong, by kind."""

    def add(self, kind: str) -> None:
        """Count one failure."""
        self[kind] += 1


class Asked(asyncio.Protocol):
    """A client connection with at most one request in flight.

    Attributes:
        busy: Whether an answer is owed.
        sent_at: `perf_counter` when the request was written (uvloop's own clock has 1 ms steps).
        first_s: From there to the first content of a stream, or to the end of a JSON answer,
            seconds; None until it came.
        events: Events that arrived so far.
    """

    __slots__ = (
        "_failures",
        "_first_bytes",
        "_offset",
        "_on_done",
        "_parser",
        "_transport",
        "_want",
        "busy",
        "events",
        "first_s",
        "sent_at",
    )

    def __init__(self, failures: Failures, on_done: Callable[["Asked"], None]) -> None:
        self._failures = failures
        self._on_done = on_done
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._want = b""
        self._offset = 0
        self._first_bytes = 0
        self.busy = False
        self.sent_at = 0.0
        self.first_s: float | None = None
        self.events = 0

    @property
    def is_open(self) -> bool:
        """Whether another request can be asked here."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, request: bytes, plan: Plan, want: bytes) -> None:
        """Write `request`; `on_done` is called when the answer `want` has come or failed."""
        assert self._transport is not None
        assert not self.busy
        self._want, self._offset = want, 0
        self._first_bytes = len(plan.pieces[0])
        self.busy = True
        self.first_s = None
        self.sent_at = perf_counter()
        self._transport.write(request)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()

    def fail(self, kind: str) -> None:
        """Count a failure of the request in flight and close."""
        self._failures.add(kind)
        was_busy, self.busy = self.busy, False
        self.close()
        if was_busy:
            self._on_done(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by shape only

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self.busy:
            self.fail("connection lost in an answer")

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.fail("answer is no HTTP")

    def on_body(self, body: bytes) -> None:
        if not self._want.startswith(body, self._offset) and self.busy:
            self.fail(f"wrong bytes with status {self._parser.get_status_code()}")
            return
        self._offset += len(body)
        self.events += body.count(b"\n\n")
        if self.first_s is None and self._offset >= self._first_bytes:
            self.first_s = perf_counter() - self.sent_at

    def on_message_complete(self) -> None:
        if not self.busy:
            return
        status = self._parser.get_status_code()
        if status != 200:
            self.fail(f"status {status}")
        elif self._offset != len(self._want):
            self.fail("answer too short")
        else:
            self.busy = False
            self._on_done(self)


class Source:
    """Hands out the requests of one target in turn.

    Args:
        is_traced: Whether each request's head is unlike all others, so that a server which
            remembers heads finds none; else heads differ by the body's length only, as an SDK's.
        protocol: What judges the answers.
        edit: What is done to each request before it is sent.

    Attributes:
        port: Where the target listens.
        protocol: What judges its answers.
    """

    def __init__(
        self,
        port: int,
        key: str,
        plans: Sequence[Plan],
        *,
        is_traced: bool = False,
        protocol: type[Asked] = Asked,
        edit: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self.port = port
        self.protocol = protocol
        self._is_traced = is_traced
        self._ready = [(edit(request_bytes(plan, port, key)), plan, plan.answer) for plan in plans]
        self._turn = count()

    def ask(self, connection: Asked) -> None:
        """Send the next request over `connection`."""
        turn = next(self._turn)
        request, plan, want = self._ready[turn % len(self._ready)]
        if self._is_traced:
            request = traced(request, turn + 1)
        connection.ask(request, plan, want)


async def connect(source: Source, failures: Failures, on_done: Callable[[Asked], None]) -> Asked:
    """Open one connection to a source's target."""
    loop = asyncio.get_running_loop()
    _, asked = await loop.create_connection(
        lambda: source.protocol(failures, on_done), "127.0.0.1", source.port
    )
    return asked


class Saturation:
    """Keeps `concurrency` connections busy.

    Attributes:
        answered: Right answers so far.
    """

    def __init__(self, source: Source, failures: Failures) -> None:
        self._source = source
        self._failures = failures
        self._open: list[Asked] = []
        self._ending = False
        self.answered = 0

    async def start(self, concurrency: int) -> None:
        """Open the connections and ask over each."""
        for _ in range(concurrency):
            self._open.append(await connect(self._source, self._failures, self._done))
        for asked in self._open:
            self._source.ask(asked)

    async def stop(self) -> None:
        """Let the last answers come and close."""
        self._ending = True
        await _settle(self._open)

    def _done(self, asked: Asked) -> None:
        if not asked.is_open:
            return  # failed and counted: the others go on
        self.answered += 1
        if not self._ending:
            self._source.ask(asked)


async def pace(source: Source, rate: int, seconds: float, failures: Failures) -> list[float]:
    """Start `rate` requests a second; return for each how long its first content took, seconds.

    An open loop: a slow answer does not delay the next request, which takes another connection.
    """
    idle: list[Asked] = []
    taken: list[float] = []

    def done(asked: Asked) -> None:
        if asked.is_open and asked.first_s is not None:
            taken.append(asked.first_s)
            idle.append(asked)

    every = [await connect(source, failures, done) for _ in range(8)]
    idle.extend(every)
    start = perf_counter()
    for turn in range(round(rate * seconds)):
        pause = start + turn / rate - perf_counter()
        if pause > 0:
            await asyncio.sleep(pause)
        while idle and not idle[-1].is_open:
            idle.pop()
        if idle:
            asked = idle.pop()
        else:
            asked = await connect(source, failures, done)
            every.append(asked)
        source.ask(asked)
    await _settle(every)
    return taken


class Crowd:
    """Many streams, each over its own connection, followed to their ends."""

    def __init__(self, source: Source, failures: Failures) -> None:
        self._source = source
        self._failures = failures
        self._open: list[Asked] = []

    @property
    def events(self) -> int:
        """Events of all streams that arrived so far."""
        return sum(asked.events for asked in self._open)

    @property
    def running(self) -> int:
        """Streams whose first content has come and whose end has not."""
        return sum(asked.busy and asked.first_s is not None for asked in self._open)

    async def open(self, streams: int, seconds: float) -> None:
        """Open `streams` streams evenly over `seconds`."""
        start = perf_counter()
        for turn in range(streams):
            pause = start + turn * seconds / streams - perf_counter()
            if pause > 0:
                await asyncio.sleep(pause)
            asked = await connect(self._source, self._failures, _ignore)
            self._open.append(asked)
            self._source.ask(asked)

    async def end(self) -> None:
        """Wait for the streams' own ends; a stream that does not end is a failure."""
        await _settle(self._open)


def _ignore(asked: Asked) -> None:
    """Leave a connection alone after its answer."""


async def _settle(connections: Sequence[Asked]) -> None:
    """Wait until no answer is owed, count those that never come, close all."""
    for _ in range(int(ANSWER_TIMEOUT_S / 0.01)):
        if not any(asked.busy for asked in connections):
            break
        await asyncio.sleep(0.01)
    for asked in connections:
        if asked.busy:
            asked.fail("no answer in time")
        asked.close()
