"""Rate limits: another key at once, a short wait where there is none, and an honest 429 at last."""

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from tests.support.answers import Dialect, error, to_json
from tests.support.scripts import Script, respond

from .dialect import DIALECTS, JSON, STREAM, assert_is_error, read
from .stage import Stage

SCENES = {"pair": 72, "keys": 28, "single": 18}

ALL_LIMITED = "错误重试全都rate limit,请再次重试."


def limited(*headers: tuple[str, str]) -> Callable[[Dialect], Script]:
    """Answer 429 with header fields."""
    return lambda dialect: error(429, dialect, headers=headers)


SPELLINGS: dict[str, Callable[[Dialect], Script]] = {
    "seconds": limited(("retry-after", "30")),
    "fraction": limited(("retry-after", "29.5")),
    "date": lambda dialect: error(
        429, dialect, headers=[("retry-after", formatdate(time.time() + 30, usegmt=True))]
    ),
    "milliseconds": limited(("retry-after-ms", "29500")),
    "milliseconds_first": limited(("retry-after", "7000"), ("retry-after-ms", "29500")),
    "other_case": limited(("Retry-After", " 30 ")),
    "words_in_the_body": lambda dialect: error(
        429, dialect, message="Rate limit reached. Please try again in 29.5s."
    ),
    "google_in_the_body": lambda _: respond(
        to_json(
            {
                "error": {
                    "code": 429,
                    "status": "RESOURCE_EXHAUSTED",
                    "message": "Quota",
                    "details": [{"retryDelay": "30s"}],
                }
            }
        ),
        status=429,
    ),
}
NO_ADVICE: dict[str, Callable[[Dialect], Script]] = {
    "none": limited(),
    "text": lambda _: respond(b"slow down", status=429, content_type="text/plain"),
    "empty": lambda _: respond(b"", status=429, content_type=""),
    "html": lambda _: respond(b"<h1>429</h1>", status=429, content_type="text/html"),
    "zero": limited(("retry-after", "0")),
    "negative": limited(("retry-after", "-5")),
    "nan": limited(("retry-after", "nan")),
    "infinite": limited(("retry-after", "1e400")),
    "list": limited(("retry-after", "5, 6")),
    "past": limited(("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")),
    "year_9999": limited(("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")),
    "word": limited(("retry-after", "soon")),
    "month": limited(("retry-after", "2592000")),
}


@pytest.mark.parametrize("name", [*SPELLINGS, *NO_ADVICE])
async def test_a_limited_key_is_stepped_over_at_once(stage: Stage, name: str) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene() as scene:
            make = (SPELLINGS | NO_ADVICE)[name]
            scene.a.reply(make(dialect))
            answer = await scene.ask(dialect)
            assert answer.status == 200
            record = await scene.record()
            first, second = record["attempts"]
            assert (first["fault"], first["status"]) == ("rate_limited", 429)
            assert record["outcome"] == "ok"
            if name in SPELLINGS:
                assert 28 <= first["cool_s"] <= 30.1
            else:
                assert 0.3 <= first["cool_s"] <= 0.7
            assert second.get("wait_ms", 0) < 250

    await asyncio.gather(*map(try_one, DIALECTS))


@pytest.mark.parametrize("name", SPELLINGS)
async def test_when_all_keys_are_limited_the_client_is_told_when_to_come_back(
    stage: Stage, name: str
) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene("keys") as scene:
            scene.is_usable_again = False  # they rest as long as told
            scene.a.reply(SPELLINGS[name](dialect))
            began = time.monotonic()
            answer = await scene.ask(dialect)
            assert answer.status == 429
            assert answer.header("retry-after") in {"28", "29", "30"}
            assert answer.header("x-should-retry") is None
            message = assert_is_error(dialect, 429, answer.body)["message"]
            assert ALL_LIMITED in message
            assert "2 attempts" in message
            # the next one does not touch the upstream
            again = await scene.ask(dialect)
            assert again.status == 429
            assert ALL_LIMITED in assert_is_error(dialect, 429, again.body)["message"]
            assert again.header("x-llm-proxy-attempts") == "0"
            assert time.monotonic() - began < 1.5
            assert len(scene.a.requests) == 2
            assert [one["outcome"] for one in await scene.records()] == ["rate_limited"] * 2

    await asyncio.gather(*map(try_one, DIALECTS))


async def test_the_soonest_key_decides_when_to_come_back(stage: Stage) -> None:
    async with stage.scene() as scene:
        scene.is_usable_again = False
        scene.a.reply(error(429, headers=[("retry-after", "50")]))
        scene.b.reply(error(429, headers=[("retry-after", "20")]))
        assert (await scene.ask()).header("retry-after") in {"19", "20"}


