"""Heads are rebuilt, never forwarded: which fields pass in which direction, and how heads look.

A head made here has one status or request line, one framing, and no field that belongs to the
connection on the other side (RFC 9110 section 7.6.1), to the client's own account, or to us.
"""

from collections.abc import Iterable
from http import HTTPStatus

Fields = Iterable[tuple[bytes, bytes]]

_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    )
)

_NEVER_UP = _HOP | frozenset(
    (
        b"accept-encoding",
        b"anthropic-workspace-id",
        b"api-key",
        b"authorization",
        b"content-length",
        b"cookie",
        b"expect",
        b"forwarded",
        b"host",
        b"openai-organization",
        b"openai-project",
        b"origin",
        b"proxy-authorization",
        b"referer",
        b"true-client-ip",
        b"via",
        b"x-api-key",
        b"x-goog-api-key",
        b"x-real-ip",
    )
)
_NEVER_UP_PREFIXES = (b"x-forwarded-", b"cf-", b"x-llm-proxy-", b"sec-", b"access-control-")

_NEVER_DOWN = _HOP | frozenset(
    (
        b"alt-svc",
        b"anthropic-organization-id",
        b"content-length",
        b"openai-organization",
        b"openai-project",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"server",
        b"set-cookie",
        b"strict-transport-security",
        b"via",
        b"www-authenticate",
    )
)
_NEVER_DOWN_PREFIXES = (b"access-control-", b"x-llm-proxy-", b"cf-")

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}


def status_line(status: int) -> bytes:
    """Return the status line; codes without a registered phrase (529) get none."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def connection_of(headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]) -> bytes | None:
    """Return what all Connection fields of a head list; None without one.

    Args:
        headers: (lower-case name, value) as read.
        fields: The same as a dict.
    """
    value = fields.get(b"connection")
    if value is None or len(fields) == len(headers):
        return value
    return b",".join([value for name, value in headers if name == b"connection"])


def fields_up(headers: Fields, connection: bytes | None) -> list[bytes]:
    """Return the header lines of a client's request that its upstream gets.

    Args:
        headers: (lower-case name, value) as read.
        connection: The Connection field's value; the names it lists stay here too.
    """
    named = _named(connection)
    return [
        b"%b: %b\r\n" % field for field in headers if _passes_up[field[0]] and field[0] not in named
    ]


def fields_down(headers: Fields, connection: bytes | None, drop: frozenset[bytes]) -> list[bytes]:
    """Return the header lines of an upstream's answer that its client gets.

    Args:
        headers: (lower-case name, value) as read.
        connection: The Connection field's value; the names it lists stay here too.
        drop: Further names that stay here (`content-encoding` of a decoded body).
    """
    named = _named(connection) | drop
    return [
        b"%b: %b\r\n" % field
        for field in headers
        if _passes_down[field[0]] and field[0] not in named
    ]


class _Verdicts(dict[bytes, bool]):
    """Whether names pass; those seen before, as the same few dozen come with every message."""

    def __init__(self, never: frozenset[bytes], prefixes: tuple[bytes, ...]) -> None:
        super().__init__()
        self._never = never
        self._prefixes = prefixes

    def __missing__(self, name: bytes) -> bool:
        passes = name not in self._never and not name.startswith(self._prefixes)
        if len(self) < MAX_NAMES and len(name) <= MAX_NAME_BYTES:
            self[name] = passes
        return passes


MAX_NAMES = 1024
MAX_NAME_BYTES = 64
_passes_up = _Verdicts(_NEVER_UP, _NEVER_UP_PREFIXES)
_passes_down = _Verdicts(_NEVER_DOWN, _NEVER_DOWN_PREFIXES)


def _named(connection: bytes | None) -> frozenset[bytes]:
    if connection is None or connection in (b"keep-alive", b"close", b"Keep-Alive"):
        return frozenset()
    return frozenset(name.strip().lower() for name in connection.split(b","))


def chunk(data: bytes) -> bytes:
    """Return `data` as one chunk of the chunked coding (RFC 9112 section 7.1); never empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
"""Ends a chunked body, without trailers."""
