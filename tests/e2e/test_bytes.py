"""What is sent is what arrives: request bodies, answers and streams pass byte for byte."""

import asyncio
import gzip
from collections.abc import Iterator

import pytest

from tests.e2e.world import CHAT, MESSAGES, PATHS, RESPONSES, World, question
from tests.support.answers import Dialect, chat_events, messages_events, responses_events
from tests.support.provider import ProviderThread
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import dribbled, event_stream, respond, wait

JSON = [("content-type", "application/json")]
BODIES = {
    "unknown fields and odd order": b'{"zz":1,"model":"m","aa":{"b":[]},"stream":false}',
    "white space and a newline behind": b' {\r\n\t"model" : "m" ,  "messages":[ ]  }\n\n',
    "escapes as written": rb'{"model":"m","x":"\u00e9\u4e2d\/\ud83d\ude00 \u0000"}',
    "text beyond ASCII": '{"model":"m","x":"é中😀\u2028"}'.encode(),
    "a number beyond floats": b'{"model":"m","x":[1e400,-1e400,1E-999,0.10000000000000000000001]}',
    "huge integers": b'{"model":"m","x":' + b"9" * 5000 + b"}",
    "a lone surrogate": rb'{"model":"m","x":"\ud800 and \udfff"}',
    "a byte order mark": b'\xef\xbb\xbf{"model":"m","messages":[]}',
    "inner keys twice": b'{"model":"m","x":{"a":1,"a":2},"metadata":{"model":"n","model":"o"}}',
    "unknown keys twice": b'{"x":1,"model":"m","x":2}',
    "no model": b'{"messages":[]}',
    "a model that is no text": b'{"model":{"name":"m"},"messages":[]}',
    "NaN, as Python writes it": b'{"model":"m","x":[NaN,Infinity,-Infinity]}',
    "an empty object": b"{}",
    "a large one": b'{"model":"m","x":"' + b"y" * 3_000_000 + b'"}',
    "the fields of interest inside text": rb'{"x":"\"model\":\"n\",\"stream\":true","model":"m"}',
}


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("name", BODIES)
async def test_a_body_goes_up_as_it_was_sent(world: World, name: str, dialect: str) -> None:
    answer = await world.ask("POST", PATHS[dialect], headers=JSON, body=BODIES[name])
    assert answer.status == 200, answer.body
    assert world.sent.body == BODIES[name]
    assert world.sent.headers_named("content-length") == [str(len(BODIES[name]))]


async def test_a_body_nested_deeply_goes_up_or_is_refused(world: World) -> None:
    body = b'{"model":"m","x":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    answer = await world.ask("POST", CHAT, headers=JSON, body=body)
    assert answer.status in (200, 400)
    assert [request.body for request in world.provider.requests] in ([], [body])


async def test_a_body_in_chunks_goes_up_with_its_length(world: World) -> None:
    body = BODIES["text beyond ASCII"]
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    headers = [*JSON, ("transfer-encoding", "chunked")]
    answer = await world.ask("POST", CHAT, headers=headers, body=chunks)
    assert answer.status == 200
    assert world.sent.body == body
    assert world.sent.headers_named("content-length") == [str(len(body))]
    assert world.sent.headers_named("transfer-encoding") == []


async def test_a_compressed_body_goes_up_compressed(world: World) -> None:
    body = gzip.compress(b'{"model":"m","stream":true,"messages":[]}')
    headers = [*JSON, ("content-encoding", "gzip")]
    answer = await world.ask("POST", CHAT, headers=headers, body=body)
    assert answer.status == 200
    assert world.sent.body == body
    assert world.sent.header("content-encoding") == "gzip"
    record = world.record_of(answer)
    assert (record.model, record.stream, record.bytes_up) == ("m", True, len(body))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"model":"a","model":"b"}', "model"),
        (b'{"stream":true,"model":"a","stream":false}', "stream"),
        (b'{"model":"m","x":"\xff"}', "UTF-8"),
        (b'{"model":"m"', "JSON"),
        (b"[]", "JSON"),
        (b"model=m", "JSON"),
    ],
    ids=["two models", "two streams", "no UTF-8", "half an object", "a list", "a form"],
)
async def test_a_body_nobody_can_read_is_refused_with_a_reason(
    world: World, body: bytes, words: str
) -> None:
    for path in PATHS.values():
        answer = await world.ask("POST", path, headers=JSON, body=body)
        assert answer.status == 400
        assert words in answer.json()["error"]["message"]
        assert answer.json()["error"]["type"] == "invalid_request_error"
        record = world.record_of(answer)
        assert (record.outcome, record.status, record.attempts) == ("refused", 400, [])
    assert world.provider.requests == []


@pytest.mark.parametrize("query", ["beta=true", "a=1&a=2&b=%2F%C3%A9+x", "x=%00%zz", ""])
async def test_a_query_goes_up_as_it_was_sent(world: World, query: str) -> None:
    body = b'{"model":"m","messages":[]}'
    target = f"{MESSAGES}?{query}" if query else MESSAGES
    assert (await world.ask("POST", target, headers=JSON, body=body)).status == 200
    assert world.sent.target == target


