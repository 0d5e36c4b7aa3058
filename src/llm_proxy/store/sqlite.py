"""What the store knows about SQLite files: opening, setting aside, rows, and whose fault an error is.

Rows are inserted many per statement. A statement releases the interpreter lock once and gets it
back only after the event loop lets go; with one statement per row a busy loop makes each row wait
(2.6 ms a row beside a spinning thread, against 0.2 ms).
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from llm_proxy.domain.made import Made
from llm_proxy.domain.record import Attempt, Outcome, Record
from llm_proxy.domain.usage import Usage

from . import made as made_table
from . import rollup
from .migrate import migrate, refuse_newer

FILE_NAME = "records.sqlite3"
BUSY_MS = 1_000
"""How long a statement waits for another process's lock; the writer's own retries follow."""
_MAX_INT = 2**53  # beyond it no count is meant, and sums of many would not fit 64 bits

COLUMNS = (
    "id, at_ms, format, method, path, outcome, status, caller, client, model, served, upstream,"
    " key, stream, error, attempts, first_token_ms, total_ms, input, cache_read, cache_write,"
    " output, reasoning, bytes_up, bytes_down, notice, broken_events,"
    " cost_nano"
)
"""Of a record, in the order of its fields."""

_STORED = f"{COLUMNS}, tries"  # what only indexes need comes last
_ROW = "(" + ", ".join("?" * (_STORED.count(",") + 1)) + ")"
_CHUNKS = (50, 10, 1)
_INSERT = {
    size: f"INSERT OR IGNORE INTO records ({_STORED}) VALUES " + ", ".join([_ROW] * size)  # noqa: S608
    for size in _CHUNKS
}

_UPSERT_STATE = (
    "INSERT INTO state (name, value) VALUES (?, ?)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
SELECT_RECORDS = f"SELECT {COLUMNS} FROM records "  # noqa: S608

_encode = msgspec.json.Encoder().encode
_decode_attempts = msgspec.json.Decoder(list[Attempt]).decode


def open_file(path: Path) -> sqlite3.Connection:
    """Open the store's file for writing, made and migrated if need be.

    Raises:
        sqlite3.Error: It cannot be opened or written; `is_corrupt` tells a damaged file apart.
        NewerFileError: It belongs to a newer version and was left alone.
        OSError: Its directory cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS:d}")
        refuse_newer(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        migrate(connection, path=path)
        connection.execute("SELECT max(id) FROM records").fetchone()
        connection.execute("BEGIN IMMEDIATE")  # a file that cannot be written says so here
        connection.execute("ROLLBACK")
    except BaseException:
        connection.close()
        raise
    return connection


def open_memory(name: str) -> sqlite3.Connection:
    """Open a database in memory that readers reach by `memory_uri(name)` while this one is open."""
    connection = sqlite3.connect(
        memory_uri(name), uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS:d}")
    migrate(connection, path=None)
    return connection


def memory_uri(name: str) -> str:
    """Return the address of a database in memory, shared within this process by its name."""
    return f"file:/{name}?vfs=memdb"


def file_uri(path: Path) -> str:
    """Return the address under which readers open the file, unable to change it."""
    return f"{path.absolute().as_uri()}?mode=ro"


def open_reader(uri: str) -> sqlite3.Connection:
    """Open a connection that can read only. A fifth of a millisecond: one per query will do."""
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS:d}")
    connection.execute("PRAGMA query_only = 1")
    return connection


def is_corrupt(error: BaseException) -> bool:
    """Say whether `error` means a damaged file, or one that is no database at all."""
    return _primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def may_pass(error: BaseException) -> bool:
    """Say whether `error` leaves the connection sound, so that it may be used again."""
    return _primary_code(error) in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
    )


def describe(error: BaseException) -> str:
    """Return one line about a storage error that its reader can act on."""
    code = _primary_code(error)
    words = {
        sqlite3.SQLITE_FULL: "the disk is full",
        sqlite3.SQLITE_READONLY: "the file or its directory is read-only",
        sqlite3.SQLITE_BUSY: "another program holds a lock on the file",
        sqlite3.SQLITE_LOCKED: "another program holds a lock on the file",
        sqlite3.SQLITE_CANTOPEN: "the file cannot be opened (permissions, or the disk is full)",
        sqlite3.SQLITE_IOERR: "the disk reports an error (full, over a limit, or failing)",
    }
    if code in words:
        return words[code]
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _primary_code(error: BaseException) -> int:
    code: int = getattr(error, "sqlite_errorcode", None) or 0
    return code & 0xFF  # the higher bytes only refine it


