"""What a collector is told of requests, and what it is never told."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import CHAT, World
from tests.support.answers import chat_stream, embeddings_json, error, messages_json, models_json
from tests.support.collector import Collector
from tests.support.provider import ProviderThread
from tests.support.proxy_process import ACCESS_KEY, ProxyProcess

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
FAST = {"OTEL_BSP_SCHEDULE_DELAY": "10"}
KEYS = ("sk-upstream-otel-1-a0b1c2d3e4f5", "sk-upstream-otel-2-5f4e3d2c1b0a")
REQUEST_ID = "x-llm-proxy-request-id"


@contextmanager
def traced(
    directory: Path, collector: Collector, more: Mapping[str, str] | None = None
) -> Iterator[World]:
    """Run a proxy with two keys that tells `collector` of its requests."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url} | FAST | dict(more or {})
    with ProviderThread() as provider:
        provider.reply(models_json(("test-model",)), path="/v1/models")
        with ProxyProcess(directory, provider.url, api_key=KEYS, environment=environment) as proxy:
            yield World(proxy, provider)


def header_up(world: World, name: str) -> list[str | None]:
    """Return a header as each chat request brought it to the provider."""
    return [one.header(name) for one in world.provider.requests if one.path == CHAT]


async def test_a_request_is_a_span_with_one_below_it_for_each_attempt(tmp_path: Path) -> None:
    with Collector() as collector, traced(tmp_path, collector) as world:
        world.provider.script(error(429), chat_stream(["hel", "lo"], usage=(9, 4)), path=CHAT)
        began = time.time_ns()
        answer = await world.generate("chat", stream=True)
        own, attempts = collector.exchange(answer.header(REQUEST_ID))
    assert collector.resource["service.name"] == "llm-proxy"
    assert own.name == "POST /v1/chat/completions"
    assert (own.kind, own.status, own.parent) == ("server", "", "")
    assert began - 5_000_000 < own.start_ns < own.end_ns < time.time_ns() + 5_000_000
    said = own.attributes
    assert said["http.request.method"] == "POST"
    assert said["http.route"] == said["url.path"] == CHAT
    assert said["http.response.status_code"] == 200
    assert said["gen_ai.request.model"] == "test-model"
    assert said["llm_proxy.outcome"] == "ok"
    assert said["llm_proxy.attempts"] == 2
    failed, answered = attempts
    assert [one.name for one in attempts] == ["chat test-model"] * 2
    assert [one.kind for one in attempts] == ["client"] * 2
    assert [one.status for one in attempts] == ["error", ""]
    assert [one.trace for one in attempts] == [own.trace] * 2
    assert failed.attributes["error.type"] == "rate_limited"
    assert failed.attributes["http.response.status_code"] == 429
    assert "gen_ai.usage.input_tokens" not in failed.attributes
    said = answered.attributes
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == "openai"
    assert said["gen_ai.request.stream"] is True
    assert said["server.address"] == "127.0.0.1"
    assert said["server.port"] == world.provider.port
    assert {one.attributes["llm_proxy.key"] for one in attempts} == {"key-1", "key-2"}
    assert said["gen_ai.usage.input_tokens"] == 9
    assert said["gen_ai.usage.output_tokens"] == 4
    assert 0 < said["gen_ai.response.time_to_first_chunk"] < 5
    assert own.start_ns <= failed.start_ns <= failed.end_ns <= answered.end_ns <= own.end_ns
    # Each upstream's own spans, if it has any, stand below the attempt that asked for them.
    up = header_up(world, "traceparent")
    assert up == [f"00-{own.trace}-{one.id}-01" for one in attempts]