ANSWERS = {
    "odd space and order": b'\n{ "choices" : [ {"message":{"content":"x"}} ] ,\r\n "id":1 }\n',
    "numbers beyond floats": b'{"choices":[{"message":{"content":"x"}}],"n":1e400,"m":'
    + b"9" * 99
    + b"}",
    "escapes": rb'{"choices":[{"message":{"content":"\u00e9\ud800"}}]}',
    "keys twice": b'{"choices":[{"message":{"content":"x"}}],"a":1,"a":2}',
    "large": b'{"choices":[{"message":{"content":"' + b"z" * 2_000_000 + b'"}}]}',
}


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_comes_down_as_it_was_sent(world: World, name: str, framing: str) -> None:
    world.provider.script(respond(ANSWERS[name], framing=framing))  # type: ignore[arg-type]
    answer = await world.generate("chat")
    assert (answer.status, answer.body) == (200, ANSWERS[name])


async def test_an_answer_an_upstream_compresses_unasked_stays_so(world: World) -> None:
    world.provider.script(respond(ANSWERS["escapes"], gzip=True))
    answer = await world.generate("chat")
    assert world.sent.header("accept-encoding") == "identity"
    assert answer.header("content-encoding") == "gzip"
    assert gzip.decompress(answer.body) == ANSWERS["escapes"]


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_providers_refusal_comes_down_as_it_was_sent(world: World, status: int) -> None:
    body = b'{ "type":"error", "error":{"message":"no","details":{"error_code":"x"}} ,"n":1e400}\n'
    world.provider.script(respond(body, status=status, headers=[("request-id", "req_1")]))
    answer = await world.generate("messages")
    assert (answer.status, answer.body) == (status, body)
    assert answer.head.headers_named("request-id") == ["req_1"]


CHAT_EVENTS = b"".join(chat_events(["Grüße", " 中", "😀"]))
STREAMS: dict[str, tuple[Dialect, bytes]] = {
    "chat": ("chat", CHAT_EVENTS),
    "messages": ("messages", b"".join(messages_events(["é"]))),
    "responses": ("responses", b"".join(responses_events(["é"]))),
    "CRLF": ("messages", b"".join(messages_events()).replace(b"\n", b"\r\n")),
    "bare CR": ("chat", CHAT_EVENTS.replace(b"\n", b"\r")),
    "comments in front, between and behind": (
        "chat",
        b": hello\n\n" + CHAT_EVENTS.replace(b"\n\n", b"\n\n: PROCESSING\n\n") + b":\n\n",
    ),
    "no space behind data": ("chat", CHAT_EVENTS.replace(b"data: ", b"data:")),
    "ids, retry and unknown lines": (
        "chat",
        b"retry: 100\n\n" + CHAT_EVENTS.replace(b"data: {", b"id: 7\nx-y: z\ndata: {"),
    ),
    "unknown events": (
        "messages",
        b"".join(messages_events()).replace(
            b"event: content_block_stop",
            b'event: news\ndata: {"type":"news","n":1e400}\n\nevent: content_block_stop',
        ),
    ),
    "data in several lines": ("chat", CHAT_EVENTS.replace(b',"object"', b',\ndata: "object"')),
    "more blank lines": ("chat", CHAT_EVENTS.replace(b"\n\n", b"\n\n\n\n")),
    "nothing behind the finish reason": ("chat", b"".join(chat_events(done=False))),
    "events behind the end": ("chat", CHAT_EVENTS + b": bye\n\n" + b'data: {"x":1}\n\n'),
}


@pytest.mark.parametrize("arrival", ["at once", "in pieces", "until close"])
@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_comes_down_as_it_was_sent(world: World, name: str, arrival: str) -> None:
    dialect, sent = STREAMS[name]
    if arrival == "in pieces":
        script = dribbled(event_stream([sent]), 7)
    else:
        script = event_stream([sent], framing="close" if arrival == "until close" else "chunked")
    world.provider.reply(script)
    stream = await world.stream(dialect)
    assert stream.raw == sent
    assert stream.ending == "complete"


@pytest.mark.parametrize("dialect", PATHS)
async def test_every_border_of_two_reads_may_fall_anywhere(world: World, dialect: str) -> None:
    sent = STREAMS[dialect][1]
    world.provider.script(dribbled(event_stream([sent]), 1))
    assert (await world.stream(dialect)).raw == sent


@pytest.mark.parametrize("dialect", PATHS)
async def test_what_comes_late_behind_the_end_stays_within_its_answer(
    world: World, dialect: str
) -> None:
    events = {"chat": chat_events(), "messages": messages_events(), "responses": responses_events()}
    begun, late = asyncio.Event(), asyncio.Event()
    *most, last = events[dialect]
    script = event_stream([*most, wait(begun), last, wait(late), b": bye\n\n"])
    world.provider.script(script)
    body = question(dialect, stream=True)
    async with world.client() as client:
        key = world.proxy.access_key
        await client.request("POST", PATHS[dialect], key=key, json_body=body)
        head = await client.read_head()
        got = []
        async for event in client.read_events(head):
            got.append(event.raw)
            if len(got) == 3:
                world.provider.set(begun)
            if event.raw == last:
                world.provider.set(late)
        assert b"".join(got) == b"".join(events[dialect]) + b": bye\n\n"
        answer = await client.ask("POST", PATHS[dialect], key=key, json_body=question(dialect))
    assert answer.status == 200
    assert answer.json()["model"] == "test-model"


