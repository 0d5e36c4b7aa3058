"""The fault matrix names tests that exist, leaves out none of them, and its page is up to date."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.matrix import REFUSED, RESCUED, ROWS, Row, claims, page
from tests.faults.report import Board

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"


def names(path: Path) -> list[str]:
    """Return a file's tests as the matrix names them."""
    tree = ast.parse(path.read_text("utf-8"))
    return [
        f"{path.relative_to(TESTS)}::{node.name.removeprefix('test_')}"
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    ]


def test_every_test_that_a_row_names_exists() -> None:
    for row in ROWS:
        for beginning in row.tests:
            file = TESTS / beginning.partition("::")[0]
            assert any(name.startswith(beginning) for name in names(file)), (
                row.situation,
                beginning,
            )


def test_every_test_of_a_fault_has_a_row() -> None:
    beginnings = [beginning for row in ROWS for beginning in row.tests]
    for path in sorted((TESTS / "faults").glob("test_*.py")):
        for name in names(path):
            assert any(name.startswith(beginning) for beginning in beginnings), name


def test_the_page_of_the_matrix_is_up_to_date() -> None:
    assert (ROOT / "docs/faults-matrix.md").read_text("utf-8") == page(), "run `make faults`"


ONE = Row("one", RESCUED, "", {"a.py::x": ""})
TWO = Row("two", REFUSED, "", {"a.py::y": "c d"})


def run(outcomes: dict[str, str]) -> tuple[bool, str]:
    told: list[str] = []
    board = Board((ONE, TWO), told.append)
    for test in board.expect(list(outcomes)):
        board.note(test, outcomes[test])  # type: ignore[arg-type]
    return board.finish(), "\n".join(told)


def test_a_row_claims_the_cases_it_names_and_no_others() -> None:
    assert claims(ONE, "a.py::x_and_more[any]")
    assert claims(TWO, "a.py::y[c]")
    assert not claims(TWO, "a.py::y[cd]")
    assert not claims(ONE, "b.py::x")


@pytest.mark.parametrize(
    ("outcomes", "is_good", "said"),
    [
        ({"a.py::x": "passed", "a.py::y[c]": "passed"}, True, "2 of 2 situations"),
        ({"a.py::x": "passed", "a.py::y[c]": "failed"}, False, "not as promised: two"),
        ({"a.py::x": "passed", "a.py::x2": "failed"}, False, "not as promised: one"),
        ({"a.py::x": "passed", "a.py::y[d]": "skipped"}, True, "not run here: two"),
        ({"a.py::x": "passed"}, True, "1 of 1 situations"),
        ({}, False, "0 of 0 situations"),
    ],
    ids=["all_pass", "one_fails", "half_a_row_fails", "skipped", "not_chosen", "nothing_ran"],
)
def test_the_sum_is_good_only_if_every_row_that_ran_is(
    outcomes: dict[str, str], is_good: bool, said: str
) -> None:
    verdict, told = run(outcomes)
    assert verdict is is_good
    assert said in told


def test_the_command_runs_a_situation_against_the_real_process() -> None:
    done = subprocess.run(
        [sys.executable, "tools/run_faults.py", "--only", "redirect"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok    honest error  redirect" in done.stdout
    assert "1 of 1 situations end as promised" in done.stdout