async def test_a_traced_client_finds_the_proxy_in_its_trace(tmp_path: Path) -> None:
    with Collector() as collector, traced(tmp_path, collector) as world:
        headers = [("traceparent", PARENT), ("tracestate", "vendor=1,other=2")]
        answer = await world.generate("chat", headers=headers)
        own, (attempt,) = collector.exchange(answer.header(REQUEST_ID))
        assert (own.trace, own.parent) == (TRACE, SPAN)
        assert (attempt.trace, attempt.parent) == (TRACE, own.id)
        assert header_up(world, "traceparent") == [f"00-{TRACE}-{attempt.id}-01"]
        assert header_up(world, "tracestate") == ["vendor=1,other=2"]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param([f"00-{'0' * 32}-{SPAN}-01"], id="no_trace"),
        pytest.param([f"00-{TRACE}-{'0' * 16}-01"], id="no_span"),
        pytest.param([f"00-{TRACE.upper()}-{SPAN}-01"], id="capitals"),
        pytest.param([PARENT, PARENT], id="two_of_them"),
        pytest.param(["sk-not-a-trace-at-all"], id="something_else"),
    ],
)
async def test_a_broken_traceparent_is_answered_by_a_trace_of_our_own(
    shared_traced: tuple[World, Collector], sent: list[str]
) -> None:
    world, collector = shared_traced
    headers = [("traceparent", one) for one in sent] + [("tracestate", "vendor=1")]
    answer = await world.generate("chat", headers=headers)
    own, (attempt,) = collector.exchange(answer.header(REQUEST_ID))
    assert own.parent == ""
    assert own.trace != TRACE
    assert header_up(world, "traceparent") == [f"00-{own.trace}-{attempt.id}-01"]
    assert header_up(world, "tracestate") == [None]


@pytest.fixture(scope="module")
def module_traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Collector]]:
    with Collector() as collector, traced(tmp_path_factory.mktemp("otel"), collector) as world:
        yield world, collector


@pytest.fixture
def shared_traced(module_traced: tuple[World, Collector]) -> tuple[World, Collector]:
    module_traced[0].reset()
    return module_traced


async def test_what_a_client_chose_not_to_record_is_not_recorded(
    shared_traced: tuple[World, Collector],
) -> None:
    world, collector = shared_traced
    quiet = await world.generate("chat", headers=[("traceparent", f"00-{TRACE}-{SPAN}-00")])
    loud = await world.generate("chat")
    collector.exchange(loud.header(REQUEST_ID))  # the later one has arrived
    ids = [one.attributes.get("llm_proxy.request_id") for one in collector.spans]
    assert quiet.header(REQUEST_ID) not in ids
    unrecorded, recorded = header_up(world, "traceparent")
    assert unrecorded is not None
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-00", unrecorded)
    assert recorded is not None
    assert recorded.endswith("-01")


async def test_a_translated_request_carries_the_trace_too(tmp_path: Path) -> None:
    more = {"PROXY_FORMATS": "messages"}
    with Collector() as collector, traced(tmp_path, collector, more) as world:
        world.provider.reply(messages_json("hi", usage=(7, 2)), path="/v1/messages")
        answer = await world.generate("chat", headers=[("traceparent", PARENT)])
        assert answer.status == 200
        own, (attempt,) = collector.exchange(answer.header(REQUEST_ID))
        assert own.parent == SPAN
        assert attempt.attributes["gen_ai.provider.name"] == "anthropic"
        (up,) = [one for one in world.provider.requests if one.path == "/v1/messages"]
        assert up.header("traceparent") == f"00-{TRACE}-{attempt.id}-01"


async def test_failures_and_refusals_are_told_apart(
    shared_traced: tuple[World, Collector],
) -> None:
    world, collector = shared_traced
    world.provider.script(error(500), error(500), error(500), error(500), path=CHAT)
    failed = await world.generate("chat")
    own, attempts = collector.exchange(failed.header(REQUEST_ID))
    assert failed.status >= 500
    assert own.status == "error"
    assert own.attributes["error.type"] == attempts[-1].attributes["error.type"] == "server_error"
    world.provider.forget()
    world.provider.script(error(400), path=CHAT)
    refused = await world.generate("chat")
    own, (attempt,) = collector.exchange(refused.header(REQUEST_ID))
    assert refused.status == 400
    assert (own.status, own.attributes["http.response.status_code"]) == ("", 400)
    assert attempt.status == "error"
    other = await world.ask("POST", "/v1/files/file-123", body=b"{}")
    own, attempts = collector.exchange(other.header(REQUEST_ID))
    assert {own.name, *(one.name for one in attempts)} == {"POST"}
    assert not [one for one in attempts if "gen_ai.operation.name" in one.attributes]


