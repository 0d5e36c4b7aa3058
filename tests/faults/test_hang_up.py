"""Clients that leave: the upstream is let go of at once, nobody is blamed, the record says so."""

import asyncio
import time

import pytest

from tests.support.answers import Dialect, error
from tests.support.scripts import Step, hang, head

from .dialect import DIALECTS, STREAM
from .stage import Scene, Stage

SCENES = {"pair": 34, "single": 6}

CLOSED_WITHIN_S = 0.1
ONE_MAY_TAKE_S = 0.3
"""For a single measurement, as the machine may be busy; the crowd is held to the bar."""
JSON_HEAD = head(200, [("content-type", "application/json"), ("content-length", "99")])


def moments(dialect: Dialect) -> dict[str, tuple[bool, list[bytes | Step]]]:
    """Return what the provider does until the client leaves, and whether a stream was asked for."""
    return {
        "before_the_head": (True, [hang()]),
        "before_the_content": (True, STREAM[dialect](cut_after=0, cut_by="hang")),
        "in_mid_stream": (True, STREAM[dialect](cut_after=2, cut_by="hang")),
        "while_json_is_made": (False, [hang()]),
        "while_json_comes": (False, [JSON_HEAD, b'{"id":', hang()]),
    }


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("moment", moments("chat"))
async def test_an_upstream_is_let_go_of_when_the_client_leaves(
    stage: Stage, moment: str, how: str
) -> None:
    async def try_one(dialect: Dialect) -> None:
        stream, script = moments(dialect)[moment]
        async with stage.scene() as scene:
            scene.a.reply(script)
            async with scene.client() as client:
                await scene.send(client, dialect, stream=stream)
                await scene.a.wait_for_requests(1)
                if moment == "in_mid_stream":
                    await client.read_some()
                await asyncio.sleep(0.02)  # the answer's bytes are on their way
                left_at = time.monotonic()
                if how == "reset":
                    client.abort()
                else:
                    client.half_close()
                connection = await scene.a.wait_for_close()
                assert connection.closed_at is not None
                assert connection.closed_at - left_at <= ONE_MAY_TAKE_S
                assert connection.ending.startswith("client")
            record = await scene.record()
            assert record["outcome"] == "client_gone"
            assert [one["fault"] for one in record["attempts"]] == ["client_gone"]
            assert scene.b.requests == []
            scene.a.forget()  # nobody is blamed
            again = await scene.ask(dialect)
            assert again.header("x-llm-proxy-upstream") == scene.upstreams[0]

    await asyncio.gather(*map(try_one, DIALECTS))


async def test_no_further_attempt_is_made_for_a_client_that_left_while_it_waited(
    stage: Stage,
) -> None:
    async with stage.scene("single") as scene:
        scene.a.script(error(429, headers=[("retry-after", "1")]))
        async with scene.client() as client:
            await scene.send(client, "chat")
            await scene.a.wait_for_requests(1)
            await asyncio.sleep(0.1)
            client.abort()
        (record,) = await scene.records()
        assert record["outcome"] == "client_gone"
        assert record["total_ms"] < 800
        await asyncio.sleep(1.0)
        assert len(scene.a.requests) == 1
        assert scene.seen() == 1


async def test_clients_that_leave_over_and_over_do_not_open_the_breaker(stage: Stage) -> None:
    async with stage.scene() as scene:
        scene.a.script(*[STREAM["chat"](cut_after=1, cut_by="hang")] * 12)
        for _ in range(12):
            async with scene.client() as client:
                await scene.send(client, "chat", stream=True)
                await client.read_some()
        await scene.records()
        answer = await scene.ask()
        assert answer.header("x-llm-proxy-upstream") == scene.upstreams[0]


async def test_what_a_client_saw_before_it_left_is_booked(stage: Stage) -> None:
    async with stage.scene("single") as scene:
        scene.a.reply(STREAM["messages"](cut_after=2, cut_by="hang"))
        async with scene.client() as client:
            await scene.send(client, "messages", stream=True)
            await client.read_some()
        record = await scene.record()
        assert record["outcome"] == "client_gone"
        assert record["usage"]["input"] == 9
        assert record["attempts"][0]["cost"] == "partial"


async def hang_up(scene: Scene, dialect: Dialect, number: int) -> float:
    """Leave in mid-stream; return how long the upstream's connection lived on."""
    async with scene.client() as client:
        await scene.send(client, dialect, stream=True, text=f"n{number}")
        await client.read_some()
        mine = next(one for one in scene.a.requests if f'"n{number}"'.encode() in one.body)
        left_at = time.monotonic()
        client.abort()
        connection = await scene.a.wait_for_close(mine.connection)
        assert connection.closed_at is not None
        return connection.closed_at - left_at


async def test_a_crowd_that_leaves_lets_go_of_all_upstream_connections(stage: Stage) -> None:
    async with stage.scene() as scene:
        scene.a.reply(lambda request: STREAM[_dialect(request.path)](cut_after=1, cut_by="hang"))
        took: list[float] = []
        for round_ in range(5):
            took += await asyncio.gather(
                *(hang_up(scene, DIALECTS[n % 3], round_ * 20 + n) for n in range(20))
            )
        assert sorted(took)[97] <= CLOSED_WITHIN_S
        assert scene.b.requests == []


def _dialect(path: str) -> Dialect:
    return {"/v1/messages": "messages", "/v1/responses": "responses"}.get(path, "chat")  # type: ignore[return-value]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_client_that_sends_its_request_and_leaves_at_once_is_not_worked_for(
    stage: Stage, dialect: Dialect
) -> None:
    async with stage.scene("single") as scene:
        scene.is_checked = False  # the attempt may end before the request is written
        scene.a.reply([hang()])
        for number in range(20):
            async with scene.client() as client:
                await scene.send(client, dialect, stream=bool(number % 2))
                client.half_close()
                assert await client.ended() in ("fin", "reset")
        records = await scene.records()
        assert {record["outcome"] for record in records} == {"client_gone"}
        await scene.a.wait_until(lambda: not [c for c in scene.a.open_connections if c.requests])