async def test_a_long_wait_says_that_repeating_is_pointless(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        scene.is_usable_again = False
        scene.a.reply(error(429, headers=[("retry-after", "90")]))
        answer = await scene.ask()
        assert answer.header("retry-after") in {"89", "90"}
        assert answer.header("x-should-retry") == "false"


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
async def test_a_short_limit_of_the_only_key_is_waited_for(stage: Stage, stream: bool) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene("single") as scene:
            scene.a.script(error(429, dialect, headers=[("retry-after", "1")]))
            began = time.monotonic()
            answer = await scene.ask(dialect, stream=stream)
            took_s = time.monotonic() - began
            assert answer.status == 200
            assert 0.95 < took_s < 2.5
            record = await scene.record()
            assert [one.get("fault") for one in record["attempts"]] == ["rate_limited", None]
            assert 900 < record["attempts"][1]["wait_ms"] < 2000

    await asyncio.gather(*map(try_one, DIALECTS))


async def test_a_request_that_finds_all_keys_resting_shortly_waits_without_an_attempt(
    stage: Stage,
) -> None:
    async with stage.scene("single") as scene:
        scene.a.script(error(429, headers=[("retry-after", "1")]))
        answers = await asyncio.gather(*(scene.ask() for _ in range(5)))
        assert [answer.status for answer in answers] == [200] * 5


async def test_guessed_limits_that_persist_end_in_a_429_after_all_attempts(stage: Stage) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene("single") as scene:
            scene.a.reply(error(429, dialect))
            answer = await scene.ask(dialect)
            assert answer.status == 429
            assert int(answer.header("retry-after") or 0) >= 1
            assert ALL_LIMITED in assert_is_error(dialect, 429, answer.body)["message"]
            assert (await scene.record())["outcome"] == "rate_limited"
            assert 1 <= len(scene.a.requests) <= 4

    await asyncio.gather(*map(try_one, DIALECTS))


async def test_one_other_failure_among_the_limits_ends_without_the_limits_words(
    stage: Stage,
) -> None:
    async with stage.scene() as scene:
        scene.is_usable_again = False
        scene.a.reply(error(429, headers=[("retry-after", "30")]))
        scene.b.reply(error(500))
        answer = await scene.ask()
        assert answer.status == 500
        assert ALL_LIMITED.encode() not in answer.body
        assert (await scene.record())["outcome"] == "upstream_error"


async def test_a_limit_of_one_model_does_not_rest_the_key_for_others(stage: Stage) -> None:
    """The scene's provider stands under one model only, so two scenes of the stage show it."""
    async with stage.scene("single") as limited_one, stage.scene("single") as other:
        limited_one.is_usable_again = False
        limited_one.a.reply(error(429, headers=[("retry-after", "30")]))
        assert (await limited_one.ask()).status == 429
        assert (await other.ask()).status == 200


async def test_a_storm_of_limits_is_answered_fast_and_hardly_multiplied(stage: Stage) -> None:
    async with stage.scene("keys") as scene:
        scene.is_usable_again = False
        scene.a.reply(error(429, headers=[("retry-after", "30")]))
        first = await scene.ask()  # warm-up: both keys learn it
        assert first.status == 429
        before = len(scene.a.requests)
        began = time.monotonic()
        answers = await asyncio.gather(*(scene.ask() for _ in range(100)))
        assert {answer.status for answer in answers} == {429}
        assert {answer.header("retry-after") for answer in answers} <= {"28", "29", "30"}
        assert len(scene.a.requests) == before
        assert time.monotonic() - began < 5


async def test_a_storm_without_advice_is_hardly_multiplied(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        scene.is_usable_again = False
        scene.a.reply(error(429))
        for _ in range(3):
            await scene.ask()
        before = len(scene.a.requests)
        for _ in range(6):
            answers = await asyncio.gather(*(scene.ask() for _ in range(10)))
            assert {answer.status for answer in answers} == {429}
        assert len(scene.a.requests) - before <= 60 * 1.2


async def test_a_used_up_limit_steers_the_next_request_elsewhere(stage: Stage) -> None:
    async with stage.scene() as scene:
        spent = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "30s")]
        scene.a.reply(JSON["chat"](headers=spent))
        assert (await scene.ask()).header("x-llm-proxy-upstream") == scene.upstreams[0]
        assert (await scene.ask()).header("x-llm-proxy-upstream") == scene.upstreams[1]
        scene.b.reply(error(500))
        assert (await scene.ask()).status == 200  # better than nothing


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_limit_told_inside_a_stream_moves_on_like_any_other(
    stage: Stage, dialect: Dialect
) -> None:
    async with stage.scene() as scene:
        bodies: dict[Dialect, Any] = {
            "chat": {"error": {"type": "rate_limit_error", "message": "try again in 30s"}},
            "messages": {
                "type": "error",
                "error": {"type": "rate_limit_error", "message": "try again in 30s"},
            },
            "responses": {
                "type": "error",
                "code": "rate_limit_exceeded",
                "message": "try again in 30s",
            },
        }
        event = b"event: error\ndata: %b\n\n" % to_json(bodies[dialect])
        begin, *events = STREAM[dialect](cut_after=0, cut_by="clean", framing="close")
        scene.a.reply([begin, *events[:-1], event, events[-1]])
        _, stream = await scene.stream(dialect)
        assert read(dialect, stream).ending == "whole"
        first = (await scene.record())["attempts"][0]
        assert (first["fault"], first["cool_s"]) == ("rate_limited", pytest.approx(30, abs=0.5))
