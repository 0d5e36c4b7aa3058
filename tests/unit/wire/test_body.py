"""Bodies are read for routing without being changed, and refused only where readers would differ."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.domain.errors import RequestError
from llm_proxy.wire.body import (
    NAMING,
    NeedsSlowPeek,
    Peek,
    is_large,
    peek,
    peek_slowly,
    read_json,
    splice_model,
    writable,
    write_json,
)


def look(body: bytes) -> Peek:
    """Peek as the proxy does: quickly, and slowly where that is needed."""
    try:
        return peek(body)
    except NeedsSlowPeek:
        return peek_slowly(body)


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
BODIES = st.dictionaries(
    st.sampled_from(
        ["model", "messages", "stream", "input", "n", "store", "thread", "ключ", '"', "mod\\el"]
    )
    | TEXT,
    VALUES,
    max_size=6,
)
LAYOUTS = st.sampled_from(
    [
        {"separators": (",", ":")},
        {},
        {"indent": 2},
        {"separators": (",", ":"), "ensure_ascii": False},
        {"separators": (" ,\t", "\r\n:  ")},
    ]
)


@given(BODIES, LAYOUTS, TEXT)
def test_a_renamed_model_changes_nothing_else(
    value: Any, layout: dict[str, Any], name: str
) -> None:
    body = json.dumps(value, **layout).encode()
    seen = look(body)
    model = value.get("model")
    assert seen.model == (model if isinstance(model, str) else None)
    if seen.model_span is not None:
        spliced = splice_model(body, seen.model_span, name)
        assert json.loads(spliced) == {**value, "model": name}
        start, end = seen.model_span
        assert spliced.startswith(body[:start])
        assert spliced.endswith(body[end:])
        assert json.loads(body[start:end]) == model


@given(BODIES, LAYOUTS)
def test_quick_and_slow_reading_agree(value: Any, layout: dict[str, Any]) -> None:
    body = json.dumps(value, **layout).encode()
    quick, slow = look(body), peek_slowly(body)
    assert msgspec.structs.replace(quick, top={}) == msgspec.structs.replace(slow, top={})
    # No id is a number, so slow reading does not read them.
    values = [
        {n: json.loads(bytes(raw), parse_int=lambda _: 0) for n, raw in top.items() if n in NAMING}
        for top in (quick.top, slow.top)
    ]
    assert values[0] == values[1]


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_with_400(body: bytes) -> None:
    try:
        look(body)
        status = 400
    except RequestError as error:
        status = error.status
    assert status == 400


@given(st.text(alphabet='{}[]":,\\ \nmodelstru0e\ud83d', max_size=40))
def test_what_is_read_is_json_to_python_too(text: str) -> None:
    body = text.encode("utf-8", "surrogatepass")
    try:
        look(body)
    except RequestError:
        return
    assert isinstance(json.loads(body), dict)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b'{"stream":true}', (None, True, False), id="stream"),
        pytest.param(b'{"stream":false}', (None, False, False), id="no_stream"),
        pytest.param(b'{"stream": "true"}', (None, False, False), id="a_string_is_not_true"),
        pytest.param(b"{}", (None, False, False), id="empty_object"),
        pytest.param(b" {\n}\n", (None, False, False), id="blanks_only"),
        pytest.param(b'{"model":7}', (None, False, False), id="model_of_a_wrong_type"),
        pytest.param(b'{"model":null}', (None, False, False), id="model_null"),
        pytest.param(
            b'{"stream_options": {"include_usage": true}}', (None, False, True), id="wants_usage"
        ),
        pytest.param(
            b'{"stream_options":{"include_usage":false}}', (None, False, False), id="no_usage"
        ),
        pytest.param(b'{"stream_options":[1]}', (None, False, False), id="odd_options"),
        pytest.param(b'{"mod\\u0065l": "m"}', ("m", False, False), id="escaped_key"),
        pytest.param(b'{"model": "\\u006d/x:1"}', ("m/x:1", False, False), id="escaped_name"),
        pytest.param(b'\xef\xbb\xbf{"model":"m"}', ("m", False, False), id="byte_order_mark"),
        pytest.param(b'{"model":"m","n":1e999}', ("m", False, False), id="number_out_of_range"),
        pytest.param(
            b'{"model":"m","n":' + b"9" * 6000 + b"}", ("m", False, False), id="long_number"
        ),
        pytest.param(b'{"model":"m","n":NaN}', ("m", False, False), id="nan"),
        pytest.param(b'{"model":"m","s":"\\ud83d"}', ("m", False, False), id="half_surrogate"),
        pytest.param(b'{"model":"\\ud83d"}', ("?", False, False), id="half_surrogate_as_name"),
        pytest.param(b'{"a":1,"a":2,"model":"m"}', ("m", False, False), id="other_keys_may_repeat"),
        pytest.param(
            b'{"messages":[{"model":"x","model":"y"}],"model":"m"}',
            ("m", False, False),
            id="inner_keys_may_repeat",
        ),
        pytest.param(
            b'{"messages":"\\"model\\":\\"x\\"","model":"m"}',
            ("m", False, False),
            id="text_is_no_key",
        ),
        pytest.param(
            b'{"model":"m","x":' + b"[" * 500 + b"]" * 500 + b"}", ("m", False, False), id="deep"
        ),
    ],
)
def test_what_is_seen(body: bytes, expected: Any) -> None:
    seen = look(body)
    assert (seen.model, seen.stream, seen.wants_usage) == expected


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'"x"', id="string"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{", id="cut"),
        pytest.param(b'{"a":1,}', id="comma_too_much"),
        pytest.param(b"{'a':1}", id="single_quotes"),
        pytest.param(b'{"a":1} x', id="surplus"),
        pytest.param(b'{"a" 1}', id="no_colon"),
        pytest.param(b"{1:1}", id="key_is_no_string"),
        pytest.param(b'{"a":"\xff"}', id="invalid_utf8"),
        pytest.param(b'{"a":"\xed\xa0\xbd"}', id="surrogate_in_utf8"),
        pytest.param(b'{"a":"\x00"}', id="nul_in_a_string"),
        pytest.param(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="too_deep"),
        pytest.param(b'{"x":' + b'{"a":' * 100_000, id="too_deep_and_cut"),
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        look(body)
    assert caught.value.status == 400
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("key", ["model", "messages", "input", "stream"])
@pytest.mark.parametrize(
    "form",
    [
        b'{"%b":"a","%b":"b"}',
        b'{"%b":"a","%b":"a"}',
        b'{"%b": "a", "x": {"y": 1}, "%b": "b"}',
        b'{"x":1,"%b":[1],"y":2,\n "%b" :[1]}',
        b'\xef\xbb\xbf{"%b":1,"%b":1}',
    ],
)
def test_a_watched_key_that_comes_twice_is_refused(key: str, form: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        look(form % (key.encode(), key.encode()))
    assert caught.value.status == 400
    assert caught.value.param == key


def test_a_repeated_key_cannot_hide_behind_an_escape() -> None:
    with pytest.raises(RequestError):
        look(b'{"model":"cheap","mod\\u0065l":"dear"}')


def test_a_first_value_made_to_look_like_the_rest_of_the_body_hides_nothing() -> None:
    body = b'{"model": {"a": 1, "messages": [1]}, "messages": [2], "model": "m1", "messages": [1]}'
    with pytest.raises(RequestError):
        look(body)


def test_the_name_in_a_body_with_a_byte_order_mark_is_replaced_in_place() -> None:
    body = b'\xef\xbb\xbf{"s":"\xc3\xa4","model":"a"}'
    seen = look(body)
    assert seen.model_span is not None
    assert splice_model(body, seen.model_span, "b") == body.replace(b'"a"', b'"b"')


def test_large_bodies_are_told_apart() -> None:
    assert not is_large(b"x" * 1000)
    assert is_large(b"x" * 300_000)


def test_values_that_msgspec_refuses_are_read_and_written_again() -> None:
    value = read_json(b'\xef\xbb\xbf{"a":"\\ud83d","b":NaN}')
    assert write_json(value) == b'{"a":"\\ud83d","b":NaN}'
    assert writable(value["a"]) == "?"


@pytest.mark.parametrize("data", [b"", b"{", b"<html>", b"[" * 100_000, b"1" * 10_000 + b"x"])
def test_what_is_no_json_raises_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(data)


def test_a_number_of_ten_thousand_digits_does_no_harm() -> None:
    assert isinstance(read_json(b'{"n":' + b"1" * 10_000 + b"}"), dict)
