"""What is learnt from attempts, kept over reloads and restarts, and shown."""

from inspect import getmembers

import pytest

from llm_proxy.domain.faults import (
    CLIENT_FAULT,
    CONNECT_REFUSED,
    CONNECT_TIMEOUT,
    HEAD_LATE,
    KEY_REJECTED,
    QUOTA,
    RATE_LIMITED,
    SERVER_ERROR,
    STREAM_CUT,
    Fault,
)
from llm_proxy.domain.status import KeyStatus
from llm_proxy.domain.target import Target
from llm_proxy.policy.board import Board
from llm_proxy.policy.breaker import MAX_MODELS, Breaker, ModelBreaker
from llm_proxy.policy.choose import Past
from llm_proxy.policy.cooldown import MAX_LIMITS, Death, Limit
from llm_proxy.policy.limits_seen import Advice
from llm_proxy.policy.plan import Plan
from llm_proxy.policy.slot import Address, Slot, Standing

from .build import middle, targets, upstream

KEYS = targets(upstream("a", keys=2))
KEY = KEYS[0]


def fail(
    board: Board,
    fault: Fault,
    now: float = 0.0,
    *,
    target: Target = KEY,
    model: str = "m",
    wait_s: float | None = None,
) -> float | None:
    probe = board.begin(target, model, now)
    advice = None if wait_s is None else Advice(wait_s, "body")
    return board.failed(target, model, fault, now, advice=advice, rng=middle, probe=probe)


def succeed(board: Board, now: float = 0.0, *, target: Target = KEY, model: str = "m") -> None:
    probe = board.begin(target, model, now)
    board.succeeded(target, model, now, probe=probe)


def standing(board: Board, now: float, *, target: Target = KEY, model: str = "m") -> Standing:
    return board.slot(target).standing(model, now)


def status(board: Board, now: float, key: int = 0) -> KeyStatus:
    return board.statuses(now)[0].keys[key]


def test_a_told_limit_rests_exactly_that_key_and_model_exactly_that_long() -> None:
    board = Board(KEYS)
    assert fail(board, RATE_LIMITED, 5.0, wait_s=30.0) == 30.0
    assert standing(board, 34.999) is Standing.BANNED
    assert standing(board, 35.0) is Standing.CLEAN
    assert standing(board, 6.0, model="other") is Standing.CLEAN
    assert standing(board, 6.0, target=KEYS[1]) is Standing.CLEAN


def test_a_success_does_not_lift_a_ban_that_was_told() -> None:
    board = Board(KEYS)
    board.begin(KEY, "m", 0.0)
    fail(board, RATE_LIMITED, 0.0, wait_s=30.0)
    board.succeeded(KEY, "m", 1.0)
    assert standing(board, 2.0) is Standing.BANNED


def test_guessed_limits_double_while_confirmed_and_stop_at_eight_seconds() -> None:
    board, now, rests = Board(KEYS), 0.0, []
    for _ in range(7):
        rest_s = fail(board, RATE_LIMITED, now)
        assert rest_s is not None
        rests.append(rest_s)
        now += rest_s
    assert rests == pytest.approx([0.5, 1, 2, 4, 8, 8, 8])
    succeed(board, now)
    assert fail(board, RATE_LIMITED, now) == pytest.approx(0.5)


def test_answers_that_were_under_way_do_not_lengthen_a_guess() -> None:
    board = Board(KEYS)
    rests = [fail(board, RATE_LIMITED, 0.01 * n) for n in range(20)]
    assert rests[0] == pytest.approx(0.5)
    assert standing(board, 0.51) is Standing.CLEAN


def test_a_rejected_key_rests_longer_each_time_up_to_a_minute() -> None:
    board, now, rests = Board(KEYS), 0.0, []
    for _ in range(8):
        rest_s = fail(board, KEY_REJECTED, now)
        assert rest_s is not None
        rests.append(rest_s)
        now += rest_s
    assert rests == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])
    assert standing(board, now) is Standing.HALF_OPEN


@pytest.mark.parametrize("fault", [KEY_REJECTED, QUOTA])
def test_any_success_revives_a_key_for_all_models(fault: Fault) -> None:
    board = Board(KEYS)
    fail(board, fault)
    assert standing(board, 0.5, model="other") is Standing.DEAD
    succeed(board, 0.6)
    assert standing(board, 0.6, model="other") is Standing.CLEAN


