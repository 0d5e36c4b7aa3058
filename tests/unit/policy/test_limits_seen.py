"""What headers say about limits, and what they had better not say."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.domain.signal import Signal
from llm_proxy.domain.status import Quota
from llm_proxy.policy.limits_seen import MAX_WAIT_S, Advice, advice, quotas, spent

WALL_S = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


def read(body_s: float | None = None, **headers: str) -> Advice | None:
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return advice(named, Signal(429, retry_after_s=body_s), wall_s=WALL_S)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("30", 30.0),
        (" 30 ", 30.0),
        ("1.5", 1.5),
        ("0.25", 0.25),
        ("604800", MAX_WAIT_S),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:13:19 GMT", None),
        ("Tue, 31 Feb 2024 00:00:00 GMT", None),
        ("Tue, 14 Nov 2023 99:99:99 GMT", None),
        ("Tue, 14 Foo 2023 22:14:20 GMT", None),
        ("604801", None),
        ("0", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e400", None),
        ("1e3", None),
        ("5, 6", None),
        ("5s", None),
        ("", None),
        ("9" * 400, None),
        ("٣", None),
        ("1_0", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_a_week(value: str, expected: float | None) -> None:
    found = read(retry_after=value)
    assert found == (None if expected is None else Advice(expected, "header"))


@pytest.mark.parametrize(
    ("headers", "body_s", "expected"),
    [
        pytest.param(
            {"retry_after_ms": "350", "retry_after": "1"},
            9.0,
            Advice(0.35, "header"),
            id="ms_first",
        ),
        pytest.param({"retry_after": "2"}, 9.0, Advice(2.0, "header"), id="header_before_body"),
        pytest.param(
            {"retry_after": "nan"}, 1.2, Advice(1.2, "body"), id="body_where_header_is_junk"
        ),
        pytest.param(
            {"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "6m0s"},
            1.2,
            Advice(1.2, "body"),
            id="body_before_the_time_until_the_limit_is_full",
        ),
        pytest.param(
            {"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "6m0s"},
            None,
            Advice(360.0, "header"),
            id="reset_of_a_used_up_limit",
        ),
        pytest.param(
            {"x_ratelimit_remaining_tokens": "5", "x_ratelimit_reset_tokens": "6m0s"},
            None,
            None,
            id="not_of_one_with_something_left",
        ),
        pytest.param({}, math.nan, None, id="nan_in_the_body"),
        pytest.param({}, math.inf, None, id="infinite_in_the_body"),
        pytest.param({}, -1.0, None, id="negative_in_the_body"),
        pytest.param({}, None, None, id="nothing"),
    ],
)
def test_the_most_trustworthy_advice_counts(
    headers: dict[str, str], body_s: float | None, expected: Advice | None
) -> None:
    assert read(body_s, **headers) == expected


@pytest.mark.parametrize(
    ("reset", "expected"),
    [
        ("2s", 2.0),
        ("6m0s", 360.0),
        ("350ms", 0.35),
        ("1h2m3.5s", 3723.5),
        ("1d", 86400.0),
        ("17", 17.0),
        ("0.5", 0.5),
        ("1700000060", 60.0),
        ("1700000060000", 60.0),
        ("2023-11-14T22:14:20Z", 60.0),
        ("2023-11-14T22:14:20.500Z", 60.5),
        ("2023-11-14T23:14:20+01:00", 60.0),
        ("0", None),
        ("0s", None),
        ("-1", None),
        ("", None),
        ("s", None),
        ("1699999999", None),
        ("2023-11-14T22:13:19Z", None),
        ("2099-01-01T00:00:00Z", None),
        ("9999-99-99T00:00:00Z", None),
        ("soon", None),
    ],
)
def test_resets_come_in_many_spellings(reset: str, expected: float | None) -> None:
    headers = {
        b"x-ratelimit-remaining-requests": b"0",
        b"x-ratelimit-reset-requests": reset.encode(),
    }
    found = spent(headers, wall_s=WALL_S)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("remaining", [b"-1", b"", b"1", b"none", b"00x"])
def test_only_a_remaining_of_zero_is_spent(remaining: bytes) -> None:
    headers = {b"x-ratelimit-remaining": remaining, b"x-ratelimit-reset": b"30"}
    assert spent(headers, wall_s=WALL_S) is None


def test_of_several_spent_limits_the_latest_reset_counts() -> None:
    headers = {
        b"anthropic-ratelimit-requests-remaining": b"0",
        b"anthropic-ratelimit-requests-reset": b"2023-11-14T22:13:50Z",
        b"anthropic-ratelimit-input-tokens-remaining": b"0",
        b"anthropic-ratelimit-input-tokens-reset": b"2023-11-14T22:14:00Z",
    }
    assert spent(headers, wall_s=WALL_S) == pytest.approx(40.0)


NAMES = st.sampled_from(
    [
        b"retry-after",
        b"retry-after-ms",
        b"x-ratelimit-remaining",
        b"x-ratelimit-reset",
        b"x-ratelimit-remaining-tokens",
        b"x-ratelimit-reset-tokens",
        b"anthropic-ratelimit-tokens-remaining",
        b"anthropic-ratelimit-tokens-reset",
    ]
)
VALUES = st.one_of(
    st.binary(max_size=40),
    st.just(b"0"),
    st.from_regex(rb"[0-9.eE+\-:TZdhms ,]{0,30}", fullmatch=True),
    st.floats().map(lambda number: str(number).encode()),
    st.datetimes().map(lambda at: at.isoformat().encode()),
)


@given(
    headers=st.dictionaries(NAMES, VALUES),
    body_s=st.none() | st.floats(),
    wall_s=st.floats(min_value=0, max_value=1e11),
)
def test_no_header_breaks_it_and_every_advice_is_sane(
    headers: dict[bytes, bytes], body_s: float | None, wall_s: float
) -> None:
    found = advice(headers, Signal(429, retry_after_s=body_s), wall_s=wall_s)
    assert found is None or 0 < found.wait_s <= MAX_WAIT_S
    left_s = spent(headers, wall_s=wall_s)
    assert left_s is None or 0 < left_s <= MAX_WAIT_S


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, {}, id="nothing_said"),
        pytest.param(
            {b"x-ratelimit-remaining": b"7", b"x-ratelimit-limit": b"10"},
            {"requests": Quota(7, 10)},
            id="without_a_kind",
        ),
        pytest.param(
            {
                b"anthropic-ratelimit-input-tokens-remaining": b"900",
                b"anthropic-ratelimit-input-tokens-limit": b"1000",
                b"anthropic-ratelimit-input-tokens-reset": b"1970-01-01T00:17:40Z",
            },
            {"input-tokens": Quota(900, 1000, 60.0)},
            id="anthropic",
        ),
        pytest.param(
            {b"x-ratelimit-remaining-tokens-minute": b"5", b"x-ratelimit-remaining-tokens": b"-1"},
            {"tokens-minute": Quota(5)},
            id="minus_one_means_nothing",
        ),
        pytest.param({b"x-ratelimit-remaining-requests": b"many"}, {}, id="no_number"),
    ],
)
def test_what_is_left_is_read_from_headers(
    headers: dict[bytes, bytes], expected: dict[str, Quota]
) -> None:
    assert quotas(headers, wall_s=1000.0) == expected
