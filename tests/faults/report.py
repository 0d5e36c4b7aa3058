"""The pytest plugin behind `make faults`: runs the matrix's tests, a line for each row.

A row ends as promised when all its tests have passed. One whose tests could not run here (a tool
is missing, or they are long) is told apart, never counted as good.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from .matrix import ROWS, Row, claims

Outcome = Literal["passed", "failed", "skipped"]


class Board:
    """Who has passed so far.

    Attributes:
        failed: Situations that did not end as promised.
    """

    def __init__(self, rows: tuple[Row, ...], tell: Callable[[str], None]) -> None:
        self._rows = rows
        self._tell = tell
        self._waiting: dict[str, set[str]] = {}
        self._seen: dict[str, list[Outcome]] = {row.situation: [] for row in rows}
        self._good = 0
        self.failed: list[str] = []

    def expect(self, tests: list[str]) -> list[str]:
        """Note which tests will run; return those that belong to a row."""
        for row in self._rows:
            self._waiting[row.situation] = {test for test in tests if claims(row, test)}
        wanted = set().union(*self._waiting.values())
        return [test for test in tests if test in wanted]

    def note(self, test: str, outcome: Outcome) -> None:
        """Take a test's outcome, and tell of the rows that it completes."""
        for row in self._rows:
            waiting = self._waiting[row.situation]
            if test in waiting:
                waiting.discard(test)
                self._seen[row.situation].append(outcome)
                if not waiting:
                    self._tell_of(row)

    def _tell_of(self, row: Row) -> None:
        seen = self._seen[row.situation]
        if "failed" in seen:
            word = "FAIL"
            self.failed.append(row.situation)
        elif "passed" in seen:
            word = "ok"
            self._good += 1
        else:
            word = "skip"
        self._tell(f"{word:5} {row.ending.value:13} {row.situation:86} {len(seen):4}")

    def finish(self) -> bool:
        """Tell the sum; return whether every row that ran ended as promised."""
        for situation, waiting in self._waiting.items():
            if waiting and self._seen[situation]:  # broken off
                self.failed.append(situation)
        ran = self._good + len(self.failed)
        self._tell(f"\n{self._good} of {ran} situations end as promised")
        for situation, seen in self._seen.items():
            if set(seen) <= {"skipped"}:
                self._tell(f"not run here: {situation}")
        for situation in self.failed:
            self._tell(f"not as promised: {situation}")
        return self._good == ran > 0


class Reporter:
    """Hooks that feed a board and keep pytest's own progress quiet."""

    def __init__(self, rows: tuple[Row, ...] = ROWS) -> None:
        self._rows = rows
        self.board: Board | None = None
        self._failed: set[str] = set()

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Keep the matrix's tests only, without the long ones unless asked for."""
        terminal = config.pluginmanager.getplugin("terminalreporter")
        assert terminal is not None
        self.board = Board(self._rows, terminal.write_line)
        is_long = config.getoption("markexpr") == ""
        may_run = [one for one in items if is_long or one.get_closest_marker("long") is None]
        wanted = set(self.board.expect([name_of(one.nodeid) for one in may_run]))
        items[:] = [one for one in may_run if name_of(one.nodeid) in wanted]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a test's outcome: failed wherever it failed, else what its call says."""
        assert self.board is not None
        if report.failed:
            self._failed.add(report.nodeid)
        if report.when == "teardown":
            outcome: Outcome = "failed" if report.nodeid in self._failed else "passed"
            self.board.note(name_of(report.nodeid), outcome)
        elif report.skipped:
            self.board.note(name_of(report.nodeid), "skipped")

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Print no dots."""
        return (report.outcome if report.when == "call" else "", "", "")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell the sum and make it the exit code."""
        if self.board is not None and not self.board.finish() and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def name_of(nodeid: str) -> str:
    """Return a test as the matrix names it."""
    path, _, name = nodeid.rpartition("::test_")
    return f"{path.removeprefix('tests/').partition('::')[0]}::{name}"


def files(rows: tuple[Row, ...] = ROWS) -> list[str]:
    """Return the files that the rows' tests stand in."""
    names = {name.partition("::")[0] for row in rows for name in row.tests}
    return sorted(str(Path("tests", name)) for name in names)
