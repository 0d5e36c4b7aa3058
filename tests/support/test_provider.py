"""The test provider does on the wire what its scripts say, under asyncio and uvloop."""

import asyncio
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, TypeAlias

import pytest
import uvloop

from . import certificate
from .answers import (
    chat_events,
    chat_json,
    chat_stream,
    error,
    messages_events,
    messages_stream,
    responses_events,
    responses_json,
    responses_stream,
)
from .client import FramingError, RawClient, TruncatedError, request_bytes
from .provider import Provider, ProviderThread, Request, black_hole_url, refused_url
from .scripts import (
    Script,
    bad_chunk,
    close,
    cut,
    cut_at,
    dribbled,
    garbage,
    half_head,
    hang,
    head,
    joined,
    many_headers,
    raw,
    read_body,
    reset,
    respond,
    shut_write,
    signal,
    sleep,
    stop_reading,
    wait,
)

Run: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def go(story: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(story, 30))

    return go


ASK = request_bytes("POST", "/v1/chat/completions", key="k1", json_body={"model": "m"})


def test_unscripted_requests_get_a_healthy_answer_on_one_connection(run: Run) -> None:
    async def story() -> None:
        async with Provider() as provider, RawClient.to(provider.url) as client:
            plain = await client.ask("POST", "/v1/messages", json_body={"model": "m"}, key="k1")
            assert plain.json()["content"][0]["text"] == "Hello there!"
            await client.request(
                "POST", "/v1/chat/completions?x=1", json_body={"model": "m", "stream": True}
            )
            stream = await client.read_stream()
            assert stream.ending == "complete"
            assert stream.raw == b"".join(chat_events(model="m", usage=False))
            first, second = provider.requests
            assert (first.model, first.key, first.stream) == ("m", "k1", False)
            assert (second.path, second.query, second.key) == ("/v1/chat/completions", "x=1", None)
            assert second.header("Content-Type") == "application/json"
            assert len(provider.connections) == 1

    run(story())


def test_scripts_are_used_in_order_and_by_path_key_and_model(run: Run) -> None:
    async def story() -> None:
        async with Provider() as provider, RawClient.to(provider.url) as client:
            provider.reply(error(401), key="bad")
            provider.reply(lambda request: chat_json(request.model.upper()), model="echo")
            provider.script(error(500), error(503), path="/v1/chat/completions")

            async def status(
                key: str = "k1", model: str = "m", path: str = "chat/completions"
            ) -> int:
                body = {"model": model}
                answer = await client.ask("POST", f"/v1/{path}", key=key, json_body=body)
                return answer.status

            assert [await status(path="messages"), await status(), await status()] == [
                200,
                500,
                503,
            ]
            assert await status() == 200
            assert await status(key="bad") == 401
            shout = await client.ask("POST", "/v1/chat/completions", json_body={"model": "echo"})
            assert shout.json()["choices"][0]["message"]["content"] == "ECHO"
            provider.forget()
            assert await status(key="bad") == 200

    run(story())


async def _truncated(client: RawClient) -> TruncatedError:
    await client.send(ASK)
    with pytest.raises(TruncatedError) as caught:
        await client.read_response()
    return caught.value


@pytest.mark.parametrize(
    ("script", "ending"),
    [
        pytest.param(half_head(), "fin", id="half_a_head"),
        pytest.param([close()], "fin", id="fin_without_an_answer"),
        pytest.param([reset()], "reset", id="reset_without_an_answer"),
        pytest.param([*respond(b"abc", length=9), close()], "fin", id="length_too_long"),
        pytest.param(cut_at(respond(b"abc", framing="chunked"), 70), "fin", id="chunked_cut"),
    ],
)
def test_broken_answers_break_as_scripted(run: Run, script: Script, ending: str) -> None:
    async def story() -> None:
        async with Provider() as provider, RawClient.to(provider.url) as client:
            provider.script(script)
            assert (await _truncated(client)).ending == ending
            closed = await provider.wait_for_close()
            assert closed.ending == ending

    run(story())


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(garbage(), id="garbage"),
        pytest.param(bad_chunk(), id="bad_chunk"),
        pytest.param([b"HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n"], id="obs_fold"),
    ],
)
def test_what_is_no_http_is_noticed_by_the_client(run: Run, script: Script) -> None:
    async def story() -> None:
        async with Provider() as provider, RawClient.to(provider.url) as client:
            provider.script(script)
            await client.send(ASK)
            with pytest.raises(FramingError):
                await client.read_response()

    run(story())