def test_an_empty_account_rests_five_minutes() -> None:
    board = Board(KEYS)
    assert fail(board, QUOTA) == pytest.approx(300)
    assert standing(board, 299.0) is Standing.DEAD
    assert standing(board, 300.0) is Standing.HALF_OPEN


def test_three_failures_in_a_row_open_the_breaker_which_rests_longer_after_each_failed_probe() -> (
    None
):
    board = Board(KEYS)
    assert [fail(board, SERVER_ERROR) for _ in range(3)] == [None, None, pytest.approx(1.0)]
    now, rests = 1.0, []
    for _ in range(5):
        assert standing(board, now) is Standing.HALF_OPEN
        rest_s = fail(board, SERVER_ERROR, now)
        assert rest_s is not None
        rests.append(rest_s)
        now += rest_s
    assert rests == pytest.approx([2, 4, 8, 8, 8])
    succeed(board, now)
    assert standing(board, now) is Standing.CLEAN
    assert standing(board, 0.5, target=KEYS[1]) is Standing.CLEAN


def test_a_target_that_fails_half_the_time_is_left_alone_too() -> None:
    board, rest_s = Board(KEYS), None
    for n in range(6):
        succeed(board, 0.1 * n)
        rest_s = fail(board, SERVER_ERROR, 0.1 * n)
        if rest_s is not None:
            break
    assert rest_s == pytest.approx(1.0)
    assert status(board, 1.0).attempts == 10


def test_rare_failures_never_open_it() -> None:
    board = Board(KEYS)
    for n in range(200):
        succeed(board, 0.1 * n)
        succeed(board, 0.1 * n)
        assert fail(board, SERVER_ERROR, 0.1 * n) is None


def test_failures_of_old_do_not_reopen_a_breaker_that_has_just_closed() -> None:
    board = Board(KEYS)
    for _ in range(20):
        fail(board, SERVER_ERROR, 0.0)
    succeed(board, 1.1)
    assert fail(board, SERVER_ERROR, 1.2) is None


def test_connections_that_fail_count_for_all_keys_of_the_address() -> None:
    board = Board(KEYS)
    fail(board, CONNECT_REFUSED)
    fail(board, CONNECT_REFUSED, target=KEYS[1])
    assert fail(board, CONNECT_REFUSED) == pytest.approx(1.0)
    assert standing(board, 0.5) is Standing.OPEN
    assert standing(board, 0.5, target=KEYS[1]) is Standing.OPEN
    succeed(board, 1.5, target=KEYS[1])
    assert standing(board, 1.5) is Standing.CLEAN


def test_a_model_that_is_down_stays_left_alone_while_another_on_the_same_key_answers() -> None:
    board, now, rests = Board(KEYS), 0.0, []
    for _ in range(2):
        fail(board, SERVER_ERROR, model="big")
    for _ in range(5):
        rest_s = fail(board, SERVER_ERROR, now, model="big")
        assert rest_s is not None
        rests.append(rest_s)
        succeed(board, now + 0.1, model="small")
        assert standing(board, now + 0.1, model="big") is Standing.OPEN
        assert standing(board, now + 0.1, model="small") is Standing.CLEAN
        now += rest_s
        assert standing(board, now, model="big") is Standing.HALF_OPEN
    assert rests == pytest.approx([1, 2, 4, 8, 8])
    succeed(board, now, model="big")
    assert standing(board, now, model="big") is Standing.CLEAN
    assert not board.slot(KEY).is_suspect


def test_a_key_on_which_every_model_fails_is_down_for_one_that_was_never_asked() -> None:
    board = Board(KEYS)
    for model in ("a", "b", "c"):
        fail(board, SERVER_ERROR, model=model)
    assert standing(board, 0.5, model="new") is Standing.OPEN
    assert standing(board, 1.5, model="new") is Standing.HALF_OPEN
    succeed(board, 1.5, model="new")
    assert standing(board, 1.5, model="a") is Standing.CLEAN, "one failure opens nothing"


def test_each_model_is_probed_by_one_request_at_a_time() -> None:
    board = Board(KEYS)
    for model in ("a", "b"):
        for _ in range(3):
            fail(board, SERVER_ERROR, model=model)
    succeed(board, model="c")
    probe = board.begin(KEY, "a", 1.5)
    assert standing(board, 1.5, model="a") is Standing.OPEN
    assert standing(board, 1.5, model="b") is Standing.HALF_OPEN
    board.released(KEY, "a", probe=probe)
    assert standing(board, 1.5, model="a") is Standing.HALF_OPEN


