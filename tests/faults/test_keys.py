"""Keys that are refused or empty, and keys that an upstream echoes: neither reaches a client."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.support.answers import Dialect, error, stream_error, to_json
from tests.support.provider import Request
from tests.support.scripts import Script, Step, chunk, respond, wait

from .dialect import DIALECTS, JSON, STREAM, assert_is_error, read, text_of
from .stage import Stage

SCENES = {"keys": 60, "single": 28}


class Row(NamedTuple):
    """An answer about a key.

    Attributes:
        answer: What the provider says of it.
        fault: Its name in the record.
        status: What the client gets if no key is better.
        is_repeated: Whether the provider's own words come down.
    """

    answer: Callable[[Dialect], Script]
    fault: str
    status: int
    is_repeated: bool


SECRET_WORDS = "provider's words about key sk-live-1234"
ROWS = {
    "401": Row(lambda d: error(401, d, message=SECRET_WORDS), "key_rejected", 502, False),
    "401_text": Row(
        lambda _: respond(SECRET_WORDS.encode(), status=401, content_type="text/plain"),
        "key_rejected",
        502,
        False,
    ),
    "403_about_the_key": Row(
        lambda d: error(403, d, message="This API key was revoked. " + SECRET_WORDS),
        "key_rejected",
        502,
        False,
    ),
    "403_by_code": Row(
        lambda d: error(403, d, "authentication_error", message=SECRET_WORDS),
        "key_rejected",
        502,
        False,
    ),
    "403_other": Row(
        lambda d: error(403, d, message="not available in your country"), "permission", 403, True
    ),
    "402": Row(lambda d: error(402, d, message="pay first"), "quota", 402, True),
    "429_insufficient_quota": Row(
        lambda d: error(
            429, d, "insufficient_quota", "insufficient_quota", "You exceeded your current quota"
        ),
        "quota",
        429,
        True,
    ),
    "400_credit_too_low": Row(
        lambda d: error(400, d, message="Your credit balance is too low to access the API"),
        "quota",
        400,
        True,
    ),
    "429_spend_limit": Row(
        lambda _: error(429, "messages", error_code="enforced_spend_limit_reached"),
        "quota",
        429,
        True,
    ),
}
EACH = [pytest.param(row, id=name) for name, row in ROWS.items()]


@pytest.mark.parametrize("row", EACH)
async def test_a_key_that_does_not_work_is_replaced_by_another(stage: Stage, row: Row) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene("keys") as scene:
            scene.a.reply(row.answer(dialect), key=scene.keys[0])
            answer = await scene.ask(dialect)
            assert answer.status == 200
            assert [request.key for request in scene.a.requests] == list(scene.keys)
            assert await scene.faults() == [row.fault, None]
            if row.fault != "permission":  # a key that is known to be bad is not asked first
                await scene.ask(dialect)
                assert await scene.faults() == [None]

    await asyncio.gather(*map(try_one, DIALECTS))


@pytest.mark.parametrize("row", EACH)
async def test_a_client_is_not_asked_for_a_new_key_when_ours_is_bad(stage: Stage, row: Row) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene("keys") as scene:
            scene.a.reply(row.answer(dialect))
            answer = await scene.ask(dialect)
            assert answer.status == row.status
            message = assert_is_error(dialect, row.status, answer.body)["message"]
            assert (message in str(row.answer(dialect))) is row.is_repeated
            assert b"sk-live" not in answer.body
            assert await scene.faults() == [row.fault] * 2
            if row.fault == "quota":
                assert answer.header("x-should-retry") == "false"
                if row.status == 429:
                    assert answer.header("retry-after") == "300"

    await asyncio.gather(*map(try_one, DIALECTS))


async def test_a_refused_key_is_used_again_once_it_works(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        scene.a.script(error(401))
        assert (await scene.ask()).status == 502
        assert (await scene.ask()).status == 200
        assert (await scene.ask()).status == 200


# --- echoes


def echo_body(request: Request) -> Script:
    """Answer with the key in the text."""
    return JSON["chat"](f"your key is {request.key}, keep it", model=request.model)


def echo_header(request: Request) -> Script:
    """Answer with the key in a header field."""
    return JSON["chat"](headers=[("x-debug-auth", f"Bearer {request.key}"), ("x-ok", "1")])


def echo_error(request: Request) -> Script:
    """Refuse the request with the key in the message."""
    fields = [("x-debug-auth", str(request.key))]
    return error(400, message=f"Incorrect API key format: {request.key}", headers=fields)


def echo_server_error(request: Request) -> Script:
    """Fail with the key in the message."""
    return error(500, message=f"no route for key {request.key}")


def echo_html(request: Request) -> Script:
    """Fail with a page that holds the key."""
    page = f"<html>key {request.key}</html>".encode()
    return respond(page, status=500, content_type="text/html")


def echo_redirect(request: Request) -> Script:
    """Redirect with the key in the address."""
    return respond(b"", status=302, headers=[("location", f"http://x/?key={request.key}")])


def echo_in_200(request: Request) -> Script:
    """Answer 200 with an error that holds the key."""
    return respond(to_json({"error": {"type": "invalid_request_error", "message": request.key}}))


def echo_limit(request: Request) -> Script:
    """Limit with the key in the message."""
    return error(429, message=f"Rate limit reached for {request.key}")


def echo_gzip(request: Request) -> Script:
    """Answer with the key in a compressed text."""
    return JSON["chat"](f"your key is {request.key}, keep it", gzip=True)


def echo_gzip_error(request: Request) -> Script:
    """Refuse the request with the key in a compressed message."""
    return error(400, message=f"Incorrect API key format: {request.key}", gzip=True)


ECHOES = {
    "gzip": (echo_gzip, 200),
    "gzip_error": (echo_gzip_error, None),
    "body": (echo_body, 200),
    "header": (echo_header, 200),
    "error": (echo_error, None),
    "server_error": (echo_server_error, 500),
    "html": (echo_html, 500),
    "redirect": (echo_redirect, 502),
    "200_with_an_error": (echo_in_200, None),
    "limit": (echo_limit, 429),
}


@pytest.mark.parametrize("name", ECHOES)
async def test_an_echoed_key_never_reaches_a_client_or_a_record(stage: Stage, name: str) -> None:
    echo, status = ECHOES[name]
    async with stage.scene("single") as scene:
        scene.a.reply(echo)
        answer = await scene.ask()  # leaving the scene searches all bytes for the key
        assert status in (None, answer.status)
        assert scene.a.requests[0].key == scene.keys[0]
        assert answer.json()
        if name in ("body", "gzip"):
            assert text_of("chat", answer.json()).startswith("your key is ***")
        if name == "header":
            assert answer.header("x-ok") == "1"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("place", ["in_the_first_word", "in_a_later_word", "in_two_reads"])
async def test_a_key_echoed_in_a_stream_never_reaches_a_client(
    stage: Stage, dialect: Dialect, place: str
) -> None:
    async with stage.scene("single") as scene:
        key = scene.keys[0]
        go = asyncio.Event()
        words = [f"is {key}.", "b"] if place == "in_the_first_word" else ["a", "b", f"is {key}."]
        begin, *pieces = STREAM[dialect](words, framing="close")
        if place == "in_two_reads":
            at = next(i for i, piece in enumerate(pieces) if key.encode() in _bytes(piece))
            whole = _bytes(pieces[at])
            middle = whole.index(key.encode()) + 9
            pieces[at : at + 1] = [whole[:middle], wait(go), whole[middle:]]
        scene.a.reply([begin, *pieces])
        _, stream = await scene.stream(dialect, on_word=("b", go))
        seen = read(dialect, stream)
        assert seen.ending == "whole"
        assert f"is {'*' * len(key)}." in seen.text


def _bytes(piece: bytes | Step) -> bytes:
    return piece if isinstance(piece, bytes) else b""


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_key_in_an_upstreams_error_event_never_reaches_a_client(
    stage: Stage, dialect: Dialect
) -> None:
    async with stage.scene("single") as scene:
        go = asyncio.Event()
        event = stream_error(dialect, "api_error", f"bad key {scene.keys[0]}")
        *script, _, end = STREAM[dialect](error_after=2)
        scene.a.reply([*script, wait(go), chunk(event), end])
        _, stream = await scene.stream(dialect, on_word=(" there", go))
        seen = read(dialect, stream)
        assert seen.ending == "error"
        assert seen.error["message"].startswith("bad key ***")


async def test_a_key_in_a_passed_through_body_is_blanked_even_across_reads(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        key = scene.keys[0].encode()
        go = asyncio.Event()
        first, second = b"x" * 100 + key[:9], key[9:] + b"y" * 100
        scene.a.reply(
            [
                b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n"
                b"content-length: %d\r\n\r\n" % (len(first) + len(second)),
                first,
                wait(go),
                second,
            ],
            path="/v1/audio/speech",
        )
        async with scene.client() as client:
            await scene.send(client, "chat", path="/v1/audio/speech")
            head = await client.read_head()
            go.set()
            body = await client.read_body(head)
        assert head.status == 200
        assert len(body) == len(first) + len(second)
