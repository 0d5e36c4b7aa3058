"""Where uvloop cannot be imported, the same proxy runs on asyncio's own loop."""

import asyncio
from pathlib import Path

import pytest

from tests.support.answers import Dialect
from tests.support.client import RawClient
from tests.support.provider import Provider
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import hang
from tests.support.scripts import signal as tell

from .stage import DIALECTS, LAST_WORDS, PATHS, ask, ask_stream, get, question, records

SHIM = """\
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "uvloop":
            raise ImportError("uvloop is not installed")

sys.meta_path.insert(0, Missing())
"""


def write_shim(directory: Path) -> dict[str, str]:
    """Return an environment in which Python starts without uvloop."""
    shim = directory / "shim"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(SHIM)
    return {"PYTHONPATH": str(shim)}


@pytest.fixture
def without_uvloop(tmp_path: Path) -> dict[str, str]:
    return write_shim(tmp_path)


async def test_plain_asyncio_serves_all_formats_and_stops_cleanly(
    tmp_path: Path, without_uvloop: dict[str, str]
) -> None:
    async with (
        Provider() as provider,
        ProxyProcess(tmp_path, provider.url, environment=without_uvloop) as proxy,
    ):
        assert not has_loaded_uvloop(proxy)
        for dialect in DIALECTS:
            await serves(proxy, dialect)
        answers = await asyncio.gather(*(ask(proxy) for _ in range(50)))
        assert {answer.status for answer in answers} == {200}
        assert len(await records(proxy)) == 56
        assert await asyncio.to_thread(proxy.stop) == 0
        assert "Traceback" not in proxy.output


def has_loaded_uvloop(proxy: ProxyProcess) -> bool:
    """Say whether uvloop's library is part of the running process (Linux)."""
    return "uvloop" in Path(f"/proc/{proxy.pid}/maps").read_text()


async def serves(proxy: ProxyProcess, dialect: Dialect) -> None:
    """Check that a JSON answer and a stream of the format come whole."""
    assert (await ask(proxy, dialect)).status == 200
    head, stream = await ask_stream(proxy, dialect)
    assert head.status == 200
    assert stream.ending == "complete"
    assert LAST_WORDS[dialect] in stream.raw


async def test_plain_asyncio_lets_go_of_the_upstream_when_the_client_hangs_up(
    tmp_path: Path, without_uvloop: dict[str, str]
) -> None:
    reached = asyncio.Event()
    async with (
        Provider() as provider,
        ProxyProcess(tmp_path, provider.url, environment=without_uvloop) as proxy,
    ):
        provider.script([tell(reached), hang()], path=PATHS["chat"])
        async with RawClient.to(proxy.url) as client:
            body = question(stream=True)
            await client.request("POST", PATHS["chat"], key=proxy.access_key, json_body=body)
            await reached.wait()
        asked = next(one for one in provider.requests if one.method == "POST")
        await provider.wait_for_close(asked.connection)
        (record,) = (await get(proxy, "/api/requests"))["requests"]
        assert record["outcome"] == "client_gone"


async def test_uvloop_is_used_where_it_is_installed(tmp_path: Path) -> None:
    async with Provider() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        assert has_loaded_uvloop(proxy)
