"""Requests played from beginning to end: events in, decisions out."""

import pytest

from llm_proxy.domain.faults import (
    CLIENT_FAULT,
    CLIENT_GONE,
    CONNECT_REFUSED,
    CONTENT_FILTERED,
    CONTEXT_TOO_LONG,
    DEADLINE,
    HEAD_LATE,
    KEY_REJECTED,
    LOCKED,
    MODEL_NOT_FOUND,
    OVERLOADED,
    PERMISSION,
    QUOTA,
    RATE_LIMITED,
    RESET,
    SERVER_ERROR,
    UNKNOWN_ID,
    Fault,
)
from llm_proxy.policy.board import Board
from llm_proxy.policy.choose import Pick, Wait
from llm_proxy.policy.limits_seen import Advice
from llm_proxy.policy.plan import Plan
from llm_proxy.policy.retry import GiveUp, RetryConfig

from .build import Failure, middle, play, targets, upstream

ONE_KEY = targets(upstream("a"))
TWO_KEYS = targets(upstream("a", keys=2))
TWO = targets(upstream("a"), upstream("b", priority=1))
TWO_AND_KEYS = targets(upstream("a", keys=2), upstream("b", priority=1))


def test_a_healthy_upstream_answers_at_once() -> None:
    course = play(Board(ONE_KEY), ONE_KEY, {})
    assert course.lines == ["a/key-1 healthy"]
    assert course.end == "answered"


def test_a_rate_limited_key_hands_over_to_the_next_key_without_a_pause() -> None:
    board = Board(TWO_KEYS)
    board.begin(TWO_KEYS[1], "m", 0.0)  # busier, so that the first is asked first
    course = play(board, TWO_KEYS, {"a/key-1": [Failure(RATE_LIMITED, 30)]})
    assert course.lines == ["a/key-1 healthy", "a/key-2 healthy"]
    assert course.now == 0.0


@pytest.mark.parametrize("fault", [CONNECT_REFUSED, OVERLOADED, SERVER_ERROR, RESET, HEAD_LATE])
def test_after_a_failure_another_address_comes_before_another_key(fault: Fault) -> None:
    board = Board(TWO_AND_KEYS)
    board.begin(TWO_AND_KEYS[1], "m", 0.0)
    course = play(board, TWO_AND_KEYS, {"a/key-1": [fault]})
    assert course.lines == ["a/key-1 healthy", "b/key-1 healthy"]


def test_after_a_rate_limit_the_next_key_of_the_preferred_address_comes_first() -> None:
    board = Board(TWO_AND_KEYS)
    board.begin(TWO_AND_KEYS[1], "m", 0.0)
    course = play(board, TWO_AND_KEYS, {"a/key-1": [RATE_LIMITED]})
    assert course.lines == ["a/key-1 healthy", "a/key-2 healthy"]


def test_a_limit_without_advice_on_the_only_key_is_retried_with_growing_pauses() -> None:
    course = play(Board(ONE_KEY), ONE_KEY, {"a/key-1": [RATE_LIMITED]})
    assert course.lines == [
        "a/key-1 healthy",
        "wait 0.35 back-off",
        "a/key-1 again",
        "wait 0.70 back-off",
        "a/key-1 again",
        "wait 1.40 back-off",
        "a/key-1 again",
    ]
    assert course.end == "attempts"
    assert course.plan.waited_s == pytest.approx(2.45)


def test_a_failing_only_upstream_is_retried_after_short_pauses() -> None:
    course = play(Board(ONE_KEY), ONE_KEY, {"a/key-1": [SERVER_ERROR] * 3 + [None]})
    assert course.lines == [
        "a/key-1 healthy",
        "wait 0.05 back-off",
        "a/key-1 again",
        "wait 0.11 back-off",
        "a/key-1 again",
        "wait 0.21 back-off",
        "a/key-1 again",
    ]
    assert course.end == "answered"


def test_a_short_told_limit_on_every_key_is_waited_out() -> None:
    course = play(
        Board(TWO),
        TWO,
        {
            "a/key-1": [Failure(RATE_LIMITED, 5)],
            "b/key-1": [Failure(RATE_LIMITED, 2), None],
        },
    )
    assert course.lines == [
        "a/key-1 healthy",
        "b/key-1 healthy",
        "wait 2.00 limit",
        "b/key-1 again",
    ]
    assert course.end == "answered"


