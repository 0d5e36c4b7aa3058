"""How the store keeps who made what: a small table, the newest rows only."""

import sqlite3
from collections.abc import Sequence

from llm_proxy.domain.made import Made

KEPT_ROWS = 10_000
"""As many as are remembered in memory; more would never be read again."""

_CHUNK_ROWS = 500
_UPSERT = {
    size: "INSERT INTO made (id, target, caller, at_ms) VALUES "  # noqa: S608 - marks only
    + ", ".join(["(?, ?, ?, ?)"] * size)
    + " ON CONFLICT (id) DO UPDATE SET"
    " target = excluded.target, caller = excluded.caller, at_ms = excluded.at_ms"
    for size in (50, 1)  # a statement per row would wait for the interpreter lock once per row
}
_NEWEST = "SELECT id, target, caller, at_ms FROM made ORDER BY at_ms DESC LIMIT ?"
_DELETE_OLD = "DELETE FROM made WHERE id IN (SELECT id FROM made WHERE at_ms < ? LIMIT ?)"
_DELETE_SURPLUS = (
    "DELETE FROM made WHERE id IN (SELECT id FROM made ORDER BY at_ms DESC LIMIT ? OFFSET ?)"
)


def upsert(connection: sqlite3.Connection, made: Sequence[Made]) -> None:
    """Store `made` within the caller's transaction; of equal ids the last one counts.

    Raises:
        sqlite3.Error: The transaction must be rolled back.
    """
    start = 0
    for size, statement in _UPSERT.items():
        while len(made) - start >= size:
            values: list[object] = []
            for one in made[start : start + size]:
                values += (one.id, one.target, one.caller, one.at_ms)
            connection.execute(statement, values)
            start += size


def newest(connection: sqlite3.Connection, limit: int = KEPT_ROWS) -> list[Made]:
    """Return what was made last, oldest first.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    rows = connection.execute(_NEWEST, (limit,)).fetchall()
    return [Made(*row) for row in reversed(rows)]


def trim(connection: sqlite3.Connection, oldest_ms: int) -> bool:
    """Delete a few of those older than `oldest_ms` or in excess; say whether there may be more.

    Raises:
        sqlite3.Error: Nothing was deleted.
    """
    old = connection.execute(_DELETE_OLD, (oldest_ms, _CHUNK_ROWS)).rowcount
    surplus = connection.execute(_DELETE_SURPLUS, (_CHUNK_ROWS, KEPT_ROWS)).rowcount
    return _CHUNK_ROWS in (old, surplus)
