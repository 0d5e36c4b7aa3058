"""Another model answers when the one asked for has failed everywhere."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import chat_json, chat_stream, error, messages_json
from tests.support.client import RawClient
from tests.support.provider import Provider
from tests.support.proxy_process import ProxyProcess

KEY = "sk-access-key-of-this-test"
CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}


def fallback_proxy(directory: Path, provider: Provider, **environment: str) -> ProxyProcess:
    return ProxyProcess(
        directory,
        provider.url,
        access_key=KEY,
        environment={"MODEL_FALLBACKS": "big=small,small=tiny", **environment},
    )


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_the_fallback_answers_and_is_named(tmp_path: Path, path: str) -> None:
    async with Provider() as provider:
        provider.reply(error(429, headers=[("retry-after", "60")]), model="big")
        answer = messages_json if "messages" in path else chat_json
        provider.reply(answer("from small", model="small"), model="small")
        async with (
            fallback_proxy(tmp_path, provider) as proxy,
            RawClient("127.0.0.1", proxy.port) as client,
        ):
            got = await client.ask("POST", path, key=KEY, json_body={"model": "big", **ASK})
            assert got.status == 200
            assert got.json()["model"] == "small"
            assert got.header("x-llm-proxy-attempts") == "2"
            again = await client.ask("POST", path, key=KEY, json_body={"model": "big", **ASK})
            assert again.header("x-llm-proxy-attempts") == "1"
            records = (await client.ask("GET", "/api/requests", key=KEY)).json()["requests"]
        newest, oldest = records[0], records[1]
        assert (oldest["model"], oldest["served"]) == ("big", "small")
        assert [entry["model"] for entry in oldest["attempts"]] == ["big", "small"]
        assert [entry["model"] for entry in newest["attempts"]] == ["small"]
        asked = [request.model for request in provider.requests if request.path == path]
        assert asked == ["big", "small", "small"]


async def test_a_stream_that_fails_before_its_first_content_goes_on_with_the_fallback(
    tmp_path: Path,
) -> None:
    async with Provider() as provider:
        provider.reply(chat_stream(["never"], model="big", error_after=0), model="big")
        provider.reply(chat_stream(["from", " small"], model="small"), model="small")
        async with (
            fallback_proxy(tmp_path, provider, MAX_RETRIES="0") as proxy,
            RawClient("127.0.0.1", proxy.port) as client,
        ):
            body = {"model": "big", "stream": True, **ASK}
            await client.request("POST", "/v1/chat/completions", key=KEY, json_body=body)
            stream = await client.read_stream()
        assert stream.data[-1] == "[DONE]"
        assert b"from" in stream.raw
        assert b'"model":"big"' not in stream.raw


async def test_a_refusal_of_the_request_itself_is_not_shown_to_the_fallback(
    tmp_path: Path,
) -> None:
    async with Provider() as provider:
        provider.reply(error(400, message="bad field"), model="big")
        async with (
            fallback_proxy(tmp_path, provider) as proxy,
            RawClient("127.0.0.1", proxy.port) as client,
        ):
            got = await client.ask(
                "POST", "/v1/chat/completions", key=KEY, json_body={"model": "big", **ASK}
            )
        assert got.status == 400
        assert "bad field" in got.json()["error"]["message"]


async def test_a_model_nobody_serves_is_answered_by_its_fallback(tmp_path: Path) -> None:
    async with Provider() as provider:
        async with (
            fallback_proxy(tmp_path, provider, PROXY_MODELS="tiny") as proxy,
            RawClient("127.0.0.1", proxy.port) as client,
        ):
            for model, status in (("big", 200), ("other", 404)):
                got = await client.ask(
                    "POST", "/v1/chat/completions", key=KEY, json_body={"model": model, **ASK}
                )
                assert got.status == status
        asked = {request.model for request in provider.requests if request.method == "POST"}
        assert asked == {"tiny"}


async def test_every_model_limited_is_the_429_with_the_soonest_reset(tmp_path: Path) -> None:
    async with Provider() as provider:
        for model, wait_s in (("big", "90"), ("small", "40"), ("tiny", "70")):
            provider.reply(error(429, headers=[("retry-after", wait_s)]), model=model)
        async with (
            fallback_proxy(tmp_path, provider) as proxy,
            RawClient("127.0.0.1", proxy.port) as client,
        ):
            got = await client.ask(
                "POST", "/v1/chat/completions", key=KEY, json_body={"model": "big", **ASK}
            )
        assert (got.status, got.header("retry-after")) == (429, "40")
        assert "错误重试全都rate limit,请再次重试." in got.json()["error"]["message"]
        assert got.header("x-llm-proxy-attempts") == "3"


async def test_a_fallback_that_fails_beside_a_model_that_is_left_alone_is_told_as_it_failed(
    tmp_path: Path,
) -> None:
    async with Provider() as provider:
        provider.reply(error(500, message="big is down"), model="big")
        provider.reply(chat_json(model="tiny"), model="tiny")
        async with (
            fallback_proxy(
                tmp_path, provider, MAX_RETRIES="2", MODEL_FALLBACKS="big=small"
            ) as proxy,
            RawClient("127.0.0.1", proxy.port) as client,
        ):
            ask: dict[str, Any] = {"key": KEY, "json_body": {"model": "big", **ASK}}
            assert (await client.ask("POST", CHAT, **ask)).status == 200
            for status, message in ((500, "small is broken"), (400, "small dislikes it")):
                provider.reply(error(status, message=message), model="small")
                provider.requests.clear()
                answer = await client.ask("POST", CHAT, **ask)
                assert {request.model for request in provider.requests} == {"small"}
                assert (answer.status, answer.json()["error"]["message"]) == (status, message)


async def test_what_is_left_alone_is_asked_after_all_where_the_fallback_is_limited(
    tmp_path: Path,
) -> None:
    async with Provider() as provider:
        provider.reply(error(500), model="big")
        provider.script(error(429, headers=[("retry-after", "60")]), model="small")
        async with (
            fallback_proxy(
                tmp_path, provider, MAX_RETRIES="2", MODEL_FALLBACKS="big=small"
            ) as proxy,
            RawClient("127.0.0.1", proxy.port) as client,
        ):
            ask: dict[str, Any] = {"key": KEY, "json_body": {"model": "big", **ASK}}
            assert (await client.ask("POST", CHAT, **ask)).status == 500
            provider.reply(chat_json("well again", model="big"), model="big")
            answer = await client.ask("POST", CHAT, **ask)
            assert (answer.status, answer.json()["model"]) == (200, "big")
