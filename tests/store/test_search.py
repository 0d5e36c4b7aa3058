"""Whatever is asked of the records, a search finds it by an index and in bounded time."""

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llm_proxy.domain.filter import Filter
from llm_proxy.domain.record import Attempt, Outcome, Record
from llm_proxy.domain.record_id import base32, first_id_at
from llm_proxy.domain.tally import REFUSED
from llm_proxy.domain.usage import Usage
from llm_proxy.store import search
from llm_proxy.store.migrate import migrate
from llm_proxy.store.queries import FaultRow, RecordReader
from tests.support.records import BEGIN_MS, Store, make_record

HOUR_MS = 3_600_000
LIMITED = Attempt("upstream-1", "key-1 …ab12", status=429, fault="rate_limited", reason="slow down")
GOOD = Attempt("upstream-2", "key-2 …cd34", status=200)

_numbers = itertools.count()


def at(minutes: float, **given: Any) -> Record:
    """Return a record that arrived so many minutes after the begin, with an id that says so."""
    at_ms = BEGIN_MS + int(minutes * 60_000)
    record_id = first_id_at(at_ms) + base32(next(_numbers), 16)
    return make_record(id=record_id, at_ms=at_ms, **given)


PLAIN = at(0)
RESCUED = at(1, attempts=[LIMITED, GOOD], upstream="upstream-2", key="key-2 …cd34")
BUSY = at(2, outcome=Outcome.RATE_LIMITED, status=429, attempts=[LIMITED], error="all rate limited")
SLOW = at(3, first_token_ms=10_000.0, model="o9-long")
SLOW_JSON = at(4, first_token_ms=None, total_ms=99_000.0, stream=False, client="100%_sure/1.0")
FOREIGN = at(5, caller="friend", client="claude-cli/9")
BAD = at(6, outcome=Outcome.CLIENT_ERROR, status=404, model="<script>", error="no such Model")
REFUSED_ONE = at(7, outcome=Outcome.REFUSED, status=400, attempts=[], upstream=None, key=None)
CUT = at(8, outcome=Outcome.CUT, attempts=[Attempt("upstream-1", "k", fault="stream_cut")])
EVERYTHING = [PLAIN, RESCUED, BUSY, SLOW, SLOW_JSON, FOREIGN, BAD, REFUSED_ONE, CUT]

