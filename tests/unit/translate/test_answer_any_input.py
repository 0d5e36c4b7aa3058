"""Whatever an upstream sends, the client gets a well-formed stream or a clear failure."""

import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from llm_proxy.formats.translate.budget import Budget
from llm_proxy.formats.translate.context import Context
from llm_proxy.formats.translate.errors import AnswerError
from llm_proxy.formats.translate.interpreter import Interpreter
from llm_proxy.formats.translate.order import Order
from llm_proxy.formats.translate.pieces import (
    Citation,
    HiddenReasoning,
    Piece,
    Reasoning,
    ReasoningEnd,
    Refusal,
    Text,
    TextEnd,
    ToolArguments,
    ToolEnd,
    ToolStart,
)
from llm_proxy.wire.sse import EventSplitter

from .answers import cases, counter, events_of, stream_bytes
from .test_answer_golden import check_shape

FORMATS = ("chat", "messages", "responses")
STREAMS = {
    name: [events_of([stream_bytes(case)]) for case in cases().values() if case["upstream"] == name]
    for name in FORMATS
}
WORDS = st.sampled_from(
    ["", "a", "{", "}", '{"a":', "1}", "null", "[]", "call_1", "get", "text", "tool_use", "\ud83d"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=5,
)
QUIET = settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)


def _put(value: Any, path: list[int], new: Any) -> Any:
    """Replace one part of a JSON value, found by following `path` down."""
    if not isinstance(value, dict | list) or not value or not path:
        return new
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[path[0] % len(keys)]
    value[key] = _put(value[key], path[1:], new)
    return value


@st.composite
def mutated_streams(draw: Any) -> tuple[str, str, list[bytes]]:
    """Return upstream, client and a real stream with some of its events bent."""
    upstream = draw(st.sampled_from(FORMATS))
    client = draw(st.sampled_from([name for name in FORMATS if name != upstream]))
    events = list(draw(st.sampled_from(STREAMS[upstream])))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(events) - 1))
        how = draw(st.sampled_from(["bend", "bend", "bend", "drop", "repeat", "move", "cut"]))
        event = events[at]
        if how == "drop" and len(events) > 1:
            del events[at]
        elif how == "repeat":
            events.insert(at, event)
        elif how == "move":
            events.append(events.pop(at))
        elif how == "cut":
            events[at] = event[: draw(st.integers(0, len(event)))].rstrip() + b"\n\n"
        elif b"data: {" in event:
            head, _, data = event.partition(b"data: ")
            try:
                value = json.loads(data)
            except ValueError:
                continue
            path = draw(st.lists(st.integers(0, 6), min_size=1, max_size=6))
            bent = json.dumps(_put(value, path, draw(VALUES))).encode()
            events[at] = head + b"data: " + bent + b"\n\n"
    return upstream, client, events


@QUIET
@given(mutated_streams(), st.booleans())
def test_a_bent_stream_is_told_well_or_fails_clearly(
    found: tuple[str, str, list[bytes]], is_stream: bool
) -> None:
    upstream, client, events = found
    context = Context(client=client, upstream=upstream, is_stream=is_stream, wants_usage=True)
    interpreter = Interpreter(context, now_s=1, new_id=counter())
    told, failed = b"", False
    try:
        for event in events:
            told += interpreter.feed(event)
        told += interpreter.end()
    except AnswerError as error:
        failed = True
        told += interpreter.failure(502, None, str(error))
    if not is_stream:
        if not failed:
            assert told == b""
            assert isinstance(json.loads(interpreter.gathered()), dict)
        return
    check_shape(client, told, is_failed=failed)


@QUIET
@given(st.sampled_from(FORMATS), st.sampled_from(FORMATS), VALUES)
@example("chat", "messages", {"choices": [{"message": {"content": ["a", {}]}}]})
def test_any_json_body_is_an_answer_or_a_clear_failure(
    upstream: str, client: str, value: Any
) -> None:
    keys = {"chat": "choices", "messages": "content", "responses": "output"}
    for body in (value, {keys[upstream]: value}, {keys[upstream]: [value]}):
        context = Context(client=client, upstream=upstream)
        try:
            told = Interpreter(context, now_s=1, new_id=counter()).whole(json.dumps(body).encode())
        except AnswerError:
            continue
        assert isinstance(json.loads(told), dict)


@QUIET
@given(st.binary(max_size=200), st.sampled_from(FORMATS), st.sampled_from(FORMATS))
def test_any_bytes_are_survived(data: bytes, upstream: str, client: str) -> None:
    interpreter = Interpreter(
        Context(client=client, upstream=upstream, is_stream=True), now_s=1, new_id=counter()
    )
    try:
        for event in EventSplitter().feed(b"data: " + data + b"\n\n"):
            interpreter.feed(event)
    except AnswerError:
        assert interpreter.failure(502, None, "no")


TEXTS = st.sampled_from(["a", " ", '{"a":1}', '{"a"', ":1}", "null", "[", "]", '"', "\\"])
KEYS = st.integers(0, 3)
PIECES: st.SearchStrategy[Piece] = st.one_of(
    st.builds(Text, TEXTS),
    st.builds(Refusal, TEXTS),
    st.builds(Reasoning, TEXTS),
    st.just(TextEnd()),
    st.just(ReasoningEnd("reasoning_content")),
    st.just(ReasoningEnd("item", {"type": "reasoning"})),
    st.just(HiddenReasoning("item", {})),
    st.builds(ToolStart, KEYS, st.sampled_from(["", "x", "y"]), st.just("f")),
    st.builds(ToolArguments, KEYS, TEXTS),
    st.builds(ToolArguments, KEYS, TEXTS),
    st.builds(ToolEnd, KEYS),
    st.just(Citation("https://a.example/", "A", 0, 1)),
)
_ENDS: dict[type[Piece], type[Piece]] = {
    Text: TextEnd,
    Refusal: TextEnd,
    Reasoning: ReasoningEnd,
    ToolStart: ToolEnd,
}


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=25))
def test_whatever_order_pieces_come_in_one_run_ends_before_the_next(given_: list[Piece]) -> None:
    order = Order(Context(client="messages", upstream="chat"), counter(), Budget())
    out: list[Piece] = []
    for piece in given_:
        order.put(piece, out)
    order.end(out)
    run: Piece | None = None
    for piece in out:
        if isinstance(piece, Citation):
            continue
        if run is None:
            assert isinstance(piece, Text | Refusal | Reasoning | HiddenReasoning | ToolStart)
            run = None if isinstance(piece, HiddenReasoning) else piece
        elif type(piece) is _ENDS[type(run)]:
            if isinstance(run, ToolStart) and isinstance(piece, ToolEnd):
                assert piece.key == run.key
            run = None
        elif isinstance(run, ToolStart):
            assert isinstance(piece, ToolArguments)
            assert piece.key == run.key
        else:
            assert type(piece) is type(run)
    assert run is None
    said = [piece.text for piece in given_ if isinstance(piece, Text)]
    assert [piece.text for piece in out if isinstance(piece, Text)] == said
    ids = [piece.id for piece in out if isinstance(piece, ToolStart)]
    assert len(set(ids)) == len(ids)
    assert all(ids)
