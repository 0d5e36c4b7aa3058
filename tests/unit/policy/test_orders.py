"""What the owner orders on the page: a paused key is asked by nobody, a reset one is clean."""

from collections.abc import Callable

import pytest

from llm_proxy.domain.faults import KEY_REJECTED, RATE_LIMITED, SERVER_ERROR, Fault
from llm_proxy.domain.target import Target
from llm_proxy.policy.board import Board
from llm_proxy.policy.choose import Nothing, Pick, choose
from llm_proxy.policy.limits_seen import Advice

from .build import middle, targets, upstream

PAIR = targets(upstream("a"), upstream("b"))


def always(chance: float) -> Callable[[], float]:
    return lambda: chance


def choices(board: Board, now: float = 0.0) -> set[str]:
    """Return everybody who may be chosen, over all chances."""
    found: set[str] = set()
    for chance in (0.0, 0.3, 0.6, 0.9):
        chosen = choose(board, PAIR, model="m", now=now, rng=always(chance))
        assert isinstance(chosen, Pick | Nothing)
        found.add(chosen.target.id if isinstance(chosen, Pick) else chosen.why)
    return found


def harm(board: Board, target: Target, fault: Fault) -> None:
    """Let attempts fail until it shows."""
    for _ in range(3):
        probe = board.begin(target, "m", 0.0)
        advice = Advice(300.0, "header") if fault is RATE_LIMITED else None
        board.failed(target, "m", fault, 0.0, advice=advice, rng=middle, probe=probe)


def test_a_paused_key_is_asked_by_nobody_until_it_goes_on() -> None:
    board = Board(PAIR)
    assert choices(board) == {"a/key-1", "b/key-1"}
    assert board.change("a/key-1", "pause")
    assert choices(board) == {"b/key-1"}
    assert [key.state for up in board.statuses(0.0) for key in up.keys] == ["paused", "ready"]
    board.reconfigure(PAIR)
    assert choices(board) == {"b/key-1"}
    assert board.change("a/key-1", "resume")
    assert choices(board) == {"a/key-1", "b/key-1"}


def test_with_every_key_paused_nothing_is_usable_and_nobody_is_asked() -> None:
    board = Board(PAIR)
    for target in PAIR:
        board.change(target.id, "pause")
    assert choices(board) == {"no target left"}
    assert not board.is_usable(0.0)


@pytest.mark.parametrize("fault", [RATE_LIMITED, KEY_REJECTED, SERVER_ERROR], ids=lambda f: f.name)
def test_a_reset_forgets_what_speaks_against_a_key(fault: Fault) -> None:
    board = Board(PAIR)
    harm(board, PAIR[0], fault)
    assert choices(board) == {"b/key-1"}
    assert board.change("a/key-1", "reset")
    assert choices(board) == {"a/key-1", "b/key-1"}
    assert board.statuses(0.0)[0].keys[0].state == "ready"
    assert board.statuses(0.0)[0].keys[0].attempts == 3


def test_an_order_about_an_unknown_key_changes_nothing() -> None:
    assert not Board(PAIR).change("a/key-9", "pause")
