"""The one door by which every exchange leaves: connection, record, counters, whatever happened."""

from typing import TYPE_CHECKING

from llm_proxy.domain.record import Record

if TYPE_CHECKING:
    from .exchange import Exchange

MAX_MODEL = 200


def finish(exchange: "Exchange") -> None:
    """Release the client's connection and report the exchange; never raises for a client gone."""
    exchange.core.exchanges.discard(exchange)
    client = exchange.client
    sent_bytes = client.sent_bytes
    client.finish()
    exchange.core.report(record_of(exchange, sent_bytes))


def record_of(exchange: "Exchange", sent_bytes: int) -> Record:
    """Return what is remembered of a finished exchange."""
    visit, call = exchange.visit, exchange.call
    admission = visit.admission
    attempt = exchange.answered_by
    model = call.model if call is not None else None
    return Record(
        id=visit.id,
        at_ms=visit.at_ms,
        format=admission.endpoint.format,
        method=visit.request.method,
        path=admission.path_text,
        outcome=exchange.outcome,
        status=exchange.status,
        caller=admission.caller.name,
        client=admission.client_text,
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
        bytes_up=len(visit.request.body),
        bytes_down=sent_bytes,
        notice=admission.notice or None,
        broken_events=exchange.broken_events,
    )
