"""The agents themselves, from their packages, through the proxy on a provider of chat alone."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import chat_json, chat_stream
from tests.support.provider import ProviderThread, Request
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import Script

WORD = "pumpernickel"
KEY = "sk-the-access-key-of-this-test"
PACKAGES = {"claude": "@anthropic-ai/claude-code", "codex": "@openai/codex"}
TIMEOUT_S = 120

pytestmark = pytest.mark.long


@pytest.fixture(scope="session")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the agents are installed."""
    if shutil.which("npm") is None:
        pytest.skip("needs npm to install the agents")
    folder = tmp_path_factory.mktemp("agents")
    command = ["npm", "install", "--no-audit", "--no-fund", *PACKAGES.values()]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return folder / "node_modules" / ".bin"


@pytest.fixture
def provider() -> Iterator[ProviderThread]:
    with ProviderThread() as provider:
        yield provider


def run(agent: list[str], home: Path, **environment: str) -> str:
    """Run an agent in its own home, with nothing of ours in its environment; return what it says."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    done = subprocess.run(
        agent,
        cwd=home,
        env=kept | {"HOME": str(home)} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def reads(path: Path, tools: dict[str, dict[str, Any]]) -> Any:
    """Return a provider that lets the agent read a file by one of its tools, then repeats a word."""

    def answer(request: Request) -> Script:
        fields = request.fields
        make: Any = chat_stream if fields.get("stream") else chat_json
        results = [turn for turn in fields["messages"] if turn["role"] == "tool"]
        if results:
            found = re.search(r"the word is (\w+)", str(results[-1]["content"]))
            words = f"I read {found[1] if found else 'nothing'}."
            return chat_stream([words]) if fields.get("stream") else chat_json(words)
        offered = [tool["function"]["name"] for tool in fields.get("tools", [])]
        for name, arguments in tools.items():
            if name in offered:
                return make(tool=(name, arguments))  # type: ignore[no-any-return]
        return make()  # type: ignore[no-any-return]

    path.write_text(f"the word is {WORD}\n")
    return answer


def test_claude_code_uses_a_tool_on_a_chat_provider(
    agents: Path, provider: ProviderThread, tmp_path: Path
) -> None:
    file = tmp_path / "note.txt"
    provider.reply(reads(file, {"Read": {"file_path": str(file)}}), path="/v1/chat/completions")
    with ProxyProcess(
        tmp_path / "data", provider.url, access_key=KEY, environment={"PROXY_FORMATS": "chat"}
    ) as proxy:
        said = run(
            [str(agents / "claude"), "-p", "Which word is in note.txt?", "--allowedTools", "Read"],
            tmp_path,
            ANTHROPIC_BASE_URL=proxy.url,
            ANTHROPIC_AUTH_TOKEN=KEY,
            ANTHROPIC_MODEL="claude-test",
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        )
    assert f"I read {WORD}." in said
    paths = {request.path for request in provider.requests}
    assert paths <= {"/v1/chat/completions", "/v1/models"}


def test_codex_uses_a_tool_on_a_chat_provider(
    agents: Path, provider: ProviderThread, tmp_path: Path
) -> None:
    file = tmp_path / "note.txt"
    shells: dict[str, dict[str, Any]] = {
        "exec_command": {"cmd": f"cat {file}"},
        "shell_command": {"command": f"cat {file}"},
        "shell": {"command": ["cat", str(file)]},
    }
    provider.reply(reads(file, shells), path="/v1/chat/completions")
    with ProxyProcess(
        tmp_path / "data", provider.url, access_key=KEY, environment={"PROXY_FORMATS": "chat"}
    ) as proxy:
        settings = {
            "model": "test-model",
            "model_provider": "proxy",
            "approval_policy": "never",
            "sandbox_mode": "danger-full-access",
            "model_providers.proxy.name": "proxy",
            "model_providers.proxy.base_url": f"{proxy.url}/v1",
            "model_providers.proxy.env_key": "PROXY_KEY",
            "model_providers.proxy.wire_api": "responses",
        }
        options = [part for item in settings.items() for part in ("-c", '{}="{}"'.format(*item))]
        said = run(
            [
                str(agents / "codex"),
                "exec",
                "--skip-git-repo-check",
                *options,
                "Which word is in note.txt?",
            ],
            tmp_path,
            PROXY_KEY=KEY,
        )
    assert f"I read {WORD}." in said
    paths = {request.path for request in provider.requests}
    assert paths <= {"/v1/chat/completions", "/v1/models"}
