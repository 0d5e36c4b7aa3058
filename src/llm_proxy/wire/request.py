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

MAX_TARGET_BYTES = 8 * 1024
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADER_FIELDS = 100

_HOP_OFFER = frozenset((b"upgrade", b"connection", b"http2-settings"))


class Request:
    """One request of a client; the body is complete once `is_complete`.

    Attributes:
        method: `POST`, as sent.
        target: The request target as sent, in origin form (an absolute form is cut to it).
        path: The target up to `?`, percent-encoding kept.
        query: Behind the `?`; empty without one.
        http_version: `1.1` or `1.0`.
        headers: (lower-case name, value without outer blanks), in order, repeats kept.
        fields: The same as a dict; of repeated fields the last one counts.
        content_length: The declared body length; None when chunked; 0 without a body.
        keep_alive: Whether the client allows another request on its connection.
        body: The whole body once complete.
        max_body_bytes: Limit for this path, set by the handler; 0 = the server's own.
        parts: Pieces of a body that came in several; None once joined.
        head_at: Loop time (s) at which the head was complete; set by the server.
    """

    __slots__ = (
        "body",
        "content_length",
        "fields",
        "head_at",
        "headers",
        "http_version",
        "is_complete",
        "keep_alive",
        "max_body_bytes",
        "method",
        "parts",
        "path",
        "peer",
        "query",
        "received_bytes",
        "target",
    )

    def __init__(self) -> None:
        self.method = ""
        self.target = b""
        self.path = b""
        self.query = b""
        self.http_version = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self.fields: dict[bytes, bytes] = {}
        self.content_length: int | None = 0
        self.keep_alive = True
        self.max_body_bytes = 0
        self.body = b""
        self.is_complete = False
        self.received_bytes = 0
        self.head_at = 0.0
        self.peer: tuple[str, int] | None = None
        self.parts: list[bytes] | None = None

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body."""
        return self.fields.get(b"expect", b"").lower() == b"100-continue"

    def has_repeated(self, name: bytes) -> bool:
        """Return whether the field `name` was sent more than once."""
        return len(self.headers) != len(self.fields) and (
            sum(1 for field, _ in self.headers if field == name) > 1
        )


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

    Cost: one Python call per header field, about 3 µs for a request of an SDK.
    """

    __slots__ = (
        "_begun",
        "_head_bytes",
        "_in_head",
        "_is_offer",
        "_parser",
        "_request",
        "_sink",
        "_url",
    )

    def __init__(self, sink: RequestSink) -> None:
        self._sink: RequestSink | None = sink
        self._request: Request | None = None
        self._url = b""
        self._begun = 0
        self._head_bytes = 0
        self._in_head = False
        self._is_offer = False
        self._parser: Any = httptools.HttpRequestParser(self)

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way: the next byte starts a new one."""
        return self._request is None

    def close(self) -> None:
        """Drop the parser and the sink, which refer to each other."""
        self._parser = None
        self._sink = None
        self._request = None

    def feed(self, data: bytes) -> None:
        """Read `data`.

        Raises:
            RequestError: The bytes break a rule; the connection must be closed after the answer
                and the reader must not be fed again.
        """
        was_in_head, was_idle = self._in_head, self._request is None
        self._begun = 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._feed_without_offer(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as wrapped:
            error = wrapped.__context__
            raise error if isinstance(error, RequestError) else wrapped from None
        except httptools.HttpParserError as error:
            raise RequestError(400, f"malformed HTTP request: {_words(error)}") from None
        if self._in_head and (was_in_head or (was_idle and self._begun == 1)):
            # Bounds a head that never ends, whatever it consists of. A head that began behind
            # another request is counted from the next read on.
            self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES + MAX_TARGET_BYTES and self._in_head:
            raise RequestError(431, f"the request head is larger than {MAX_HEAD_BYTES} bytes")

    def _feed_without_offer(self, rest: bytes) -> None:
        request = self._request
        if request is None or not self._is_offer:
            raise RequestError(400, "malformed HTTP request: unexpected upgrade")
        lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.target)]
        lines += [b"%b: %b" % field for field in request.headers if field[0] not in _HOP_OFFER]
        if not request.keep_alive:
            lines.append(b"connection: close")
        self._parser = httptools.HttpRequestParser(self)
        self._request = None
        self._is_offer = False
        self.feed(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    # httptools' callbacks, in the order in which they come.

    def on_message_begin(self) -> None:
        self._request = Request()
        self._url = b""
        self._head_bytes = 0
        self._in_head = True
        self._begun += 1

    def on_url(self, url: bytes) -> None:
        self._url += url
        if len(self._url) > MAX_TARGET_BYTES:
            raise RequestError(414, f"the request target is longer than {MAX_TARGET_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._request
        if request is None or not self._in_head:
            return  # trailers of a chunked body: nobody asked for them (RFC 9110 section 6.5.1)
        headers = request.headers
        headers.append((name.lower(), value.strip(b" \t")))
        if len(headers) > MAX_HEADER_FIELDS:
            raise RequestError(431, f"more than {MAX_HEADER_FIELDS} header fields")

    def on_headers_complete(self) -> None:
        request, parser, sink = self._request, self._parser, self._sink
        assert request is not None
        assert sink is not None
        request.method = parser.get_method().decode("ascii")
        request.http_version = parser.get_http_version()
        request.target = self._url
        request.fields = dict(request.headers)
        request.keep_alive = parser.should_keep_alive()
        if sum(len(n) + len(v) + 4 for n, v in request.headers) > MAX_HEAD_BYTES:
            raise RequestError(431, f"the request head is larger than {MAX_HEAD_BYTES} bytes")
        check_head(request)
        if parser.should_upgrade():
            self._is_offer = True
            return
        self._in_head = False
        sink.on_head(request)

    def on_body(self, data: bytes) -> None:
        request, sink = self._request, self._sink
        assert request is not None
        assert sink is not None
        if not request.body and request.parts is None:
            request.body = data
        elif request.parts is None:
            request.parts = [request.body, data]
        else:
            request.parts.append(data)
        request.received_bytes += len(data)
        sink.on_body(request, len(data))

    def on_message_complete(self) -> None:
        request, sink = self._request, self._sink
        if self._is_offer or request is None or sink is None:
            return
        if request.parts is not None:
            request.body = b"".join(request.parts)
            request.parts = None
        request.is_complete = True
        self._request = None
        sink.on_complete(request)


def discard_body(request: Request) -> None:
    """Forget what came of the body; used for requests that were refused by their head."""
    request.body = b""
    request.parts = None


def check_head(request: Request) -> None:
    """Refuse what llhttp lets pass, and fill in target, path, query and length.

    Raises:
        RequestError: 400, or 505 for another HTTP version.
    """
    if request.http_version not in ("1.1", "1.0"):
        raise RequestError(400, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    if request.method in ("CONNECT", "TRACE"):
        raise RequestError(400, f"method {request.method} is not served here")
    _check_framing(request)
    fields = request.fields
    host = fields.get(b"host")
    if (host is None and request.http_version == "1.1") or request.has_repeated(b"host"):
        raise RequestError(400, "exactly one Host header is required")
    if host is not None and (b"," in host or b"/" in host or b"@" in host or b" " in host):
        raise RequestError(400, "the Host header is malformed")
    _check_target(request, host)


def _check_framing(request: Request) -> None:
    fields = request.fields
    coding = fields.get(b"transfer-encoding")
    if coding is None:
        length = fields.get(b"content-length")
        if length is not None:
            if request.has_repeated(b"content-length") or not length.isdigit():
                raise RequestError(400, "exactly one Content-Length of digits is allowed")
            request.content_length = int(length)
        return
    if request.http_version == "1.0" or b"content-length" in fields:
        raise RequestError(400, "Transfer-Encoding is not allowed here")
    if coding.lower() != b"chunked" or request.has_repeated(b"transfer-encoding"):
        raise RequestError(400, "Transfer-Encoding must be exactly 'chunked'")
    request.content_length = None


def _check_target(request: Request, host: bytes | None) -> None:
    target = request.target
    if not target.startswith(b"/"):
        if target == b"*" and request.method == "OPTIONS":
            request.path = target
            return
        scheme, separator, rest = target.partition(b"://")
        authority, slash, path = rest.partition(b"/")
        if not separator or scheme.lower() not in (b"http", b"https"):
            raise RequestError(400, "the request target must be a path")
        if host is None or authority.lower() != host.lower():
            raise RequestError(400, "the request target names another host than the Host header")
        target = request.target = slash + path if slash else b"/"
    if b"#" in target:
        raise RequestError(400, "the request target must not carry a fragment")
    path, _, request.query = target.partition(b"?")
    request.path = path


def _words(error: Exception) -> str:
    text = str(error.args[0]) if error.args else ""
    return text[:100] or type(error).__name__
