"""Targets, and a driver that plays a request on a virtual clock and writes down what happened."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from llm_proxy.domain.faults import Fault
from llm_proxy.domain.secret import Secret
from llm_proxy.domain.target import Key, Target, Upstream, targets_of
from llm_proxy.policy.board import Board
from llm_proxy.policy.choose import Pick, Wait
from llm_proxy.policy.limits_seen import Advice
from llm_proxy.policy.plan import Plan
from llm_proxy.policy.retry import GiveUp


def middle() -> float:
    """Chance without surprise: no jitter to either side."""
    return 0.5


def upstream(
    name: str = "a",
    *,
    keys: int = 1,
    host: str | None = None,
    weight: float = 1.0,
    priority: int = 0,
    secret: str = "sk",
    max_concurrency: int = 0,
) -> Upstream:
    return Upstream(
        name=name,
        scheme="https",
        host=host or f"{name}.test",
        port=443,
        root="/v1",
        keys=tuple(
            Key(f"key-{n} …{n}", Secret(f"{secret}-{name}-{n}")) for n in range(1, keys + 1)
        ),
        weight=weight,
        priority=priority,
        max_concurrency=max_concurrency,
    )


def targets(*upstreams: Upstream) -> tuple[Target, ...]:
    return targets_of(upstreams or (upstream("a"), upstream("b")))


class Failure(NamedTuple):
    """How an attempt of the script ends."""

    fault: Fault
    wait_s: float | None = None
    took_s: float = 0.0


Ending = Fault | Failure | None
"""None = it answers."""


class Course(NamedTuple):
    """What happened to a request.

    Attributes:
        lines: `a/key-1 healthy`, `wait 0.40 back-off`, …, in order.
        end: `answered`, or why it was given up.
        now: When it ended.
        plan: The plan, for its last word.
    """

    lines: list[str]
    end: str
    now: float
    plan: Plan


def play(
    board: Board,
    candidates: Sequence[Target],
    script: Mapping[str, Sequence[Ending]] | Callable[[str, float], Ending],
    *,
    now: float = 0.0,
    model: str = "m",
    deadline: float = float("inf"),
    is_repeatable: bool = True,
    affinity: bytes | None = None,
    rng: Callable[[], float] = middle,
) -> Course:
    """Play one request.

    Args:
        script: Endings per target id, one per attempt, the last repeated; a target that is not
            named answers. Or a function of target id and time.
    """
    plan = Plan(
        board,
        candidates,
        model=model,
        deadline=deadline,
        is_repeatable=is_repeatable,
        affinity=affinity,
    )
    lines: list[str] = []
    used: dict[str, int] = {}
    for _ in range(1000):
        step = plan.next(now, rng)
        if isinstance(step, GiveUp):
            return Course(lines, step.reason, now, plan)
        if isinstance(step, Wait):
            lines.append(f"wait {step.until - now:.2f} {step.why}")
            now = step.until
            continue
        assert isinstance(step, Pick)
        name = step.target.id
        lines.append(f"{name} {step.why}")
        plan.began(step.target, now)
        if callable(script):
            ending = script(name, now)
        else:
            endings = script.get(name, (None,))
            ending = endings[min(used.get(name, 0), len(endings) - 1)]
        used[name] = used.get(name, 0) + 1
        if ending is None:
            plan.answered(step.target, now)
            return Course(lines, "answered", now, plan)
        failure = ending if isinstance(ending, Failure) else Failure(ending)
        now += failure.took_s
        plan.failed(
            step.target,
            failure.fault,
            now,
            advice=None if failure.wait_s is None else Advice(failure.wait_s, "header"),
            rng=rng,
            took_s=failure.took_s,
        )
    raise AssertionError("the request never ends")
