"""Who is asked, from what is known."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from llm_proxy.domain.faults import (
    CONNECT_TIMEOUT,
    KEY_REJECTED,
    QUOTA,
    RATE_LIMITED,
    SERVER_ERROR,
    Fault,
)
from llm_proxy.domain.target import Target
from llm_proxy.policy.board import Board
from llm_proxy.policy.choose import Line, Nothing, Past, Pick, Wait, choose
from llm_proxy.policy.limits_seen import Advice

from .build import middle, targets, upstream

PAIR = targets(upstream("a"), upstream("b"))


def pick(board: Board, candidates: tuple[Target, ...], now: float = 0.0, **given: Any) -> str:
    """Return who is chosen and why, or what is chosen instead."""
    chosen = choose(board, candidates, model="m", now=now, **({"rng": middle} | given))
    if isinstance(chosen, Pick):
        return f"{chosen.target.id} {chosen.why}"
    if isinstance(chosen, Wait):
        return f"wait {chosen.until - now:g}"
    return "line" if isinstance(chosen, Line) else chosen.why


def past(*tried: str, failed: str = "") -> Past:
    """Return the past of a request that tried these targets and may not yet ask them again."""
    met = Past()
    met.tried = dict.fromkeys(tried, 9.9)
    met.failed_addresses = {failed} if failed else set()
    return met


def harm(
    board: Board, target: Target, fault: Fault, *, wait_s: float | None = None, now: float = 0.0
) -> None:
    """Let attempts fail until it shows."""
    for _ in range(3 if fault is SERVER_ERROR else 1):
        probe = board.begin(target, "m", now)
        advice = None if wait_s is None else Advice(wait_s, "header")
        board.failed(target, "m", fault, now, advice=advice, rng=middle, probe=probe)


def test_the_target_with_fewest_attempts_in_flight_is_asked() -> None:
    board = Board(PAIR)
    board.begin(PAIR[0], "m", 0.0)
    assert pick(board, PAIR) == "b/key-1 healthy"


def test_priority_comes_before_load_and_load_is_divided_by_weight() -> None:
    candidates = targets(
        upstream("main", weight=4), upstream("small"), upstream("backup", priority=1, weight=100)
    )
    board = Board(candidates)
    for _ in range(3):
        board.begin(candidates[0], "m", 0.0)
    board.begin(candidates[1], "m", 0.0)
    assert pick(board, candidates) == "main/key-1 healthy"


def test_idle_equals_share_the_requests_by_weight() -> None:
    candidates = targets(upstream("a", weight=3), upstream("b", weight=1))
    board, chance = Board(candidates), Random(7).random
    shares = Counter(pick(board, candidates, rng=chance) for _ in range(4000))
    assert 0.72 < shares["a/key-1 healthy"] / 4000 < 0.78


@pytest.mark.parametrize(
    ("fault", "wait_s"),
    [
        pytest.param(RATE_LIMITED, 60, id="told_limit"),
        pytest.param(RATE_LIMITED, None, id="guessed_limit"),
        pytest.param(QUOTA, None, id="empty_account"),
        pytest.param(KEY_REJECTED, None, id="rejected_key"),
        pytest.param(SERVER_ERROR, None, id="open_breaker"),
        pytest.param(CONNECT_TIMEOUT, None, id="unreachable_address"),
    ],
)
def test_a_target_in_trouble_is_left_alone_while_another_is_well(
    fault: Fault, wait_s: float | None
) -> None:
    candidates = targets(upstream("a"), upstream("backup", priority=9))
    board = Board(candidates)
    harm(board, candidates[0], fault, wait_s=wait_s)
    assert pick(board, candidates) == "backup/key-1 healthy"


@pytest.mark.parametrize(
    "fault", [RATE_LIMITED, QUOTA, KEY_REJECTED, SERVER_ERROR, CONNECT_TIMEOUT]
)
def test_no_guess_ever_takes_away_the_last_target(fault: Fault) -> None:
    board = Board(PAIR)
    harm(board, PAIR[0], fault)
    assert pick(board, PAIR[:1]) == "a/key-1 last resort"


def test_a_told_ban_is_honoured_even_for_the_last_target() -> None:
    board = Board(PAIR)
    harm(board, PAIR[0], RATE_LIMITED, wait_s=60)
    assert pick(board, PAIR[:1]) == "all limited"
    assert pick(board, PAIR[:1], now=59.9) == "wait 0.1"
    assert pick(board, PAIR[:1], now=60.0) == "a/key-1 healthy"


def test_the_soonest_ban_is_waited_for() -> None:
    board = Board(PAIR)
    harm(board, PAIR[0], RATE_LIMITED, wait_s=9)
    harm(board, PAIR[1], RATE_LIMITED, wait_s=4)
    assert pick(board, PAIR) == "wait 4"
    assert pick(board, PAIR, waited_s=7.0) == "all limited"
    assert pick(board, PAIR, deadline=3.0) == "all limited"
    chosen = choose(board, PAIR, model="m", now=1.0, rng=middle, waited_s=10.0)
    assert chosen == Nothing("all limited", 4.0)


def test_among_doubtful_targets_a_guessed_limit_beats_an_outage_beats_a_dead_key() -> None:
    candidates = targets(upstream("dead"), upstream("open"), upstream("limited"))
    board = Board(candidates)
    harm(board, candidates[0], KEY_REJECTED)
    harm(board, candidates[1], SERVER_ERROR)
    harm(board, candidates[2], RATE_LIMITED)
    assert pick(board, candidates) == "limited/key-1 last resort"
    assert pick(board, candidates[:2]) == "open/key-1 last resort"


def test_a_rested_target_is_probed_first_and_by_one_request_at_a_time() -> None:
    board = Board(PAIR)
    harm(board, PAIR[0], SERVER_ERROR)
    assert pick(board, PAIR, now=1.5) == "a/key-1 probe"
    probe = board.begin(PAIR[0], "m", 1.5)
    assert pick(board, PAIR, now=1.5) == "b/key-1 healthy"
    assert pick(board, PAIR[:1], now=1.5) == "a/key-1 last resort"
    board.succeeded(PAIR[0], "m", 1.6, probe=probe)
    assert pick(board, PAIR[:1], now=1.6) == "a/key-1 healthy"


def test_a_probe_is_never_a_second_attempt() -> None:
    board = Board(PAIR)
    harm(board, PAIR[0], SERVER_ERROR)
    assert pick(board, PAIR, now=1.5, past=past("c/key-1")) == "b/key-1 healthy"


def test_a_backup_is_not_probed_while_something_better_is_well() -> None:
    candidates = targets(upstream("a"), upstream("backup", priority=1))
    board = Board(candidates)
    harm(board, candidates[1], SERVER_ERROR)
    assert pick(board, candidates, now=1.5) == "a/key-1 healthy"


def test_an_address_is_probed_through_one_of_its_keys_only() -> None:
    candidates = targets(upstream("a", keys=3), upstream("b"))
    board = Board(candidates)
    harm(board, candidates[0], CONNECT_TIMEOUT)
    assert pick(board, candidates) == "b/key-1 healthy"
    assert pick(board, candidates[:3], now=1.5).endswith("probe")
    probe = board.begin(candidates[1], "m", 1.5)
    assert pick(board, candidates, now=1.5) == "b/key-1 healthy"
    assert pick(board, candidates[:1], now=1.5) == "a/key-1 last resort"
    board.succeeded(candidates[1], "m", 1.6, probe=probe)
    assert pick(board, candidates[:1], now=1.6) == "a/key-1 healthy"


def test_the_failed_address_comes_last_of_the_healthy_but_before_the_doubtful() -> None:
    candidates = targets(upstream("a", keys=2), upstream("b"), upstream("c"))
    board = Board(candidates)
    harm(board, candidates[3], SERVER_ERROR)
    met = past("a/key-1", failed="https://a.test")
    assert pick(board, candidates, past=met) == "b/key-1 healthy"
    met = past("a/key-1", "b/key-1", failed="https://a.test")
    assert pick(board, candidates, past=met) == "a/key-2 healthy"


def test_a_move_to_a_doubtful_target_needs_the_retry_budget_a_healthy_one_does_not() -> None:
    board = Board(PAIR)
    board.budget.running = 3
    assert pick(board, PAIR, past=past("a/key-1")) == "b/key-1 healthy"
    harm(board, PAIR[1], SERVER_ERROR)
    assert pick(board, PAIR, past=past("a/key-1")) == "budget"
    board.budget.running = 2
    assert pick(board, PAIR, past=past("a/key-1")) == "b/key-1 last resort"
    assert pick(board, PAIR, past=past("a/key-1"), may_doubt=False) == "no target left"


def test_the_same_prompt_goes_to_the_same_target_under_ordinary_load() -> None:
    candidates = targets(*(upstream(name) for name in "abcdef"))
    board = Board(candidates)
    first = pick(board, candidates, affinity=b"prefix-1")
    name = first.split()[0]
    target = next(target for target in candidates if target.id == name)
    for _ in range(5):
        board.begin(target, "m", 0.0)
    assert pick(board, candidates, affinity=b"prefix-1") == first
    assert pick(board, tuple(reversed(candidates)), affinity=b"prefix-1") == first


def test_a_prompt_that_everybody_sends_does_not_crowd_one_target() -> None:
    candidates = targets(*(upstream(name) for name in "abcd"), upstream("e", priority=1))
    board = Board(candidates)
    by_id = {target.id: target for target in candidates}
    chosen: list[str] = []
    for _ in range(60):
        chosen.append(pick(board, candidates, affinity=b"prefix-1").split()[0])
        board.begin(by_id[chosen[-1]], "m", 0.0)
    assert len(set(chosen[:8])) == 1
    shares = Counter(chosen)
    assert set(shares) == {"a/key-1", "b/key-1", "c/key-1", "d/key-1"}
    assert max(shares.values()) <= 2 * min(shares.values()) + 1


def test_losing_a_target_moves_only_its_own_prompts() -> None:
    candidates = targets(*(upstream(name) for name in "abcd"))
    board = Board(candidates)
    chance = Random(7)
    prompts = [chance.randbytes(32) for _ in range(1000)]
    before = [pick(board, candidates, affinity=prompt) for prompt in prompts]
    after = [pick(board, candidates[1:], affinity=prompt) for prompt in prompts]
    assert all(b == a for b, a in zip(before, after, strict=True) if not b.startswith("a/"))
    shares = Counter(name[0] for name in before)
    assert all(200 < shares[name] < 300 for name in "abcd")


def test_prompts_are_shared_by_weight() -> None:
    candidates = targets(upstream("a", weight=3), upstream("b"))
    board, chance = Board(candidates), Random(7)
    shares = Counter(pick(board, candidates, affinity=chance.randbytes(32))[0] for _ in range(4000))
    assert 0.72 < shares["a"] / 4000 < 0.78


def test_a_target_that_needs_translation_comes_behind_its_equals() -> None:
    candidates = targets(upstream("foreign"), upstream("native"), upstream("backup", priority=1))
    board = Board(candidates)
    second = frozenset({"foreign/key-1"})
    for _ in range(3):
        board.begin(candidates[1], "m", 0.0)
    assert pick(board, candidates, second=second) == "native/key-1 healthy"
    harm(board, candidates[1], SERVER_ERROR)
    assert pick(board, candidates, second=second) == "foreign/key-1 healthy"
    harm(board, candidates[0], SERVER_ERROR)
    assert pick(board, candidates, second=second) == "backup/key-1 healthy"


def test_a_configured_priority_beats_the_clients_format() -> None:
    candidates = targets(upstream("foreign"), upstream("native", priority=1))
    second = frozenset({"foreign/key-1"})
    assert pick(Board(candidates), candidates, second=second) == "foreign/key-1 healthy"