def set_aside(path: Path, *, stamp: str) -> Path:
    """Rename a damaged file and its companions, so that a new one can begin.

    Raises:
        OSError: It cannot be renamed; nothing was lost.
    """
    aside = path.with_name(f"{path.stem}.corrupt-{stamp}{path.suffix}")
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.replace(aside.with_name(aside.name + suffix))
    return aside


def write_batch(
    connection: sqlite3.Connection,
    records: Sequence[Record],
    states: Sequence[tuple[str, bytes]],
    made: Sequence[Made] = (),
) -> None:
    """Commit `records` with their share of the roll-ups, named values, and who made what.

    All or nothing.

    A record that is stored already, as after a commit whose success was not reported, is
    neither stored nor counted again.

    Raises:
        sqlite3.Error: Nothing was stored, or, if the commit failed, perhaps all.
        ValueError: A text cannot be stored (`UnicodeEncodeError`); nothing was.
        OverflowError: A number cannot be stored; nothing was.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        if _insert(connection, records) != len(records):
            connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
            records = _new_ones(connection, records)
            _insert(connection, records)
        rollup.add(connection, records)
        connection.executemany(_UPSERT_STATE, states)
        made_table.upsert(connection, made)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise


def _insert(connection: sqlite3.Connection, records: Sequence[Record]) -> int:
    new = start = 0
    for size in _CHUNKS:
        statement = _INSERT[size]
        while len(records) - start >= size:
            values: list[object] = []
            for record in records[start : start + size]:
                values += _row_of(record)
            new += connection.execute(statement, values).rowcount
            start += size
    return new


def _new_ones(connection: sqlite3.Connection, records: Sequence[Record]) -> list[Record]:
    by_id = {record.id: record for record in records}
    marks = ", ".join("?" * len(by_id))
    known = connection.execute(f"SELECT id FROM records WHERE id IN ({marks})", [*by_id])  # noqa: S608
    for (id_,) in known.fetchall():
        del by_id[id_]
    return list(by_id.values())


def copy_all(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Add everything of one database to another; all or nothing.

    Raises:
        sqlite3.Error: Nothing was copied.
    """
    try:
        target.execute("BEGIN IMMEDIATE")
        everything = source.execute(f"SELECT {_STORED} FROM records")  # noqa: S608
        target.executemany(_INSERT[1], everything)
        rollup.copy(source, target)
        target.executemany(_UPSERT_STATE, source.execute("SELECT name, value FROM state"))
        made_table.upsert(target, made_table.newest(source))
        target.execute("COMMIT")
    except BaseException:
        if target.in_transaction:
            target.rollback()
        raise


def sound(record: Record) -> Record | None:
    """Return `record` without what SQLite cannot hold, or None if nothing useful is left.

    A client's model name may carry half a surrogate pair, a provider's usage a number of 30
    digits. One such value must cost neither the record nor, above all, the whole batch.
    """
    try:
        return msgspec.convert(_sound(msgspec.to_builtins(record)), Record)
    except msgspec.ValidationError:
        return None


def _sound(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case int() if abs(value) > _MAX_INT:
            return None
        case list():
            return [_sound(item) for item in value]
        case dict():
            return {name: _sound(item) for name, item in value.items()}
        case _:
            return value


def _row_of(record: Record) -> tuple[object, ...]:
    usage = record.usage
    return (
        record.id,
        record.at_ms,
        record.format,
        record.method,
        record.path,
        record.outcome.value,
        record.status,
        record.caller,
        record.client,
        record.model,
        record.served,
        record.upstream,
        record.key,
        record.stream,
        record.error,
        _encode(record.attempts).decode(),
        record.first_token_ms,
        record.total_ms,
        usage.input,
        usage.cache_read,
        usage.cache_write,
        usage.output,
        usage.reasoning,
        record.bytes_up,
        record.bytes_down,
        record.notice,
        record.broken_events,
        record.cost_nano,
        len(record.attempts),
    )


def record_of(row: Sequence[Any]) -> Record:
    """Return the record of a row selected by `SELECT_RECORDS`."""
    values = list(row)  # the columns stand in the order of the fields
    values[5] = Outcome(row[5])
    values[13] = bool(row[13])
    values[15] = _decode_attempts(row[15])
    values[18:23] = [Usage(*row[18:23])]
    return Record(*values)
