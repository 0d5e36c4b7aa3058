"""Everything that is no conversation: models, embeddings, files, pictures, sound."""

import asyncio
import base64
import hashlib
import json
import os
import struct
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.e2e.conftest import MODELS
from tests.e2e.world import World
from tests.support.answers import error, models_json, to_json
from tests.support.provider import ProviderThread, Request
from tests.support.proxy_process import UPSTREAM_KEY, ProxyProcess
from tests.support.scripts import Script, close, event_stream, respond, wait

# --- embeddings


def test_embeddings_come_down_as_base64_when_the_client_wants_them_so(world: World) -> None:
    vector = [0.1, -2.5, 3.25e-7]
    packed = base64.b64encode(struct.pack("<3f", *vector)).decode()
    item = {"object": "embedding", "index": 0, "embedding": packed}
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    answer = {"object": "list", "data": [item], "model": "e", "usage": usage}
    world.provider.script(respond(to_json(answer)))
    with world.openai() as client:
        raw = client.embeddings.with_raw_response.create(model="e", input=["x"])
    assert world.sent.fields["encoding_format"] == "base64"
    assert json.loads(raw.content)["data"][0]["embedding"] == packed
    assert raw.parse().data[0].embedding == pytest.approx(vector, rel=1e-6)
    record = world.record(raw.headers["x-llm-proxy-request-id"])
    assert (record.format, record.model, record.usage.input) == ("other", "e", 5)


def test_embeddings_come_down_as_floats_when_the_client_wants_them_so(world: World) -> None:
    with world.openai() as client:
        answer = client.embeddings.create(model="e", input="x", encoding_format="float")
    assert answer.data[0].embedding == [0.25, -0.5]


# --- models


def test_openais_client_lists_and_finds_models(world: World) -> None:
    with world.openai() as client:
        listed = list(client.models.list())
        assert [model.id for model in listed] == list(MODELS)
        assert {model.object for model in listed} == {"model"}
        for name in MODELS:
            assert client.models.retrieve(name).id == name
        with pytest.raises(openai.NotFoundError) as raised:
            client.models.retrieve("no/such:model")
    assert raised.value.code == "model_not_found"
    assert "no/such:model" in raised.value.message
    assert world.provider.requests == []  # answered from memory


def test_anthropics_client_lists_pages_and_finds_models(world: World) -> None:
    with world.anthropic() as client:
        assert [model.id for model in client.models.list()] == list(MODELS)
        assert [model.id for model in client.models.list(limit=1)] == list(MODELS)
        first = client.models.list(limit=2)
        assert (first.has_more, first.first_id, first.last_id) == (True, MODELS[0], MODELS[1])
        rest = client.models.list(limit=2, after_id=first.last_id or "")
        assert ([m.id for m in rest.data], rest.has_more) == ([MODELS[2]], False)
        back = client.models.list(limit=1, before_id=MODELS[1])
        assert [model.id for model in back.data] == [MODELS[0]]
        for name in MODELS:
            found = client.models.retrieve(name)
            assert (found.id, found.type, found.display_name) == (name, "model", name)
            assert found._request_id
            assert found.created_at.year >= 1970
        with pytest.raises(anthropic.NotFoundError, match="no/such:model"):
            client.models.retrieve("no/such:model")
    assert world.provider.requests == []


async def test_the_list_for_agents_has_their_shape(world: World) -> None:
    headers = [("anthropic-version", "2023-06-01")]
    listed = (await world.ask("GET", "/v1/models?limit=1000", headers=headers)).json()
    assert listed["has_more"] is False
    assert (listed["first_id"], listed["last_id"]) == (MODELS[0], MODELS[-1])
    assert {entry["type"] for entry in listed["data"]} == {"model"}
    for limit in ("0", "1001", "x"):
        answer = await world.ask("GET", f"/v1/models?limit={limit}", headers=headers)
        assert answer.status == 400
        assert answer.json()["type"] == "error"
        assert answer.header("request-id")


@pytest.mark.parametrize(
    "spelling", ["vendor%2Fmodel:free", "vendor/model%3Afree", "vendor%2fmodel%3afree"]
)
async def test_a_models_name_may_be_spelled_in_every_way(world: World, spelling: str) -> None:
    answer = await world.ask("GET", f"/v1/models/{spelling}")
    assert answer.json()["id"] == "vendor/model:free"


async def test_lists_of_several_upstreams_are_merged_in_order(tmp_path: Any) -> None:
    with ProviderThread() as first, ProviderThread() as second, ProviderThread() as third:
        first.reply(models_json(["a", "both", "unwanted"]), path="/v1/models")
        second.reply(_only_messages)
        third.reply(error(404), path="/v1/models")
        environment = {"PROXY_MODELS": "a,bo*;b*;c,d*", "MODEL_MAP": "alias=c"}
        urls = [first.url, second.url, third.url]
        with ProxyProcess(tmp_path, urls, environment=environment) as proxy:
            world = World(proxy, first, second, third)
            listed = (await world.ask("GET", "/v1/models")).json()["data"]
    names = [entry["id"] for entry in listed]
    assert sorted(names) == ["a", "alias", "b", "both", "c"]
    assert [name for name in names if name != "alias"] == ["a", "both", "b", "c"]


