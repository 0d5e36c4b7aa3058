"""`llm-proxy demo`: a newcomer copies the printed line, gets an answer and sees a rescue."""

import asyncio
import json
import re
import subprocess
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.support.proxy_process import ProxyProcess

from .stage import get, records

NOTHING_SET = {"PROXY_URL": "", "API_KEY": "", "MY_ACCESS_KEY": ""}


def curl_line(proxy: ProxyProcess) -> str:
    """Return the printed command, continuation lines included."""
    found = re.search(r"^ *curl (?:.*\\\n)*.*$", proxy.stdout, re.MULTILINE)
    assert found, proxy.stdout
    return found[0]


async def run_in_bash(line: str, environment: dict[str, str]) -> str:
    """Execute a line exactly as printed and return its output."""
    ended = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", line],
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


async def first_words(line: str, environment: dict[str, str]) -> str:
    """Execute a line exactly as printed and return the first words of the streamed answer."""
    bash = await asyncio.create_subprocess_exec(
        "bash", "-c", f"exec {line.lstrip()}", env=environment, stdout=PIPE, stderr=DEVNULL
    )
    assert bash.stdout is not None
    seen = []
    try:
        async with asyncio.timeout(10):
            async for received in bash.stdout:
                seen.append(received)
                data = received.removeprefix(b"data: ")
                if data != received and (words := words_of(json.loads(data))):
                    return words
    finally:
        if bash.returncode is None:
            bash.kill()
        await bash.wait()
    raise AssertionError(f"no words in {seen}")


def words_of(chunk: Any) -> str:
    """Return the text in one chunk of a chat stream."""
    return "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])


def text_of(output: str) -> str:
    """Return the text that a chat stream printed by curl holds."""
    data = [
        line.removeprefix("data: ") for line in output.splitlines() if line.startswith("data: ")
    ]
    assert data[-1:] == ["[DONE]"], output
    return "".join(words_of(json.loads(one)) for one in data[:-1])


@pytest.mark.parametrize("folder", ["data", "my data (new) $HOME's"])
async def test_the_printed_curl_line_streams_an_answer(tmp_path: Path, folder: str) -> None:
    environment = NOTHING_SET | {"DATA_DIR": str(tmp_path / folder)}
    proxy = ProxyProcess(tmp_path, arguments=["demo"], access_key="", environment=environment)
    async with proxy:
        assert f"Page       {proxy.url}/" in proxy.stdout
        assert await first_words(curl_line(proxy), {"PATH": proxy.environment["PATH"]})


@pytest.mark.parametrize(
    ("access_key", "key"),
    [
        pytest.param("sk-one-plain-access-key", "sk-one-plain-access-key", id="one_key"),
        pytest.param(
            "phone:sk-key-of-a-phone,sk-another-key", "sk-key-of-a-phone", id="named_keys"
        ),
    ],
)
async def test_the_printed_curl_line_works_with_an_access_key_of_ones_own(
    tmp_path: Path, access_key: str, key: str
) -> None:
    proxy = ProxyProcess(tmp_path, arguments=["demo"], access_key=access_key)
    async with proxy:
        assert key not in proxy.output
        # What the line leaves to the user: the variable, or the words to be replaced.
        line = curl_line(proxy).replace("YOUR_ACCESS_KEY", key)
        environment = {"PATH": proxy.environment["PATH"]}
        if access_key == key:
            environment["MY_ACCESS_KEY"] = access_key
        assert await first_words(line, environment)


async def test_after_some_requests_the_records_show_a_rate_limit_that_was_rescued(
    tmp_path: Path,
) -> None:
    proxy = ProxyProcess(tmp_path, arguments=["demo"], access_key="", environment=NOTHING_SET)
    async with proxy:
        proxy.access_key = (tmp_path / "data" / "access-key").read_text().strip()
        line = curl_line(proxy)
        environment = {"PATH": proxy.environment["PATH"]}
        outputs = await asyncio.gather(*(run_in_bash(line, environment) for _ in range(8)))
        assert all(text_of(output) for output in outputs)
        found = await records(proxy)
        assert [one["outcome"] for one in found] == ["ok"] * 8
        rescued = [one for one in found if len(one["attempts"]) > 1]
        assert rescued, found
        first, *_, last = rescued[0]["attempts"]
        assert (first["status"], first["fault"]) == (429, "rate_limited")
        assert last["status"] == 200
        assert "fault" not in last
        totals = (await get(proxy, "/api/status"))["totals"]
        assert totals["rescued"] == len(rescued)
        assert totals["rate_limits_met"] >= 1


async def test_a_key_that_could_not_be_kept_is_shown_and_not_said_to_be_kept(
    tmp_path: Path,
) -> None:
    (tmp_path / "no-folder").write_text("")
    environment = NOTHING_SET | {"DATA_DIR": str(tmp_path / "no-folder" / "data")}
    proxy = ProxyProcess(tmp_path, arguments=["demo"], access_key="", environment=environment)
    async with proxy:
        shown = re.search(r"made just now: (sk-[0-9a-f]+)", proxy.stdout)
        assert shown
        assert "lasts one run" in proxy.stderr
        assert "kept in" not in proxy.output
        line = curl_line(proxy).replace("YOUR_ACCESS_KEY", shown[1])
        assert await first_words(line, {"PATH": proxy.environment["PATH"]})


async def test_the_generated_key_is_shown_once_and_kept(tmp_path: Path) -> None:
    proxy = ProxyProcess(tmp_path, arguments=["demo"], access_key="", environment=NOTHING_SET)
    async with proxy:
        key = (tmp_path / "data" / "access-key").read_text().strip()
        assert proxy.output.count(key) == 1
        await asyncio.to_thread(proxy.stop)
    async with proxy:
        assert (tmp_path / "data" / "access-key").read_text().strip() == key
        assert proxy.output.count(key) == 1  # the outputs of both starts
        proxy.access_key = key
        assert await get(proxy, "/api/requests") == {"requests": [], "next": None}
