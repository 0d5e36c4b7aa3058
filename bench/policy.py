"""What policy costs a request that meets no fault: plan, choice, and learning from the answer."""

import random
from time import perf_counter

from llm_proxy.domain.secret import Secret
from llm_proxy.domain.target import Key, Target, Upstream, targets_of
from llm_proxy.policy.board import Board
from llm_proxy.policy.choose import Pick
from llm_proxy.policy.plan import Plan

_BATCH = 2_000
_BATCHES = 30


def _targets(count: int) -> tuple[Target, ...]:
    return targets_of(
        tuple(
            Upstream(
                name=f"upstream-{number}",
                scheme="https",
                host=f"host-{number}.test",
                port=443,
                root="/v1",
                keys=(Key(f"key-{number}", Secret(f"sk-bench-{number}")),),
            )
            for number in range(count)
        )
    )


def policy_us(count: int) -> list[float]:
    """Return microseconds per request with `count` targets, one value per batch."""
    targets = _targets(count)
    board = Board(targets)
    rng = random.Random(1).random
    found: list[float] = []
    for batch in range(_BATCHES + 1):
        began = perf_counter()
        for turn in range(_BATCH):
            now = batch + turn * 1e-3
            plan = Plan(board, targets, model="m", deadline=now + 600.0)
            step = plan.next(now, rng)
            assert isinstance(step, Pick)
            plan.began(step.target, now)
            plan.answered(step.target, now)
        found.append((perf_counter() - began) / _BATCH * 1e6)
    return found[1:]  # the first one warms up
