"""One demo upstream: routes a request, answers it, or does the wrong thing on purpose."""

import asyncio
import secrets
import time
from typing import Any, assert_never

import msgspec

from . import chat, messages, responses
from .ask import Ask, Format, estimate_tokens, read_ask
from .connection import Connection, Headers, Request
from .dialect import Dialect, Failure, Stamp, Stream
from .fault import FAULTS, Fault, Trick, fault_of
from .listing import embeddings, guide, model, models
from .reply import Reply, compose

_DIALECTS: dict[Format, Dialect] = {"chat": chat, "messages": messages, "responses": responses}
_GENERATION: dict[str, Format] = {
    "/v1/chat/completions": "chat",
    "/v1/messages": "messages",
    "/v1/responses": "responses",
}
_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>\n"


class Upstream:
    """Answers the requests of one port.

    Attributes:
        name: `a` or `b`; the text of the answers names it.
        is_limited: Whether every third generation request meets a rate limit.
    """

    def __init__(self, name: str, *, is_limited: bool, pace_s: float, slow_s: float) -> None:
        self.name = name
        self.is_limited = is_limited
        self._pace_s = pace_s
        self._slow_s = slow_s
        self._generations = 0

    async def serve(self, connection: Connection) -> None:
        """Answer requests until either side closes."""
        while (request := await connection.read_request()) is not None:
            try:
                goes_on = await self._handle(connection, request)
            except ConnectionError:
                return  # the peer has gone; nobody is there to be told
            if not goes_on:
                return

    async def _handle(self, connection: Connection, request: Request) -> bool:
        format_ = _GENERATION.get(request.path)
        if format_ is not None and request.method == "POST":
            return await self._generate(connection, request, format_)
        stamp = _stamp()
        is_anthropic = "anthropic-version" in request.headers
        dialect = _DIALECTS["messages" if is_anthropic else "chat"]
        if request.path == "/" and request.method in {"GET", "HEAD"}:
            headers, body = [("content-type", "text/plain; charset=utf-8")], guide().encode()
            await connection.answer(200, headers, body, has_body=request.method == "GET")
            return True
        found = _look_up(request, is_anthropic=is_anthropic)
        if found is None:
            known = {*_GENERATION, *_POST_ONLY, "/v1/models", "/"}
            status = 405 if request.path in known else 404
            failure = Failure(status, f"The demo provider has no {request.method} {request.path}.")
            status, found = dialect.status(failure), dialect.error(failure, stamp)
        else:
            status = 200
        headers = [("content-type", "application/json"), *dialect.headers(stamp)]
        body = msgspec.json.encode(found)
        await connection.answer(status, headers, body, has_body=request.method != "HEAD")
        return True

    async def _generate(self, connection: Connection, request: Request, format_: Format) -> bool:
        """Answer a generation request; False when the connection must be closed behind it."""
        turn = _Turn(connection, _DIALECTS[format_], _stamp())
        body = _decoded(request.body)
        ask = read_ask(format_, body or {})
        if not ask.model:
            message = (
                "The body is no JSON object." if body is None else "The field model is missing."
            )
            await turn.fail(Failure(400, message))
            return True
        fault = fault_of(ask.model, self.name) or self._rate_limit(ask)
        reply = compose(ask, self.name)
        if fault is None or fault.trick is Trick.SLOW:
            wait_s = self._slow_s if fault else 0.0
            if ask.stream:
                await turn.stream(ask, reply, self._pace_s, wait_s)
            else:
                await asyncio.sleep(wait_s)
                await turn.document(ask, reply)
            return True
        return await self._misbehave(turn, fault, ask, reply)

    def _rate_limit(self, ask: Ask) -> Fault | None:
        """Count a generation request that names no fault; every third is refused."""
        if not self.is_limited or ask.model.startswith("demo-"):
            return None
        self._generations += 1
        return FAULTS["demo-429"] if self._generations % 3 == 0 else None

    async def _misbehave(self, turn: "_Turn", fault: Fault, ask: Ask, reply: Reply) -> bool:
        """Do what `fault` says; False when the connection must be closed behind it."""
        match fault.trick:
            case Trick.FAIL:
                await turn.fail(fault.failure)
                return True
            case Trick.HTML:
                await turn.answer(502, [("content-type", "text/html")], _PAGE)
                return True
            case Trick.RESET:
                return False
            case Trick.GARBAGE:
                await turn.connection.send_raw(b"\x00\x01 this is no HTTP \x02\r\n\r\n")
                return False
            case Trick.EMPTY:
                await turn.empty(ask)
                return True
            case Trick.CUT | Trick.STALL:
                await turn.half(ask, reply, self._pace_s)
                if fault.trick is Trick.STALL:
                    await turn.connection.peer_gone()
                return False
            case Trick.FAIL_LATE:
                await turn.fail_late(fault.failure, ask, reply, self._pace_s)
                return True
            case Trick.SLOW:
                raise AssertionError("a slow answer is a proper one")
            case _ as unreachable:
                assert_never(unreachable)


