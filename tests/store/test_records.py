"""Records come back as they went in, and counts need no scan."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_proxy.domain.errors import StoreError
from llm_proxy.domain.record import Attempt, Outcome, Record
from llm_proxy.domain.status import Totals
from llm_proxy.domain.usage import Usage
from llm_proxy.store.queries import RecordReader
from llm_proxy.store.writer import RecordWriter
from tests.support.records import BEGIN_MS, Store, make_record, wait_until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    store.writer.start()
    yield store
    store.writer.stop(10.0)


@pytest.fixture
def reader(store: Store) -> RecordReader:
    return RecordReader(store.writer.uri)


FULL = make_record(
    7,
    served="gpt-5-mini",
    error="the upstream's stream broke off",
    outcome=Outcome.CUT,
    usage=Usage(input=1, cache_read=2, cache_write=3, output=4, reasoning=5),
    notice="address corrected",
    broken_events=2,
    cost_nano=1_234_567,
    attempts=[
        Attempt("upstream-1", "key-1", status=429, fault="rate_limited", reason="慢", cool_s=3.5),
        Attempt("upstream-2", "none", model="m", wait_ms=1.5, connect_ms=0.0, cost="partial"),
    ],
)
BARE = Record("01KA", 5, "other", "GET", "/v1/files", Outcome.REFUSED)


@pytest.mark.parametrize("record", [FULL, BARE], ids=["every_field", "only_what_must_be"])
def test_a_record_comes_back_as_it_went_in(
    record: Record, store: Store, reader: RecordReader
) -> None:
    store.submit(record)
    assert reader.get(record.id) == record
    assert reader.latest(1) == [record]


def test_every_field_of_a_record_is_stored(store: Store, reader: RecordReader) -> None:
    fields = {field.name for field in msgspec.structs.fields(Record) if field.default != ""}
    changed = {name for name in fields if getattr(FULL, name) != getattr(BARE, name)}
    assert changed == fields, "the test's record must differ in every field"
    store.submit(FULL)
    assert reader.get(FULL.id) == FULL


def test_the_newest_come_first_and_older_ones_by_page(store: Store, reader: RecordReader) -> None:
    store.submit(*(make_record(n, caller="phone" if n % 3 else "friend") for n in range(120)))
    first = reader.latest(50)
    second = reader.latest(50, first[-1].id)
    third = reader.latest(50, second[-1].id)
    assert [record.at_ms - BEGIN_MS for record in first + second + third] == [*range(119, -1, -1)]
    friends = reader.latest(30, caller="friend")
    assert [record.at_ms - BEGIN_MS for record in friends] == [*range(117, 29, -3)]
    assert [r.id for r in reader.latest(99, friends[-1].id, caller="friend")] == [
        make_record(n).id for n in range(27, -1, -3)
    ]
    assert reader.latest(5, caller="nobody") == []
    assert reader.latest(0) == []
    assert reader.get("nothing") is None


def test_totals_count_what_clients_saw(store: Store, reader: RecordReader) -> None:
    limited = Attempt("upstream-1", "key-1", fault="rate_limited")
    answered = Attempt("upstream-1", "key-2")
    store.submit(
        make_record(1, attempts=[limited, answered]),
        make_record(2, outcome=Outcome.RATE_LIMITED, attempts=[limited] * 4, usage=Usage()),
        make_record(60_003, outcome=Outcome.CLIENT_ERROR),
        make_record(60_004, outcome=Outcome.REFUSED, attempts=[], usage=Usage()),
        make_record(60_005, outcome=Outcome.CUT, usage=Usage(output=7)),
        make_record(60_006, outcome=Outcome.UPSTREAM_ERROR, usage=Usage()),
        make_record(120_007, outcome=Outcome.CLIENT_GONE, usage=Usage()),
    )
    assert reader.totals() == Totals(
        requests=7,
        ok=1,
        rescued=1,
        client_errors=2,
        failed=3,
        rate_limited=1,
        rate_limits_met=5,
        client_gone=1,
        attempts=10,
        input_tokens=2400,
        output_tokens=607,
    )
    assert reader.totals(BEGIN_MS + 60_000).requests == 5
    assert reader.totals(BEGIN_MS + 10**9) == Totals()
    begin = BEGIN_MS // 60_000 * 60_000
    minutes = reader.tallies(begin, begin + 600_000, 60_000)
    assert {at - begin: tally.requests for at, tally in minutes.items()} == {
        0: 2,
        60_000: 4,
        120_000: 1,
    }


def test_a_record_submitted_twice_is_counted_once(store: Store, reader: RecordReader) -> None:
    store.submit(make_record(1), make_record(2), make_record(2))
    store.submit(make_record(2), make_record(3))
    assert reader.totals().requests == 3
    assert len(reader.latest(10)) == 3


def test_roll_ups_grow_over_batches_and_restarts(tmp_path: Path) -> None:
    for n in range(3):
        store = Store(tmp_path)
        store.writer.start()
        store.submit(make_record(n))
        store.submit(make_record(n + 100))
        assert store.writer.stop(10.0)
    reader = RecordReader(store.writer.uri)
    assert reader.totals().requests == 6
    assert len(reader.tallies(0, 2 * BEGIN_MS, 60_000)) == 1


def test_stop_writes_what_is_queued(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.writer.start()
    for n in range(5_000):
        store.writer.submit(make_record(n))
    assert store.writer.stop(20.0)
    assert store.writer.status().written == 5_000
    assert [path.name for path in tmp_path.iterdir()] == ["records.sqlite3"]
    assert RecordReader(store.writer.uri).totals().requests == 5_000


def test_records_are_on_disk_within_the_stated_time(store: Store, reader: RecordReader) -> None:
    ages = []
    for n in range(10):
        begun = time.monotonic()
        store.submit(make_record(n))
        ages.append(time.monotonic() - begun)
    assert sorted(ages)[5] < 0.2


def test_what_no_database_can_hold_costs_neither_record_nor_batch(
    store: Store, reader: RecordReader
) -> None:
    odd = make_record(2, model="half \ud800", usage=Usage(input=10**30, output=5))
    store.submit(make_record(1), odd, make_record(3))
    assert reader.totals().requests == 3
    seen = reader.get(odd.id)
    assert seen is not None
    assert (seen.model, seen.usage) == ("half ?", Usage(output=5))
    assert store.writer.status().dropped == 0
    store.submit(make_record(4))
    assert store.said == []


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=50), st.integers(), st.lists(st.text(max_size=20), max_size=3))
def test_any_text_and_number_may_be_submitted(
    store: Store, reader: RecordReader, text: str, number: int, reasons: list[str]
) -> None:
    attempts = [Attempt("u", "k", reason=reason) for reason in reasons]
    id_ = f"{store.writer.status().written}-{text}"
    size = abs(number) % 2**60
    record = make_record(id=id_, model=text, bytes_up=size, attempts=attempts)
    store.submit(record)
    assert reader.get(record.id) == record


def test_old_records_go_when_their_time_is_over(tmp_path: Path) -> None:
    store = Store(tmp_path, retention_days=2)
    day_ms = 86_400_000
    store.writer.start()
    store.submit(*(make_record(n) for n in range(1_300)), make_record(day_ms))
    assert store.writer.stop(10.0)
    later = Store(tmp_path, retention_days=2)
    later.wall_ms = BEGIN_MS + 2 * day_ms + 5_000_000
    later.writer.start()
    reader = RecordReader(later.writer.uri)
    wait_until(lambda: reader.totals().requests == 1)
    assert [record.at_ms for record in reader.latest(10)] == [BEGIN_MS + day_ms]
    later.writer.stop(10.0)


def test_retention_of_zero_days_keeps_everything(tmp_path: Path) -> None:
    store = Store(tmp_path, retention_days=0)
    store.wall_ms = BEGIN_MS * 2
    store.writer.start()
    store.submit(make_record(1))
    wait_until(lambda: store.writer.status().free_bytes is not None)
    assert RecordReader(store.writer.uri).totals().requests == 1
    assert store.writer.stop(10.0)


def test_the_log_beside_the_file_is_written_back_when_nothing_happens(store: Store) -> None:
    wal = store.file.with_name("records.sqlite3-wal")
    store.submit(*(make_record(n) for n in range(100)))
    wait_until(lambda: wal.stat().st_size == 0)
    with closing(sqlite3.connect(store.file)) as connection:
        assert connection.execute("SELECT count(*) FROM records").fetchone() == (100,)


def test_named_values_are_found_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.writer.start()
    assert store.writer.load_state("cool-downs") is None
    store.writer.save_state("cool-downs", b"old")
    store.writer.save_state("cool-downs", b"\x00new")
    assert store.writer.stop(10.0)
    again = Store(tmp_path)
    again.writer.start()
    assert again.writer.load_state("cool-downs") == b"\x00new"
    again.writer.stop(10.0)


def test_a_reader_without_a_store_says_so(tmp_path: Path) -> None:
    reader = RecordReader(Store(tmp_path / "nowhere").writer.uri)
    with pytest.raises(StoreError, match="cannot be read"):
        reader.latest(1)


def test_readers_cannot_write(store: Store) -> None:
    with (
        closing(sqlite3.connect(store.writer.uri(), uri=True)) as connection,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        connection.execute("DELETE FROM records")


def test_a_path_with_odd_characters_is_no_trouble(tmp_path: Path) -> None:
    store = Store(tmp_path / "a b?c#d%20é")
    store.writer.start()
    store.submit(make_record(1))
    assert RecordReader(store.writer.uri).totals().requests == 1
    assert store.writer.stop(10.0)


def test_an_idle_writer_uses_no_time(store: Store) -> None:
    store.submit(make_record(1))
    wait_until(lambda: store.file.with_name("records.sqlite3-wal").stat().st_size == 0)
    thread = store.writer._thread
    assert thread is not None
    assert thread.native_id is not None
    ticks = Path(f"/proc/self/task/{thread.native_id}/stat")
    if not ticks.exists():
        pytest.skip("no /proc here")

    def switches() -> int:
        status = ticks.with_name("status").read_text()
        return sum(int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line)

    before = switches()
    time.sleep(0.5)
    assert switches() - before <= 3


def test_every_attribute_of_the_writer_can_be_set(tmp_path: Path) -> None:
    writer = Store(tmp_path).writer
    for name in RecordWriter.__slots__:
        setattr(writer, name, getattr(writer, name))
