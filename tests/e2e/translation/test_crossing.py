"""Failover, fallback models and rescued streams, where the next upstream speaks another format."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_proxy.domain.record import Outcome
from tests.e2e.translation.pairs import (
    FORMATS,
    STREAMS,
    WHOLES,
    assert_broken,
    broken_by,
    each_pair,
    ends_of,
    errors_of,
    json_error,
    text_of,
)
from tests.e2e.world import PATHS, World, faults_of
from tests.support.answers import error, models_json, stream_error
from tests.support.provider import ProviderThread, Request
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import Script

Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make a proxy whose upstreams speak the given formats, in this order."""
    with contextlib.ExitStack() as stack:

        def start(*formats: str, **environment: str) -> World:
            providers = [stack.enter_context(ProviderThread()) for _ in formats]
            for provider in providers:
                provider.reply(models_json(), path="/v1/models")
            proxy = ProxyProcess(
                tmp_path,
                [provider.url for provider in providers],
                environment={"PROXY_FORMATS": ";".join(formats), **environment},
            )
            return World(stack.enter_context(proxy), *providers)

        yield start


def asked(provider: ProviderThread) -> list[Request]:
    return [request for request in provider.requests if request.path != "/v1/models"]


@each_pair
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
async def test_who_speaks_another_format_steps_in(
    make: Make, client: str, upstream: str, is_stream: bool
) -> None:
    world = make(client, upstream)
    native, foreign = world.providers
    native.reply(error(500, client), path=PATHS[client])  # type: ignore[arg-type]
    if is_stream:
        foreign.reply(STREAMS[upstream](["res", "cued"]))
        stream = await world.stream(client)
        assert text_of(client, stream) == "rescued"
        assert ends_of(client, stream) == 1
        record = world.newest_record(PATHS[client])
    else:
        foreign.reply(WHOLES[upstream]("rescued"))
        got = await world.generate(client)
        assert got.status == 200
        assert "rescued" in got.body.decode()
        assert got.header("x-llm-proxy-attempts") == "2"
        assert got.header("x-llm-proxy-upstream") == "upstream-2"
        record = world.record_of(got)
    assert faults_of(record) == ["server_error", None]
    assert record.outcome is Outcome.OK
    assert f"translated from {client} to {upstream}" in (record.notice or "")


@each_pair
async def test_a_native_upstream_steps_in_for_a_translated_one(
    make: Make, client: str, upstream: str
) -> None:
    # The one that speaks the client's format does not serve the model at first asked.
    world = make(upstream, client, PROXY_MODELS="asked;other", MODEL_FALLBACKS="asked=other")
    foreign, native = world.providers
    foreign.reply(error(500, upstream), path=PATHS[upstream])  # type: ignore[arg-type]
    native.reply(WHOLES[client]("plain bytes", model="other"))
    got = await world.generate(client, model="asked")
    assert got.status == 200
    assert "plain bytes" in got.body.decode()
    assert [request.model for request in asked(foreign)][:1] == ["asked"]
    assert [request.model for request in asked(native)] == ["other"]
    assert world.record_of(got).notice is None


@pytest.mark.parametrize("client", FORMATS)
async def test_a_fallback_model_lives_at_another_format(make: Make, client: str) -> None:
    other = "messages" if client != "messages" else "chat"
    world = make(client, other, PROXY_MODELS="big;small", MODEL_FALLBACKS="big=small")
    native, foreign = world.providers
    native.reply(error(503, client), path=PATHS[client])  # type: ignore[arg-type]
    foreign.reply(STREAMS[other](["from", " small"], model="small"))
    stream = await world.stream(client, model="big")
    assert text_of(client, stream) == "from small"
    assert b'"model":"small"' in stream.raw
    assert asked(foreign)[-1].model == "small"
    record = world.newest_record(PATHS[client])
    assert (record.model, record.served) == ("big", "small")


@each_pair
async def test_model_names_are_mapped_on_translated_routes(
    make: Make, client: str, upstream: str
) -> None:
    world = make(upstream, MODEL_MAP="claude-*=gpt-5,fast=qwen3")
    world.provider.reply(WHOLES[upstream](model="gpt-5"))
    got = await world.generate(client, model="claude-opus-5")
    assert got.status == 200
    assert got.json()["model"] == "gpt-5"
    assert asked(world.provider)[-1].model == "gpt-5"
    await world.generate(client, model="fast")
    assert asked(world.provider)[-1].model == "qwen3"


@pytest.mark.parametrize("client", FORMATS)
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
async def test_all_limited_over_all_formats_is_one_429(
    make: Make, client: str, is_stream: bool
) -> None:
    world = make(*FORMATS)
    for name, provider in zip(FORMATS, world.providers, strict=True):
        limited = error(429, name, message=f"slow, {name}", headers=[("retry-after", "40")])  # type: ignore[arg-type]
        provider.reply(limited, path=PATHS[name])
    got = await world.generate(client, stream=is_stream)
    assert got.status == 429
    told = json_error(client, got.json())
    assert "错误重试全都rate limit,请再次重试." in told["message"]
    assert got.header("retry-after") in ("39", "40")
    assert got.header("x-llm-proxy-attempts") == "3"
    assert [len(asked(provider)) for provider in world.providers] == [1, 1, 1]
    # What has been told needs no further question.
    again = await world.generate(client, stream=is_stream)
    assert again.status == 429
    assert [len(asked(provider)) for provider in world.providers] == [1, 1, 1]


