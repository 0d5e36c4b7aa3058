"""Decides where records lie: in the file, or in memory while no file can be used.

A damaged file is set aside and a new one begun; a file from a newer version is left alone; where
the directory cannot be used, a database in memory takes its place (same tables, same queries,
the newest few thousand records) and its content moves to the file once that can be used.
"""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from llm_proxy.domain.errors import StoreError

from .migrate import NewerFileError
from .sqlite import (
    FILE_NAME,
    copy_all,
    describe,
    file_uri,
    is_corrupt,
    memory_uri,
    open_file,
    open_memory,
    set_aside,
)
from .upkeep import Upkeep

_MAX_SET_ASIDE = 3  # a disk that damages a third file will not keep the fourth
_RETURN_S = 10.0


class Place:
    """The writing connection and what it leads to. One thread at a time; `uri` from any.

    Attributes:
        path: The file, also while it is not used.
        problem: Why records live in memory; None while they go to the file.
    """

    __slots__ = (
        "_connection",
        "_memory_name",
        "_on_problem",
        "_retention_days",
        "_return_at",
        "_set_aside",
        "_upkeep",
        "_wall_ms",
        "path",
        "problem",
    )

    def __init__(
        self,
        data_dir: Path,
        *,
        retention_days: float,
        wall_ms: Callable[[], int],
        on_problem: Callable[[str], None],
    ) -> None:
        self.path = data_dir / FILE_NAME
        self.problem: str | None = None
        self._retention_days = retention_days
        self._wall_ms = wall_ms
        self._on_problem = on_problem
        self._memory_name = f"records-{id(self):x}"
        self._connection: sqlite3.Connection | None = None
        self._upkeep: Upkeep | None = None
        self._return_at: float | None = None  # None: there is no way back to the file
        self._set_aside = 0

    @property
    def in_memory(self) -> bool:
        """Whether records live in memory."""
        return self.problem is not None

    @property
    def free_bytes(self) -> int | None:
        """Free space beside the file at the last look; None in memory."""
        return self._upkeep.free_bytes if self._upkeep else None

    def uri(self) -> str:
        """Return the address under which readers find the records."""
        return memory_uri(self._memory_name) if self.in_memory else file_uri(self.path)

    def open(self, *, now: float) -> None:
        """Open the file or, failing that, a database in memory. For the start: never fails."""
        try:
            self.connection()
        except (sqlite3.Error, OSError) as error:
            self._go_to_memory(describe(error), return_at=now + _RETURN_S)

    def connection(self) -> sqlite3.Connection:
        """Return the open connection, opened again if it was closed.

        Raises:
            sqlite3.Error: The file cannot be used now. A damaged one is replaced instead.
            OSError: The same, from the file system.
        """
        if self._connection is None:
            try:
                self._use_file(open_file(self.path))
            except NewerFileError as error:
                self._go_to_memory(str(error), return_at=None)
            except sqlite3.Error as error:
                if not is_corrupt(error):
                    raise
                self.start_over()
        assert self._connection is not None
        return self._connection

    def start_over(self) -> None:
        """Set the damaged file aside and begin a new one, or go to memory where even that fails."""
        if self._set_aside >= _MAX_SET_ASIDE:
            self._go_to_memory("the disk damages the file again and again", return_at=None)
            return
        self._set_aside += 1
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(self._wall_ms() / 1000))
        self.close()
        try:
            aside = set_aside(self.path, stamp=f"{stamp}-{self._set_aside}")
            self._use_file(open_file(self.path))
        except (sqlite3.Error, OSError, StoreError) as error:
            self._go_to_memory(f"the file is damaged; {describe(error)}", return_at=None)
            return
        self._on_problem(
            f"the records file {self.path} was damaged: it was set aside as {aside.name}"
            " and a new one was begun"
        )

    def tick(self, *, idle: bool, now: float) -> float:
        """Do the upkeep that is due; see `Upkeep.tick` for the answer and what is raised."""
        if self._return_at is not None and now >= self._return_at:
            self._return_at = now + _RETURN_S
            self._return_to_file()
        connection = self.connection()
        assert self._upkeep is not None
        wait_s = self._upkeep.tick(connection, idle=idle, now=now, wall_ms=self._wall_ms())
        return wait_s if self._return_at is None else min(wait_s, self._return_at - now)

    def close(self) -> None:
        """Close the connection; the file's log is written back with it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def give_up_connection(self) -> None:
        """Close a connection that failed, so that the next use opens the file anew.

        One to memory stays: its content would go with it.
        """
        if not self.in_memory:
            self.close()

    def _use_file(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._upkeep = Upkeep(self.path, retention_days=self._retention_days)
        self.problem = self._return_at = None

    def _go_to_memory(self, why: str, *, return_at: float | None) -> None:
        self.close()
        self._connection = open_memory(self._memory_name)
        self._upkeep = Upkeep(None, retention_days=self._retention_days)
        self._return_at = return_at
        self.problem = f"records live in memory and are lost at restart: {why} ({self.path})"
        self._on_problem(self.problem)

    def _return_to_file(self) -> None:
        memory = self._connection
        assert memory is not None
        try:
            connection = open_file(self.path)
        except (sqlite3.Error, OSError, NewerFileError):
            return  # the reason stands in `problem`; it is tried again
        try:
            copy_all(memory, connection)
        except sqlite3.Error:
            connection.close()
            return
        self._use_file(connection)
        memory.close()
        self._on_problem(f"records go to {self.path} again, those kept in memory included")
