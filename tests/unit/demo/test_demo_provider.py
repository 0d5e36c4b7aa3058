"""The demo provider on a real port, asked by the official SDKs and by raw sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anthropic
import openai
import pytest

from llm_proxy.demo.fault import FAULTS
from llm_proxy.demo.provider import start
from tests.support.client import FramingError, RawClient, Stream, TruncatedError

PATHS = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
WEATHER: Any = [{"role": "user", "content": "How is the weather?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
MESSAGES_TOOL: Any = {"name": "get_weather", "input_schema": SCHEMA}
RESPONSES_TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": SCHEMA,
    "strict": False,
}


@pytest.fixture
async def urls() -> AsyncIterator[list[str]]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [one.getsockname()[1] for one in sockets]
    provider = await start(sockets, pace_s=0.0, slow_s=0.2)
    yield [f"http://127.0.0.1:{port}" for port in ports]
    await provider.close()


@pytest.fixture
def url(urls: list[str]) -> str:
    """Return the upstream without a rate limit."""
    return urls[1]


def body(format_: str, *, model: str = "demo", stream: bool = False, **more: Any) -> dict[str, Any]:
    turns = "input" if format_ == "responses" else "messages"
    said = [{"role": "user", "content": "Hi"}]
    return {"model": model, "stream": stream, turns: said, **more}


async def in_thread(work: Callable[[], None]) -> None:
    await asyncio.to_thread(work)


# --- the official SDKs


async def test_the_openai_sdk_reads_chat_answers_streams_and_tool_calls(url: str) -> None:
    def story() -> None:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
            said: Any = [{"role": "user", "content": "Hello"}]
            answer = client.chat.completions.create(model="gpt-x", messages=said)
            assert "demo provider" in (answer.choices[0].message.content or "")
            assert answer.model == "gpt-x"
            assert answer._request_id
            whole = client.chat.completions.create(
                model="demo", messages=said, stream=True, stream_options={"include_usage": True}
            )
            chunks = list(whole)
            usage = chunks[-1].usage
            assert usage is not None
            assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
            assert text.replace("model demo ", "model gpt-x ") == answer.choices[0].message.content
            with client.chat.completions.stream(
                model="demo", messages=WEATHER, tools=[CHAT_TOOL]
            ) as stream:
                final = stream.get_final_completion().choices[0]
            assert final.finish_reason == "tool_calls"
            (call,) = final.message.tool_calls or []
            assert (call.function.name, call.function.arguments) == (
                "get_weather",
                '{"city":"Paris"}',
            )
            plain = client.chat.completions.create(
                model="demo",
                messages=WEATHER,
                tools=[CHAT_TOOL],
            )
            assert plain.choices[0].finish_reason == "tool_calls"

    await in_thread(story)


async def test_the_openai_sdk_reads_responses_streams_and_tool_calls(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        answer = await client.responses.create(model="demo", input="你好")
        assert "演示" in answer.output_text
        assert answer.usage is not None
        async with client.responses.stream(model="demo", input="你好") as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_response()
        assert final.output_text == answer.output_text
        assert kinds[:4] == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
        ]
        assert kinds[-4:] == [
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
        async with client.responses.stream(
            model="demo", input="weather?", tools=[RESPONSES_TOOL]
        ) as stream:
            called = (await stream.get_final_response()).output[0]
        assert called.type == "function_call"
        assert (called.name, called.arguments) == ("get_weather", '{"city":"Paris"}')
        short = await client.responses.create(model="demo", input="Hi", max_output_tokens=16)
        assert short.status == "incomplete"


async def test_the_anthropic_sdk_reads_messages_streams_and_tool_calls(url: str) -> None:
    async with anthropic.AsyncAnthropic(base_url=url, api_key="any", max_retries=0) as client:
        said: Any = [{"role": "user", "content": "Hello"}]
        answer = await client.messages.create(model="demo", max_tokens=500, messages=said)
        assert answer.stop_reason == "end_turn"
        async with client.messages.stream(model="demo", max_tokens=500, messages=said) as stream:
            text = "".join([word async for word in stream.text_stream])
            final = await stream.get_final_message()
        assert answer.content[0].type == "text"
        assert answer.content[0].text == text
        assert final.usage.output_tokens == answer.usage.output_tokens
        async with client.messages.stream(
            model="demo", max_tokens=500, messages=WEATHER, tools=[MESSAGES_TOOL]
        ) as stream:
            called = await stream.get_final_message()
        assert called.stop_reason == "tool_use"
        assert called.content[0].type == "tool_use"
        assert called.content[0].input == {"city": "Paris"}
        count = await client.messages.count_tokens(model="demo", messages=said)
        assert count.input_tokens == answer.usage.input_tokens


async def test_the_anthropic_sdk_works_without_asyncio_too(url: str) -> None:
    def story() -> None:
        with anthropic.Anthropic(base_url=url, api_key="any", max_retries=0) as client:
            with client.messages.stream(
                model="demo", max_tokens=8, messages=[{"role": "user", "content": "Hi"}]
            ) as stream:
                assert stream.get_final_message().stop_reason == "max_tokens"
            names = [model.id for model in client.models.list()]
            assert names[:2] == ["demo", "demo-400"]
            assert client.models.retrieve("claude-x").id == "claude-x"
            with pytest.raises(anthropic.RateLimitError):
                client.messages.create(
                    model="demo-429", max_tokens=8, messages=[{"role": "user", "content": "Hi"}]
                )

    await in_thread(story)


async def test_the_openai_sdk_lists_models_and_embeds(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        names = [model.id async for model in client.models.list()]
        assert set(FAULTS) < set(names)
        assert (await client.models.retrieve("a/b:free")).id == "a/b:free"
        packed = await client.embeddings.create(model="demo", input=["x", "y"], dimensions=8)
        plain = await client.embeddings.create(
            model="demo", input=["x", "y"], dimensions=8, encoding_format="float"
        )
        for one, other in zip(packed.data, plain.data, strict=True):
            assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
        assert packed.data[0].embedding != packed.data[1].embedding


async def test_both_sdks_meet_the_errors_as_their_own_exceptions(url: str) -> None:
    chat = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)
    claude = anthropic.AsyncAnthropic(base_url=url, api_key="any", max_retries=0)

    async def ask_chat(model: str) -> None:
        await chat.chat.completions.create(model=model, messages=[{"role": "user", "content": "x"}])

    async def ask_claude(model: str) -> None:
        said: Any = [{"role": "user", "content": "x"}]
        async with claude.messages.stream(model=model, max_tokens=99, messages=said) as stream:
            await stream.get_final_message()

    cases: list[tuple[Callable[[str], Awaitable[None]], str, type[Exception]]] = [
        (ask_chat, "demo-401", openai.AuthenticationError),
        (ask_chat, "demo-quota", openai.RateLimitError),
        (ask_chat, "demo-404", openai.NotFoundError),
        (ask_claude, "demo-401", anthropic.AuthenticationError),
        (ask_claude, "demo-503", anthropic.APIStatusError),
        (ask_claude, "demo-error", anthropic.APIStatusError),
    ]
    async with chat, claude:
        for ask, model, kind in cases:
            with pytest.raises(kind):
                await ask(model)


# --- on the wire


async def test_the_first_upstream_refuses_every_third_request_in_any_format(
    urls: list[str],
) -> None:
    async with RawClient.to(urls[0]) as client:
        statuses = []
        for number in range(6):
            format_ = list(PATHS)[number % 3]
            answer = await client.ask("POST", PATHS[format_], json_body=body(format_))
            statuses.append(answer.status)
            await client.ask("GET", "/v1/models")
            await client.ask("POST", PATHS["chat"], json_body=body("chat", model="demo-400"))
        assert statuses == [200, 200, 429, 200, 200, 429]
        assert answer.header("retry-after") == "2"
        assert answer.json()["error"]["code"] == "rate_limit_exceeded"
    async with RawClient.to(urls[1]) as client:
        for _ in range(6):
            answer = await client.ask("POST", PATHS["chat"], json_body=body("chat"))
            assert answer.status == 200


@pytest.mark.parametrize("format_", PATHS)
async def test_streams_break_as_their_model_names_say(url: str, format_: str) -> None:
    async def stream(model: str) -> Stream:
        async with RawClient.to(url, timeout_s=0.3 if model == "demo-stall" else 10) as client:
            await client.request(
                "POST", PATHS[format_], json_body=body(format_, model=model, stream=True)
            )
            return await client.read_stream()

    whole = await stream("demo")
    cut = await stream("demo-cut")
    failed = await stream("demo-error")
    empty = await stream("demo-empty")
    assert whole.ending == "complete"
    assert (cut.ending, failed.ending, empty.ending) == ("fin", "complete", "complete")
    assert 3 < len(cut.events) < len(whole.events) / 2
    assert "Overloaded" in failed.data[-1]
    assert empty.events == []
    with pytest.raises(TimeoutError):
        await stream("demo-stall")


@pytest.mark.parametrize("format_", PATHS)
async def test_json_answers_break_as_their_model_names_say(url: str, format_: str) -> None:
    async def ask(model: str) -> Any:
        async with RawClient.to(url, timeout_s=0.3 if model == "demo-stall" else 10) as client:
            return await client.ask("POST", PATHS[format_], json_body=body(format_, model=model))

    for model, kind in [
        ("demo-cut", TruncatedError),
        ("demo-reset", TruncatedError),
        ("demo-garbage", FramingError),
        ("demo-stall", TimeoutError),
    ]:
        with pytest.raises(kind):
            await ask(model)
    assert (await ask("demo-empty")).body == b""
    assert (await ask("demo-html")).header("content-type") == "text/html"
    late = await ask("demo-error")
    assert (late.status, late.json()["error"]["message"]) == (200, "Overloaded")
    slow = await asyncio.gather(ask("demo-slow"), ask("demo-slow"))
    assert [answer.status for answer in slow] == [200, 200]
    statuses = [(await ask(f"demo-{status}")).status for status in (400, 418, 500, 529)]
    assert statuses == [400, 418, 500, 529]
    overloaded = (await ask("demo-503")).status
    assert overloaded == (529 if format_ == "messages" else 503)


async def test_only_the_named_upstream_misbehaves(urls: list[str]) -> None:
    statuses = []
    for url in urls:
        async with RawClient.to(url) as client:
            asked = body("chat", model="demo-500-a")
            statuses.append((await client.ask("POST", PATHS["chat"], json_body=asked)).status)
    assert statuses == [500, 200]


@pytest.mark.parametrize("data", [b"{", b"[]", b"{}", b"\xff", b'{"model":""}'])
async def test_a_bad_body_is_the_clients_fault(url: str, data: bytes) -> None:
    async with RawClient.to(url) as client:
        for path in PATHS.values():
            assert (await client.ask("POST", path, body=data)).status == 400


async def test_other_paths_and_methods_are_refused_in_the_clients_dialect(url: str) -> None:
    async with RawClient.to(url) as client:
        assert (await client.ask("GET", "/v1/nothing")).json()["error"]["code"] is None
        version = [("anthropic-version", "2023-06-01")]
        answer = await client.ask("GET", "/v1/nothing", headers=version)
        assert answer.json()["error"]["type"] == "not_found_error"
        assert (await client.ask("GET", "/v1/messages")).status == 405
        assert (await client.ask("HEAD", "/")).body == b""
        assert b"demo-cut" in (await client.ask("GET", "/")).body


async def test_requests_are_read_chunked_and_after_a_continue(url: str) -> None:
    start_of = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
    async with RawClient.to(url) as client:
        await client.send(
            start_of
            + b'transfer-encoding: chunked\r\n\r\n5\r\n{"mod\r\n9\r\nel":"demo\r\n2\r\n"}\r\n0\r\n\r\n'
        )
        assert (await client.read_response()).status == 200
        await client.send(start_of + b"expect: 100-continue\r\ncontent-length: 16\r\n\r\n")
        assert b"100 Continue" in (await client.read_some())
        await client.send(b'{"model":"demo"}')
        assert (await client.read_response()).status == 200


async def test_closing_drops_streams_that_are_under_way(caplog: pytest.LogCaptureFixture) -> None:
    sockets = [socket.create_server(("127.0.0.1", 0))]
    port = sockets[0].getsockname()[1]
    provider = await start(sockets, pace_s=5.0)
    async with RawClient("127.0.0.1", port) as client:
        await client.request("POST", PATHS["chat"], json_body=body("chat", stream=True))
        await client.read_head()
        await asyncio.wait_for(provider.close(), 2)
        assert (await client.ended()) in {"fin", "reset"}
    assert caplog.records == []
    with pytest.raises(ConnectionRefusedError):
        await RawClient("127.0.0.1", port).__aenter__()
