"""Housekeeping keeps the file small and stands in nobody's way."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from llm_proxy.store import upkeep
from llm_proxy.store.queries import RecordReader
from llm_proxy.store.sqlite import open_file, write_batch
from llm_proxy.store.upkeep import DAY_MS, FileGoneError, Upkeep
from tests.support.records import BEGIN_MS, Store, make_record, wait_until


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "records.sqlite3"


@pytest.fixture
def connection(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_file(file)) as connection:
        yield connection


def wal_bytes(file: Path) -> int:
    return file.with_name(file.name + "-wal").stat().st_size


def count(connection: sqlite3.Connection) -> int:
    number: int = connection.execute("SELECT count(*) FROM records").fetchone()[0]
    return number


def test_a_large_log_is_written_back_even_under_load_a_small_one_only_when_idle(
    connection: sqlite3.Connection, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Upkeep(file, retention_days=30)
    write_batch(connection, [make_record(n) for n in range(100)], [])
    keeper.tick(connection, idle=False, now=10.0, wall_ms=BEGIN_MS)
    assert wal_bytes(file) > 0
    monkeypatch.setattr(upkeep, "_WAL_MAX_BYTES", 10_000)
    keeper.tick(connection, idle=False, now=10.5, wall_ms=BEGIN_MS)
    assert wal_bytes(file) > 0, "looked at once a second only"
    keeper.tick(connection, idle=False, now=11.5, wall_ms=BEGIN_MS)
    assert wal_bytes(file) == 0
    monkeypatch.undo()
    write_batch(connection, [make_record(100)], [])
    keeper.tick(connection, idle=True, now=12.0, wall_ms=BEGIN_MS)
    assert wal_bytes(file) == 0


def test_old_records_go_in_small_deletes(connection: sqlite3.Connection, file: Path) -> None:
    keeper = Upkeep(file, retention_days=1)
    old = [make_record(n) for n in range(1_200)]
    write_batch(connection, old, [])
    write_batch(connection, [make_record(DAY_MS)], [])
    wall_ms = BEGIN_MS + DAY_MS + 5_000
    assert keeper.tick(connection, idle=True, now=1.0, wall_ms=wall_ms) == pytest.approx(0.05)
    assert count(connection) == 701
    assert keeper.tick(connection, idle=True, now=1.1, wall_ms=wall_ms) == pytest.approx(0.05)
    assert keeper.tick(connection, idle=True, now=1.2, wall_ms=wall_ms) == pytest.approx(60.0)
    assert count(connection) == 1
    assert keeper.tick(connection, idle=True, now=30.0, wall_ms=wall_ms) == pytest.approx(31.2)


def test_free_space_is_known(connection: sqlite3.Connection, file: Path) -> None:
    keeper = Upkeep(file, retention_days=1)
    keeper.tick(connection, idle=True, now=1.0, wall_ms=BEGIN_MS)
    assert keeper.free_bytes is not None
    assert keeper.free_bytes > 0


def test_a_replaced_file_is_noticed(connection: sqlite3.Connection, file: Path) -> None:
    keeper = Upkeep(file, retention_days=1)
    other = file.with_name("other")
    other.touch()
    other.replace(file)
    with pytest.raises(FileGoneError):
        keeper.tick(connection, idle=True, now=1.0, wall_ms=BEGIN_MS)


def test_a_long_reader_holds_up_neither_writing_nor_the_upkeep(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.writer.start()
    store.submit(make_record(1))
    with closing(sqlite3.connect(store.file, isolation_level=None)) as other:
        other.execute("BEGIN")
        assert count(other) == 1
        for n in range(2, 12):
            store.submit(make_record(n))
        assert count(other) == 1
        other.execute("COMMIT")
    assert RecordReader(store.writer.uri).totals().requests == 11
    assert store.said == []
    store.submit(make_record(60))
    wait_until(lambda: wal_bytes(store.file) == 0)
    assert store.writer.stop(10.0)
