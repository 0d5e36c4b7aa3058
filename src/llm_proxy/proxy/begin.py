"""How an attempt begins: what it asks whom, and its line in the record."""

from typing import TYPE_CHECKING

from llm_proxy.domain.record import Attempt as AttemptRecord
from llm_proxy.policy.chain import Course
from llm_proxy.policy.choose import Pick

from .attempt import Attempt

if TYPE_CHECKING:
    from .exchange import Exchange


def begin(exchange: "Exchange", plan: Course, pick: Pick, model: str | None) -> Attempt:
    """Start an attempt at the target that was picked.

    Args:
        exchange: Whose request is sent.
        plan: Learns of it.
        pick: Whom to ask.
        model: The model's name there.
    """
    core, call, rescue = exchange.core, exchange.call, exchange.rescue
    assert call is not None
    now = core.loop.time()
    target = pick.target
    first_token_s = target.upstream.timeouts.first_token_s if call.is_stream else 0.0
    attempt = exchange.attempt = Attempt(
        core.loop,
        core.pools[target],
        call if rescue is None else rescue.call,
        model,
        deadline=exchange.deadline,
        first_token_s=first_token_s,
        beat=exchange.beat,
    )
    if rescue is not None:
        attempt.rewriter = rescue.rewriter()
    exchange.records.append(
        AttemptRecord(
            upstream=target.upstream.name,
            key=target.key.label,
            model=model,
            why=pick.why if rescue is None else rescue.why(pick),
            start_ms=exchange.elapsed_ms(),
            wait_ms=(now - exchange.waited_from) * 1000 if exchange.waited_from else 0.0,
        )
    )
    exchange.waited_from = 0.0
    plan.began(target, now)
    if first_token_s and not plan.has_alternative(now):
        attempt.first_token_s = 0.0
    attempt.start()
    return attempt
