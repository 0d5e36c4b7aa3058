"""From the commit to the last byte: the answer goes down, and ends as it really ended."""

import asyncio
from typing import TYPE_CHECKING

import msgspec

from llm_proxy.domain.faults import CANCELLED, CLIENT_GONE, SHUT_DOWN, Answer, Fault
from llm_proxy.domain.record import Outcome
from llm_proxy.formats.translate.errors import translated_error
from llm_proxy.policy.chain import Course
from llm_proxy.policy.classify import classify
from llm_proxy.policy.limits_seen import spent
from llm_proxy.wire.head import LAST_CHUNK, chunk

from . import answer
from .attempt import Attempt
from .judge import after_commit, meaning
from .keep import remember
from .mode import PASS, WHOLE
from .refusal import words_of
from .relay import StreamRelay
from .translation import TranslatedCall

if TYPE_CHECKING:
    from .exchange import Exchange


async def deliver(exchange: "Exchange", plan: Course, attempt: Attempt) -> None:
    """Send an attempt's answer to the client, to its end."""
    core, client = exchange.core, exchange.client
    exchange.answered_by = attempt
    exchange.outcome = Outcome.OK
    if attempt.call.is_kept:
        remember(core, attempt.call, attempt)
    left_s = spent(attempt.fields, wall_s=core.wall_ms() / 1000)
    if attempt.mode is WHOLE:
        _send_whole(exchange, attempt)
        plan.answered(attempt.target, core.loop.time(), spent_s=left_s)
        exchange.note(attempt, None, None)
        return
    length = _declared_length(attempt) if attempt.mode is PASS else None
    is_chunked = exchange.is_chunked and length is None and _has_body(exchange, attempt)
    if not exchange.has_begun:
        client.write(_head(exchange, attempt, length))
    elif comment := _comment(attempt):
        client.write(chunk(comment) if is_chunked else comment)
    rescue = None
    if attempt.relay is not None:
        exchange.first_token_ms = exchange.elapsed_ms()
        rescue = exchange.rescue
    if rescue is None:
        # Nobody else will be asked, and streams are long: what was asked makes room.
        client.release_body()
        attempt.call.forget_body()
    fault = await _flow(exchange, plan, attempt, left_s, is_chunked=is_chunked)
    while fault is not None and rescue is not None:
        heir = await rescue.heir_of(exchange, plan, attempt, fault)
        if heir is None:
            break
        attempt = exchange.answered_by = heir
        left_s = spent(attempt.fields, wall_s=core.wall_ms() / 1000)
        fault = await _flow(exchange, plan, attempt, left_s, is_chunked=is_chunked)
    _end(exchange, attempt, fault, is_chunked=is_chunked)


def _send_whole(exchange: "Exchange", attempt: Attempt) -> None:
    body = attempt.parts[0]
    if attempt.key in body:
        body = body.replace(attempt.key, b"*" * len(attempt.key))
    if exchange.has_begun:  # only what is told anew as events comes here
        body = _comment(attempt) + body
        exchange.client.write(chunk(body) + LAST_CHUNK if exchange.is_chunked else body)
        return
    length = _declared_length(attempt) if exchange.request.method == "HEAD" else len(body)
    exchange.client.write(_head(exchange, attempt, length) + body)


async def _flow(
    exchange: "Exchange",
    plan: Course,
    attempt: Attempt,
    left_s: float | None,
    *,
    is_chunked: bool,
) -> Fault | None:
    """Let an answer flow to its end; return how it broke, if it did."""
    core, rescue = exchange.core, exchange.rescue
    plan.committed(core.loop.time(), spent_s=left_s)
    # From here the client's own deadline alone ends a living stream.
    attempt.deadline = core.client_deadline_of(exchange.visit)
    attempt.headers.clear()
    attempt.fields = {}  # the pool may still look at them
    if rescue is not None:
        rescue.adopt()
    attempt.follow(exchange.client, is_chunked=is_chunked)
    try:
        await attempt.settled
    except asyncio.CancelledError as error:
        # The drain time is over, or the owner ended it. The client is told within its stream, as
        # of any other break; this coroutine ends just below anyway.
        attempt.abort(CANCELLED if error.args else SHUT_DOWN)
    return _learn(exchange, plan, attempt)


