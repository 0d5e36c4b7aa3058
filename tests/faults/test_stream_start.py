"""Streams that fail before their first content: held back, so that another upstream can answer."""

import asyncio
import zlib
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.support.answers import Dialect, error, stream_error, to_json
from tests.support.scripts import Script, Step, close, event_stream, reset, respond, sleep, wait

from .dialect import DIALECTS, STREAM, assert_is_error, read
from .stage import Stage

SCENES = {"pair": 160, "single": 12}


class Row(NamedTuple):
    """A fault; see `test_answers.Row`."""

    answer: Callable[[Dialect], Script]
    fault: str
    status: int | dict[str, int] = 502
    attempts: int = 4


def preamble(dialect: Dialect) -> list[bytes | Step]:
    """Return the events before the first content."""
    (begin, *events) = STREAM[dialect](cut_after=0, cut_by="clean", framing="close")
    assert isinstance(begin, bytes)
    return [event for event in events if isinstance(event, bytes)]


def begun(*more: bytes | Step) -> Callable[[Dialect], Script]:
    """Stream the preamble and go on with `more`."""
    return lambda dialect: event_stream([b": processing\n\n", *preamble(dialect), *more])


def begun_and(type_: str, code: str | None = None, message: str = "no") -> Callable[..., Script]:
    """Stream the preamble, then an error event."""
    return lambda dialect: event_stream(
        [*preamble(dialect), stream_error(dialect, type_, message, code)]
    )


def first(type_: str, code: str | None = None, message: str = "no") -> Callable[..., Script]:
    """Stream an error for a first event."""
    return lambda dialect: event_stream([stream_error(dialect, type_, message, code)])


def half_event(dialect: Dialect) -> Script:
    """Stream the preamble and half of the first content."""
    return STREAM[dialect](cut_after=0, cut_by="half_event")


def sse_error_status(dialect: Dialect) -> Script:
    """Answer 500 with an error event for a body."""
    return event_stream([stream_error(dialect, "api_error", "Internal error")], status=500)


def bad_chunk_first(dialect: Dialect) -> Script:
    """Break the chunked framing behind the preamble."""
    script = begun()(dialect)
    return [*script[:-1], b"nonsense\r\n", sleep(5)]


OVERLOADED = {"chat": 503, "messages": 529, "responses": 503}

ROWS = {
    "overloaded_first": Row(first("overloaded_error", "overloaded"), "overloaded", OVERLOADED),
    "overloaded_behind_the_preamble": Row(
        begun_and("overloaded_error", "overloaded"), "overloaded", OVERLOADED
    ),
    "server_error_first": Row(first("server_error", "server_error"), "server_error"),
    "server_error_behind_the_preamble": Row(begun_and("api_error", "server_error"), "server_error"),
    "limited_first": Row(first("rate_limit_error", "rate_limit_exceeded"), "rate_limited", 429, 0),
    "limited_behind_the_preamble": Row(
        begun_and("rate_limit_error", "rate_limit_exceeded"), "rate_limited", 429, 0
    ),
    "key_refused_in_the_stream": Row(
        begun_and("authentication_error", "invalid_api_key"), "key_rejected", 502, 2
    ),
    "no_events": Row(lambda _: event_stream([]), "empty_answer"),
    "only_comments": Row(lambda _: event_stream([b": one\n\n", b": two\n\n"]), "empty_answer"),
    "only_done": Row(lambda _: event_stream([b"data: [DONE]\n\n"]), "empty_answer"),
    "preamble_and_done": Row(begun(b"data: [DONE]\n\n"), "empty_answer"),
    "preamble_only": Row(begun(), "empty_answer"),
    "preamble_then_closed": Row(begun(close()), "empty_answer"),
    "preamble_then_reset": Row(begun(sleep(0.03), reset()), "empty_answer"),
    "half_the_first_content": Row(half_event, "empty_answer"),
    "bad_chunk": Row(bad_chunk_first, "empty_answer"),
    "nonsense_event_only": Row(lambda _: event_stream([b"data: {nonsense\n\n"]), "empty_answer"),
    "closed_at_once": Row(lambda _: [close()], "reset"),
    "json_error_in_200": Row(
        lambda _: respond(to_json({"error": {"type": "overloaded_error", "message": "x"}})),
        "overloaded",
        OVERLOADED,
    ),
    "html": Row(lambda _: respond(b"<html>login</html>", content_type="text/html"), "not_json"),
    "empty_json": Row(lambda _: respond(b""), "empty_answer"),
    "500": Row(lambda d: error(500, d), "server_error", 500),
    "500_as_event": Row(sse_error_status, "server_error", 500),
    "529": Row(lambda d: error(529, d), "overloaded", 529),
}
EACH = [pytest.param(row, id=name) for name, row in ROWS.items()]


@pytest.mark.parametrize("row", EACH)
async def test_a_stream_that_fails_before_its_content_is_replaced_unseen(
    stage: Stage, row: Row
) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene() as scene:
            scene.a.reply(row.answer(dialect))
            head, stream = await scene.stream(dialect)
            assert head.status == 200
            assert head.header("x-llm-proxy-attempts") == "2"
            seen = read(dialect, stream)
            assert (seen.text, seen.ending) == ("Hello there!", "whole")
            assert stream.raw == b"".join(whole_events(dialect, scene.model))
            assert await scene.faults() == [row.fault, None]

    await asyncio.gather(*map(try_one, DIALECTS))