@pytest.mark.parametrize("fault", [CLIENT_FAULT, RATE_LIMITED])
def test_any_answer_for_a_model_shows_that_it_works_again(fault: Fault) -> None:
    board = Board(KEYS)
    for _ in range(3):
        fail(board, SERVER_ERROR, model="big")
    succeed(board, 0.5, model="small")
    fail(board, fault, 1.5, model="big", wait_s=1.0)
    assert standing(board, 5.0, model="big") is Standing.CLEAN


def test_a_model_that_fails_half_the_time_is_left_alone_beside_one_that_does_not() -> None:
    board, rest_s = Board(KEYS), None
    for n in range(12):
        succeed(board, 0.1 * n, model="small")
        rest_s = fail(board, SERVER_ERROR, 0.1 * n, model="big")
        if rest_s is not None:
            break
        succeed(board, 0.1 * n, model="small")
        succeed(board, 0.1 * n, model="big")
    assert rest_s == pytest.approx(1.0)
    assert standing(board, 1.5, model="small") is Standing.CLEAN


def test_names_of_failing_models_cannot_fill_the_memory_and_are_forgotten_in_the_end() -> None:
    board = Board(KEYS)
    for n in range(MAX_MODELS * 3):
        fail(board, SERVER_ERROR, 0.01 * n, model=f"model-{n}")
    for _ in range(3):
        fail(board, SERVER_ERROR, 10.0, model="last")
    assert len(board.slot(KEY).failing) == MAX_MODELS
    assert standing(board, 10.5, model="last") is Standing.OPEN
    succeed(board, 11.0, model="well")
    assert status(board, 11.5).failing == {"last": 0.0}
    assert status(board, 700.0).failing == {}
    assert not board.slot(KEY).is_suspect


def test_the_page_shows_which_models_of_a_key_are_left_alone() -> None:
    board = Board(KEYS)
    for _ in range(3):
        fail(board, SERVER_ERROR, model="big")
    assert (status(board, 0.5).state, status(board, 0.5).failing) == ("open", {"big": 0.5})
    succeed(board, 0.6, model="small")
    assert (status(board, 0.75).state, status(board, 0.75).failing) == ("ready", {"big": 0.25})


def test_the_owner_resets_failing_models_too() -> None:
    board = Board(KEYS)
    for _ in range(3):
        fail(board, SERVER_ERROR)
    probe = board.begin(KEY, "m", 1.5)
    board.change(KEY.id, "reset")
    board.committed(KEY, "m", 1.6, probe=probe)
    board.succeeded(KEY, "m", 1.7)
    assert standing(board, 1.7) is Standing.CLEAN
    assert not board.slot(KEY).is_probing


def test_one_connect_timeout_is_enough_to_learn_a_black_hole() -> None:
    board = Board(KEYS)
    assert fail(board, CONNECT_TIMEOUT) == pytest.approx(1.0)
    assert standing(board, 0.5, target=KEYS[1]) is Standing.OPEN


def test_any_answer_shows_that_the_address_is_reachable_again() -> None:
    board = Board(KEYS)
    fail(board, CONNECT_TIMEOUT)
    fail(board, CLIENT_FAULT, 1.5)
    assert standing(board, 1.5) is Standing.CLEAN


def test_an_answer_that_is_no_success_forgives_no_earlier_failures() -> None:
    board = Board(KEYS)
    fail(board, HEAD_LATE)
    fail(board, HEAD_LATE)
    fail(board, CLIENT_FAULT)
    assert fail(board, HEAD_LATE) is not None


def test_a_recovered_target_is_back_when_its_stream_begins_not_when_it_ends() -> None:
    board = Board(KEYS)
    for _ in range(3):
        fail(board, SERVER_ERROR)
    probe = board.begin(KEY, "m", 1.5)
    board.committed(KEY, "m", 1.6)
    assert standing(board, 1.6) is Standing.CLEAN
    assert status(board, 1.6).in_flight == 1
    board.succeeded(KEY, "m", 60.0, probe=probe)
    assert status(board, 60.0).in_flight == 0


def test_a_long_stream_that_was_the_probe_does_not_stand_in_the_way_of_the_next_one() -> None:
    board = Board(KEYS)
    for _ in range(3):
        fail(board, SERVER_ERROR)
    plan = Plan(board, [KEY], model="m")
    plan.next(1.5, middle)
    plan.began(KEY, 1.5)
    plan.committed(1.6)
    for _ in range(3):
        fail(board, SERVER_ERROR, 2.0)
    assert standing(board, 60.0) is Standing.HALF_OPEN, "the stream still flows"
    plan.answered(KEY, 90.0)
    assert status(board, 90.0).in_flight == 0


