"""Bytes of a client's connection to whole requests, with every rule llhttp leaves to us.

llhttp (through httptools) refuses most malformed framing; it lets pass other HTTP versions,
codings in front of `chunked`, a missing or doubled Host, absolute-form targets, and anything of
any size. All of that is refused here, so nothing behind this file sees a request on whose framing
two parsers could disagree. RFC 9112 sections 3.2, 5, 6 and 7; RFC 9110 section 7.

An `Upgrade` offer is ignored, as RFC 9110 section 7.8 allows (JDK clients offer h2c with every
request): llhttp stops behind such a head, so the head is given to a fresh parser without the offer.
"""

from typing import Any, Protocol

import httptools

from llm_proxy.domain.errors import RequestError

from .head_fields import RequestHead
from .memo import HeadMemo, Recall

MAX_TARGET_BYTES = 8 * 1024
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADER_FIELDS = 100
MANY_PIECES = 4096
TINY_BYTES = 64
"""A body of more pieces than MANY_PIECES, each smaller than this on average, is an attack: every
piece costs a call."""

_HOP_OFFER = frozenset((b"upgrade", b"http2-settings"))


class Request:
    """One request of a client; the body is complete once `is_complete`.

    Attributes:
        head: Everything before the body; `method` to `keep_alive` are its.
        content_length: The declared body length; None when chunked; 0 without a body.
        max_body_bytes: Limit for this path, set by the handler; 0 = the server's own.
        gathered: A body that comes in several pieces, so far; None once it is whole.
        pieces: How many pieces came.
        body: The whole body once complete.
        received_bytes: Body bytes so far.
        peer: Address and port of the client's socket.
        visit: The handler's own note, kept from the head to the body.
    """

    __slots__ = (
        "body",
        "content_length",
        "fields",
        "gathered",
        "head",
        "headers",
        "http_version",
        "is_complete",
        "keep_alive",
        "max_body_bytes",
        "method",
        "path",
        "peer",
        "pieces",
        "query",
        "received_bytes",
        "visit",
    )

    def __init__(self, head: RequestHead, content_length: int | None) -> None:
        self.head = head
        # Copies of references: the head is looked at more often than requests are made.
        self.method = head.method
        self.path = head.path
        self.query = head.query
        self.http_version = head.http_version
        self.headers = head.headers
        self.fields = head.fields
        self.keep_alive = head.keep_alive
        self.content_length = content_length
        self.max_body_bytes = 0
        self.body = b""
        self.is_complete = False
        self.received_bytes = 0
        self.peer: tuple[str, int] | None = None
        self.gathered: bytearray | None = None
        self.pieces = 0
        self.visit: object | None = None

    @property
    def target(self) -> bytes:
        """The request target in origin form."""
        return self.head.target

    def has_repeated(self, name: bytes) -> bool:
        """Return whether the field `name` was sent more than once."""
        return self.head.has_repeated(name)


class RequestSink(Protocol):
    """Who gets the requests."""

    def on_head(self, request: Request) -> None:
        """The head of `request` is complete and sound; its body follows."""

    def on_body(self, request: Request, size: int) -> None:
        """`size` more body bytes were kept in `request`; may raise RequestError."""

    def on_complete(self, request: Request) -> None:
        """`request.body` is whole."""