def points_of(collector: Collector, name: str) -> dict[str, list[float]]:
    """Return a metric's count and sum by the few words that tell its series apart."""
    names = ("gen_ai.operation.name", "gen_ai.request.model", "error.type", "gen_ai.token.type")
    return {
        " ".join(str(one.attributes[part]) for part in names if part in one.attributes): [
            one.count,
            one.sum,
        ]
        for one in collector.points.get(name, [])
    }


async def ask_for_numbers(world: World) -> None:
    """Have one attempt fail and one answer, and something embedded."""
    world.provider.script(error(429), chat_stream(usage=(9, 4)), path=CHAT)
    world.provider.script(error(404, code="model_not_found"), path=CHAT)
    world.provider.reply(embeddings_json(), path="/v1/embeddings")
    await world.stream("chat")
    body = {"model": "small", "input": "hi"}
    assert (await world.ask("POST", "/v1/embeddings", json_body=body)).status == 200
    assert (await world.generate("chat", model="unheard-of")).status == 404


async def test_times_and_tokens_are_measured_by_the_conventions(tmp_path: Path) -> None:
    with Collector() as collector:
        with traced(tmp_path, collector) as world:
            await ask_for_numbers(world)
        duration = points_of(collector, "gen_ai.client.operation.duration")
        assert duration["chat _OTHER rate_limited"][0] == 1
        assert duration["chat test-model"][0] == 1
        assert duration["embeddings small"][0] == 1
        # A client can make up any number of names: only those that answered are kept apart.
        assert not [name for name in duration if "unheard-of" in name]
        tokens = points_of(collector, "gen_ai.client.token.usage")
        assert tokens["chat test-model input"] == [1, 9]
        assert tokens["chat test-model output"] == [1, 4]
        first = points_of(collector, "gen_ai.client.operation.time_to_first_chunk")
        assert first["chat test-model"][0] == 1
        assert not [name for name in collector.points if "inference" in name]


async def test_the_newer_names_come_instead_where_they_are_asked_for(tmp_path: Path) -> None:
    more = {"OTEL_SEMCONV_STABILITY_OPT_IN": "http,gen_ai_latest_experimental"}
    with Collector() as collector:
        with traced(tmp_path, collector, more) as world:
            await ask_for_numbers(world)
        duration = points_of(collector, "gen_ai.client.inference.duration")
        assert duration["chat test-model"][0] == 1
        old = points_of(collector, "gen_ai.client.operation.duration")
        assert [name.partition(" ")[0] for name in old] == ["embeddings"]
        used = points_of(collector, "gen_ai.client.inference.usage.input_tokens")
        assert used["chat test-model"] == [1, 9]
        each = points_of(collector, "gen_ai.client.inference.operation.output_tokens")
        assert each["chat test-model"] == [1, 4]
        assert "gen_ai.client.token.usage" not in collector.points


