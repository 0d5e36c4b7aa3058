"""Answers that are broken before anything of them has reached the client.

Each row is tried in all formats: with a healthy upstream behind it nobody notices; if it persists
the client gets an error object of its own format, after exactly MAX_RETRIES further attempts.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.support.answers import Dialect, error, to_json
from tests.support.scripts import (
    Script,
    bad_chunk,
    chunk,
    close,
    cut_at,
    garbage,
    half_head,
    head,
    many_headers,
    raw,
    reset,
    respond,
    sleep,
)

from .dialect import DIALECTS, JSON, assert_is_error, text_of
from .stage import Stage

SCENES = {"pair": 270, "single": 14, "keyless": 2}

AS_JSON = ("content-type", "application/json")


class Row(NamedTuple):
    """A fault.

    Attributes:
        answer: What the provider does, by format.
        fault: Its name in the record.
        status: What the client gets if it persists; one for all formats, or by format.
    """

    answer: Callable[[Dialect], Script]
    fault: str
    status: int | dict[str, int] = 502


def cut_body(how: Script) -> Callable[[Dialect], Script]:
    """Answer with half a body of the promised length."""

    def answer(dialect: Dialect) -> Script:
        whole = raw(JSON[dialect]())
        return [whole[: whole.index(b"\r\n\r\n") + 40], sleep(0.03), *how]

    return answer


def cut_chunks(dialect: Dialect) -> Script:
    """Answer in chunks and leave the last one out: valid JSON, but not a whole answer."""
    return [raw(JSON[dialect](framing="chunked"))[: -len(b"0\r\n\r\n")], close()]


def inside(**fields: object) -> Callable[[Dialect], Script]:
    """Answer 200 with an error for a body."""
    return lambda _: respond(to_json(fields))


OVERLOADED = {"chat": 503, "messages": 529, "responses": 503}

ROWS = {
    # --- no head
    "reset_at_once": Row(lambda _: [reset()], "reset"),
    "closed_at_once": Row(lambda _: [close()], "reset"),
    "no_http": Row(lambda _: garbage(), "garbage"),
    "half_a_head": Row(lambda _: half_head(), "garbage"),
    "two_lengths": Row(
        lambda _: [head(200, [AS_JSON, ("content-length", "2"), ("content-length", "3")]), b"{}"],
        "garbage",
    ),
    "length_and_chunks": Row(
        lambda _: [
            head(200, [AS_JSON, ("content-length", "2"), ("transfer-encoding", "chunked")]),
            b"2\r\n{}\r\n0\r\n\r\n",
        ],
        "garbage",
    ),
    "unknown_transfer_coding": Row(
        lambda _: [head(200, [AS_JSON, ("transfer-encoding", "gzip")]), b"{}", close()], "garbage"
    ),
    "switches_protocols": Row(lambda _: [head(101, [("upgrade", "x")]), close()], "garbage"),
    "giant_head": Row(lambda d: JSON[d](headers=many_headers(20, 20_000)), "head_too_large"),
    "1001_fields": Row(lambda d: JSON[d](headers=many_headers(1001)), "head_too_large"),
    # --- half a body
    "body_reset": Row(cut_body([reset()]), "body_cut"),
    "body_closed": Row(cut_body([close()]), "body_cut"),
    "last_chunk_missing": Row(cut_chunks, "body_cut"),
    "bad_chunk": Row(lambda _: bad_chunk(b'{"id":"x"'), "body_cut"),
    "chunk_longer_than_said": Row(
        lambda _: [
            head(200, [AS_JSON, ("transfer-encoding", "chunked")]) + b"2\r\n{}}}\r\n0\r\n\r\n"
        ],
        "body_cut",
    ),
    "length_too_long": Row(
        lambda d: [*JSON[d](length=len(raw(JSON[d]())) + 900), close()], "body_cut"
    ),
    "head_cut_after_the_status": Row(lambda d: cut_at(JSON[d](), 17), "garbage"),
    # --- a whole answer that is none
    "empty": Row(lambda _: respond(b""), "empty_answer"),
    "blank": Row(lambda _: respond(b" \n"), "empty_answer"),
    "html": Row(
        lambda _: respond(b"<html>Sign in to the hotel's network</html>", content_type="text/html"),
        "not_json",
    ),
    "text": Row(lambda _: respond(b"all is well", content_type="text/plain"), "not_json"),
    "half_json": Row(lambda d: respond(raw(JSON[d]())[-60:-20]), "not_json"),
    "no_choices": Row(lambda _: respond(b"{}"), "empty_answer"),
    # --- an error inside a 200
    "200_overloaded": Row(
        inside(error={"type": "overloaded_error", "message": "Overloaded"}),
        "overloaded",
        OVERLOADED,
    ),
    "200_typed_error": Row(
        inside(type="error", error={"type": "api_error", "message": "Internal"}), "server_error"
    ),
    "200_error_string": Row(inside(error="model runner has unexpectedly stopped"), "server_error"),
    "200_error_list": Row(
        lambda _: respond(
            to_json([{"error": {"code": 503, "message": "x", "status": "UNAVAILABLE"}}])
        ),
        "overloaded",
        OVERLOADED,
    ),
    "200_numeric_code": Row(
        inside(error={"code": 502, "message": "Provider returned error"}), "server_error"
    ),
    "200_flat": Row(inside(code="InternalError", message="try later"), "server_error"),
    "200_vllm": Row(
        inside(object="error", message="engine died", type="internal", code=500),
        "server_error",
        500,
    ),
    # --- failures with a status
    "500": Row(lambda d: error(500, d), "server_error", 500),
    "500_html": Row(
        lambda _: respond(b"<h1>Oops</h1>", status=500, content_type="text/html"),
        "server_error",
        500,
    ),
    "502_empty": Row(lambda _: respond(b"", status=502), "server_error", 502),
    "503": Row(lambda d: error(503, d), "overloaded", 503),
    "504": Row(lambda d: error(504, d), "server_error", 504),
    "520_of_a_cdn": Row(
        lambda _: respond(b"error code: 520", status=520, content_type="text/plain"),
        "server_error",
        520,
    ),
    "529": Row(lambda d: error(529, d), "overloaded", 529),
    "408": Row(lambda d: error(408, d), "request_timeout", 408),
    "425": Row(lambda d: error(425, d), "locked", 425),
    "500_cut": Row(
        lambda _: [head(500, [AS_JSON, ("content-length", "99")]) + b'{"err', close()], "body_cut"
    ),
}
EACH = [pytest.param(row, id=name) for name, row in ROWS.items()]


@pytest.mark.parametrize("row", EACH)
async def test_a_failure_of_one_upstream_stays_unseen_while_another_is_healthy(
    stage: Stage, row: Row
) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene() as scene:
            scene.a.reply(row.answer(dialect))
            answer = await scene.ask(dialect)
            assert answer.status == 200, answer.body
            assert text_of(dialect, answer.json()) == "Hello there!"
            assert answer.header("x-llm-proxy-attempts") == "2"
            assert answer.header("x-llm-proxy-upstream") == scene.upstreams[1]
            assert answer.header("x-many-1") is None
            assert await scene.faults() == [row.fault, None]
            assert (await scene.record())["outcome"] == "ok"

    await asyncio.gather(*map(try_one, DIALECTS))


@pytest.mark.parametrize("row", EACH)
async def test_a_failure_that_persists_is_told_in_the_clients_own_format(
    stage: Stage, row: Row
) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene() as scene:
            scene.a.reply(row.answer(dialect))
            scene.b.reply(row.answer(dialect))
            answer = await scene.ask(dialect)
            status = row.status if isinstance(row.status, int) else row.status[dialect]
            assert answer.status == status, answer.body
            assert_is_error(dialect, status, answer.body)
            assert answer.header("content-type") == "application/json"
            assert answer.header("x-llm-proxy-attempts") == "4"
            assert await scene.faults() == [row.fault] * 4
            assert (await scene.record())["outcome"] == "upstream_error"

    await asyncio.gather(*map(try_one, DIALECTS))


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_an_upstream_that_hangs_up_on_every_connection_is_stepped_over(
    stage: Stage, how: str
) -> None:
    async with stage.scene() as scene:
        scene.a.on_accept = how  # type: ignore[assignment]
        for dialect in DIALECTS:
            assert (await scene.ask(dialect)).status == 200
        assert {one["attempts"][-1]["upstream"] for one in await scene.records()} == {
            scene.upstreams[1]
        }
        first = (await scene.records())[0]
        assert [one.get("fault") for one in first["attempts"]] in (
            ["reset", None],
            ["connect_failed", None],  # the reset came before the request was written
        )


async def test_a_fault_of_the_first_upstream_adds_no_header_of_it_to_the_answer(
    stage: Stage,
) -> None:
    async with stage.scene() as scene:
        left = [("x-ratelimit-remaining-requests", "0"), ("retry-after", "30"), ("request-id", "a")]
        scene.a.reply(error(429, headers=left))
        scene.b.reply(JSON["chat"](headers=[("request-id", "b")]))
        answer = await scene.ask()
        assert answer.status == 200
        assert answer.header("request-id") == "b"
        assert answer.header("retry-after") is None
        assert answer.header("x-ratelimit-remaining-requests") is None


BODY = raw(JSON["chat"]()).partition(b"\r\n\r\n")[2]
CHUNKED = [AS_JSON, ("transfer-encoding", "chunked")]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: JSON["chat"](framing="close"), id="until_the_end"),
        pytest.param(lambda: JSON["chat"](version="1.0"), id="http_1_0"),
        pytest.param(lambda: JSON["chat"](version="1.0", framing="close"), id="http_1_0_no_length"),
        pytest.param(lambda: JSON["chat"](interim=[100]), id="100_unasked"),
        pytest.param(lambda: JSON["chat"](interim=[103, 102, 103]), id="early_hints"),
        pytest.param(lambda: JSON["chat"](headers=many_headers(500)), id="500_headers"),
        pytest.param(lambda: JSON["chat"](headers=many_headers(1, 100_000)), id="100_kb_header"),
        pytest.param(
            lambda: JSON["chat"](framing="chunked", trailers=[("x-sum", "1")]), id="trailers"
        ),
        pytest.param(
            lambda: [head(200, CHUNKED), *(chunk(b"%c" % byte) for byte in BODY), b"0\r\n\r\n"],
            id="one_byte_a_chunk",
        ),
    ],
)
async def test_odd_but_whole_answers_come_down_as_they_are(
    stage: Stage, make: Callable[[], Script]
) -> None:
    async with stage.scene("single") as scene:
        scene.a.reply(lambda _: make())
        for _ in range(2):
            answer = await scene.ask()
            assert answer.status == 200
            assert answer.body == BODY
            assert answer.head.interim == []
        assert await scene.faults() == [None]
        many = [name for name, _ in answer.head.headers if name.startswith("x-many")]
        assert len(many) in (0, 1, 500)


async def test_an_invalid_utf8_answer_comes_down_byte_for_byte(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        body = BODY.replace(b"Hello", b"H\xff\xfelo")
        scene.a.reply(respond(body))
        answer = await scene.ask()
        assert (answer.status, answer.body) == (200, body)


async def test_a_folded_or_split_header_of_an_upstream_never_becomes_a_new_header(
    stage: Stage,
) -> None:
    heads = [
        b"x-a: one\r\n set-evil: 1",  # obsolete folding
        b"x-a: one\rset-evil: 1",
        b"x-a: one\nset-evil: 1",
        b"x-a: one\x00set-evil: 1",
    ]
    async with stage.scene("single") as scene:
        for line in heads:
            text = b"HTTP/1.1 200 OK\r\n%b\r\ncontent-type: application/json\r\n" % line
            scene.a.reply([text + b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)])
            answer = await scene.ask()
            assert answer.status in (200, 502)
            assert answer.header("set-evil") is None


async def test_gzipped_json_comes_down_with_the_header_that_says_so(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        whole = JSON["chat"](gzip=True)
        scene.a.reply(whole)
        answer = await scene.ask()
        assert answer.header("content-encoding") == "gzip"
        assert answer.body == raw(whole).partition(b"\r\n\r\n")[2]
        assert (await scene.record())["usage"] == {
            "input": 9,
            "cache_read": 0,
            "output": 3,
            "reasoning": 0,
        }


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(stage: Stage, status: int) -> None:
    async with stage.scene() as scene:
        where = f"{scene.b.url}/v1/chat/completions"
        scene.a.reply(respond(b"", status=status, headers=[("location", where)]))
        answer = await scene.ask()
        assert answer.status == 502
        assert answer.header("location") is None
        assert where.encode() not in answer.body
        assert scene.b.requests == []
        assert await scene.faults() == ["redirected"]
        scene.a.forget()


@pytest.mark.parametrize("cut_bytes", [1, 9, 60])
async def test_gzipped_json_that_is_cut_is_never_taken_for_whole(
    stage: Stage, cut_bytes: int
) -> None:
    async with stage.scene() as scene:
        whole = raw(JSON["chat"](gzip=True, framing="close")[:1])
        scene.a.reply([whole[:-cut_bytes], close()])
        answer = await scene.ask()
        assert answer.status == 200
        assert answer.header("x-llm-proxy-upstream") == scene.upstreams[1]


async def test_an_upstream_that_accepts_and_closes_leaves_nobody_waiting(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        scene.a.on_accept = "close"
        for _ in range(4):
            answers = await asyncio.gather(*(scene.ask() for _ in range(20)))
            assert {answer.status for answer in answers} == {502}


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
async def test_an_upstream_without_a_key_sends_any_byte_unharmed(stage: Stage, gzip: bool) -> None:
    every_byte = bytes(range(256)) * 5
    async with stage.scene("keyless") as scene:
        scene.a.reply(JSON["chat"](gzip=gzip))
        scene.a.reply(
            respond(every_byte, content_type="audio/mpeg", gzip=gzip), path="/v1/audio/speech"
        )
        sent = raw(JSON["chat"](gzip=gzip)).partition(b"\r\n\r\n")[2]
        assert (await scene.ask()).body == sent
        body = (await scene.ask(path="/v1/audio/speech")).body
        assert body == raw(respond(every_byte, gzip=gzip)).partition(b"\r\n\r\n")[2]
        assert scene.a.requests[0].key is None