def _only_messages(request: Request) -> Script:
    if request.header("anthropic-version") is None:
        return error(404)
    return models_json(["both", "b"], "messages")


async def test_a_list_is_there_within_three_seconds_even_if_an_upstream_is_silent(
    tmp_path: Any,
) -> None:
    over = asyncio.Event()
    with ProviderThread() as provider:
        provider.reply([wait(over), close()], path="/v1/models")
        environment = {"PROXY_MODELS": "named,x-*"}
        with ProxyProcess(tmp_path, provider.url, environment=environment) as proxy:
            began = time.monotonic()
            answer = await World(proxy, provider).ask("GET", "/v1/models")
            took = time.monotonic() - began
            provider.set(over)
    assert [entry["id"] for entry in answer.json()["data"]] == ["named"]
    assert took < 4.0  # 3 s is the promise, and the machine may be busy


# --- files, pictures, sound: bytes in, bytes out

BLOB = bytes(range(256)) * 4096 + b"\r\n--x--\r\n\x00\xff" + os.urandom(1 << 20)


def test_a_file_is_uploaded_byte_for_byte(world: World) -> None:
    stored = {"id": "file-1", "object": "file", "bytes": len(BLOB), "created_at": 1}
    stored |= {"filename": "data.bin", "purpose": "user_data", "status": "processed"}
    world.provider.script(respond(to_json(stored)))
    with world.openai() as client:
        assert client.files.create(file=("data.bin", BLOB), purpose="user_data").id == "file-1"
    assert world.sent.path == "/v1/files"
    assert (world.sent.header("content-type") or "").startswith("multipart/form-data; boundary=")
    assert BLOB in world.sent.body
    assert b'filename="data.bin"' in world.sent.body


async def test_a_multipart_body_passes_untouched(world: World) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt\r\n--b\r\n\r\n' + BLOB
    headers = [("content-type", "multipart/form-data; boundary=b")]
    world.provider.script(respond(b'{"text":"hi"}'))
    answer = await world.ask("POST", "/v1/audio/transcriptions", headers=headers, body=body)
    assert (answer.status, answer.body) == (200, b'{"text":"hi"}')
    assert hashlib.sha256(world.sent.body).digest() == hashlib.sha256(body).digest()
    assert world.sent.header("content-type") == "multipart/form-data; boundary=b"
    record = world.record_of(answer)
    assert (record.bytes_up, record.model) == (len(body), None)
    assert record.bytes_down == len(answer.head.raw) + len(answer.body)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_sound_comes_down_byte_for_byte(world: World, framing: Any) -> None:
    world.provider.script(respond(BLOB, framing=framing, content_type="audio/mpeg"))
    with world.openai() as client:
        got = client.audio.speech.create(model="tts", voice="alloy", input="hi")
    assert got.content == BLOB
    assert got.response.headers["content-type"] == "audio/mpeg"
    assert world.sent.fields == {"model": "tts", "voice": "alloy", "input": "hi"}


def test_sound_can_be_streamed(world: World) -> None:
    world.provider.script(respond(BLOB, framing="chunked", content_type="audio/mpeg"))
    with (
        world.openai() as client,
        client.audio.speech.with_streaming_response.create(
            model="tts", voice="alloy", input="hi"
        ) as got,
    ):
        assert b"".join(got.iter_bytes()) == BLOB


def test_pictures_are_made_and_edited(world: World) -> None:
    picture = base64.b64encode(BLOB).decode()
    answer = {"created": 1, "data": [{"b64_json": picture}]}
    world.provider.reply(respond(to_json(answer)))
    with world.openai() as client:
        made = client.images.generate(model="gpt-image-1", prompt="a cat")
        edited = client.images.edit(model="gpt-image-1", image=("a.png", BLOB), prompt="a hat")
    assert (made.data or [])[0].b64_json == (edited.data or [])[0].b64_json == picture
    paths = [request.path for request in world.provider.requests]
    assert paths == ["/v1/images/generations", "/v1/images/edits"]
    assert BLOB in world.provider.requests[1].body


def test_the_content_of_a_file_comes_down_byte_for_byte(world: World) -> None:
    world.provider.script(respond(BLOB, content_type="application/octet-stream"))
    with world.openai() as client:
        assert client.files.content("file-1").read() == BLOB
    assert (world.sent.method, world.sent.path) == ("GET", "/v1/files/file-1/content")


