"""What a finished request looks like as spans: one of ours, and one for each attempt below it.

Plain values, made from the record alone, so everything that leaves for a collector can be read
here. Nothing of it holds a prompt, an answer, an upstream's words or any part of a key: the
reasons that records keep may quote all of these, so spans name the fault instead.
"""

from collections.abc import Mapping

import msgspec

from llm_proxy.domain.record import Attempt, Outcome, Record
from llm_proxy.domain.usage import UNKNOWN, Usage

from .conventions import METHODS, OPERATIONS, ROUTES, Names
from .trace import Parent, parts_of, span_id_of, trace_id_of

Value = str | int | float | bool
CLIENT_GONE = "client_gone"

_FAILED = frozenset((Outcome.UPSTREAM_ERROR, Outcome.CUT))


class Peer(msgspec.Struct, frozen=True):
    """An upstream as spans name it.

    Attributes:
        provider: `gen_ai.provider.name`; empty = who speaks the format.
        address: Host.
        port: TCP port.
        format: The one it speaks; empty = the client's.
    """

    provider: str
    address: str
    port: int
    format: str = ""


class Span(msgspec.Struct):
    """One span.

    Attributes:
        name: Of few different values.
        span_id: 64 bits.
        start_ns: Wall clock.
        end_ns: Wall clock, not before the start.
        is_failed: Whether its status is an error.
        attributes: None of them secret.
    """

    name: str
    span_id: int
    start_ns: int
    end_ns: int
    is_failed: bool
    attributes: dict[str, Value]


class AttemptSpan(Span, kw_only=True):
    """An attempt's span, and what is measured of it.

    Attributes:
        operation: What the model was asked to do; empty = no operation of a model.
        usage: Tokens of its answer.
        first_chunk_s: To the first content of a stream; None = it came to none.
    """

    operation: str
    usage: Usage
    first_chunk_s: float | None


class Exchange(msgspec.Struct):
    """A whole request.

    Attributes:
        trace_id: 128 bits; the client's, or one that begins here.
        parent: The client's span.
        span: The request's own.
        attempts: Below it, in order.
    """

    trace_id: int
    parent: Parent | None
    span: Span
    attempts: list[AttemptSpan]


def exchange_of(
    record: Record, parent: Parent | None, peers: Mapping[str, Peer], names: Names
) -> Exchange:
    """Return the spans of a finished request.

    Args:
        record: What is remembered of it.
        parent: The client's span.
        peers: By the upstream's name.
        names: Which conventions to follow.
    """
    end_ns = _ns(record, record.total_ms)
    span = Span(
        name=_name(record),
        span_id=span_id_of(record.id),
        start_ns=_ns(record, 0.0),
        end_ns=end_ns,
        is_failed=record.outcome in _FAILED or record.status >= 500,
        attributes=_attributes(record),
    )
    answered = _answered(record)
    attempts = [
        _attempt_span(
            record,
            attempt,
            peers.get(attempt.upstream),
            names,
            span_id=span_id_of(record.id, part),
            usage=record.usage if index == answered else UNKNOWN,
            end_ns=end_ns,
        )
        for index, (attempt, part) in enumerate(
            zip(record.attempts, parts_of(record.attempts), strict=True)
        )
    ]
    trace_id = trace_id_of(record.id) if parent is None else parent.trace_id
    return Exchange(trace_id, parent, span, attempts)


def _answered(record: Record) -> int:
    """Return which attempt the record's tokens belong to: the one that answered, or the last."""
    for index in range(len(record.attempts) - 1, -1, -1):
        if record.attempts[index].fault is None:
            return index
    return len(record.attempts) - 1


def _name(record: Record) -> str:
    method = record.method if record.method in METHODS else "HTTP"
    return f"{method} {record.path}" if record.path in ROUTES else method