@each_pair
async def test_a_limit_within_a_stream_goes_to_the_other_format(
    make: Make, client: str, upstream: str
) -> None:
    world = make(upstream, client)
    foreign, native = world.providers
    code = "rate_limit_exceeded" if client == "responses" else None
    limited = stream_error(client, "rate_limit_error", "slow down", code)  # type: ignore[arg-type]
    native.reply(broken_by(client, [], limited), path=PATHS[client])
    foreign.reply(STREAMS[upstream](["went", " on"]))
    stream = await world.stream(client)
    assert text_of(client, stream) == "went on"
    assert b"slow down" not in stream.raw
    assert faults_of(world.newest_record(PATHS[client])) == ["rate_limited", None]


def prefilled(upstream: str, text: str) -> Callable[[Request], Script]:
    """Return an upstream that goes on where it may, and says all of it anew where it may not."""

    def answer(request: Request) -> Script:
        turns = request.fields.get("messages") or request.fields.get("input")
        last = turns[-1] if isinstance(turns, list) else {}
        if last.get("role") == "assistant":
            content = last["content"]
            said = content if isinstance(content, str) else content[-1]["text"]
            assert text.startswith(said)
            return STREAMS[upstream]([text[len(said) :]])
        return STREAMS[upstream]([text[:3], text[3:]])

    return answer


@each_pair
async def test_a_native_stream_is_rescued_by_another_format(
    make: Make, client: str, upstream: str
) -> None:
    world = make(client, upstream, STREAM_RESCUE="1")
    native, foreign = world.providers
    native.reply(broken_by(client, ["Hel"]), path=PATHS[client])
    foreign.reply(prefilled(upstream, "Hello there"), path=PATHS[upstream])
    stream = await world.stream(client)
    assert errors_of(client, stream) == []
    assert text_of(client, stream) == "Hello there"
    assert ends_of(client, stream) == 1
    record = world.newest_record(PATHS[client])
    assert faults_of(record)[0] == "stream_cut"
    assert record.attempts[-1].why == "rescue"
    assert record.outcome is Outcome.OK


@each_pair
async def test_a_translated_stream_is_rescued_by_a_native_one(
    make: Make, client: str, upstream: str
) -> None:
    world = make(
        upstream,
        client,
        STREAM_RESCUE="1",
        PROXY_MODELS="first;second",
        MODEL_FALLBACKS="first=second",
    )
    foreign, native = world.providers
    foreign.reply(broken_by(upstream, ["Hel"]), path=PATHS[upstream])
    native.reply(prefilled(client, "Hello there"), path=PATHS[client])
    stream = await world.stream(client, model="first")
    assert errors_of(client, stream) == []
    assert text_of(client, stream) == "Hello there"
    assert ends_of(client, stream) == 1
    assert world.newest_record(PATHS[client]).outcome is Outcome.OK


@each_pair
async def test_two_translated_streams_are_one(make: Make, client: str, upstream: str) -> None:
    world = make(upstream, upstream, STREAM_RESCUE="1")
    for provider in world.providers:
        provider.reply(prefilled(upstream, "Hello there"), path=PATHS[upstream])
    for provider in world.providers:
        provider.script(broken_by(upstream, ["Hel"]), path=PATHS[upstream])
    stream = await world.stream(client)
    assert errors_of(client, stream) == []
    assert text_of(client, stream) == "Hello there"
    assert ends_of(client, stream) == 1


@each_pair
async def test_what_cannot_be_rescued_says_why_it_broke_first(
    make: Make, client: str, upstream: str
) -> None:
    world = make(upstream, client, STREAM_RESCUE="1", MAX_RETRIES="1")
    foreign, native = world.providers
    broken = stream_error(client, "overloaded_error", "first words")  # type: ignore[arg-type]
    native.reply(broken_by(client, ["Hel"], broken), path=PATHS[client])
    foreign.reply(error(500, upstream, message="second words"), path=PATHS[upstream])  # type: ignore[arg-type]
    stream = await world.stream(client)
    told = assert_broken(client, stream)
    assert "first words" in told["message"]
    assert "second words" not in stream.raw.decode()


@each_pair
async def test_a_tool_call_is_never_rescued_over_formats(
    make: Make, client: str, upstream: str
) -> None:
    world = make(client, upstream, STREAM_RESCUE="1")
    native, foreign = world.providers
    tool: Any = ("weather", {"city": "Bremen"})
    native.reply(STREAMS[client](tool=tool, cut_after=1), path=PATHS[client])
    stream = await world.stream(client)
    if asked(foreign):  # nothing had been shown yet: then it may be asked for anew
        assert ends_of(client, stream) == 1
    else:
        assert_broken(client, stream)


async def test_only_who_can_carry_it_is_asked(make: Make) -> None:
    world = make("messages", "chat")
    got = await world.generate("chat", n=2)
    assert got.status == 200
    world.reset()
    world.providers[1].reply(error(500), path=PATHS["chat"])
    got = await world.generate("chat", n=2)
    assert got.status == 500
    assert asked(world.providers[0]) == []


async def test_who_could_carry_it_but_is_limited_has_the_last_word(make: Make) -> None:
    world = make("messages", "chat")
    limited = error(429, message="slow", headers=[("retry-after", "50")])
    world.providers[1].reply(limited, path=PATHS["chat"])
    for _ in range(3):  # only the first has to ask
        got = await world.generate("chat", n=2)
        assert got.status == 429, got.body
        assert got.header("retry-after") in ("49", "50")
    assert len(asked(world.providers[1])) == 1
    assert asked(world.providers[0]) == []
