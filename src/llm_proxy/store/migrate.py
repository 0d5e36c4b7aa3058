"""Brings a database to this version's shape: numbered SQL files, forward only, all or nothing.

The number of the last step taken is the file's `user_version`; it changes in the step's own
transaction, so a process killed in between leaves the old shape. A file that holds something is
copied aside first. A file from a newer version is never touched: what it means is unknown here.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from llm_proxy.domain.errors import StoreError

_SQL = Path(__file__).parent / "sql"


class NewerFileError(StoreError):
    """The file was made by a newer version of this program."""


def steps() -> list[str]:
    """Return the SQL of every step, in order; step n of the list leads to version n + 1."""
    return [path.read_text() for path in sorted(_SQL.glob("[0-9]*.sql"))]


def refuse_newer(connection: sqlite3.Connection, *, known: int | None = None) -> int:
    """Return the file's version; reads its header only.

    Raises:
        NewerFileError: The version is above `known`, the last step by default.
    """
    known = len(steps()) if known is None else known
    have = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if have > known:
        raise NewerFileError(f"the file has format {have}, this version knows up to {known}")
    return have


def migrate(
    connection: sqlite3.Connection, *, path: Path | None, todo: Sequence[str] | None = None
) -> None:
    """Take the steps that `connection` lacks.

    Args:
        connection: In autocommit mode.
        path: The file, which is copied to `<name>.before-<version>.sqlite3` beside it before a
            step changes existing content; None for a database in memory.
        todo: All steps, for tests; those of `sql/` by default.

    Raises:
        NewerFileError: Nothing was changed.
        sqlite3.Error: A step or the copy failed; the steps before it have been taken.
    """
    todo = steps() if todo is None else todo
    have = refuse_newer(connection, known=len(todo))
    if 0 < have < len(todo) and path is not None:
        _copy_aside(connection, path.with_name(f"{path.stem}.before-{len(todo)}{path.suffix}"))
    for version in range(have + 1, len(todo) + 1):
        # One script in one transaction; the version is a literal because PRAGMA takes no parameter.
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{todo[version - 1]}\nPRAGMA user_version = {version:d};\nCOMMIT;"
            )
        except sqlite3.Error:
            if connection.in_transaction:
                connection.rollback()
            raise


def _copy_aside(connection: sqlite3.Connection, copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as target:
        connection.backup(target)
