"""How requests end when several things happen at once: clients leave, reloads, stops, bad streams."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import msgspec
import pytest

from llm_proxy.domain.record import Outcome, Record
from llm_proxy.domain.redact import Redactor
from llm_proxy.domain.secret import AccessKey, Secret
from llm_proxy.domain.target import Key, Timeouts, Upstream
from llm_proxy.net.dial import Dialer
from llm_proxy.net.handler import Limits
from llm_proxy.net.loop import Tasks, wall_ms
from llm_proxy.net.pool import Pools
from llm_proxy.net.server import Server
from llm_proxy.net.timers import Wheel
from llm_proxy.policy.board import Board
from llm_proxy.policy.retry import RetryConfig
from llm_proxy.proxy import beat
from llm_proxy.proxy.core import Config, Core
from llm_proxy.proxy.gate import Gate
from llm_proxy.proxy.models import Catalogue
from llm_proxy.proxy.table import Table
from tests.support.answers import chat_json, chat_stream
from tests.support.client import Headers, RawClient
from tests.support.provider import Provider
from tests.support.scripts import (
    chunk,
    close,
    event_stream,
    hang,
    head,
    reset,
    respond,
    signal,
    sleep,
    wait,
)

KEY = "access-key-of-the-test"
CHAT = "/v1/chat/completions"
BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def upstream_of(
    provider: Provider,
    name: str = "one",
    *,
    key: str = "upstream-key-1",
    priority: int = 0,
    **t: float,
) -> Upstream:
    """Return an upstream at `provider`; `t` are its time limits."""
    parts = urlsplit(provider.url)
    return Upstream(
        name=name,
        scheme="http",
        host=parts.hostname or "",
        port=parts.port or 0,
        root="/v1",
        keys=(Key("key-1", Secret(key)),),
        priority=priority,
        timeouts=Timeouts(**t),
    )


class World:
    """A proxy within the test's own process.

    Attributes:
        records: What was reported.
        bugs: What should never have happened.
    """

    def __init__(self, *, concurrency: int, config: Config) -> None:
        loop = asyncio.get_running_loop()
        self.records: list[Record] = []
        self.bugs: list[BaseException] = []
        self.port = 0
        self.wheel = Wheel(loop)
        self.config = config
        self.pools = Pools(loop, self.wheel, Dialer(loop))
        self.tasks = Tasks(loop, self.bugs.append)
        self.core = Core(
            loop,
            self.tasks,
            pools=self.pools,
            board=Board((), config=config.retry),
            table=Table(()),
            config=config,
            redactor=Redactor(),
            gate=Gate(loop, concurrency),
            clock=time.monotonic,
            wall_ms=wall_ms,
            rng=lambda: 0.5,
            report=self.records.append,
            on_bug=self.bugs.append,
        )
        self.core.models = Catalogue(self.core)
        self.server = Server(loop, self.wheel, self.core, Limits())

    def configure(self, *upstreams: Upstream, **changes: object) -> None:
        """Take other upstreams, as a reload does."""
        self.config = msgspec.structs.replace(self.config, **changes)
        self.core.configure(Table(upstreams), self.config, Redactor())

    def client(self) -> RawClient:
        """Return a client, not yet connected."""
        return RawClient("127.0.0.1", self.port)

    async def ask(self, client: RawClient, **fields: object) -> None:
        """Send a chat request."""
        await client.request("POST", CHAT, key=KEY, json_body={**BODY, **fields})

    async def recorded(self, count: int = 1) -> list[Record]:
        """Return the records once there are so many."""
        await until(lambda: len(self.records) >= count)
        return self.records


@asynccontextmanager
async def world(
    *upstreams: Upstream, concurrency: int = 100, **changes: object
) -> AsyncIterator[World]:
    """Run a proxy in front of `upstreams`."""
    config = Config(
        access_keys=(AccessKey("me", Secret(KEY)),),
        request_timeout_s=20,
        path_repair=True,
        cors_origins=("*",),
        max_body_bytes=1 << 20,
        retry=RetryConfig(),
    )
    made = World(concurrency=concurrency, config=config)
    made.configure(*upstreams, **changes)
    made.port = await made.server.listen("127.0.0.1", 0)
    try:
        yield made
        assert made.bugs == []
        await until(lambda: not made.core.exchanges)
        assert made.core.gate.in_flight == 0
        for status in made.core.board.statuses(0):
            assert [key.in_flight for key in status.keys] == [0] * len(status.keys)
    finally:
        made.server.drain()
        await made.core.cancel_exchanges()
        await made.tasks.cancel_all()
        made.server.abort_all()
        made.pools.close()
        await asyncio.sleep(0.01)
        made.wheel.close()


async def until(condition: Callable[[], bool], *, within_s: float = 5.0) -> None:
    """Wait until `condition()`."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.002)