def test_a_long_told_limit_on_every_key_is_answered_at_once_with_the_soonest_reset() -> None:
    board = Board(TWO)
    script = {"a/key-1": [Failure(RATE_LIMITED, 50)], "b/key-1": [Failure(RATE_LIMITED, 30)]}
    course = play(board, TWO, script)
    word = course.plan.last_word(course.now)
    assert course.end == "all limited"
    assert (word.fault, word.is_all_limited, word.attempts) == (RATE_LIMITED, True, 2)
    assert word.retry_after_s == 30
    assert word.should_retry is None
    # The next request touches nobody; another model on the same keys goes on.
    later = play(board, TWO, script, now=10.0)
    word = later.plan.last_word(10.0)
    assert (later.lines, later.end) == ([], "all limited")
    assert (word.fault, word.index, word.retry_after_s) == (RATE_LIMITED, None, 20)
    assert play(board, TWO, {}, now=10.0, model="other").end == "answered"


def test_a_limit_of_more_than_a_minute_tells_the_client_not_to_hold_on() -> None:
    course = play(Board(ONE_KEY), ONE_KEY, {"a/key-1": [Failure(RATE_LIMITED, 90)]})
    word = course.plan.last_word(0.0)
    assert (word.retry_after_s, word.should_retry) == (90, False)


def test_a_request_that_finds_every_key_limited_for_a_moment_waits_before_its_first_attempt() -> (
    None
):
    board = Board(ONE_KEY)
    play(board, ONE_KEY, {"a/key-1": [Failure(RATE_LIMITED, 8)]}, deadline=5.0)
    course = play(board, ONE_KEY, {}, now=1.0)
    assert course.lines == ["wait 7.00 limit", "a/key-1 healthy"]


def test_no_wait_is_begun_that_the_deadline_would_cut() -> None:
    course = play(Board(ONE_KEY), ONE_KEY, {"a/key-1": [Failure(RATE_LIMITED, 8)]}, deadline=7.0)
    assert course.lines == ["a/key-1 healthy"]
    assert course.end == "all limited"
    assert course.plan.last_word(0.0).fault is RATE_LIMITED


def test_all_waits_of_a_request_together_stay_within_ten_seconds() -> None:
    course = play(Board(ONE_KEY), ONE_KEY, {"a/key-1": [Failure(RATE_LIMITED, 6)]})
    assert course.lines == ["a/key-1 healthy", "wait 6.00 limit", "a/key-1 again"]
    assert course.plan.waited_s == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(CLIENT_FAULT, ["a/key-1 healthy"], id="client_fault_is_asked_once"),
        pytest.param(CONTENT_FILTERED, ["a/key-1 healthy"], id="filter_is_not_routed_around"),
        pytest.param(
            CONTEXT_TOO_LONG,
            ["a/key-1 healthy", "b/key-1 healthy"],
            id="too_long_never_another_key_of_the_address",
        ),
        pytest.param(
            MODEL_NOT_FOUND, ["a/key-1 healthy", "b/key-1 healthy"], id="unknown_model_likewise"
        ),
        pytest.param(
            PERMISSION,
            ["a/key-1 healthy", "a/key-2 healthy", "b/key-1 healthy"],
            id="permission_each_once",
        ),
        pytest.param(
            KEY_REJECTED,
            ["a/key-1 healthy", "a/key-2 healthy", "b/key-1 healthy"],
            id="rejected_keys_each_once",
        ),
        pytest.param(
            QUOTA,
            ["a/key-1 healthy", "a/key-2 healthy", "b/key-1 healthy"],
            id="empty_accounts_each_once",
        ),
        pytest.param(
            HEAD_LATE,
            ["a/key-1 healthy", "b/key-1 healthy", "a/key-2 healthy"],
            id="silence_is_never_repeated_on_the_same_target",
        ),
    ],
)
def test_who_is_asked_when_every_target_fails_alike(fault: Fault, expected: list[str]) -> None:
    board = Board(TWO_AND_KEYS)
    board.begin(TWO_AND_KEYS[1], "m", 0.0)
    script = {target.id: [fault] for target in TWO_AND_KEYS}
    assert play(board, TWO_AND_KEYS, script).lines == expected


def test_a_failure_that_took_more_than_five_seconds_is_not_repeated_on_the_same_target() -> None:
    course = play(Board(ONE_KEY), ONE_KEY, {"a/key-1": [Failure(SERVER_ERROR, took_s=5.1)]})
    assert course.lines == ["a/key-1 healthy"]
    assert course.end == "no target left"


