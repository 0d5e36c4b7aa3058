"""How often an upstream is asked: never more than allowed, and never twice where that could hurt."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_proxy.net.pool import REST_S
from tests.support.answers import Dialect, error, to_json
from tests.support.provider import Request
from tests.support.scripts import Script, close, garbage, reset, respond, signal, sleep

from .dialect import DIALECTS, JSON, STREAM, read, text_of
from .stage import Scene, Stage, build_stage

SCENES = {"pair": 10, "single": 20}


@pytest.mark.parametrize("max_retries", [0, 1, 2])
async def test_max_retries_is_kept_to_the_attempt(tmp_path: Path, max_retries: int) -> None:
    scenes = {"single": 2, "pair": 2, "keys": 1}
    environment = {"MAX_RETRIES": str(max_retries)}
    with build_stage(tmp_path, scenes, environment=environment) as stage:
        for kind in ("single", "pair", "keys"):
            async with stage.scene(kind) as scene:
                scene.a.reply(error(500))
                scene.b.reply(error(500))
                answer = await scene.ask()
                assert answer.status == 500
                assert scene.seen() == max_retries + 1
                assert answer.header("x-llm-proxy-attempts") == str(max_retries + 1)
        async with stage.scene("pair") as scene:
            scene.a.reply(error(500))
            answer = await scene.ask()
            assert answer.status == (200 if max_retries else 500)
        async with stage.scene("single") as scene:  # the last allowed attempt is used
            scene.a.script(*[error(503)] * max_retries)
            assert (await scene.ask()).status == 200
            assert scene.seen() == max_retries + 1


ACTED: dict[str, Callable[[], Script]] = {
    "reset": lambda: [reset()],
    "garbage": garbage,
    "500": lambda: error(500),
    "cut_json": lambda: [*respond(b"{", length=99), sleep(0.02), close()],
}


@pytest.mark.parametrize("name", ACTED)
async def test_a_request_with_side_effects_is_not_sent_again_once_it_may_have_acted(
    stage: Stage, name: str
) -> None:
    async with stage.scene() as scene:
        scene.a.reply(ACTED[name]())
        answer = await scene.ask(path="/v1/images/generations")
        assert answer.status in (500, 502)
        assert len(scene.a.requests) == 1
        assert scene.b.requests == []


async def test_an_unknown_endpoint_is_repeated_only_where_http_promises_that_it_does_no_harm(
    tmp_path: Path,
) -> None:
    with build_stage(tmp_path, {"pair": 1}) as stage:
        async with stage.scene() as scene, scene.client() as client:
            scene.is_checked = False  # no model is named, so the records are not the scene's
            for provider in (scene.a, scene.b):
                provider.reply(error(500))
            for method, path, attempts in (
                ("POST", "/v1/batches", 1),
                ("POST", "/v1/files", 1),
                ("PATCH", "/v1/whatever", 1),
                ("GET", "/v1/files", 4),
                ("DELETE", "/v1/files/file-1", 4),
            ):
                before = scene.seen()
                answer = await client.ask(
                    method, path, key=scene.proxy.access_key, json_body={"a": 1}
                )
                assert answer.status == 500, path
                assert scene.seen() - before == attempts, path


@pytest.mark.parametrize(
    "make",
    [
        lambda: error(429, headers=[("retry-after", "9")]),
        lambda: error(401),
        lambda: error(503),
        lambda: error(402),
    ],
)
async def test_a_request_with_side_effects_moves_on_while_nothing_was_done(
    stage: Stage, make: Callable[[], Script]
) -> None:
    async with stage.scene() as scene:
        scene.a.reply(make())
        scene.b.reply(respond(to_json({"data": []})))
        answer = await scene.ask(path="/v1/images/generations")
        assert (answer.status, answer.json()) == (200, {"data": []})
        assert answer.header("x-llm-proxy-attempts") == "2"


async def test_a_request_with_side_effects_moves_on_from_a_refused_connection(
    stage: Stage,
) -> None:
    async with stage.scene() as scene:
        await scene.a.go_down()
        scene.b.reply(respond(to_json({"data": []})))
        assert (await scene.ask(path="/v1/images/generations")).status == 200
        await scene.a.come_back()


async def test_a_request_with_side_effects_never_uses_a_connection_that_may_be_stale(
    stage: Stage,
) -> None:
    async with stage.scene("single") as scene:
        scene.a.reply(respond(to_json({"data": []})), path="/v1/images/generations")
        await scene.ask()
        for _ in range(3):
            assert (await scene.ask(path="/v1/images/generations")).status == 200
        numbers = [request.connection for request in scene.a.requests]
        assert len(set(numbers)) == 4


# --- connections


async def warm(scene: Scene) -> None:
    """Leave one idle connection behind, fit to be used again."""
    assert (await scene.ask()).status == 200
    assert len(scene.a.open_connections) == 1
    await rest()


async def rest() -> None:
    """Wait until the connection that was used last may be used again."""
    await asyncio.sleep(4 * REST_S)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("how", ["reset", "fin"])
async def test_a_connection_that_died_while_idle_is_replaced_unseen(
    stage: Stage, dialect: Dialect, how: str
) -> None:
    async with stage.scene("single") as scene:
        await warm(scene)
        # It dies in the very moment in which the next request is written.
        scene.a.script([reset() if how == "reset" else close()], early=True)
        answer = await scene.ask(dialect)
        assert answer.status == 200
        assert len(scene.a.requests) == 3
        assert scene.a.requests[1].connection == scene.a.requests[0].connection
        assert scene.a.requests[2].connection != scene.a.requests[1].connection


async def test_the_replay_on_a_fresh_connection_does_not_use_up_a_retry(tmp_path: Path) -> None:
    with build_stage(tmp_path, {"single": 1}, environment={"MAX_RETRIES": "0"}) as stage:
        async with stage.scene("single") as scene:
            await warm(scene)
            scene.a.script([close()], early=True)
            answer = await scene.ask()
            assert answer.status == 200
            assert answer.header("x-llm-proxy-attempts") == "2"  # two requests were written
            await rest()
            # a fresh connection that dies is a failure like any other
            scene.a.reply([reset()], early=True)
            assert (await scene.ask()).status == 502


async def test_bytes_behind_an_answer_never_reach_the_next_client(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        other = respond(to_json({"stolen": True}))[0]
        assert isinstance(other, bytes)

        def answer(request: Request) -> Script:
            text = request.fields["messages"][0]["content"]
            return JSON["chat"](text, surplus=other)

        scene.a.reply(answer)
        for number in range(30):
            got = await scene.ask(text=f"question {number}")
            assert text_of("chat", got.json()) == f"question {number}"
        numbers = {request.connection for request in scene.a.requests}
        assert len(numbers) == 30


async def test_late_surplus_bytes_never_reach_the_next_client(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        other = respond(to_json({"stolen": True}))
        for number in range(20):
            sent = asyncio.Event()
            answer = JSON["chat"](f"answer {number}")
            scene.a.script([*answer, sleep(0.002 * (number % 3)), *other, signal(sent)])
            assert text_of("chat", (await scene.ask()).json()) == f"answer {number}"
            await sent.wait()
            await scene.a.wait_for_close()


async def test_a_length_shorter_than_the_body_gives_a_short_answer_and_a_clean_next_one(
    stage: Stage,
) -> None:
    async with stage.scene("single") as scene:
        whole: dict[str, Any] = {"id": "a", "choices": [{"message": {"content": "hi"}}]}
        body = to_json(whole)
        scene.a.script(respond(body + b'{"stolen":1}', length=len(body)))
        answer = await scene.ask()
        assert (answer.status, answer.json()) == (200, whole)
        assert text_of("chat", (await scene.ask()).json()) == "Hello there!"
        assert scene.a.requests[0].connection != scene.a.requests[1].connection


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_surplus_bytes_behind_a_stream_never_reach_the_next_client(
    stage: Stage, dialect: Dialect
) -> None:
    async with stage.scene("single") as scene:
        scene.a.reply(lambda _: STREAM[dialect](surplus=b"HTTP/1.1 200 OK\r\n\r\nstolen"))
        for _ in range(5):
            _, stream = await scene.stream(dialect)
            assert read(dialect, stream).ending == "whole"
            assert b"stolen" not in stream.raw


async def test_healthy_connections_are_kept(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        for dialect in DIALECTS:
            assert (await scene.ask(dialect)).status == 200
            await rest()
            assert read(dialect, (await scene.stream(dialect))[1]).ending == "whole"
            await rest()
        assert {request.connection for request in scene.a.requests} == {0}


async def test_a_second_answer_never_reaches_another_client_however_busy_the_upstream_is(
    stage: Stage,
) -> None:
    async with stage.scene("single") as scene:
        other = respond(to_json({"stolen": True}))
        count = 0

        def answer(request: Request) -> Script:
            nonlocal count
            count += 1
            mine = JSON["chat"](request.fields["messages"][0]["content"])
            return [*mine, sleep(0.001), *other] if count % 10 == 0 else mine

        scene.a.reply(answer)

        async def client(number: int) -> None:
            for turn in range(20):
                text = f"client {number} turn {turn}"
                assert text_of("chat", (await scene.ask(text=text)).json()) == text

        await asyncio.gather(*(client(number) for number in range(20)))
