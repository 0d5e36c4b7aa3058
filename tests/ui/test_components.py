"""The page's own tests (types and vitest), run where node and its packages can be had."""

import os
import subprocess
from pathlib import Path

import pytest

from tools.build_page import WEB, BuildError, find_node


def _npm(node: str, npm: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return subprocess.run(
        [*npm, *arguments],
        cwd=WEB,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PATH": path, "CI": "true"},
    )


def test_the_components_words_and_faults_of_the_page_hold_together() -> None:
    try:
        node, npm = find_node(may_install=False)
    except BuildError as error:
        pytest.skip(f"no node for the page's tests: {error}")
    if not (WEB / "node_modules" / "vitest").is_dir():
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
        installed = _npm(node, npm, "ci", *options)
        if installed.returncode:
            pytest.skip("the page's test tools could not be installed")
    done = _npm(node, npm, "test")
    assert done.returncode == 0, done.stdout + done.stderr