def test_a_request_with_side_effects_is_repeated_only_where_the_upstream_cannot_have_acted() -> (
    None
):
    refused = play(Board(TWO), TWO, {"a/key-1": [CONNECT_REFUSED]}, is_repeatable=False)
    assert refused.end == "answered"
    reset = play(Board(TWO), TWO, {"a/key-1": [RESET]}, is_repeatable=False)
    assert (reset.lines, reset.end) == (["a/key-1 healthy"], "not repeatable")


def test_zero_retries_mean_one_attempt() -> None:
    board = Board(TWO, config=RetryConfig(max_retries=0))
    assert play(board, TWO, {"a/key-1": [SERVER_ERROR]}).lines == ["a/key-1 healthy"]


def test_an_overloaded_upstream_that_says_when_to_come_back_is_asked_then() -> None:
    course = play(Board(ONE_KEY), ONE_KEY, {"a/key-1": [Failure(OVERLOADED, 3), None]})
    assert course.lines == ["a/key-1 healthy", "wait 3.00 back-off", "a/key-1 again"]
    hopeless = play(Board(ONE_KEY), ONE_KEY, {"a/key-1": [Failure(OVERLOADED, 40)]})
    assert (hopeless.lines, hopeless.end) == (["a/key-1 healthy"], "no target left")
    assert hopeless.plan.last_word(0.0).retry_after_s == 40


def test_nothing_is_asked_after_content_has_reached_the_client() -> None:
    plan = Plan(Board(TWO), TWO, model="m")
    pick = plan.next(0.0, middle)
    assert isinstance(pick, Pick)
    plan.began(pick.target, 0.0)
    plan.committed(1.0)
    plan.failed(pick.target, RESET, 2.0, rng=middle)
    assert plan.next(2.0, middle) == GiveUp("committed")


def test_asking_what_is_next_twice_changes_nothing() -> None:
    plan = Plan(Board(ONE_KEY), ONE_KEY, model="m")
    first = plan.next(0.0, middle)
    assert plan.next(0.0, middle) == first
    assert isinstance(first, Pick)
    plan.began(first.target, 0.0)
    plan.failed(first.target, SERVER_ERROR, 0.0, rng=middle)
    wait = plan.next(0.0, middle)
    assert isinstance(wait, Wait)
    assert plan.next(wait.until - 0.001, middle) == wait  # a timer that fires early
    assert plan.next(wait.until, middle) == plan.next(wait.until, middle)
    assert plan.attempts == 1


def test_a_client_that_leaves_blames_nobody_and_frees_everything() -> None:
    board = Board(ONE_KEY)
    plan = Plan(board, ONE_KEY, model="m")
    pick = plan.next(0.0, middle)
    assert isinstance(pick, Pick)
    plan.began(pick.target, 0.0)
    plan.gone(pick.target)
    plan.gone(pick.target)
    plan.answered(pick.target, 1.0)
    key = board.statuses(1.0)[0].keys[0]
    assert (key.in_flight, key.failures, key.recent, key.state) == (0, 0, [], "ready")


@pytest.mark.parametrize("fault", [CLIENT_GONE, DEADLINE])
def test_a_hang_up_or_a_deadline_is_not_the_upstreams_failure(fault: Fault) -> None:
    board = Board(ONE_KEY)
    for _ in range(5):
        play(board, ONE_KEY, {"a/key-1": [fault]})
    key = board.statuses(0.0)[0].keys[0]
    assert (key.state, key.failures, key.recent) == ("ready", 0, [])


def test_a_spent_key_steers_requests_away_without_refusing_them() -> None:
    board = Board(TWO_KEYS)
    board.begin(TWO_KEYS[0], "m", 0.0)
    board.succeeded(TWO_KEYS[0], "m", 0.0, spent_s=20.0)
    assert play(board, TWO_KEYS, {}, now=1.0).lines == ["a/key-2 healthy"]
    assert play(board, TWO_KEYS[:1], {}, now=1.0).lines == ["a/key-1 spent"]
    assert play(board, TWO_KEYS[:1], {}, now=21.0).lines == ["a/key-1 healthy"]


