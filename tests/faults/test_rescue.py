"""Streams that break after content and go on elsewhere, with `STREAM_RESCUE`.

The client must see one stream: every character once, one beginning, one end, one set of names. And
where that cannot be had, it is told of the first break, exactly as without the setting.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.answers import (
    Dialect,
    chat_chunk,
    error,
    messages_event,
    responses_events,
    stream_error,
)
from tests.support.client import Event, Stream
from tests.support.provider import Request
from tests.support.scripts import Script, Step, chunk, close, hang, wait

from .dialect import DIALECTS, PATHS, STREAM, question, read
from .stage import Scene, Stage

SCENES = {"pair": 90, "single": 6, "idle": 4}
ENVIRONMENT = {"STREAM_RESCUE": "on"}

SENT = ("Hello", " there")
END = b"0\r\n\r\n"


class Play:
    """A scene whose upstreams break only when the client has what they have sent.

    Else a break could overtake the content, and the attempt would be replaced unseen.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._gates: list[tuple[str, asyncio.Event]] = []

    def broken(
        self, dialect: Dialect, *ends: bytes | Step, words: tuple[str, ...] = SENT
    ) -> Script:
        """Stream some words, wait until the client has them, then break."""
        script = STREAM[dialect]([*words, "never sent"], cut_after=len(words), cut_by="clean")
        assert script.pop() == END
        gate = asyncio.Event()
        self._gates.append(("".join(words), gate))
        return [*script, wait(gate), *(ends or (close(),))]

    async def stream(self, dialect: Dialect, **fields: Any) -> Stream:
        """Ask for a stream and return it, however it ended."""
        scene = self.scene
        body = question(dialect, scene.model, stream=True) | fields
        events: list[Event] = []
        async with scene.client() as client:
            scene.asked += 1
            await client.request("POST", PATHS[dialect], key=scene.proxy.access_key, json_body=body)
            head = await client.read_head()
            async for event in client.read_events(head):
                events.append(event)
                text = read(dialect, Stream(events, b"", "complete")).text
                for words, gate in self._gates:
                    if text.endswith(words):
                        gate.set()
        return Stream(events, b"", "complete")

    async def whole(self, dialect: Dialect, text: str) -> Stream:
        """Ask, and check that the client gets `text` as one stream."""
        stream = await self.stream(dialect)
        seen = read(dialect, stream)
        assert (seen.text, seen.ending) == (text, "whole"), stream.raw
        one_stream(dialect, stream)
        return stream

    async def told(self, dialect: Dialect, text: str = "Hello there") -> Stream:
        """Ask, and check that the client gets the text so far and an error, nothing behind it."""
        stream = await self.stream(dialect)
        seen = read(dialect, stream)
        assert (seen.text, seen.ending, seen.after) == (text, "error", []), stream.raw
        return stream


@contextlib.asynccontextmanager
async def opened(stage: Stage, kind: str = "pair") -> AsyncIterator[tuple[Scene, Play]]:
    """Open a scene and what is played in it."""
    async with stage.scene(kind) as scene:
        yield scene, Play(scene)


def other(dialect: Dialect, *words: str, **how: Any) -> Script:
    """Answer as another model does: under other names."""
    script = STREAM[dialect](words, model="other-model", **how)
    return [
        piece.replace(b"chatcmpl-test", b"chatcmpl-two2")
        .replace(b"msg_test", b"msg_two2")
        .replace(b"resp_test", b"resp_two2")
        .replace(b"1700000000", b"1800000000")
        if isinstance(piece, bytes)
        else piece
        for piece in script
    ]


def prefill(dialect: Dialect, request: Request) -> str | None:
    """Return what a request gives as the beginning of the answer."""
    body = request.json()
    turns = body["input"] if dialect == "responses" else body["messages"]
    last = turns[-1]
    return last["content"] if isinstance(last, dict) and last["role"] == "assistant" else None


def one_stream(dialect: Dialect, stream: Stream) -> None:
    """Check that a stream has one beginning, one end, and the first stream's names throughout."""
    raw = stream.raw
    for name in (b"two", b"other-model", b"1800000000", b"never sent"):
        assert name not in raw, raw
    if dialect == "chat":
        assert raw.count(b'"role"') == 1
        assert raw.count(b"data: [DONE]") == 1
        assert raw.count(b'"finish_reason":"') == 1
        return
    kinds = [json.loads(data)["type"] for data in stream.data]
    once = {
        "messages": ("message_start", "content_block_start", "content_block_stop", "message_stop"),
        "responses": (
            "response.created",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ),
    }[dialect]
    assert [kind for kind in kinds if kind in once] == list(once)
    if dialect == "responses":
        numbered(stream)