@pytest.mark.parametrize(
    ("script", "body"),
    [
        pytest.param(respond(b"abc"), b"abc", id="length"),
        pytest.param(respond(b"abc", framing="chunked"), b"abc", id="chunked"),
        pytest.param(respond(b"abc", framing="close"), b"abc", id="close"),
        pytest.param(respond(b"abc", version="1.0"), b"abc", id="http_1_0"),
        pytest.param(dribbled(respond(b"abc")), b"abc", id="byte_by_byte"),
        pytest.param(respond(b"abc", headers=many_headers(500)), b"abc", id="500_headers"),
        pytest.param(respond(b"abc", headers=many_headers(1, 100_000)), b"abc", id="giant_header"),
        pytest.param([head(204)], b"", id="no_content"),
    ],
)
def test_every_framing_reads_the_same(run: Run, script: Script, body: bytes) -> None:
    async def story() -> None:
        async with Provider() as provider, RawClient.to(provider.url) as client:
            provider.script(script)
            await client.send(ASK)
            assert (await client.read_response()).body == body

    run(story())


def test_interim_answers_trailers_gzip_and_surplus_arrive_as_sent(run: Run) -> None:
    async def story() -> None:
        async with Provider() as provider, RawClient.to(provider.url) as client:
            provider.script(
                respond(b"x", interim=(100, 103), framing="chunked", trailers=[("X-Sum", "1")]),
                respond(b"y" * 100, gzip=True),
                respond(b"z", surplus=b"HTTP/1.1 200 OK\r\n"),
                joined(respond(b"1"), respond(b"2")),
            )
            await client.send(ASK)
            first = await client.read_response()
            assert (first.head.interim, client.trailers) == ([100, 103], [("X-Sum", "1")])
            await client.send(ASK)
            second = await client.read_response()
            assert second.header("content-encoding") == "gzip"
            assert second.body[:2] == b"\x1f\x8b"
            await client.send(ASK)
            assert (await client.read_response()).body == b"z"
            assert not await client.is_silent(0)
        async with Provider() as provider, RawClient.to(provider.url) as client:
            provider.script(joined(respond(b"1"), respond(b"2")))
            await client.send(ASK)
            bodies = [(await client.read_response()).body for _ in range(2)]
            assert bodies == [b"1", b"2"]

    run(story())


