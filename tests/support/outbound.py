"""Outbound proxies for tests: HTTP CONNECT and SOCKS5, with or without credentials."""

import asyncio
import base64
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class OutboundProxy:
    """What a proxy was asked for.

    Attributes:
        url: Without credentials.
        asked: `host:port` of every tunnel, as named by the client.
        refuse: Answer every tunnel with a refusal.
        credentials: `user:password` that is wanted; empty = none.
    """

    def __init__(self, scheme: str, port: int, credentials: str) -> None:
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.asked: list[str] = []
        self.refuse = False
        self.credentials = credentials

    def url_with(self, credentials: str) -> str:
        """Return the address with `user:password` in it."""
        return self.url.replace("://", f"://{credentials}@")


@asynccontextmanager
async def outbound_proxy(scheme: str, credentials: str = "") -> AsyncIterator[OutboundProxy]:
    """Run a proxy of `http` or `socks5` on loopback."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            opened = await (_connect if scheme == "http" else _socks5)(proxy, reader, writer)
            if opened is not None:
                await _tunnel(reader, writer, *opened)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy = OutboundProxy(scheme, server.sockets[0].getsockname()[1], credentials)
    try:
        yield proxy
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _connect(
    proxy: OutboundProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Streams | None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    method, authority, _ = head.split(" ", 2)
    assert method == "CONNECT"
    proxy.asked.append(authority)
    wanted = base64.b64encode(proxy.credentials.encode()).decode()
    if proxy.credentials and f"Proxy-Authorization: Basic {wanted}\r\n" not in head:
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        return None
    if proxy.refuse:
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
        return None
    host, _, port = authority.rpartition(":")
    upstream = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 Connection established\r\nx: y\r\n\r\n")
    return upstream


async def _socks5(
    proxy: OutboundProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Streams | None:
    methods = await reader.readexactly((await reader.readexactly(2))[1])
    if proxy.credentials:
        if 2 not in methods:
            writer.write(b"\x05\xff")
            return None
        writer.write(b"\x05\x02")
        user = await reader.readexactly((await reader.readexactly(2))[1])
        password = await reader.readexactly((await reader.readexactly(1))[0])
        is_right = f"{user.decode()}:{password.decode()}" == proxy.credentials
        writer.write(b"\x01\x00" if is_right else b"\x01\x01")
        if not is_right:
            return None
    else:
        writer.write(b"\x05\x00")
    kind = (await reader.readexactly(4))[3]
    if kind == 1:
        host = socket.inet_ntoa(await reader.readexactly(4))
    else:
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
    (port,) = struct.unpack(">H", await reader.readexactly(2))
    proxy.asked.append(f"{host}:{port}")
    if proxy.refuse:
        writer.write(b"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00")
        return None
    upstream = await asyncio.open_connection(host, port)
    writer.write(b"\x05\x00\x00\x03\x09localhost\x00\x50")
    return upstream


async def _tunnel(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    up_reader: asyncio.StreamReader,
    up_writer: asyncio.StreamWriter,
) -> None:
    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    try:
        await asyncio.gather(copy(reader, up_writer), copy(up_reader, writer))
    finally:
        up_writer.close()
