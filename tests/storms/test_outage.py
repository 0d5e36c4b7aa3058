"""Crowds of clients while upstreams are broken: who is answered, and what it costs upstream.

Everything is counted at the providers. What a proxy has to learn first is told apart by count:
the crowd asks, stops, and asks again.
"""

from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from tests.support.answers import error
from tests.support.provider import Provider
from tests.support.scripts import reset

from .conftest import MODEL, Open
from .crowd import Crowd, dialect_of


async def _fail(provider: Provider) -> None:
    provider.reply(lambda request: error(500, dialect_of(request)))


async def _reset(provider: Provider) -> None:
    provider.reply([reset()])


async def _limit(provider: Provider) -> None:
    provider.reply(lambda request: error(429, dialect_of(request)))


async def _limit_for_long(provider: Provider) -> None:
    provider.reply(lambda request: error(429, dialect_of(request), headers=[("retry-after", "30")]))


async def _refuse(provider: Provider) -> None:
    await provider.go_down()


Break = Callable[[Provider], Awaitable[None]]
BROKEN = [
    pytest.param(_fail, id="fails"),
    pytest.param(_reset, id="resets"),
    pytest.param(_limit, id="is_limited"),
    pytest.param(_refuse, id="refuses_connections"),
]

OUTAGES = [
    pytest.param(_fail, 500, 1.2, id="fails"),
    pytest.param(_reset, 502, 1.2, id="resets"),
    pytest.param(_limit, 429, 1.2, id="is_limited"),
    pytest.param(_limit_for_long, 429, 0.0, id="is_limited_for_long"),
    pytest.param(_refuse, 502, 1.2, id="refuses_connections"),
]


@pytest.mark.parametrize(("break_", "status", "most"), OUTAGES)
async def test_an_outage_of_everything_is_told_to_everybody_and_hardly_multiplied(
    pair: Open, break_: Break, status: int, most: float
) -> None:
    async with pair() as both:
        crowd = Crowd(both.proxy, MODEL, clients=200)
        await crowd.ask(400)
        for provider in (both.a, both.b):
            await break_(provider)
        learning = await crowd.ask(600)
        learnt = both.seen()
        got = await crowd.ask(1_200)
        assert {one.status for one in [*learning, *got]} == {status}
        asked = sum(one.attempts for one in got)
        if break_ is not _refuse:  # else no provider sees them
            assert asked == both.seen() - learnt
        assert asked <= most * len(got), asked / len(got)


@pytest.mark.parametrize("requests", [2_000, pytest.param(10_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("break_", BROKEN)
async def test_nobody_notices_that_one_of_two_upstreams_is_broken(
    pair: Open, break_: Break, requests: int
) -> None:
    async with pair() as both:
        crowd = Crowd(both.proxy, MODEL, clients=100)
        await crowd.ask(requests // 4)
        await break_(both.a)
        got = await crowd.ask(requests)
        assert crowd.statuses == {200: len(crowd.got)}
        last = Counter(one.upstream for one in got[requests // 2 :])
        assert last == {"upstream-2": requests // 2}
        assert sum(one.attempts for one in got) <= 1.2 * requests
