"""A rescued stream as users of the official packages see it: like one that never broke."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_proxy.domain.record import Outcome
from tests.e2e.world import CHAT, MESSAGES, RESPONSES, World, faults_of
from tests.support.answers import (
    chat_stream,
    messages_json,
    messages_stream,
    responses_json,
    responses_stream,
)
from tests.support.provider import ProviderThread, Request
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import Script, sleep

TEXT = "Hello there! How are you?"
ASK: Any = {"model": "test-model", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[World]:
    """A proxy that rescues, with two upstreams."""
    with (
        ProviderThread() as first,
        ProviderThread() as second,
        ProxyProcess(
            tmp_path, [first.url, second.url], environment={"STREAM_RESCUE": "1"}
        ) as proxy,
    ):
        yield World(proxy, first, second)


def breaking(stream: Callable[..., Script]) -> Callable[[Request], Script]:
    """Answer what is asked in whole with its first half, and what is begun with its rest."""

    def answer(request: Request) -> Script:
        body = request.json()
        last = (body.get("messages") or body.get("input"))[-1]
        if isinstance(last, dict) and last["role"] == "assistant":
            return stream(["! How", " are you?"], model="other-model", usage=(20, 7))
        # The words have time to reach the client before the connection breaks.
        *script, end = stream(["Hello", " there", "lost"], cut_after=2, cut_by="fin")
        return [*script, sleep(0.1), end]

    return answer


def play(world: World, path: str, stream: Callable[..., Script]) -> None:
    """Let whoever is asked first break off."""
    for provider in world.providers:
        provider.reply(breaking(stream), path=path)


def check(world: World) -> None:
    """Check that two attempts stand in the record, the last of them as the one that answered."""
    (record,) = world.all_records()
    assert record.outcome is Outcome.OK
    assert faults_of(record) == ["stream_cut", None]
    assert record.attempts[1].why == "rescue"
    assert record.attempts[0].cost == "partial"
    assert record.upstream == record.attempts[1].upstream
    assert record.upstream != record.attempts[0].upstream
    assert (record.usage.input, record.usage.output) == (20, 7)


def test_openais_chat_accumulates_one_answer(pair: World) -> None:
    play(pair, CHAT, chat_stream)
    with pair.openai() as client, client.chat.completions.stream(**ASK) as stream:
        for _ in stream:
            pass
        answer = stream.get_final_completion()
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "test-model"
    check(pair)


def test_openais_responses_accumulates_one_answer(pair: World) -> None:
    play(pair, RESPONSES, responses_stream)
    with pair.openai() as client, client.responses.stream(model="test-model", input="hi") as stream:
        events = list(stream)
        answer = stream.get_final_response()
    assert answer.output_text == TEXT
    (item,) = answer.output
    assert item.type == "message"
    assert item.id == "msg_test"
    assert "".join(one.delta for one in events if one.type == "response.output_text.delta") == TEXT
    assert [one.text for one in events if one.type == "response.output_text.done"] == [TEXT]
    numbers = [one.sequence_number for one in events]
    assert numbers == list(range(len(numbers)))
    check(pair)


def test_anthropics_messages_accumulates_one_message(pair: World) -> None:
    play(pair, MESSAGES, messages_stream)
    with pair.anthropic() as client, client.messages.stream(**ASK, max_tokens=64) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text == TEXT
    (block,) = message.content
    assert block.type == "text"
    assert block.text == TEXT
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == 7
    check(pair)


async def test_an_upstream_that_answers_without_a_stream_is_passed_over(pair: World) -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Script:
        asked.append(request)
        return responses_json() if len(asked) == 2 else breaking(responses_stream)(request)

    for provider in pair.providers:
        provider.reply(answer, path=RESPONSES)
    stream = await pair.stream("responses")
    assert stream.events[-1].json()["type"] == "response.completed"
    (record,) = pair.all_records()
    assert faults_of(record) == ["stream_cut", "no_stream", None]


async def test_a_whole_answer_in_another_format_is_not_told_behind_what_the_client_has(
    tmp_path: Path,
) -> None:
    environment = {"STREAM_RESCUE": "1", "PROXY_FORMATS": "chat;messages", "MAX_RETRIES": "1"}
    with (
        ProviderThread() as first,
        ProviderThread() as second,
        ProxyProcess(tmp_path, [first.url, second.url], environment=environment) as proxy,
    ):
        world = World(proxy, first, second)
        first.reply(breaking(chat_stream), path=CHAT)
        second.reply(messages_json("Hello there! How are you?"), path=MESSAGES)
        stream = await world.stream("chat")
        chunks = [event.json() for event in stream.events]
        assert [bool(chunk.get("error")) for chunk in chunks] == [False] * (len(chunks) - 1) + [
            True
        ]
        pieces = [one["choices"][0]["delta"].get("content") or "" for one in chunks[:-1]]
        assert "".join(pieces) == "Hello there"
        (record,) = world.all_records()
        assert faults_of(record) == ["stream_cut", "no_stream"]


async def test_another_model_goes_on_before_the_broken_target_is_asked_again(
    tmp_path: Path,
) -> None:
    environment = {"STREAM_RESCUE": "1", "MODEL_FALLBACKS": "test-model=spare-model"}
    with ProviderThread() as provider:
        provider.reply(breaking(chat_stream), path=CHAT)
        with ProxyProcess(tmp_path, provider.url, environment=environment) as proxy:
            world = World(proxy, provider)
            stream = await world.stream("chat")
            assert stream.raw.endswith(b"data: [DONE]\n\n")
            assert b"spare-model" not in stream.raw
            (record,) = world.all_records()
            assert [one.model for one in record.attempts] == ["test-model", "spare-model"]
            assert (record.model, record.served) == ("test-model", "spare-model")


async def test_max_retries_counts_rescues_too(tmp_path: Path) -> None:
    environment = {"STREAM_RESCUE": "1", "MAX_RETRIES": "0"}
    with (
        ProviderThread() as first,
        ProviderThread() as second,
        ProxyProcess(tmp_path, [first.url, second.url], environment=environment) as proxy,
    ):
        world = World(proxy, first, second)
        play(world, CHAT, chat_stream)
        stream = await world.stream("chat")
        assert "error" in stream.events[-1].json()
        (record,) = world.all_records()
        assert faults_of(record) == ["stream_cut"]


async def test_a_reload_switches_it_on(tmp_path: Path) -> None:
    file = tmp_path / "llm-proxy.toml"
    file.write_text('stream_rescue = "off"\n')
    environment = {"LLM_PROXY_CONFIG": str(file)}
    with (
        ProviderThread() as provider,
        ProxyProcess(tmp_path, provider.url, environment=environment) as proxy,
    ):
        world = World(proxy, provider)
        play(world, CHAT, chat_stream)
        assert "error" in (await world.stream("chat")).events[-1].json()
        file.write_text('stream_rescue = "on"\n')
        ends_at = time.monotonic() + 10
        while not (await world.stream("chat")).raw.endswith(b"data: [DONE]\n\n"):
            assert time.monotonic() < ends_at