# A stream's early head.


async def test_json_behind_an_early_head_is_told_as_a_failure_within_the_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(beat, "BEAT_S", 0.1)
    async with Provider() as provider, world(upstream_of(provider)) as proxy:
        answer = [sleep(0.4), *chat_json()]
        provider.reply(answer)
        async with proxy.client() as client:
            await proxy.ask(client, stream=True)
            stream = await client.read_stream()
            assert stream.ending == "complete"
            assert client.raw.count(b"HTTP/1.1 ") == 1
            assert "error" in stream.events[-1].json()
            assert b"[DONE]" not in client.raw
            provider.reply(chat_stream())
            await proxy.ask(client, stream=True)
            assert (await client.read_stream()).data[-1] == "[DONE]"
        first, _ = await proxy.recorded(2)
        assert first.outcome is not Outcome.OK


async def test_a_stream_in_an_unknown_coding_behind_an_early_head_is_told_as_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(beat, "BEAT_S", 0.1)
    async with Provider() as provider, world(upstream_of(provider)) as proxy:
        coded = event_stream([b"\x1b\x03\x00"], headers=[("content-encoding", "br")])
        provider.reply([sleep(0.4), *coded])
        async with proxy.client() as client:
            await proxy.ask(client, stream=True)
            stream = await client.read_stream()
            assert stream.ending == "complete"
            assert "error" in stream.events[-1].json()
            assert b"\x1b\x03" not in client.raw


