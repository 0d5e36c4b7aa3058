"""Who gets in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.domain.secret import AccessKey, Secret
from llm_proxy.policy.access import AccessTable, Refusal

PHONE = AccessKey("phone", Secret("sk-phone-123456"))
FRIEND = AccessKey("friend", Secret("sk-friend-123456"))
TABLE = AccessTable([PHONE, FRIEND])
GOOD, OTHER = b"sk-phone-123456", b"sk-friend-123456"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param((b"Bearer " + GOOD, None, None), PHONE, id="bearer"),
        pytest.param((b"bearer " + GOOD, None, None), PHONE, id="scheme_in_lower_case"),
        pytest.param((b"BEARER  " + GOOD + b" ", None, None), PHONE, id="blanks_around"),
        pytest.param((None, GOOD, None), PHONE, id="x_api_key"),
        pytest.param((None, None, OTHER), FRIEND, id="api_key"),
        pytest.param((b"Bearer " + GOOD, GOOD, GOOD), PHONE, id="the_same_thrice"),
        pytest.param((b"Bearer ", GOOD, b""), PHONE, id="empty_ones_do_not_count"),
        pytest.param((None, None, None), Refusal.MISSING, id="nothing"),
        pytest.param((b"", b"", b" "), Refusal.MISSING, id="nothing_but_blanks"),
        pytest.param((b"Bearer", None, None), Refusal.MISSING, id="a_scheme_alone"),
        pytest.param((b"Bearer sk-wrong", None, None), Refusal.WRONG, id="wrong"),
        pytest.param((b"Bearer " + GOOD + b"x", None, None), Refusal.WRONG, id="longer"),
        pytest.param((b"Bearer " + GOOD[:-1], None, None), Refusal.WRONG, id="shorter"),
        pytest.param((b"Bearer " + GOOD.upper(), None, None), Refusal.WRONG, id="other_case"),
        pytest.param((GOOD, None, None), Refusal.WRONG, id="no_scheme"),
        pytest.param((b"Basic " + GOOD, None, None), Refusal.WRONG, id="another_scheme"),
        pytest.param((None, "ключ".encode(), None), Refusal.WRONG, id="outside_ascii"),
        pytest.param((None, b"\xff\xfe", None), Refusal.WRONG, id="no_text_at_all"),
        pytest.param((b"Bearer " + GOOD, OTHER, None), Refusal.CONFLICT, id="two_good_ones"),
        pytest.param((b"Bearer wrong", GOOD, None), Refusal.CONFLICT, id="wrong_and_good"),
        pytest.param((b"Basic abc", GOOD, None), Refusal.CONFLICT, id="another_scheme_and_good"),
        pytest.param((None, GOOD, OTHER), Refusal.CONFLICT, id="both_plain_headers"),
    ],
)
def test_who_is_recognised(
    headers: tuple[bytes | None, bytes | None, bytes | None], expected: AccessKey | Refusal
) -> None:
    assert TABLE.check(*headers) is expected


def test_without_keys_nobody_gets_in() -> None:
    empty = AccessTable([])
    assert empty.owner is None
    assert empty.check(None, b"") is Refusal.MISSING
    assert empty.check(b"Bearer anything") is Refusal.WRONG


def test_the_first_key_is_the_owners() -> None:
    assert TABLE.owner is PHONE


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_bytes_get_in_but_the_keys(authorization: bytes, x_api_key: bytes) -> None:
    found = TABLE.check(authorization, x_api_key)
    if isinstance(found, AccessKey):
        assert GOOD in (authorization + x_api_key) or OTHER in (authorization + x_api_key)
