"""Which header fields pass, in both directions, and what every answer says about itself."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.world import CHAT, MESSAGES, PATHS, World, faults_of, question
from tests.support.answers import chat_stream, error, messages_json
from tests.support.client import Headers
from tests.support.provider import ProviderThread
from tests.support.proxy_process import UPSTREAM_KEY, ProxyProcess
from tests.support.scripts import hang, respond

FORWARDED = [
    ("Content-Type", "application/json; charset=utf-8"),
    ("Accept", "application/json"),
    ("User-Agent", "agent/1.0 (x; é)"),
    ("anthropic-version", "2026-10-21"),
    ("anthropic-beta", "one-2025-01-01, two-2025-01-01"),
    ("anthropic-beta", "three-2025-01-01"),
    ("anthropic-dangerous-direct-browser-access", "true"),
    ("openai-beta", "responses=experimental"),
    ("Idempotency-Key", "k-1"),
    ("x-stainless-lang", "python"),
    ("x-stainless-helper", "runner"),
    ("x-app", "cli"),
    ("x-claude-code-session-id", "s-1"),
    ("session_id", "s-2"),
    ("session-id", "s-3"),
    ("conversation_id", "c-1"),
    ("x-client-request-id", "r-1"),
    ("x-codex-turn-metadata", '{"a":1}'),
    ("originator", "codex"),
    ("http-referer", "https://example.org"),
    ("x-title", "Title"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("tracestate", "a=b"),
    ("x-session-affinity", "s-4"),
    ("x-anything-new", " inner  blanks "),
]
HELD_BACK = [
    ("x-goog-api-key", "AIza-client"),
    ("proxy-authorization", "Basic Y2xpZW50"),
    ("cookie", "session=1"),
    ("te", "trailers"),
    ("keep-alive", "timeout=5"),
    ("proxy-connection", "keep-alive"),
    ("upgrade", "h2c"),
    ("http2-settings", "AAMAAABkAAQAAP__"),
    ("connection", "keep-alive, x-named-by-connection"),
    ("x-named-by-connection", "1"),
    ("accept-encoding", "gzip, br, zstd"),
    ("origin", "https://example.org"),
    ("referer", "https://example.org/page"),
    ("forwarded", "for=10.0.0.1"),
    ("via", "1.1 other"),
    ("x-forwarded-for", "10.0.0.1"),
    ("x-forwarded-proto", "https"),
    ("x-real-ip", "10.0.0.1"),
    ("cf-connecting-ip", "10.0.0.1"),
    ("cf-ray", "1"),
    ("true-client-ip", "10.0.0.1"),
    ("x-llm-proxy-timeout-ms", "20000"),
    ("x-llm-proxy-anything", "1"),
    ("openai-organization", "org-1"),
    ("openai-project", "proj-1"),
    ("anthropic-workspace-id", "wrk-1"),
]


@pytest.mark.parametrize("dialect", PATHS)
async def test_a_clients_fields_go_up_as_they_were_sent(world: World, dialect: str) -> None:
    headers = [(name, value.encode().decode("latin-1")) for name, value in FORWARDED]
    body = b"{}"
    answer = await world.ask("POST", PATHS[dialect], headers=headers, body=body)
    assert answer.status == 200
    passed = [(name.lower(), value.strip()) for name, value in headers]
    assert [pair for pair in world.sent.headers if pair in passed] == passed


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize(("name", "value"), HELD_BACK, ids=[name for name, _ in HELD_BACK])
async def test_a_field_that_is_not_the_upstreams_business_stays(
    world: World, dialect: str, name: str, value: str
) -> None:
    headers = [(name, value)]
    if name == "x-named-by-connection":
        headers.append(("connection", f"close, {name}"))
    assert (await world.generate(dialect, headers=headers)).status == 200
    ours = [("accept-encoding", "identity")]
    names = {sent for sent, content in world.sent.headers if (sent, content) not in ours}
    assert name not in names


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("credential", ["authorization", "x-api-key", "api-key", "all"])
async def test_the_upstreams_key_replaces_the_clients(
    world: World, dialect: str, credential: str
) -> None:
    key = world.proxy.access_key
    forms = {"authorization": f"Bearer {key}", "x-api-key": key, "api-key": key}
    headers = [pair for pair in forms.items() if credential in (pair[0], "all")]
    answer = await world.ask(
        "POST", PATHS[dialect], key=None, headers=headers, json_body=question(dialect)
    )
    assert answer.status == 200
    assert key.encode() not in world.sent.head
    is_messages = dialect == "messages"
    assert world.sent.headers_named("x-api-key") == ([UPSTREAM_KEY] if is_messages else [])
    bearer = [] if is_messages else [f"Bearer {UPSTREAM_KEY}"]
    assert world.sent.headers_named("authorization") == bearer
    assert world.sent.headers_named("api-key") == []


async def test_the_upstream_gets_its_own_host_and_no_coding_it_must_undo(world: World) -> None:
    await world.generate("chat", headers=[("accept-encoding", "gzip, br")])
    assert world.sent.headers_named("host") == [f"127.0.0.1:{world.provider.port}"]
    assert world.sent.headers_named("accept-encoding") == ["identity"]
    assert world.sent.version == "1.1"


@pytest.mark.parametrize(
    ("headers", "sent"),
    [([], ["2023-06-01"]), ([("anthropic-version", "2026-10-21")], ["2026-10-21"])],
    ids=["absent", "given"],
)
async def test_a_version_of_the_api_is_named_where_the_client_names_none(
    world: World, headers: Headers, sent: list[str]
) -> None:
    await world.generate("messages", headers=headers)
    assert world.sent.headers_named("anthropic-version") == sent


async def test_no_anthropic_version_is_added_where_nobody_reads_it(world: World) -> None:
    await world.generate("chat")
    assert world.sent.header("anthropic-version") is None


PASSED_DOWN = [
    ("content-type", "application/json; charset=x"),
    ("request-id", "req_1"),
    ("x-request-id", "req_2"),
    ("x-should-retry", "false"),
    ("retry-after", "7"),
    ("retry-after-ms", "7000"),
    ("x-ratelimit-limit-requests", "60"),
    ("x-ratelimit-remaining-tokens", "149984"),
    ("anthropic-ratelimit-requests-remaining", "50"),
    ("openai-processing-ms", "12"),
    ("openai-version", "2020-10-01"),
    ("x-generation-id", "gen-1"),
    ("cache-control", "no-store"),
    ("x-anything-new", "1"),
    ("x-twice", "1"),
    ("x-twice", "2"),
]
KEPT_HERE = [
    ("set-cookie", "__cf_bm=1"),
    ("server", "cloudflare"),
    ("alt-svc", 'h3=":443"'),
    ("strict-transport-security", "max-age=1"),
    ("openai-organization", "org-1"),
    ("openai-project", "proj-1"),
    ("anthropic-organization-id", "org-2"),
    ("access-control-allow-origin", "https://evil.example"),
    ("access-control-allow-credentials", "true"),
    ("keep-alive", "timeout=5"),
    ("connection", "keep-alive, x-named-by-connection"),
    ("x-named-by-connection", "1"),
    ("x-llm-proxy-upstream", "forged"),
    ("x-llm-proxy-request-id", "forged"),
]


@pytest.mark.parametrize("status", [200, 400])
async def test_an_upstreams_fields_come_down_but_for_its_own_business(
    world: World, status: int
) -> None:
    headers = [*PASSED_DOWN[1:], *KEPT_HERE]
    how: Any = {"status": status, "headers": headers, "content_type": PASSED_DOWN[0][1]}
    body = b'{"error":{"message":"no"}}' if status == 400 else b'{"choices":[{"message":{}}]}'
    world.provider.script(respond(body, **how))
    answer = await world.generate("chat")
    assert (answer.status, answer.body) == (status, body)
    got = [(name.lower(), value) for name, value in answer.head.headers]
    # What is wrong with the request itself will not be right later, whatever the upstream says.
    expected = PASSED_DOWN if status == 200 else [p for p in PASSED_DOWN if "retry" not in p[0]]
    assert [pair for pair in got if pair in expected] == expected
    assert answer.head.headers_named("x-should-retry") == ["false"]
    assert not set(KEPT_HERE) & set(got)
    assert answer.head.headers_named("content-length") == [str(len(body))]


async def test_a_streams_fields_come_down_too(world: World) -> None:
    headers = [*PASSED_DOWN[1:], *KEPT_HERE]
    world.provider.script(chat_stream(headers=headers))
    async with world.client() as client:
        body = question("chat", stream=True)
        await client.request("POST", CHAT, key=world.proxy.access_key, json_body=body)
        head = await client.read_head()
        await client.read_stream(head)
    got = [(name.lower(), value) for name, value in head.headers]
    assert [pair for pair in got if pair in PASSED_DOWN[1:]] == PASSED_DOWN[1:]
    assert not set(KEPT_HERE) & set(got)
    assert head.header("content-type") == "text/event-stream; charset=utf-8"


ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


@pytest.mark.parametrize("dialect", PATHS)
async def test_every_answer_says_who_answered_after_how_many_attempts(
    world: World, dialect: str
) -> None:
    answer = await world.generate(dialect)
    assert ID.fullmatch(answer.header("x-llm-proxy-request-id") or "")
    assert answer.header("x-llm-proxy-attempts") == "1"
    assert answer.header("x-llm-proxy-upstream") == "upstream-1"
    own = "request-id" if dialect == "messages" else "x-request-id"
    assert answer.header(own) == answer.header("x-llm-proxy-request-id")


@pytest.mark.parametrize("status", [400, 401, 404])
@pytest.mark.parametrize("dialect", PATHS)
async def test_errors_carry_a_request_id_too(world: World, dialect: str, status: int) -> None:
    own = "request-id" if dialect == "messages" else "x-request-id"
    if status == 400:
        answer = await world.ask("POST", PATHS[dialect], body=b"{")
    elif status == 401:
        answer = await world.ask("POST", PATHS[dialect], key="wrong", body=b"{}")
    else:
        world.provider.script(error(404, "messages" if dialect == "messages" else "chat"))
        answer = await world.generate(dialect)
    assert answer.status == status
    assert ID.fullmatch(answer.header("x-llm-proxy-request-id") or "")
    assert ID.fullmatch(answer.header(own) or "")
    assert answer.header("content-type") == "application/json"


async def test_a_named_upstream_with_fields_of_its_own(
    own_fields: World,
) -> None:
    headers = [("user-agent", "client/1"), ("anthropic-beta", "good-1,bad-1")]
    headers.append(("anthropic-beta", "bad-1"))
    answer = await own_fields.generate("messages", headers=headers)
    assert answer.header("x-llm-proxy-upstream") == "mine"
    sent = own_fields.sent
    assert sent.headers_named("user-agent") == ["proxy-of-mine"]
    assert sent.headers_named("x-team") == ["blue"]
    assert sent.headers_named("anthropic-beta") == ["good-1"]
    assert sent.target == "/api/v3/messages"
    assert sent.headers_named("authorization") == ["Bearer sk-of-mine-0123456789"]
    assert sent.headers_named("x-api-key") == []


@pytest.fixture(scope="module")
def own_fields_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A proxy set up by a file."""
    directory = tmp_path_factory.mktemp("fields")
    with ProviderThread() as provider:
        file = directory / "llm-proxy.toml"
        file.write_text(
            f"""
            [[upstream]]
            name = "mine"
            url = "{provider.url}/api/v3"
            keys = ["sk-of-mine-0123456789"]
            headers = {{ user-agent = "proxy-of-mine", x-team = "blue" }}
            models = ["test-model"]
            message_auth = "bearer"
            beta_deny = ["bad-1"]
            """
        )
        with ProxyProcess(directory, environment={"LLM_PROXY_CONFIG": str(file)}) as proxy:
            yield World(proxy, provider)


