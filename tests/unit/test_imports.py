"""The layers are one-way, and what a command imports is paid by every start of it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_imports_go_down_the_layers_only() -> None:
    """The contracts stand in pyproject.toml; this makes them part of every test run."""
    ended = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def imported_by(statement: str) -> set[str]:
    """Return the top-level packages and our own modules that a fresh Python has loaded."""
    code = f"import sys\n{statement}\nprint(*sys.modules, sep='\\n')"
    ended = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    names = ended.stdout.split()
    ours = {name for name in names if name.startswith("llm_proxy")}
    return {name.partition(".")[0] for name in names} | ours


NEVER = {"anyio", "httpx", "prometheus_client", "pydantic", "starlette", "typer", "requests"}


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        pytest.param(
            "llm_proxy.cli",
            {"asyncio", "uvloop", "ssl", "sqlite3", "llm_proxy.app", "llm_proxy.config"},
            id="the_command_line_imports_no_server",
        ),
        pytest.param(
            "llm_proxy.app",
            {"llm_proxy.site", "llm_proxy.dashboard", "llm_proxy.demo", "llm_proxy.check"},
            id="serving_imports_no_page",
        ),
        pytest.param("llm_proxy.domain.record", {"asyncio", "ssl", "sqlite3"}, id="values"),
        pytest.param("llm_proxy.policy.plan", {"asyncio", "ssl", "sqlite3"}, id="policy"),
        pytest.param("llm_proxy.formats", {"asyncio", "ssl", "sqlite3"}, id="formats"),
    ],
)
def test_an_import_brings_only_what_it_needs(module: str, unwanted: set[str]) -> None:
    loaded = imported_by(f"import {module}")
    assert module in loaded
    assert loaded & (unwanted | NEVER) == set()


def test_every_module_can_be_imported_by_itself() -> None:
    """No module works only because another one was imported before it."""
    folder = ROOT / "src" / "llm_proxy"
    modules = [
        ".".join(("llm_proxy", *path.relative_to(folder).with_suffix("").parts))
        for path in folder.rglob("*.py")
        if path.name != "__main__.py"
    ]
    names = sorted(name.removesuffix(".__init__") for name in modules)
    # One process: before each import, all of ours are forgotten.
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    for known in [one for one in sys.modules if one.startswith('llm_proxy')]:\n"
        "        del sys.modules[known]\n"
        "    importlib.import_module(name)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
