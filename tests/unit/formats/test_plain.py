"""Reads that pass unwatched hold nothing that had to be watched."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.domain.usage import UNKNOWN
from llm_proxy.formats import CHAT, MESSAGES, RESPONSES
from llm_proxy.formats.format import CONTENT, PREAMBLE, Format
from llm_proxy.wire.sse import EventSplitter
from tests.support.answers import chat_events, messages_events, responses_events

from .build import chunk, delta, named

SCRAPS: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "stop", "error", "usage", "[DONE]", {}, [], {"prompt_tokens": 1}, {"message": "x"},
     {"type": "error"}, 0, 1, True, {"finish_reason": "stop"}, "message_stop", "chat.completion.chunk",
     "content_block_delta", {"id": "r", "usage": {"prompt_tokens": 4}}, {"status_code": 1002}]
)  # fmt: skip
KEYS = st.sampled_from(
    ["usage", "error", "object", "type", "x_groq", "base_resp", "code", "message", "model", "choices",
     "finish_reason", "delta", "content", "event", "text", "index"]
)  # fmt: skip
CHOICES = st.lists(
    st.dictionaries(KEYS, SCRAPS | st.dictionaries(KEYS, SCRAPS), max_size=4), max_size=2
)
EVENTS = st.tuples(
    st.sampled_from(
        ["", "event: content_block_delta\n", "event: error\n", "event: x\n", ": note\n", "id: 1\n"]
    ),
    st.sampled_from(["data: ", "data:", "", ": "]),
    st.builds(
        lambda value, choices, **_: {**value, **({} if choices is None else {"choices": choices})},
        st.dictionaries(KEYS, SCRAPS, max_size=4),
        st.none() | CHOICES,
    ),
    st.sampled_from([None, 0, 1, 2]),
    st.sampled_from(["\n\n", "\r\n\r\n", "\n\r\n", "\r\r", "\n", ""]),
).map(lambda parts: "".join((parts[0], parts[1], dumped(parts[2], parts[3]), parts[4])).encode())

NEARLY_PLAIN = st.builds(
    lambda extra, inner, type_: (
        ("event: content_block_delta\ndata: " if type_ else "data: ").encode()
        + json.dumps(
            {**({"type": "content_block_delta"} if type_ else {}), "choices": [inner], **extra}
        ).encode()
        + b"\n\n"
    ),
    st.dictionaries(KEYS, SCRAPS, max_size=2),
    st.dictionaries(KEYS, SCRAPS, max_size=2),
    st.booleans(),
)


def dumped(value: Any, indent: int | None) -> str:
    return json.dumps(value, indent=indent, separators=(",", ":") if indent is None else None)


@given(
    st.sampled_from([CHAT, MESSAGES, RESPONSES]),
    st.lists(EVENTS | NEARLY_PLAIN, min_size=1, max_size=3),
)
def test_a_plain_read_has_no_end_no_error_and_no_usage(
    format_: Format, events: list[bytes]
) -> None:
    read = b"".join(events)
    if not format_.is_plain(read):
        return
    splitter = EventSplitter()
    pieces = splitter.feed(read)
    assert not splitter.rest
    for piece in pieces:
        watch = format_.watch()
        assert watch.read(piece) in (PREAMBLE, CONTENT)
        assert watch.usage is UNKNOWN
        assert watch.signal is None
        assert not watch.is_finished
        assert not watch.is_ended


@given(st.sampled_from([CHAT, MESSAGES, RESPONSES]), st.binary(max_size=60))
def test_any_read_can_be_judged(format_: Format, read: bytes) -> None:
    format_.is_plain(read)
    for piece in EventSplitter().feed(read):
        watch = format_.watch()
        watch.read(piece)
        watch.has_content = True
        watch.read(piece)


@pytest.mark.parametrize(
    ("format_", "event"),
    [
        pytest.param(CHAT, chat_events()[1], id="chat"),
        pytest.param(CHAT, chunk({"content": "usage error finish_reason"}, usage=None), id="words"),
        pytest.param(CHAT, chunk({"tool_calls": [{"function": {"arguments": "{"}}]}), id="call"),
        pytest.param(MESSAGES, messages_events()[3], id="messages"),
        pytest.param(MESSAGES, delta(type="thinking_delta", thinking="x"), id="thinking"),
    ],
)
def test_usual_content_is_plain(format_: Format, event: bytes) -> None:
    assert format_.is_plain(event)
    assert format_.is_plain(event * 3)
    assert not format_.is_plain(event[:-1])
    assert not format_.is_plain(event[1:])
    assert not format_.is_plain(event + event[: len(event) // 2])


def test_comments_between_content_are_plain() -> None:
    assert CHAT.is_plain(chunk({"content": "a"}) + b": note\n\n" + chunk({"content": "b"}))


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(chunk({"content": "a"}, "stop"), id="finish"),
        pytest.param(chunk({"content": "a"}, usage={"prompt_tokens": 1}), id="usage"),
        pytest.param(chunk({"content": "a"}, error={"message": "x"}), id="error"),
        pytest.param(chunk({"content": "a"}, x_groq={"usage": {}}), id="usage_of_groq"),
        pytest.param(
            b'data: {"choices":[{"usage":{"prompt_tokens":1}}]}\n\n', id="usage_of_moonshot"
        ),
        pytest.param(b"data: [DONE]\n\n", id="done"),
        pytest.param(
            b'data: {"choices":[{}],"us\\u0061ge":{"prompt_tokens":1}}\n\n', id="escaped_key"
        ),
        pytest.param(b'data: {"choices":[{}],"usage":null,"usage":{}}\n\n', id="repeated_key"),
        pytest.param(b"data: {not json}\n\n", id="no_json_inside"),
        pytest.param(b'data: {"choices":[{"delta":{}}]\n\n', id="cut_json"),
        pytest.param(b'data: {"choices":\r[{}]}\n\n', id="cr_inside"),
        pytest.param(b'data: {"choices":\n[{}]}\n\n', id="lf_inside"),
        pytest.param(b'\ndata: {"choices":[{}]}\n\n', id="blank_line_in_front"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_must_be_seen_is_not_plain(event: bytes) -> None:
    assert not CHAT.is_plain(event)
    assert not CHAT.is_plain(chunk({"content": "a"}) + event) or event == b""


@pytest.mark.parametrize(
    "event",
    [
        named("message_delta", delta={"stop_reason": "end_turn"}),
        named("message_stop"),
        named("error", error={"type": "api_error", "message": "x"}),
        named("message_start", message={}),
        named("ping"),
        b'event: content_block_delta\ndata: {"type":"content_block_delta","type":"error"}\n\n',
        b'event: content_block_delta\ndata: {"type":"content_block_delta","error":{"a":1}}\n\n',
    ],
)
def test_other_messages_events_are_not_plain(event: bytes) -> None:
    assert not MESSAGES.is_plain(event)


def test_events_of_a_response_are_never_plain_because_they_are_numbered() -> None:
    assert not any(RESPONSES.is_plain(event) for event in responses_events())
