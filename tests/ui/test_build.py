import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "build_page.py"


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the build in a tree of its own that holds nothing but it."""
    (root / "tools").mkdir(exist_ok=True)
    script = Path(shutil.copy(SCRIPT, root / "tools"))
    return subprocess.run(
        [sys.executable, str(script), "--no-install", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": ""},
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [pytest.param([], 1, id="asked_for"), pytest.param(["--if-stale"], 0, id="by_the_way")],
)
def test_a_page_that_cannot_be_built_is_one_line_and_stops_nobody_who_did_not_ask(
    tmp_path: Path, arguments: list[str], code: int
) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == code
    assert done.stderr == "page not built: the page's sources (web/) are not here\n"


def test_a_page_newer_than_its_sources_is_left_alone(tmp_path: Path) -> None:
    built = tmp_path / "src" / "llm_proxy" / "dashboard" / "static" / "index.html"
    built.parent.mkdir(parents=True)
    built.write_text("built")
    source = tmp_path / "web" / "index.html"
    source.parent.mkdir()
    source.write_text("source")
    os.utime(source, (1_000, 1_000))
    done = run(tmp_path, "--if-stale")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_changed_source_makes_the_page_stale(tmp_path: Path) -> None:
    built = tmp_path / "src" / "llm_proxy" / "dashboard" / "static" / "index.html"
    built.parent.mkdir(parents=True)
    built.write_text("built")
    os.utime(built, (1_000, 1_000))
    source = tmp_path / "web" / "src" / "main.tsx"
    source.parent.mkdir(parents=True)
    source.write_text("source")
    assert "page not built" in run(tmp_path, "--if-stale").stderr
