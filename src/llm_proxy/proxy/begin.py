"""How an attempt begins: what it asks whom, and its line in the record."""

from typing import TYPE_CHECKING

import msgspec

from llm_proxy.domain.errors import RequestError
from llm_proxy.domain.faults import RESET
from llm_proxy.domain.record import Attempt as AttemptRecord
from llm_proxy.domain.target import Target
from llm_proxy.policy.chain import Course
from llm_proxy.policy.choose import Pick

from .attempt import Attempt
from .call import Call
from .judge import Verdict
from .look import look_at
from .patience import FirstToken
from .retelling import rewriter_of
from .table import Route
from .translation import TranslatedCall, repaired_call, translated_call

if TYPE_CHECKING:
    from .exchange import Exchange

REPAIR = "repair"
"""Why a request is sent again to who has just refused a preference in it."""


def begin(
    exchange: "Exchange",
    plan: Course,
    pick: Pick,
    model: str | None,
    translated: TranslatedCall | None = None,
) -> Attempt:
    """Start an attempt at the target that was picked.

    Args:
        exchange: Whose request is sent.
        plan: Learns of it.
        pick: Whom to ask.
        model: The model's name there.
        translated: The request in the target's format; None = it speaks the client's.
    """
    rescue = exchange.rescue
    now = exchange.core.loop.time()
    call = translated or asked_of(exchange)
    why = pick.why if rescue is None else rescue.why(pick)
    wait_ms = (now - exchange.waited_from) * 1000 if exchange.waited_from else 0.0
    exchange.waited_from = 0.0
    attempt = _make(exchange, pick.target, model, call, why=why, wait_ms=wait_ms)
    plan.began(pick.target, now)
    attempt.start()
    if pick.looks:
        look_at(exchange.core, pick.looks)
    return attempt


async def begin_translated(
    exchange: "Exchange", plan: Course, pick: Pick, route: Route
) -> Attempt | None:
    """Start an attempt at a target that speaks another format than the client.

    None: there is none. The client has left, or the request holds what that format cannot carry:
    then the target has been passed over, or the rescue asks otherwise.
    """
    call, rescue = asked_of(exchange), exchange.rescue
    target = pick.target
    model = route.names.get(target.id)
    try:
        translated = await translated_call(
            exchange.core, call, target, model or "", route.foreign[target.id]
        )
    except RequestError as error:
        if rescue is None or not rescue.rephrase():
            exchange.refused = exchange.refused or error
            plan.pass_over(target)
        return None
    if exchange.is_gone:
        plan.pass_over(target)  # and leave the place to the next in line
        return None
    return begin(exchange, plan, pick, model, translated)


async def begin_mended(
    exchange: "Exchange", plan: Course, failed: Attempt, verdict: Verdict
) -> Attempt | None:
    """Send a translated request again, once, without the preference that the target refused.

    None: it stays refused, or the client has left.
    """
    call, fault, signal = failed.call, verdict.fault, verdict.signal
    if not isinstance(call, TranslatedCall) or fault is None or signal is None:
        return None
    if exchange.records[-1].why == REPAIR:
        return None
    mended = await repaired_call(exchange.core, call, failed.target, failed.status, signal)
    if mended is None or exchange.is_gone:
        return None
    exchange.note(failed, fault, signal)
    plan.replayed()
    attempt = _make(exchange, failed.target, failed.model, mended, why=REPAIR)
    attempt.start()
    return attempt


def note_replay(exchange: "Exchange", plan: Course) -> None:
    """Put into the record that the newest attempt's request was written twice.

    The upstream may have seen both.
    """
    plan.replayed()
    again = exchange.records[-1]
    first = msgspec.structs.replace(again, fault=RESET.name, cost="unknown")
    first.reason = "a kept connection was closed by the upstream"
    again.why, again.wait_ms = "replay", 0.0
    exchange.records.insert(-1, first)


def asked_of(exchange: "Exchange") -> Call:
    """Return what is asked: the client's request, or the one that goes on with its answer."""
    call = exchange.call if exchange.rescue is None else exchange.rescue.call
    assert call is not None
    return call


def _make(
    exchange: "Exchange",
    target: Target,
    model: str | None,
    call: Call,
    *,
    why: str,
    wait_ms: float = 0.0,
) -> Attempt:
    core, rescue, plan = exchange.core, exchange.rescue, exchange.plan
    assert plan is not None
    if core.tracer is not None:
        visit = exchange.visit
        call.trace = core.tracer.lines_up(visit.id, visit.request.headers, exchange.records)
    limit_s = target.upstream.timeouts.first_token_s if call.is_stream else 0.0
    attempt = exchange.attempt = Attempt(
        core.loop,
        core.pools[target],
        call,
        model,
        deadline=exchange.deadline,
        first_token=FirstToken(limit_s, plan.has_alternative) if limit_s else None,
        beat=exchange.beat,
    )
    if rescue is not None:
        attempt.rewriter = rescue.rewriter()
    if isinstance(call, TranslatedCall):
        attempt.rewriter = rewriter_of(call, attempt.rewriter)
    exchange.records.append(
        AttemptRecord(
            upstream=target.upstream.name,
            key=target.key.label,
            model=core.shown_model(model),
            why=why,
            start_ms=exchange.elapsed_ms(),
            wait_ms=wait_ms,
        )
    )
    return attempt
