"""Open connections waiting for work, kept apart by target, newest first.

Apart by (upstream, key), although connections carry no key: a provider may bind what it knows of
a key to the connection, and no mistake here can then send one key's request where another's
answer comes back. Newest first keeps the warm ones warm and lets the others age out.

A connection rests REST_S before it is used again: bytes that a faulty upstream sends behind its
answer, in a packet of their own, are then seen as what they are and not as the next answer. An
upstream that was caught at it is given every request on a connection of its own.
"""

import asyncio
from collections import deque
from collections.abc import Iterable

from llm_proxy.domain.faults import CONNECT_FAILED
from llm_proxy.domain.target import Target

from .dial import Dialer, DialError
from .timers import Wheel
from .upstream import UpstreamConnection

IDLE_S = 55.0
"""Below the 60 s after which common load balancers drop idle connections."""
MAX_IDLE = 1024
MAX_WARM = 8
CLOSED_AT_ONCE = "closed by the upstream at once"
REST_S = 0.005
"""Longer than packets of one answer are apart on the way; requests of people are farther apart."""
DISTRUST_S = 600.0
"""A handshake for every request is dear, and servers get mended."""


class Pool:
    """The connections of one target.

    Attributes:
        target: Whom they lead to.
        last_fields: Header fields of its last answer, names in lower case; not to be changed.
    """

    __slots__ = (
        "_all",
        "_dialer",
        "_distrusted_until",
        "_idle",
        "_is_closed",
        "_loop",
        "_resting",
        "_wheel",
        "last_fields",
        "target",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, wheel: Wheel, dialer: Dialer, target: Target
    ) -> None:
        self._loop = loop
        self._wheel = wheel
        self._dialer = dialer
        self._idle: list[UpstreamConnection] = []
        self._all: set[UpstreamConnection] = set()
        self._resting: deque[UpstreamConnection] = deque()
        self._is_closed = False
        self._distrusted_until = 0.0
        self.last_fields: dict[bytes, bytes] = {}
        self.target = target

    def take(self) -> UpstreamConnection | None:
        """Return an idle connection that has rested, or None."""
        resting, idle = self._resting, self._idle
        rested_at = self._loop.time() - REST_S
        while resting and resting[0].idle_since <= rested_at:
            idle.append(resting.popleft())
        while idle:
            connection = idle.pop()
            if connection.is_free:
                return connection
            connection.abort()
        return None

    async def open(self) -> UpstreamConnection:
        """Return a fresh connection.

        Raises:
            DialError: It could not be had.
        """
        connection = await self._dialer.dial(
            self.target.upstream, lambda: UpstreamConnection(self._loop, self._wheel, self)
        )
        if not connection.is_free:
            # It was forgotten before it was known; it must not come in after that.
            raise DialError(CONNECT_FAILED, CLOSED_AT_ONCE)
        self._all.add(connection)
        return connection

    async def warm(self) -> None:
        """Open one connection ahead of the first request; failing is no matter yet."""
        try:
            connection = await self.open()
        except DialError:
            return
        self.put(connection)

    def put(self, connection: UpstreamConnection) -> None:
        """Take a free connection back."""
        now = self._loop.time()
        is_full = len(self._idle) + len(self._resting) >= MAX_IDLE
        if self._is_closed or now < self._distrusted_until or is_full or not connection.is_free:
            connection.abort()
            return
        if connection.answers == 1:
            self._dialer.remember_session(self.target.upstream, connection)
        self._resting.append(connection)
        connection.set_due(now + IDLE_S)

    def distrust(self) -> None:
        """Use no connection twice for a while: the upstream sends what nobody asked for."""
        self._distrusted_until = self._loop.time() + DISTRUST_S
        for connection in (*self._idle, *self._resting):
            connection.abort()

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection of this pool is closed."""
        self._all.discard(connection)
        for waiting in (self._idle, self._resting):
            if connection in waiting:
                waiting.remove(connection)

    def close(self) -> None:
        """Close what is idle now and the rest when it is done."""
        self._is_closed = True
        for connection in (*self._idle, *self._resting):
            connection.abort()

    @property
    def sizes(self) -> tuple[int, int]:
        """(open, idle) connections."""
        return len(self._all), len(self._idle) + len(self._resting)


class Pools:
    """One pool for every target of the configuration."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wheel: Wheel, dialer: Dialer) -> None:
        self._loop = loop
        self._wheel = wheel
        self._dialer = dialer
        self._pools: dict[str, Pool] = {}

    def __getitem__(self, target: Target) -> Pool:
        """Return the pool of `target`; one of its own for a target that is configured no more.

        Requests that were under way when the configuration changed still ask such targets, and
        must not send the new key where the old one belongs.
        """
        pool = self._pools.get(target.id)
        if pool is None or (pool.target is not target and pool.target != target):
            pool = Pool(self._loop, self._wheel, self._dialer, target)
            pool.close()
        return pool

    def configure(self, targets: Iterable[Target]) -> None:
        """Have pools for `targets`; those of others, or of changed ones, are closed."""
        wanted = {target.id: target for target in targets}
        for name, pool in list(self._pools.items()):
            target = wanted.get(name)
            if target is None or target != pool.target:
                pool.close()
                del self._pools[name]
            else:
                pool.target = target
        for name, target in wanted.items():
            if name not in self._pools:
                self._pools[name] = Pool(self._loop, self._wheel, self._dialer, target)

    async def warm(self) -> None:
        """Open a connection for each of the first targets."""
        pools = list(self._pools.values())[:MAX_WARM]
        await asyncio.gather(*(pool.warm() for pool in pools))

    def sizes(self) -> tuple[int, int]:
        """(open, idle) connections of all pools."""
        sizes = [pool.sizes for pool in self._pools.values()]
        return sum(size[0] for size in sizes), sum(size[1] for size in sizes)

    def close(self) -> None:
        """Close all pools."""
        for pool in self._pools.values():
            pool.close()
