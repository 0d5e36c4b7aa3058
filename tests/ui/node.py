"""The page's own test tools, run where node and its packages can be had."""

import os
import subprocess
from pathlib import Path

import pytest

from tools.build_page import WEB, BuildError, find_node

MODULES = WEB / "node_modules"
_NEEDED = ("vitest", "happy-dom", "axe-core")


def npm(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run npm in web/; the test is skipped on a machine without node."""
    try:
        node, command = find_node(may_install=False)
    except BuildError as error:
        pytest.skip(f"no node for the page's tests: {error}")
    path = f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return subprocess.run(
        [*command, *arguments],
        cwd=WEB,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PATH": path, "CI": "true"},
    )


def install_tools() -> None:
    """Install what the tests need beside the build; the test is skipped where that fails."""
    if all((MODULES / name).is_dir() for name in _NEEDED):
        return
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
    if npm("ci", *options).returncode:
        pytest.skip("the page's test tools could not be installed")
