"""Who is asked when upstreams speak different formats, and what a failover over formats looks like."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import chat_stream, error, messages_json, messages_stream
from tests.support.client import RawClient
from tests.support.provider import Provider
from tests.support.proxy_process import ProxyProcess

KEY = "sk-access-key-of-this-test"
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


class Pair:
    """A proxy with a chat upstream and a Messages upstream."""

    def __init__(self, proxy: ProxyProcess, chat: Provider, messages: Provider) -> None:
        self.proxy = proxy
        self.chat = chat
        self.messages = messages

    def paths(self) -> tuple[list[str], list[str]]:
        """Return what each upstream was asked."""
        first, second = (
            [request.path for request in provider.requests if request.path != "/v1/models"]
            for provider in (self.chat, self.messages)
        )
        return first, second


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Two upstreams, the Messages one first in the configuration."""
    async with (
        Provider() as chat,
        Provider() as messages,
        ProxyProcess(
            tmp_path,
            f"{messages.url},{chat.url}",
            access_key=KEY,
            environment={"PROXY_FORMATS": "messages;chat"},
        ) as proxy,
    ):
        yield Pair(proxy, chat, messages)


async def test_who_speaks_the_clients_format_is_asked_first(pair: Pair) -> None:
    async with RawClient("127.0.0.1", pair.proxy.port) as client:
        for _ in range(4):
            got = await client.ask("POST", "/v1/chat/completions", key=KEY, json_body=ASK)
            assert got.status == 200
            assert got.header("x-llm-proxy-warnings") is None
            got = await client.ask(
                "POST", "/v1/messages", key=KEY, json_body={**ASK, "max_tokens": 9}
            )
            assert got.status == 200
    assert pair.paths() == (["/v1/chat/completions"] * 4, ["/v1/messages"] * 4)


async def test_another_format_rescues_a_request_unseen(pair: Pair) -> None:
    pair.chat.reply(error(500))
    pair.messages.reply(messages_json("rescued"))
    async with RawClient("127.0.0.1", pair.proxy.port) as client:
        got = await client.ask("POST", "/v1/chat/completions", key=KEY, json_body=ASK)
        assert got.status == 200
        assert got.json()["choices"][0]["message"]["content"] == "rescued"
        assert got.header("x-llm-proxy-attempts") == "2"
    assert pair.paths() == (["/v1/chat/completions"], ["/v1/messages"])


async def test_another_format_rescues_a_stream_that_failed_in_its_preamble(pair: Pair) -> None:
    pair.messages.reply(messages_stream(["never"], error_after=0))
    pair.chat.reply(chat_stream(["res", "cued"], model="other"))
    async with RawClient("127.0.0.1", pair.proxy.port) as client:
        await client.request(
            "POST", "/v1/messages", key=KEY, json_body={**ASK, "max_tokens": 9, "stream": True}
        )
        stream = await client.read_stream()
    text = stream.raw.decode()
    assert text.count("event: message_start") == 1
    assert text.count("event: message_stop") == 1
    assert '"text":"res"' in text
    assert "msg_test" not in text
    assert "overloaded" not in text


async def test_what_one_format_cannot_carry_is_not_sent_there(pair: Pair) -> None:
    pair.chat.reply(error(500))
    async with RawClient("127.0.0.1", pair.proxy.port) as client:
        got = await client.ask("POST", "/v1/chat/completions", key=KEY, json_body={**ASK, "n": 2})
    assert got.status >= 500
    assert pair.messages.requests == [] or pair.paths()[1] == []


async def test_embeddings_go_where_they_are_understood(tmp_path: Path) -> None:
    async with (
        Provider() as provider,
        ProxyProcess(
            tmp_path, provider.url, access_key=KEY, environment={"PROXY_FORMATS": "messages"}
        ) as proxy,
        RawClient("127.0.0.1", proxy.port) as client,
    ):
        got = await client.ask(
            "POST", "/v1/embeddings", key=KEY, json_body={"model": "m", "input": "x"}
        )
        assert got.status in (400, 404)
        assert got.json()["error"]["code"] == "unsupported_endpoint"


async def test_the_keys_of_both_formats_go_up_in_their_own_headers(pair: Pair) -> None:
    pair.chat.reply(error(503))
    pair.messages.reply(messages_json("x"))
    async with RawClient("127.0.0.1", pair.proxy.port) as client:
        await client.ask(
            "POST",
            "/v1/chat/completions",
            key=KEY,
            headers=[("x-anything", "private"), ("traceparent", "00-1-2-01")],
            json_body=ASK,
        )
    (sent,) = [one for one in pair.messages.requests if one.path == "/v1/messages"]
    assert sent.header("authorization") is None
    assert KEY not in str(sent.headers)
    assert sent.header("x-api-key")
    assert sent.header("x-anything") is None
    assert sent.header("traceparent") == "00-1-2-01"