class RequestReader:
    """Feed it a connection's bytes; it calls its sink.

    Cost: 2 µs for a request whose head was seen before, else one Python call per header field.
    """

    __slots__ = (
        "_begun",
        "_feeding",
        "_head",
        "_head_bytes",
        "_is_offer",
        "_last",
        "_parser",
        "_recall",
        "_request",
        "_sink",
    )

    def __init__(self, sink: RequestSink, memo: HeadMemo | None = None) -> None:
        """Read for `sink`.

        Args:
            sink: Gets the requests.
            memo: Heads seen before; None = every head is parsed.
        """
        self._sink: RequestSink | None = sink
        self._recall = Recall(memo) if memo is not None else None
        self._head: RequestHead | None = None
        self._request: Request | None = None
        self._last: Request | None = None
        self._begun = 0
        self._feeding = 0
        self._head_bytes = 0
        self._is_offer = False
        self._parser: Any = None  # a kilobyte, which clients with known heads do without

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way: the next byte starts a new one."""
        return self._request is None and self._head is None

    def close(self) -> None:
        """Drop the parser and the sink, which refer to each other."""
        self._parser = None
        self._sink = None
        self._request = self._last = None
        self._head = None

    def feed(self, data: bytes) -> None:
        """Read `data`.

        Raises:
            RequestError: The bytes break a rule; the connection must be closed after the answer
                and the reader must not be fed again.
        """
        was_in_head = self._head is not None
        is_fresh = not was_in_head and self._request is None
        if is_fresh and self._recall is not None:
            known = self._recall.find(data)
            if known is not None:
                self._take(known[0], known[1])
                return
        self._begun = 0
        self._feeding = len(data)
        self._parse(data)
        if self._head is not None:
            if self._begun == (0 if was_in_head else 1 if is_fresh else -1):
                # Bounds a head that never ends, whatever it consists of. A head that began
                # behind another request is counted from the next read on.
                self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES + MAX_TARGET_BYTES:
                raise RequestError(431, f"the request head is larger than {MAX_HEAD_BYTES} bytes")
        elif self._last is not None:
            last, self._last = self._last, None
            if is_fresh and self._begun == 1:
                self._remember(data, last)

    def _parse(self, data: bytes) -> None:
        if self._parser is None:
            self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._feed_without_offer(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as wrapped:
            error = wrapped.__context__
            raise error if isinstance(error, RequestError) else wrapped from None
        except httptools.HttpParserError as error:
            raise RequestError(400, f"malformed HTTP request: {_words(error)}") from None

    def _take(self, head: RequestHead, body: bytes) -> None:
        """Hand over a request whose head needs no parsing."""
        sink = self._sink
        assert sink is not None
        request = Request(head, len(body))
        sink.on_head(request)
        request.body = body
        request.received_bytes = len(body)
        request.is_complete = True
        sink.on_complete(request)

    def _remember(self, data: bytes, request: Request) -> None:
        """Remember a head that was admitted and read from the beginning of `data`."""
        recall, length = self._recall, request.content_length
        if recall is not None and length and request.head.admission is not None:
            recall.remember(data, request.head, length)

    def _feed_without_offer(self, rest: bytes) -> None:
        head = self._head
        if head is None or not self._is_offer:
            raise RequestError(400, "malformed HTTP request: unexpected upgrade")
        version = head.http_version.encode()
        lines = [b"%b %b HTTP/%b" % (head.method.encode(), head.target, version)]
        for name, value in head.headers:
            if name == b"connection":
                # What else it lists still stays on this connection.
                lines.append(b"connection: " + _without_offer(value))
            elif name not in _HOP_OFFER:
                lines.append(b"%b: %b" % (name, value))
        self._parser = httptools.HttpRequestParser(self)
        self._head = None
        self._is_offer = False
        self.feed(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    # httptools' callbacks, in the order in which they come.

    def on_message_begin(self) -> None:
        self._head = RequestHead()
        self._head_bytes = 0
        self._begun += 1

    def on_url(self, url: bytes) -> None:
        head = self._head
        assert head is not None
        head.target += url
        if len(head.target) > MAX_TARGET_BYTES:
            raise RequestError(414, f"the request target is longer than {MAX_TARGET_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        head = self._head
        if head is not None:  # else a trailer: nobody asked for it (RFC 9110 section 6.5.1)
            head.headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        head, parser, sink = self._head, self._parser, self._sink
        assert head is not None
        assert sink is not None
        head.method = parser.get_method().decode("ascii")
        head.http_version = parser.get_http_version()
        # HTTP/1.0's keep-alive needs a length with every answer, and streams have none.
        head.keep_alive = parser.should_keep_alive() and head.http_version == "1.1"
        if self._head_bytes + self._feeding > MAX_HEAD_BYTES:
            check_size(head)
        content_length = check_head(head)
        if parser.should_upgrade():
            self._is_offer = True
            return
        self._head = None
        request = self._request = self._last = Request(head, content_length)
        sink.on_head(request)

    def on_body(self, data: bytes) -> None:
        request, sink = self._request, self._sink
        assert request is not None
        assert sink is not None
        if not request.body and request.gathered is None:
            request.body = data
        elif request.gathered is None:
            request.gathered = bytearray(request.body + data)
        else:
            request.gathered += data
        request.pieces += 1
        request.received_bytes += len(data)
        if request.pieces > MANY_PIECES and request.received_bytes < request.pieces * TINY_BYTES:
            raise RequestError(400, "the body comes in too many too small chunks")
        sink.on_body(request, len(data))

    def on_message_complete(self) -> None:
        request, sink = self._request, self._sink
        if self._is_offer or request is None or sink is None:
            return
        if request.gathered is not None:
            request.body = bytes(request.gathered)
            request.gathered = None
        request.is_complete = True
        self._request = None
        sink.on_complete(request)


def _without_offer(connection: bytes) -> bytes:
    named = [name.strip() for name in connection.split(b",")]
    return b", ".join(name for name in named if name.lower() not in _HOP_OFFER)


def discard_body(request: Request) -> None:
    """Forget what came of the body; used for requests that were refused by their head."""
    request.body = b""
    request.gathered = None


def check_size(head: RequestHead) -> None:
    """Refuse a head that is too large.

    Raises:
        RequestError: 431.
    """
    if sum(len(name) + len(value) + 4 for name, value in head.headers) > MAX_HEAD_BYTES:
        raise RequestError(431, f"the request head is larger than {MAX_HEAD_BYTES} bytes")


def check_head(head: RequestHead) -> int | None:
    """Refuse what llhttp lets pass, fill in what follows from the fields, return the body's length.

    Returns:
        Bytes; None when chunked; 0 without a body.

    Raises:
        RequestError: 400, 431.
    """
    if head.http_version not in ("1.1", "1.0"):
        raise RequestError(400, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    if head.method in ("CONNECT", "TRACE"):
        raise RequestError(400, f"method {head.method} is not served here")
    if len(head.headers) > MAX_HEADER_FIELDS:
        raise RequestError(431, f"more than {MAX_HEADER_FIELDS} header fields")
    fields = head.fields = dict(head.headers)
    head.expects_continue = fields.get(b"expect", b"").lower() == b"100-continue"
    content_length = _check_framing(head)
    host = fields.get(b"host")
    if (host is None and head.http_version == "1.1") or head.has_repeated(b"host"):
        raise RequestError(400, "exactly one Host header is required")
    if host is not None and (b"," in host or b"/" in host or b"@" in host or b" " in host):
        raise RequestError(400, "the Host header is malformed")
    _check_target(head, host)
    return content_length


def _check_framing(head: RequestHead) -> int | None:
    fields = head.fields
    coding = fields.get(b"transfer-encoding")
    if coding is None:
        length = fields.get(b"content-length")
        if length is None:
            return 0
        if head.has_repeated(b"content-length") or not length.isdigit():
            raise RequestError(400, "exactly one Content-Length of digits is allowed")
        return int(length)
    if head.http_version == "1.0" or b"content-length" in fields:
        raise RequestError(400, "Transfer-Encoding is not allowed here")
    if coding.lower() != b"chunked" or head.has_repeated(b"transfer-encoding"):
        raise RequestError(400, "Transfer-Encoding must be exactly 'chunked'")
    return None


def _check_target(head: RequestHead, host: bytes | None) -> None:
    target = head.target
    if not target.startswith(b"/"):
        if target == b"*" and head.method == "OPTIONS":
            head.path = target
            return
        scheme, separator, rest = target.partition(b"://")
        authority, slash, path = rest.partition(b"/")
        if not separator or scheme.lower() not in (b"http", b"https"):
            raise RequestError(400, "the request target must be a path")
        if host is None or authority.lower() != host.lower():
            raise RequestError(400, "the request target names another host than the Host header")
        target = head.target = slash + path if slash else b"/"
    if b"#" in target:
        raise RequestError(400, "the request target must not carry a fragment")
    head.path, _, head.query = target.partition(b"?")


def _words(error: Exception) -> str:
    text = str(error.args[0]) if error.args else ""
    return text[:100] or type(error).__name__
