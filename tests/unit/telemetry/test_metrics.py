"""What a scrape shows is what happened, with labels nobody outside can multiply."""

import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llm_proxy.domain.record import Attempt, Outcome, Record
from llm_proxy.domain.usage import Usage
from llm_proxy.telemetry.exposition import CONTENT_TYPE, render
from llm_proxy.telemetry.metrics import Metrics


def record(**given: object) -> Record:
    fields: dict[str, object] = {
        "id": "01",
        "at_ms": 1,
        "format": "chat",
        "method": "POST",
        "path": "/v1/chat/completions",
        "outcome": Outcome.OK,
        "status": 200,
        "total_ms": 812.0,
    }
    return Record(**(fields | given))  # type: ignore[arg-type]


def scrape(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = render(metrics, metrics.read()).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_rescued_request_counts_once_and_its_attempts_each() -> None:
    metrics = Metrics()
    attempts = [
        Attempt("upstream-1", "key-1", fault="rate_limited", status=429),
        Attempt("upstream-1", "key-2", status=200),
    ]
    metrics.on_record(record(attempts=attempts, usage=Usage(input=12, output=3)))
    seen = scrape(metrics)
    assert seen["llm_proxy_requests_total", (("format", "chat"), ("outcome", "ok"))] == 1
    assert seen["llm_proxy_responses_total", (("status", "2xx"),)] == 1
    assert seen["llm_proxy_attempts_total", (("fault", "rate_limited"),)] == 1
    assert seen["llm_proxy_attempts_total", (("fault", "none"),)] == 1
    assert seen["llm_proxy_rescued_total", ()] == 1
    assert seen["llm_proxy_tokens_total", (("direction", "input"),)] == 12
    assert metrics.totals.rate_limits_met == 1


def test_times_fall_into_buckets_that_add_up() -> None:
    metrics = Metrics()
    for total_ms in (4.0, 5.0, 900.0, 10_000_000.0):
        metrics.on_record(record(total_ms=total_ms, first_token_ms=total_ms / 2))
    seen = scrape(metrics)
    bucket = "llm_proxy_request_seconds_bucket"
    assert seen[bucket, (("le", "0.005"),)] == 2
    assert seen[bucket, (("le", "1.0"),)] == 3
    assert seen[bucket, (("le", "600.0"),)] == 3
    assert seen[bucket, (("le", "+Inf"),)] == 4
    assert seen["llm_proxy_request_seconds_count", ()] == 4
    assert seen["llm_proxy_request_seconds_sum", ()] == pytest.approx(10_000.909)
    assert seen["llm_proxy_first_token_seconds_count", ()] == 4


def test_words_from_outside_never_become_labels() -> None:
    metrics = Metrics()
    before = len(scrape(metrics))
    for n in range(50):
        attempts = [Attempt("u", "k", fault=f"made-up-{n}")]
        metrics.on_record(
            record(format=f"f{n}", status=n * 97, model=f"canary-model-{n}", attempts=attempts)
        )
    assert len(scrape(metrics)) == before
    assert b"canary-model" not in render(metrics, metrics.read())
    assert metrics.outcomes["other", Outcome.OK] == 50
    assert metrics.faults["other"] == 50


def test_readings_are_asked_at_each_scrape() -> None:
    metrics = Metrics()
    in_flight = {"n": 3.0}
    metrics.register_gauge("in_flight", "Requests in flight.", lambda: in_flight["n"])
    metrics.register_gauge(
        "cooling", "Keys cooling.", lambda: {"upstream-1": 2, 'odd "name"\n': 0}, label="upstream"
    )
    metrics.register_counter("log_lines_dropped", "Lines lost.", lambda: 7)
    assert scrape(metrics)["llm_proxy_in_flight", ()] == 3
    in_flight["n"] = 4.0
    seen = scrape(metrics)
    assert seen["llm_proxy_in_flight", ()] == 4
    assert seen["llm_proxy_cooling", (("upstream", "upstream-1"),)] == 2
    assert seen["llm_proxy_cooling", (("upstream", 'odd "name"\n'),)] == 0
    assert seen["llm_proxy_log_lines_dropped_total", ()] == 7


@pytest.mark.parametrize("name", ["In-Flight", "", "taken", "9lives"])
def test_a_bad_metric_name_is_refused_at_registration(name: str) -> None:
    metrics = Metrics()
    metrics.register_gauge("taken", "x", lambda: 0)
    with pytest.raises(ValueError, match="malformed or taken"):
        metrics.register_gauge(name, "x", lambda: 0)


def test_the_process_itself_is_measured() -> None:
    assert ("process_open_fds", ()) in scrape(Metrics())
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")


def test_the_prometheus_library_is_not_imported_at_the_start() -> None:
    code = (
        "import sys, llm_proxy.telemetry.metrics, llm_proxy.telemetry.exposition;"
        "sys.exit('prometheus_client' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_attribute_of_the_counters_can_be_set() -> None:
    metrics = Metrics()
    for name in Metrics.__slots__:
        setattr(metrics, name, getattr(metrics, name))
