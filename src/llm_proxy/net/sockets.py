"""Socket options that every connection gets, on both sides."""

import asyncio
import socket
import struct


def tune(transport: asyncio.BaseTransport) -> None:
    """Send at once, and notice peers that vanished.

    Without TCP_NODELAY the first event of a stream waits for the acknowledgement of its head,
    up to 40 ms.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def reset_on_close(transport: asyncio.BaseTransport) -> None:
    """Let the next close be a reset: an orderly one is the end of a body without a length."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
