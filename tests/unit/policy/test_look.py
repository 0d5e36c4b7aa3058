"""Addresses that could not be reached, and the connections beside requests that find them again."""

import pytest

from llm_proxy.domain.faults import (
    CANCELLED,
    CONNECT_REFUSED,
    CONNECT_TIMEOUT,
    DNS_FAILED,
    KEY_REJECTED,
    SERVER_ERROR,
    TLS_FAILED,
    Fault,
)
from llm_proxy.domain.target import Target
from llm_proxy.policy.board import Board
from llm_proxy.policy.choose import Pick, choose
from llm_proxy.policy.slot import Standing

from .build import middle, targets, upstream

PAIR = targets(upstream("a", keys=2), upstream("b", priority=1))
AT = 1.5
"""A first rest of one second is over."""


def lose(board: Board, target: Target, fault: Fault = CONNECT_TIMEOUT, now: float = 0.0) -> None:
    """Let connections to a target fail until its address is left alone."""
    for _ in range(3):
        probe = board.begin(target, "m", now)
        board.failed(target, "m", fault, now, rng=middle, probe=probe)


def pick(board: Board, candidates: tuple[Target, ...] = PAIR, now: float = AT) -> Pick:
    step = choose(board, candidates, model="m", now=now, rng=middle)
    assert isinstance(step, Pick)
    return step


def told(step: Pick) -> tuple[str, str, list[str]]:
    return step.target.id, step.why, [target.id for target in step.looks]


@pytest.mark.parametrize("fault", [CONNECT_TIMEOUT, CONNECT_REFUSED, DNS_FAILED, TLS_FAILED])
def test_a_request_goes_to_who_is_well_while_a_connection_looks_at_who_was_lost(
    fault: Fault,
) -> None:
    board = Board(PAIR[1:])
    lose(board, PAIR[1], fault)
    lone = PAIR[1:]
    assert told(pick(board, lone)) == ("b/key-1", "healthy", ["a/key-2"])
    assert told(pick(board, lone, now=0.5)) == ("b/key-1", "healthy", []), "it rests"


def test_one_connection_looks_for_all_keys_of_an_address() -> None:
    board = Board(PAIR)
    lose(board, PAIR[0])
    assert told(pick(board)) == ("b/key-1", "healthy", ["a/key-1"])
    address = board.begin_look(PAIR[0], AT)
    assert address is not None
    assert board.begin_look(PAIR[1], AT) is None
    assert told(pick(board)) == ("b/key-1", "healthy", [])
    board.looked(address, None, AT, rng=middle)
    assert told(pick(board)) == ("a/key-2", "probe", []), "one request, before all others come"
    probe = board.begin(PAIR[1], "m", AT)
    assert told(pick(board)) == ("b/key-1", "healthy", [])
    board.succeeded(PAIR[1], "m", AT, probe=probe)
    assert told(pick(board)) == ("a/key-2", "healthy", [])


def test_behind_a_probe_that_fails_another_connection_must_look_first() -> None:
    board = Board(PAIR)
    lose(board, PAIR[0])
    address = board.begin_look(PAIR[0], AT)
    assert address is not None
    board.looked(address, None, AT, rng=middle)
    lose(board, PAIR[0], now=AT)
    assert told(pick(board, now=9.0)) == ("b/key-1", "healthy", ["a/key-1"])


def test_a_look_that_fails_lengthens_the_rest_as_a_failed_probe_does() -> None:
    board, now, rests = Board(PAIR), AT, []
    lose(board, PAIR[0])
    for _ in range(4):
        address = board.begin_look(PAIR[0], now)
        assert address is not None
        board.looked(address, CONNECT_TIMEOUT, now, rng=middle)
        until = address.breaker.until
        assert until is not None
        rests.append(until - now)
        now = until
    assert rests == pytest.approx([2, 4, 8, 8])


def test_a_look_that_was_called_off_says_nothing_and_lets_others_look() -> None:
    board = Board(PAIR)
    lose(board, PAIR[0])
    address = board.begin_look(PAIR[0], AT)
    assert address is not None
    board.looked(address, CANCELLED, AT, rng=middle)
    assert told(pick(board)) == ("b/key-1", "healthy", ["a/key-1"])


def test_a_request_finds_out_itself_where_nobody_else_can_serve_it() -> None:
    board = Board(PAIR)
    lose(board, PAIR[0])
    lose(board, PAIR[2], SERVER_ERROR, now=1.0)
    assert told(pick(board)) == ("a/key-2", "probe", [])


def test_what_is_wrong_behind_the_connection_is_found_out_by_requests() -> None:
    candidates = targets(upstream("a"), upstream("b"), upstream("c"))
    board = Board(candidates)
    lose(board, candidates[0])
    lose(board, candidates[1], SERVER_ERROR)
    assert told(pick(board, candidates)) == ("b/key-1", "probe", ["a/key-1"])


def test_a_connection_says_nothing_about_a_key_that_was_refused() -> None:
    board = Board(PAIR)
    board.begin(PAIR[0], "m", 0.0)
    board.failed(PAIR[0], "m", KEY_REJECTED, 0.0, rng=middle)
    lose(board, PAIR[1])
    address = board.begin_look(PAIR[0], AT)
    assert address is not None
    board.looked(address, None, AT, rng=middle)
    board.begin(PAIR[1], "m", AT)
    board.succeeded(PAIR[1], "m", AT)
    assert board.slot(PAIR[0]).standing("m", AT) is Standing.HALF_OPEN
    assert board.slot(PAIR[1]).standing("m", AT) is Standing.CLEAN


def test_a_backup_is_not_looked_at_while_something_better_is_well() -> None:
    board = Board(PAIR)
    lose(board, PAIR[2])
    assert told(pick(board)) == ("a/key-2", "healthy", [])


def test_a_look_that_outlives_a_change_of_the_keys_ends_where_it_began() -> None:
    board = Board(PAIR)
    lose(board, PAIR[0])
    address = board.begin_look(PAIR[0], AT)
    assert address is not None
    changed = targets(upstream("a", keys=2, secret="other"), upstream("b", priority=1))
    board.reconfigure(changed)
    board.looked(address, CONNECT_TIMEOUT, AT, rng=middle)
    assert not board.slot(changed[0]).address.is_probing
