"""How long a request and its attempts may take."""

import pytest

from llm_proxy.domain.errors import RequestError
from llm_proxy.policy.deadline import client_deadline_s, deadline_of

INF = float("inf")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        (b"1500", 1.5),
        (b" 250 ", 0.25),
        (b"0.5", 0.0005),
        (b"999999999999", 999999999.999),
    ],
)
def test_a_client_sets_its_own_deadline(header: bytes | None, expected: float | None) -> None:
    assert client_deadline_s(header) == expected


@pytest.mark.parametrize(
    "header", [b"", b"0", b"0.0", b"-5", b"nan", b"inf", b"1e3", b"5s", b"5, 6", b"\xff", b"9" * 99]
)
def test_a_deadline_that_makes_no_sense_is_refused(header: bytes) -> None:
    with pytest.raises(RequestError, match="x-llm-proxy-timeout-ms must be") as caught:
        client_deadline_s(header)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("client_s", "request_s", "expected"),
    [
        (None, 600.0, 700.0),
        (5.0, 600.0, 105.0),
        (900.0, 600.0, 700.0),
        (5.0, 0.0, 105.0),
        (None, 0.0, INF),
    ],
)
def test_the_shorter_limit_ends_a_request(
    client_s: float | None, request_s: float, expected: float
) -> None:
    assert deadline_of(100.0, client_s=client_s, request_s=request_s) == expected