def test_streams_that_break_after_their_beginning_open_the_breaker() -> None:
    board, rest_s = Board(KEYS), None
    for _ in range(3):
        board.begin(KEY, "m", 0.0)
        board.committed(KEY, "m", 0.0)
        rest_s = board.failed(KEY, "m", STREAM_CUT, 0.0, rng=middle)
    assert rest_s == pytest.approx(1.0)


def test_model_names_of_clients_cannot_fill_the_memory() -> None:
    board = Board(KEYS)
    for n in range(MAX_LIMITS * 3):
        fail(board, RATE_LIMITED, 0.0, model=f"model-{n}", wait_s=10.0 + n)
    assert len(board.slot(KEY).limits) == MAX_LIMITS
    last = f"model-{MAX_LIMITS * 3 - 1}"
    assert standing(board, 1.0, model=last) is Standing.BANNED
    assert len(status(board, 1.0).models) == 20


def test_a_proxy_is_ready_while_any_target_is_neither_failing_nor_refused() -> None:
    board = Board(KEYS)
    fail(board, KEY_REJECTED)
    assert board.is_usable(0.5)
    fail(board, QUOTA, target=KEYS[1])
    assert not board.is_usable(0.5)
    assert board.is_usable(1.0)


@pytest.mark.parametrize(
    ("fault", "wait_s", "at", "expected"),
    [
        pytest.param(
            RATE_LIMITED, 30.0, 10.0, ("cooling", 20.0, "rate_limited", "body"), id="told"
        ),
        pytest.param(
            RATE_LIMITED, None, 0.25, ("cooling", 0.25, "rate_limited", "guess"), id="guess"
        ),
        pytest.param(KEY_REJECTED, None, 0.5, ("refused", 0.5, "key_rejected", "guess"), id="auth"),
        pytest.param(QUOTA, None, 100.0, ("no_credit", 200.0, "quota", "guess"), id="quota"),
        pytest.param(
            CONNECT_TIMEOUT, None, 0.5, ("open", 0.5, "connect_timeout", "guess"), id="open"
        ),
        pytest.param(
            CONNECT_TIMEOUT, None, 2.0, ("half_open", 0.0, "connect_timeout", "guess"), id="rested"
        ),
        pytest.param(RATE_LIMITED, 30.0, 31.0, ("ready", None, None, None), id="over"),
    ],
)
def test_the_page_shows_why_a_key_rests_and_for_how_long(
    fault: Fault,
    wait_s: float | None,
    at: float,
    expected: tuple[str, float | None, str | None, str | None],
) -> None:
    board = Board(KEYS)
    fail(board, fault, wait_s=wait_s)
    shown = status(board, at)
    assert (shown.state, shown.back_in_s, shown.cause, shown.source) == expected


def test_the_page_shows_counts_and_the_last_sixty_results() -> None:
    board = Board(KEYS)
    for _ in range(70):
        succeed(board)
    fail(board, RATE_LIMITED, wait_s=5.0)
    fail(board, SERVER_ERROR)
    fail(board, CLIENT_FAULT)
    board.begin(KEY, "m", 0.0)
    shown = status(board, 0.0)
    assert (shown.attempts, shown.failures, shown.rate_limited, shown.in_flight) == (74, 2, 1, 1)
    assert len(shown.recent) == 60
    assert shown.recent[-4:] == [0, 1, 2, 0]
    assert shown.models == {"m": 5.0}
    assert shown.label == "key-1 …1"
    assert [found.name for found in board.statuses(0.0)] == ["a"]


def test_a_reload_keeps_what_is_known_of_targets_that_stay() -> None:
    board = Board(KEYS)
    fail(board, RATE_LIMITED, wait_s=30.0)
    board.reconfigure(targets(upstream("a", keys=3, weight=2), upstream("new")))
    shown = board.statuses(1.0)
    assert [key.state for key in shown[0].keys] == ["cooling", "ready", "ready"]
    assert shown[1].keys[0].state == "ready"


def test_a_changed_key_or_address_starts_with_a_clean_sheet() -> None:
    board = Board(KEYS)
    fail(board, QUOTA)
    board.reconfigure(targets(upstream("a", keys=2, secret="other")))
    assert status(board, 1.0).state == "ready"
    board = Board(KEYS)
    fail(board, QUOTA)
    board.reconfigure(targets(upstream("a", keys=2, host="elsewhere.test")))
    assert status(board, 1.0).state == "ready"


