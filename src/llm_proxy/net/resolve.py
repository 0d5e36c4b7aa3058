"""Names to addresses, remembered for a while, and used stale when the resolver fails."""

import asyncio
import ipaddress
import socket

KEEP_S = 30.0
MAX_NAMES = 256


def is_address(host: str) -> bool:
    """Return whether `host` is an IP address, which needs no resolving."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class Resolver:
    """Caches `getaddrinfo` per (host, port); concurrent questions share one answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._known: dict[tuple[str, int], tuple[float, list[str]]] = {}
        self._asking: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def resolve(self, host: str, port: int) -> list[str]:
        """Return the addresses of `host`, in the system's order of preference.

        Raises:
            OSError: The name has no address, and none is remembered.
        """
        if is_address(host):
            return [host]
        name = (host, port)
        known = self._known.get(name)
        if known is not None and known[0] > self._loop.time():
            return known[1]
        asking = self._asking.get(name)
        if asking is None:
            asking = asyncio.ensure_future(self._ask(name))
            self._asking[name] = asking
            asking.add_done_callback(lambda done: self._on_answer(name, done))
        try:
            # The question goes on when one of those who wait for it gives up.
            return await asyncio.shield(asking)
        except OSError:
            if known is not None:
                return known[1]
            raise

    async def _ask(self, name: tuple[str, int]) -> list[str]:
        found = await self._loop.getaddrinfo(name[0], name[1], type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        if len(self._known) >= MAX_NAMES:
            self._known.pop(next(iter(self._known)))
        self._known[name] = (self._loop.time() + KEEP_S, addresses)
        return addresses

    def _on_answer(self, name: tuple[str, int], done: "asyncio.Future[list[str]]") -> None:
        self._asking.pop(name, None)
        if not done.cancelled():
            done.exception()  # seen here, as nobody may wait for it any more
