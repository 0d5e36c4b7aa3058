"""Requests that may be answered by another model, played from beginning to end."""

from collections.abc import Callable, Sequence

import pytest

from llm_proxy.domain.faults import (
    CLIENT_FAULT,
    CONNECT_REFUSED,
    CONTENT_FILTERED,
    CONTEXT_TOO_LONG,
    DEADLINE,
    MODEL_NOT_FOUND,
    QUOTA,
    RATE_LIMITED,
    SERVER_ERROR,
    UNKNOWN_ID,
    Fault,
)
from llm_proxy.domain.target import Target
from llm_proxy.policy.board import Board
from llm_proxy.policy.chain import Chain
from llm_proxy.policy.choose import Wait
from llm_proxy.policy.limits_seen import Advice
from llm_proxy.policy.plan import Plan
from llm_proxy.policy.retry import GiveUp, RetryConfig

from .build import Failure, middle, targets, upstream

ONE = targets(upstream("a"))
TWO = targets(upstream("a"), upstream("b", priority=1))
MODELS = ("big", "small", "tiny")

Ending = Fault | Failure | None
Script = Callable[[str, str], Ending]


def chain_of(
    board: Board,
    candidates: Sequence[Target],
    models: int = 2,
    *,
    deadline: float = float("inf"),
) -> Chain:
    """Return a chain of `models` models on the same targets."""

    def make(stage: int, waited_s: float, is_last: bool) -> Plan:
        return Plan(
            board,
            candidates,
            model=MODELS[stage],
            deadline=deadline,
            config=RetryConfig(),
            is_last=is_last,
            waited_s=waited_s,
        )

    return Chain(models, make)


def play(chain: Chain, script: Script, *, now: float = 0.0) -> tuple[list[str], str, float]:
    """Play one request; return what was done, how it ended, and when."""
    lines: list[str] = []
    for _ in range(100):
        step = chain.next(now, middle)
        if isinstance(step, GiveUp):
            return lines, step.reason, now
        if isinstance(step, Wait):
            lines.append(f"wait {step.until - now:.2f}")
            now = step.until
            continue
        model = MODELS[chain.stage]
        lines.append(f"{model} at {step.target.id}")
        chain.began(step.target, now)
        ending = script(model, step.target.id)
        if ending is None:
            chain.answered(step.target, now)
            return lines, "answered", now
        failure = ending if isinstance(ending, Failure) else Failure(ending)
        now += failure.took_s
        advice = None if failure.wait_s is None else Advice(failure.wait_s, "header")
        chain.failed(
            step.target, failure.fault, now, advice=advice, rng=middle, took_s=failure.took_s
        )
    raise AssertionError("the request never ends")


def test_the_other_model_is_asked_when_every_target_failed_with_the_first() -> None:
    chain = chain_of(Board(TWO), TWO)
    fails = Failure(RATE_LIMITED, 60)
    lines, end, _ = play(chain, lambda model, _: fails if model == "big" else None)
    assert lines == ["big at a/key-1", "big at b/key-1", "small at a/key-1"]
    assert end == "answered"
    assert chain.attempts == 3


def test_a_limit_of_one_model_does_not_ban_the_other_on_the_same_key() -> None:
    board = Board(ONE)
    fails = Failure(RATE_LIMITED, 60)
    for _ in range(2):
        chain = chain_of(board, ONE)
        lines, end, _ = play(chain, lambda model, _: fails if model == "big" else None)
        assert end == "answered"
    assert lines == ["small at a/key-1"]


@pytest.mark.parametrize("fault", [CLIENT_FAULT, CONTENT_FILTERED])
def test_a_fault_of_the_request_itself_is_not_shown_to_another_model(fault: Fault) -> None:
    chain = chain_of(Board(TWO), TWO)
    lines, end, now = play(chain, lambda *_: fault)
    assert (lines, end) == (["big at a/key-1"], fault.name)
    assert chain.last_word(now).fault is fault


def test_no_other_model_knows_an_id_that_nobody_knows() -> None:
    lines, end, _ = play(chain_of(Board(TWO), TWO), lambda *_: UNKNOWN_ID)
    assert lines == ["big at a/key-1", "big at b/key-1"]
    assert end == "no target left"


@pytest.mark.parametrize("fault", [CONTEXT_TOO_LONG, MODEL_NOT_FOUND])
def test_what_one_model_cannot_take_another_may(fault: Fault) -> None:
    chain = chain_of(Board(ONE), ONE)
    lines, end, _ = play(chain, lambda model, _: fault if model == "big" else None)
    assert (lines, end) == (["big at a/key-1", "small at a/key-1"], "answered")


def test_an_upstream_that_is_down_is_not_asked_while_another_model_is_left() -> None:
    board = Board(ONE)
    for at in range(3):
        board.begin(ONE[0], "big", at)
        board.failed(ONE[0], "big", SERVER_ERROR, at, rng=middle)
    chain = chain_of(board, ONE)
    lines, _, _ = play(chain, lambda *_: None, now=2.1)
    assert lines == ["small at a/key-1"], "only the last model asks what is down"