def numbered(stream: Stream) -> None:
    """Check that events are numbered without a gap."""
    numbers = [json.loads(data)["sequence_number"] for data in stream.data]
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_text_goes_on_at_another_upstream(stage: Stage, dialect: Dialect) -> None:
    async with opened(stage) as (scene, play):
        scene.a.reply(play.broken(dialect))
        scene.b.reply(other(dialect, "!", " Bye", "."))
        stream = await play.whole(dialect, "Hello there! Bye.")
        (request,) = scene.b.requests
        assert prefill(dialect, request) == "Hello there"
        sent, again = scene.a.requests[0].json(), request.json()
        for body in (sent, again):
            body.pop("input", None)
            body.pop("messages", None)
        assert again == sent
        record = await scene.record()
        assert record["outcome"] == "ok"
        assert [one.get("fault") for one in record["attempts"]] == ["stream_cut", None]
        assert [one["why"] for one in record["attempts"]] == ["healthy", "rescue"]
        assert record["upstream"] == scene.upstreams[1]
        assert record["usage"]["output"] == 3
        if dialect == "responses":
            done = [event.json() for event in stream.events]
            response = done[-1]["response"]
            assert response["id"] == "resp_test"
            assert response["model"] == "test-model"
            (item,) = response["output"]
            assert item == done[-2]["item"]
            assert item["id"] == "msg_test"
            assert item["content"][0]["text"] == "Hello there! Bye."
            assert done[-3]["part"]["text"] == done[-4]["text"] == "Hello there! Bye."


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_upstream_that_begins_all_over_is_cut_to_the_rest(
    stage: Stage, dialect: Dialect
) -> None:
    async with opened(stage) as (scene, play):
        scene.a.reply(play.broken(dialect))
        scene.b.reply(other(dialect, "Hel", "lo the", "re!", " Bye."))
        await play.whole(dialect, "Hello there! Bye.")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_continuation_that_only_begins_like_the_text_is_kept(
    stage: Stage, dialect: Dialect
) -> None:
    async with opened(stage) as (scene, play):
        scene.a.reply(play.broken(dialect))
        scene.b.reply(other(dialect, "He", "llo again."))
        await play.whole(dialect, "Hello thereHello again.")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_continuation_may_add_nothing(stage: Stage, dialect: Dialect) -> None:
    async with opened(stage) as (scene, play):
        scene.a.reply(play.broken(dialect))
        scene.b.reply(other(dialect))
        await play.whole(dialect, "Hello there")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_refused_prefill_is_asked_again_from_scratch(
    stage: Stage, dialect: Dialect
) -> None:
    async with opened(stage) as (scene, play):
        scene.a.reply(play.broken(dialect))
        scene.b.script(
            error(400, dialect, message="prefill is not supported"),
            other(dialect, "Hello ", "there", "! Bye."),
        )
        await play.whole(dialect, "Hello there! Bye.")
        first, second = scene.b.requests
        assert prefill(dialect, first) == "Hello there"
        assert prefill(dialect, second) is None
        assert second.body == scene.a.requests[0].body
        assert await scene.faults() == ["stream_cut", "client_fault", None]