def test_an_attempt_that_outlives_a_reload_ends_where_it_belongs() -> None:
    board = Board(KEYS)
    board.begin(KEYS[0], "m", 0.0)
    board.begin(KEYS[1], "m", 0.0)
    board.reconfigure(targets(upstream("a", keys=1)))
    board.failed(KEYS[0], "m", RATE_LIMITED, 1.0, advice=Advice(30.0, "header"), rng=middle)
    board.failed(KEYS[1], "m", SERVER_ERROR, 1.0, rng=middle)  # its key is gone
    keys = board.statuses(1.0)[0].keys
    assert [(key.state, key.in_flight, key.failures) for key in keys] == [("cooling", 0, 1)]


def test_attempts_at_a_target_that_left_and_came_back_are_counted_once() -> None:
    board, without = Board(KEYS), targets(upstream("a", keys=1))
    probe = board.begin(KEYS[1], "m", 0.0)
    board.reconfigure(without)
    late = board.begin(KEYS[1], "m", 0.5)  # by a request that was under way
    board.reconfigure(KEYS)
    assert status(board, 1.0, 1).in_flight == 2
    board.succeeded(KEYS[1], "m", 1.0, probe=probe)
    board.released(KEYS[1], "m", probe=late)
    assert status(board, 1.0, 1).in_flight == 0


def test_a_target_that_left_and_came_back_after_its_last_attempt_has_a_clean_sheet() -> None:
    board, without = Board(KEYS), targets(upstream("a", keys=1))
    probe = board.begin(KEYS[1], "m", 0.0)
    board.reconfigure(without)
    board.failed(KEYS[1], "m", QUOTA, 0.0, rng=middle, probe=probe)
    board.reconfigure(without)
    board.reconfigure(KEYS)
    assert status(board, 1.0, 1).state == "ready"


def test_bans_and_dead_keys_outlive_a_restart_by_the_wall_clock() -> None:
    board = Board(KEYS)
    fail(board, RATE_LIMITED, 100.0, wait_s=60.0)
    fail(board, QUOTA, 100.0, target=KEYS[1])
    saved = board.export(110.0, wall_s=1_700_000_010.0)
    after = Board(KEYS)
    assert after.restore(saved, 5.0, wall_s=1_700_000_030.0) == 2
    assert status(after, 5.0).models == {"m": pytest.approx(30.0)}
    assert status(after, 5.0).source == "body"
    assert status(after, 5.0, 1).state == "no_credit"
    assert status(after, 5.0, 1).back_in_s == pytest.approx(270.0)
    assert "sk-a" not in saved.decode()


def test_a_clock_that_was_set_back_does_not_prolong_a_ban() -> None:
    board = Board(KEYS)
    fail(board, RATE_LIMITED, 0.0, wait_s=60.0)
    saved = board.export(0.0, wall_s=1_700_000_000.0)
    after = Board(KEYS)
    after.restore(saved, 0.0, wall_s=1_600_000_000.0)
    assert standing(after, 60.0) is Standing.CLEAN


def test_bans_that_are_over_or_of_other_keys_are_not_taken_up() -> None:
    board = Board(KEYS)
    fail(board, RATE_LIMITED, 0.0, wait_s=60.0)
    saved = board.export(0.0, wall_s=1_700_000_000.0)
    assert Board(KEYS).restore(saved, 0.0, wall_s=1_700_000_061.0) == 0
    others = targets(upstream("a", keys=2, secret="other"))
    assert Board(others).restore(saved, 0.0, wall_s=1_700_000_001.0) == 0


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff", b"[" * 5000, b'[{"target":1}]', b"[null]"])
def test_saved_cool_downs_that_cannot_be_read_are_named_so(junk: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        Board(KEYS).restore(junk, 0.0, 0.0)


def test_every_slot_of_the_state_classes_is_set_from_the_start() -> None:
    board = Board(KEYS)
    for made in (
        board,
        board.slot(KEY),
        board.budget,
        Address("https://a.test"),
        Breaker(),
        ModelBreaker(),
        Limit(),
        Death(),
        Past(),
        Plan(board, KEYS, model="m"),
    ):
        slots = [name for name in type(made).__slots__ if not hasattr(made, name)]
        assert not slots, (type(made).__name__, slots)
        assert not hasattr(made, "__dict__")
    assert dict(getmembers(Slot))["__slots__"]
