"""How a translated stream ends when the upstream's does not end well, for all pairs of formats."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from llm_proxy.domain.record import Outcome
from llm_proxy.proxy import beat
from tests.e2e.translation.pairs import (
    STREAMS,
    WHOLES,
    Worlds,
    assert_broken,
    broken_by,
    each_pair,
    ends_of,
    errors_of,
    json_error,
    text_of,
    values_of,
)
from tests.e2e.world import PATHS, World, faults_of, question
from tests.net.test_review_exchange import upstream_of
from tests.net.test_review_exchange import world as running
from tests.support.answers import chat_chunk, messages_event, stream_error, to_json
from tests.support.client import RawClient
from tests.support.provider import Provider, ProviderThread
from tests.support.proxy_process import UPSTREAM_KEY, ProxyProcess
from tests.support.scripts import dribbled, event_stream, respond, sleep

WORDS = ["Hel", "lo ", "wörld"]


@each_pair
async def test_a_whole_stream_ends_once(worlds: Worlds, client: str, upstream: str) -> None:
    world = worlds(upstream)
    world.provider.reply(STREAMS[upstream](WORDS))
    stream = await world.stream(client)
    assert text_of(client, stream) == "Hello wörld"
    assert ends_of(client, stream) == 1
    assert errors_of(client, stream) == []


@each_pair
@pytest.mark.parametrize("size", [1, 7])
async def test_a_stream_in_pieces_is_the_same_stream(
    worlds: Worlds, client: str, upstream: str, size: int
) -> None:
    world = worlds(upstream)
    world.provider.script(STREAMS[upstream](WORDS), dribbled(STREAMS[upstream](WORDS), size))
    whole, pieces = await world.stream(client), await world.stream(client)
    assert text_of(client, pieces) == "Hello wörld"
    assert len(pieces.data) == len(whole.data)


@each_pair
@pytest.mark.parametrize("how", ["fin", "reset", "clean", "half_event"])
async def test_a_cut_stream_is_never_shown_as_finished(
    worlds: Worlds, client: str, upstream: str, how: str
) -> None:
    world = worlds(upstream)
    cut = STREAMS[upstream](WORDS, cut_after=2, cut_by=how)
    if how == "clean":
        cut = broken_by(upstream, WORDS[:2])
    elif how != "reset":
        cut.insert(-2 if how == "half_event" else -1, sleep(0.05))
    world.provider.reply(cut)
    stream = await world.stream(client)
    assert text_of(client, stream) == "Hello "
    assert_broken(client, stream)
    record = world.newest_record(PATHS[client])
    assert record.outcome is Outcome.CUT
    assert faults_of(record) == ["stream_cut"]


@each_pair
@pytest.mark.parametrize("how", ["fin", "reset", "clean", "half_event"])
async def test_a_stream_cut_in_its_preamble_is_an_error_status(
    worlds: Worlds, client: str, upstream: str, how: str
) -> None:
    world = worlds(upstream)
    world.provider.reply(STREAMS[upstream](WORDS, cut_after=0, cut_by=how))
    got = await world.generate(client, stream=True)
    assert got.status == 502
    json_error(client, got.json())


@each_pair
async def test_a_tool_call_that_is_cut_is_broken_too(
    worlds: Worlds, client: str, upstream: str
) -> None:
    world = worlds(upstream)
    tool = ("weather", {"city": "Bremen"})
    world.provider.reply(STREAMS[upstream](tool=tool, cut_after=1))
    stream = await world.stream(client)
    assert_broken(client, stream)


@each_pair
async def test_an_error_behind_content_is_told_in_the_upstreams_words(
    worlds: Worlds, client: str, upstream: str
) -> None:
    world = worlds(upstream)
    said = f"the model crashed, key {UPSTREAM_KEY} was used"
    broken = stream_error(upstream, message=said)  # type: ignore[arg-type]
    world.provider.reply(broken_by(upstream, WORDS[:2], broken))
    stream = await world.stream(client)
    assert text_of(client, stream) == "Hello "
    error = assert_broken(client, stream)
    assert "the model crashed" in error["message"]
    assert UPSTREAM_KEY.encode() not in stream.raw
    record = world.newest_record(PATHS[client])
    assert record.outcome is Outcome.CUT
    assert faults_of(record) == ["stream_error"]
    assert UPSTREAM_KEY not in str(record)


@pytest.mark.parametrize(
    ("client", "upstream", "expected"),
    [
        ("messages", "chat", "overloaded_error"),
        ("messages", "responses", "overloaded_error"),
        ("chat", "messages", "server_error"),
        ("responses", "messages", None),
    ],
)
async def test_an_overload_behind_content_is_called_so(
    worlds: Worlds, client: str, upstream: str, expected: str | None
) -> None:
    world = worlds(upstream)
    code = "server_is_overloaded" if upstream == "responses" else None
    error = stream_error(upstream, code=code)  # type: ignore[arg-type]
    world.provider.reply(broken_by(upstream, WORDS[:1], error))
    told = assert_broken(client, await world.stream(client))
    assert told.get("type") == expected
    assert "verloaded" in told["message"]


@pytest.mark.parametrize("upstream", ["chat", "messages"])
async def test_a_limit_behind_content_is_a_limit_for_codex(worlds: Worlds, upstream: str) -> None:
    world = worlds(upstream)
    error = stream_error(upstream, "rate_limit_error", "slow down")  # type: ignore[arg-type]
    world.provider.reply(broken_by(upstream, WORDS[:1], error))
    told = assert_broken("responses", await world.stream("responses", model="limited-late"))
    assert told == {"code": "rate_limit_exceeded", "message": "slow down"}


@pytest.mark.parametrize(
    ("client", "upstream", "type_", "code", "status"),
    [
        ("messages", "chat", "overloaded_error", None, 529),
        ("chat", "messages", "overloaded_error", None, 503),
        ("responses", "messages", "overloaded_error", None, 503),
        ("messages", "chat", "invalid_request_error", None, 400),
        ("messages", "chat", "authentication_error", None, 502),
        ("chat", "messages", "authentication_error", None, 502),
        ("messages", "chat", "server_error", "context_length_exceeded", 400),
        ("chat", "messages", "timeout_error", None, 504),
        ("chat", "messages", "api_error", None, 502),
    ],
)
async def test_an_error_in_front_of_content_is_a_status(
    worlds: Worlds, client: str, upstream: str, type_: str, code: str | None, status: int
) -> None:
    world = worlds(upstream)
    error = stream_error(upstream, type_, "it says so", code)  # type: ignore[arg-type]
    world.provider.reply(event_stream([error]))
    got = await world.generate(client, stream=True, model=f"{type_}-{status}")
    assert got.status == status
    told = json_error(client, got.json())
    if type_ == "authentication_error":
        assert "it says so" not in told["message"]
    elif status == 400:
        assert "it says so" in told["message"]
    if code:
        assert told["message"] == "prompt is too long: it says so"


@each_pair
async def test_a_broken_event_is_left_out_and_counted(
    worlds: Worlds, client: str, upstream: str
) -> None:
    world = worlds(upstream)
    parts = STREAMS[upstream](WORDS)
    broken = b"data: {not json\n\n"
    parts.insert(-3, b"%x\r\n%b\r\n" % (len(broken), broken))
    world.provider.reply(parts)
    stream = await world.stream(client)
    assert text_of(client, stream) == "Hello wörld"
    assert ends_of(client, stream) == 1
    assert world.newest_record(PATHS[client]).broken_events == 1


@each_pair
async def test_a_very_long_event_comes_through(worlds: Worlds, client: str, upstream: str) -> None:
    world = worlds(upstream)
    long = "é" * 700_000
    world.provider.reply(STREAMS[upstream](["a", long, "z"]))
    stream = await world.stream(client)
    assert text_of(client, stream) == f"a{long}z"
    assert ends_of(client, stream) == 1


@each_pair
async def test_who_hangs_up_stops_the_upstream(worlds: Worlds, client: str, upstream: str) -> None:
    world = worlds(upstream)
    world.provider.reply(STREAMS[upstream](WORDS, cut_after=2, cut_by="hang"))
    async with world.client() as connection:
        await connection.request(
            "POST",
            PATHS[client],
            key=world.proxy.access_key,
            json_body=question(client, stream=True),
        )
        await connection.read_head()
        connection.abort()
        at = time.monotonic()
        used = world.provider.connections[world.sent.connection]
        await asyncio.to_thread(world.provider.wait_until, lambda: bool(used.ending))
        assert time.monotonic() - at < 1
    record = world.newest_record(PATHS[client])
    assert record.outcome is Outcome.CLIENT_GONE


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, World]]:
    """Proxies that wait less than a second for the next event."""
    worlds: dict[str, World] = {}
    running: list[Any] = []
    for name in ("chat", "messages", "responses"):
        provider = ProviderThread().__enter__()
        environment = {
            "PROXY_FORMATS": name,
            "STREAM_IDLE_TIMEOUT_S": "0.4",
            "UPSTREAM_TIMEOUT_S": "1",
            "MAX_RETRIES": "0",
        }
        directory = tmp_path_factory.mktemp(f"hasty-{name}")
        proxy = ProxyProcess(directory, provider.url, environment=environment).__enter__()
        worlds[name] = World(proxy, provider)
        running += [proxy, provider]
    yield worlds
    for one in running:
        one.__exit__(None, None, None)


@each_pair
async def test_a_stall_ends_in_the_clients_words(
    hasty: dict[str, World], client: str, upstream: str
) -> None:
    world = hasty[upstream]
    world.reset()
    world.provider.reply(STREAMS[upstream](WORDS, cut_after=1, cut_by="hang"))
    stream = await world.stream(client)
    assert text_of(client, stream) == "Hel"
    error = assert_broken(client, stream)
    assert "silent" in error["message"]
    assert world.newest_record(PATHS[client]).attempts[-1].fault == "stream_stalled"


@each_pair
async def test_json_for_a_stream_and_a_stream_for_json(
    worlds: Worlds, client: str, upstream: str
) -> None:
    world = worlds(upstream)
    world.provider.reply(WHOLES[upstream]("Hello there!", usage=(11, 5)))
    stream = await world.stream(client)
    assert text_of(client, stream) == "Hello there!"
    assert ends_of(client, stream) == 1
    record = world.newest_record(PATHS[client])
    assert (record.usage.input, record.usage.output) == (11, 5)
    world.reset()
    world.provider.reply(STREAMS[upstream](["Hello", " there!"], usage=(11, 5)))
    got = await world.generate(client)
    assert got.status == 200
    assert got.header("content-type") == "application/json"
    assert "Hello there!" in got.body.decode()
    record = world.record_of(got)
    assert (record.usage.input, record.usage.output) == (11, 5)


@each_pair
async def test_a_stream_for_json_that_is_cut_is_no_answer(
    worlds: Worlds, client: str, upstream: str
) -> None:
    world = worlds(upstream)
    world.provider.reply(STREAMS[upstream](WORDS, cut_after=2, cut_by="clean"))
    got = await world.generate(client)
    assert got.status == 502
    json_error(client, got.json())


async def test_comments_and_pings_of_the_upstream_are_no_content(worlds: Worlds) -> None:
    world = worlds("chat")
    parts = STREAMS["chat"](WORDS)
    comment = b": OPENROUTER PROCESSING\n\n"
    parts.insert(1, b"%x\r\n%b\r\n" % (len(comment), comment))
    parts.insert(4, b"%x\r\n%b\r\n" % (len(comment), comment))
    world.provider.reply(parts)
    stream = await world.stream("messages")
    assert text_of("messages", stream) == "Hello wörld"
    assert b"OPENROUTER" not in stream.raw


async def test_a_stream_that_ends_at_the_connections_end_is_whole(worlds: Worlds) -> None:
    world = worlds("chat")
    world.provider.reply(STREAMS["chat"](WORDS, done=False, framing="close"))
    stream = await world.stream("messages")
    assert ends_of("messages", stream) == 1


async def test_a_last_event_without_its_blank_line_counts(worlds: Worlds) -> None:
    world = worlds("messages")
    script = STREAMS["messages"](WORDS, framing="close")
    last = script[-2]
    assert isinstance(last, bytes)
    script[-2] = last.rstrip(b"\n")
    world.provider.reply(script)
    stream = await world.stream("chat")
    assert ends_of("chat", stream) == 1
    assert errors_of("chat", stream) == []


async def test_an_empty_answer_that_was_finished_is_legal(worlds: Worlds) -> None:
    world = worlds("chat")
    world.provider.reply(STREAMS["chat"]([]))
    stream = await world.stream("messages")
    assert ends_of("messages", stream) == 1
    kinds = [value["type"] for value in values_of(stream)]
    assert kinds == ["message_start", "message_delta", "message_stop"]


async def test_a_slow_stream_is_passed_on_event_by_event(worlds: Worlds) -> None:
    world = worlds("chat")
    world.provider.reply(
        STREAMS["chat"](["a", "b", "c"], gap_s=0.2),
    )
    async with RawClient.to(world.proxy.url) as connection:
        await connection.request(
            "POST",
            PATHS["messages"],
            key=world.proxy.access_key,
            json_body=question("messages", stream=True),
        )
        stream = await connection.read_stream()
    at = [event.at for event in stream.events if "text_delta" in event.data]
    assert at[1] - at[0] > 0.1
    assert at[2] - at[1] > 0.1


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize("reason", ["error", "network_error", "abort"])
async def test_a_reason_to_finish_that_is_a_failure_is_none(
    worlds: Worlds, client: str, reason: str
) -> None:
    world = worlds("chat")
    done = b"data: [DONE]\n\n"
    last = [chat_chunk({}, reason), done]
    world.provider.reply(event_stream([chat_chunk({"content": "a"}), sleep(0.05), *last]))
    error = assert_broken(client, await world.stream(client))
    assert error["message"] == f"the upstream's answer ended with finish_reason {reason}"
    for script in (
        event_stream([chat_chunk({"role": "assistant"}), *last]),
        WHOLES["chat"](finish=reason),
    ):
        world.reset()
        world.provider.reply(script)
        got = await world.generate(client, stream=True, model=f"{reason}-{len(script)}")
        assert got.status == 502
        assert reason in json_error(client, got.json())["message"]


async def test_an_error_beside_a_choice_is_told(worlds: Worlds) -> None:
    world = worlds("chat")
    error = (
        b'data: {"error":{"code":502,"message":"Provider died"},'
        b'"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}\n\n'
    )
    world.provider.reply(broken_by("chat", ["a"], error))
    told = assert_broken("messages", await world.stream("messages"))
    assert told["message"] == "Provider died"


async def test_a_response_that_failed_is_no_answer(worlds: Worlds) -> None:
    world = worlds("responses")
    failure: dict[str, Any] = {"id": "r", "status": "failed", "output": []}
    failure["error"] = {"code": "server_error", "message": "sorry for that"}
    failed = messages_event("response.failed", response=failure)
    world.provider.reply(broken_by("responses", ["a"], failed))
    told = assert_broken("chat", await world.stream("chat"))
    assert told["message"] == "sorry for that"
    for script in (event_stream([failed]), respond(to_json({"object": "response", **failure}))):
        world.reset()
        world.provider.reply(script)
        got = await world.generate("chat", stream=True, model=f"failed-{len(script)}")
        assert got.status == 502
        assert "sorry for that" in json_error("chat", got.json())["message"]


@each_pair
async def test_a_silent_stream_is_kept_alive_in_the_clients_way(
    monkeypatch: pytest.MonkeyPatch, client: str, upstream: str
) -> None:
    monkeypatch.setattr(beat, "BEAT_S", 0.1)
    async with Provider() as provider:
        one = msgspec.structs.replace(upstream_of(provider), formats=(upstream,))
        async with running(one) as proxy, proxy.client() as connection:
            script = STREAMS[upstream](["a", "b"], gap_s=0.4)
            provider.reply(script, path=PATHS[upstream])
            await connection.request(
                "POST",
                PATHS[client],
                key="access-key-of-the-test",
                json_body=question(client, stream=True),
            )
            stream = await connection.read_stream()
    first = next(at for at, event in enumerate(stream.events) if '"a"' in event.data)
    frames = [event.raw for event in stream.events[first:] if event.raw in KEEPALIVE.values()]
    assert len(frames) >= 2
    assert set(frames) == {KEEPALIVE[client]}
    assert text_of(client, stream) == "ab"
    assert ends_of(client, stream) == 1


KEEPALIVE = {
    "chat": b": keepalive\n\n",
    "messages": b'event: ping\ndata: {"type": "ping"}\n\n',
    "responses": b": keepalive\n\n",
}


@each_pair
@pytest.mark.parametrize("kind", ["application/json", "text/plain", ""])
async def test_a_stream_under_a_wrong_name_is_a_stream(
    worlds: Worlds, client: str, upstream: str, kind: str
) -> None:
    world = worlds(upstream)
    script = STREAMS[upstream](WORDS, framing="close", content_type=kind)
    world.provider.reply(script)
    stream = await world.stream(client)
    assert text_of(client, stream) == "Hello wörld"
    assert ends_of(client, stream) == 1
    got = await world.generate(client)
    assert got.status == 200
    assert "Hello wörld" in got.body.decode()
