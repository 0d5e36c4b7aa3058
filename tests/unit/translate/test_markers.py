"""What an upstream wants back survives a client that knows nothing of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.formats.translate.literal import dump, load
from llm_proxy.formats.translate.markers import (
    MAX_ID,
    Marker,
    join_tool_id,
    make_encrypted,
    make_signature,
    read_encrypted,
    read_signature,
    split_tool_id,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(min_size=1), JSON)
def test_a_marker_says_what_was_put_into_it(kind: str, data: Any) -> None:
    assert read_signature(make_signature(kind, data)) == Marker(kind, data)
    assert read_encrypted(make_encrypted(kind, data)) == Marker(kind, data)


def test_numbers_in_a_marker_keep_their_spelling() -> None:
    item = load('{"a":12345678901234567890,"b":1e400,"c":1.10}')
    marker = read_encrypted(make_encrypted("item", item))
    assert marker is not None
    assert dump(marker.data) == b'{"a":12345678901234567890,"b":1e400,"c":1.10}'


def test_a_marker_is_safe_in_a_header_a_url_and_a_file_name() -> None:
    marker = make_signature("reasoning_details", [{"text": "?>~ö" * 50}])
    assert marker.replace(".", "").replace("-", "").replace("_", "").isalnum()
    assert marker.isascii()


@given(st.text())
def test_foreign_and_damaged_markers_are_none_of_ours(text: str) -> None:
    assert read_signature("EqQBCgIYAhIM" + text) is None
    for prefix in ("gwsig1.", "gwenc1."):
        found = read_signature(prefix + text), read_encrypted(prefix + text)
        assert found[0] is None or found[1] is None


def test_a_marker_of_one_kind_is_not_the_other() -> None:
    assert read_signature(make_encrypted("item", {})) is None
    assert read_encrypted(make_signature("item", {})) is None


@given(st.from_regex(r"[a-zA-Z0-9_-]{1,40}", fullmatch=True), JSON)
def test_a_call_gets_its_extra_back_out_of_its_id(id_: str, value: Any) -> None:
    joined = join_tool_id(id_, {"google": value})
    if joined is not None and "__gw1_" not in id_:
        assert split_tool_id(joined) == (id_, {"google": value})
        assert len(joined) < MAX_ID


@pytest.mark.parametrize("id_", ["call_1", "", "__gw1_", "a__gw1_", "a__gw1_!!", "a__gw1_MQ"])
def test_other_ids_stay_as_they_are(id_: str) -> None:
    assert split_tool_id(id_) == (id_, None)


def test_an_extra_without_room_is_not_carried() -> None:
    assert join_tool_id("call_1", {"a": "x" * MAX_ID}) is None
    assert join_tool_id("call 1", {"a": "x"}) is None
    assert join_tool_id("call 1", None) == "call 1"
