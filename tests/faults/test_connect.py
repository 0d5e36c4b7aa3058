"""Upstreams that cannot be reached: the other one answers, and if there is none the client is told.

`a` is always asked first, `b` is behind it.
"""

import asyncio
import time
from typing import Any

import pytest

from tests.support.certificate import server_context
from tests.support.provider import black_hole_url

from .dialect import DIALECTS, assert_is_error, read
from .stage import Stage

SCENES = {"pair": 4, "black_hole": 3, "dns": 2, "tls": 2, "impatient": 1}

UNREACHABLE = [
    pytest.param("pair", "close_port", {}, "connect_refused", id="refused"),
    pytest.param("black_hole", "", {}, "connect_timeout", id="black_hole"),
    pytest.param("dns", "", {}, "dns_failed", id="name_without_address"),
    pytest.param("tls", "", {"tls": True}, "tls_failed", id="certificate_of_nobody"),
]


@pytest.mark.parametrize(("kind", "step", "how", "fault"), UNREACHABLE)
async def test_an_upstream_that_cannot_be_reached_is_stepped_over(
    stage: Stage, kind: str, step: str, how: dict[str, Any], fault: str
) -> None:
    provider = {"ssl_context": server_context()} if how else {}
    async with stage.scene(kind, **provider) as scene:
        if step:
            await scene.a.go_down()
        for dialect in DIALECTS:
            answer = await scene.ask(dialect)
            assert answer.status == 200
            assert answer.header("x-llm-proxy-upstream") == scene.upstreams[1]
        _, stream = await scene.stream("chat")
        assert read("chat", stream).ending == "whole"
        first = (await scene.records())[0]
        assert [attempt.get("fault") for attempt in first["attempts"]] == [fault, None]
        assert first["outcome"] == "ok"


@pytest.mark.parametrize(("kind", "step", "how", "fault"), UNREACHABLE)
async def test_a_client_is_told_when_no_upstream_can_be_reached(
    stage: Stage, kind: str, step: str, how: dict[str, Any], fault: str
) -> None:
    provider = {"ssl_context": server_context()} if how else {}
    async with stage.scene(kind, **provider) as scene:
        await scene.b.go_down()
        if step:
            await scene.a.go_down()
        answer = await scene.ask("messages")
        assert answer.status == 502
        assert "127.0.0.1" not in assert_is_error("messages", 502, answer.body)["message"]
        record = await scene.record()
        assert record["outcome"] == "upstream_error"
        assert {one["fault"] for one in record["attempts"]} == {fault, "connect_refused"}
        assert all(one["cost"] == "none" for one in record["attempts"])
        await scene.b.come_back()
        if step:
            await scene.a.come_back()


async def test_a_black_hole_costs_its_client_the_connect_time_once(stage: Stage) -> None:
    async with stage.scene("black_hole") as scene:
        took: list[float] = []
        for _ in range(6):
            began = time.monotonic()
            assert (await scene.ask()).status == 200
            took.append(time.monotonic() - began)
        assert 0.4 <= took[0] < 1.0
        assert max(took[1:]) < 0.3, took


async def test_nobody_waits_for_a_black_hole_that_is_known_and_it_is_used_again_once_it_heals(
    stage: Stage,
) -> None:
    async with stage.scene("impatient") as scene:
        await scene.a.go_down()
        with black_hole_url(scene.a.port):
            assert (await scene.ask()).status == 200
            took: list[float] = []
            known = time.monotonic()
            while time.monotonic() < known + 2.2:  # its first rest ends, and a look fails
                began = time.monotonic()
                assert (await scene.ask()).header("x-llm-proxy-upstream") == scene.upstreams[1]
                took.append(time.monotonic() - began)
                await asyncio.sleep(0.02)
            assert sorted(took)[-3] < 0.1, took  # the machine may be busy elsewhere once or twice
            assert max(took) < 0.3, took
        asked = [one["upstream"] for record in await scene.records() for one in record["attempts"]]
        assert asked.count(scene.upstreams[0]) == 1, "a look is nobody's attempt"
        await scene.a.come_back()
        async with asyncio.timeout(10):
            while (await scene.ask()).header("x-llm-proxy-upstream") != scene.upstreams[0]:
                await asyncio.sleep(0.05)


async def test_an_upstream_that_comes_back_is_used_again(stage: Stage) -> None:
    async with stage.scene("pair") as scene:
        await scene.a.go_down()
        for _ in range(4):
            assert (await scene.ask()).header("x-llm-proxy-upstream") == scene.upstreams[1]
        await scene.a.come_back()
        async with asyncio.timeout(5):  # its breaker rests about a second
            while (await scene.ask()).header("x-llm-proxy-upstream") != scene.upstreams[0]:
                await asyncio.sleep(0.05)