def whole_events(dialect: Dialect, model: str) -> list[bytes]:
    """Return what the healthy upstream sends."""
    how = {} if dialect == "messages" else {"usage": dialect == "responses"}
    script = STREAM[dialect](model=model, framing="close", **how)
    return [piece for piece in script[1:] if isinstance(piece, bytes)]


@pytest.mark.parametrize("row", EACH)
async def test_a_stream_that_never_gets_content_ends_with_a_status_not_with_a_200(
    stage: Stage, row: Row
) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene() as scene:
            scene.a.reply(row.answer(dialect))
            scene.b.reply(row.answer(dialect))
            answer = await scene.ask(dialect, stream=True)
            status = row.status if isinstance(row.status, int) else row.status[dialect]
            assert answer.status == status, answer.body
            assert_is_error(dialect, status, answer.body)
            faults = await scene.faults()
            assert set(faults) == {row.fault}
            assert row.attempts in (0, len(faults))
            assert answer.header("x-llm-proxy-attempts") == str(len(faults))

    await asyncio.gather(*map(try_one, DIALECTS))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_preamble_is_not_sent_before_its_content(stage: Stage, dialect: Dialect) -> None:
    async with stage.scene("single") as scene:
        go = asyncio.Event()
        (begin, *events) = STREAM[dialect]()
        size = len(preamble(dialect))
        scene.a.script([begin, *events[:size], wait(go), *events[size:]])
        async with scene.client() as client:
            await scene.send(client, dialect, stream=True)
            await scene.a.wait_for_requests(1)
            assert await client.is_silent(0.15)
            go.set()
            assert read(dialect, await client.read_stream()).ending == "whole"


async def test_a_json_answer_to_a_stream_request_comes_down_as_it_is(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        body = to_json({"id": "x", "choices": [{"message": {"content": "hi"}}]})
        scene.a.reply(respond(body))
        answer = await scene.ask(stream=True)
        assert (answer.status, answer.body) == (200, body)


async def test_a_gzipped_stream_comes_down_decoded(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        events = b"".join(whole_events("chat", scene.model))
        gzipped = respond(events, gzip=True, content_type="text/event-stream", framing="chunked")
        scene.a.reply(gzipped)
        head, stream = await scene.stream("chat")
        assert head.header("content-encoding") is None
        assert stream.raw == events
        assert read("chat", stream).ending == "whole"


async def test_a_gzipped_stream_that_is_cut_is_told_to_the_client(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        packer = zlib.compressobj(wbits=31)
        events = whole_events("chat", scene.model)[:2]
        packed = [packer.compress(e) + packer.flush(zlib.Z_SYNC_FLUSH) for e in events]
        go = asyncio.Event()
        packed_head = [("content-encoding", "gzip")]
        scene.a.script(event_stream([*packed, wait(go), close()], headers=packed_head))
        _, stream = await scene.stream("chat", on_word=("Hello", go))
        assert read("chat", stream).ending == "error"
        assert read("chat", stream).text == "Hello"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_answer_can_follow_a_failed_stream_on_the_same_connection(
    stage: Stage, dialect: Dialect
) -> None:
    async with stage.scene("single") as scene:
        scene.a.script([*STREAM[dialect](cut_after=1, cut_by="hang")[:-2], sleep(0.1), close()])
        async with scene.client() as client:
            await scene.send(client, dialect, stream=True)
            stream = await client.read_stream()
            assert read(dialect, stream).ending == "error"
            assert (stream.ending, stream.rest) == ("complete", b"")
            await scene.send(client, dialect)
            assert (await client.read_response()).status == 200


BROKEN_AT_ONCE = {
    "cut": lambda d: joined_all(STREAM[d](cut_after=2, cut_by="fin")),
    "proper_end_of_the_body_only": lambda d: joined_all(STREAM[d](cut_after=2, cut_by="clean")),
    "error": lambda d: joined_all(STREAM[d](error_after=2)),
}


def joined_all(script: Script) -> Script:
    """Send all that a script sends in one write."""
    steps = [piece for piece in script if not isinstance(piece, bytes)]
    return [b"".join(piece for piece in script if isinstance(piece, bytes)), *steps]


@pytest.mark.parametrize("name", BROKEN_AT_ONCE)
async def test_content_that_nobody_has_got_yet_is_replaced_when_its_stream_breaks(
    stage: Stage, name: str
) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene() as scene:
            scene.a.reply(BROKEN_AT_ONCE[name](dialect))
            _, stream = await scene.stream(dialect)
            seen = read(dialect, stream)
            assert (seen.text, seen.ending) in (("Hello there!", "whole"), ("Hello there", "error"))
            if len(await scene.faults()) == 2:  # the break came with the content
                assert stream.raw == b"".join(whole_events(dialect, scene.model))
                assert (await scene.faults())[0] in ("body_cut", "overloaded", "server_error")

    await asyncio.gather(*map(try_one, DIALECTS))
