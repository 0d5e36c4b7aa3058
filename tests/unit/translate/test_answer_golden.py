"""Answers become what the golden files say, however the upstream's bytes arrive."""

import json
from typing import Any

import pytest

from llm_proxy.wire.sse import fields

from .answers import (
    FOLDER,
    cases,
    context_of,
    counter,
    events_of,
    interpreter_for,
    stream_bytes,
    targets,
    text_of,
    told_json,
    told_stream,
)

CASES = cases()
PAIRS = [
    pytest.param(case, client, id=f"{name} > {client}")
    for name, case in CASES.items()
    for client in targets(case)
]


def _golden() -> dict[str, str]:
    """Return each case's part of its golden file."""
    parts = {}
    for path in FOLDER.glob("*.txt"):
        for part in path.read_text().split("\n## "):
            text = "## " + part.removeprefix("## ").rstrip("\n") + "\n"
            parts[text.partition("\n")[0].removeprefix("## ")] = text
    return parts


GOLDEN = _golden()


@pytest.mark.parametrize("name", CASES)
def test_a_stream_becomes_what_its_golden_file_says(name: str) -> None:
    assert text_of(name, CASES[name]) == GOLDEN[name]


def test_golden_files_hold_nothing_but_cases() -> None:
    assert set(GOLDEN) == set(CASES)


@pytest.mark.parametrize(("case", "client"), PAIRS)
def test_no_split_of_the_upstreams_bytes_changes_the_clients(
    case: dict[str, Any], client: str
) -> None:
    sent = stream_bytes(case)
    expected = told_stream(case, client, [sent])
    assert told_stream(case, client, [sent[at : at + 1] for at in range(len(sent))]) == expected
    for size in (2, 3, 7):
        reads = [sent[at : at + size] for at in range(0, len(sent), size)]
        assert told_stream(case, client, reads) == expected


@pytest.mark.parametrize(("case", "client"), PAIRS)
def test_line_ends_of_the_upstream_do_not_matter(case: dict[str, Any], client: str) -> None:
    sent = stream_bytes(case)
    expected = told_stream(case, client, [sent])
    for end in (b"\r\n", b"\r"):
        other = sent.replace(b"\r\n", b"\n").replace(b"\n", end)
        halves = [other[: len(other) // 2], other[len(other) // 2 :]]
        assert told_stream(case, client, halves) == expected


@pytest.mark.parametrize(("case", "client"), PAIRS)
def test_every_block_opens_once_closes_once_and_nothing_follows_the_end(
    case: dict[str, Any], client: str
) -> None:
    told = told_stream(case, client, [stream_bytes(case)])
    check_shape(client, told)
    interpreter = interpreter_for(context_of(case, client, is_stream=True))
    for event in events_of([stream_bytes(case)]):
        interpreter.feed(event)
    interpreter.end()
    assert interpreter.end() == b""
    assert interpreter.failure(502, None, "late") == b""
    assert interpreter.feed(events_of([stream_bytes(case)])[0]) == b""


def check_shape(client: str, stream: bytes, *, is_failed: bool = False) -> None:
    """Assert the order of a client's events."""
    check = {"chat": _check_chat, "messages": _check_messages, "responses": _check_responses}
    check[client]([fields(event) for event in events_of([stream])], is_failed=is_failed)


def _check_chat(events: list[tuple[bytes, bytes | None]], *, is_failed: bool) -> None:
    datas = [data for _, data in events if data is not None]
    assert datas.count(b"[DONE]") == (not is_failed)
    if is_failed:
        assert "error" in json.loads(datas.pop())
    else:
        assert datas.pop() == b"[DONE]"
    chunks = [json.loads(data) for data in datas]
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) <= 1
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    assert sum("role" in choice["delta"] for choice in choices) == bool(choices)
    ends = [at for at, choice in enumerate(choices) if choice["finish_reason"]]
    assert ends == ([] if is_failed else [len(choices) - 1])
    started: list[str] = []
    for choice in choices:
        for call in choice["delta"].get("tool_calls", ()):
            if "id" in call:
                assert call["index"] == len(started)
                started.append(call["id"])
            assert call["index"] == len(started) - 1
    assert len(set(started)) == len(started)


def _check_messages(events: list[tuple[bytes, bytes | None]], *, is_failed: bool) -> None:
    found = [json.loads(data) | {"name": name} for name, data in events if data is not None]
    assert all(event["type"].encode() == event["name"] for event in found)
    types = [event["type"] for event in found]
    if is_failed:
        assert types.pop() == "error"
        assert not types or types[0] == "message_start"
    else:
        assert types[0] == "message_start"
        assert types[-2:] == ["message_delta", "message_stop"]
    middle = found[1 : len(types) if is_failed else -2]
    open_, next_ = None, 0
    for event in middle:
        if event["type"] == "content_block_start":
            assert (open_, event["index"]) == (None, next_)
            open_, next_ = event["index"], next_ + 1
        else:
            assert event["index"] == open_
            assert event["type"] in ("content_block_delta", "content_block_stop")
            if event["type"] == "content_block_stop":
                open_ = None
    assert is_failed or open_ is None


def _check_responses(events: list[tuple[bytes, bytes | None]], *, is_failed: bool) -> None:
    found = [json.loads(data) for _, data in events if data is not None]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert all(
        event["type"].encode() == name
        for event, (name, _) in zip(
            found, [pair for pair in events if pair[1] is not None], strict=True
        )
    )
    types = [event["type"] for event in found]
    ends = ("response.failed",) if is_failed else ("response.completed", "response.incomplete")
    assert types[-1] in ends
    if types[:-1]:
        assert types[:2] == ["response.created", "response.in_progress"]
    open_: str | None = None
    done: list[Any] = []
    for event in found[2:-1]:
        assert event["output_index"] == len(done)
        if event["type"] == "response.output_item.added":
            assert open_ is None
            open_ = event["item"]["id"]
        elif event["type"] == "response.output_item.done":
            assert event["item"]["id"] == open_
            open_ = None
            done.append(event["item"])
        else:
            assert event["item_id"] == open_
    assert is_failed or open_ is None
    assert found[-1]["response"]["output"] == done


def test_numbers_in_a_tools_input_keep_their_spelling() -> None:
    case = CASES["chat_tools: numbers keep their spelling"]
    for client in ("messages", "responses"):
        for told in (
            told_json(case, client).decode(),
            told_stream(case, client, [stream_bytes(case)]).decode(),
        ):
            plain = told.replace("\\", "")
            for literal in ("12345678901234567890", "1e400", "1.10", "-0.0", "ud83d"):
                assert literal in plain


def test_ids_are_other_ones_for_every_call() -> None:
    new = counter()
    assert new() != new()
