"""The commands of the documentation, run as a reader would run them, beside `llm-proxy demo`."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_proxy.config.settings import NAMES
from tests.support.proxy_process import ACCESS_KEY, ProxyProcess

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
HERE = "127.0.0.1:8000"
NOT_RUN_HERE = frozenset({
    "aider", "apt", "claude", "codex", "cp", "docker", "export", "git", "install", "kubectl", "llm-proxy",
    "make", "npm", "npx", "opencode", "pip", "pipx", "python3", "qwen", "sudo", "systemctl", "unset", "uvx",
})  # fmt: skip
"""Clients, and programs that change the reader's machine; their lines are read, not run."""


def lines(page: Path) -> list[str]:
    """Return the command lines of a page's shell blocks, continued ones joined."""
    blocks = re.findall(
        r"^```(?:bash|sh)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


LINES = [(page, line) for page in PAGES for line in lines(page)]


def program(line: str) -> str:
    """Return the program of a line, variables in front of it left out; empty = sets only these."""
    words = shlex.split(line, comments=True)
    return next((word for word in words if not re.match(r"[A-Z_]+=", word)), "")


def cases(name: str, has: str = "") -> list[object]:
    """Return the lines that run a program, each once."""
    found = {line: page for page, line in LINES if program(line) == name and has in line}
    return [pytest.param(line, id=f"{page.name}-{line[:60]}") for line, page in found.items()]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """The demo, in a folder of its own."""
    with ProxyProcess(tmp_path_factory.mktemp("demo"), arguments=["demo"]) as proxy:
        yield proxy


def run(line: str, proxy: ProxyProcess) -> subprocess.CompletedProcess[str]:
    """Run a line in the demo's folder, with the reader's variables set."""
    folder = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(ROOT / "src"),
        "MY_ACCESS_KEY": ACCESS_KEY,
        "PROXY_URL": f"{proxy.url}/v1",
        "API_KEY": ACCESS_KEY,
    }
    return subprocess.run(
        ["bash", "-c", line],
        cwd=proxy.directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_every_line_is_run_here_or_known_not_to_be() -> None:
    known = {"curl", "sqlite3", ""} | NOT_RUN_HERE
    strange = {line for _, line in LINES if program(line) not in known}
    assert strange == set()


@pytest.mark.parametrize("line", cases("curl", HERE))
def test_a_curl_line_gets_its_answer(demo: ProxyProcess, line: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    asked = line.replace(HERE, f"127.0.0.1:{demo.port}").replace("curl ", "curl -sS --fail ", 1)
    ended = run(asked, demo)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip()


@pytest.mark.parametrize("line", cases("sqlite3"))
def test_a_line_that_looks_into_the_records_works(demo: ProxyProcess, line: str) -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("needs sqlite3")
    ended = run(line, demo)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    "command", ["check", "config", "health", "version", *(f"completion {s}" for s in ("bash",))]
)
def test_a_command_of_the_readme_works_as_it_stands(demo: ProxyProcess, command: str) -> None:
    assert (
        f"`llm-proxy {command}`" in (ROOT / "README.md").read_text("utf-8") or command == "version"
    )
    port = demo.port if command == "health" else 8000
    environment = f"MY_ACCESS_KEY=sk-another-key-of-the-readme HOST=127.0.0.1 PORT={port} "
    ended = run(f"{environment}{sys.executable} -m llm_proxy {command}", demo)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("line", cases("make"))
def test_a_make_line_can_be_carried_out(line: str) -> None:
    words = shlex.split(line, comments=True)
    ended = subprocess.run(
        ["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("line", cases("docker", "docker run"))
def test_a_docker_line_sets_variables_that_exist_and_maps_the_images_port(line: str) -> None:
    words = shlex.split(line)
    given = [words[at + 1] for at, word in enumerate(words) if word == "-e"]
    assert {word.partition("=")[0] for word in given} <= {name.upper() for name in NAMES}
    assert {"PROXY_URL", "API_KEY", "MY_ACCESS_KEY"} <= {word.partition("=")[0] for word in given}
    assert words[words.index("-p") + 1].endswith(":8000")
    assert re.fullmatch(r"llm-proxy|ghcr\.io/\w+/llm-proxy:\d+", words[-1])