class _Turn:
    """One answer in one dialect."""

    def __init__(self, connection: Connection, dialect: Dialect, stamp: Stamp) -> None:
        self.connection = connection
        self._dialect = dialect
        self._stamp = stamp
        self._headers = dialect.headers(stamp)

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        await self.connection.answer(status, [*headers, *self._headers], body, has_body=True)

    async def document(self, ask: Ask, reply: Reply) -> None:
        body = msgspec.json.encode(self._dialect.document(ask, reply, self._stamp))
        await self.answer(200, _JSON, body)

    async def stream(self, ask: Ask, reply: Reply, pace_s: float, wait_s: float) -> None:
        events = self._dialect.stream(ask, reply, self._stamp)
        await self._start(events, events.deltas, pace_s, wait_s)
        for event in events.closing:
            await self.connection.send_event(event)
        await self.connection.end_stream()

    async def fail(self, failure: Failure) -> None:
        headers = list(_JSON)
        if failure.retry_after_s is not None:
            headers.append(("retry-after", str(failure.retry_after_s)))
        body = msgspec.json.encode(self._dialect.error(failure, self._stamp))
        await self.answer(self._dialect.status(failure), headers, body)

    async def fail_late(self, failure: Failure, ask: Ask, reply: Reply, pace_s: float) -> None:
        if not ask.stream:
            body = msgspec.json.encode(self._dialect.error(failure, self._stamp))
            await self.answer(200, _JSON, body)
            return
        await self._start_half(ask, reply, pace_s)
        await self.connection.send_event(self._dialect.error_event(failure, self._stamp))
        await self.connection.end_stream()

    async def empty(self, ask: Ask) -> None:
        if ask.stream:
            await self.connection.start_stream(self._headers)
            await self.connection.end_stream()
        else:
            await self.answer(200, _JSON, b"")

    async def half(self, ask: Ask, reply: Reply, pace_s: float) -> None:
        if ask.stream:
            await self._start_half(ask, reply, pace_s)
            return
        body = msgspec.json.encode(self._dialect.document(ask, reply, self._stamp))
        await self.connection.answer_part(200, [*_JSON, *self._headers], body, len(body) // 2)

    async def _start_half(self, ask: Ask, reply: Reply, pace_s: float) -> None:
        events = self._dialect.stream(ask, reply, self._stamp)
        await self._start(events, events.deltas[: max(1, len(events.deltas) // 4)], pace_s, 0.0)

    async def _start(
        self, events: Stream, deltas: list[bytes], pace_s: float, wait_s: float
    ) -> None:
        await self.connection.start_stream(self._headers)
        for event in events.opening:
            await self.connection.send_event(event)
        await asyncio.sleep(wait_s)
        for event in deltas:
            await asyncio.sleep(pace_s)
            await self.connection.send_event(event)


_JSON: Headers = [("content-type", "application/json")]
_POST_ONLY = frozenset(
    ("/v1/embeddings", "/v1/messages/count_tokens", "/v1/responses/input_tokens")
)


def _look_up(request: Request, *, is_anthropic: bool) -> dict[str, Any] | None:
    """Return the answer of the endpoints that generate nothing; None = there is no such one."""
    if request.method == "POST" and request.path in _POST_ONLY:
        body = _decoded(request.body) or {}
        if request.path == "/v1/embeddings":
            return embeddings(body)
        count = {"input_tokens": estimate_tokens(body)}
        is_count = request.path == "/v1/messages/count_tokens"
        return count if is_count else {"object": "response.input_tokens", **count}
    if request.method not in {"GET", "HEAD"}:
        return None
    if request.path == "/v1/models":
        return models(is_anthropic=is_anthropic)
    prefix = "/v1/models/"
    if request.path.startswith(prefix) and len(request.path) > len(prefix):
        return model(request.path.removeprefix(prefix), is_anthropic=is_anthropic)
    return None


def _decoded(body: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _stamp() -> Stamp:
    return Stamp(secrets.token_hex(12), time.time_ns() // 1_000_000_000)