def down(board: Board, target: Target) -> None:
    """Let a target fail until it is left alone."""
    for _ in range(3):
        board.begin(target, "big", 0.0)
        board.failed(target, "big", SERVER_ERROR, 0.0, rng=middle)


@pytest.mark.parametrize("fault", [SERVER_ERROR, QUOTA, CLIENT_FAULT, CONNECT_REFUSED])
def test_a_model_that_was_left_alone_does_not_hide_how_the_other_failed(fault: Fault) -> None:
    board = Board(ONE)
    down(board, ONE[0])
    chain = chain_of(board, ONE)
    lines, _, now = play(chain, lambda *_: fault, now=0.1)
    assert {line.split(" ")[0] for line in lines} - {"wait"} == {"small"}
    word = chain.last_word(now)
    assert (word.fault, word.index is None) == (fault, False)


def test_one_model_paused_and_the_other_limited_is_told_as_a_limit() -> None:
    board = Board(TWO)
    board.change("a/key-1", "pause")
    chain = Chain(
        2,
        lambda stage, waited_s, is_last: Plan(
            board, TWO[stage : stage + 1], model="m", waited_s=waited_s, is_last=is_last
        ),
    )
    _, _, now = play(chain, lambda *_: Failure(RATE_LIMITED, 30))
    word = chain.last_word(now)
    assert word.is_all_limited
    assert word.retry_after_s == 30


def test_what_is_down_is_asked_after_all_where_no_other_model_can_be() -> None:
    board = Board(ONE)
    board.begin(ONE[0], "small", 0.0)
    board.failed(ONE[0], "small", RATE_LIMITED, 0.0, advice=Advice(60.0, "header"), rng=middle)
    down(board, ONE[0])
    lines, end, _ = play(chain_of(board, ONE), lambda *_: None, now=0.1)
    assert (lines, end) == (["big at a/key-1"], "answered")
    down(board, ONE[0])
    chain = chain_of(board, ONE)
    lines, _, now = play(chain, lambda *_: SERVER_ERROR, now=0.1)
    assert lines == ["big at a/key-1"], "an outage that is known costs one attempt"
    assert chain.last_word(now).fault is SERVER_ERROR


def test_each_model_has_its_own_retries() -> None:
    chain = chain_of(Board(TWO), TWO, 3)
    lines, _, now = play(chain, lambda *_: CONNECT_REFUSED)
    asked = [line.split(" ")[0] for line in lines if not line.startswith("wait")]
    assert set(asked) == set(MODELS)
    assert max(asked.count(model) for model in MODELS) <= RetryConfig().max_retries + 1
    assert chain.last_word(now).attempts == len(asked)


def test_waiting_counts_over_all_models() -> None:
    chain = chain_of(Board(ONE), ONE)
    lines, end, _ = play(chain, lambda *_: Failure(RATE_LIMITED, 7))
    waits = [float(line.split(" ")[1]) for line in lines if line.startswith("wait")]
    assert sum(waits) <= 10
    assert end == "all limited"


def test_all_models_limited_everywhere_is_told_with_the_soonest_reset() -> None:
    chain = chain_of(Board(ONE), ONE)
    waits = {"big": 90.0, "small": 30.0}
    _, _, now = play(chain, lambda model, _: Failure(RATE_LIMITED, waits[model]))
    word = chain.last_word(now)
    assert word.is_all_limited
    assert word.retry_after_s == 30
    assert word.attempts == 2


def test_the_last_word_points_at_the_fault_among_all_that_were_met() -> None:
    chain = chain_of(Board(ONE), ONE)
    _, _, now = play(chain, lambda model, _: Failure(RATE_LIMITED, 60) if model == "big" else QUOTA)
    word = chain.last_word(now)
    assert not word.is_all_limited
    assert word.index is not None
    assert chain.faults[word.index] is word.fault is QUOTA


def test_time_that_is_up_ends_the_chain() -> None:
    chain = chain_of(Board(ONE), ONE, deadline=5.0)
    lines, end, now = play(chain, lambda *_: Failure(SERVER_ERROR, took_s=6.0))
    assert (lines, end) == (["big at a/key-1"], "deadline")
    assert chain.last_word(now).fault is DEADLINE


def test_a_late_first_token_is_worth_a_move_to_another_model() -> None:
    chain = chain_of(Board(ONE), ONE)
    chain.next(0.0, middle)
    chain.began(ONE[0], 0.0)
    assert chain.has_alternative(1.0)


def test_a_model_that_stays_down_is_not_asked_by_every_request_again_and_again() -> None:
    board = Board(ONE)
    asked = [0] * 40
    for request in range(40):
        lines, end, _ = play(
            chain_of(board, ONE),
            lambda model, _: SERVER_ERROR if model == "big" else None,
            now=float(request),
        )
        assert end == "answered"
        asked[request] = lines.count("big at a/key-1")
    assert sum(asked[20:]) <= 1.2 * 20
