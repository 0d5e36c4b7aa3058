"""Run the fault matrix against the real process: a line for each fault, then the sum.

Exit code 0 only if every one ended as promised. `--long` adds the long runs, `--only WORDS` runs
the situations that have these words in them. A complete good run writes docs/faults-matrix.md.
"""

import argparse
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.faults.matrix import ROWS, page  # noqa: E402 - the tests are no package of their own
from tests.faults.report import Reporter, files  # noqa: E402


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="with the long runs")
    parser.add_argument("--only", default="", metavar="WORDS", help="situations with these words")
    options = parser.parse_args()
    os.chdir(ROOT)
    rows = tuple(row for row in ROWS if options.only.lower() in row.situation.lower())
    if not rows:
        print(f"no situation has the words {options.only!r}", file=sys.stderr)
        return 2
    reporter = Reporter(rows)
    chosen = ["-m", "" if options.long else "not long"]
    quiet = ["-q", "--no-header", "-rN", "-p", "no:randomly", "-p", "no:cacheprovider"]
    code = int(pytest.main([*files(rows), *chosen, *quiet, "--tb=short"], plugins=[reporter]))
    if code == 0 and rows == ROWS:
        (ROOT / "docs" / "faults-matrix.md").write_text(page(), "utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
