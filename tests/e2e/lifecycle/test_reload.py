"""A changed file is taken over while requests run: checked first, swapped whole, or not at all."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.answers import chat_json
from tests.support.client import RawClient
from tests.support.provider import Provider
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import signal as tell
from tests.support.scripts import wait

from .stage import PATHS, STREAMS, ask, eventually, get, question

OLD, NEW = "sk-old-access-key-000001", "sk-new-access-key-000002"
NOT_SET = {"PROXY_URL": "", "API_KEY": "", "MY_ACCESS_KEY": ""}
"""The environment beats the file, so what the file is to change must not stand there."""


class Configured:
    """A running proxy whose configuration is a file, and its provider."""

    def __init__(self, proxy: ProxyProcess, provider: Provider, file: Path) -> None:
        self.proxy = proxy
        self.provider = provider
        self.file = file

    def write(self, *lines: str, access_key: str = OLD, upstream_key: str = "sk-first-1") -> None:
        """Replace the file, as an editor does: a new one is moved over the old one."""
        written = self.file.with_suffix(".new")
        fixed = f'proxy_url = "{self.provider.url}"\napi_key = "{upstream_key}"\n'
        written.write_text(f'{fixed}my_access_key = "{access_key}"\n' + "\n".join(lines))
        written.replace(self.file)

    async def reload(self, words: str) -> str:
        """Send SIGHUP and return the line with `words` that it leads to."""
        before = len(self.proxy.stderr)
        self.proxy.send_signal(signal.SIGHUP)
        return await self.said(words, before)

    async def said(self, words: str, before: int = 0) -> str:
        """Return the first line with `words` that is logged behind position `before`."""
        await eventually(lambda: words in self.proxy.stderr[before:])
        return next(line for line in self.proxy.stderr[before:].splitlines() if words in line)


@pytest.fixture
async def configured(tmp_path: Path) -> AsyncIterator[Configured]:
    file = tmp_path / "proxy.toml"
    async with Provider() as provider:
        proxy = ProxyProcess(
            tmp_path, access_key=OLD, environment={"LLM_PROXY_CONFIG": str(file), **NOT_SET}
        )
        built = Configured(proxy, provider, file)
        built.write()
        async with proxy:
            yield built


async def test_sighup_lets_a_new_key_in_and_the_old_one_out(configured: Configured) -> None:
    proxy = configured.proxy
    assert (await ask(proxy, key=OLD)).status == 200
    assert (await ask(proxy, key=NEW)).status == 401
    configured.write(access_key=NEW)
    line = await configured.reload("configuration generation 2")
    assert "my_access_key changed" in line
    assert (await ask(proxy, key=NEW)).status == 200
    refused = await ask(proxy, key=OLD)
    assert refused.status == 401
    assert "Permission Denied" in refused.json()["error"]["message"]
    proxy.access_key = NEW
    assert (await get(proxy, "/api/status"))["generation"] == 2
    assert OLD not in proxy.output
    assert NEW not in proxy.output


async def test_sighup_uses_a_new_upstream_key_from_the_next_request_on(
    configured: Configured,
) -> None:
    await ask(configured.proxy)
    configured.write(upstream_key="sk-second-2")
    await configured.reload("api_key changed")
    await ask(configured.proxy)
    posts = [one.key for one in configured.provider.requests if one.method == "POST"]
    assert posts == ["sk-first-1", "sk-second-2"]
    assert "sk-second-2" not in configured.proxy.output


async def test_sighup_leaves_a_running_stream_alone(configured: Configured) -> None:
    reached, go = asyncio.Event(), asyncio.Event()
    script = STREAMS["chat"](["one ", "two "])
    at = next(n for n, piece in enumerate(script) if isinstance(piece, bytes) and b"two" in piece)
    configured.provider.script(
        [*script[:at], tell(reached), wait(go), *script[at:]], path=PATHS["chat"]
    )
    async with RawClient.to(configured.proxy.url) as client:
        body = question(stream=True)
        await client.request("POST", PATHS["chat"], key=OLD, json_body=body)
        head = await client.read_head()
        await reached.wait()
        configured.write(access_key=NEW, upstream_key="sk-second-2")
        await configured.reload("generation 2")
        assert (await ask(configured.proxy, key=NEW)).status == 200
        go.set()
        stream = await client.read_stream(head)
        assert stream.ending == "complete"
        assert stream.data[-1] == "[DONE]"
    configured.proxy.access_key = NEW
    outcomes = [
        one["outcome"] for one in (await get(configured.proxy, "/api/requests"))["requests"]
    ]
    assert outcomes == ["ok", "ok"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        pytest.param(("max_retries = [",), "TOML", id="broken_text"),
        pytest.param(("max_retries = 1000",), "max_retries", id="value_out_of_range"),
        pytest.param(("no_such_setting = 1",), "no_such_setting", id="unknown_name"),
        pytest.param(('redis_url = "redis://x"',), "redis_url", id="not_built_yet"),
    ],
)
async def test_a_broken_file_keeps_the_old_configuration_and_is_said_in_one_line(
    configured: Configured, lines: tuple[str, ...], reason: str
) -> None:
    configured.write(*lines, access_key=NEW)
    before = len(configured.proxy.stderr)
    line = await configured.reload("configuration unchanged")
    assert reason in line
    assert len(configured.proxy.stderr[before:].splitlines()) == 1
    assert (await ask(configured.proxy, key=OLD)).status == 200
    assert (await ask(configured.proxy, key=NEW)).status == 401
    assert (await get(configured.proxy, "/api/status"))["generation"] == 1
    configured.write(access_key=NEW)
    await configured.reload("generation 2")
    assert (await ask(configured.proxy, key=NEW)).status == 200


async def test_a_vanished_file_keeps_the_old_configuration(configured: Configured) -> None:
    configured.file.unlink()
    await configured.reload("configuration unchanged")
    assert (await ask(configured.proxy, key=OLD)).status == 200


async def test_settings_that_need_a_restart_are_named_and_wait(configured: Configured) -> None:
    configured.write("retention_days = 1", 'log_level = "debug"', "max_retries = 0")
    before = len(configured.proxy.stderr)
    line = await configured.reload("wait for a restart")
    assert "retention_days" in line
    assert "log_level" in line
    assert "max_retries" not in line
    assert "max_retries changed" in await configured.said("generation 2", before)
    assert (await ask(configured.proxy, key=OLD)).status == 200


async def test_sighup_without_a_change_says_so(configured: Configured) -> None:
    await configured.reload("nothing changed")
    assert (await get(configured.proxy, "/api/status"))["generation"] == 1


async def test_a_changed_file_is_noticed_without_a_signal(configured: Configured) -> None:
    configured.write(access_key=NEW)
    await configured.said("generation 2")
    assert (await ask(configured.proxy, key=NEW)).status == 200


async def test_a_new_upstream_serves_and_a_removed_one_is_asked_no_more(
    configured: Configured,
) -> None:
    configured.provider.reply(chat_json("from the first"))
    assert "from the first" in (await ask(configured.proxy)).body.decode()
    async with Provider() as other:
        other.reply(chat_json("from the second"))
        first = configured.provider
        configured.provider = other
        configured.write()
        await configured.reload("proxy_url changed")
        asked = len(first.requests)
        assert "from the second" in (await ask(configured.proxy)).body.decode()
        assert len(first.requests) == asked
        status = await get(configured.proxy, "/api/status")
        assert [one["address"] for one in status["upstreams"]] == [other.url]
        configured.provider = first


async def test_many_reloads_under_load_lose_no_request(configured: Configured) -> None:
    stop = asyncio.Event()
    statuses: list[int] = []

    async def keep_asking() -> None:
        while not stop.is_set():
            statuses.append((await ask(configured.proxy)).status)

    asking = [asyncio.ensure_future(keep_asking()) for _ in range(4)]
    try:
        for number in range(20):
            configured.write(f"max_retries = {number % 2}", upstream_key=f"sk-rolling-{number}")
            os.utime(configured.file, (number, number))
            await configured.reload("configuration generation")
    finally:
        stop.set()
        await asyncio.gather(*asking)
    assert len(statuses) > 20
    assert set(statuses) == {200}