@pytest.mark.parametrize("words", [("Hello you",), ("Hello",), (), ("Hel", "lo then", "!")])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_another_answer_from_scratch_is_never_relayed(
    stage: Stage, dialect: Dialect, words: tuple[str, ...]
) -> None:
    async with opened(stage) as (scene, play):
        scene.a.reply(play.broken(dialect))
        scene.b.script(error(422, dialect), other(dialect, *words))
        stream = await play.told(dialect)
        assert b"you" not in stream.raw
        assert await scene.faults() == ["stream_cut", "client_fault", "text_differs"]
        assert (await scene.record())["outcome"] == "cut"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_it_may_break_twice_but_not_three_times(stage: Stage, dialect: Dialect) -> None:
    async with opened(stage) as (scene, play):
        scripts = {
            None: play.broken(dialect),
            "Hello there": play.broken(dialect, words=("!", " Bye.")),
            "Hello there! Bye.": play.broken(dialect, words=(" And", " more")),
        }
        for provider in (scene.a, scene.b):
            provider.reply(lambda request: scripts[prefill(dialect, request)])
        stream = await play.told(dialect, "Hello there! Bye. And more")
        assert await scene.faults() == ["stream_cut", "stream_cut", "stream_cut"]
        assert b"never sent" not in stream.raw
        if dialect == "responses":
            numbered(stream)
            assert stream.events[-1].json()["response"]["id"] == "resp_test"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_after_two_breaks_somebody_may_end_it(stage: Stage, dialect: Dialect) -> None:
    async with opened(stage) as (scene, play):
        scripts = {
            None: play.broken(dialect),
            "Hello there": play.broken(dialect, words=("!", " Bye.")),
            "Hello there! Bye.": other(dialect, " And", " more."),
        }
        for provider in (scene.a, scene.b):
            provider.reply(lambda request: scripts[prefill(dialect, request)])
        await play.whole(dialect, "Hello there! Bye. And more.")
        assert await scene.faults() == ["stream_cut", "stream_cut", None]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_upstreams_own_error_event_is_held_back_until_nobody_can_go_on(
    stage: Stage, dialect: Dialect
) -> None:
    async with opened(stage) as (scene, play):
        *_, failing, end = STREAM[dialect](error_after=2)
        scene.a.reply(play.broken(dialect, failing, end))
        scene.b.reply(other(dialect, "!"))
        stream = await play.whole(dialect, "Hello there!")
        assert b"Overloaded" not in stream.raw
    async with opened(stage) as (scene, play):
        scene.a.reply(play.broken(dialect, failing, end))
        scene.b.reply(error(503, dialect, message="down"))
        stream = await play.told(dialect)
        assert stream.events[-1].raw == stream_error(dialect)


async def test_a_late_error_event_of_responses_is_numbered_anew(stage: Stage) -> None:
    async with opened(stage) as (scene, play):
        *_, failing, end = STREAM["responses"](error_after=2)
        scene.a.script(play.broken("responses", failing, end), error(503, "responses"))
        scene.b.script(
            play.broken("responses", words=("!", " Bye")),
            *[error(503, "responses") for _ in range(4)],
        )
        stream = await play.told("responses", "Hello there! Bye")
        numbered(stream)
        assert stream.events[-1].json()["message"] == "Overloaded"


async def test_a_content_filters_word_is_final(stage: Stage) -> None:
    async with opened(stage) as (scene, play):
        filtered = stream_error("chat", "invalid_request_error", "no", code="content_filter")
        scene.a.reply(play.broken("chat", chunk(filtered), END))
        await play.told("chat")
        assert scene.b.requests == []


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_silence_is_a_break_like_any_other(stage: Stage, dialect: Dialect) -> None:
    async with opened(stage, "idle") as (scene, play):
        scene.a.reply(play.broken(dialect, hang()))
        scene.b.reply(other(dialect, "!"))
        await play.whole(dialect, "Hello there!")
        assert await scene.faults() == ["stream_stalled", None]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_only_upstream_is_asked_again(stage: Stage, dialect: Dialect) -> None:
    async with opened(stage, "single") as (scene, play):
        scene.a.script(play.broken(dialect), other(dialect, "!"))
        await play.whole(dialect, "Hello there!")


TOOL = ("weather", {"city": "Köln"})


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_tool_call_is_never_continued(stage: Stage, dialect: Dialect) -> None:
    async with opened(stage) as (scene, play):
        scene.a.reply(STREAM[dialect](tool=TOOL, cut_after=1))
        stream = await play.stream(dialect)
        assert read(dialect, stream).ending == "error"
        assert scene.b.requests == []


BEGUN: dict[str, tuple[Dialect, list[bytes]]] = {
    "chat_tool_behind_text": (
        "chat",
        [chat_chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]})],
    ),
    "chat_reasoning": ("chat", [chat_chunk({"reasoning_content": "hm"})]),
    "chat_refusal": ("chat", [chat_chunk({"refusal": "no"})]),
    "chat_finish": ("chat", [chat_chunk({"content": "!"}, "length"), b": \n\n"]),
    "messages_thinking": (
        "messages",
        [
            messages_event("content_block_stop", index=0),
            messages_event(
                "content_block_start", index=1, content_block={"type": "thinking", "thinking": ""}
            ),
        ],
    ),
    "messages_block_closed": ("messages", [messages_event("content_block_stop", index=0)]),
    "responses_text_closed": ("responses", [responses_events(SENT)[6]]),
}


