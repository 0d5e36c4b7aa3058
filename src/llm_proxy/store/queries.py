"""Answers the page's questions from the stored records, without a scan per view.

A query opens its own read-only connection and closes it again: a fifth of a millisecond, and
there is nothing to share between threads, and nothing stale after the file was replaced. All
methods block on the disk, so an event loop calls them through `run_in_executor`. Records younger
than the writer's gathering time are not there yet.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import msgspec

from llm_proxy.domain.errors import StoreError
from llm_proxy.domain.record import Record
from llm_proxy.domain.status import Totals

from .sqlite import SELECT_RECORDS, TOTAL_FIELDS, describe, is_corrupt, open_reader, record_of

MAX_LIMIT = 1_000
"""Records per answer; a longer list is paged by `before_id`."""

_MINUTE_MS = 60_000
_SUMS = ", ".join(f"coalesce(sum({name}), 0)" for name in TOTAL_FIELDS)
_LATEST = SELECT_RECORDS + "WHERE id < ? ORDER BY id DESC LIMIT ?"
_LATEST_OF = SELECT_RECORDS + "WHERE caller = ? AND id < ? ORDER BY id DESC LIMIT ?"
_BEFORE_NONE = "\U0010ffff"  # sorts after every id


class Minute(msgspec.Struct):
    """One minute's roll-up; minutes without a request have none.

    Attributes:
        at_ms: The minute's begin, wall clock.
        totals: Of the requests that arrived in it.
    """

    at_ms: int
    totals: Totals


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
        since = 0 if since_ms is None else since_ms // _MINUTE_MS
        (row,) = self._rows(f"SELECT {_SUMS} FROM minutes WHERE minute >= ?", (since,))  # noqa: S608
        return Totals(*map(int, row))

    def minutes(self, since_ms: int) -> list[Minute]:
        """Return the roll-ups since a wall time, oldest first, for sparklines.

        Raises:
            StoreError: The store cannot be read.
        """
        rows = self._rows(
            f"SELECT minute, {', '.join(TOTAL_FIELDS)} FROM minutes"  # noqa: S608
            " WHERE minute >= ? ORDER BY minute",
            (since_ms // _MINUTE_MS,),
        )
        return [Minute(row[0] * _MINUTE_MS, Totals(*map(int, row[1:]))) for row in rows]

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            with closing(open_reader(self._uri())) as connection:
                return connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            if is_corrupt(error):
                self._on_corrupt()
            raise StoreError(f"records cannot be read: {describe(error)}") from error
