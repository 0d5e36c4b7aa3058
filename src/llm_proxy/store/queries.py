"""Answers the page's questions from the stored records, without a scan per view.

A query opens its own read-only connection and closes it again: a fifth of a millisecond, and
there is nothing to share between threads, and nothing stale after the file was replaced. All
methods block on the disk, so an event loop calls them through `run_in_executor`. Records younger
than the writer's gathering time are not there yet.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import msgspec

from llm_proxy.domain.errors import StoreError
from llm_proxy.domain.filter import Filter
from llm_proxy.domain.record import Record
from llm_proxy.domain.status import Totals
from llm_proxy.domain.tally import Tally

from .rollup import HOUR_MS, MINUTE_MS, SUMS, TOTAL_FIELDS, tally_of
from .search import Found, query_of
from .sqlite import SELECT_RECORDS, describe, is_corrupt, open_reader, record_of

MAX_LIMIT = 1_000
"""Records per answer; a longer list is paged by `before_id`."""

_MINUTES = ("minutes", "minute", MINUTE_MS)
_TOTALS = ", ".join(f"coalesce(sum({name}), 0)" for name in TOTAL_FIELDS)
_LATEST = SELECT_RECORDS + "WHERE id < ? ORDER BY id DESC LIMIT ?"
_LATEST_OF = SELECT_RECORDS + "WHERE caller = ? AND id < ? ORDER BY id DESC LIMIT ?"
_BEFORE_NONE = "\U0010ffff"  # sorts after every id


class FaultRow(msgspec.Struct):
    """How often one key met one fault since a time.

    Attributes:
        fault: Name in the fault table, or `tally.REFUSED`.
        upstream: Empty where none was asked.
        key: Its label.
        count: Failed attempts.
        rescued: Of these, in requests that succeeded all the same.
        last_ms: Arrival of the last of them.
    """

    fault: str
    upstream: str
    key: str
    count: int
    rescued: int
    last_ms: int


class RecordReader:
    """Reads records wherever they lie. Safe to call from several threads.

    Args:
        uri: Gives the address of the records: `RecordWriter.uri`.
        on_corrupt: Called when damage is met: `RecordWriter.suspect`.
    """

    __slots__ = ("_on_corrupt", "_uri")

    def __init__(
        self, uri: Callable[[], str], *, on_corrupt: Callable[[], None] = lambda: None
    ) -> None:
        self._uri = uri
        self._on_corrupt = on_corrupt

    def latest(
        self, limit: int, before_id: str | None = None, *, caller: str | None = None
    ) -> list[Record]:
        """Return the newest records, newest first.

        Args:
            limit: At most so many, and at most `MAX_LIMIT`.
            before_id: Only those older than this record, for the next page.
            caller: Only those of this access key's name.

        Raises:
            StoreError: The store cannot be read.
        """
        limit = max(0, min(limit, MAX_LIMIT))
        before_id = _BEFORE_NONE if before_id is None else before_id
        if caller is None:
            rows = self._rows(_LATEST, (before_id, limit))
        else:
            rows = self._rows(_LATEST_OF, (caller, before_id, limit))
        return [record_of(row) for row in rows]

    def get(self, id: str) -> Record | None:  # noqa: A002 - the record's field is called so
        """Return one record, or None.

        Raises:
            StoreError: The store cannot be read.
        """
        rows = self._rows(SELECT_RECORDS + "WHERE id = ?", (id,))
        return record_of(rows[0]) if rows else None

    def totals(self, since_ms: int | None = None) -> Totals:
        """Return the totals since a wall time, counted in whole minutes; None = all that is kept.

        Raises:
            StoreError: The store cannot be read.
        """
        if since_ms is None:
            (row,) = self._rows(f"SELECT {_TOTALS} FROM hours", ())  # noqa: S608
        else:
            statement = f"SELECT {_TOTALS} FROM minutes WHERE minute >= ?"  # noqa: S608
            (row,) = self._rows(statement, (since_ms // MINUTE_MS,))
        return Totals(*map(int, row))

    def tallies(self, from_ms: int, to_ms: int, step_ms: int) -> dict[int, Tally]:
        """Return what was counted in a span of time, by steps; steps without a request are left out.

        Args:
            from_ms: Wall clock, included; on a whole step.
            to_ms: Wall clock, left out.
            step_ms: Whole minutes. With whole hours the hours' roll-up is read.

        Returns:
            By the wall time at which each step begins.

        Raises:
            StoreError: The store cannot be read.
        """
        is_hourly = step_ms % HOUR_MS == 0
        table, time, unit = ("hours", "hour", HOUR_MS) if is_hourly else _MINUTES
        steps = step_ms // unit
        rows = self._rows(
            f"SELECT ({time} - ?1) / ?2, {SUMS} FROM {table}"  # noqa: S608
            f" WHERE {time} >= ?1 AND {time} < ?3 GROUP BY 1",
            (from_ms // unit, steps, -(-to_ms // unit)),
        )
        return {from_ms + row[0] * step_ms: tally_of(row[1:]) for row in rows}

    def faults(self, since_ms: int, *, is_hourly: bool) -> list[FaultRow]:
        """Return what failed since a wall time, by fault and key.

        Args:
            since_ms: Wall clock.
            is_hourly: Read the hours' roll-up; that of the minutes goes back three days.

        Raises:
            StoreError: The store cannot be read.
        """
        span, unit = (60, HOUR_MS) if is_hourly else (1, MINUTE_MS)
        rows = self._rows(
            "SELECT fault, upstream, key, sum(count), sum(rescued), max(last_ms) FROM faults"
            " WHERE span = ? AND at >= ? GROUP BY fault, upstream, key",
            (span, since_ms // unit),
        )
        return [FaultRow(*row) for row in rows]

    def search(self, asked: Filter, limit: int, before_id: str | None = None) -> Found:
        """Return the newest records that match, newest first; see `search.py`.

        Args:
            asked: What they must be like.
            limit: At most so many, and at most `MAX_LIMIT`.
            before_id: Only those older than this record, for the next piece.

        Raises:
            StoreError: The store cannot be read.
        """
        limit = max(1, min(limit, MAX_LIMIT))
        query = query_of(asked, limit=limit, before_id=before_id)
        with self._open() as connection:
            rows = connection.execute(query.find, query.values).fetchall()
            records = [record_of(row) for row in rows[:limit]]
            if len(rows) > limit:
                return Found(records, records[-1].id)
            last = connection.execute(query.last, query.last_values).fetchone()
        if last is None:
            return Found(records, None)
        return Found(records, last[0], last[1])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(open_reader(self._uri())) as connection:
                yield connection
        except sqlite3.Error as error:
            if is_corrupt(error):
                self._on_corrupt()
            raise StoreError(f"records cannot be read: {describe(error)}") from error

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._open() as connection:
            return connection.execute(statement, values).fetchall()