def test_one_failed_attempt_among_limits_makes_it_an_ordinary_error() -> None:
    course = play(
        Board(TWO), TWO, {"a/key-1": [SERVER_ERROR], "b/key-1": [Failure(RATE_LIMITED, 40)]}
    )
    word = course.plan.last_word(course.now)
    assert (word.fault, word.is_all_limited, word.is_unanimous) == (SERVER_ERROR, False, False)
    assert word.retry_after_s is None


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param(CONTEXT_TOO_LONG, CONNECT_REFUSED, 0, id="too_long_lets_agents_compact"),
        pytest.param(SERVER_ERROR, MODEL_NOT_FOUND, 0, id="one_that_lacks_the_model_says_little"),
        pytest.param(SERVER_ERROR, QUOTA, 0, id="an_outage_may_be_over_soon"),
        pytest.param(QUOTA, KEY_REJECTED, 1, id="of_equals_the_last"),
        pytest.param(LOCKED, OVERLOADED, 1, id="of_passing_ones_the_last"),
        pytest.param(RATE_LIMITED, KEY_REJECTED, 1, id="any_failure_before_a_limit"),
        pytest.param(SERVER_ERROR, UNKNOWN_ID, 0, id="who_failed_may_know_the_id"),
        pytest.param(RATE_LIMITED, UNKNOWN_ID, 0, id="who_is_limited_may_know_it"),
        pytest.param(UNKNOWN_ID, UNKNOWN_ID, 1, id="nobody_knows_the_id"),
    ],
)
def test_the_client_gets_the_most_telling_fault(first: Fault, second: Fault, expected: int) -> None:
    board = Board(TWO, config=RetryConfig(max_retries=1))
    course = play(board, TWO, {"a/key-1": [first], "b/key-1": [second]})
    word = course.plan.last_word(course.now)
    assert word.index == expected
    assert word.fault is course.plan.faults[expected]


def test_an_id_is_not_denied_while_a_banned_key_may_know_it() -> None:
    board = Board(TWO)
    board.begin(TWO[0], "m", 0.0)
    board.failed(TWO[0], "m", RATE_LIMITED, 0.0, advice=Advice(40.0, "header"), rng=middle)
    course = play(board, TWO, {"b/key-1": [UNKNOWN_ID]})
    word = course.plan.last_word(course.now)
    assert (word.fault, word.index, word.is_all_limited) == (RATE_LIMITED, None, True)
    assert word.retry_after_s == 40


@pytest.mark.parametrize("fault", [QUOTA, CONTENT_FILTERED, CLIENT_FAULT, PERMISSION])
def test_a_client_is_told_when_repeating_is_pointless(fault: Fault) -> None:
    course = play(Board(ONE_KEY), ONE_KEY, {"a/key-1": [fault]})
    assert course.plan.last_word(0.0).should_retry is False


def test_an_empty_account_says_how_long_the_key_rests() -> None:
    course = play(Board(ONE_KEY), ONE_KEY, {"a/key-1": [QUOTA]})
    assert course.plan.last_word(0.0).retry_after_s == 300


def test_time_that_is_up_is_a_timeout_whatever_failed_before() -> None:
    course = play(
        Board(ONE_KEY), ONE_KEY, {"a/key-1": [Failure(SERVER_ERROR, took_s=3)]}, deadline=2.0
    )
    assert course.end == "deadline"
    assert course.plan.last_word(3.0).fault is DEADLINE


def test_a_storm_of_limits_is_answered_with_one_attempt_per_request() -> None:
    board = Board(ONE_KEY)
    always = {"a/key-1": [RATE_LIMITED]}
    assert play(board, ONE_KEY, always).plan.attempts == 4
    storm = play(board, ONE_KEY, always, now=2.5)
    assert storm.lines == ["a/key-1 last resort"]
    word = storm.plan.last_word(2.5)
    assert word.is_all_limited
    assert word.retry_after_s is not None


def test_one_limited_answer_does_not_take_the_retries_from_the_requests_beside_it() -> None:
    board = Board(ONE_KEY)
    plan = Plan(board, ONE_KEY, model="m")
    pick = plan.next(0.0, middle)
    assert isinstance(pick, Pick)
    plan.began(pick.target, 0.0)
    plan.failed(pick.target, RATE_LIMITED, 0.0, rng=middle)
    course = play(board, ONE_KEY, {"a/key-1": [RATE_LIMITED, None]}, now=0.1)
    assert course.lines == ["a/key-1 last resort", "wait 0.35 back-off", "a/key-1 again"]
    assert course.end == "answered"