@pytest.fixture
def own_fields(own_fields_world: World) -> World:
    """The same, its provider without memory."""
    own_fields_world.reset()
    return own_fields_world


async def test_an_echoed_key_never_reaches_the_client(world: World) -> None:
    text = f"your key is {UPSTREAM_KEY}"
    world.provider.script(
        messages_json(text, headers=[("x-echo", UPSTREAM_KEY)]),
        error(400, "messages", message=text),
    )
    for status in (200, 400):
        answer = await world.generate("messages")
        assert answer.status == status
        assert UPSTREAM_KEY.encode() not in answer.head.raw + answer.body
        assert b"your key is ***" in answer.body
        assert UPSTREAM_KEY not in str(world.record_of(answer))
    world.provider.script(chat_stream(["your key is ", UPSTREAM_KEY[:9], UPSTREAM_KEY, "!"]))
    stream = await world.stream("chat")
    assert UPSTREAM_KEY.encode() not in stream.raw
    assert stream.data[-1] == "[DONE]"


@pytest.mark.parametrize("value", ["20000", "20000.5", "1e3", "-1", "0", "soon", "", "nan"])
async def test_a_clients_deadline_is_a_number_of_milliseconds(world: World, value: str) -> None:
    headers = [("x-llm-proxy-timeout-ms", value)]
    answer = await world.generate("chat", headers=headers)
    if value.startswith("20000"):
        assert answer.status == 200
    else:
        assert answer.status == 400
        assert answer.json()["error"]["code"] == "invalid_timeout"
        assert "x-llm-proxy-timeout-ms" in answer.json()["error"]["message"]


