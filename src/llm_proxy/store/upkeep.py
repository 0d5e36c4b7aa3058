"""Keeps the file small while nobody waits: old rows in small deletes, the log written back.

Nothing here takes long: a delete is a few hundred rows, a checkpoint gives way to readers. The
space of deleted rows is used again; the file is never rewritten to shrink.
"""

import shutil
import sqlite3
from pathlib import Path

from . import made, rollup

DAY_MS = 86_400_000
MEMORY_ROWS = 2_000
"""Records kept when they can live in memory only: a few megabytes."""

_CHUNK_ROWS = 500
_LOOK_S = 1.0
_TRIM_S = 60.0
_TRIM_MORE_S = 0.05
_WAL_MAX_BYTES = 64 * 1024 * 1024

_DELETE_OLD = (
    "DELETE FROM records WHERE at_ms < ?"
    " AND id IN (SELECT id FROM records ORDER BY id LIMIT ?)"  # ids sort by time: no scan
)
_DELETE_SURPLUS = (
    "DELETE FROM records WHERE id <= (SELECT id FROM records ORDER BY id DESC LIMIT 1 OFFSET ?)"
)


class FileGoneError(OSError):
    """The file was removed or replaced while it was open; what is written to it is lost."""

    def __init__(self) -> None:
        super().__init__("the file was removed or replaced")
        self.strerror = "the file was removed or replaced"


class Upkeep:
    """Looks after one open database; called by the thread that writes it.

    Args:
        path: The file; None for a database in memory, which keeps the newest `MEMORY_ROWS`.
        retention_days: Age at which records go; 0 keeps them for good.

    Attributes:
        free_bytes: Free space beside the file at the last look; None in memory.
    """

    __slots__ = ("_inode", "_look_at", "_path", "_retention_ms", "_trim_at", "_wal", "free_bytes")

    def __init__(self, path: Path | None, *, retention_days: float) -> None:
        self._path = path
        self._wal = path.with_name(path.name + "-wal") if path else None
        self._inode = path.stat().st_ino if path else 0
        self._retention_ms = int(retention_days * DAY_MS)
        self._look_at = 0.0
        self._trim_at = 0.0
        self.free_bytes: int | None = None

    def tick(
        self, connection: sqlite3.Connection, *, idle: bool, now: float, wall_ms: int
    ) -> float:
        """Do what is due and return the seconds after which to look again, if nothing happens.

        Args:
            connection: The writer's, in no transaction.
            idle: Whether nothing waits to be written.
            now: Monotonic time.
            wall_ms: Wall clock, for the age of records.

        Raises:
            FileGoneError: The connection must be opened anew.
            sqlite3.Error: What was due will be tried at the next call.
        """
        if now >= self._look_at or idle:
            self._look_at = now + _LOOK_S
            self._look(connection, idle=idle)
        if now >= self._trim_at:
            more = self._trim(connection, wall_ms)
            self._trim_at = now + (_TRIM_MORE_S if more else _TRIM_S)
        if not idle:
            return _LOOK_S  # quiet for so long: time to write the log back
        return max(_TRIM_MORE_S, self._trim_at - now)

    def _look(self, connection: sqlite3.Connection, *, idle: bool) -> None:
        if self._path is None or self._wal is None:
            connection.execute(_DELETE_SURPLUS, (MEMORY_ROWS,))
            return
        try:
            if self._path.stat().st_ino != self._inode:
                raise FileGoneError
        except FileNotFoundError:
            raise FileGoneError from None
        self.free_bytes = shutil.disk_usage(self._path.parent).free
        wal_bytes = self._wal.stat().st_size if self._wal.exists() else 0
        if wal_bytes > (0 if idle else _WAL_MAX_BYTES):
            _checkpoint(connection)

    def _trim(self, connection: sqlite3.Connection, wall_ms: int) -> bool:
        oldest_ms = wall_ms - self._retention_ms if self._retention_ms else 0
        if made.trim(connection, oldest_ms):
            return True
        if (
            self._retention_ms
            and connection.execute(_DELETE_OLD, (oldest_ms, _CHUNK_ROWS)).rowcount == _CHUNK_ROWS
        ):
            return True
        rollup.trim(connection, oldest_ms=oldest_ms, wall_ms=wall_ms)
        return False


def _checkpoint(connection: sqlite3.Connection) -> None:
    """Write the log back and empty it, unless a reader is in the way; never wait for one."""
    (wait_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {wait_ms:d}")
