"""What the test provider does on the wire, as lists of bytes and steps.

A `Script` is a list whose items are sent (bytes) or run (steps), in order. So a test edits an
answer as it edits a list::

    provider.script([*respond(b'{"a":1}')])                  # a plain answer
    provider.script([b"HTTP/1.1 200 OK\\r\\nconte", close()])  # half a head
    provider.script(paced(chat_stream(["a", "b"]), 0.05))    # a slow stream

When a script ends without `close`, `cut` or `reset`, the connection waits for the next request.
"""

import asyncio
import gzip as gzip_module
from collections.abc import Awaitable, Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Literal, Protocol, TypeAlias, TypedDict, Unpack

Headers: TypeAlias = Sequence[tuple[str, str]]
Framing: TypeAlias = Literal["length", "chunked", "close"]


class Link(Protocol):
    """One connection of the provider while it answers one request."""

    async def send(self, data: bytes) -> None:
        """Write `data`, waiting while the peer does not read."""

    async def body_read(self) -> None:
        """Return when the request's body has arrived (for early scripts)."""

    async def gone(self) -> None:
        """Return when the peer has closed or reset the connection."""

    def close(self) -> None:
        """Send what is written, then FIN (with TLS: close_notify first)."""

    def cut(self) -> None:
        """Drop what is not written yet, then FIN; with TLS no close_notify."""

    def reset(self) -> None:
        """Send RST."""

    def shut_write(self) -> None:
        """Send FIN but go on reading."""

    def stop_reading(self) -> None:
        """Read nothing more, so that the peer's writes pile up."""

    def go_on_reading(self) -> None:
        """Undo `stop_reading`."""


Step: TypeAlias = Callable[[Link], Awaitable[None]]
Script: TypeAlias = list[bytes | Step]


# --- steps


def sleep(seconds: float) -> Step:
    """Do nothing for a while: `[head, sleep(0.2), body]`."""

    async def step(_: Link) -> None:
        await asyncio.sleep(seconds)

    return step


def wait(event: asyncio.Event) -> Step:
    """Go on when the test sets `event`: `[head, wait(go), body]`."""

    async def step(_: Link) -> None:
        await event.wait()

    return step


def signal(event: asyncio.Event) -> Step:
    """Tell the test that this point is reached: `[head, signal(reached), wait(go), body]`."""

    async def step(_: Link) -> None:
        event.set()

    return step


def close() -> Step:
    """Close in an orderly way: `[b"HTTP/1.1 200 OK\\r\\n\\r\\nuntil the end", close()]`."""

    async def step(link: Link) -> None:
        link.close()

    return step


def cut() -> Step:
    """Close without TLS's goodbye, so that a TLS peer sees a truncation: `[head, cut()]`."""

    async def step(link: Link) -> None:
        link.cut()

    return step


def reset() -> Step:
    """Send RST (SO_LINGER 0): `[half_an_answer, reset()]`.

    What was sent just before may be lost at the peer's kernel; sleep between if it must arrive.
    """

    async def step(link: Link) -> None:
        link.reset()

    return step


def hang() -> Step:
    """Stay silent until the peer leaves: `[head, hang()]`."""

    async def step(link: Link) -> None:
        await link.gone()

    return step


def shut_write() -> Step:
    """Send FIN, go on reading: `[answer, shut_write(), hang()]`."""

    async def step(link: Link) -> None:
        link.shut_write()

    return step


def stop_reading() -> Step:
    """Leave the rest of the request in the kernel; for early scripts: `[stop_reading(), hang()]`.

    A provider that does not read sees no FIN either: follow it with `sleep` or `wait`.
    """

    async def step(link: Link) -> None:
        link.stop_reading()

    return step


def go_on_reading() -> Step:
    """Undo `stop_reading`."""

    async def step(link: Link) -> None:
        link.go_on_reading()

    return step


def read_body() -> Step:
    """Wait for the request's body; for early scripts: `[continue_100, read_body(), *answer]`."""

    async def step(link: Link) -> None:
        await link.body_read()

    return step


# --- pieces of an answer