def test_a_late_first_token_is_worth_a_move_only_if_somebody_is_left() -> None:
    plan = Plan(Board(TWO), TWO, model="m")
    pick = plan.next(0.0, middle)
    assert isinstance(pick, Pick)
    plan.began(pick.target, 0.0)
    assert plan.has_alternative(0.0)
    plan.failed(pick.target, HEAD_LATE, 1.0, rng=middle)
    other = plan.next(1.0, middle)
    assert isinstance(other, Pick)
    plan.began(other.target, 1.0)
    assert not plan.has_alternative(1.0)


def test_a_reload_makes_no_alternative_of_the_target_under_way() -> None:
    board = Board(one := targets(upstream("a")))
    plan = Plan(board, one, model="m")
    board.reconfigure(targets(upstream("a", weight=2)))
    step = plan.next(0.0, middle)
    assert isinstance(step, Pick)
    plan.began(step.target, 0.0)
    assert not plan.has_alternative(1.0)


def test_a_replayed_request_shows_as_an_attempt_but_uses_up_no_retry() -> None:
    plan = Plan(Board(TWO), TWO, model="m", config=RetryConfig(max_retries=1))
    pick = plan.next(0.0, middle)
    assert isinstance(pick, Pick)
    plan.began(pick.target, 0.0)
    plan.replayed()
    plan.failed(pick.target, CONNECT_REFUSED, 0.0, rng=middle)
    assert isinstance(plan.next(0.0, middle), Pick)
    assert plan.attempts == 2


def test_a_plan_without_targets_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one target"):
        Plan(Board(TWO), (), model="m")


def test_a_probe_that_fails_moves_on_and_is_not_repeated() -> None:
    board = Board(ONE_KEY)
    play(board, ONE_KEY, {"a/key-1": [SERVER_ERROR]})
    course = play(board, ONE_KEY, {"a/key-1": [SERVER_ERROR]}, now=5.0)
    assert (course.lines, course.end) == (["a/key-1 probe"], "no target left")
    both = Board(TWO)
    play(both, TWO[:1], {"a/key-1": [SERVER_ERROR]})
    course = play(both, TWO, {"a/key-1": [SERVER_ERROR]}, now=5.0)
    assert course.lines == ["a/key-1 probe", "b/key-1 healthy"]


def test_a_probe_that_finds_a_short_limit_waits_it_out() -> None:
    board = Board(ONE_KEY)
    play(board, ONE_KEY, {"a/key-1": [SERVER_ERROR]})
    course = play(board, ONE_KEY, {"a/key-1": [Failure(RATE_LIMITED, 2), None]}, now=5.0)
    assert course.lines == ["a/key-1 probe", "wait 2.00 limit", "a/key-1 again"]


def test_an_outage_that_is_known_costs_one_attempt_per_request() -> None:
    board = Board(ONE_KEY)
    assert play(board, ONE_KEY, {"a/key-1": [SERVER_ERROR]}).plan.attempts == 4
    course = play(board, ONE_KEY, {"a/key-1": [SERVER_ERROR]}, now=0.6)
    assert course.lines == ["a/key-1 last resort"]
    assert play(board, ONE_KEY, {}, now=0.6).end == "answered"


def test_a_limited_key_that_is_dead_anyway_is_not_waited_for() -> None:
    board = Board(TWO)
    for target in TWO:
        board.begin(target, "m", 0.0)
        board.failed(target, "m", KEY_REJECTED, 0.0, rng=middle)
    failures = {name: [Failure(RATE_LIMITED, 2)] for name in ("a/key-1", "b/key-1")}
    course = play(board, TWO, failures, now=0.1)
    assert course.lines == ["a/key-1 last resort"]
    assert course.now == 0.1


def test_a_target_that_cannot_take_the_request_is_passed_over_without_an_attempt() -> None:
    pair = targets(upstream("a"), upstream("b", priority=1))
    plan = Plan(Board(pair), pair, model="m")
    first = plan.next(0.0, middle)
    assert isinstance(first, Pick)
    plan.pass_over(first.target)
    second = plan.next(0.0, middle)
    assert isinstance(second, Pick)
    assert (second.target.id, second.why, second.is_retry) == ("b/key-1", "healthy", False)
    plan.pass_over(second.target)
    assert isinstance(plan.next(0.0, middle), GiveUp)
    assert (plan.attempts, plan.faults) == (0, [])