CASES = [
    pytest.param(Filter(), EVERYTHING, id="nothing_asked"),
    pytest.param(
        Filter(outcomes=frozenset({Outcome.RATE_LIMITED, Outcome.CUT})), [BUSY, CUT], id="outcomes"
    ),
    pytest.param(Filter(is_rescued=True), [RESCUED], id="rescued"),
    pytest.param(Filter(is_slow=True), [SLOW, SLOW_JSON], id="slow"),
    pytest.param(Filter(model="o9-long"), [SLOW], id="model"),
    pytest.param(Filter(upstream="upstream-2"), [RESCUED], id="upstream"),
    pytest.param(Filter(key="key-2 …cd34"), [RESCUED], id="key"),
    pytest.param(Filter(caller="friend"), [FOREIGN], id="caller"),
    pytest.param(Filter(client="CLAUDE"), [FOREIGN], id="client_in_either_case"),
    pytest.param(Filter(client="100%_"), [SLOW_JSON], id="no_character_is_a_pattern"),
    pytest.param(Filter(client="_"), [SLOW_JSON], id="an_underscore_is_itself"),
    pytest.param(Filter(status=(429, 429)), [BUSY], id="status"),
    pytest.param(Filter(status=(400, 499)), [BUSY, BAD, REFUSED_ONE], id="class_of_statuses"),
    pytest.param(Filter(fault="rate_limited"), [RESCUED, BUSY], id="fault"),
    pytest.param(Filter(text="no such model"), [BAD], id="text_in_an_error"),
    pytest.param(Filter(text="SLOW DOWN"), [RESCUED, BUSY], id="text_of_a_provider"),
    pytest.param(Filter(text="<SCRIPT>"), [BAD], id="text_in_a_name"),
    pytest.param(
        Filter(is_rescued=True, model="gpt-5", text="slow"), [RESCUED], id="several_at_once"
    ),
    pytest.param(
        Filter(is_rescued=True, caller="friend"), [], id="several_that_exclude_each_other"
    ),
    pytest.param(
        Filter(since_ms=BEGIN_MS + 6 * 60_000), [BAD, REFUSED_ONE, CUT], id="from_a_time_on"
    ),
    pytest.param(Filter(until_ms=BEGIN_MS + 60_000), [PLAIN], id="before_a_time"),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    store.writer.start()
    yield store
    store.writer.stop(10.0)


@pytest.fixture
def reader(store: Store) -> RecordReader:
    return RecordReader(store.writer.uri)


@pytest.mark.parametrize(("asked", "expected"), CASES)
def test_a_search_finds_what_is_asked_for_newest_first(
    asked: Filter, expected: list[Record], store: Store, reader: RecordReader
) -> None:
    store.submit(*EVERYTHING)
    found = reader.search(asked, 50)
    assert found.records == expected[::-1]
    assert (found.next_id, found.searched_to_ms) == (None, None)
    for size in (1, 2):
        assert in_pieces(reader, asked, size) == expected[::-1]


@pytest.mark.parametrize(("asked", "expected"), CASES)
def test_records_that_are_not_stored_yet_are_judged_alike(
    asked: Filter, expected: list[Record]
) -> None:
    assert [record for record in EVERYTHING if asked.matches(record)] == expected


@pytest.mark.parametrize("asked", [case.values[0] for case in CASES])
def test_no_search_sorts_or_scans_beyond_its_bound(asked: Filter, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x")) as connection:
        migrate(connection, path=None)
        query = search.query_of(asked, limit=50, before_id="01KX")
        for statement, values in ((query.find, query.values), (query.last, query.last_values)):
            steps = connection.execute("EXPLAIN QUERY PLAN " + statement, values).fetchall()
            plan = " / ".join(row[3] for row in steps)
            assert "SEARCH records" in plan, plan
            assert "TEMP B-TREE" not in plan, plan


def test_a_search_for_something_rare_stops_and_says_where(
    store: Store, reader: RecordReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "SCAN_ROWS", 10)
    rare = at(0, error="the needle")
    store.submit(rare, *(at(1 + n) for n in range(25)))
    first = reader.search(Filter(text="needle"), 50)
    assert first.records == []
    assert first.searched_to_ms == BEGIN_MS + 16 * 60_000
    assert in_pieces(reader, Filter(text="needle"), 50) == [rare]


def in_pieces(reader: RecordReader, asked: Filter, size: int) -> list[Record]:
    """Return everything that a search finds, asked for piece by piece."""
    records: list[Record] = []
    before: str | None = None
    for _ in range(100):
        found = reader.search(asked, size, before)
        records += found.records
        before = found.next_id
        if before is None:
            return records
    raise AssertionError("the pieces do not end")


def test_tallies_count_by_steps_of_minutes_and_hours(store: Store, reader: RecordReader) -> None:
    begin = BEGIN_MS // HOUR_MS * HOUR_MS
    usage = Usage(input=1000, cache_read=800, output=10)
    offset = (begin - BEGIN_MS) / 60_000
    store.submit(
        at(offset, usage=usage, cost_nano=5_000, first_token_ms=60.0),
        at(offset + 1, usage=usage, first_token_ms=500.0),
        at(offset + 61, usage=Usage(), first_token_ms=None),
    )
    minutes = reader.tallies(begin, begin + 2 * HOUR_MS, 60_000)
    assert [at_ms - begin for at_ms in minutes] == [0, 60_000, 61 * 60_000]
    for step_ms in (15 * 60_000, HOUR_MS):
        steps = reader.tallies(begin, begin + 2 * HOUR_MS, step_ms)
        assert [at_ms - begin for at_ms in steps] == [0, HOUR_MS]
        first, second = steps.values()
        assert (first.requests, first.cost_nano, first.priced, first.unpriced) == (2, 5_000, 1, 1)
        assert (first.cached_tokens, sum(first.first_tokens)) == (1600, 2)
        assert (second.requests, second.priced, second.unpriced) == (1, 0, 0)
    assert reader.tallies(begin + HOUR_MS, begin + HOUR_MS, HOUR_MS) == {}


def test_faults_are_counted_by_key_with_the_requests_they_did_not_harm(
    store: Store, reader: RecordReader
) -> None:
    store.submit(*EVERYTHING)
    for is_hourly in (False, True):
        found = reader.faults(BEGIN_MS - HOUR_MS, is_hourly=is_hourly)
        assert sorted(found, key=lambda row: row.fault) == [
            FaultRow("rate_limited", "upstream-1", "key-1 …ab12", 2, 1, BUSY.at_ms),
            FaultRow(REFUSED, "", "", 1, 0, REFUSED_ONE.at_ms),
            FaultRow("stream_cut", "upstream-1", "k", 1, 0, CUT.at_ms),
        ]
    assert reader.faults(BEGIN_MS + HOUR_MS, is_hourly=False) == []
