"""Streams that break after content: the client keeps what came and is told, in its own format.

Nothing is ever invented: no `[DONE]`, no `message_stop`, no `response.completed` behind a break,
and the body itself always ends as its framing says.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from tests.support.answers import Dialect, stream_error
from tests.support.scripts import Script, Step, chunk, close, hang, reset, sleep, wait

from .dialect import DIALECTS, STREAM, read
from .stage import Stage

SCENES = {"pair": 30, "single": 23, "idle": 4, "keys": 6}


Broken: TypeAlias = Callable[[Dialect, Step], Script]
"""A script that streams "Hello", " there", waits by the step, and breaks."""


def cut(*ends: bytes | Step, **how: Any) -> Broken:
    """Stream two words, wait, go on with `ends` as they are."""

    def answer(dialect: Dialect, pause: Step) -> Script:
        script = STREAM[dialect](cut_after=2, cut_by="clean", **how)
        if how.get("framing", "chunked") == "chunked":
            assert script.pop() == b"0\r\n\r\n"
        return [*script, pause, *ends]

    return answer


def half_event(dialect: Dialect, pause: Step) -> Script:
    """Stream two words, wait, send half an event."""
    *script, half, close_ = STREAM[dialect](cut_after=2, cut_by="half_event", framing="close")[:-1]
    return [*script, pause, half, close_]


END = b"0\r\n\r\n"
BREAKS: dict[str, Broken] = {
    "fin": cut(close()),
    "reset": cut(reset()),
    "proper_end_of_the_body_only": cut(END),
    "half_an_event": cut(chunk(b'data: {"id":"x'), END),
    "half_an_event_delimited_by_close": half_event,
    "http_1_0": cut(close(), version="1.0", framing="close"),
    "broken_chunk": cut(b"zz\r\n", hang()),
    "chunk_longer_than_said": cut(b"2\r\nabcdef\r\n", hang()),
    "length_too_long": cut(close(), framing="length", length=99_999),
}


@pytest.mark.parametrize("break_", [pytest.param(how, id=name) for name, how in BREAKS.items()])
async def test_a_client_gets_the_text_so_far_and_an_error_event(
    stage: Stage, break_: Broken
) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene() as scene:
            go = asyncio.Event()
            scene.a.reply(break_(dialect, wait(go)))
            head, stream = await scene.stream(dialect, on_word=(" there", go))
            assert head.status == 200
            seen = read(dialect, stream)
            assert (seen.text, seen.ending, seen.after) == ("Hello there", "error", [])
            assert seen.error["message"]
            assert (stream.ending, stream.rest) == ("complete", b"")
            for end in (b"[DONE]", b"message_stop", b"response.completed", b'"finish_reason":"'):
                assert end not in stream.raw
            assert scene.b.requests == []
            record = await scene.record()
            assert record["outcome"] == "cut"
            assert record["status"] == 200
            assert [one["fault"] for one in record["attempts"]] == ["stream_cut"]
            assert record["attempts"][0]["cost"] == "partial"

    await asyncio.gather(*map(try_one, DIALECTS))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_upstreams_own_error_event_is_passed_on_as_it_is(
    stage: Stage, dialect: Dialect
) -> None:
    async with stage.scene() as scene:
        go = asyncio.Event()
        *script, error, end = STREAM[dialect](error_after=2)
        scene.a.reply([*script, wait(go), error, end])
        _, stream = await scene.stream(dialect, on_word=(" there", go))
        assert stream.events[-1].raw == stream_error(dialect)
        seen = read(dialect, stream)
        assert (seen.text, seen.ending, seen.after) == ("Hello there", "error", [])
        assert (stream.ending, stream.rest) == ("complete", b"")
        assert scene.b.requests == []
        assert await scene.faults() == ["stream_error"]
        assert (await scene.record())["outcome"] == "cut"


async def test_a_chat_stream_without_done_is_whole_if_it_has_a_finish_reason(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        for how in (
            STREAM["chat"](done=False),
            STREAM["chat"](done=False, framing="close"),
            [*STREAM["chat"](done=False)[:-1], close()],
            [*STREAM["chat"](done=False)[:-1], sleep(0.03), reset()],
        ):
            scene.a.script(how)
            _, stream = await scene.stream("chat")
            seen = read("chat", stream)
            assert (seen.text, seen.ending) == ("Hello there!", "whole")
            assert b"[DONE]" not in stream.raw
            assert await scene.faults() == [None]


async def test_a_messages_stream_without_message_stop_is_whole_after_a_clean_end_only(
    stage: Stage,
) -> None:
    async with stage.scene("single") as scene:
        scene.a.script(STREAM["messages"](done=False))
        _, stream = await scene.stream("messages")
        assert read("messages", stream).error == {}
        assert await scene.faults() == [None]
        go = asyncio.Event()
        scene.a.script([*STREAM["messages"](done=False)[:-1], wait(go), close()])
        _, stream = await scene.stream("messages", on_word=("message_delta", go))
        assert read("messages", stream).ending == "error"
        assert await scene.faults() == ["stream_cut"]


async def test_a_responses_stream_without_completed_is_a_cut(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        go = asyncio.Event()
        *script, end = STREAM["responses"](done=False)
        scene.a.script([*script, wait(go), end])
        _, stream = await scene.stream("responses", on_word=("output_item.done", go))
        seen = read("responses", stream)
        assert (seen.text, seen.ending) == ("Hello there!", "error")
        failed = stream.events[-1].json()
        assert failed["type"] == "response.failed"
        assert failed["response"]["output"][0]["content"][0]["text"] == "Hello there!"
        numbers = [event.json()["sequence_number"] for event in stream.events]
        assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_incomplete_but_proper_end_is_no_failure(stage: Stage, dialect: Dialect) -> None:
    async with stage.scene("single") as scene:
        ends = {
            "chat": {"finish": "length"},
            "messages": {"finish": "max_tokens"},
            "responses": {"incomplete": "max_output_tokens"},
        }
        scene.a.reply(STREAM[dialect](**ends[dialect]))
        _, stream = await scene.stream(dialect)
        assert read(dialect, stream).ending != "error"
        assert await scene.faults() == [None]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("broken", [b"data: {nonsense\n\n", b"data: \xff\xfe{\n\n", b"data: {\n\n"])
async def test_one_broken_event_is_dropped_and_counted_and_the_stream_goes_on(
    stage: Stage, dialect: Dialect, broken: bytes
) -> None:
    async with stage.scene("single") as scene:
        script = STREAM[dialect](framing="close")
        scene.a.reply([*script[:-4], broken, *script[-4:]])
        _, stream = await scene.stream(dialect)
        seen = read(dialect, stream)
        assert (seen.text, seen.ending) == ("Hello there!", "whole")
        assert broken not in stream.raw
        assert stream.raw == b"".join(one for one in script[1:] if isinstance(one, bytes))
        record = await scene.record()
        assert record["broken_events"] == 1
        assert record["outcome"] == "ok"


async def test_a_stream_that_falls_silent_ends_with_an_error_event(stage: Stage) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene("idle") as scene:
            scene.a.reply(STREAM[dialect](cut_after=2, cut_by="hang"))
            _, stream = await scene.stream(dialect)
            seen = read(dialect, stream)
            assert (seen.text, seen.ending) == ("Hello there", "error")
            assert (stream.ending, stream.rest) == ("complete", b"")
            assert 0.4 < stream.events[-1].at - stream.events[-2].at < 2.0
            assert await scene.faults() == ["stream_stalled"]
            await scene.a.wait_for_close()
            assert scene.a.connections[-1].ending.startswith("client")

    await asyncio.gather(*map(try_one, DIALECTS))


async def test_a_slow_but_living_stream_is_never_cut(stage: Stage) -> None:
    async with stage.scene("idle") as scene:
        scene.a.reply(STREAM["chat"](["tick"] * 6, gap_s=0.25))
        _, stream = await scene.stream("chat")
        assert read("chat", stream).ending == "whole"


@pytest.mark.parametrize("missing", [b"\n", b"\n\n"])
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_last_event_without_its_blank_line_comes_down_as_it_was_sent(
    stage: Stage, missing: bytes, at_once: bool
) -> None:
    async with stage.scene("single") as scene:
        begin, *pieces = STREAM["chat"](framing="close")
        events = b"".join(piece for piece in pieces if isinstance(piece, bytes))
        sent = events.removesuffix(missing)
        half = len(sent) // 2
        body = [sent] if at_once else [sent[:half], sleep(0.02), sent[half:]]
        scene.a.reply([begin, *body, close()])
        _, stream = await scene.stream("chat")
        assert stream.raw == sent


@pytest.mark.parametrize("half", [b"event:", b"event: message_stop\n", b"dat"])
async def test_half_an_event_behind_a_whole_answer_never_comes_down(
    stage: Stage, half: bytes
) -> None:
    async with stage.scene("single") as scene:
        begin, *pieces = STREAM["messages"](framing="close", done=False)
        events = b"".join(piece for piece in pieces if isinstance(piece, bytes))
        scene.a.reply([begin, events, half, close()])
        _, stream = await scene.stream("messages")
        assert stream.raw == events
        assert read("messages", stream).ending == "whole"
        assert (await scene.record())["broken_events"] == 1


async def test_a_last_event_without_its_blank_line_is_completed_before_an_error_event(
    stage: Stage,
) -> None:
    async with stage.scene("single") as scene:
        begin, *pieces = STREAM["chat"](framing="close", finish=None, done=False, usage=False)
        events = b"".join(piece for piece in pieces if isinstance(piece, bytes))
        scene.a.reply([begin, events.removesuffix(b"\n\n"), close()])
        _, stream = await scene.stream("chat")
        assert stream.raw.startswith(events)
        assert read("chat", stream).ending == "error"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_limit_reported_behind_content_rests_the_key_and_opens_no_breaker(
    stage: Stage, dialect: Dialect
) -> None:
    async with stage.scene("keys") as scene:
        *script, _, end = STREAM[dialect](error_after=2)
        said = stream_error(
            dialect,
            "rate_limit_error",
            "Rate limit reached, try again in 30s",
            "rate_limit_exceeded",
        )
        scene.a.script([*script, sleep(0.02), chunk(said), end])
        _, stream = await scene.stream(dialect)
        assert read(dialect, stream).ending == "error"
        first = (await scene.record())["attempts"][0]["key"]
        for _ in range(3):
            _, stream = await scene.stream(dialect)
            assert read(dialect, stream).ending == "whole"
        keys = {record["attempts"][0]["key"] for record in (await scene.records())[1:]}
        assert first not in keys, "the limited key is asked no more"
