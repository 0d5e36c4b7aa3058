"""What becomes of connections to upstreams that end at awkward moments."""

import asyncio

import pytest

from llm_proxy.domain.faults import BODY_CUT, CONNECT_FAILED, GARBAGE, RESET, Fault
from llm_proxy.net.dial import Dialer
from llm_proxy.net.fetch import fetch
from llm_proxy.net.pool import Pools
from llm_proxy.net.timers import TICK_S, Wheel
from tests.net.test_upstream import HEAD, ask, pool_of, target_of
from tests.support.provider import Provider
from tests.support.scripts import reset, respond, wait


class Sink:
    """Keeps what an answer came to.

    Attributes:
        has_data: Set with the first piece of the body.
        is_over: Set at the end.
        ended_well: Whether it was whole.
        fault: Why it was not.
    """

    def __init__(self) -> None:
        self.has_data = asyncio.Event()
        self.is_over = asyncio.Event()
        self.ended_well = False
        self.fault: Fault | None = None

    def on_head(
        self, status: int, headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]
    ) -> None: ...

    def on_data(self, data: bytes) -> None:
        self.has_data.set()

    def on_end(self) -> None:
        self.ended_well = True
        self.is_over.set()

    def on_broken(self, fault: Fault, reason: str) -> None:
        self.fault = fault
        self.is_over.set()

    def on_late(self, now: float) -> None: ...


async def test_a_request_on_a_connection_that_has_just_closed_is_a_reset() -> None:
    async with Provider() as provider, pool_of(target_of(provider.url)) as pool:
        connection = await pool.open()
        await provider.wait_until(lambda: bool(provider.connections))
        provider.connections[0].close()
        async with asyncio.timeout(2):
            while connection.is_free:
                await asyncio.sleep(0.001)
        sink = Sink()
        connection.send(HEAD, b"", sink)
        async with asyncio.timeout(2):
            await sink.is_over.wait()
        assert sink.fault is RESET


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_connections_that_are_dropped_at_once_leave_nothing_behind(how: str) -> None:
    async with Provider(on_accept=how) as provider, pool_of(target_of(provider.url)) as pool:  # type: ignore[arg-type]
        for _ in range(50):
            assert (await ask(pool)).fault in (RESET, CONNECT_FAILED)
        async with asyncio.timeout(2):
            while pool.sizes != (0, 0):
                await asyncio.sleep(0.001)


async def test_a_body_without_a_length_that_ends_by_a_reset_is_cut() -> None:
    async with Provider() as provider, pool_of(target_of(provider.url)) as pool:
        seen = Sink()
        script = respond(b"half of it", framing="close")[:-1]
        provider.script([*script, wait(seen.has_data), reset()])
        connection = await pool.open()
        connection.send(HEAD, b"", seen)
        await seen.is_over.wait()
        assert (seen.ended_well, seen.fault) == (False, BODY_CUT)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.1 099 X\r\ncontent-length: 0\r\n\r\n", id="status_below_100"),
        pytest.param(b"HTTP/1.1 000 X\r\ncontent-length: 0\r\n\r\n", id="status_0"),
        pytest.param(
            b"HTTP/1.1 200 X\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n0\r\n\r\n",
            id="two_framings",
        ),
        pytest.param(
            b"HTTP/1.1 200 X\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n0\r\n\r\n",
            id="two_codings",
        ),
    ],
)
async def test_an_answer_that_two_readers_could_read_differently_is_garbage(head: bytes) -> None:
    async with Provider() as provider, pool_of(target_of(provider.url)) as pool:
        provider.script([head])
        assert (await ask(pool)).fault is GARBAGE


async def test_a_target_of_an_older_configuration_can_still_be_asked() -> None:
    async with Provider() as provider:
        loop = asyncio.get_running_loop()
        wheel = Wheel(loop)
        pools = Pools(loop, wheel, Dialer(loop))
        old, same = target_of(provider.url), target_of(provider.url)
        changed = target_of(provider.url, connect_s=9)
        pools.configure([old])
        pool = pools[old]
        pools.configure([same])
        assert pools[same] is pools[old] is pool
        assert pool.target is same
        pools.configure([changed])
        assert pools[changed].target is changed
        assert pools[old].target is old
        pools.configure([])
        assert (await fetch(loop, pools[old], HEAD, timeout_s=2)).status == 200
        assert pools.sizes() == (0, 0)
        async with asyncio.timeout(2):
            while provider.open_connections:
                await asyncio.sleep(0.001)
        pools.close()
        wheel.close()


class Item:
    """Something with a deadline."""

    def __init__(self, *, is_faulty: bool) -> None:
        self.due = 0.0
        self.slot = 0
        self.was_due = asyncio.Event()
        self._is_faulty = is_faulty

    def on_due(self, now: float) -> None:
        self.was_due.set()
        if self._is_faulty:
            raise RuntimeError("a bug")


async def test_one_faulty_deadline_takes_no_other_with_it() -> None:
    loop = asyncio.get_running_loop()
    told: list[object] = []
    loop.set_exception_handler(lambda _, context: told.append(context.get("exception")))
    wheel = Wheel(loop)
    due = loop.time() + TICK_S
    items = [Item(is_faulty=number % 2 == 0) for number in range(8)]
    later = Item(is_faulty=False)
    for item in items:
        wheel.arm(item, due)
    wheel.arm(later, due + 3 * TICK_S)
    async with asyncio.timeout(2):
        for item in (*items, later):
            await item.was_due.wait()
    assert len(told) == 4
    wheel.close()
