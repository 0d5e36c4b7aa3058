"""What a finished request looks like as spans, and whose ids its upstreams were told."""

from typing import Any

import pytest

from llm_proxy.domain.record import Attempt, Outcome
from llm_proxy.domain.usage import Usage
from llm_proxy.telemetry.conventions import LONG_KNOWN, NEWER, names_for
from llm_proxy.telemetry.otel import QUEUE_RECORDS, Otel
from llm_proxy.telemetry.spans import AttemptSpan, Peer, exchange_of
from llm_proxy.telemetry.trace import lines_up, parent_of, parts_of, span_id_of
from tests.support.records import make_record

PEERS = {"upstream-1": Peer("", "llm.example", 443), "claude": Peer("anthropic", "a.example", 443)}


def attempt(upstream: str = "upstream-1", **given: Any) -> Attempt:
    """Return an attempt that answered."""
    return Attempt(upstream, "key-1 …ab12", **({"status": 200, "total_ms": 100.0} | given))


def spans_of(**given: Any) -> list[AttemptSpan]:
    """Return the spans of a record's attempts."""
    return exchange_of(make_record(**given), None, PEERS, LONG_KNOWN).attempts


def told(span: AttemptSpan, name: str) -> Any:
    """Return an attribute, or None."""
    return span.attributes.get(name)


def test_an_upstream_is_told_the_id_of_the_span_that_asked_it() -> None:
    """The header is made before the attempt, the span long after it; replays come in between."""
    records: list[Attempt] = []
    headers: list[str] = []
    for is_replayed in (False, True, False, True, True):
        line = lines_up("01KB", [], records, lambda _: True).decode()
        headers.append(line.split("-")[2])
        records.append(attempt())
        if is_replayed:  # the request of the same attempt, head and all, once more
            records.insert(-1, attempt(fault="reset"))
            records[-1].why = "replay"
    ids = [span_id_of("01KB", part) for part in parts_of(records)]
    assert len(set(ids)) == len(records) == 8
    kept = [f"{one:016x}" for one, record in zip(ids, records, strict=True) if not record.fault]
    assert kept == headers


@pytest.mark.parametrize(
    ("value", "is_sound"),
    [
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff", True),
        (b"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes-later", True),
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", False),
        (b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", False),
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", False),
        (b"00-00000000000000000000000000000000-b7ad6b7169203331-01", False),
        (b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", False),
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n", False),
        (b"", False),
    ],
)
def test_a_traceparent_is_read_by_the_letter_of_its_standard(value: bytes, is_sound: bool) -> None:
    assert (parent_of([(b"traceparent", value)]) is not None) is is_sound


def test_tokens_belong_to_the_attempt_that_answered() -> None:
    usage = Usage(input=9, output=4, cache_write=2)
    failed, answered = spans_of(usage=usage, attempts=[attempt(fault="rate_limited"), attempt()])
    assert told(failed, "gen_ai.usage.input_tokens") is None
    assert told(answered, "gen_ai.usage.input_tokens") == 9
    assert told(answered, "gen_ai.usage.cache_creation.input_tokens") == 2
    (cut,) = spans_of(usage=usage, attempts=[attempt(fault="stream_cut")], outcome=Outcome.CUT)
    assert told(cut, "gen_ai.usage.output_tokens") == 4


def test_first_content_belongs_to_the_attempt_it_came_from() -> None:
    attempts = [
        attempt(start_ms=0.0, fault="first_byte_late"),
        attempt(start_ms=150.0, fault="stream_cut"),
        attempt(start_ms=300.0),
    ]
    late, first, rescue = spans_of(first_token_ms=200.0, attempts=attempts)
    assert [one.first_chunk_s for one in (late, first, rescue)] == [None, 0.05, None]


def test_a_client_that_left_is_nobodys_failure() -> None:
    (left,) = spans_of(attempts=[attempt(fault="client_gone")], outcome=Outcome.CLIENT_GONE)
    assert not left.is_failed
    assert told(left, "error.type") == "client_gone"


@pytest.mark.parametrize(
    ("format_", "upstream", "provider"),
    [
        pytest.param("chat", "upstream-1", "openai", id="by_the_format_where_unknown"),
        pytest.param("messages", "upstream-1", "anthropic", id="by_the_other_format"),
        pytest.param("chat", "claude", "anthropic", id="by_the_host_where_known"),
        pytest.param("chat", "gone after a reload", "openai", id="of_an_upstream_no_more"),
    ],
)
def test_a_provider_is_named(format_: str, upstream: str, provider: str) -> None:
    (span,) = spans_of(format=format_, attempts=[attempt(upstream)])
    assert told(span, "gen_ai.provider.name") == provider


def test_no_part_of_a_key_and_no_word_of_an_upstream_is_told() -> None:
    record = make_record(error="said SECRET", attempts=[attempt(reason="SECRET", fault="quota")])
    exchange = exchange_of(record, None, PEERS, LONG_KNOWN)
    values = str([exchange.span.attributes, exchange.attempts[0].attributes])
    assert "SECRET" not in values
    assert "ab12" not in values


def test_an_attempt_never_outlasts_its_request() -> None:
    record = make_record(total_ms=50.0, attempts=[attempt(start_ms=60.0, total_ms=100.0)])
    exchange = exchange_of(record, None, PEERS, LONG_KNOWN)
    (below,) = exchange.attempts
    assert below.start_ns <= below.end_ns <= exchange.span.end_ns


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("", LONG_KNOWN),
        ("http", LONG_KNOWN),
        ("http, gen_ai_latest_experimental", NEWER),
    ],
)
def test_the_newer_names_have_to_be_asked_for(asked: str, names: object) -> None:
    assert names_for(asked) is names


def test_what_does_not_fit_the_queue_is_left_out_and_counted() -> None:
    otel = Otel(LONG_KNOWN, {}, has_traces=False, has_metrics=False)
    for n in range(QUEUE_RECORDS + 7):  # its thread was not started: nobody takes any
        otel.submit(make_record(n), [])
    assert otel.dropped == 7
    otel.start()
    assert otel.stop(10.0)
    assert otel.dropped == 7
