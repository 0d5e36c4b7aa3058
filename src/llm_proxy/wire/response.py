"""Bytes of an upstream's connection to one answer; the mirror of request.py.

One answer is awaited at a time. Interim answers (1xx) are skipped. What llhttp leaves to us:
how a body without length ends, the answer to HEAD, bytes behind the answer, and every size.
RFC 9112 sections 4, 6.3, 8 and 9.2.
"""

from typing import Any, Protocol

import httptools

from llm_proxy.domain.errors import ResponseError

MAX_HEAD_BYTES = 256 * 1024
MAX_HEADER_FIELDS = 1000
_CODING = b"transfer-encoding"


class HeadTooLargeError(ResponseError):
    """The answer's head passes MAX_HEAD_BYTES or MAX_HEADER_FIELDS."""


class ResponseSink(Protocol):
    """Who gets the answer."""

    def on_head(
        self, status: int, headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]
    ) -> None:
        """The final head, names in lower case; `fields` is the same as a dict."""

    def on_data(self, data: bytes) -> None:
        """A piece of the body, framing removed."""


class ResponseReader:
    """Reads the answers on one connection; `start` before each.

    Attributes:
        is_complete: The answer is whole.
        has_surplus: Bytes came behind the answer: the connection must not be used again.
        can_continue: Another request may follow on the connection.
        has_begun: A byte of the answer has come.
    """

    __slots__ = (
        "_head_bytes",
        "_headers",
        "_in_head",
        "_is_head_request",
        "_is_interim",
        "_parser",
        "_sink",
        "_until_close",
        "can_continue",
        "has_begun",
        "has_surplus",
        "is_complete",
    )

    def __init__(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._sink: ResponseSink | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._in_head = True
        self._is_head_request = False
        self._is_interim = False
        self._until_close = False
        self.is_complete = True
        self.has_surplus = False
        self.can_continue = True
        self.has_begun = False

    def start(self, sink: ResponseSink, *, is_head_request: bool) -> None:
        """Expect the answer to a request that is about to be written."""
        self._sink = sink
        self._is_head_request = is_head_request
        self._in_head = True
        self._until_close = False
        self._head_bytes = 0
        self.is_complete = False
        self.has_begun = False

    def close(self) -> None:
        """Drop the parser and the sink, which refer to each other."""
        self._parser = None
        self._sink = None

    def feed(self, data: bytes) -> None:
        """Read `data`; afterwards look at `is_complete`.

        Raises:
            ResponseError: The answer is no HTTP or too large. The connection is worthless.
        """
        if self.is_complete:
            self.has_surplus = True
            return
        self.has_begun = True
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as wrapped:
            error = wrapped.__context__
            raise error if isinstance(error, Exception) else wrapped from None
        except httptools.HttpParserError as error:
            if not self._is_whole():
                raise ResponseError(str(error.args[0])[:100] if error.args else "") from None
            self.has_surplus = True
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            raise HeadTooLargeError("answer head too large")

    def feed_eof(self) -> bool:
        """The peer has sent all it will; return whether that is the answer's proper end."""
        if self._until_close and not self.is_complete:
            self.is_complete = True
        self.can_continue = False
        return self.is_complete

    def _is_whole(self) -> bool:
        return self.is_complete  # a call, as type checkers do not see the parser's callbacks

    # httptools' callbacks, in the order in which they come.

    def on_message_begin(self) -> None:
        if self.is_complete:
            self.has_surplus = True
            return
        self._headers = []
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            self._headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if self.is_complete or parser is None:
            return
        status = parser.get_status_code()
        if status < 100:
            raise ResponseError("no such status")
        if status < 200:
            if status == 101:
                raise ResponseError("the upstream switches protocols unasked")
            self._is_interim = True
            return
        self._is_interim = False
        if parser.get_http_version() not in ("1.1", "1.0"):
            raise ResponseError("not an HTTP/1.1 answer")
        self._in_head = False
        if len(self._headers) > MAX_HEADER_FIELDS or (
            self._head_bytes > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES
        ):
            raise HeadTooLargeError("answer head too large")
        fields = dict(self._headers)
        coding = fields.get(b"transfer-encoding")
        if coding is not None and (
            coding.lower() != b"chunked" or [f[0] for f in self._headers].count(_CODING) > 1
        ):
            raise ResponseError("unknown Transfer-Encoding")
        self._until_close = (
            coding is None and b"content-length" not in fields and status not in (204, 304)
        )
        if self._is_head_request:
            # llhttp would wait for the body that a HEAD answer only announces.
            self.is_complete = True
            self.can_continue = False
        if self._sink is not None:
            self._sink.on_head(status, self._headers, fields)

    def _head_size(self) -> int:
        return sum(len(name) + len(value) + 4 for name, value in self._headers)

    def on_body(self, data: bytes) -> None:
        if not self.is_complete and self._sink is not None:
            self._sink.on_data(data)

    def on_message_complete(self) -> None:
        parser = self._parser
        if self._is_interim or self.is_complete or parser is None:
            self._is_interim = False
            return
        self.is_complete = True
        if self._until_close or not parser.should_keep_alive():
            self.can_continue = False
