"""The heads and bodies that clients get: the upstream's, with our fields, or our own words."""

from collections.abc import Iterable

import msgspec

from llm_proxy.formats.format import Format
from llm_proxy.wire.head import connection_of, fields_down, status_line

DECODED = frozenset((b"content-encoding",))
RETOLD = DECODED | {
    b"cache-control",
    b"content-digest",
    b"content-md5",
    b"content-type",
    b"digest",
    b"etag",
    b"repr-digest",
    b"x-accel-buffering",
}
"""What an upstream says of a body that the client gets in other words."""
NOTHING: frozenset[bytes] = frozenset()
_TWINS = {b"request-id": b"x-request-id", b"x-request-id": b"request-id"}
"""The same id in other families of formats."""
RETRY_FIELDS = frozenset((b"retry-after", b"retry-after-ms", b"x-should-retry"))


class Stamp(msgspec.Struct):
    """What every answer says about itself.

    Attributes:
        request_id: `x-llm-proxy-request-id`.
        id_name: The header under which clients of the format look for a request id.
        attempts: Attempts made when the head is written.
        upstream: Name of the upstream that answered; empty = none did.
        notice: What was repaired, or empty.
        origin: `access-control-allow-origin`, or empty.
        connection: The connection line, or empty where the version's default holds.
    """

    request_id: str
    id_name: bytes
    attempts: int = 0
    upstream: str = ""
    notice: str = ""
    origin: bytes = b""
    connection: bytes = b""

    def lines(self) -> bytes:
        """Return the header lines."""
        lines = b"x-llm-proxy-request-id: %b\r\nx-llm-proxy-attempts: %d\r\n%b" % (
            self.request_id.encode(),
            self.attempts,
            b"x-llm-proxy-upstream: %b\r\n" % self.upstream.encode() if self.upstream else b"",
        )
        if self.notice:
            lines += b"x-llm-proxy-notice: %b\r\n" % self.notice.encode()
        if self.origin:
            lines += (
                b"access-control-allow-origin: %b\r\naccess-control-expose-headers: *\r\n"
                b"vary: origin\r\n" % self.origin
            )
        return lines + self.connection


def upstream_head(
    status: int,
    headers: list[tuple[bytes, bytes]],
    fields: dict[bytes, bytes],
    stamp: Stamp,
    *,
    length: int | None,
    is_chunked: bool,
    key: bytes,
    drop: frozenset[bytes] = NOTHING,
    extra: Iterable[bytes] = (),
) -> bytes:
    """Return the head of an answer that comes from an upstream.

    Args:
        status: The client's status.
        headers: The upstream's head.
        fields: The same as a dict.
        stamp: Our fields.
        length: The body's length; None = unknown.
        is_chunked: Whether an unknown length is framed by chunks or by the connection's end.
        key: The upstream's key, which is blanked if it was echoed.
        drop: Names that stay here.
        extra: Further lines.
    """
    lines = fields_down(headers, connection_of(headers, fields), drop)
    if stamp.id_name not in fields:
        given = fields.get(_TWINS.get(stamp.id_name, b""))
        lines.append(b"%b: %b\r\n" % (stamp.id_name, given or stamp.request_id.encode()))
    lines += extra
    passed = b"".join(lines)
    if key in passed:
        passed = passed.replace(key, b"*" * len(key))
    if length is not None:
        framing = b"content-length: %d\r\n\r\n" % length
    elif is_chunked:
        framing = b"transfer-encoding: chunked\r\n\r\n"
    else:
        framing = b"\r\n"
    return b"%b%b%b%b" % (status_line(status), passed, stamp.lines(), framing)


def own_answer(
    status: int,
    body: bytes,
    stamp: Stamp,
    *,
    content_type: bytes = b"application/json",
    extra: Iterable[bytes] = (),
    is_head: bool = False,
) -> bytes:
    """Return a whole answer of our own; `is_head` leaves the body out but not its length."""
    head = b"".join(
        (
            status_line(status),
            b"content-type: %b\r\ncontent-length: %d\r\n" % (content_type, len(body)),
            b"%b: %b\r\n" % (stamp.id_name, stamp.request_id.encode()),
            *extra,
            stamp.lines(),
            b"\r\n",
        )
    )
    return head if is_head else head + body


def own_stream_head(stamp: Stamp, *, is_chunked: bool) -> bytes:
    """Return the head of a stream whose upstream is not known yet."""
    return b"".join(
        (
            status_line(200),
            b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n",
            b"x-accel-buffering: no\r\n",
            b"%b: %b\r\n" % (stamp.id_name, stamp.request_id.encode()),
            stamp.lines(),
            b"transfer-encoding: chunked\r\n\r\n" if is_chunked else b"\r\n",
        )
    )


def retry_lines(retry_after_s: float | None, should_retry: bool | None) -> list[bytes]:
    """Return what tells the client whether and when to come again."""
    lines = []
    if retry_after_s is not None:
        whole = max(1, int(-(-retry_after_s // 1)))
        lines.append(b"retry-after: %d\r\n" % whole)
    if should_retry is not None:
        lines.append(b"x-should-retry: %b\r\n" % (b"true" if should_retry else b"false"))
    return lines


def error_answer(
    format_: Format,
    status: int,
    message: str,
    stamp: Stamp,
    *,
    code: str | None = None,
    param: str | None = None,
    extra: Iterable[bytes] = (),
    is_head: bool = False,
) -> bytes:
    """Return a whole error answer in the dialect of `format_`."""
    body = format_.error_body(status, message, code=code, param=param, request_id=stamp.request_id)
    return own_answer(status, body, stamp, extra=extra, is_head=is_head)