async def test_no_key_no_prompt_and_no_answer_is_ever_told(tmp_path: Path) -> None:
    words = "PROMPT-CANARY-7f3a", "ANSWER-CANARY-91bc", "REASON-CANARY-55aa"
    with Collector() as collector:
        more = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20COLLECTOR-KEY-1234567890"}
        with traced(tmp_path, collector, {"LOG_LEVEL": "debug"} | more) as world:
            asked: dict[str, Any] = {"messages": [{"role": "user", "content": words[0]}]}
            said = f"{words[2]} in «{words[0]}», key {KEYS[0]} {KEYS[1][:20]}"
            world.provider.script(
                error(400, message=said),
                error(429, message=said),
                chat_stream([words[1]]),
                path=CHAT,
            )
            await world.generate("chat", **asked)
            await world.stream("chat", **asked)
            await world.generate("chat", model=ACCESS_KEY, headers=[("user-agent", ACCESS_KEY)])
            await world.generate("chat", headers=[("traceparent", ACCESS_KEY)])
            await world.ask("GET", f"/v1/files/{KEYS[0]}")
            last = await world.generate("chat")
            collector.exchange(last.header(REQUEST_ID))
        assert all(
            one["authorization"] == "Bearer COLLECTOR-KEY-1234567890" for one in collector.headers
        )
        told = b"".join(collector.bodies)
        for secret in (*words, *KEYS, ACCESS_KEY):
            for form in (secret, secret[:16], secret[-6:]):
                assert form.encode() not in told, form
        assert "COLLECTOR-KEY" not in world.proxy.output


async def test_a_collector_that_is_away_holds_up_nobody_and_is_named_once(tmp_path: Path) -> None:
    with Collector() as collector:
        collector.status = 400
        with traced(tmp_path, collector) as world:
            for _ in range(20):
                assert (await world.generate("chat")).status == 200
            collector.wait(lambda: "spans do not reach" in world.proxy.output)
            collector.status = 200
            last = await world.generate("chat")
            collector.exchange(last.header(REQUEST_ID))
            collector.wait(lambda: "spans reach the collector again" in world.proxy.output)
        assert world.proxy.output.count("spans do not reach the collector") == 1
        assert collector.url not in world.proxy.output


async def test_a_proxy_stops_in_time_though_its_collector_does_not_answer(tmp_path: Path) -> None:
    with ProviderThread(on_accept="hang") as silent, ProviderThread() as provider:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": silent.url} | FAST
        with ProxyProcess(tmp_path, provider.url, environment=environment) as proxy:
            assert (await World(proxy, provider).generate("chat")).status == 200
            began = time.monotonic()
            assert proxy.stop() == 0
            assert time.monotonic() - began < 8.0


async def test_only_the_signal_that_has_an_address_is_sent(tmp_path: Path) -> None:
    with Collector() as collector:
        only = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{collector.url}/v1/metrics",
        }
        with traced(tmp_path, collector, only) as world:
            answer = await world.generate("chat", headers=[("traceparent", PARENT)])
            assert answer.status == 200
            assert header_up(world, "traceparent") == [PARENT]
        assert collector.spans == []
        assert points_of(collector, "gen_ai.client.operation.duration")


BLOCK = """\
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Block())
"""


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        pytest.param(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"},
            "OTEL_EXPORTER_OTLP_ENDPOINT: it is set, but OpenTelemetry is not installed",
            id="without_the_extra",
        ),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "127.0.0.1:4318/secret-token"},
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: it is no http or https address",
            id="no_address",
        ),
        pytest.param(
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            },
            "OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf is spoken",
            id="grpc",
        ),
    ],
)
def test_what_cannot_be_used_ends_the_start_with_one_line(
    tmp_path: Path, environment: dict[str, str], words: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCK)
    proxy = ProxyProcess(
        tmp_path, "http://127.0.0.1:9", environment=environment | {"PYTHONPATH": str(tmp_path)}
    )
    proxy.spawn()
    assert proxy.wait() == 2
    (line,) = proxy.output.splitlines()
    assert words in line
    assert "secret-token" not in line


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="nothing_is_set"),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
            id="switched_off",
        ),
    ],
)
async def test_without_a_collector_the_extra_is_not_needed(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCK)
    environment = environment | {"PYTHONPATH": str(tmp_path)}
    with (
        ProviderThread() as provider,
        ProxyProcess(tmp_path, provider.url, environment=environment) as proxy,
    ):
        assert (await World(proxy, provider).generate("chat")).status == 200
