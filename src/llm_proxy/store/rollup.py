"""The roll-ups beside the records: counts per minute and hour, and faults by key.

They grow in the transaction that stores the records, so what the page sums up needs no look at
any record, however many there are. A batch costs a handful of statements, not some per record.
"""

import sqlite3
from collections.abc import Sequence

import msgspec

from llm_proxy.domain.record import Record
from llm_proxy.domain.status import Totals
from llm_proxy.domain.tally import FIRST_TOKEN_MS, FaultCount, Tally, fault_counts, per_minute

MINUTE_MS = 60_000
HOUR_MS = 3_600_000

_PLAIN = Tally.__struct_fields__[:-1]
_FIRST = tuple(f"f{at}" for at in range(len(FIRST_TOKEN_MS) + 1))
TOTAL_FIELDS = Totals.__struct_fields__
FIELDS = (*_PLAIN, *_FIRST)
"""Names of a roll-up's columns, behind its time."""

SUMS = ", ".join(f"coalesce(sum({name}), 0)" for name in FIELDS)


def _upsert(table: str, time: str) -> str:
    marks = ", ".join("?" * (len(FIELDS) + 1))
    sums = ", ".join(f"{name} = {name} + excluded.{name}" for name in FIELDS)
    return (
        f"INSERT INTO {table} ({time}, {', '.join(FIELDS)})"  # noqa: S608
        f" VALUES ({marks}) ON CONFLICT ({time}) DO UPDATE SET {sums}"
    )


_UPSERT_MINUTE = _upsert("minutes", "minute")
_UPSERT_HOUR = _upsert("hours", "hour")
_UPSERT_FAULT = (
    "INSERT INTO faults (span, at, fault, upstream, key, count, rescued, last_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (span, at, fault, upstream, key) DO UPDATE SET"
    " count = count + excluded.count, rescued = rescued + excluded.rescued,"
    " last_ms = max(last_ms, excluded.last_ms)"
)
_DELETE = (
    "DELETE FROM minutes WHERE minute < ?1 / 60000",
    "DELETE FROM hours WHERE hour < ?1 / 3600000",
    "DELETE FROM faults WHERE span = 60 AND at < ?1 / 3600000",
)
_FAULT_MINUTES_MS = 3 * 24 * HOUR_MS
_DELETE_FAULT_MINUTES = "DELETE FROM faults WHERE span = 1 AND at < ? / 60000"


def add(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    """Count `records` within the caller's transaction.

    Raises:
        sqlite3.Error: The transaction must be rolled back.
    """
    minutes = per_minute(records)
    hours: dict[int, Tally] = {}
    for minute, tally in minutes.items():
        hours.setdefault(minute // 60, Tally()).merge(tally)
    connection.executemany(_UPSERT_MINUTE, map(_values, minutes.items()))
    connection.executemany(_UPSERT_HOUR, map(_values, hours.items()))
    connection.executemany(_UPSERT_FAULT, _fault_rows(fault_counts(records)))


def copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Add all roll-ups of `source` to those of `target`, within the caller's transaction.

    Raises:
        sqlite3.Error: The transaction must be rolled back.
    """
    columns = ", ".join(FIELDS)
    for table, time, upsert in (
        ("minutes", "minute", _UPSERT_MINUTE),
        ("hours", "hour", _UPSERT_HOUR),
    ):
        target.executemany(upsert, source.execute(f"SELECT {time}, {columns} FROM {table}"))  # noqa: S608
    target.executemany(
        _UPSERT_FAULT,
        source.execute(
            "SELECT span, at, fault, upstream, key, count, rescued, last_ms FROM faults"
        ),
    )


def trim(connection: sqlite3.Connection, *, oldest_ms: int, wall_ms: int) -> None:
    """Delete what is older than `oldest_ms`; faults per minute go after three days in any case.

    Raises:
        sqlite3.Error: It will be tried again.
    """
    if oldest_ms:
        for statement in _DELETE:
            connection.execute(statement, (oldest_ms,))
    connection.execute(_DELETE_FAULT_MINUTES, (wall_ms - _FAULT_MINUTES_MS,))


def tally_of(values: Sequence[int]) -> Tally:
    """Return what a row of `FIELDS` or `SUMS` holds."""
    first_tokens = [int(count) for count in values[len(_PLAIN) :]]
    return Tally(**dict(zip(_PLAIN, map(int, values), strict=False)), first_tokens=first_tokens)


def _values(entry: tuple[int, Tally]) -> tuple[int, ...]:
    at, tally = entry
    *plain, first_tokens = msgspec.structs.astuple(tally)
    return (at, *plain, *first_tokens)


def _fault_rows(
    counts: dict[tuple[int, str, str, str], FaultCount],
) -> list[tuple[int | str, ...]]:
    rows: list[tuple[int | str, ...]] = []
    for (minute, fault, upstream, key), found in counts.items():
        for span in (1, 60):
            counted = (found.count, found.rescued, found.last_ms)
            rows.append((span, minute // span, fault, upstream, key, *counted))
    return rows
