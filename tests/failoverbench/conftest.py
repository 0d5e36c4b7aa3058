"""Prints the score card at the end of the run."""

import pytest

from .stand import Row

ROWS = pytest.StashKey[list[Row]]()


@pytest.fixture
def score_card(request: pytest.FixtureRequest) -> list[Row]:
    """Where the rows go."""
    return request.config.stash.setdefault(ROWS, [])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what was scored."""
    rows = config.stash.get(ROWS, [])
    if not rows:
        return
    terminalreporter.section("failover scenarios: verdict, attempts at first choice + way out")
    for row in sorted(rows):
        terminalreporter.write_line(row.line)