@pytest.mark.parametrize("dialect", PATHS)
async def test_a_clients_deadline_ends_its_request(world: World, dialect: str) -> None:
    world.provider.script([hang()], path=PATHS[dialect])
    began = time.monotonic()
    answer = await world.generate(dialect, headers=[("x-llm-proxy-timeout-ms", "250")])
    assert 0.2 < time.monotonic() - began < 2
    assert answer.status == 504
    said = answer.json()["error"]
    assert said["type"] == "timeout_error"
    record = world.record_of(answer)
    assert (record.outcome, record.status) == ("upstream_error", 504)
    assert faults_of(record) == ["deadline"]
    connection = world.provider.connections[world.sent.connection]
    world.provider.wait_until(lambda: bool(connection.ending))  # nobody pays for the rest


async def test_a_clients_deadline_ends_its_stream_within_it(world: World) -> None:
    world.provider.script(chat_stream(["Hello", "!"], cut_after=1, cut_by="hang"))
    stream = await world.stream("chat", headers=[("x-llm-proxy-timeout-ms", "400")])
    assert "Hello" in stream.data[-2]
    assert json.loads(stream.data[-1])["error"]["type"] == "timeout_error"
    assert stream.ending == "complete"
    assert b"[DONE]" not in stream.raw


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
async def test_repeated_single_fields_are_not_joined(world: World, path: str) -> None:
    headers = [("x-twice", "1"), ("x-twice", "2")]
    await world.ask("POST", path, headers=headers, body=b'{"model":"m"}')
    assert world.sent.headers_named("x-twice") == ["1", "2"]