def _attributes(record: Record) -> dict[str, Value]:
    found: dict[str, Value | None] = {
        "http.request.method": record.method if record.method in METHODS else "_OTHER",
        "http.route": record.path if record.path in ROUTES else None,
        "url.path": record.path,
        "url.scheme": "http",
        "http.response.status_code": record.status or None,
        "user_agent.original": record.client,
        "gen_ai.request.model": record.model,
        "error.type": _error_type(record),
        "llm_proxy.request_id": record.id,
        "llm_proxy.outcome": record.outcome.value,
        "llm_proxy.caller": record.caller,
        "llm_proxy.format": record.format,
        "llm_proxy.stream": record.stream,
        "llm_proxy.upstream": record.upstream,
        "llm_proxy.attempts": len(record.attempts),
        "llm_proxy.cost_usd": record.cost_nano / 1e9 if record.cost_nano is not None else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _error_type(record: Record) -> str | None:
    if record.outcome not in _FAILED and record.status < 500:
        return None
    faults = [attempt.fault for attempt in record.attempts if attempt.fault]
    return faults[-1] if faults else str(record.status or record.outcome.value)


def _attempt_span(
    record: Record,
    attempt: Attempt,
    peer: Peer | None,
    names: Names,
    *,
    span_id: int,
    usage: Usage,
    end_ns: int,
) -> AttemptSpan:
    operation = OPERATIONS.get(record.path, "") if record.method == "POST" else ""
    model = attempt.model or record.model
    start_ns = min(_ns(record, attempt.start_ms), end_ns)
    first_chunk_s = _first_chunk_s(record, attempt)
    found: dict[str, Value | None] = {
        "gen_ai.request.model": model,
        "server.address": peer.address if peer is not None else None,
        "server.port": peer.port if peer is not None else None,
        "http.response.status_code": attempt.status,
        "error.type": attempt.fault,
        "llm_proxy.upstream": attempt.upstream,
        # The label goes on with the last characters of the key.
        "llm_proxy.key": attempt.key.partition(" ")[0],
        "llm_proxy.why": attempt.why,
        "llm_proxy.cost": attempt.cost,
        "llm_proxy.wait_ms": attempt.wait_ms or None,
        "llm_proxy.connect_ms": attempt.connect_ms,
        "llm_proxy.first_byte_ms": attempt.first_byte_ms,
        "llm_proxy.cool_s": attempt.cool_s,
    }
    if operation:
        found |= {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": _provider(record, peer),
            "gen_ai.request.stream": record.stream or None,
            "gen_ai.response.time_to_first_chunk": first_chunk_s,
            "gen_ai.usage.input_tokens": usage.input,
            "gen_ai.usage.output_tokens": usage.output,
            "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
            names.cache_write: usage.cache_write,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
        }
        name = f"{operation} {model}" if model else operation
    else:
        name = record.method if record.method in METHODS else "HTTP"
    return AttemptSpan(
        name=name,
        span_id=span_id,
        start_ns=start_ns,
        end_ns=max(start_ns, min(_ns(record, attempt.start_ms + attempt.total_ms), end_ns)),
        # Nobody failed where the client left.
        is_failed=attempt.fault not in (None, CLIENT_GONE),
        attributes={key: value for key, value in found.items() if value is not None},
        operation=operation,
        usage=usage if operation else UNKNOWN,
        first_chunk_s=first_chunk_s,
    )


def _provider(record: Record, peer: Peer | None) -> str:
    if peer is not None and peer.provider:
        return peer.provider
    spoken = peer.format if peer is not None and peer.format else record.format
    return "anthropic" if spoken == "messages" else "openai"


def _first_chunk_s(record: Record, attempt: Attempt) -> float | None:
    """Return when content came, if it was this attempt's that came first."""
    at_ms = record.first_token_ms
    if not record.stream or at_ms is None or at_ms < attempt.start_ms:
        return None
    if at_ms > attempt.start_ms + attempt.total_ms:
        return None
    return (at_ms - attempt.start_ms) / 1000


def _ns(record: Record, after_ms: float) -> int:
    return record.at_ms * 1_000_000 + int(after_ms * 1_000_000)
