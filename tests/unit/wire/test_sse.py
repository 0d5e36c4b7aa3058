"""Streams are cut into whole events wherever the network cuts them into reads."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.wire.sse import EventSplitter, OversizeEventError, fields

PIECES = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"event: x",
        b": note",
        b"{}",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\xef\xbb\xbf",
    ]
)
STREAMS = st.lists(PIECES | st.binary(max_size=3), max_size=40).map(b"".join)


def feed(data: bytes, cuts: list[int]) -> tuple[list[bytes], bytes]:
    splitter = EventSplitter()
    pieces = []
    places = sorted({min(cut, len(data)) for cut in cuts})
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        pieces += splitter.feed(data[start:end])
    return pieces, bytes(splitter.rest)


@given(STREAMS, st.lists(st.integers(0, 120), max_size=20))
def test_no_byte_is_lost_or_moved(data: bytes, cuts: list[int]) -> None:
    pieces, rest = feed(data, cuts)
    assert b"".join(pieces) + rest == data


@given(STREAMS, st.lists(st.integers(0, 120), max_size=20))
def test_events_are_the_same_however_they_arrive(data: bytes, cuts: list[int]) -> None:
    def said(pieces: list[bytes]) -> list[tuple[bytes, bytes | None]]:
        return [fields(piece) for piece in pieces if piece.strip(b"\r\n")]

    whole, _ = feed(data, [])
    parts, _ = feed(data, cuts)
    assert said(parts) == said(whole)


@given(STREAMS)
def test_a_byte_at_a_time_gives_the_same_as_one_read(data: bytes) -> None:
    pieces, rest = feed(data, list(range(len(data))))
    assert b"".join(pieces) + rest == data


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n"])
def test_every_kind_of_blank_line_ends_an_event(end: bytes) -> None:
    splitter = EventSplitter()
    first, second = b"data: a" + end, b"data: b" + end
    assert splitter.feed(first + second) == [first, second]
    assert not splitter.rest


def test_a_cr_at_the_end_of_a_read_ends_the_event_at_once() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\r\n\r") == [b"data: a\r\n\r"]
    assert splitter.feed(b"\ndata: b\r\n\r\n") == [b"\n", b"data: b\r\n\r\n"]


def test_a_crlf_that_is_split_within_an_event_is_one_line_end() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"event: a\r") == []
    assert splitter.feed(b"\ndata: b\n\n") == [b"event: a\r\ndata: b\n\n"]


def test_blank_lines_between_events_pass_at_once() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"\n") == [b"\n"]
    assert splitter.feed(b"\n\ndata: a\n\n") == [b"\n\n", b"data: a\n\n"]


def test_the_start_of_an_event_waits_in_rest() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\n\ndata: b") == [b"data: a\n\n"]
    assert splitter.rest == b"data: b"
    assert splitter.feed(b"\n\n") == [b"data: b\n\n"]
    assert not splitter.rest


def test_an_event_without_an_end_is_refused_beyond_the_limit() -> None:
    splitter = EventSplitter(limit_bytes=100)
    splitter.feed(b"data: " + b"x" * 90)
    with pytest.raises(OversizeEventError):
        splitter.feed(b"x" * 10)


def test_a_large_event_in_small_reads_takes_time_in_proportion() -> None:
    splitter = EventSplitter(limit_bytes=32 * 1024 * 1024)
    piece = b"x" * 1024
    for _ in range(8 * 1024):
        assert splitter.feed(piece) == []
    (event,) = splitter.feed(b"\n\n")
    assert len(event) == 8 * 1024 * 1024 + 2


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param(b"data: a\n\n", (b"", b"a"), id="plain"),
        pytest.param(b"data:a\n\n", (b"", b"a"), id="no_blank_behind_the_colon"),
        pytest.param(b"data:  a\n\n", (b"", b" a"), id="only_one_blank_is_cut"),
        pytest.param(b"data: a\ndata: b\n\n", (b"", b"a\nb"), id="lines_are_joined"),
        pytest.param(b"data: a\rdata: b\r\n\r\n", (b"", b"a\nb"), id="mixed_line_ends"),
        pytest.param(b"event: x\ndata: a\n\n", (b"x", b"a"), id="named"),
        pytest.param(b"data: a\nevent: x\n\n", (b"x", b"a"), id="named_behind_its_data"),
        pytest.param(b"event:x\nid: 1\nretry: 5\ndata:a\n\n", (b"x", b"a"), id="other_fields"),
        pytest.param(b": note\n\n", (b"", None), id="comment"),
        pytest.param(b": note\ndata: a\n\n", (b"", b"a"), id="comment_in_front"),
        pytest.param(b"event: x\n\n", (b"x", None), id="name_alone"),
        pytest.param(b"data\n\n", (b"", b""), id="data_without_colon_is_empty"),
        pytest.param(b"data:\n\n", (b"", b""), id="empty_data"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", (b"", b"a"), id="byte_order_mark"),
        pytest.param(b"\n\n", (b"", None), id="blank_lines"),
        pytest.param(b"data: a", (b"", b"a"), id="without_its_end"),
        pytest.param(b"data: a\rb\n\n", (b"", b"a"), id="a_cr_ends_a_line"),
        pytest.param(b"event: x\ndata: a\ndata: b\n\n", (b"x", b"a\nb"), id="named_and_joined"),
    ],
)
def test_fields_of_an_event(event: bytes, expected: Any) -> None:
    assert fields(event) == expected