def head(status: int = 200, headers: Headers = (), *, version: str = "1.1") -> bytes:
    """Return an answer's head, nothing added: `head(200, [("content-length", "0")])`."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/{version} {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """Return `data` as one chunk of a chunked body: `[head, chunk(b"abc"), last_chunk()]`."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def last_chunk(trailers: Headers = ()) -> bytes:
    """Return the end of a chunked body: `last_chunk([("x-checksum", "1")])`."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in trailers)
    return b"0\r\n" + lines.encode("latin-1") + b"\r\n"


class How(TypedDict, total=False):
    """How an answer is sent; every builder takes these as keywords.

    Attributes:
        status: Status code.
        headers: More header fields, in order.
        framing: `length` (content-length), `chunked`, or `close` (delimited by FIN).
        version: `1.0` closes after the answer.
        length: What content-length says, whatever the body's length is (framing `length`).
        gzip: Compress the body and say so.
        interim: Status codes of 1xx answers sent first.
        trailers: Trailer fields (framing `chunked`).
        surplus: Bytes behind the answer, in the same write.
        content_type: Value of `content-type`; empty = none is sent.
    """

    status: int
    headers: Headers
    framing: Framing
    version: str
    length: int
    gzip: bool
    interim: Sequence[int]
    trailers: Headers
    surplus: bytes
    content_type: str


def respond(body: bytes = b"", **how: Unpack[How]) -> Script:
    """Return a whole answer in one write: `respond(b"hi", status=503, content_type="text/plain")`.

    `respond(body, length=len(body) + 9)` promises more than it sends: add `close()` behind it.
    """
    framing = how.get("framing", "length")
    version = how.get("version", "1.1")
    if how.get("gzip"):
        body = gzip_module.compress(body, mtime=0)
    fields = _fields(how, default_type="application/json")
    if framing == "chunked":
        fields.append(("transfer-encoding", "chunked"))
        sent = (chunk(body) if body else b"") + last_chunk(how.get("trailers", ()))
    else:
        if framing == "length":
            fields.append(("content-length", str(how.get("length", len(body)))))
        sent = body
    first = b"".join(head(status) for status in how.get("interim", ()))
    whole = first + head(how.get("status", 200), fields, version=version) + sent
    script: Script = [whole + how.get("surplus", b"")]
    return [*script, close()] if framing == "close" or version == "1.0" else script


def event_stream(events: Iterable[bytes | Step], **how: Unpack[How]) -> Script:
    """Return a stream's script: head, one write per event, the end.

    Example: `event_stream([b": hi\\n\\n", sleep(0.1), b"data: [DONE]\\n\\n"])`. A step that closes
    ends the script, so nothing (no last chunk) is sent behind it.
    """
    framing = how.get("framing", "chunked")
    version = how.get("version", "1.1")
    fields = _fields(how, default_type="text/event-stream; charset=utf-8")
    pieces = list(events)
    if framing == "chunked":
        fields.append(("transfer-encoding", "chunked"))
        pieces = [chunk(piece) if isinstance(piece, bytes) else piece for piece in pieces]
        pieces.append(last_chunk(how.get("trailers", ())))
    elif framing == "length":
        total = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
        fields.append(("content-length", str(how.get("length", total))))
    first = b"".join(head(status) for status in how.get("interim", ()))
    script: Script = [first + head(how.get("status", 200), fields, version=version), *pieces]
    if surplus := how.get("surplus"):
        script.append(surplus)
    return [*script, close()] if framing == "close" or version == "1.0" else script


def _fields(how: How, *, default_type: str) -> list[tuple[str, str]]:
    content_type = how.get("content_type", default_type)
    fields = [("content-type", content_type)] if content_type else []
    if how.get("gzip"):
        fields.append(("content-encoding", "gzip"))
    return [*fields, *how.get("headers", ())]


# --- scripts made of scripts


def paced(script: Script, gap_s: float) -> Script:
    """Sleep before every write but the first: `paced(chat_stream(["a", "b"]), 0.05)`."""
    slow: Script = []
    for piece in script:
        if slow and isinstance(piece, bytes):
            slow.append(sleep(gap_s))
        slow.append(piece)
    return slow


def dribbled(script: Script, size: int = 1, gap_s: float = 0.0) -> Script:
    """Send in pieces of `size` bytes, giving the loop a turn between: `dribbled(respond(b"x"))`."""
    slow: Script = []
    for piece in script:
        if not isinstance(piece, bytes):
            slow.append(piece)
            continue
        for at in range(0, len(piece), size):
            slow += [piece[at : at + size], sleep(gap_s)]
    return slow


def joined(*scripts: Script) -> Script:
    """Send everything in one write, two answers behind one request: `joined(a, b)`.

    Raises:
        TypeError: A script holds a step.
    """
    return [b"".join(raw(script) for script in scripts)]


def raw(script: Script) -> bytes:
    """Return the bytes of a script without steps: `raw(chat_json("hi"))`.

    Raises:
        TypeError: The script holds a step.
    """
    pieces = [piece for piece in script if isinstance(piece, bytes)]
    if len(pieces) != len(script):
        raise TypeError("the script holds steps, not only bytes")
    return b"".join(pieces)


def cut_at(script: Script, sent_bytes: int, *, by: Step | None = None) -> Script:
    """Send only the first bytes, then close (or `by=reset()`): `cut_at(chat_json("hi"), 40)`."""
    short: Script = []
    for piece in script:
        if not isinstance(piece, bytes):
            short.append(piece)
            continue
        short.append(piece[:sent_bytes])
        sent_bytes -= len(piece)
        if sent_bytes <= 0:
            break
    return [*short, by or close()]


# --- answers no client should have to see


def garbage() -> Script:
    """Answer with bytes that are no HTTP: `provider.script(garbage())`."""
    return [b"\x16\x03\x01\x00\x00this is not HTTP\r\n\r\n", close()]


def half_head() -> Script:
    """Stop in the middle of the head: `provider.script(half_head())`."""
    return [b"HTTP/1.1 200 OK\r\ncontent-type: applica", close()]


def many_headers(count: int, size: int = 1) -> Headers:
    """Return `count` fields of `size` bytes: `respond(b"{}", headers=many_headers(500))`."""
    return [(f"x-many-{number}", "v" * size) for number in range(count)]


def bad_chunk(before: bytes = b"{}") -> Script:
    """Break a chunked body with an invalid size: `provider.script(bad_chunk())`."""
    fields = [("content-type", "application/json"), ("transfer-encoding", "chunked")]
    return [head(200, fields) + chunk(before) + b"zz\r\nxx\r\n", hang()]
