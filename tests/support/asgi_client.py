"""Talks to an ASGI application without a server: whole answers, and streams that one can hold."""

import asyncio
import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp, Message, Scope


@dataclass
class Answer:
    """A whole answer; fields by lower-case name, the last one counts."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Event:
    """One server-sent event, or a comment (`kind` ":")."""

    kind: str
    id: str
    data: Any


def scope_of(
    path: str, method: str = "GET", headers: dict[str, str] | None = None, peer: str = "127.0.0.1"
) -> Scope:
    """Return a scope as our adapter makes it; `path` may carry a query."""
    path, _, query = path.partition("?")
    fields = {"host": "proxy.test"} | (headers or {})
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in fields.items()],
        "client": (peer, 50000),
        "server": None,
    }


async def ask(app: ASGIApp, path: str, *, body: bytes = b"", **request: Any) -> Answer:
    """Ask `app` and return its whole answer."""
    async with Stream(app, path, body=body, **request) as stream:
        await stream.finished()
        return Answer(stream.status, stream.headers, stream.body)


class Stream:
    """An answer under way. As a context: the client hangs up at its end."""

    def __init__(self, app: ASGIApp, path: str, *, body: bytes = b"", **request: Any) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self._app = app
        self._scope = scope_of(path, **request)
        self._unread: bytes | None = body
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._task: asyncio.Future[None]
        self._gone = asyncio.Event()
        self._reads = asyncio.Event()
        self._reads.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.ensure_future(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._gone.set()
        self._reads.set()
        async with asyncio.timeout(5):
            await self._task

    async def _run(self) -> None:
        await self._app(self._scope, self._receive, self._send)

    async def finished(self) -> None:
        """Wait for the answer's end."""
        async with asyncio.timeout(5):
            await asyncio.shield(self._task)

    async def events(self) -> list[Event]:
        """Return the events of the next piece, waiting for it."""
        async with asyncio.timeout(5):
            return parse_events(await self._pieces.get())

    def waiting_events(self) -> list[Event]:
        """Return the events that have come and not been taken."""
        data = b""
        while not self._pieces.empty():
            data += self._pieces.get_nowait()
        return parse_events(data)

    def stop_reading(self) -> None:
        self._reads.clear()

    def read_on(self) -> None:
        self._reads.set()

    @property
    def is_over(self) -> bool:
        return self._task.done()

    async def _receive(self) -> Message:
        if self._unread is not None:
            body, self._unread = self._unread, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode().lower(): v.decode() for k, v in message["headers"]}
            return
        self.body += message["body"]
        if message["body"]:
            self._pieces.put_nowait(message["body"])
        await self._reads.wait()


def parse_events(data: bytes) -> list[Event]:
    """Return the events in `data`; `retry` lines are left out."""
    events = []
    for block in data.decode().split("\n\n"):
        if block.startswith(":"):
            events.append(Event(":", "", None))
        elif block.startswith("event"):
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            events.append(Event(fields["event"], fields.get("id", ""), json.loads(fields["data"])))
    return events
