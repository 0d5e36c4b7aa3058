"""A store that fails never stops traffic, and the log and the page say what is lost."""

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import RawClient
from tests.support.provider import Provider
from tests.support.proxy_process import ProxyProcess

from .stage import ShellProxy, ask, eventually, get, records

QUICK_S = 1.0
"""How long an answer may take on a busy machine; a store in the way would take far longer."""


async def serves(proxy: ProxyProcess, count: int = 5) -> None:
    """Check that requests are answered at once."""
    for _ in range(count):
        async with asyncio.timeout(QUICK_S):
            assert (await ask(proxy)).status == 200


async def store_of(proxy: ProxyProcess) -> dict[str, Any]:
    """Return what `/api/status` says of the store."""
    status: dict[str, Any] = await get(proxy, "/api/status")
    return dict(status["store"])


async def store_becomes(
    proxy: ProxyProcess, state: str, *, within_s: float = 8.0
) -> dict[str, Any]:
    """Wait until the store's state is `state` and return all of it."""
    async with asyncio.timeout(within_s):
        while (store := await store_of(proxy))["state"] != state:
            await asyncio.sleep(0.05)
    return store


@pytest.mark.parametrize("obstacle", ["a_file_in_its_place", "a_file_above_it", "read_only"])
async def test_an_unwritable_data_dir_leaves_records_in_memory_and_says_so(
    tmp_path: Path, obstacle: str
) -> None:
    data = Path("/proc/llm-proxy")  # where not even root can make a folder
    if obstacle == "a_file_in_its_place":
        data = tmp_path / "in-the-way"
    elif obstacle == "a_file_above_it":
        data = tmp_path / "in-the-way" / "data"
    (tmp_path / "in-the-way").write_text("")
    async with Provider() as provider:
        environment = {"DATA_DIR": str(data)}
        async with ProxyProcess(tmp_path, provider.url, environment=environment) as proxy:
            await serves(proxy)
            store = await store_of(proxy)
            assert (store["kind"], store["state"]) == ("memory", "degraded")
            assert "lost at restart" in store["problem"]
            assert "lost at restart" in proxy.stderr
            assert len(await records(proxy)) == 5
            assert (await get(proxy, "/api/status"))["totals"]["requests"] == 5


async def test_a_corrupt_file_is_set_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "records.sqlite3").write_bytes(b"this is no database, whatever its name says\n" * 400)
    async with Provider() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        await serves(proxy)
        assert "was damaged" in proxy.stderr
        assert "set aside" in proxy.stderr
        assert len(await records(proxy)) == 5
        store = await store_of(proxy)
        assert (store["kind"], store["state"]) == ("sqlite", "ok")
    (aside,) = data.glob("records.corrupt-*.sqlite3")
    assert aside.read_bytes().startswith(b"this is no database")


async def test_a_file_damaged_while_it_runs_is_replaced_once_somebody_reads_it(
    tmp_path: Path,
) -> None:
    file = tmp_path / "data" / "records.sqlite3"
    async with Provider() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        await serves(proxy)
        await eventually(lambda: count_on_disk(file) == 5)
        overwrite(file)
        await serves(proxy)
        async with RawClient.to(proxy.url) as page:
            answer = await page.ask("GET", "/api/requests", key=proxy.access_key)
            assert answer.status in {200, 503}, answer.body
        await eventually(lambda: "was damaged" in proxy.stderr)
        await serves(proxy)
        await eventually(lambda: count_on_disk(file) >= 5)
        assert len(await records(proxy)) >= 5
        store = await store_of(proxy)
        assert (store["kind"], store["state"]) == ("sqlite", "ok")


def count_on_disk(file: Path) -> int:
    """Return the number of records in a database file."""
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM records").fetchone()
        return int(count)


def overwrite(file: Path) -> None:
    """Write garbage over a database and its log, as a failing disk does."""
    for path in (file, file.with_name(file.name + "-wal")):
        if path.exists():
            with path.open("r+b") as damaged:
                damaged.write(os.urandom(max(8192, path.stat().st_size)))


async def test_a_locked_database_delays_records_and_loses_none(tmp_path: Path) -> None:
    file = tmp_path / "data" / "records.sqlite3"
    async with Provider() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        await serves(proxy, 1)
        await eventually(lambda: count_on_disk(file) == 1)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            await serves(proxy, 20)
            store = await store_becomes(proxy, "degraded")
            assert "lock" in store["problem"]
            assert store["queued"] == 20
            assert store["dropped"] == 0
            assert "another program holds a lock" in proxy.stderr
            await serves(proxy)
            other.execute("ROLLBACK")
        store = await store_becomes(proxy, "ok")
        assert "records are written again" in proxy.stderr
        await eventually(lambda: count_on_disk(file) == 26)


async def test_a_database_locked_from_the_start_on_does_not_hold_up_the_start(
    tmp_path: Path,
) -> None:
    file = tmp_path / "data" / "records.sqlite3"
    async with Provider() as provider:
        proxy = ProxyProcess(tmp_path, provider.url)
        async with proxy:
            await serves(proxy, 1)
            await asyncio.to_thread(proxy.stop)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            async with proxy:
                await serves(proxy)
                store = await store_of(proxy)
                assert store["state"] == "degraded"
                assert "lock" in store["problem"]
                other.execute("ROLLBACK")


async def test_a_file_size_limit_stops_records_and_nothing_else(tmp_path: Path) -> None:
    """`ulimit -f` is what a full disk is to a user who is not root."""
    async with Provider() as provider:
        proxy = ShellProxy(tmp_path, provider.url, shell='ulimit -f 200; exec "$@"')
        async with proxy:
            for _ in range(60):
                await asyncio.gather(*(ask(proxy) for _ in range(10)))
                if "cannot be written" in proxy.stderr:
                    break
            await serves(proxy)
            store = await store_of(proxy)
            assert store["state"] == "degraded", store
            assert "disk" in store["problem"]
            assert store["queued"] > 0
            proxy.kill()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB; needs root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_delays_records_and_loses_none_when_space_comes_back(
    tmp_path: Path, small_disk: Path
) -> None:
    environment = {"DATA_DIR": str(small_disk / "data")}
    async with (
        Provider() as provider,
        ProxyProcess(tmp_path, provider.url, environment=environment) as proxy,
    ):
        await serves(proxy, 1)
        fill(small_disk / "ballast")
        for _ in range(40):
            await asyncio.gather(*(ask(proxy) for _ in range(5)))
            if "cannot be written" in proxy.stderr:
                break
        await serves(proxy)
        store = await store_of(proxy)
        assert store["state"] == "degraded", store
        assert "full" in store["problem"]
        assert "full" in proxy.stderr
        asked = (await get(proxy, "/api/status"))["totals"]["requests"]
        (small_disk / "ballast").unlink()
        store = await store_becomes(proxy, "ok", within_s=15)
        assert store["dropped"] == 0
        file = small_disk / "data" / "records.sqlite3"
        await eventually(lambda: count_on_disk(file) == asked)


def fill(ballast: Path) -> None:
    """Write until nothing more fits."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            return
