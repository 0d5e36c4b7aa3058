"""A broken stream and another one make one: as if the first had never broken."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.formats import format_named
from llm_proxy.formats.chained import Chained
from llm_proxy.formats.continuation import MAX_TEXT, Transcript
from llm_proxy.formats.continuers import CONTINUERS
from llm_proxy.formats.format import ERROR, RewriteError, Rewriter
from llm_proxy.wire.body import peek
from tests.support.answers import (
    Dialect,
    chat_chunk,
    chat_events,
    messages_event,
    messages_events,
    responses_events,
    stream_error,
)

DIALECTS: tuple[Dialect, ...] = ("chat", "messages", "responses")
EVENTS: dict[Dialect, Callable[..., list[bytes]]] = {
    "chat": chat_events,
    "messages": messages_events,
    "responses": responses_events,
}
OPENING = {"chat": 1, "messages": 3, "responses": 4}
"""Events in front of the first word."""


def fed(rewriter: Rewriter, dialect: Dialect, events: list[bytes]) -> bytes:
    """Feed events as a relay does; return what comes out."""
    watch = format_named(dialect).watch()
    return b"".join([rewriter.feed(event, watch.read(event)) for event in events])


def begun(dialect: Dialect, words: list[str]) -> Transcript:
    """Return the transcript of a stream that broke behind some words."""
    transcript = CONTINUERS[dialect].transcript()
    events = EVENTS[dialect]([*words, "never sent"])[: OPENING[dialect] + len(words)]
    assert fed(transcript, dialect, events) == b"".join(events)
    return transcript


def values(raw: bytes) -> list[dict[str, Any]]:
    """Return the data of events."""
    lines = [line[6:] for line in raw.splitlines() if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def text_of(dialect: Dialect, raw: bytes) -> str:
    """Return the text of a stream's deltas."""
    found = []
    for value in values(raw):
        if dialect == "chat":
            found += [choice["delta"].get("content") or "" for choice in value["choices"]]
        elif dialect == "messages":
            found.append(value.get("delta", {}).get("text", ""))
        elif value["type"] == "response.output_text.delta":
            found.append(value["delta"])
    return "".join(found)


WORDS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=6), min_size=1)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(words=WORDS, more=WORDS)
def test_the_whole_text_stands_everywhere(
    dialect: Dialect, words: list[str], more: list[str]
) -> None:
    before = begun(dialect, words)
    assert before.text == "".join(words)
    rest = fed(
        CONTINUERS[dialect].continuation(before, None), dialect, EVENTS[dialect](words + more)
    )
    assert text_of(dialect, rest) == "".join(more)
    assert before.text == "".join(words), "the transcript is not touched until it is sent"
    if dialect == "responses":
        *_, text, part, item, done = values(rest)
        whole = "".join(words + more)
        assert text["text"] == part["part"]["text"] == item["item"]["content"][0]["text"] == whole
        assert done["response"]["output"] == [item["item"]]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_rest_of_the_same_stream_is_what_the_first_would_have_sent(dialect: Dialect) -> None:
    events = EVENTS[dialect](["Hello", " there", "!"])
    before = begun(dialect, ["Hello"])
    rest = fed(CONTINUERS[dialect].continuation(before, "Hello"), dialect, events)
    expected = values(b"".join(events[OPENING[dialect] + 1 :]))
    for value in expected:
        for choice in value.get("choices", ()):
            if choice["delta"]:
                choice.pop("logprobs")  # null
    assert [value for value in values(rest) if value.get("type") != "ping"] == expected


@pytest.mark.parametrize("dialect", DIALECTS)
def test_text_that_grows_too_long_is_not_continued(dialect: Dialect) -> None:
    assert begun(dialect, ["x" * (MAX_TEXT - 1), "x"]).text
    assert begun(dialect, ["x" * (MAX_TEXT - 1), "xx"]).text == ""


def test_characters_cut_in_half_are_put_together_and_half_ones_are_not_continued() -> None:
    def said(*words: str) -> str:
        transcript = CONTINUERS["chat"].transcript()
        for word in words:
            chunk = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % word.encode()
            fed(transcript, "chat", [chunk])
        return transcript.text

    assert said("a \\ud83d", "\\ude00 b") == "a 😀 b"
    assert said("a \\ud83d") == ""


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_upstreams_error_is_held_back_and_given_out_on_failure(dialect: Dialect) -> None:
    transcript = begun(dialect, ["Hello"])
    error = stream_error(dialect)
    assert transcript.feed(error, ERROR) == b""
    assert transcript.failure(502, None, "another") == error
    continuation = CONTINUERS[dialect].continuation(transcript, "Hello")
    assert continuation.feed(stream_error(dialect, message="second"), ERROR) == b""
    assert continuation.failure(502, None, "another") == error


