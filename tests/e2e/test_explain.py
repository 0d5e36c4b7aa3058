"""`llm-proxy check --explain`: who would serve a model, by the running proxy or without one."""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import chat_json, error
from tests.support.client import RawClient
from tests.support.provider import Provider
from tests.support.proxy_process import ProxyProcess

from .world import CHAT, question

KEY, FRIEND = "sk-owners-access-key-0001", "sk-friends-access-key-0002"
SECRETS = ("sk-limited-0001", "sk-refused-0002", "sk-spare-0003", KEY, FRIEND)


def command(
    directory: Path, environment: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "llm_proxy", "check", *arguments],
        cwd=directory,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


async def explained(proxy: ProxyProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    found = await asyncio.to_thread(
        command, proxy.directory, proxy.environment, "--explain", *arguments
    )
    for secret in SECRETS:
        assert secret not in found.stdout + found.stderr
    return found


def targets_in(found: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {one["target"]: one for one in json.loads(found.stdout)["outlook"]["targets"]}


@contextlib.asynccontextmanager
async def mixed(directory: Path, provider: Provider) -> AsyncIterator[ProxyProcess]:
    """Run a proxy with one key that rests, one that is refused, a spare one, and two that come last or never."""
    provider.reply(error(429, headers=[("retry-after", "90")]), key="sk-limited-0001", path=CHAT)
    provider.reply(error(401), key="sk-refused-0002", path=CHAT)
    provider.reply(chat_json("spare"), key="sk-spare-0003", path=CHAT)
    tables = (
        ("limited", 'key = "sk-limited-0001"'),
        ("refused", 'key = "sk-refused-0002"'),
        ("spare", 'key = "sk-spare-0003"\npriority = 1\nmodel_map = { "gpt-*" = "qwen3" }'),
        ("claude", 'key = "none"\nformats = ["messages"]\npriority = 1'),
        ("local", 'key = "none"\nmodels = ["llama"]'),
    )
    file = directory / "proxy.toml"
    file.write_text(
        "".join(
            f'[[upstream]]\nname = "{name}"\nurl = "{provider.url}"\n{lines}\n'
            for name, lines in tables
        )
    )
    environment = {"LLM_PROXY_CONFIG": str(file)}
    keys = f"me:{KEY},friend:{FRIEND}"
    async with ProxyProcess(directory, access_key=keys, environment=environment) as proxy:
        yield proxy


async def get(proxy: ProxyProcess, path: str, key: str | None) -> tuple[int, Any]:
    async with RawClient.to(proxy.url) as client:
        answer = await client.ask("GET", path, key=key)
        return answer.status, answer.json()


async def test_the_running_proxy_tells_who_rests_until_when_and_who_is_asked_next(
    tmp_path: Path,
) -> None:
    async with Provider() as provider, mixed(tmp_path, provider) as proxy:
        async with RawClient.to(proxy.url) as client:
            body = question("chat", "gpt-5")
            answer = await client.ask("POST", CHAT, key=KEY, json_body=body)
            assert answer.header("x-llm-proxy-attempts") == "3"
        found = await explained(proxy, "gpt-5", "--json")
        assert found.returncode == 0
        report = json.loads(found.stdout)
        assert (report["source"], report["outlook"]["verdict"]) == ("proxy", "asks")
        one = targets_in(found)
        resting = one["limited/key-1"]
        assert (resting["why"], resting["source"], resting["order"]) == ("limited", "header", None)
        assert 80 < resting["until_s"] <= 90
        assert one["refused/key-1"]["cause"] == "key_rejected"
        assert (one["spare/key-1"]["asked_for"], one["claude/none"]["why"]) == (
            "qwen3",
            "second",
        )
        assert one["local/none"]["says"] == "does not serve gpt-5"

        status, outlook = await get(proxy, "/api/explain?model=gpt-5", KEY)
        assert (status, [t["target"] for t in outlook["targets"]]) == (200, list(one))

        text = (await explained(proxy, "gpt-5")).stdout
        assert text.splitlines()[0] == f"gpt-5 (chat), as the proxy on port {proxy.port} knows it"
        assert re.search(
            r"^  -  limited +key-1 …0001 +rate limited, told by the answer's header "
            r"\(rate_limited\), until \d\d:\d\d:\d\d$",
            text,
            re.MULTILINE,
        )
        assert re.search(r"^  \d  spare +key-1 …0003 +.*; asked for qwen3$", text, re.MULTILINE)
        assert provider.url not in text
        assert (await explained(proxy, "unheard-of", "--format", "responses")).returncode == 0


async def test_where_everybody_is_limited_for_long_the_exit_code_is_1(tmp_path: Path) -> None:
    async with Provider() as provider:
        provider.reply(error(429, headers=[("retry-after", "90")]), path=CHAT)
        async with ProxyProcess(tmp_path, provider.url, access_key=KEY) as proxy:
            async with RawClient.to(proxy.url) as client:
                await client.ask("POST", CHAT, key=KEY, json_body=question("chat"))
            found = await explained(proxy, "test-model")
            assert found.returncode == 1
            assert "refused with 429, until" in found.stdout
            assert (await explained(proxy, "another-model")).returncode == 0


async def test_without_a_running_proxy_the_configuration_alone_explains_and_says_so(
    tmp_path: Path,
) -> None:
    async with Provider() as provider:
        async with mixed(tmp_path, provider) as proxy:
            pass
        found = await explained(proxy, "gpt-5", "--format", "messages")
        assert found.returncode == 0
        first = found.stdout.splitlines()[0]
        reason = f"no proxy answers on port {proxy.port}"
        assert first == f"gpt-5 (messages), by the configuration alone: {reason}"
        assert json.loads((await explained(proxy, "gpt-5", "--json")).stdout)["source"] == (
            "configuration"
        )
        one = targets_in(await explained(proxy, "gpt-5", "--json"))
        assert {t: why["why"] for t, why in one.items()} == {
            "limited/key-1": "first",
            "refused/key-1": "equal",
            "spare/key-1": "lower_priority",
            "claude/none": "lower_priority",
            "local/none": "no_model",
        }


async def test_a_model_that_nobody_serves_is_told_as_clients_are_told(tmp_path: Path) -> None:
    async with Provider() as provider:
        environment = {"PROXY_MODELS": "gpt-5"}
        proxy = ProxyProcess(tmp_path, provider.url, access_key=KEY, environment=environment)
        found = await explained(proxy, "gpt-4")
        assert found.returncode == 1
        assert "The model 'gpt-4' does not exist" in found.stdout
        assert "does not serve gpt-4" in found.stdout


async def test_a_proxy_with_another_access_key_is_not_asked_twice(tmp_path: Path) -> None:
    async with Provider() as provider:
        async with ProxyProcess(tmp_path, provider.url, access_key=KEY) as proxy:
            environment = proxy.environment | {"MY_ACCESS_KEY": FRIEND}
            arguments = (proxy.directory, environment, "--explain", "m")
            found = await asyncio.to_thread(command, *arguments)
        assert (found.returncode, "has another access key" in found.stdout) == (0, True)


async def test_fallback_models_come_behind_the_one_that_was_asked_for(tmp_path: Path) -> None:
    async with Provider() as provider:
        environment = {"PROXY_MODELS": "big,small", "MODEL_FALLBACKS": "big=small"}
        proxy = ProxyProcess(tmp_path, provider.url, access_key=KEY, environment=environment)
        text = (await explained(proxy, "big")).stdout
        assert re.findall(r"^  (\d) .*?(; fallback model small)?$", text, re.MULTILINE) == [
            ("1", ""),
            ("2", "; fallback model small"),
        ]


async def test_a_broken_configuration_is_told_where_no_proxy_runs(tmp_path: Path) -> None:
    proxy = ProxyProcess(tmp_path, access_key=KEY)
    found = await explained(proxy, "gpt-5")
    assert (found.returncode, found.stdout) == (1, "")
    assert "FAIL  PROXY_URL: is not set" in found.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--json",), ("--format", "chat"), ("--explain", " "), ("--explain", "m", "--format", "x")],
)
def test_options_that_mean_nothing_are_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    proxy = ProxyProcess(tmp_path, access_key=KEY)
    found = command(tmp_path, proxy.environment, *arguments)
    assert (found.returncode, "usage:" in found.stderr) == (2, True)


async def test_the_explanation_is_the_owners_business(tmp_path: Path) -> None:
    async with Provider() as provider, mixed(tmp_path, provider) as proxy:
        path = "/api/explain?model=gpt-5"
        assert [(await get(proxy, path, key))[0] for key in (KEY, FRIEND, None)] == [200, 403, 401]
        for bad in ("", "?model=", "?model=x&format=gemini", f"?model={'m' * 201}"):
            assert (await get(proxy, "/api/explain" + bad, KEY))[0] == 400
