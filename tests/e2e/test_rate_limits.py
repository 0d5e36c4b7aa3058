"""All keys are limited: what the client is told, and for how long nobody is bothered again.

Limits are remembered per key and model, so every test asks for a model of its own.
"""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.e2e.world import PATHS, World, faults_of, question
from tests.support.answers import Dialect, chat_json, error, stream_error
from tests.support.client import Answer
from tests.support.provider import ProviderThread, Request
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import Script, event_stream

WORDS = "错误重试全都rate limit,请再次重试."
FIRST_KEY, SECOND_KEY = "sk-first-0123456789", "sk-second-9876543210"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def pool_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A proxy with two keys of one address."""
    directory = tmp_path_factory.mktemp("limits")
    with ProviderThread() as provider:
        keys = [FIRST_KEY, SECOND_KEY]
        with ProxyProcess(directory, provider.url, api_key=keys) as proxy:
            provider.wait_for_requests(1)  # the list of models
            yield World(proxy, provider)


@pytest.fixture
def pool(pool_world: World) -> World:
    """The same, its provider healthy and without memory."""
    pool_world.reset()
    return pool_world


@pytest.fixture
def model() -> str:
    """A model nobody has asked for yet."""
    return f"model-{next(_numbers)}"


def limit(world: World, model: str, first_s: str, second_s: str) -> None:
    """Make the provider refuse both keys, each with its own advice."""
    for key, advice in ((FIRST_KEY, first_s), (SECOND_KEY, second_s)):

        def refuse(request: Request, advice: str = advice) -> Script:
            dialect: Dialect = "messages" if request.path.endswith("messages") else "chat"
            return error(429, dialect, headers=[("retry-after", advice)], message="slow down")

        world.provider.reply(refuse, key=key, model=model)


def assert_all_limited(answer: Answer, dialect: str) -> None:
    """Check all that clients rely on."""
    assert answer.status == 429
    body = answer.json()
    assert WORDS in body["error"]["message"]
    assert "rate limited" in body["error"]["message"]
    assert body["error"]["type"] == "rate_limit_error"
    if dialect == "messages":
        assert body["type"] == "error"
        assert body["request_id"] == answer.header("request-id")
    else:
        assert body["error"]["code"] == "rate_limit_exceeded"
        assert body["error"]["param"] is None
        assert answer.header("x-request-id")
    assert len(answer.head.headers_named("retry-after")) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("dialect", PATHS)
async def test_when_all_keys_are_limited_the_client_learns_when_the_first_is_back(
    pool: World, model: str, dialect: str, stream: bool
) -> None:
    limit(pool, model, "50", "30")
    answer = await pool.generate(dialect, model=model, stream=stream)
    assert_all_limited(answer, dialect)
    assert answer.header("retry-after") == "30"
    assert answer.header("x-should-retry") is None
    assert answer.header("x-llm-proxy-attempts") == "2"
    message = answer.json()["error"]["message"]
    assert "2 attempts" in message
    assert "slow down" in message
    assert {request.key for request in pool.provider.requests} == {FIRST_KEY, SECOND_KEY}
    record = pool.record_of(answer)
    assert (record.outcome, record.status) == ("rate_limited", 429)
    assert faults_of(record) == ["rate_limited", "rate_limited"]
    assert sorted(attempt.cool_s or 0 for attempt in record.attempts) == pytest.approx([30, 50])


async def test_a_limit_that_lasts_is_answered_at_once_without_asking_anybody(
    pool: World, model: str
) -> None:
    limit(pool, model, "50", "30")
    await pool.generate("chat", model=model)
    pool.provider.requests.clear()
    for dialect in PATHS:
        began = time.monotonic()
        answer = await pool.generate(dialect, model=model)
        assert time.monotonic() - began < 1
        assert_all_limited(answer, dialect)
        assert 28 <= int(answer.header("retry-after") or 0) <= 30
        assert answer.header("x-llm-proxy-attempts") == "0"
    assert pool.provider.requests == []
    # The same keys go on serving other models.
    assert (await pool.generate("chat", model=f"{model}-other")).status == 200


@pytest.mark.parametrize("dialect", PATHS)
async def test_a_limit_beyond_a_minute_tells_sdks_not_to_wait(
    pool: World, model: str, dialect: str
) -> None:
    limit(pool, model, "3600", "90")
    answer = await pool.generate(dialect, model=model)
    assert_all_limited(answer, dialect)
    assert answer.header("retry-after") == "90"
    assert answer.header("x-should-retry") == "false"


async def test_a_short_limit_is_waited_out(pool: World, model: str) -> None:
    limited = error(429, headers=[("retry-after-ms", "300")])
    pool.provider.script(limited, limited, chat_json("at last"), model=model)
    began = time.monotonic()
    answer = await pool.generate("chat", model=model)
    assert time.monotonic() - began >= 0.25
    assert answer.json()["choices"][0]["message"]["content"] == "at last"
    record = pool.record_of(answer)
    assert faults_of(record) == ["rate_limited", "rate_limited", None]
    assert record.attempts[2].wait_ms > 200


async def test_a_limited_key_is_changed_for_the_next_one(pool: World, model: str) -> None:
    pool.provider.script(error(429, headers=[("retry-after", "40")]), model=model)
    answer = await pool.generate("chat", model=model)
    assert answer.status == 200
    assert answer.header("x-llm-proxy-attempts") == "2"
    keys = [request.key for request in pool.provider.requests]
    assert sorted(keys, key=str) == [FIRST_KEY, SECOND_KEY]
    assert faults_of(pool.record_of(answer)) == ["rate_limited", None]


async def test_a_limit_without_advice_ends_in_a_429_that_has_some(pool: World, model: str) -> None:
    pool.provider.reply(error(429), model=model)
    answer = await pool.generate("chat", model=model)
    assert_all_limited(answer, "chat")
    assert 1 <= int(answer.header("retry-after") or 0) <= 8
    assert answer.header("x-llm-proxy-attempts") == "4"  # MAX_RETRIES is 3
    assert len(pool.provider.requests) == 4


@pytest.mark.parametrize("dialect", ["chat", "messages"])
async def test_a_limit_told_within_a_stream_counts_as_one(
    pool: World, model: str, dialect: Dialect
) -> None:
    told = stream_error(dialect, "rate_limit_error", "Try again in 40s", "rate_limit_exceeded")
    pool.provider.reply(event_stream([told]), model=model)
    answer = await pool.generate(dialect, model=model, stream=True)
    assert_all_limited(answer, dialect)
    assert answer.header("retry-after") == "40"


async def test_a_failure_among_the_limits_is_not_called_a_limit(pool: World, model: str) -> None:
    pool.provider.reply(error(429, headers=[("retry-after", "40")]), key=FIRST_KEY, model=model)
    pool.provider.reply(error(400, message="no"), key=SECOND_KEY, model=model)
    answer = await pool.generate("chat", model=model)
    assert answer.status == 400
    assert WORDS not in answer.body.decode()


def test_openais_client_raises_with_the_advice(pool: World, model: str) -> None:
    limit(pool, model, "90", "90")
    ask: Any = question("chat", model)
    with (
        pool.openai(max_retries=5) as client,
        pytest.raises(openai.RateLimitError) as raised,
    ):
        client.chat.completions.create(**ask)
    assert WORDS in raised.value.message
    assert raised.value.code == "rate_limit_exceeded"
    assert raised.value.response.headers["retry-after"] == "90"
    assert len(pool.provider.requests) == 2  # it was told not to try again


def test_anthropics_client_raises_with_the_advice(pool: World, model: str) -> None:
    limit(pool, model, "90", "90")
    ask: Any = question("messages", model) | {"stream": False}
    with (
        pool.anthropic(max_retries=5) as client,
        pytest.raises(anthropic.RateLimitError) as raised,
    ):
        client.messages.create(**ask)
    assert WORDS in raised.value.message
    assert raised.value.response.headers["retry-after"] == "90"
    assert len(pool.provider.requests) == 2


@pytest.mark.parametrize("dialect", ["chat", "messages"])
async def test_an_exhausted_quota_comes_down_as_the_provider_told_it(
    tmp_path: Any, dialect: Dialect
) -> None:
    said = error(429, dialect, "insufficient_quota", "insufficient_quota", "no credit left")
    with ProviderThread() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        provider.reply(said, model="test-model")
        world = World(proxy, provider)
        answer = await world.generate(dialect)
        record = world.record_of(answer)
    assert answer.status == 429
    assert answer.json()["error"]["message"] == "no credit left"
    assert answer.header("x-should-retry") == "false"
    assert 290 <= int(answer.header("retry-after") or 0) <= 300
    assert faults_of(record) == ["quota"]
    assert record.outcome == "upstream_error"