def _learn(exchange: "Exchange", plan: Course, attempt: Attempt) -> Fault | None:
    """Learn from an answer that has flowed; return how it broke, if it did."""
    relay, fault = attempt.relay, attempt.fault
    now = exchange.core.loop.time()
    if relay is not None:
        exchange.usage = relay.watch.usage
        exchange.broken_events += relay.broken_events
    if exchange.is_gone:
        plan.gone(attempt.target)
        exchange.note(attempt, CLIENT_GONE, None)
        return None
    if fault is None:
        plan.answered(attempt.target, now)
        exchange.note(attempt, None, None)
        return None
    fault = after_commit(fault)
    plan.failed(attempt.target, meaning(attempt, fault), now, rng=exchange.core.rng)
    exchange.note(attempt, fault, attempt.signal)
    return fault


def _end(exchange: "Exchange", attempt: Attempt, fault: Fault | None, *, is_chunked: bool) -> None:
    """Close an answer that was flowing, honestly."""
    client, relay, rescue = exchange.client, attempt.relay, exchange.rescue
    if exchange.is_gone:
        exchange.outcome = Outcome.CLIENT_GONE
        return
    if fault is not None:
        exchange.outcome = Outcome.CUT
        if rescue is not None and rescue.cause is not None:
            fault = rescue.cause  # what went wrong while it was mended is nothing to the client
        exchange.error = fault.says
        if relay is None:
            client.reset()  # only a broken transport tells the client that the body is not whole
            return
        if not relay.is_told:
            event = _failure(exchange, attempt, relay, fault)
            client.write(chunk(event) if is_chunked else event)
    if is_chunked:
        client.write(LAST_CHUNK)


def _failure(exchange: "Exchange", attempt: Attempt, relay: StreamRelay, fault: Fault) -> bytes:
    """Return the event that tells the client of a break, in the upstream's words if it had any.

    They are said anew where the upstream's own event was kept from the client, since it is of
    another format, or since the stream was to go on elsewhere.
    """
    rescue = exchange.rescue
    signal = attempt.signal if rescue is None or rescue.cause is None else rescue.signal
    if signal is None or relay.rewriter is None or classify(signal).answer is Answer.OUR_WORDS:
        return relay.failure(fault)
    signal = msgspec.structs.replace(signal, message=words_of(exchange, signal))
    format_ = exchange.visit.admission.format
    told = translated_error(signal, format_.name, request_id=exchange.visit.id)
    return relay.rewriter.failure(told.status, told.code, told.message or fault.says)


def _head(exchange: "Exchange", attempt: Attempt, length: int | None) -> bytes:
    exchange.status = attempt.status
    drop = answer.DECODED if attempt.is_decoded else answer.NOTHING
    extra: list[bytes] = []
    if isinstance(attempt.call, TranslatedCall):
        drop, extra = answer.RETOLD, attempt.call.lines_down()
    return answer.upstream_head(
        attempt.status,
        attempt.headers,
        attempt.fields,
        exchange.stamp(),
        length=length if attempt.status not in (204, 304) else None,
        is_chunked=exchange.is_chunked and _has_body(exchange, attempt),
        key=attempt.key,
        drop=drop,
        extra=extra,
    )


def _comment(attempt: Attempt) -> bytes:
    """Return what the head would have said, had it not gone out before the answer was known."""
    return attempt.call.comment_down() if isinstance(attempt.call, TranslatedCall) else b""


def _declared_length(attempt: Attempt) -> int | None:
    length = attempt.fields.get(b"content-length", b"")
    return int(length) if length.isdigit() else None


def _has_body(exchange: "Exchange", attempt: Attempt) -> bool:
    """Return whether bytes follow the head (RFC 9112 section 6.3)."""
    return exchange.request.method != "HEAD" and attempt.status not in (204, 304)
