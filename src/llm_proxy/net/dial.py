"""From an upstream's name to an open connection: names, race of addresses, outbound proxy, TLS.

The handshake with an outbound proxy (HTTP CONNECT, RFC 9110 section 9.3.6; SOCKS5, RFC 1928 and
1929) is done on the bare socket before a transport exists, so that TLS starts on a clean one.
"""

import asyncio
import base64
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import unquote, urlsplit

from llm_proxy.domain.faults import (
    CONNECT_FAILED,
    CONNECT_REFUSED,
    CONNECT_TIMEOUT,
    DNS_FAILED,
    PROXY_FAILED,
    TLS_FAILED,
    Fault,
)
from llm_proxy.domain.target import Upstream

from .resolve import Resolver, is_address
from .tls import ResumingContext, client_context
from .upstream import UpstreamConnection

RACE_S = 0.25
"""Head start of one address before the next is tried beside it (RFC 8305 section 5)."""
MAX_PROXY_HEAD_BYTES = 16 * 1024


class DialError(Exception):
    """No connection; `fault` says why, the text is safe to show."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault


class _ProxyError(Exception):
    """The outbound proxy said no."""


class Factory(Protocol):
    """Makes the protocol of a new connection."""

    def __call__(self) -> UpstreamConnection: ...


class Dialer:
    """Opens connections; shares the resolver's cache and the TLS context."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, ca_file: str | None = None) -> None:
        self._loop = loop
        self._resolver = Resolver(loop)
        self._ca_file = ca_file
        self._context: ResumingContext | None = None

    async def dial(self, upstream: Upstream, factory: Factory) -> UpstreamConnection:
        """Return an open connection to `upstream`, within its `connect_s`.

        Raises:
            DialError: It could not be had.
        """
        limit_s = upstream.timeouts.connect_s or None
        try:
            async with asyncio.timeout(limit_s):
                return await self._open(upstream, factory)
        except TimeoutError:
            raise DialError(CONNECT_TIMEOUT, "no connection in time") from None
        except ssl.SSLCertVerificationError as error:
            raise DialError(TLS_FAILED, f"certificate: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise DialError(TLS_FAILED, error.reason or "TLS handshake failed") from None
        except socket.gaierror as error:
            raise DialError(DNS_FAILED, error.strerror or "unknown name") from None
        except ConnectionRefusedError:
            raise DialError(CONNECT_REFUSED, "connection refused") from None
        except _ProxyError as error:
            raise DialError(PROXY_FAILED, str(error)) from None
        except (OSError, UnicodeError) as error:
            raise DialError(CONNECT_FAILED, type(error).__name__) from None

    def remember_session(self, upstream: Upstream, connection: UpstreamConnection) -> None:
        """Keep the TLS session of `connection` for the next handshake with the same server."""
        if self._context is not None:
            tls = connection.transport.get_extra_info("ssl_object")
            if tls is not None:
                self._context.remember(upstream.host, tls)

    async def _open(self, upstream: Upstream, factory: Factory) -> UpstreamConnection:
        context = None
        if upstream.scheme == "https":
            if self._context is None:
                self._context = client_context(self._ca_file)
            context = self._context
        if upstream.proxy is not None:
            sock = await self._through_proxy(upstream, upstream.proxy.reveal())
            try:
                return await self._wrap(sock, upstream, context, factory)
            except BaseException:
                sock.close()
                raise
        addresses = await self._resolver.resolve(upstream.host, upstream.port)

        async def connect(address: str) -> UpstreamConnection:
            _, protocol = await self._loop.create_connection(
                factory,
                address,
                upstream.port,
                ssl=context,
                server_hostname=upstream.host if context else None,
            )
            return protocol

        return await _race(addresses, connect)

    async def _wrap(
        self,
        sock: socket.socket,
        upstream: Upstream,
        context: ResumingContext | None,
        factory: Factory,
    ) -> UpstreamConnection:
        _, protocol = await self._loop.create_connection(
            factory, sock=sock, ssl=context, server_hostname=upstream.host if context else None
        )
        return protocol

    async def _through_proxy(self, upstream: Upstream, proxy: str) -> socket.socket:
        parts = urlsplit(proxy)
        host, port = parts.hostname or "", parts.port or (1080 if "socks" in parts.scheme else 8080)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        addresses = await self._resolver.resolve(host, port)
        family = socket.AF_INET6 if ":" in addresses[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await self._loop.sock_connect(sock, (addresses[0], port))
            wire = _Wire(self._loop, sock)
            if parts.scheme.startswith("socks5"):
                await _socks5(wire, upstream, user, password)
            else:
                await _http_connect(wire, upstream, user, password)
        except BaseException:
            sock.close()
            raise
        return sock


class _Wire:
    """Exact reads and writes on a non-blocking socket."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self._sock = sock

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._sock, data)

    async def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = await self._loop.sock_recv(self._sock, size - len(data))
            if not piece:
                raise _ProxyError("the outbound proxy closed the connection")
            data += piece
        return data


async def _http_connect(wire: _Wire, upstream: Upstream, user: str, password: str) -> None:
    host = f"[{upstream.host}]" if ":" in upstream.host else upstream.host
    authority = f"{host}:{upstream.port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if user or password:
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {token}")
    await wire.send(("\r\n".join(lines) + "\r\n\r\n").encode())
    head = b""
    # Byte by byte: what follows the head belongs to the tunnel. Once per connection.
    while not head.endswith(b"\r\n\r\n"):
        if len(head) >= MAX_PROXY_HEAD_BYTES:
            raise _ProxyError("the outbound proxy's answer is too large")
        head += await wire.read(1)
    status = head.split(b"\r\n", 1)[0].split(b" ")
    if len(status) < 2 or not status[0].startswith(b"HTTP/1.") or not status[1].startswith(b"2"):
        code = status[1][:3].decode("ascii", "replace") if len(status) > 1 else "?"
        raise _ProxyError(f"the outbound proxy answered {code} to CONNECT")


async def _socks5(wire: _Wire, upstream: Upstream, user: str, password: str) -> None:
    await wire.send(b"\x05\x02\x00\x02" if user else b"\x05\x01\x00")
    version, method = await wire.read(2)
    if version != 5 or method not in (0, 2):
        raise _ProxyError("the outbound proxy wants an unknown SOCKS method")
    if method == 2:
        name, word = user.encode()[:255], password.encode()[:255]
        await wire.send(b"\x01%c%b%c%b" % (len(name), name, len(word), word))
        if (await wire.read(2))[1] != 0:
            raise _ProxyError("the outbound proxy refused user and password")
    await wire.send(b"\x05\x01\x00" + _socks_address(upstream.host, upstream.port))
    _, code, _, kind = await wire.read(4)
    if code != 0:
        raise _ProxyError(f"the outbound proxy answered SOCKS error {code}")
    size = {1: 4, 4: 16}.get(kind)
    if size is None:
        size = (await wire.read(1))[0]
    await wire.read(size + 2)


def _socks_address(host: str, port: int) -> bytes:
    if is_address(host):
        family, kind = (socket.AF_INET6, 4) if ":" in host else (socket.AF_INET, 1)
        return bytes([kind]) + socket.inet_pton(family, host) + struct.pack(">H", port)
    name = host.encode("idna")
    return bytes([3, len(name)]) + name + struct.pack(">H", port)


async def _race(
    addresses: list[str], connect: Callable[[str], Awaitable[UpstreamConnection]]
) -> UpstreamConnection:
    """Return the first connection; each address gets RACE_S before the next joins in.

    Raises:
        OSError: The last address's error when all failed.
    """
    if len(addresses) == 1:
        return await connect(addresses[0])
    waiting = list(addresses)
    running: set[asyncio.Future[UpstreamConnection]] = set()
    error: BaseException | None = None
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(connect(waiting.pop(0))))
            done, running = await asyncio.wait(
                running,
                timeout=RACE_S if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for future in done:
                error = future.exception()
                if error is None:
                    done.discard(future)
                    running |= done
                    return future.result()
        assert error is not None
        raise error
    finally:
        for future in running:
            future.add_done_callback(_drop)
            future.cancel()


def _drop(future: "asyncio.Future[UpstreamConnection]") -> None:
    with contextlib.suppress(BaseException):
        future.result().abort()