async def test_the_early_head_does_not_wait_longer_because_the_upstream_sent_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(beat, "BEAT_S", 0.5)
    async with Provider() as provider, world(upstream_of(provider)) as proxy:
        done = asyncio.Event()
        begin = head(200, [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")])
        provider.script([sleep(0.4), begin, wait(done), hang()])
        async with proxy.client() as client:
            began = time.monotonic()
            await proxy.ask(client, stream=True)
            await client.read_head()
            assert time.monotonic() - began < 0.8
            client.abort()
        done.set()
        await proxy.recorded()


# Bodies that pass unread.


async def test_a_body_that_falls_silent_while_it_passes_is_cut() -> None:
    async with (
        Provider() as provider,
        world(upstream_of(provider, stream_idle_s=0.3)) as proxy,
        proxy.client() as client,
    ):
        script = respond(b"half", length=100, content_type="audio/mpeg")
        provider.script([*script, hang()])
        await client.request("GET", "/v1/files/f/content", key=KEY)
        got = await client.read_head()
        assert got.status == 200
        assert (await client.read_rest()) == b"half"
        (record,) = await proxy.recorded()
        assert (record.outcome, record.attempts[0].fault) == (Outcome.CUT, "stream_stalled")
        await provider.wait_for_close()


async def test_a_cut_body_does_not_end_like_a_whole_one_in_http_1_0() -> None:
    async with Provider() as provider, world(upstream_of(provider)) as proxy:
        begin = head(200, [("content-type", "audio/mpeg"), ("transfer-encoding", "chunked")])
        got_half = asyncio.Event()
        provider.script([begin + chunk(b"half"), wait(got_half), close()])
        async with proxy.client() as client:
            await client.send(
                b"GET /v1/files/f/content HTTP/1.0\r\nAuthorization: Bearer %b\r\n\r\n"
                % KEY.encode()
            )
            while not client.raw.endswith(b"half"):
                await client.read_some()
            got_half.set()
            assert await client.ended() == "reset"
        await proxy.recorded()


async def test_a_stream_to_an_http_1_0_client_ends_with_its_connection() -> None:
    async with Provider() as provider, world(upstream_of(provider)) as proxy:
        provider.reply(chat_stream())
        body = b'{"model":"m","stream":true}'
        async with proxy.client() as client:
            await client.send(
                b"POST %b HTTP/1.0\r\nConnection: keep-alive\r\nAuthorization: Bearer %b\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (CHAT.encode(), KEY.encode(), len(body), body)
            )
            assert (await client.read_rest()).endswith(b"data: [DONE]\n\n")
            assert b"connection: close\r\n" in client.raw


# Clients that leave.


async def test_a_client_that_leaves_the_queue_is_recorded_as_gone() -> None:
    async with Provider() as provider, world(upstream_of(provider), concurrency=1) as proxy:
        provider.script([hang()])
        async with proxy.client() as first, proxy.client() as second:
            await proxy.ask(first)
            await provider.wait_for_requests(1)
            await proxy.ask(second)
            await until(lambda: len(proxy.core.exchanges) == 2)
            await asyncio.sleep(0.02)
            second.abort()
            (record,) = await proxy.recorded()
            assert (record.outcome, record.status, record.error) == (Outcome.CLIENT_GONE, 0, None)
            first.abort()


async def test_a_client_that_waits_in_the_queue_hears_of_its_own_deadline_in_time() -> None:
    async with Provider() as provider, world(upstream_of(provider), concurrency=1) as proxy:
        provider.script([hang()])
        async with proxy.client() as first, proxy.client() as second:
            await proxy.ask(first)
            await provider.wait_for_requests(1)
            began = time.monotonic()
            await second.request(
                "POST",
                CHAT,
                key=KEY,
                json_body=BODY,
                headers=[("x-llm-proxy-timeout-ms", "200")],
            )
            assert (await second.read_response()).status in (503, 504)
            assert time.monotonic() - began < 1.5
            first.abort()


# Reloads and stops.


async def test_a_reload_takes_no_target_away_from_a_request_under_way() -> None:
    async with Provider() as a, Provider() as b, Provider() as c:
        seen, go_on = asyncio.Event(), asyncio.Event()
        a.script([signal(seen), wait(go_on), *respond(b"{}", status=500)])
        b.reply(chat_json())
        async with (
            world(upstream_of(a), upstream_of(b, "two", priority=1)) as proxy,
            proxy.client() as client,
        ):
            await proxy.ask(client)
            await seen.wait()
            proxy.configure(upstream_of(c, "three"))
            go_on.set()
            assert (await client.read_response()).status == 200
            (record,) = await proxy.recorded()
            assert [one.upstream for one in record.attempts] == ["one", "two"]


async def test_a_request_under_way_uses_the_key_it_was_counted_for() -> None:
    async with Provider() as a, Provider() as b:
        seen, go_on = asyncio.Event(), asyncio.Event()
        a.script([signal(seen), wait(go_on), *respond(b"{}", status=500)])
        b.reply(chat_json())
        async with (
            world(upstream_of(a), upstream_of(b, "two", priority=1)) as proxy,
            proxy.client() as client,
        ):
            await proxy.ask(client)
            await seen.wait()
            proxy.configure(
                upstream_of(a), upstream_of(b, "two", priority=1, key="upstream-key-new")
            )
            go_on.set()
            assert (await client.read_response()).status == 200
            assert b.requests[0].key == "upstream-key-1"


async def test_requests_that_came_in_the_last_moment_are_answered_and_recorded() -> None:
    async with Provider() as provider, world(upstream_of(provider)) as proxy:
        provider.reply([hang()])
        async with proxy.client() as client:
            await proxy.ask(client)
            while not proxy.core.exchanges:
                await asyncio.sleep(0)
            await proxy.core.cancel_exchanges()
            assert (await client.read_response()).status == 503
        assert len(await proxy.recorded()) == 1
        assert not proxy.core.exchanges


async def test_the_models_of_a_new_configuration_are_waited_for_only_shortly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llm_proxy.proxy.models.FIRST_WAIT_S", 0.3)
    async with Provider() as a, Provider() as b, world(upstream_of(a)) as proxy:
        a.reply(respond(b'{"object":"list","data":[{"id":"old","object":"model"}]}'))
        b.reply([hang()])
        async with proxy.client() as client:
            proxy.tasks.start(proxy.core.models.keep_fresh())  # type: ignore[union-attr]
            assert b"old" in (await client.ask("GET", "/v1/models", key=KEY)).body
            proxy.configure(upstream_of(b, "two"))
            began = time.monotonic()
            assert (await client.ask("GET", "/v1/models", key=KEY)).status == 200
            assert time.monotonic() - began < 2


# Heads.


@pytest.mark.parametrize(
    "path", ["/v1/../admin", "/v1/%2e%2e/admin", "/v1/a%0d%0aX: 1", "/v1/caf\u00e9", "/v1/a\\b"]
)
async def test_paths_that_leave_the_root_are_unknown_also_without_repair(path: str) -> None:
    async with (
        Provider() as provider,
        world(upstream_of(provider), path_repair=False) as proxy,
        proxy.client() as client,
    ):
        await client.send(
            b"GET %b HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\n\r\n"
            % (path.encode(), KEY.encode())
        )
        assert (await client.read_response()).status in (400, 404)
        assert provider.requests == []


async def test_every_connection_field_is_obeyed() -> None:
    headers: Headers = [("connection", "x-first"), ("connection", "x-second")]
    async with (
        Provider() as provider,
        world(upstream_of(provider)) as proxy,
        proxy.client() as client,
    ):
        answer = chat_json(
            headers=[("connection", "x-down-1"), ("connection", "x-down-2"), ("x-down-1", "1")]
        )
        provider.reply(answer)
        reply = await client.ask(
            "POST",
            CHAT,
            key=KEY,
            json_body=BODY,
            headers=[*headers, ("x-first", "1"), ("x-second", "2"), ("x-third", "3")],
        )
        (seen,) = provider.requests
        assert [seen.header(f"x-{name}") for name in ("first", "second", "third")] == [
            None,
            None,
            "3",
        ]
        assert reply.header("x-down-1") is None


# Odd words of upstreams.


@pytest.mark.parametrize("number", ["1" + "0" * 350, "1e400", "-5"])
async def test_advice_beyond_all_numbers_is_no_advice(number: str) -> None:
    async with Provider() as a, Provider() as b:
        body = b'{"error":{"message":"slow down","retry_after":%b}}' % number.encode()
        a.reply(respond(body, status=429))
        b.reply(chat_json())
        async with (
            world(upstream_of(a), upstream_of(b, "two", priority=1)) as proxy,
            proxy.client() as client,
        ):
            await proxy.ask(client)
            assert (await client.read_response()).status == 200


async def test_a_stream_of_pings_without_content_ends_by_the_upstreams_time_limit() -> None:
    async with Provider() as a, Provider() as b:
        begin = head(200, [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")])
        role = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n'
        a.script([begin, *[step for _ in range(100) for step in (chunk(role), sleep(0.05))]])
        b.reply(chat_stream())
        async with (
            world(
                upstream_of(a, upstream_s=0.5),
                upstream_of(b, "two", priority=1),
                request_timeout_s=0.0,
            ) as proxy,
            proxy.client() as client,
        ):
            began = time.monotonic()
            await proxy.ask(client, stream=True)
            assert (await client.read_stream()).data[-1] == "[DONE]"
            assert time.monotonic() - began < 3
            (record,) = await proxy.recorded()
            assert record.attempts[0].fault is not None


async def test_a_reset_does_not_make_a_whole_body_of_half_of_one() -> None:
    async with Provider() as provider, world(upstream_of(provider)) as proxy:
        got_half = asyncio.Event()
        script = respond(b"half", framing="close", content_type="audio/mpeg")[:-1]
        provider.script([*script, wait(got_half), reset()])
        async with proxy.client() as client:
            await client.request("GET", "/v1/files/f/content", key=KEY)
            await client.read_head()
            while b"half" not in client.raw:
                await client.read_some()
            got_half.set()
            rest = await client.read_rest()
            assert not rest.endswith(b"0\r\n\r\n")
        (record,) = await proxy.recorded()
        assert record.outcome is Outcome.CUT
