"""Whether another attempt may follow: one table."""

from typing import Any

import pytest

from llm_proxy.domain.faults import (
    CLIENT_FAULT,
    CLIENT_GONE,
    CONNECT_REFUSED,
    CONTEXT_TOO_LONG,
    FAULTS,
    KEY_REJECTED,
    OVERLOADED,
    PERMISSION,
    QUOTA,
    RATE_LIMITED,
    RESET,
    SILENT,
    Answer,
    Cost,
    Fault,
    Mark,
    Retry,
)
from llm_proxy.policy.retry import FOREVER, GiveUp, RetryConfig, TryAgain, after_fault

from .build import middle


def decide(fault: Fault = RATE_LIMITED, **given: Any) -> GiveUp | TryAgain:
    facts: dict[str, Any] = {"attempts": 1, "now": 10.0, "rng": lambda: 0.0} | given
    return after_fault(fault, config=RetryConfig(), **facts)


@pytest.mark.parametrize(
    ("fault", "given_", "expected"),
    [
        pytest.param(RATE_LIMITED, {}, TryAgain(10.4), id="limit_pauses_0.4_s"),
        pytest.param(RATE_LIMITED, {"backoffs": 2}, TryAgain(11.6), id="pauses_double"),
        pytest.param(RATE_LIMITED, {"backoffs": 9}, TryAgain(12.0), id="pauses_are_capped"),
        pytest.param(RATE_LIMITED, {"backoffs": 10**6}, TryAgain(12.0), id="no_overflow"),
        pytest.param(RATE_LIMITED, {"advice_s": 7.0}, TryAgain(17.0), id="advice_beats_guess"),
        pytest.param(RATE_LIMITED, {"rng": middle}, TryAgain(10.35), id="jitter_shortens"),
        pytest.param(RATE_LIMITED, {"attempts": 3}, TryAgain(10.4), id="third_attempt_of_four"),
        pytest.param(RATE_LIMITED, {"attempts": 4}, GiveUp("attempts"), id="attempts_used_up"),
        pytest.param(
            RATE_LIMITED, {"is_committed": True}, GiveUp("committed"), id="never_after_content"
        ),
        pytest.param(
            RATE_LIMITED, {"deadline": 10.0}, GiveUp("deadline"), id="time_of_the_request_is_up"
        ),
        pytest.param(OVERLOADED, {}, TryAgain(10.06, True), id="overload_goes_elsewhere"),
        pytest.param(OVERLOADED, {"advice_s": 2.0}, TryAgain(12.0, True), id="overload_advised"),
        pytest.param(
            OVERLOADED, {"took_s": 5.1}, TryAgain(FOREVER, True), id="slow_failure_never_again"
        ),
        pytest.param(SILENT, {}, TryAgain(FOREVER, True), id="silence_never_again"),
        pytest.param(
            RESET, {"is_repeatable": False}, GiveUp("not repeatable"), id="may_have_acted"
        ),
        pytest.param(
            CONNECT_REFUSED, {"is_repeatable": False}, TryAgain(10.06, True), id="cannot_have_acted"
        ),
        pytest.param(QUOTA, {}, TryAgain(FOREVER), id="empty_account_never_again"),
        pytest.param(QUOTA, {"advice_s": 1.0}, TryAgain(FOREVER), id="even_if_advised"),
        pytest.param(KEY_REJECTED, {}, TryAgain(FOREVER), id="rejected_key_never_again"),
        pytest.param(PERMISSION, {}, TryAgain(FOREVER), id="forbidden_never_again"),
        pytest.param(
            CONTEXT_TOO_LONG, {}, TryAgain(FOREVER, False, True), id="address_cannot_help"
        ),
        pytest.param(CLIENT_FAULT, {}, GiveUp("client_fault"), id="same_everywhere"),
        pytest.param(CLIENT_GONE, {}, GiveUp("client_gone"), id="nobody_is_there"),
    ],
)
def test_what_follows_a_fault(
    fault: Fault, given_: dict[str, Any], expected: GiveUp | TryAgain
) -> None:
    decision = decide(fault, **given_)
    if isinstance(expected, TryAgain):
        assert isinstance(decision, TryAgain)
        assert decision.same_at == pytest.approx(expected.same_at)
        assert decision.is_elsewhere_first == expected.is_elsewhere_first
        assert decision.is_address_done == expected.is_address_done
    else:
        assert decision == expected


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_every_row_of_the_fault_table_leads_to_a_decision(fault: Fault) -> None:
    decision = decide(fault)
    assert isinstance(decision, GiveUp) == (fault.retry is Retry.NEVER)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_the_rows_of_the_fault_table_agree_with_themselves(fault: Fault) -> None:
    assert FAULTS[fault.name] is fault
    assert fault.status == 0 or 429 <= fault.status <= 504
    if fault.answer is Answer.OUR_WORDS:
        assert fault.status, "our words need a status"
    if fault.cost is Cost.PARTIAL:
        assert fault.retry is Retry.NEVER, "what was partly delivered is not repeated"
    if fault.mark is Mark.ADDRESS:
        assert fault.cost is Cost.NONE, "a connection that failed carried no request"
