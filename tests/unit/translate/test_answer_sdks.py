"""The official SDKs read what is told: their types accept it, their accumulators add it up."""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from anthropic.types import Message
from anthropic.types.raw_message_stream_event import RawMessageStreamEvent
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from llm_proxy.wire.sse import fields

from .answers import cases, context_of, events_of, interpreter_for, stream_bytes, targets
from .answers import told_json as json_of
from .answers import told_stream as stream_of

CASES = cases()
HALVES = "half surrogate pairs"
"""No SDK takes them; that they come out as they came in is another test's matter."""
PAIRS = [
    pytest.param(case, client, id=f"{name} > {client}")
    for name, case in CASES.items()
    for client in targets(case)
    if HALVES not in name and "numbers keep" not in name
]
EVENTS: dict[str, TypeAdapter[Any]] = {
    "chat": TypeAdapter(ChatCompletionChunk),
    "messages": TypeAdapter(RawMessageStreamEvent),
    "responses": TypeAdapter(ResponseStreamEvent),
}
ANSWERS: dict[str, type[BaseModel]] = {
    "chat": ChatCompletion,
    "messages": Message,
    "responses": Response,
}


def _told_stream(case: dict[str, Any], client: str) -> bytes:
    return stream_of(case, client, [stream_bytes(case)])


@pytest.mark.parametrize(("case", "client"), PAIRS)
def test_every_event_and_answer_is_of_the_sdks_types(case: dict[str, Any], client: str) -> None:
    for event in events_of([_told_stream(case, client)]):
        data = fields(event)[1]
        if data is not None and data != b"[DONE]" and b'"type":"custom"' not in data:
            EVENTS[client].validate_json(data)
    ANSWERS[client].model_validate_json(json_of(case, client))


def _http(body: bytes, type_: str) -> httpx2.Client:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": type_}, content=body)

    return httpx2.Client(transport=httpx2.MockTransport(answer))


def _chat_stream(body: bytes) -> Any:
    with (
        openai.OpenAI(api_key="k", http_client=_http(body, "text/event-stream")) as client,
        client.chat.completions.stream(model="m", messages=[]) as stream,
    ):
        for _ in stream:
            pass
        return stream.current_completion_snapshot


def _messages_stream(body: bytes) -> Any:
    with (
        anthropic.Anthropic(api_key="k", http_client=_http(body, "text/event-stream")) as client,
        client.messages.stream(model="m", max_tokens=9, messages=[]) as stream,
    ):
        for _ in stream:
            pass
        return stream.get_final_message()


def _responses_stream(body: bytes) -> Any:
    with (
        openai.OpenAI(api_key="k", http_client=_http(body, "text/event-stream")) as client,
        client.responses.stream(model="m", input="x") as stream,
    ):
        for event in stream:
            if event.type in ("response.completed", "response.incomplete"):
                return event.response
    raise AssertionError("no end")


STREAMS: dict[str, Callable[[bytes], Any]] = {
    "chat": _chat_stream,
    "messages": _messages_stream,
    "responses": _responses_stream,
}


_ADDED_BY_SDKS = ("parsed", "parsed_arguments", "parsed_output", "index")


def _bare(value: Any, without: tuple[str, ...]) -> Any:
    """Return a value without what is null, empty, or named."""
    if isinstance(value, list):
        return [_bare(item, without) for item in value]
    if isinstance(value, dict):
        return {
            name: _bare(item, without)
            for name, item in value.items()
            if name not in without and item not in (None, "", [])
        }
    return value


def _essence(client: str, answer: dict[str, Any]) -> Any:
    """Return what two answers of the same content have in common: all but ids."""
    if client == "chat":
        choice = answer["choices"][0]
        return _bare(choice["message"], _ADDED_BY_SDKS), choice["finish_reason"]
    if client == "messages":
        ends = answer["stop_reason"], answer["stop_sequence"]
        return _bare(answer["content"], _ADDED_BY_SDKS), ends, _bare(answer["usage"], ())
    output = _bare(answer["output"], (*_ADDED_BY_SDKS, "id", "call_id"))
    return output, answer["status"], answer["incomplete_details"], answer["usage"]


@pytest.mark.parametrize(("case", "client"), PAIRS)
def test_a_stream_adds_up_to_the_json_answer(case: dict[str, Any], client: str) -> None:
    body = _told_stream(case, client)
    if client == "chat" and (b'"type":"custom"' in body or b'"function_call"' in body):
        pytest.skip("the SDK's helper knows function calls only")
    if client == "chat" and any(word in body for word in (b'"length"', b'"content_filter"')):
        pytest.skip("the SDK's helper raises at such ends")
    if client == "messages" and b"_invalid_json" in json_of(case, client):
        pytest.skip("what a limit cuts is seen too late for a stream")
    added = STREAMS[client](body).to_dict(mode="json")
    assert _essence(client, added) == _essence(client, json.loads(json_of(case, client)))


@pytest.mark.parametrize(("case", "client"), PAIRS)
def test_json_for_a_stream_request_becomes_the_stream(case: dict[str, Any], client: str) -> None:
    """What one client is told as JSON is another upstream's answer: it comes back as events."""
    upstream = case["upstream"]
    there = interpreter_for(context_of(case, client, is_stream=False))
    for event in events_of([stream_bytes(case)]):
        there.feed(event)
    there.end()
    whole = there.gathered()
    back = context_of({"upstream": client}, upstream, is_stream=True)
    streamed = interpreter_for(back).stream_of(whole)
    plain = context_of({"upstream": client}, upstream, is_stream=False)
    answer = interpreter_for(plain).whole(whole)
    if upstream == "chat" and b'"finish_reason":"length"' in streamed:
        return
    if upstream == "chat" and any(
        word in streamed for word in (b'"content_filter"', b'"type":"custom"', b'"function_call"')
    ):
        return
    added = STREAMS[upstream](streamed).to_dict(mode="json")
    assert _essence(upstream, added) == _essence(upstream, json.loads(answer))


def test_an_error_amid_a_stream_is_raised_by_every_sdk() -> None:
    case = CASES["chat_text: text with usage behind the end"]
    for client in ("messages", "responses"):
        interpreter = interpreter_for(context_of(case, client, is_stream=True))
        told = b"".join(map(interpreter.feed, events_of([stream_bytes(case)])[:3]))
        told += interpreter.failure(529, None, "broken")
        with pytest.raises((openai.APIError, anthropic.APIError, AssertionError)) as found:
            STREAMS[client](told)
        assert "broken" in str(found.value) or client == "responses"
