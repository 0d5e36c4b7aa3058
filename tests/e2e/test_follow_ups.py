"""What a provider keeps under one key is asked for there, now and after a restart."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.keeping import KEYS, Keeping
from tests.e2e.world import World, faults_of
from tests.support.answers import error, to_json
from tests.support.client import Answer
from tests.support.provider import ProviderThread
from tests.support.proxy_process import ACCESS_KEY, ProxyProcess
from tests.support.scripts import respond

FRIEND_KEY = "sk-test-access-key-of-a-friend"
OWNER = f"me:{ACCESS_KEY},friend:{FRIEND_KEY}"
LONG = "You are an agent that does what it is asked, in small steps.\n" * 40


class Pool(World):
    """A proxy with several keys of one provider that keeps what it makes."""

    def __init__(self, proxy: ProxyProcess, provider: ProviderThread) -> None:
        super().__init__(proxy, provider)
        self.keeping = Keeping(provider)

    async def made(self, **fields: Any) -> str:
        """Make a response and return its id."""
        answer = await self.generate("responses", **fields)
        assert answer.status == 200, answer.body
        return str(answer.json()["id"])

    def reset_all(self) -> None:
        """Make the provider healthy and forget what it was asked."""
        self.keeping.reset()


def proxy_of(directory: Path, provider: ProviderThread, keys: tuple[str, ...]) -> ProxyProcess:
    proxy = ProxyProcess(
        directory, [provider.url] * len(keys), api_key=list(keys), access_key=OWNER
    )
    proxy.access_key = ACCESS_KEY
    return proxy


@pytest.fixture(scope="module")
def shared_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with ProviderThread() as provider:
        proxy = proxy_of(tmp_path_factory.mktemp("pool"), provider, KEYS)
        pool = Pool(proxy, provider)
        pool.reset_all()
        with proxy:
            yield pool
        assert provider.malformed == []


@pytest.fixture
def pool(shared_pool: Pool) -> Pool:
    shared_pool.reset_all()
    return shared_pool


async def test_a_stored_response_is_read_and_deleted_where_it_was_made(pool: Pool) -> None:
    for _ in range(6):
        id_ = await pool.made()
        for method, path in (
            ("GET", f"/v1/responses/{id_}"),
            ("GET", f"/v1/responses/{id_}/input_items"),
            ("POST", f"/v1/responses/{id_}/cancel"),
            ("DELETE", f"/v1/responses/{id_}"),
        ):
            answer = await pool.ask(method, path)
            assert (answer.status, answer.header("x-llm-proxy-attempts")) == (200, "1")
    asked = pool.keeping.keys_asked()
    assert [asked[n : n + 5] for n in range(0, 30, 5)] == [[asked[n]] * 5 for n in range(0, 30, 5)]


async def test_a_conversation_goes_on_where_it_began(pool: Pool) -> None:
    for stream in (False, True):
        for _ in range(6):
            id_ = await pool.made(background=True)
            if stream:
                await pool.stream("responses", previous_response_id=id_)
            else:
                await pool.made(previous_response_id=id_)
            asked = pool.keeping.keys_asked()
            assert asked[-1] == asked[-2]


async def test_what_a_stream_made_is_found_again(pool: Pool) -> None:
    for _ in range(6):
        stream = await pool.stream("responses")
        id_ = json.loads(stream.data[0])["response"]["id"]
        answer = await pool.ask("GET", f"/v1/responses/{id_}")
        assert (answer.status, answer.header("x-llm-proxy-attempts")) == (200, "1")


async def test_a_stored_completion_is_found_again(pool: Pool) -> None:
    for stream in (False, True) * 3:
        if stream:
            events = await pool.stream("chat", store=True)
            id_ = json.loads(events.data[0])["id"]
        else:
            id_ = (await pool.generate("chat", store=True)).json()["id"]
        answer = await pool.ask("GET", f"/v1/chat/completions/{id_}")
        assert (answer.status, answer.header("x-llm-proxy-attempts")) == (200, "1")


async def test_a_thread_goes_on_where_it_began(pool: Pool) -> None:
    for stream in (False, True) * 3:
        begin = {"type": "create"}
        if stream:
            events = await pool.stream("messages", thread=begin)
            id_ = json.loads(events.data[0])["message"]["id"]
        else:
            id_ = (await pool.generate("messages", thread=begin)).json()["id"]
        go_on = {"type": "continue", "previous_message_id": id_}
        answer = await pool.generate("messages", thread=go_on)
        assert (answer.status, answer.header("x-llm-proxy-attempts")) == (200, "1")


async def test_files_batches_and_prompts_with_files_stay_together(pool: Pool) -> None:
    for _ in range(4):
        pool.provider.requests.clear()
        file = (await pool.ask("POST", "/v1/files", body=b"multipart")).json()["id"]
        body = {"input_file_id": file, "endpoint": "/v1/responses"}
        batch = (await pool.ask("POST", "/v1/batches", json_body=body)).json()["id"]
        told = (await pool.ask("GET", f"/v1/batches/{batch}")).json()
        output = await pool.ask("GET", f"/v1/files/{told['output_file_id']}/content")
        assert output.status == 200
        part = {"type": "file", "file": {"file_id": file}}
        asked = await pool.generate("chat", messages=[{"role": "user", "content": [part]}])
        assert asked.status == 200
        assert len(pool.keeping.keys_asked()) == 5
        assert len(set(pool.keeping.keys_asked())) == 1


async def test_a_limited_maker_is_not_replaced(pool: Pool) -> None:
    id_ = await pool.made()
    maker = pool.keeping.made[id_]
    pool.provider.script(error(429, headers=[("retry-after", "30")]), key=maker)
    pool.provider.requests.clear()
    # A model of its own, as limits rest (key, model).
    ask: dict[str, Any] = {"previous_response_id": id_, "model": "limited-model"}
    first = await pool.generate("responses", **ask)
    second = await pool.generate("responses", **ask)
    for answer in (first, second):
        assert answer.status == 429
        assert answer.header("retry-after") in ("29", "30")
    assert pool.keeping.keys_asked() == [maker]
    assert (await pool.generate("responses", model="limited-model")).status == 200


async def test_a_paused_maker_is_not_replaced_either(pool: Pool) -> None:
    id_ = await pool.made()
    maker = pool.keeping.made[id_]
    key = f"/api/upstreams/upstream-1/keys/key-{KEYS.index(maker) + 1}"
    pool.provider.requests.clear()
    assert (await pool.ask("POST", f"{key}/pause")).status == 204
    answer = await pool.generate("responses", previous_response_id=id_)
    assert answer.status == 503
    assert "paused" in answer.json()["error"]["message"]
    assert pool.keeping.keys_asked() == []
    assert (await pool.ask("POST", f"{key}/resume")).status == 204
    assert (await pool.generate("responses", previous_response_id=id_)).status == 200
    assert pool.keeping.keys_asked() == [maker]


async def test_a_failing_maker_is_asked_again_and_nobody_else(pool: Pool) -> None:
    id_ = await pool.made()
    maker = pool.keeping.made[id_]
    pool.provider.script(error(500, "responses"), key=maker)
    pool.provider.requests.clear()
    answer = await pool.generate("responses", previous_response_id=id_)
    assert answer.status == 200
    assert pool.keeping.keys_asked() == [maker, maker]


async def test_an_id_that_nobody_remembers_is_looked_for_everywhere_and_then_remembered(
    pool: Pool,
) -> None:
    for n, key in enumerate(KEYS):
        pool.keeping.made[f"resp_elsewhere_{n}"] = key
        pool.provider.requests.clear()
        assert (await pool.ask("GET", f"/v1/responses/resp_elsewhere_{n}")).status == 200
        tries = pool.keeping.keys_asked()
        assert tries[-1] == key
        assert len(tries) == len(set(tries))
        assert (await pool.ask("GET", f"/v1/responses/resp_elsewhere_{n}")).status == 200
        assert pool.keeping.keys_asked() == [*tries, key]


async def test_an_id_that_does_not_exist_is_a_404_of_the_provider(pool: Pool) -> None:
    answer = await pool.ask("GET", "/v1/responses/resp_0815")
    assert answer.status == 404
    assert answer.json()["error"]["message"] == "No such thing."
    assert sorted(pool.keeping.keys_asked()) == sorted(KEYS)
    record = pool.record_of(answer)
    assert faults_of(record) == ["unknown_id"] * 3
    assert record.outcome == "client_error"
    unknown = await pool.generate("responses", previous_response_id="resp_0815")
    assert unknown.status == 400
    assert unknown.json()["error"]["code"] == "previous_response_not_found"


async def test_what_belongs_to_another_access_key_does_not_exist_but_for_the_owner(
    pool: Pool,
) -> None:
    mine = await pool.made()
    pool.provider.requests.clear()
    read = await pool.ask("GET", f"/v1/responses/{mine}", key=FRIEND_KEY)
    assert read.status == 404
    assert mine in read.json()["error"]["message"]
    body = {"model": "test-model", "input": "hi", "previous_response_id": mine}
    followed = await pool.ask("POST", "/v1/responses", key=FRIEND_KEY, json_body=body)
    assert followed.status == 400
    assert followed.json()["error"]["code"] == "previous_response_not_found"
    assert pool.keeping.keys_asked() == []
    del body["previous_response_id"]
    theirs = (await pool.ask("POST", "/v1/responses", key=FRIEND_KEY, json_body=body)).json()["id"]
    for key in (FRIEND_KEY, ACCESS_KEY, FRIEND_KEY):  # asking does not make it the owner's
        assert (await pool.ask("GET", f"/v1/responses/{theirs}", key=key)).status == 200


async def test_no_spelling_and_no_upload_makes_anothers_answer_ones_own(pool: Pool) -> None:
    mine = await pool.made()
    file = (await pool.ask("POST", "/v1/files", key=FRIEND_KEY, body=b"multipart")).json()["id"]
    for path in (f"/v1/files/{file}/content", f"/v1/files/{file}"):
        pool.provider.script(respond(to_json({"id": mine})), path=path)
        assert (await pool.ask("GET", path, key=FRIEND_KEY)).json() == {"id": mine}
    for path in (f"/v1/responses/{mine}", f"/v1/responses/{mine.replace('_', '%5F')}"):
        assert (await pool.ask("GET", path, key=FRIEND_KEY)).status == 404
    twice = f'{{"model":"m","previous_response_id":"{mine}","previous_response_id":"resp_1"}}'
    answer = await pool.ask("POST", "/v1/responses", key=FRIEND_KEY, body=twice.encode())
    assert answer.json()["error"]["code"] == "duplicate_key"


async def test_what_is_not_stored_is_not_remembered(pool: Pool) -> None:
    id_ = await pool.made(store=False)
    assert (await pool.ask("GET", f"/v1/responses/{id_}", key=FRIEND_KEY)).status == 200


async def test_makers_are_known_after_a_restart_and_forgotten_with_their_key(
    tmp_path: Path,
) -> None:
    with ProviderThread() as provider:
        proxy = proxy_of(tmp_path, provider, KEYS)
        pool = Pool(proxy, provider)
        pool.reset_all()
        with proxy:
            ids = [await pool.made() for _ in range(6)]
            assert proxy.stop() == 0
            proxy.start()
            provider.requests.clear()
            for id_ in ids:
                assert (await pool.ask("GET", f"/v1/responses/{id_}")).status == 200
            assert pool.keeping.keys_asked() == [pool.keeping.made[id_] for id_ in ids]
            assert proxy.stop() == 0
        gone = pool.keeping.made[ids[0]]
        left = tuple(key for key in KEYS if key != gone)
        with proxy_of(tmp_path, provider, left) as fewer:
            pool = Pool(fewer, provider)
            provider.requests.clear()
            assert (await pool.ask("GET", f"/v1/responses/{ids[0]}")).status == 404
            assert gone not in [one.key for one in provider.requests]


async def test_an_unknown_id_is_not_denied_while_a_key_that_may_know_it_is_limited(
    tmp_path: Path,
) -> None:
    with ProviderThread() as provider:
        proxy = proxy_of(tmp_path, provider, KEYS)
        pool = Pool(proxy, provider)
        pool.reset_all()
        provider.script(error(429, headers=[("retry-after", "30")]), key=KEYS[1])
        with proxy:
            for _ in range(2):
                answer = await pool.ask("GET", "/v1/files/file_unknown_1")
                assert answer.status == 429
                assert answer.header("retry-after") in ("29", "30")
            asked = pool.keeping.keys_asked()
            assert [asked.count(key) for key in KEYS] == [2, 1, 2], "a ban is a ban"


# Prompts that begin alike


async def ask_at(pool: Pool, system: str, text: str = "hi", *, model: str = "m") -> Answer:
    turns = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    return await pool.generate("chat", messages=turns, model=model)


async def test_prompts_that_begin_alike_meet_at_one_key(pool: Pool) -> None:
    for n in range(4):
        pool.provider.requests.clear()
        for turn in range(5):
            await ask_at(pool, f"{n} {LONG}", f"question {turn}")
        assert len(set(pool.keeping.keys_asked())) == 1


async def test_different_prompts_and_short_ones_are_spread(pool: Pool) -> None:
    for n in range(30):
        await ask_at(pool, f"{n} {LONG}")
    assert set(Counter(pool.keeping.keys_asked())) == set(KEYS)
    pool.provider.requests.clear()
    for _ in range(40):
        await ask_at(pool, "Be brief.")
    assert set(Counter(pool.keeping.keys_asked())) == set(KEYS)


async def test_a_prompt_moves_while_its_key_is_limited_and_comes_back(pool: Pool) -> None:
    await ask_at(pool, LONG, model="limited")
    (home,) = pool.keeping.keys_asked()
    pool.provider.script(error(429, headers=[("retry-after", "1")]), key=home)
    pool.provider.requests.clear()
    for turn in range(3):
        assert (await ask_at(pool, LONG, f"question {turn}", model="limited")).status == 200
    asked = pool.keeping.keys_asked()
    assert asked[0] == home
    assert len(set(asked[1:])) == 1, "the same other key takes over"
    assert asked[1] != home
    async with asyncio.timeout(5):
        while pool.keeping.keys_asked()[-1] != home:
            await asyncio.sleep(0.05)
            assert (await ask_at(pool, LONG, model="limited")).status == 200
