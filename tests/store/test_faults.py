"""Whatever becomes of the disk and the file, traffic goes on and the loss is counted."""

import errno
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from llm_proxy.domain.errors import StoreError
from llm_proxy.domain.record import Record
from llm_proxy.store import writer as writer_module
from llm_proxy.store.queries import RecordReader
from llm_proxy.store.upkeep import MEMORY_ROWS
from tests.support.records import BEGIN_MS, Store, make_record, wait_until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "data")
    yield store
    store.writer.stop(10.0)


def stored(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        count: int = connection.execute("SELECT count(*) FROM records").fetchone()[0]
    return count


def test_a_locked_file_makes_records_wait_not_traffic(store: Store) -> None:
    store.writer.start()
    store.submit(make_record(0))
    with closing(sqlite3.connect(store.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for n in range(1, 50):
            store.writer.submit(make_record(n))
        wait_until(lambda: store.writer.status().state == "degraded")
        status = store.writer.status()
        assert status.kind == "sqlite"
        assert status.problem == (
            "records cannot be written: another program holds a lock on the file"
        )
        assert status.queued == 49
        other.execute("COMMIT")
    wait_until(lambda: store.writer.status().state == "ok")
    assert store.writer.status().problem is None
    assert (store.writer.status().written, store.writer.status().dropped) == (50, 0)
    assert RecordReader(store.writer.uri).totals().requests == 50
    assert [line.split(";")[0] for line in store.said] == [
        status.problem,
        "records are written again",
    ]


def test_a_full_queue_loses_the_oldest_and_counts_them(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_BATCH_RECORDS", 10)
    store.writer.start()
    with closing(sqlite3.connect(store.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        total = writer_module.QUEUE_RECORDS + 500
        for n in range(total):
            store.writer.submit(make_record(n))
        wait_until(lambda: store.writer.status().dropped > 0)
        dropped = store.writer.status().dropped
        assert dropped + store.writer.status().queued == total
        wait_until(lambda: store.heard("records were dropped"))
        other.execute("COMMIT")
    monkeypatch.setattr(writer_module, "_BATCH_RECORDS", 5_000)
    wait_until(lambda: store.writer.status().queued == 0)
    assert store.writer.status().written + dropped == total
    assert store.writer.status().dropped == dropped
    reader = RecordReader(store.writer.uri)
    assert reader.totals().requests == total - dropped
    assert reader.get(make_record(total - 1).id) is not None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a file system of its own needs root")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte free; return the file to remove for more room."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - the loop has no other end
    return filler


def test_a_full_disk_degrades_the_log_and_recovers_when_there_is_room(small_disk: Path) -> None:
    store = Store(small_disk)
    store.writer.start()
    store.submit(make_record(0))
    filler = fill(small_disk)
    for n in range(1, 300):
        store.writer.submit(make_record(n))
    wait_until(lambda: store.writer.status().state == "degraded")
    assert store.writer.status().problem == "records cannot be written: the disk is full"
    store.writer.submit(make_record(300))
    assert RecordReader(store.writer.uri).latest(1) == [make_record(0)]
    filler.unlink()
    wait_until(lambda: store.writer.status().written == 301)
    assert store.writer.status().state == "ok"
    assert store.writer.status().dropped == 0
    assert store.heard("records are written again")
    assert RecordReader(store.writer.uri).totals().requests == 301
    assert store.writer.stop(10.0)


def test_a_disk_that_is_full_at_the_start_is_used_once_there_is_room(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_proxy.store.place._RETURN_S", 0.05)
    filler = fill(small_disk)
    store = Store(small_disk)
    store.writer.start()
    assert store.writer.status().kind == "memory"
    store.submit(make_record(1))
    assert RecordReader(store.writer.uri).latest(1) == [make_record(1)]
    filler.unlink()
    wait_until(lambda: store.writer.status().kind == "sqlite")
    assert store.heard("again, those kept in memory included")
    store.submit(make_record(2))
    reader = RecordReader(store.writer.uri)
    assert reader.latest(5) == [make_record(2), make_record(1)]
    assert reader.totals().requests == 2
    assert store.writer.stop(10.0)


def test_a_limit_on_file_sizes_is_survived(tmp_path: Path) -> None:
    code = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from tests.support.records import BEGIN_MS, Store, make_record, wait_until
from llm_proxy.store.queries import RecordReader
store = Store(Path({str(tmp_path)!r}))
store.writer.start()
store.submit(make_record(0))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
for n in range(1, 3000): store.writer.submit(make_record(n))
wait_until(lambda: store.writer.status().state == "degraded")
print(store.writer.status().problem)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
wait_until(lambda: store.writer.status().written == 3000)
print(store.writer.status().state, RecordReader(store.writer.uri).totals().requests)
print(store.writer.stop(10.0))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    problem, after, stopped = done.stdout.splitlines()
    assert problem.startswith("records cannot be written: the disk")
    assert (after, stopped) == ("ok 3000", "True")


GARBAGE = [
    pytest.param(b"this is no database at all, only some text\n" * 50, id="text"),
    pytest.param(b"SQLite format 3\0" + b"\xff" * 5_000, id="broken_header"),
]


@pytest.mark.parametrize("content", GARBAGE)
def test_a_file_that_is_damaged_at_the_start_is_set_aside(content: bytes, store: Store) -> None:
    store.file.parent.mkdir()
    store.file.write_bytes(content)
    store.writer.start()
    assert store.writer.status().state == "ok"
    assert store.heard("was damaged: it was set aside as records.corrupt-20251124T160000-1.sqlite3")
    aside = store.file.with_name("records.corrupt-20251124T160000-1.sqlite3")
    assert aside.read_bytes() == content
    store.submit(make_record(1))
    assert stored(store.file) == 1


def fill_and_damage(store: Store) -> None:
    """Overwrite pages of a filled file behind the back of whoever has it open."""
    size = store.file.stat().st_size
    with store.file.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))


def test_a_file_that_is_damaged_while_open_is_replaced_and_the_batch_kept(store: Store) -> None:
    store.writer.start()
    store.submit(*(make_record(n) for n in range(500)))
    wait_until(lambda: store.file.with_name("records.sqlite3-wal").stat().st_size == 0)
    fill_and_damage(store)
    # The writer's own page cache hides the damage until another program's write empties it.
    with closing(sqlite3.connect(store.file, isolation_level=None)) as other:
        other.execute("PRAGMA application_id = 7")
    store.submit(make_record(1_000))
    assert store.heard("was damaged")
    assert len(list(store.file.parent.glob("records.corrupt-*.sqlite3"))) == 1
    assert RecordReader(store.writer.uri).latest(10) == [make_record(1_000)]
    assert store.writer.status().state == "ok"


def test_damage_met_by_a_reader_makes_the_writer_look(store: Store) -> None:
    store.writer.start()
    store.submit(*(make_record(n) for n in range(500)))
    wait_until(lambda: store.file.with_name("records.sqlite3-wal").stat().st_size == 0)
    fill_and_damage(store)
    with closing(sqlite3.connect(store.file, isolation_level=None)) as other:
        other.execute("PRAGMA application_id = 7")
    reader = RecordReader(store.writer.uri, on_corrupt=store.writer.suspect)
    with pytest.raises(StoreError, match="malformed"):
        reader.latest(50)
    wait_until(lambda: store.heard("was damaged"))
    assert reader.latest(50) == []


def test_a_removed_file_is_begun_anew(store: Store) -> None:
    store.writer.start()
    store.submit(make_record(1))
    for path in store.file.parent.iterdir():
        path.unlink()
    wait_until(lambda: store.heard("the file was removed or replaced"))
    store.submit(make_record(2))
    assert RecordReader(store.writer.uri).latest(5) == [make_record(2)]


def in_the_way(path: Path) -> Path:
    path.write_text("a file where a directory should be")
    return path / "data"


def test_a_directory_that_cannot_be_used_leaves_records_in_memory(tmp_path: Path) -> None:
    store = Store(in_the_way(tmp_path / "file"))
    store.writer.start()
    status = store.writer.status()
    assert (status.kind, status.state, status.path) == ("memory", "degraded", None)
    assert status.problem is not None
    assert "live in memory and are lost at restart: not a directory" in status.problem
    assert store.said == [status.problem]
    store.submit(*(make_record(n) for n in range(20)))
    reader = RecordReader(store.writer.uri)
    assert [record.id for record in reader.latest(2)] == [make_record(19).id, make_record(18).id]
    assert reader.get(make_record(3).id) == make_record(3)
    assert reader.totals().requests == 20
    assert len(reader.tallies(0, 2 * BEGIN_MS, 60_000)) == 1
    store.writer.save_state("x", b"1")
    wait_until(lambda: store.writer.load_state("x") == b"1")
    assert store.writer.stop(10.0)


def test_memory_keeps_the_newest_records_only(tmp_path: Path) -> None:
    store = Store(in_the_way(tmp_path / "file"))
    store.writer.start()
    total = MEMORY_ROWS + 700
    store.submit(*(make_record(n) for n in range(total)))
    reader = RecordReader(store.writer.uri)
    wait_until(lambda: reader.get(make_record(0).id) is None)
    assert reader.get(make_record(700).id) is not None
    assert reader.totals().requests == total
    store.writer.stop(10.0)


def test_records_move_to_the_file_once_it_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_proxy.store.place._RETURN_S", 0.05)
    earlier = Store(tmp_path / "there")
    earlier.writer.start()
    earlier.submit(make_record(1))
    assert earlier.writer.stop(10.0)
    store = Store(in_the_way(tmp_path / "file"))
    store.writer.start()
    store.submit(make_record(1), make_record(2))
    (tmp_path / "file").unlink()
    (tmp_path / "file").mkdir()
    (tmp_path / "there").rename(tmp_path / "file" / "data")
    wait_until(lambda: store.writer.status().kind == "sqlite")
    store.submit(make_record(3))
    reader = RecordReader(store.writer.uri)
    assert [record.id for record in reader.latest(5)] == [make_record(n).id for n in (3, 2, 1)]
    assert store.writer.stop(10.0)


def test_a_file_of_a_newer_version_is_left_alone(store: Store) -> None:
    store.file.parent.mkdir()
    with closing(sqlite3.connect(store.file)) as connection:
        connection.execute("CREATE TABLE future (x)")
        connection.execute("PRAGMA user_version = 999")
        connection.commit()
    before = store.file.read_bytes()
    store.writer.start()
    status = store.writer.status()
    assert status.kind == "memory"
    assert status.problem is not None
    assert "the file has format 999, this version knows up to" in status.problem
    store.submit(make_record(1))
    assert RecordReader(store.writer.uri).totals().requests == 1
    assert store.writer.stop(10.0)
    assert store.file.read_bytes() == before
    assert [path.name for path in store.file.parent.iterdir()] == ["records.sqlite3"]


def test_a_disk_that_fails_at_the_stop_is_told_and_not_waited_for_long(store: Store) -> None:
    store.writer.start()
    store.submit(make_record(0))
    with closing(sqlite3.connect(store.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.writer.submit(make_record(1))
        assert not store.writer.stop(0.2)
        other.execute("COMMIT")
    assert store.heard("1 records were not written before the stop")


CHILD = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.support.records import BEGIN_MS, Store, make_record
store = Store(Path({data!r}))
store.writer.start()
for n in range({first}, 10**9):
    store.writer.submit(make_record(n))
    print(n, time.monotonic(), flush=True)
    time.sleep(0.001)
"""


def killed_while_writing(data: Path, *, first: int) -> tuple[list[tuple[int, float]], float]:
    """Run a process that submits records, kill it, and return what it submitted and when."""
    code = CHILD.format(root=str(Path(__file__).parents[2]), data=str(data), first=first)
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    submitted: list[tuple[int, float]] = []
    for line in child.stdout:
        n, at = line.split()
        submitted.append((int(n), float(at)))
        if len(submitted) == 400:
            break
    killed_at = time.monotonic()
    child.kill()
    rest = child.stdout.read()
    submitted += [(int(n), float(at)) for n, at in (row.split() for row in rest.splitlines())]
    child.wait()
    child.stdout.close()
    return submitted, killed_at


def test_a_killed_process_loses_no_record_older_than_200_ms_and_counts_none_twice(
    tmp_path: Path,
) -> None:
    all_submitted: list[tuple[int, float]] = []
    for round_ in range(3):
        submitted, killed_at = killed_while_writing(tmp_path, first=round_ * 10_000)
        all_submitted += submitted
        store = Store(tmp_path)
        store.writer.start()
        assert store.writer.status().state == "ok"
        assert store.said == []
        # What the killed process submitted last is submitted again: none may count twice.
        again: list[Record] = [make_record(n) for n, _ in submitted[-50:]]
        reader = RecordReader(store.writer.uri)
        for n, at in submitted:
            if at < killed_at - 0.2:
                assert reader.get(make_record(n).id) is not None, f"lost {killed_at - at:.3f} s old"
        store.submit(*again)
        ids = {record.id for record in all_latest(reader)}
        assert reader.totals().requests == len(ids)
        assert store.writer.stop(10.0)
    assert ids <= {make_record(n).id for n, _ in all_submitted}
    with closing(sqlite3.connect(tmp_path / "records.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def all_latest(reader: RecordReader) -> list[Record]:
    records = page = reader.latest(1_000)
    while page:
        page = reader.latest(1_000, page[-1].id)
        records = records + page
    return records
