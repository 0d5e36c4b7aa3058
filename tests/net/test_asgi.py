"""What a client of the page sees, whatever the application behind the adapter does."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_proxy.net import asgi
from llm_proxy.net.asgi import run_asgi
from tests.support.asgi_reply import FakeReply, FakeRequest
from tests.support.dashboard_world import World

LOG = logging.getLogger("test.asgi")


def app_of(endpoint: Callable[[Request], Awaitable[Response]]) -> Starlette:
    return Starlette(routes=[Route("/{rest:path}", endpoint, methods=["GET", "POST"])])


async def answer(app: ASGIApp, **request: Any) -> FakeReply:
    reply = FakeReply()
    await run_asgi(app, FakeRequest(**request), reply, log=LOG)
    return reply


async def echo(request: Request) -> Response:
    body = await request.body()
    return PlainTextResponse(
        b"|".join([request.method.encode(), request.url.query.encode(), body]),
        headers={"x-from": request.headers["x-to"], "server": "starlette"},
    )


async def test_a_whole_request_comes_back_as_a_whole_answer() -> None:
    reply = await answer(
        app_of(echo), method="POST", query=b"a=%20b", body=b"hello", headers=[(b"x-to", b"here")]
    )
    assert reply.kinds == ["head", "body", "finish"]
    assert (reply.status, reply.body, reply.length) == (200, b"POST|a=%20b|hello", 17)
    assert reply.headers[b"x-from"] == b"here"


async def test_framing_and_server_fields_of_the_application_never_reach_the_head() -> None:
    async def bad_manners(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"Content-Length", b"2"),
            (b"Transfer-Encoding", b"chunked"),
            (b"Connection", b"close"),
            (b"Server", b"x"),
            (b"Date", b"x"),
            (b"X-Kept", b"1"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    reply = await answer(bad_manners)
    assert reply.headers == {b"x-kept": b"1"}
    assert reply.length == 2


async def test_a_head_request_gets_the_length_and_no_body() -> None:
    reply = await answer(app_of(echo), method="HEAD", headers=[(b"x-to", b"here")])
    assert reply.kinds == ["head", "finish"]
    assert (reply.status, reply.length) == (200, len(b"HEAD||"))


async def test_a_body_of_unknown_length_leaves_the_framing_to_the_server() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async def stream(request: Request) -> Response:
        return StreamingResponse(pieces())

    reply = await answer(app_of(stream))
    assert reply.kinds == ["head", "body", "finish"]
    assert (reply.body, reply.length) == (b"onetwo", None)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        pytest.param(b"/a%20b/%E4%B8%AD", "/a b/中", id="percent_encoding_is_read"),
        pytest.param(b"/%ff", "/\ufffd", id="broken_utf8_is_no_error"),
        pytest.param(b"/a?b", "/a?b", id="a_question_mark_is_left_alone"),
    ],
)
async def test_the_path_is_decoded_once(raw: bytes, path: str) -> None:
    seen: Scope = {}

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(scope)
        await PlainTextResponse("")(scope, receive, send)

    await answer(look, path=raw)
    assert (seen["path"], seen["raw_path"], seen["root_path"]) == (path, raw, "")


async def test_a_failure_before_the_head_is_a_500_problem_without_details(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("sk-canary")

    reply = await answer(broken, path=b"/api/status", query=b"key=sk-in-query")
    assert reply.kinds == ["head", "body", "finish"]
    assert reply.status == 500
    assert reply.headers[b"content-type"] == b"application/problem+json"
    assert reply.length == len(reply.body)
    assert b"canary" not in reply.body
    assert "/api/status" in caplog.text
    assert "sk-in-query" not in caplog.text


async def test_a_failure_after_the_head_cuts_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError("later")

    reply = await answer(broken)
    assert reply.kinds == ["head", "body", "abort"]


async def test_a_failure_after_the_end_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("fine")(scope, receive, send)
        raise ValueError("too late")

    reply = await answer(late)
    assert reply.kinds == ["head", "body", "finish"]


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        pytest.param(b"four!", ["head", "abort"], id="longer"),
        pytest.param(b"fou", ["head", "abort"], id="shorter"),
        pytest.param(b"four", ["head", "body", "finish"], id="exact"),
    ],
)
async def test_a_body_must_have_the_length_its_head_announced(
    body: bytes, kinds: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def liar(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    assert (await answer(liar)).kinds == kinds


@pytest.mark.parametrize(
    ("messages", "kinds"),
    [
        pytest.param([], ["head", "body", "finish"], id="says_nothing"),
        pytest.param(["body"], ["head", "body", "finish"], id="body_first"),
        pytest.param(["start", "start"], ["head", "abort"], id="two_heads"),
        pytest.param(["start"], ["head", "abort"], id="head_only"),
        pytest.param(["start", "body", "body"], ["head", "finish"], id="goes_on_after_the_end"),
    ],
)
async def test_an_application_out_of_order_is_never_a_good_answer(
    messages: list[str], kinds: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def confused(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send({"type": f"http.response.{message}", "status": 200})

    reply = await answer(confused)
    assert reply.kinds == kinds


async def test_a_slow_reader_holds_the_application_back() -> None:
    sent: list[int] = []

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            sent.append(number)
        await send({"type": "http.response.body", "body": b""})

    reply = FakeReply()
    reply.stop_reading()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_asgi(endless, FakeRequest(), reply, log=LOG))
        await turns()
        assert (reply.body, sent) == (b"x", [])
        reply.read_on()
    assert (reply.body, sent) == (b"xxx", [0, 1, 2])
    assert reply.kinds[-1] == "finish"


async def test_an_application_that_listens_hears_of_the_hang_up() -> None:
    heard: list[Message] = []

    async def listener(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append(await receive())
        heard.append(await receive())

    reply = FakeReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_asgi(listener, FakeRequest(body=b"b"), reply, log=LOG))
        await turns()
        assert len(heard) == 1
        reply.hang_up()
    assert heard == [
        {"type": "http.request", "body": b"b", "more_body": False},
        {"type": "http.disconnect"},
    ]


async def test_an_application_that_does_not_listen_is_stopped_at_its_next_send(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.sleep(0)

    reply = FakeReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_asgi(endless, FakeRequest(), reply, log=LOG))
        await turns()
        reply.hang_up()
    assert reply.kinds == ["head", "body", "abort"]
    assert not [line for line in caplog.records if line.levelno > logging.DEBUG]


async def test_receive_after_the_end_says_disconnect_at_once() -> None:
    async def curious(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await PlainTextResponse("ok")(scope, receive, send)
        assert await receive() == {"type": "http.disconnect"}

    assert (await answer(curious)).kinds == ["head", "body", "finish"]


async def test_cancelling_the_server_cuts_a_running_answer() -> None:
    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        await receive()

    reply = FakeReply()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run_asgi(waits, FakeRequest(), reply, log=LOG))
        await turns()
        task.cancel()
    assert reply.kinds == ["head", "abort"]


async def test_a_page_that_hangs_up_ends_its_event_stream_without_noise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world, reply = World(), FakeReply()
    async with asyncio.TaskGroup() as group:
        request = FakeRequest(path=b"/api/events", headers=[(b"host", b"proxy.test")])
        group.create_task(run_asgi(world.app, request, reply, log=LOG))
        await turns()
        assert b"event: status" in reply.body
        reply.hang_up()
    assert reply.kinds == ["head", "body", "abort"]
    assert not [line for line in caplog.records if line.levelno > logging.DEBUG]


def test_an_answer_moves_only_along_its_table() -> None:
    for state, following in asgi._NEXT.items():
        for target in asgi.State:
            call = asgi._Call(FakeRequest(), FakeReply())
            call._state = state
            if target in following:
                call._go(target)
                assert call._state is target
            else:
                with pytest.raises(AssertionError):
                    call._go(target)


async def turns(count: int = 20) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)