def test_moderations_batches_and_old_completions_pass(world: World) -> None:
    moderation = {"id": "m", "model": "x", "results": []}
    batch = {"id": "batch_1", "object": "batch", "endpoint": "/v1/responses", "created_at": 1}
    batch |= {"completion_window": "24h", "input_file_id": "f", "status": "validating"}
    text = {"id": "c", "object": "text_completion", "created": 1, "model": "m"}
    text["choices"] = [{"text": "hi", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    world.provider.script(respond(to_json(moderation)), respond(to_json(batch)))
    world.provider.script(respond(to_json(text)), path="/v1/completions")
    with world.openai() as client:
        assert client.moderations.create(input="x").id == "m"
        made = client.batches.create(
            input_file_id="f", endpoint="/v1/responses", completion_window="24h"
        )
        assert made.id == "batch_1"
        assert client.completions.create(model="m", prompt="x").choices[0].text == "hi"
    paths = [request.path for request in world.provider.requests]
    assert paths == ["/v1/moderations", "/v1/batches", "/v1/completions"]


def test_anthropics_batches_and_files_pass(world: World) -> None:
    batch = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress"}
    stored = {"id": "file_1", "type": "file", "filename": "a", "mime_type": "x", "size_bytes": 1}
    world.provider.script(respond(to_json(batch)), path="/v1/messages/batches/msgbatch_1")
    world.provider.script(respond(to_json(stored)), path="/v1/files/file_1")
    with world.anthropic() as client:
        assert client.messages.batches.retrieve("msgbatch_1").id == "msgbatch_1"
        assert client.beta.files.retrieve_metadata("file_1").id == "file_1"
    for request in world.provider.requests:
        assert request.method == "GET"
        assert request.headers_named("x-api-key") == [UPSTREAM_KEY]


async def test_a_body_without_content_has_none_behind_the_proxy(world: World) -> None:
    world.provider.script([b"HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n"], path="/v1/files/f")
    async with world.client() as client:
        key = world.proxy.access_key
        answer = await client.ask("DELETE", "/v1/files/f", key=key)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.header("content-length") is None
        assert answer.header("transfer-encoding") is None
        assert (await client.ask("GET", "/v1/models", key=key)).status == 200


async def test_a_foreign_stream_passes_untouched(world: World) -> None:
    events = [b'event: speech.audio.delta\ndata: {"audio":"AA=="}\n\n', b"data: not json\n\n"]
    world.provider.script(event_stream(events))
    async with world.client() as client:
        body = {"model": "tts", "input": "x", "stream_format": "sse"}
        key = world.proxy.access_key
        await client.request("POST", "/v1/audio/speech", key=key, json_body=body)
        stream = await client.read_stream()
    assert stream.raw == b"".join(events)
    assert stream.ending == "complete"


@pytest.fixture(scope="module")
def one_dialect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A proxy whose only upstream speaks Chat Completions."""
    directory = tmp_path_factory.mktemp("dialect")
    environment = {"PROXY_FORMATS": "chat", "PROXY_MODELS": "m"}
    with (
        ProviderThread() as provider,
        ProxyProcess(directory, provider.url, environment=environment) as proxy,
    ):
        yield World(proxy, provider)


async def test_stored_answers_are_unknown_where_no_upstream_keeps_any(one_dialect: World) -> None:
    answer = await one_dialect.ask("GET", "/v1/responses/resp_1")
    assert answer.status == 404
    assert answer.json()["error"]["type"] == "not_found_error"
    assert one_dialect.provider.requests == []


@pytest.fixture(scope="module")
def two_families_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A proxy with an upstream of OpenAI's family and one of Anthropic's."""
    directory = tmp_path_factory.mktemp("families")
    environment = {"PROXY_FORMATS": "chat,responses;messages", "PROXY_MODELS": "a;b"}
    with ProviderThread() as first, ProviderThread() as second:
        urls = [first.url, second.url]
        with ProxyProcess(directory, urls, environment=environment) as proxy:
            yield World(proxy, first, second)


@pytest.fixture
def two_families(two_families_world: World) -> World:
    """The same, its providers without memory."""
    two_families_world.reset()
    return two_families_world


def test_files_go_to_the_provider_of_the_clients_family(two_families: World) -> None:
    openais, anthropics = two_families.providers
    openais.reply(respond(to_json({"id": "file-1", "object": "file"})), path="/v1/files/file-1")
    stored = {"id": "file_1", "type": "file", "filename": "a", "mime_type": "x", "size_bytes": 1}
    anthropics.reply(respond(to_json(stored)), path="/v1/files/file_1")
    with two_families.openai() as client, two_families.anthropic() as other:
        for _ in range(3):
            assert client.files.retrieve("file-1").id == "file-1"
            assert other.beta.files.retrieve_metadata("file_1").id == "file_1"
    assert {request.path for request in openais.requests} == {"/v1/files/file-1"}
    assert {request.path for request in anthropics.requests} == {"/v1/files/file_1"}
    assert {request.header("authorization") for request in openais.requests} == {
        f"Bearer {UPSTREAM_KEY}"
    }
    assert {request.header("x-api-key") for request in anthropics.requests} == {UPSTREAM_KEY}