@pytest.mark.parametrize("case", BEGUN.values(), ids=BEGUN)
async def test_more_than_open_text_is_never_continued(
    stage: Stage, case: tuple[Dialect, list[bytes]]
) -> None:
    dialect, events = case
    async with opened(stage) as (scene, play):
        scene.is_usable_again = dialect != "chat"
        scene.a.reply(play.broken(dialect, *map(chunk, events), b"zz\r\n"))
        await play.stream(dialect)
        assert scene.b.requests == []


ASKED: dict[str, tuple[Dialect, dict[str, Any]]] = {
    "chat_json_mode": ("chat", {"response_format": {"type": "json_object"}}),
    "chat_schema": ("chat", {"response_format": {"type": "json_schema", "json_schema": {}}}),
    "chat_two_choices": ("chat", {"n": 2}),
    "chat_logprobs": ("chat", {"logprobs": True}),
    "messages_schema": ("messages", {"output_config": {"format": {"type": "json_schema"}}}),
    "responses_schema": ("responses", {"text": {"format": {"type": "json_object"}}}),
    "responses_conversation": ("responses", {"conversation": "conv_1"}),
    "responses_background": ("responses", {"background": True}),
}


@pytest.mark.parametrize("case", ASKED.values(), ids=ASKED)
async def test_requests_for_more_than_text_are_not_rescued(
    stage: Stage, case: tuple[Dialect, dict[str, Any]]
) -> None:
    dialect, fields = case
    async with opened(stage) as (scene, play):
        scene.a.reply(play.broken(dialect))
        stream = await play.stream(dialect, **fields)
        assert read(dialect, stream).ending == "error"
        assert scene.b.requests == []


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_client_that_leaves_during_a_rescue_ends_it(stage: Stage, dialect: Dialect) -> None:
    async with opened(stage) as (scene, play):
        scene.a.reply(play.broken(dialect))
        scene.b.reply([hang()])
        task = asyncio.ensure_future(play.stream(dialect))
        await scene.b.wait_for_requests(1)
        task.cancel()
        async with asyncio.timeout(1):
            await scene.b.wait_for_close()
        record = await scene.record()
        assert record["outcome"] == "client_gone"
        assert [one["fault"] for one in record["attempts"]] == ["stream_cut", "client_gone"]


async def test_blanks_at_the_end_are_not_given_to_messages_and_not_sent_twice(
    stage: Stage,
) -> None:
    for words, text in (
        (("\n", "\nMore."), "Hello\n\nMore."),
        (("\n\nMore.",), "Hello\n\nMore."),
        (("\n", "More."), "Hello\n\n\nMore."),
        (("More.",), "Hello\n\nMore."),
        (("Hello", "\n\nMore."), "Hello\n\nMore."),
    ):
        async with opened(stage) as (scene, play):
            scene.a.reply(play.broken("messages", words=("Hello", "\n\n")))
            scene.b.reply(other("messages", *words))
            await play.whole("messages", text)
            assert prefill("messages", scene.b.requests[0]) == "Hello"


async def test_a_tool_call_may_follow_in_the_continuation(stage: Stage) -> None:
    async with opened(stage) as (scene, play):
        scene.a.reply(play.broken("messages"))
        scene.b.reply(other("messages", tool=TOOL))
        stream = await play.stream("messages")
        events = [event.json() for event in stream.events if "ping" not in event.data]
        assert [(one["type"], one.get("index")) for one in events][-6:] == [
            ("content_block_stop", 0),
            ("content_block_start", 1),
            ("content_block_delta", 1),
            ("content_block_stop", 1),
            ("message_delta", None),
            ("message_stop", None),
        ]
    async with opened(stage) as (scene, play):
        scene.a.reply(play.broken("responses"))
        scene.b.reply(other("responses", tool=TOOL))
        stream = await play.stream("responses")
        numbered(stream)
        response = stream.events[-1].json()["response"]
        assert [item["type"] for item in response["output"]] == ["message", "function_call"]
        assert response["output"][0]["content"][0]["text"] == "Hello there"
        done = [one.json()["item"] for one in stream.events if "item.done" in one.data]
        assert done == response["output"]
