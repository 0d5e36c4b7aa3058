"""The one door by which every exchange leaves: connection, record, counters, whatever happened."""

from typing import TYPE_CHECKING

from llm_proxy.domain.record import Record

if TYPE_CHECKING:
    from .exchange import Exchange

MAX_PATH = 200
MAX_MODEL = 200
MAX_CLIENT = 120


def finish(exchange: "Exchange") -> None:
    """Release the client's connection and report the exchange; never raises for a client gone."""
    client = exchange.client
    sent_bytes = client.sent_bytes
    client.finish()
    exchange.core.report(record_of(exchange, sent_bytes))


def record_of(exchange: "Exchange", sent_bytes: int) -> Record:
    """Return what is remembered of a finished exchange."""
    visit, call = exchange.visit, exchange.call
    request = visit.request
    attempt = exchange.answered_by
    redact = exchange.core.redact
    model = call.model if call is not None else None
    return Record(
        id=visit.id,
        at_ms=visit.at_ms,
        format=visit.format.name if visit.endpoint.format != "other" else "other",
        method=request.method,
        path=redact(visit.path.decode("ascii", "replace"))[:MAX_PATH],
        outcome=exchange.outcome,
        status=exchange.status,
        caller=visit.caller.name,
        client=_text(request.fields.get(b"user-agent"), MAX_CLIENT),
        model=model[:MAX_MODEL] if model is not None else None,
        served=attempt.model if attempt is not None else None,
        upstream=attempt.target.upstream.name if attempt is not None else None,
        key=attempt.target.key.label if attempt is not None else None,
        stream=call.is_stream if call is not None else False,
        error=exchange.error,
        attempts=exchange.records,
        first_token_ms=exchange.first_token_ms,
        total_ms=exchange.elapsed_ms(),
        usage=exchange.usage,
        bytes_up=len(request.body),
        bytes_down=sent_bytes,
        notice=visit.notice or None,
        broken_events=exchange.broken_events,
    )


def _text(value: bytes | None, limit: int) -> str | None:
    return value[:limit].decode("utf-8", "replace") if value else None
