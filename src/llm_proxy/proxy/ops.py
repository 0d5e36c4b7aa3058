"""Answers for operators and browsers that need no store, no upstream and no page."""

from collections.abc import Awaitable, Callable

from llm_proxy.domain.secret import AccessKey
from llm_proxy.net.client import ClientConnection
from llm_proxy.policy.access import AccessTable
from llm_proxy.wire.head import status_line
from llm_proxy.wire.path import repair
from llm_proxy.wire.request import Request

PREFLIGHT_S = 600
METHODS = b"GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"


class Ops:
    """`/health`, `/ready`, `/metrics`, `HEAD /` and OPTIONS."""

    def __init__(
        self,
        *,
        unready: Callable[[], str],
        metrics: Callable[[], Awaitable[bytes]],
        is_metrics_public: Callable[[], bool],
        access: Callable[[], AccessTable],
        allowed_origin: Callable[[Request], bytes],
    ) -> None:
        """Wire it.

        Args:
            unready: Returns why nothing can be served, or an empty string.
            metrics: Makes the exposition, off the loop.
            is_metrics_public: Whether they need no access key.
            access: The access keys in force.
            allowed_origin: What `access-control-allow-origin` says to a request.
        """
        self._unready = unready
        self._metrics = metrics
        self._is_metrics_public = is_metrics_public
        self._access = access
        self._allowed_origin = allowed_origin

    def answer(self, request: Request) -> bytes | None:
        """Return the whole answer, or None where `expose` gives it or the path is not ours."""
        path, method = request.path, request.method
        if method == "OPTIONS":
            return self._options(request)
        if path == b"/" and method == "HEAD":
            return _whole(request, 200, b"", b"text/html; charset=utf-8")
        if path not in (b"/health", b"/ready", b"/metrics"):
            return None
        if method not in ("GET", "HEAD"):
            return _whole(request, 405, b'{"error":"use GET"}\n', extra=b"allow: GET, HEAD\r\n")
        if path == b"/health":
            return _whole(request, 200, b'{"status":"ok"}\n')
        if path == b"/ready":
            reason = self._unready()
            if reason:
                return _whole(request, 503, b'{"status":"%b"}\n' % reason.encode())
            return _whole(request, 200, b'{"status":"ready"}\n')
        return None if self._may_scrape(request) else _denied(request)

    def takes(self, path: bytes) -> bool:
        """Return whether `expose` answers `path`."""
        return path == b"/metrics"

    async def expose(self, client: ClientConnection, request: Request) -> None:
        """Answer a scrape that `answer` has let pass."""
        try:
            text = await self._metrics()
        except BaseException:
            client.abort()
            raise
        kind = b"text/plain; version=0.0.4; charset=utf-8"
        client.write(_whole(request, 200, text, kind))
        client.finish()

    def _may_scrape(self, request: Request) -> bool:
        fields = request.fields
        return self._is_metrics_public() or isinstance(
            self._access().check(
                fields.get(b"authorization"), fields.get(b"x-api-key"), fields.get(b"api-key")
            ),
            AccessKey,
        )

    def _options(self, request: Request) -> bytes:
        lines = b"allow: %b\r\n" % METHODS
        origin = self._allowed_origin(request)
        if origin and repair(request.path) is not None:
            asked = request.fields.get(b"access-control-request-headers", b"*")
            lines += (
                b"access-control-allow-origin: %b\r\naccess-control-allow-methods: %b\r\n"
                b"access-control-allow-headers: %b\r\naccess-control-max-age: %d\r\n"
                b"vary: origin\r\n" % (origin, METHODS, asked, PREFLIGHT_S)
            )
        connection = b"" if request.keep_alive else b"connection: close\r\n"
        return status_line(204) + lines + connection + b"\r\n"


def _denied(request: Request) -> bytes:
    body = b'{"error":"Permission Denied: /metrics needs an access key"}\n'
    return _whole(request, 401, body, extra=b"www-authenticate: Bearer\r\n")


def _whole(
    request: Request,
    status: int,
    body: bytes,
    kind: bytes = b"application/json",
    *,
    extra: bytes = b"",
) -> bytes:
    connection = b"" if request.keep_alive else b"connection: close\r\n"
    head = b"%bcontent-type: %b\r\ncontent-length: %d\r\ncache-control: no-store\r\n%b%b\r\n" % (
        status_line(status),
        kind,
        len(body),
        extra,
        connection,
    )
    return head if request.method == "HEAD" else head + body