def test_reasoning_on_how_to_go_on_is_left_out() -> None:
    thinking = {"type": "thinking", "thinking": ""}
    events = [
        messages_events([])[0],
        messages_event("content_block_start", index=0, content_block=thinking),
        messages_event(
            "content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"}
        ),
        messages_event("content_block_stop", index=0),
        messages_event("content_block_start", index=1, content_block={"type": "text", "text": ""}),
        messages_event("content_block_delta", index=1, delta={"type": "text_delta", "text": "!"}),
        messages_event("content_block_stop", index=1),
    ]
    rest = fed(
        CONTINUERS["messages"].continuation(begun("messages", ["Hi"]), "Hi"), "messages", events
    )
    assert [(one["type"], one["index"]) for one in values(rest)] == [
        ("content_block_delta", 0),
        ("content_block_stop", 0),
    ]
    chunks = [chat_chunk({"reasoning_content": "hm"}), chat_chunk({"content": "!"})]
    rest = fed(CONTINUERS["chat"].continuation(begun("chat", ["Hi"]), "Hi"), "chat", chunks)
    assert b"hm" not in rest
    assert text_of("chat", rest) == "!"


def test_a_second_choice_or_a_bare_answer_does_not_continue_a_text() -> None:
    two = chat_chunk({"content": "!"}).replace(b'"choices":[', b'"choices":[{"delta":{}},')
    for event in (two, b'{"choices":[{"message":{"content":"!"}}]}\n\n'):
        continuation = CONTINUERS["chat"].continuation(begun("chat", ["Hi"]), "Hi")
        with pytest.raises(RewriteError):
            fed(continuation, "chat", [event])


SAID = b'{"type":"message","role":"assistant","content":"A\\n"}'


@pytest.mark.parametrize(
    ("dialect", "body", "longer"),
    [
        (
            "chat",
            b'{"messages": [ {"role":"user"} ], "model": "m"}',
            b'{"messages": [ {"role":"user"},{"role":"assistant","content":"A\\n"}], "model": "m"}',
        ),
        (
            "messages",
            b'{"model":"m","messages":[],"max_tokens":1}',
            b'{"model":"m","messages":[{"role":"assistant","content":"A"}],"max_tokens":1}',
        ),
        (
            "responses",
            b'{"input":"x","model":"m"}',
            b'{"input":[{"type":"message","role":"user","content":"x"},%b],"model":"m"}' % SAID,
        ),
        (
            "responses",
            b'{"input":[{"role":"user"}]}',
            b'{"input":[{"role":"user"},%b]}' % SAID,
        ),
        ("chat", b'{"messages":null}', None),
    ],
)
def test_the_text_is_put_into_the_request_and_no_other_byte_changes(
    dialect: Dialect, body: bytes, longer: bytes | None
) -> None:
    found = CONTINUERS[dialect].prefilled(body, peek(body).top, "A\n")
    assert (found and found[0]) == longer
    if found is not None:
        assert found[1] == ("A" if dialect == "messages" else "A\n")


def test_blanks_alone_are_no_beginning_for_messages() -> None:
    body = b'{"messages":[]}'
    assert CONTINUERS["messages"].prefilled(body, peek(body).top, " \n") is None


class Doubled:
    """Says everything twice, in two events, and goodbye."""

    def feed(self, event: bytes, _: object) -> bytes:
        return event + event

    def end(self) -> bytes:
        return chat_chunk({"content": "Bye"})

    def failure(self, *_: object) -> bytes:
        raise AssertionError("the second one tells")


def test_rewriters_in_a_row_each_see_whole_events() -> None:
    transcript = CONTINUERS["chat"].transcript()
    both = Chained(Doubled(), transcript, format_named("chat").watch())
    out = fed(both, "chat", [chat_chunk({"content": "a"}), chat_chunk({"content": "b"})])
    assert text_of("chat", out + both.end()) == transcript.text == "aabbBye"
    assert both.feed(stream_error("chat"), ERROR) == b""
    assert both.failure(502, None, "x") == stream_error("chat")
