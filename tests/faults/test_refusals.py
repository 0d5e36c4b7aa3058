"""Answers to the request itself: they come down byte for byte, once, and nobody else is asked.

Nothing else would help: another upstream would say the same, or (content filter) must not be
asked at all.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.answers import Dialect, error, stream_error, to_json
from tests.support.scripts import Script, close, event_stream, raw, respond, sleep, stop_reading

from .dialect import DIALECTS, assert_is_error
from .stage import Stage

SCENES = {"pair": 70, "keys": 6, "single": 3}

REFUSALS: dict[str, tuple[Callable[[Dialect], Script], str]] = {
    "400": (lambda d: error(400, d, message="messages: field required"), "client_fault"),
    "404": (lambda d: error(404, d, message="no such file"), "client_fault"),
    "405": (lambda d: error(405, d), "client_fault"),
    "409": (lambda d: error(409, d, message="already exists"), "client_fault"),
    "413": (lambda d: error(413, d), "client_fault"),
    "415": (lambda d: error(415, d), "client_fault"),
    "422": (
        lambda _: respond(to_json({"detail": [{"loc": ["body", "n"], "msg": "bad"}]}), status=422),
        "client_fault",
    ),
    "content_policy": (
        lambda d: error(400, d, "content_policy_violation", "content_policy_violation"),
        "content_filtered",
    ),
    "filter_by_text": (
        lambda d: error(400, d, message="Output blocked by content filtering policy"),
        "content_filtered",
    ),
}


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_comes_down_verbatim_and_is_not_repeated(
    stage: Stage, name: str, stream: bool
) -> None:
    make, fault = REFUSALS[name]

    async def try_one(dialect: Dialect) -> None:
        async with stage.scene() as scene:
            script = make(dialect)
            scene.a.reply(script)
            answer = await scene.ask(dialect, stream=stream)
            head, _, body = raw(script).partition(b"\r\n\r\n")
            assert answer.status == int(head[9:12])
            assert answer.body == body
            assert len(scene.a.requests) == 1
            assert scene.b.requests == []
            assert await scene.faults() == [fault]
            assert (await scene.record())["outcome"] == "client_error"
            scene.a.forget()
            again = await scene.ask(dialect)  # not counted against the upstream's health
            assert again.header("x-llm-proxy-upstream") == scene.upstreams[0]

    await asyncio.gather(*map(try_one, DIALECTS))


TOO_LONG = {
    "code": lambda d: error(
        400, d, code="context_length_exceeded", message="maximum context length"
    ),
    "text": lambda d: error(400, d, message="prompt is too long: 210000 tokens > 200000 maximum"),
}


@pytest.mark.parametrize("name", TOO_LONG)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_too_long_a_context_is_tried_at_each_other_address_once(
    stage: Stage, dialect: Dialect, name: str
) -> None:
    async with stage.scene() as scene, stage.scene("keys") as same:
        script = TOO_LONG[name](dialect)
        scene.a.reply(script)
        assert (await scene.ask(dialect)).status == 200
        scene.b.reply(script)
        answer = await scene.ask(dialect)
        assert (answer.status, answer.body) == (400, raw(script).partition(b"\r\n\r\n")[2])
        assert await scene.faults() == ["context_too_long"] * 2
        same.a.reply(script)  # another key of the same address cannot help
        assert (await same.ask(dialect)).status == 400
        assert await same.faults() == ["context_too_long"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_model_nobody_knows_is_tried_at_each_address_once(
    stage: Stage, dialect: Dialect
) -> None:
    async with stage.scene() as scene:
        script = error(404, dialect, code="model_not_found", message="The model x does not exist")
        scene.a.reply(script)
        assert (await scene.ask(dialect)).status == 200
        scene.b.reply(script)
        answer = await scene.ask(dialect)
        assert (answer.status, answer.body) == (404, raw(script).partition(b"\r\n\r\n")[2])
        assert await scene.faults() == ["model_not_found"] * 2


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_content_filter_inside_a_stream_is_not_asked_elsewhere(
    stage: Stage, dialect: Dialect
) -> None:
    async with stage.scene() as scene:
        event = stream_error(dialect, "invalid_request_error", "no", "content_policy_violation")
        if dialect == "messages":
            event = stream_error(
                dialect, "invalid_request_error", "Output blocked by content filtering policy"
            )
        scene.a.reply(event_stream([event]))
        answer = await scene.ask(dialect, stream=True)
        assert answer.status == 400
        assert_is_error(dialect, 400, answer.body)
        assert scene.b.requests == []
        assert await scene.faults() == ["content_filtered"]


async def test_a_refusal_inside_a_200_gets_its_own_status(stage: Stage) -> None:
    async with stage.scene() as scene:
        body: dict[str, Any] = {"error": {"type": "invalid_request_error", "message": "bad n"}}
        scene.a.reply(respond(to_json(body)))
        answer = await scene.ask()
        assert answer.status == 400
        assert answer.json()["error"]["message"] == "bad n"
        assert scene.b.requests == []


async def test_a_413_sent_before_the_body_was_read_comes_down(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        script = error(413, message="too large for me")
        scene.a.script([stop_reading(), *script, sleep(0.5)], early=True)
        answer = await scene.ask(text="x" * 8_000_000)
        assert answer.status == 413
        assert answer.body == raw(script).partition(b"\r\n\r\n")[2]
        assert len(scene.a.requests) == 1
        # the unread rest must not be taken for the next request
        assert (await scene.ask()).status == 200
        assert scene.a.requests[0].connection != scene.a.requests[1].connection


async def test_a_413_followed_by_a_reset_before_the_body_was_read_comes_down(
    stage: Stage,
) -> None:
    async with stage.scene("single") as scene:
        script = error(413, message="too large for me", headers=[("connection", "close")])
        scene.a.script([stop_reading(), *script, close()], early=True)
        answer = await scene.ask(text="x" * 8_000_000)
        assert answer.status == 413
        assert len(scene.a.requests) == 1
