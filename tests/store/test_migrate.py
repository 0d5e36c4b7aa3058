"""The file's shape moves forward only, all or nothing, with a copy of what was."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from llm_proxy.domain.record import Record
from llm_proxy.store import rollup
from llm_proxy.store.migrate import NewerFileError, migrate, steps

FIRST = "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);"
SECOND = "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = 'semi;colon';"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "records.sqlite3"


@pytest.fixture
def connection(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        yield connection


def version(connection: sqlite3.Connection) -> int:
    number: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return number


def test_a_new_file_takes_all_steps_and_leaves_no_copy(
    connection: sqlite3.Connection, file: Path
) -> None:
    migrate(connection, path=file, todo=[FIRST, SECOND])
    assert version(connection) == 2
    assert connection.execute("SELECT * FROM a").fetchall() == [(1, "semi;colon")]
    assert list(file.parent.iterdir()) == [file]


def test_an_older_file_is_copied_aside_before_it_changes(
    connection: sqlite3.Connection, file: Path
) -> None:
    migrate(connection, path=file, todo=[FIRST])
    migrate(connection, path=file, todo=[FIRST, SECOND])
    assert version(connection) == 2
    with closing(sqlite3.connect(file.with_name("records.before-2.sqlite3"))) as copy:
        assert version(copy) == 1
        assert copy.execute("SELECT * FROM a").fetchall() == [(1,)]


def test_a_step_that_fails_leaves_nothing_behind(
    connection: sqlite3.Connection, file: Path
) -> None:
    broken = "ALTER TABLE a ADD COLUMN y; INSERT INTO nowhere VALUES (1);"
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(connection, path=file, todo=[FIRST, broken])
    assert version(connection) == 1
    assert connection.execute("SELECT * FROM a").fetchall() == [(1,)]
    migrate(connection, path=file, todo=[FIRST, SECOND])
    assert version(connection) == 2


def test_a_newer_file_is_refused_unchanged(connection: sqlite3.Connection, file: Path) -> None:
    migrate(connection, path=file, todo=[FIRST, SECOND])
    with pytest.raises(NewerFileError, match="format 2, this version knows up to 1"):
        migrate(connection, path=file, todo=[FIRST])
    assert version(connection) == 2


def test_no_step_is_taken_twice(connection: sqlite3.Connection, file: Path) -> None:
    migrate(connection, path=file)
    migrate(connection, path=file)
    assert version(connection) == len(steps())


def test_the_tables_have_a_column_for_every_field(connection: sqlite3.Connection) -> None:
    migrate(connection, path=None)

    def columns(table: str) -> list[str]:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]

    fields = list(Record.__struct_fields__)
    at = fields.index("usage")
    fields[at : at + 1] = ["input", "cache_read", "cache_write", "output", "reasoning"]
    assert columns("records") == [*fields, "tries"]
    assert columns("minutes") == ["minute", *rollup.FIELDS]
    assert columns("hours") == ["hour", *rollup.FIELDS]


def test_paging_and_totals_never_scan(connection: sqlite3.Connection) -> None:
    migrate(connection, path=None)
    for query in (
        "SELECT * FROM records WHERE id < 'x' ORDER BY id DESC LIMIT 50",
        "SELECT * FROM records WHERE caller = 'phone' AND id < 'x' ORDER BY id DESC LIMIT 50",
        "SELECT sum(ok) FROM minutes WHERE minute >= 5",
    ):
        plan = " / ".join(row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + query))
        assert "SEARCH" in plan, plan
        assert "SCAN" not in plan, plan
        assert "TEMP B-TREE" not in plan, plan


def test_what_was_counted_before_there_were_hours_is_counted_by_the_hour(
    connection: sqlite3.Connection,
) -> None:
    migrate(connection, path=None, todo=steps()[:2])
    for minute in (59, 60, 61):
        connection.execute(
            f"INSERT INTO minutes VALUES ({minute}, 1, 1, 0, 0, 0, 0, 0, 0, 2, 3, 4)"
        )
    connection.execute(
        "INSERT INTO records VALUES ('a', 1, 'chat', 'POST', '/', 'ok', 200, NULL, NULL, NULL, NULL,"
        """ NULL, NULL, 0, NULL, '[{"upstream":"a"},{"upstream":"b"}]', NULL, 1.0,"""
        " NULL, NULL, NULL, NULL, NULL, 0, 0, NULL, 0)"
    )
    migrate(connection, path=None)
    hours = "SELECT hour, requests, attempts, output_tokens, cost_nano FROM hours"
    assert connection.execute(hours).fetchall() == [(0, 1, 2, 4, 0), (1, 2, 4, 8, 0)]
    assert connection.execute("SELECT tries, cost_nano FROM records").fetchall() == [(2, None)]