BUILDERS: dict[str, tuple[Callable[..., Script], Callable[..., list[bytes]]]] = {
    "chat": (chat_stream, chat_events),
    "messages": (messages_stream, messages_events),
    "responses": (responses_stream, responses_events),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_streams_break_where_they_are_told_to(run: Run, name: str) -> None:
    stream, events = BUILDERS[name]
    opening = next(i for i, event in enumerate(events(["a", "b"])) if b'"a"' in event)

    async def story() -> None:
        async with Provider() as provider:
            for cut_by, ending in [("fin", "fin"), ("reset", "reset"), ("clean", "complete")]:
                provider.script(stream(["a", "b"], cut_after=1, cut_by=cut_by))
                async with RawClient.to(provider.url) as client:
                    await client.send(ASK)
                    got = await client.read_stream()
                    assert (got.ending, len(got.events)) == (ending, opening + 1)
            provider.script(stream(["a", "b"], cut_after=1, cut_by="half_event"))
            async with RawClient.to(provider.url) as client:
                await client.send(ASK)
                got = await client.read_stream()
                assert got.rest
                assert events(["a", "b"])[opening + 1].startswith(got.rest)
            provider.script(stream(["a", "b"], error_after=1, gap_s=0.02))
            async with RawClient.to(provider.url) as client:
                await client.send(ASK)
                got = await client.read_stream()
                assert got.ending == "complete"
                assert "error" in got.data[-1]
                assert got.events[opening].at - got.events[0].at >= 0.015

    run(story())


def test_the_provider_sees_a_client_that_leaves_and_how(run: Run) -> None:
    async def story() -> None:
        async with Provider() as provider:
            for leave, ending in [("close", "client_fin"), ("abort", "client_reset")]:
                provider.script([head(200), hang()])
                async with RawClient.to(provider.url) as client:
                    await client.send(ASK)
                    await provider.wait_for_requests(len(provider.connections))
                    await client.read_head()
                    left_at = monotonic()
                    if leave == "abort":
                        client.abort()
                connection = await provider.wait_for_close()
                assert connection.ending == ending
                assert connection.closed_at is not None
                assert 0 <= connection.closed_at - left_at < 1

    run(story())


def test_a_half_closed_client_still_gets_its_answer(run: Run) -> None:
    async def story() -> None:
        async with Provider() as provider, RawClient.to(provider.url) as client:
            provider.script([sleep(0.05), *respond(b"abc")])
            await client.send(ASK)
            client.half_close()
            assert (await client.read_response()).body == b"abc"
            assert await client.ended() == "fin"

    run(story())


def test_events_order_the_provider_and_the_test(run: Run) -> None:
    async def story() -> None:
        reached, go_on = asyncio.Event(), asyncio.Event()
        async with Provider() as provider, RawClient.to(provider.url) as client:
            provider.script([signal(reached), wait(go_on), *respond(b"abc")])
            await client.send(ASK)
            await reached.wait()
            assert await client.is_silent(0.05)
            go_on.set()
            assert (await client.read_response()).body == b"abc"

    run(story())


def test_early_scripts_answer_before_the_body_is_read(run: Run) -> None:
    async def story() -> None:
        async with Provider() as provider:
            start = b"POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n"
            async with RawClient.to(provider.url) as client:
                provider.script([b"HTTP/1.1 413 No\r\n", read_body(), b"\r\n", close()], early=True)
                await client.send(start)
                await client.send(b"abc")
                assert (await client.read_head()).status == 413
                assert provider.requests[0].body == b"abc"
            async with RawClient.to(provider.url) as client:
                provider.script(
                    [stop_reading(), *respond(b"{}", status=413), sleep(0.05), reset()],
                    early=True,
                )
                await client.send(start)
                assert (await client.read_response()).status == 413
                assert await client.ended() == "reset"

    run(story())


def test_a_fin_in_one_direction_leaves_the_other_open(run: Run) -> None:
    async def story() -> None:
        async with Provider() as provider, RawClient.to(provider.url) as client:
            provider.script([*respond(b"abc", framing="length"), shut_write(), hang()])
            await client.send(ASK)
            assert (await client.read_response()).body == b"abc"
            assert await client.ended() == "fin"
            assert not provider.connections[0].lost.is_set()

    run(story())


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\nhost: x\n\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +1\r\n\r\na",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\na: b\x00c\r\n\r\n",
        b"GET  / HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_malformed_requests_are_kept_and_refused(run: Run, data: bytes) -> None:
    async def story() -> None:
        async with Provider() as provider, RawClient.to(provider.url) as client:
            await client.send(data)
            assert (await client.read_response()).status == 400
            assert await client.ended() == "fin"
            assert len(provider.malformed) == 1

    run(story())


def test_chunked_requests_are_put_together(run: Run) -> None:
    async def story() -> None:
        async with Provider() as provider, RawClient.to(provider.url) as client:
            await client.send(
                b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nx-t: 1\r\n\r\n"
            )
            assert (await client.read_response()).status == 200
            assert provider.requests[0].body == b"abc0123456789"

    run(story())


def test_the_accept_side_can_hang_close_and_reset(run: Run) -> None:
    async def story() -> None:
        async with Provider(on_accept="hang") as provider:
            async with RawClient.to(provider.url) as client:
                await client.send(ASK)
                assert await client.is_silent(0.05)
            provider.on_accept = "close"
            async with RawClient.to(provider.url) as client:
                assert await client.ended() == "fin"
            provider.on_accept = "reset"
            async with RawClient.to(provider.url) as client:
                assert await client.ended() == "reset"
            provider.on_accept = "serve"
            async with RawClient.to(provider.url) as client:
                assert (await client.ask("GET", "/v1/models")).status == 200

    run(story())


def test_a_provider_goes_down_and_comes_back_on_its_port(run: Run) -> None:
    async def story() -> None:
        async with Provider() as provider:
            async with RawClient.to(provider.url) as client:
                assert (await client.ask("GET", "/v1/models")).status == 200
                await provider.go_down()
                assert await client.ended() == "reset"
            with pytest.raises(ConnectionRefusedError):
                await RawClient.to(provider.url).__aenter__()
            await provider.come_back()
            async with RawClient.to(provider.url) as client:
                assert (await client.ask("GET", "/v1/models")).status == 200

    run(story())


def test_refused_and_black_hole_addresses_do_what_they_say(run: Run) -> None:
    async def story() -> None:
        with refused_url() as url, pytest.raises(ConnectionRefusedError):
            await RawClient.to(url).__aenter__()
        with black_hole_url() as url, pytest.raises(TimeoutError):
            await RawClient.to(url, timeout_s=0.3).__aenter__()

    run(story())


def test_tls_connections_can_be_cut_and_reset(run: Run) -> None:
    async def story() -> None:
        trusting = certificate.client_context()
        async with Provider(ssl_context=certificate.server_context()) as provider:

            def connect() -> RawClient:
                return RawClient.to(provider.url, ssl_context=trusting)

            async with connect() as client:
                assert (await client.ask("GET", "/v1/models")).status == 200
                assert provider.connections[0].server_name == "localhost"
            for step in (close(), cut(), reset()):
                provider.script([b"HTTP/1.1 200 OK\r\n", step])
                async with connect() as client:
                    await client.send(ASK)
                    with pytest.raises(TruncatedError):
                        await client.read_response()

    run(story())


def test_a_peer_that_does_not_read_holds_the_script_up(run: Run) -> None:
    async def story() -> None:
        async with Provider() as provider:
            provider.script([head(200), *[b"x" * 65536] * 400, close()])
            async with RawClient.to(provider.url, receive_buffer=8192) as client:
                await client.send(ASK)
                await client.read_head()
                await asyncio.sleep(0.1)
                assert provider.connections[0].sent_bytes < 20_000_000
                assert len(await client.read_rest()) > 20_000_000

    run(story())


def test_a_failing_script_fails_the_test(run: Run) -> None:
    async def break_down(_: object) -> None:
        raise ZeroDivisionError

    async def story(script: Script, limit_s: float) -> None:
        async with Provider(limit_s=limit_s) as provider, RawClient.to(provider.url) as client:
            provider.script(script)
            await client.send(ASK)
            with pytest.raises(TruncatedError):
                await client.read_response()

    cases: list[tuple[Script, type[Exception]]] = [
        ([break_down], ZeroDivisionError),
        ([hang()], TimeoutError),
    ]
    for script, kind in cases:
        with pytest.raises(ExceptionGroup) as caught:
            run(story(script, 0.1))
        assert isinstance(caught.value.exceptions[0], kind)


def test_a_script_that_hangs_at_the_end_of_a_test_is_dropped(run: Run) -> None:
    async def story() -> None:
        async with Provider() as provider:
            provider.script([head(200), sleep(100)])
            async with RawClient.to(provider.url) as client:
                await client.send(ASK)
                await client.read_head()

    started_at = monotonic()
    run(story())
    assert monotonic() - started_at < 5


def test_the_threaded_provider_serves_blocking_clients() -> None:
    go_on = asyncio.Event()
    with ProviderThread() as provider:
        provider.script([wait(go_on), *responses_json("hi")], error(529, "messages"))
        threading.Timer(0.05, provider.set, [go_on]).start()
        with urllib.request.urlopen(provider.url + "/v1/responses", timeout=5) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(provider.url + "/v1/messages", timeout=5)
        assert caught.value.code == 529
        caught.value.close()
        assert [request.path for request in provider.requests] == ["/v1/responses", "/v1/messages"]
        provider.go_down()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", provider.port), timeout=5)


def test_scripts_are_plain_lists() -> None:
    assert raw(respond(b"{}")).endswith(b"\r\n\r\n{}")
    with pytest.raises(TypeError):
        raw([close()])


def test_a_request_knows_its_parts() -> None:
    request = Request(b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a:  2 \r\n\r\n", 0)
    assert (request.method, request.path, request.query, request.version) == (
        "GET",
        "/a",
        "b=c",
        "1.1",
    )
    assert request.headers == [("Host", "x"), ("X-A", "1"), ("x-a", "2")]
    assert request.headers_named("x-A") == ["1", "2"]
    assert (request.model, request.stream, request.key) == ("", False, None)