async def test_a_json_answer_to_a_stream_request_comes_down_as_it_is(world: World) -> None:
    world.provider.script(respond(ANSWERS["escapes"]))
    answer = await world.generate("chat", stream=True)
    assert answer.header("content-type") == "application/json"
    assert answer.body == ANSWERS["escapes"]


async def test_an_event_that_no_client_could_read_is_dropped_and_counted(world: World) -> None:
    events = chat_events()
    broken = [*events[:2], b"data: {half\n\n", *events[2:]]
    world.provider.script(event_stream(broken))
    async with world.client() as client:
        body = {"model": "m", "stream": True, "messages": []}
        await client.request("POST", CHAT, key=world.proxy.access_key, json_body=body)
        head = await client.read_head()
        stream = await client.read_stream(head)
    assert stream.raw == b"".join(events)
    record = world.record(head.header("x-llm-proxy-request-id"))
    assert (record.outcome, record.broken_events) == ("ok", 1)


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A proxy that renames models."""
    environment = {
        "MODEL_MAP": "claude-*=gpt-5,fast=qwen3:free",
        "PROXY_MODELS": "gpt-5,qwen3:free,open-*",
    }
    directory = tmp_path_factory.mktemp("mapped")
    with (
        ProviderThread() as provider,
        ProxyProcess(directory, provider.url, environment=environment) as proxy,
    ):
        provider.wait_for_requests(1)  # the list of models
        yield World(proxy, provider)


RENAMED = {
    b'{"model":"fast"}': b'{"model":"qwen3:free"}',
    rb'{"x":"\"model\":\"fast\"","model" :  "fast" ,"y":{"model":"fast"},"z":1e400}': (
        rb'{"x":"\"model\":\"fast\"","model" :  "qwen3:free" ,"y":{"model":"fast"},"z":1e400}'
    ),
    rb'{"stream":false,"model":"f\u0061st","s":"\ud800"}': (
        rb'{"stream":false,"model":"qwen3:free","s":"\ud800"}'
    ),
    b'\xef\xbb\xbf{"model":"claude-opus-4"}\n': b'\xef\xbb\xbf{"model":"gpt-5"}\n',
    b'{"model":"open-x/y:z", "u":1}': b'{"model":"open-x/y:z", "u":1}',
}


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES, "/v1/embeddings"])
@pytest.mark.parametrize("sent", RENAMED)
async def test_renaming_a_model_changes_that_one_value(
    mapped: World, sent: bytes, path: str
) -> None:
    mapped.reset()
    answer = await mapped.ask("POST", path, headers=JSON, body=sent)
    assert answer.status == 200, answer.body
    assert mapped.sent.body == RENAMED[sent]
    record = mapped.record_of(answer)
    assert record.served
    assert b'"%b"' % record.served.encode() in mapped.sent.body
    assert record.model in ("fast", "claude-opus-4", "open-x/y:z")


async def test_a_compressed_body_is_renamed_and_sent_plain(mapped: World) -> None:
    mapped.reset()
    body = gzip.compress(b'{"model":"fast", "x":1}')
    headers = [*JSON, ("content-encoding", "gzip")]
    assert (await mapped.ask("POST", CHAT, headers=headers, body=body)).status == 200
    assert mapped.sent.body == b'{"model":"qwen3:free", "x":1}'
    assert mapped.sent.header("content-encoding") is None


async def test_the_answers_model_is_what_the_upstream_reports(mapped: World) -> None:
    mapped.reset()
    assert (await mapped.generate("chat", model="fast")).json()["model"] == "qwen3:free"


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES, "/v1/embeddings"])
async def test_a_model_nobody_serves_is_not_asked_for(mapped: World, path: str) -> None:
    mapped.reset()
    answer = await mapped.ask("POST", path, headers=JSON, body=b'{"model":"gpt-4"}')
    assert answer.status == 404
    error = answer.json()["error"]
    assert error["type"] == "not_found_error"
    assert "'gpt-4'" in error["message"]
    if path != MESSAGES:
        assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert mapped.provider.requests == []
    record = mapped.record_of(answer)
    assert (record.outcome, record.status, record.model) == ("refused", 404, "gpt-4")
    assert record.attempts == []


async def test_aliases_are_listed_with_the_models_that_are_served(mapped: World) -> None:
    ids = [entry["id"] for entry in (await mapped.ask("GET", "/v1/models")).json()["data"]]
    assert {"fast", "gpt-5", "qwen3:free"} <= set(ids)
    assert "gpt-4" not in ids
