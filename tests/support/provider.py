"""A provider on real sockets that does on the wire whatever a test asks for.

::

    async with Provider() as provider:
        provider.script(error(429), chat_json("second try"))  # one per request, in order
        provider.reply(lambda request: chat_json(request.model))  # everything after that
        ...
        assert [request.path for request in provider.requests] == ["/v1/chat/completions"] * 3

Unscripted requests get a healthy answer in the format of their path. A request that breaks HTTP
is never answered by a script: it is kept in `malformed`, gets a 400, and its connection closes,
so `provider.malformed == []` says that the client framed everything properly.

Nothing waits for ever: a script that still runs after `limit_s` is aborted and, like an exception
in a script, fails the test when the provider closes. Times are `time.monotonic()` seconds.
"""

import asyncio
import contextlib
import errno
import re
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, cast

import msgspec

from .answers import healthy
from .scripts import Script

Ending: TypeAlias = Literal["", "client_fin", "client_reset", "fin", "reset", "shut_down"]
OnAccept: TypeAlias = Literal["serve", "hang", "close", "reset"]


class Request:
    """One request as it came in.

    Attributes:
        method: As sent.
        target: As sent, query included.
        version: `1.1` or `1.0`.
        headers: (name, value) as sent: case and order kept, latin-1.
        head: The head's bytes up to and including the empty line.
        body: What has arrived of the body, chunk framing removed.
        connection: Number of the connection, from 0; index into `Provider.connections`.
        at: When the head was complete.
        done_at: When the body was complete; None before.
    """

    def __init__(self, head: bytes, connection: int) -> None:
        lines = head[:-4].decode("latin-1").split("\r\n")
        self.method, self.target, version = lines[0].split(" ")
        self.version = version.removeprefix("HTTP/")
        pairs = (line.partition(":") for line in lines[1:])
        self.headers = [(name, value.strip(" \t")) for name, _, value in pairs]
        self.head = head
        self.body = b""
        self.connection = connection
        self.at = monotonic()
        self.done_at: float | None = None

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target} on {self.connection}>"

    @property
    def path(self) -> str:
        """Return the target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """Return what stands behind the target's `?`."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """Return the first value of a header, in any case; None if absent."""
        values = self.headers_named(name)
        return values[0] if values else None

    def headers_named(self, name: str) -> list[str]:
        """Return all values of a header, in any case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def key(self) -> str | None:
        """Return the credential, from `x-api-key`, `api-key` or `authorization: Bearer`."""
        for name in ("x-api-key", "api-key"):
            if value := self.header(name):
                return value
        scheme, _, credential = (self.header("authorization") or "").partition(" ")
        return credential if scheme.lower() == "bearer" else None

    def json(self) -> Any:
        """Return the body's JSON value."""
        return msgspec.json.decode(self.body)

    @property
    def fields(self) -> dict[str, Any]:
        """Return the body's JSON object; empty where the body is none."""
        try:
            value = self.json()
        except (msgspec.DecodeError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def model(self) -> str:
        """Return the body's `model`; empty if absent."""
        return str(self.fields.get("model", ""))

    @property
    def stream(self) -> bool:
        """Say whether a stream is asked for."""
        return self.fields.get("stream") is True


Answer: TypeAlias = Script | Callable[[Request], Script]


class _Rule:
    """When an answer applies; the queue holds one answer per request, `standing` all others."""

    def __init__(
        self, path: str | None, key: str | None, model: str | None, *, early: bool, standing: bool
    ) -> None:
        self.path = path
        self.key = key
        self.model = model
        self.early = early
        self.standing = standing
        self.answers: deque[Answer] = deque()

    def fits(self, request: Request, *, early: bool) -> bool:
        return (
            bool(self.answers)
            and self.early is early
            and self.path in {None, request.path}
            and self.key in {None, request.key}
            and self.model in {None, request.model}
        )

    def take(self, request: Request) -> Script:
        answer = self.answers[0] if self.standing else self.answers.popleft()
        return answer(request) if callable(answer) else answer


class MalformedRequestError(Exception):
    """The client's bytes are no acceptable HTTP."""


class Connection(asyncio.Protocol):
    """One accepted connection; also the `Link` that a script's steps act upon.

    Attributes:
        number: From 0, in order of acceptance.
        opened_at: When it was accepted (with TLS: when the handshake was done).
        closed_at: When the first side closed it; None while it is open.
        ending: How: `client_fin`, `client_reset`, `fin` and `reset` (by a script),
            `shut_down` (the provider ended); empty while open.
        lost: Whether both sides are done with it.
        requests: How many requests came on it.
        received_bytes: Read so far (with TLS: decrypted).
        sent_bytes: Handed to the transport so far.
        server_name: What the client sent as SNI; None without TLS or name.
    """

    def __init__(self, provider: "Provider") -> None:
        self._provider = provider
        self._reader = asyncio.StreamReader(limit=1 << 28)
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()
        self._body_done = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._serving: asyncio.Task[None] | None = None
        self.number = -1
        self.opened_at = 0.0
        self.closed_at: float | None = None
        self.ending: Ending = ""
        self.lost = asyncio.Event()
        self.requests = 0
        self.received_bytes = 0
        self.sent_bytes = 0
        self.server_name: str | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.number} {self.ending or 'open'}>"

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self.opened_at = monotonic()
        ssl_object = transport.get_extra_info("ssl_object")
        self.server_name = getattr(ssl_object, "test_server_name", None)
        self._provider._accepted(self)

    def data_received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        self._reader.feed_data(data)

    def eof_received(self) -> bool:
        self._note("client_fin")
        self._reader.feed_eof()
        self._gone.set()
        self._body_done.set()
        return self._transport is not None and not self._transport.get_extra_info("ssl_object")

    def connection_lost(self, exc: Exception | None) -> None:
        self._note("client_reset" if exc else "client_fin")
        if not self._reader.at_eof():
            self._reader.feed_eof()
        self._gone.set()
        self._body_done.set()
        self._writable.set()
        self.lost.set()
        if self._serving is not None:
            self._serving.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # what steps may do

    async def send(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        self.sent_bytes += len(data)
        self._transport.write(data)
        await self._writable.wait()

    async def body_read(self) -> None:
        await self._body_done.wait()

    async def gone(self) -> None:
        await self._gone.wait()

    def close(self) -> None:
        self._note("fin")
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        self._note("fin")
        self._abort()

    def reset(self) -> None:
        self._note("reset")
        if self._transport is not None and not self._transport.is_closing():
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._abort()

    def shut_write(self) -> None:
        self._note("fin")
        if self._transport is not None:
            self._transport.write_eof()

    def stop_reading(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def go_on_reading(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def shut_down(self) -> None:
        """Drop the connection at once, without RST unless bytes are unread."""
        self._note("shut_down")
        self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _note(self, ending: Ending) -> None:
        if not self.ending:
            self.ending = ending
            self.closed_at = monotonic()

    # requests

    def serve(self) -> asyncio.Task[None]:
        """Start answering; the provider owns the task."""
        self._serving = asyncio.get_running_loop().create_task(self._serve())
        return self._serving

    async def _serve(self) -> None:
        try:
            while await self._one():
                pass
            self.close()
        except MalformedRequestError:
            with contextlib.suppress(ConnectionError):
                await self.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            self.close()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.close()
        except Exception as exc:  # noqa: BLE001 - a bug in a test's script: shown at exit
            self._provider.problems.append(exc)
            self.shut_down()

    async def _one(self) -> bool:
        """Answer one request; False at the end of the client's bytes."""
        head = await self._read_head()
        if head is None:
            return False
        request = Request(head, self.number)
        self.requests += 1
        self._body_done.clear()
        self._provider.requests.append(request)
        early = self._provider._choose(request, early=True)
        if early is None:
            await self._read_body(request)
            script = self._provider._choose(request, early=False)
            await self._run(script or [], request)
        else:
            reading = asyncio.get_running_loop().create_task(self._read_body(request))
            try:
                await self._run(early, request)
                if self.ending in {"", "client_fin"}:
                    await reading
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
        return self._transport is not None and not self._transport.is_closing()

    async def _run(self, script: Script, request: Request) -> None:
        try:
            async with asyncio.timeout(self._provider.limit_s):
                for piece in script:
                    if isinstance(piece, bytes):
                        await self.send(piece)
                    else:
                        await piece(self)
        except TimeoutError:
            late = f"the script for {request!r} still ran after {self._provider.limit_s} s"
            raise TimeoutError(late) from None

    async def _read_head(self) -> bytes | None:
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as exc:
            if exc.partial.strip(b"\r\n"):
                self._refuse(exc.partial)
            return None
        if not _HEAD.fullmatch(head) or (b"HTTP/1.1\r\n" in head and len(_HOST.findall(head)) != 1):
            self._refuse(head)
        return head

    async def _read_body(self, request: Request) -> None:
        lengths = request.headers_named("content-length")
        codings = request.headers_named("transfer-encoding")
        if len(lengths) + len(codings) > 1:
            self._refuse(request.head)
        if request.header("expect") == "100-continue":
            await self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if codings:
            if codings[0].lower() != "chunked":
                self._refuse(request.head)
            await self._read_chunks(request)
        elif lengths:
            if not re.fullmatch(r"[0-9]{1,15}", lengths[0]):
                self._refuse(request.head)
            while (left := int(lengths[0]) - len(request.body)) > 0:
                piece = await self._reader.read(min(left, 1 << 20))
                if not piece:
                    raise asyncio.IncompleteReadError(b"", left)
                request.body += piece
        request.done_at = monotonic()
        self._body_done.set()

    async def _read_chunks(self, request: Request) -> None:
        while True:
            line = await self._reader.readuntil(b"\r\n")
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}(;[^\r\n]*)?\r\n", line):
                self._refuse(request.head + line)
            size = int(line.partition(b";")[0], 16)
            if size == 0:
                break
            request.body += await self._reader.readexactly(size)
            end = await self._reader.readexactly(2)
            if end != b"\r\n":
                self._refuse(request.head + line)
        while await self._reader.readuntil(b"\r\n") != b"\r\n":
            pass  # trailers

    def _refuse(self, data: bytes) -> None:
        self._provider.malformed.append(data)
        raise MalformedRequestError


_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEAD = re.compile(
    _TOKEN + rb" [!-~]+ HTTP/1\.[01]\r\n"
    rb"(?:" + _TOKEN + rb":[ \t]*(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*)?)?\r\n)*\r\n"
)
_HOST = re.compile(rb"(?i)\r\nhost:")


class Provider:
    """The scriptable provider; an async context manager.

    Attributes:
        requests: Everything received, oldest first, from the moment a head is complete.
        connections: Everything accepted, oldest first.
        malformed: Bytes of requests that broke HTTP.
        on_accept: What happens to new connections: `serve`, `hang` (never an answer), `close`
            (FIN at once), `reset` (RST at once). May be changed at any time.
        limit_s: How long a script may run.
        problems: What went wrong in scripts; raised when the provider closes.
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None = None,
        on_accept: OnAccept = "serve",
        limit_s: float = 20.0,
    ) -> None:
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self.malformed: list[bytes] = []
        self.problems: list[Exception] = []
        self.on_accept: OnAccept = on_accept
        self.limit_s = limit_s
        self.host = "127.0.0.1"
        self.port = 0
        self._ssl_context = ssl_context
        self._rules: list[_Rule] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        if ssl_context is not None:
            ssl_context.sni_callback = _remember_name

    @property
    def url(self) -> str:
        """Return `http://127.0.0.1:PORT` (`https://localhost:PORT` with TLS), no slash behind."""
        if self._ssl_context is None:
            return f"http://{self.host}:{self.port}"
        return f"https://localhost:{self.port}"

    # scripting

    def script(
        self,
        *answers: Answer,
        path: str | None = None,
        key: str | None = None,
        model: str | None = None,
        early: bool = False,
    ) -> None:
        """Queue answers, one per matching request: `provider.script(error(500), chat_json())`.

        An answer is a script or a function of the request that returns one.

        Args:
            answers: In the order of use.
            path: Only for requests to this path (without query).
            key: Only for requests with this credential.
            model: Only for requests for this model (needs the body, so never `early`).
            early: Start when the head has come, before the body is read.
        """
        rule = _Rule(path, key, model, early=early, standing=False)
        rule.answers.extend(answers)
        self._rules.append(rule)

    def reply(
        self,
        answer: Answer,
        *,
        path: str | None = None,
        key: str | None = None,
        model: str | None = None,
        early: bool = False,
    ) -> None:
        """Answer all matching requests so, once their queues are empty; the newest rule wins.

        Example: `provider.reply(error(401), key="k1")`.
        """
        rule = _Rule(path, key, model, early=early, standing=True)
        rule.answers.append(answer)
        self._rules.append(rule)

    def forget(self) -> None:
        """Drop all scripts, so that the provider is healthy again."""
        self._rules.clear()

    def _choose(self, request: Request, *, early: bool) -> Script | None:
        queues = [rule for rule in self._rules if not rule.standing]
        standing = [rule for rule in reversed(self._rules) if rule.standing]
        for rule in [*queues, *standing]:
            if rule.fits(request, early=early):
                return rule.take(request)
        if early:
            return None
        options = request.fields.get("stream_options")
        return healthy(
            request.path,
            stream=request.stream,
            model=request.model or "test-model",
            usage=isinstance(options, dict) and options.get("include_usage") is True,
        )

    # looking

    @property
    def open_connections(self) -> list[Connection]:
        """Return the connections that neither side has closed."""
        return [connection for connection in self.connections if not connection.ending]

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
        """Wait for something to become true: `await p.wait_until(lambda: len(p.requests) == 2)`.

        Raises:
            TimeoutError: It did not.
        """
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.002)

    async def wait_for_requests(self, count: int, timeout_s: float = 5.0) -> None:
        """Wait until `count` request heads have come in all."""
        await self.wait_until(lambda: len(self.requests) >= count, timeout_s)

    async def wait_for_close(self, number: int = -1, timeout_s: float = 5.0) -> Connection:
        """Wait until either side has closed a connection (the last one by default); return it."""
        connection = self.connections[number]
        await self.wait_until(lambda: connection.closed_at is not None, timeout_s)
        return connection

    # life

    async def go_down(self) -> None:
        """Close the port (connects are refused) and reset all connections; see `come_back`."""
        await self._stop_listening()
        for connection in self.connections:
            if not connection.lost.is_set():
                connection.reset()

    async def come_back(self) -> None:
        """Listen on the same port again."""
        await self.start()

    async def start(self) -> None:
        """Listen; on a free port the first time."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self),
            self.host,
            self.port,
            ssl=self._ssl_context,
            backlog=1024,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop, dropping all connections and scripts; raises what went wrong in a script."""
        await self._stop_listening()
        for connection in self.connections:
            if not connection.lost.is_set():
                connection.shut_down()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        async with asyncio.timeout(5):
            for connection in self.connections:
                await connection.lost.wait()
        if self.problems:
            raise ExceptionGroup("the test provider's scripts failed", self.problems)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.close()
        except ExceptionGroup:
            if exc is None:  # else the test's own failure tells more
                raise

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            await asyncio.sleep(0)  # uvloop closes the listening socket a turn later

    def _accepted(self, connection: Connection) -> None:
        connection.number = len(self.connections)
        self.connections.append(connection)
        if self.on_accept == "serve":
            task = connection.serve()
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif self.on_accept == "close":
            connection.close()
        elif self.on_accept == "reset":
            connection.reset()


def _remember_name(
    ssl_object: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext
) -> None:
    ssl_object.test_server_name = name  # type: ignore[union-attr]  # read in connection_made


class ProviderThread:
    """A `Provider` with a loop and thread of its own, for synchronous clients and subprocesses.

    ::

        with ProviderThread() as provider:
            provider.script(chat_json("hi"))
            OpenAI(base_url=provider.url + "/v1", api_key="k").chat.completions.create(...)

    Everything of `Provider` that is not a coroutine is there (`script`, `reply`, `requests`,
    `connections`, …) and safe to use from the test's thread; `run` runs coroutines; `set` sets an
    event a script waits for.
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None = None,
        on_accept: OnAccept = "serve",
        limit_s: float = 20.0,
    ) -> None:
        self.provider = Provider(ssl_context=ssl_context, on_accept=on_accept, limit_s=limit_s)
        self.script = self.provider.script
        self.reply = self.provider.reply
        self.forget = self.provider.forget
        self.requests = self.provider.requests
        self.connections = self.provider.connections
        self.malformed = self.provider.malformed
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test-provider")

    @property
    def url(self) -> str:
        """Return the provider's address, without a slash behind it."""
        return self.provider.url

    @property
    def port(self) -> int:
        """Return the provider's port."""
        return self.provider.port

    def set(self, event: asyncio.Event) -> None:
        """Set an event that a script waits for."""
        self._loop.call_soon_threadsafe(event.set)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
        """As `Provider.wait_until`."""
        self.run(self.provider.wait_until, condition, timeout_s)

    def wait_for_requests(self, count: int, timeout_s: float = 5.0) -> None:
        """As `Provider.wait_for_requests`."""
        self.run(self.provider.wait_for_requests, count, timeout_s)

    def go_down(self) -> None:
        """As `Provider.go_down`."""
        self.run(self.provider.go_down)

    def come_back(self) -> None:
        """As `Provider.come_back`."""
        self.run(self.provider.come_back)

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run a coroutine function in the provider's loop and return its result."""
        future = asyncio.run_coroutine_threadsafe(function(*args), self._loop)
        return future.result(timeout=60)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.run(self.provider.start)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.run(self.provider.__aexit__, kind, exc, trace)
        finally:
            self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()


@contextlib.contextmanager
def refused_url() -> Iterator[str]:
    """Give an address where every connect is refused: `with refused_url() as url:`.

    The port is bound but not listening, so nobody else can get it meanwhile.
    """
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@contextlib.contextmanager
def black_hole_url(port: int = 0) -> Iterator[str]:
    """Give an address where connects get no answer: `with black_hole_url() as url:`.

    Args:
        port: Where; 0 = anywhere.

    A listening socket whose accept queue is full: Linux then drops further SYNs, so a connect
    waits (and is retransmitted after 1 s, 3 s, 7 s) without being refused.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(16):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.1)
            reached = filler.connect_ex(("127.0.0.1", port))
            if reached in {errno.EAGAIN, errno.EINPROGRESS, errno.ETIMEDOUT}:
                break
        else:
            raise RuntimeError("the kernel accepts connections beyond a full queue")
        yield f"http://127.0.0.1:{port}"
