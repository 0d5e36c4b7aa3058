"""A whole answer from an upstream, for the proxy's own questions."""

import asyncio

import msgspec

from llm_proxy.domain.faults import BODY_CUT, HEAD_LATE, Fault

from .dial import DialError
from .pool import Pool

MAX_BODY_BYTES = 8 * 1024 * 1024


class Fetched(msgspec.Struct):
    """What came: an answer, or the fault that kept it away.

    Attributes:
        status: 0 = none came.
        fields: Header fields, names in lower case.
        body: At most MAX_BODY_BYTES.
        fault: None = the answer is whole.
        reason: Our words about the fault.
    """

    status: int = 0
    fields: dict[bytes, bytes] = {}
    body: bytes = b""
    fault: Fault | None = None
    reason: str = ""


class _Collector:
    """AnswerSink that keeps everything."""

    def __init__(self, done: "asyncio.Future[Fetched]") -> None:
        self._done = done
        self._fetched = Fetched()
        self._parts: list[bytes] = []
        self._size = 0

    def on_head(
        self, status: int, headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]
    ) -> None:
        self._fetched.status = status
        self._fetched.fields = fields

    def on_data(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MAX_BODY_BYTES:
            self._finish(BODY_CUT, "the answer is too large")
        else:
            self._parts.append(data)

    def on_end(self) -> None:
        self._finish(None, "")

    def on_broken(self, fault: Fault, reason: str) -> None:
        self._finish(fault, reason)

    def on_late(self, now: float) -> None:
        self._finish(HEAD_LATE, "no answer in time")

    def _finish(self, fault: Fault | None, reason: str) -> None:
        if not self._done.done():
            self._fetched.fault = fault
            self._fetched.reason = reason
            self._fetched.body = b"".join(self._parts)
            self._done.set_result(self._fetched)


async def fetch(
    loop: asyncio.AbstractEventLoop, pool: Pool, head: bytes, *, timeout_s: float
) -> Fetched:
    """Send a request without body on a connection of `pool` and return the answer."""
    connection = pool.take()
    if connection is None:
        try:
            connection = await pool.open()
        except DialError as error:
            return Fetched(fault=error.fault, reason=str(error))
    done: asyncio.Future[Fetched] = loop.create_future()
    connection.send(head, b"", _Collector(done))
    connection.set_due(loop.time() + timeout_s)
    try:
        fetched = await done
    except asyncio.CancelledError:
        connection.abort()
        raise
    if fetched.fault is not None:
        connection.abort()
    return fetched
