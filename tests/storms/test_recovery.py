"""A broken upstream heals while a crowd of clients is there: it is found again, by one of them."""

import asyncio

import pytest

from tests.support.answers import error, healthy
from tests.support.provider import Provider, Request
from tests.support.scripts import Script, reset, signal, wait

from .conftest import MODEL, Open
from .crowd import Crowd, dialect_of

WITHIN_S = 10.0
"""A healed upstream is in use again after so long at most."""

RESETS, REFUSED = (pytest.param(how, marks=pytest.mark.long) for how in ("resets", "is_refused"))


async def _break(provider: Provider, how: str) -> None:
    answers = {"fails": 500, "is_refused": 401}
    if how == "is_closed":
        await provider.go_down()
    elif how == "resets":
        provider.reply([reset()])
    else:
        provider.reply(lambda request: error(answers[how], dialect_of(request)))


@pytest.mark.parametrize("how", ["fails", RESETS, "is_refused", "is_closed"])
async def test_one_request_at_a_time_finds_out_whether_an_upstream_is_well_again(
    pair: Open, how: str
) -> None:
    async with pair() as both:
        crowd = Crowd(both.proxy, MODEL, clients=100)
        await crowd.ask(200)
        await _break(both.a, how)
        await crowd.ask(400)
        probed, go = asyncio.Event(), asyncio.Event()

        def slowly(request: Request) -> Script:
            whole = healthy(request.path, stream=request.stream, model=MODEL)
            return [signal(probed), wait(go), *whole]

        both.a.reply(slowly)
        if how == "is_closed":
            await both.a.come_back()
        before = len(both.a.requests)
        async with crowd.asking():
            await crowd.until(probed.is_set, within_s=WITHIN_S)
            answered = len(crowd.got)
            await crowd.until(lambda: len(crowd.got) > answered + 600, within_s=WITHIN_S)
            assert len(both.a.requests) - before == 1
            assert {one.upstream for one in crowd.got[answered:]} == {"upstream-2"}
            both.a.forget()
            go.set()
            await crowd.until(lambda: len(both.a.requests) > before + 200, within_s=WITHIN_S)
        assert crowd.statuses == {200: len(crowd.got)}


@pytest.mark.parametrize("how", ["fails", REFUSED])
async def test_an_upstream_that_stays_broken_is_looked_at_by_few(pair: Open, how: str) -> None:
    async with pair() as both:
        await _break(both.a, how)
        crowd = Crowd(both.proxy, MODEL, clients=100)
        await crowd.ask(400)
        before = len(both.a.requests)
        async with crowd.asking():
            await crowd.until(lambda: len(both.a.requests) > before + 1, within_s=WITHIN_S)
        assert len(both.a.requests) - before < 5
        assert crowd.statuses == {200: len(crowd.got)}


@pytest.mark.long
@pytest.mark.parametrize("down_s", [2.0, 20.0], ids=["short_outage", "long_outage"])
async def test_an_upstream_whose_port_was_closed_is_in_use_within_ten_seconds(
    pair: Open, down_s: float
) -> None:
    async with pair() as both:
        crowd = Crowd(both.proxy, MODEL, clients=100)
        await crowd.ask(400)
        await both.a.go_down()
        async with crowd.asking():
            await asyncio.sleep(down_s)  # the length of the outage is what the rests grow by
            before = len(both.a.requests)
            await both.a.come_back()
            await crowd.until(lambda: len(both.a.requests) > before + 100, within_s=WITHIN_S)
        assert crowd.statuses == {200: len(crowd.got)}
