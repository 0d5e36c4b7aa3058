"""Who made what is known again after a restart."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from llm_proxy.domain.made import Made
from llm_proxy.store import made as made_table
from llm_proxy.store.made import newest, trim, upsert
from llm_proxy.store.migrate import migrate, steps
from llm_proxy.store.sqlite import copy_all, open_file, open_reader
from llm_proxy.store.upkeep import DAY_MS, Upkeep
from tests.support.records import BEGIN_MS, Store, wait_until


def make(n: int, **given: object) -> Made:
    fields: dict[str, object] = {
        "id": f"resp_{n}",
        "target": "f1",
        "caller": "phone",
        "at_ms": BEGIN_MS + n,
    }
    return Made(**(fields | given))  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "records.sqlite3"


@pytest.fixture
def connection(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_file(file)) as connection:
        yield connection


def count(connection: sqlite3.Connection) -> int:
    number: int = connection.execute("SELECT count(*) FROM made").fetchone()[0]
    return number


def test_what_was_remembered_is_loaded_oldest_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.writer.start()
    for n in range(130):
        store.writer.remember(make(n))
    store.writer.remember(make(3, target="f2", at_ms=BEGIN_MS + 500))
    assert store.writer.stop(10.0)
    again = Store(tmp_path)
    again.writer.start()
    found = again.writer.load_made()
    assert [one.at_ms - BEGIN_MS for one in found] == [0, 1, 2, *range(4, 130), 500]
    assert found[-1] == make(3, target="f2", at_ms=BEGIN_MS + 500)
    assert again.writer.stop(10.0)
    assert again.said == store.said == []


def test_it_is_stored_while_the_file_is_locked_no_longer(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.writer.start()
    with closing(sqlite3.connect(store.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.writer.remember(make(1))
        wait_until(lambda: store.writer.status().state == "degraded")
        store.writer.remember(make(2))
        other.execute("COMMIT")
    wait_until(lambda: store.writer.load_made() == [make(1), make(2)])
    assert store.writer.stop(10.0)


def test_it_lives_in_memory_while_no_file_can_be_used_and_moves_there_later(
    tmp_path: Path, connection: sqlite3.Connection
) -> None:
    blocked = tmp_path / "data"
    blocked.write_text("no directory")
    store = Store(blocked)
    store.writer.start()
    store.writer.remember(make(1))
    wait_until(lambda: store.writer.load_made() == [make(1)])
    with closing(open_reader(store.writer.uri())) as memory:
        copy_all(memory, connection)
    assert newest(connection) == [make(1)]
    assert store.writer.stop(10.0)


def test_only_the_newest_stay_and_go_with_the_records(
    connection: sqlite3.Connection, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_table, "KEPT_ROWS", 1_000)
    upsert(connection, [make(n) for n in range(1_700)])
    assert trim(connection, 0)
    assert not trim(connection, 0)
    assert count(connection) == 1_000
    assert newest(connection, 1) == [make(1_699)]
    keeper = Upkeep(file, retention_days=1)
    wall_ms = BEGIN_MS + DAY_MS + 1_500
    assert keeper.tick(connection, idle=True, now=1.0, wall_ms=wall_ms) == pytest.approx(0.05)
    keeper.tick(connection, idle=True, now=1.1, wall_ms=wall_ms)
    assert count(connection) == 200


def test_records_kept_for_good_keep_it_too(connection: sqlite3.Connection, file: Path) -> None:
    upsert(connection, [make(1)])
    Upkeep(file, retention_days=0).tick(connection, idle=True, now=1.0, wall_ms=BEGIN_MS * 2)
    assert count(connection) == 1


def test_a_file_of_the_first_version_gets_the_table(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as old:
        migrate(old, path=file, todo=steps()[:1])
        old.execute("INSERT INTO state VALUES ('cool_downs', 'kept')")
    with closing(open_file(file)) as connection:
        upsert(connection, [make(1)])
        assert newest(connection) == [make(1)]
        assert connection.execute("SELECT value FROM state").fetchall() == [("kept",)]


def test_neither_loading_nor_trimming_scans(connection: sqlite3.Connection) -> None:
    for query in (
        "SELECT id FROM made ORDER BY at_ms DESC LIMIT 10",
        "DELETE FROM made WHERE id IN (SELECT id FROM made WHERE at_ms < 5 LIMIT 10)",
    ):
        plan = " / ".join(row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + query))
        assert "made_by_time" in plan, plan
