"""The commands as a user runs them: a process, its exit code and what it prints."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ACCESS_KEY, UPSTREAM_KEY

GOOD = {"PROXY_URL": "http://127.0.0.1:1", "API_KEY": UPSTREAM_KEY, "MY_ACCESS_KEY": ACCESS_KEY}


def run(cwd: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "llm_proxy", *words],
        cwd=cwd,
        env=kept | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_an_upstream_the_start_names_the_variable_and_the_demo(tmp_path: Path) -> None:
    for words in ((), ("serve",)):
        ended = run(tmp_path, *words)
        assert ended.returncode == 2
        assert ended.stderr.count("\n") == 1
        assert "PROXY_URL" in ended.stderr
        assert "llm-proxy demo" in ended.stderr
        assert ended.stdout == ""


def test_a_bad_value_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    ended = run(tmp_path, **GOOD, PORT="many")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("llm-proxy: PORT: is not a whole number.")
    assert ended.stderr.count("\n") == 1


def test_config_prints_what_is_in_force_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "llm-proxy.toml").write_text("max_retries = 7\n")
    ended = run(tmp_path, "config", **GOOD)
    assert ended.returncode == 0
    text = " ".join(ended.stdout.split())
    assert "MAX_RETRIES = 7 # file" in text
    assert "PROXY_URL = http://127.0.0.1:1/v1 # environment" in text
    assert "canary" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "words", [("--config", "own.toml", "config"), ("config", "--config", "own.toml")]
)
def test_the_file_may_be_named_before_or_after_the_command(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "own.toml").write_text("port = 4321\n")
    assert "4321" in run(tmp_path, *words, **GOOD).stdout


def test_check_lists_every_mistake_and_fails(tmp_path: Path) -> None:
    ended = run(tmp_path, "check", PROXY_URL="ftp://a.com", PORT="many", WORKERS="2")
    assert ended.returncode == 1
    failures = [line for line in ended.stdout.splitlines() if line.startswith("FAIL")]
    assert [line.split()[1] for line in failures] == [
        "PORT:",
        "WORKERS:",
        "PROXY_URL:",
        "MY_ACCESS_KEY:",
    ]
    assert ended.stderr == ""


def test_check_tries_the_upstream_and_fails_when_it_is_not_there(tmp_path: Path) -> None:
    ended = run(tmp_path, "check", **GOOD)
    assert ended.returncode == 1
    assert "FAIL  upstream-1: http://127.0.0.1:1/v1: TCP: " in ended.stdout
    assert "canary" not in ended.stdout


def test_check_points_at_misspelt_variables(tmp_path: Path) -> None:
    ended = run(tmp_path, "check", **GOOD, API_KEYS="canary", max_retries="1", OPENAI_API_KEY="x")
    warned = [line for line in ended.stdout.splitlines() if line.startswith("warn")]
    assert [line.split()[1] for line in warned] == ["API_KEYS:", "max_retries:"]
    assert "canary" not in ended.stdout


def test_looking_writes_nothing(tmp_path: Path) -> None:
    environ = GOOD | {"MY_ACCESS_KEY": "", "HOST": "127.0.0.1"}
    for command in ("config", "check", "health", "version"):
        run(tmp_path, command, **environ)
    assert list(tmp_path.iterdir()) == []


def test_health_fails_when_nothing_listens(tmp_path: Path) -> None:
    assert run(tmp_path, "health", **GOOD, PORT="1").returncode == 1


def test_version_and_unknown_commands(tmp_path: Path) -> None:
    assert run(tmp_path, "version").stdout.startswith("llm-proxy ")
    assert run(tmp_path, "serv").returncode == 2


def test_importing_the_command_line_stays_cheap(tmp_path: Path) -> None:
    heavy = ("asyncio", "ssl", "socket", "http.client", "starlette", "sqlite3", "uvloop", "msgspec")
    code = f"import sys, llm_proxy.cli; print([m for m in {heavy!r} if m in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.strip() == "[]"


FAKE_APP = """
import sys, types
app = types.ModuleType("llm_proxy.app")
def serve(settings, *, load_again, demo_sockets=None):
    assert load_again().access_keys[0].secret == settings.access_keys[0].secret
    ports = [one.getsockname()[1] for one in demo_sockets or ()]
    pools = [[key.label for key in one.keys] for one in settings.upstreams]
    print("SERVED", [one.port for one in settings.upstreams] == ports, pools)
    return 0
app.serve = serve
sys.modules["llm_proxy.app"] = app
from llm_proxy.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run_with_fake_app(cwd: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Stand in for the server alone, so that what the commands hand to it can be seen."""
    kept = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        [sys.executable, "-c", FAKE_APP, *words],
        cwd=cwd,
        env=kept | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_demo_has_two_upstreams_and_prints_its_new_key_once(tmp_path: Path) -> None:
    hostile = {"PROXY_MODELS": "gpt-5", "PROXY_FORMATS": "chat", "HTTP_PROXY": "http://h:1"}
    first = run_with_fake_app(tmp_path, "demo", **hostile)
    assert first.returncode == 0, first.stderr
    assert "SERVED True [['key-1 …y-a1', 'key-2 …y-a2'], ['key-1 …y-b1']]" in first.stdout
    file = tmp_path / "data" / "access-key"
    key = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert first.stdout.count(key) == 1
    second = run_with_fake_app(tmp_path, "demo")
    assert key not in second.stdout
    assert str(file) in second.stdout


def test_serving_hands_the_settings_over(tmp_path: Path) -> None:
    ended = run_with_fake_app(tmp_path, **GOOD)
    assert ended.returncode == 0, ended.stderr
    assert "SERVED False [['key-1 …6789']]" in ended.stdout
    assert "access key" not in ended.stdout.lower()
