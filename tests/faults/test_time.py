"""Time limits: of an attempt, of the first token, of the whole request, and of the client's own."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.support.answers import Dialect, error
from tests.support.scripts import close, event_stream, hang, head, sleep, wait

from .dialect import DIALECTS, JSON, STREAM, assert_is_error, read
from .stage import Stage, build_stage

SCENES = {"pair": 14, "late": 9, "token": 9, "single": 14, "black_hole": 1}

JSON_HEAD = head(200, [("content-type", "application/json"), ("content-length", "99")])


@pytest.mark.parametrize("how", ["no_head", "no_body"])
async def test_a_silent_upstream_is_left_for_another(stage: Stage, how: str) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene("late") as scene:
            scene.a.reply([hang()] if how == "no_head" else [JSON_HEAD, b"{", hang()])
            began = time.monotonic()
            answer = await scene.ask(dialect)
            assert answer.status == 200
            assert 0.45 < time.monotonic() - began < 2.0
            assert await scene.faults() == ["head_late", None]
            assert len(scene.a.requests) == 1  # never the same silent one again
            closed = await scene.a.wait_for_close()
            assert closed.ending.startswith("client")

    await asyncio.gather(*map(try_one, DIALECTS))


async def test_silence_everywhere_is_a_504_that_asks_each_upstream_once(stage: Stage) -> None:
    async with stage.scene("late") as scene:
        scene.a.reply([hang()])
        scene.b.reply([hang()])
        answer = await scene.ask("messages")
        assert answer.status == 504
        assert_is_error("messages", 504, answer.body)
        assert await scene.faults() == ["head_late"] * 2
        assert (await scene.record())["attempts"][0]["cost"] == "unknown"


async def test_an_upstream_that_accepts_and_never_reads_is_left_for_another(stage: Stage) -> None:
    async with stage.scene("late") as scene:
        scene.a.on_accept = "hang"
        answer = await scene.ask()
        assert answer.status == 200
        assert await scene.faults() == ["head_late", None]


async def test_a_slow_first_byte_within_the_limit_is_normal(stage: Stage) -> None:
    async with stage.scene() as scene:
        scene.a.reply([sleep(0.6), *JSON["chat"]()])
        assert (await scene.ask()).header("x-llm-proxy-attempts") == "1"


async def test_a_late_first_token_moves_the_stream_to_another_upstream(stage: Stage) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene("token") as scene:
            scene.a.reply(STREAM[dialect](cut_after=0, cut_by="hang"))
            began = time.monotonic()
            answer_head, stream = await scene.stream(dialect)
            assert read(dialect, stream).ending == "whole"
            assert 0.45 < time.monotonic() - began < 2.0
            assert answer_head.header("x-llm-proxy-attempts") == "2"
            assert await scene.faults() == ["first_token_late", None]
            assert (await scene.a.wait_for_close()).ending.startswith("client")

    await asyncio.gather(*map(try_one, DIALECTS))


async def test_pings_and_comments_do_not_stop_the_first_tokens_clock(stage: Stage) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene("token") as scene:
            beat = (
                b'event: ping\ndata: {"type": "ping"}\n\n' if dialect == "messages" else b": hi\n\n"
            )
            scene.a.reply(event_stream([piece for _ in range(40) for piece in (beat, sleep(0.1))]))
            _, stream = await scene.stream(dialect)
            assert read(dialect, stream).ending == "whole"
            assert await scene.faults() == ["first_token_late", None]

    await asyncio.gather(*map(try_one, DIALECTS))


async def test_a_late_first_token_is_waited_for_where_nobody_else_is_left(stage: Stage) -> None:
    async with stage.scene("token") as scene:
        begin, role, *rest = STREAM["chat"]()
        slow = [begin, role, sleep(1.0), *rest]
        scene.a.reply(slow)
        scene.b.reply(slow)
        began = time.monotonic()
        _, stream = await scene.stream("chat")
        assert read("chat", stream).ending == "whole"
        assert 1.4 < time.monotonic() - began < 4.0
        assert await scene.faults() == ["first_token_late", None]


async def test_a_json_answer_has_no_first_token_limit(stage: Stage) -> None:
    async with stage.scene("token") as scene:
        scene.a.reply([sleep(0.8), *JSON["chat"]()])
        assert (await scene.ask()).header("x-llm-proxy-attempts") == "1"


# --- the client's own deadline

IN_500_MS = [("x-llm-proxy-timeout-ms", "500")]


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
async def test_the_clients_deadline_ends_a_request_that_hangs(stage: Stage, stream: bool) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene() as scene:
            scene.a.reply([hang()])
            began = time.monotonic()
            answer = await scene.ask(dialect, stream=stream, headers=IN_500_MS)
            assert answer.status == 504
            assert_is_error(dialect, 504, answer.body)
            assert 0.45 < time.monotonic() - began < 1.5
            assert scene.b.requests == []
            assert await scene.faults() == ["deadline"]
            assert (await scene.a.wait_for_close()).ending.startswith("client")
            scene.a.forget()  # the upstream is not blamed
            again = await scene.ask(dialect)
            assert again.header("x-llm-proxy-upstream") == scene.upstreams[0]

    await asyncio.gather(*map(try_one, DIALECTS))


async def test_the_clients_deadline_ends_a_living_stream_in_band(stage: Stage) -> None:
    async def try_one(dialect: Dialect) -> None:
        async with stage.scene() as scene:
            scene.a.reply(STREAM[dialect](["tick "] * 100, gap_s=0.05))
            began = time.monotonic()
            answer_head, stream = await scene.stream(dialect, headers=IN_500_MS)
            assert answer_head.status == 200
            seen = read(dialect, stream)
            assert seen.text.startswith("tick tick")
            assert (seen.ending, stream.ending) == ("error", "complete")
            assert 0.4 < time.monotonic() - began < 1.5
            assert await scene.faults() == ["deadline"]

    await asyncio.gather(*map(try_one, DIALECTS))


async def test_a_wait_that_would_outlive_the_deadline_is_not_begun(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        scene.is_usable_again = False
        scene.a.reply(error(429, headers=[("retry-after", "5")]))
        began = time.monotonic()
        answer = await scene.ask(headers=[("x-llm-proxy-timeout-ms", "2000")])
        assert answer.status == 429
        assert answer.header("retry-after") in {"4", "5"}
        assert time.monotonic() - began < 1.0


async def test_the_deadline_covers_the_connecting(stage: Stage) -> None:
    async with stage.scene("black_hole") as scene:
        began = time.monotonic()
        answer = await scene.ask(headers=[("x-llm-proxy-timeout-ms", "150")])
        assert answer.status == 504
        assert time.monotonic() - began < 1.0
        scene.is_checked = False  # the attempt never became a request


@pytest.mark.parametrize("value", ["0", "-1", "soon", "", "1e3", "nan"])
async def test_a_deadline_that_is_none_is_refused(stage: Stage, value: str) -> None:
    async with stage.scene("single") as scene:
        scene.is_checked = False  # refused before the body names the model
        answer = await scene.ask("messages", headers=[("x-llm-proxy-timeout-ms", value)])
        assert answer.status == 400
        assert "x-llm-proxy-timeout-ms" in assert_is_error("messages", 400, answer.body)["message"]
        assert scene.a.requests == []


# --- the proxy's own limit of the whole request


async def test_request_timeout_bounds_everything_but_a_stream_that_flows(tmp_path: Path) -> None:
    limit = {"REQUEST_TIMEOUT_S": "0.6"}
    with build_stage(tmp_path, {"pair": 4}, environment=limit) as stage:

        async def hang_in(dialect: Dialect) -> None:
            async with stage.scene() as scene:
                scene.a.reply([hang()])
                answer = await scene.ask(dialect, stream=dialect != "chat")
                assert answer.status == 504
                assert await scene.faults() == ["deadline"]

        async def flow() -> None:
            async with stage.scene() as scene:
                scene.a.reply(STREAM["chat"](["tick"] * 12, gap_s=0.1))
                _, stream = await scene.stream("chat")
                assert read("chat", stream).ending == "whole"

        await asyncio.gather(flow(), *map(hang_in, DIALECTS))


# --- silence


async def test_a_held_stream_is_kept_alive_after_15_s_and_can_still_move(stage: Stage) -> None:
    """The only slow test: all formats side by side, one that is answered, one that fails."""

    async def late_answer(dialect: Dialect) -> None:
        async with stage.scene() as scene:
            go = asyncio.Event()
            scene.a.reply([wait(go), close()])
            _, stream = await scene.stream(dialect, on_word=("", go))
            assert stream.events[0].raw == b": keepalive\n\n"
            assert read(dialect, stream).ending == "whole"
            assert await scene.faults() == ["reset", None]

    async def late_failure(dialect: Dialect) -> None:
        async with stage.scene("single") as scene:
            go = asyncio.Event()
            scene.a.reply([wait(go), *error(400, dialect)])
            answer_head, stream = await scene.stream(dialect, on_word=("", go))
            assert answer_head.status == 200
            assert (read(dialect, stream).ending, stream.ending) == ("error", "complete")

    async def flowing(dialect: Dialect) -> None:
        async with stage.scene("single") as scene:
            go = asyncio.Event()
            begin, *rest = STREAM[dialect](["a", "b"], framing="close")
            at = next(n for n, piece in enumerate(rest) if b'"a"' in bytes(piece)) + 1  # type: ignore[arg-type]
            scene.a.reply([begin, *rest[:at], wait(go), *rest[at:]])
            async with scene.client() as client:
                await scene.send(client, dialect, stream=True)
                answer_head = await client.read_head()
                events = []
                async for event in client.read_events(answer_head):
                    events.append(event)
                    if b"keepalive" in event.raw or len(events) > at:
                        go.set()
            frame = events[at].raw
            expected = (
                b'event: ping\ndata: {"type": "ping"}\n\n'
                if dialect == "messages"
                else b": keepalive\n\n"
            )
            assert frame == expected
            assert 14 < events[at].at - events[at - 1].at < 17

    tests = (late_answer, late_failure, flowing)
    await asyncio.gather(*(test(dialect) for test in tests for dialect in DIALECTS))
