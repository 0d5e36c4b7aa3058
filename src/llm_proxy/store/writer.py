"""Takes records from the event loop and makes them last, without ever making it wait.

`submit` appends to a bounded queue and returns. One thread owns the only writing connection. It
sleeps while nothing comes; woken, it lets records gather for a moment, writes all of them in one
transaction and sleeps again. So a record is on disk well within 200 ms, at most some twenty
transactions a second are made however many requests there are, and an idle proxy costs nothing.

A store that fails must never stop traffic. Disk full, read-only, locked: the batch is kept and
tried again with back-off; records wait in the queue; when that is full the oldest go, and are
counted. What becomes of damaged and unusable files is decided in `place.py`. Each change is said
once through `on_problem`, and `status` tells at any time.
"""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from llm_proxy.domain.errors import StoreError
from llm_proxy.domain.made import Made
from llm_proxy.domain.record import Record
from llm_proxy.domain.status import StoreStatus

from . import made as made_table
from .place import Place
from .sqlite import describe, is_corrupt, may_pass, open_reader, sound, write_batch
from .upkeep import FileGoneError

QUEUE_RECORDS = 20_000
"""Records that may wait: about twenty seconds of 1,000 requests a second."""

_QUEUE_STATES = 64
_QUEUE_MADE = made_table.KEPT_ROWS
_BATCH_RECORDS = 1_000
_GATHER_S = 0.04  # of the 200 ms within which a record is on disk; the rest is for a busy machine
_RETRY_MIN_S = 0.1
_RETRY_MAX_S = 5.0
_SAY_DROPS_S = 10.0


class RecordWriter:
    """The queue, the thread that empties it, and what is known of both.

    Args:
        data_dir: Where `records.sqlite3` lies; made if missing.
        retention_days: Age at which records go; 0 keeps them for good.
        wall_ms: Wall clock in milliseconds, for retention and file names.
        on_problem: Called with one line when something fails and when it works again; from the
            writer's thread, or from within `start`. Must not block.
        clock: Monotonic seconds.
    """

    __slots__ = (
        "_asleep",
        "_batch",
        "_clock",
        "_drops_said",
        "_lost",
        "_made",
        "_made_batch",
        "_on_problem",
        "_place",
        "_problem",
        "_queue",
        "_retry_s",
        "_say_drops_at",
        "_state_batch",
        "_states",
        "_stop_by",
        "_submitted",
        "_suspect",
        "_taken",
        "_thread",
        "_wake",
        "_written",
    )

    def __init__(
        self,
        data_dir: Path,
        *,
        retention_days: float,
        wall_ms: Callable[[], int],
        on_problem: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = Place(
            data_dir, retention_days=retention_days, wall_ms=wall_ms, on_problem=on_problem
        )
        self._clock = clock
        self._on_problem = on_problem
        self._queue: deque[Record] = deque(maxlen=QUEUE_RECORDS)
        self._states: deque[tuple[str, bytes]] = deque(maxlen=_QUEUE_STATES)
        self._made: deque[Made] = deque(maxlen=_QUEUE_MADE)
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._asleep = False
        self._suspect = False
        self._stop_by: float | None = None
        # Each counter has one writing thread. What fell off the queue's end is their difference.
        self._submitted = self._taken = self._written = self._lost = 0
        # The rest is the thread's own.
        self._batch: list[Record] = []
        self._state_batch: list[tuple[str, bytes]] = []
        self._made_batch: list[Made] = []
        self._problem: str | None = None
        self._retry_s = 0.0
        self._drops_said = 0
        self._say_drops_at = 0.0

    def start(self) -> None:
        """Open the store, in the file or in memory, and start the thread. Never fails."""
        self._place.open(now=self._clock())
        self._thread = threading.Thread(target=self._run, name="record-writer", daemon=True)
        self._thread.start()

    def submit(self, record: Record) -> None:
        """Queue `record`; a fifth of a microsecond. One thread only: the event loop's.

        The record must not change afterwards.
        """
        self._queue.append(record)  # a full queue lets its oldest go
        self._submitted += 1
        if self._asleep:
            self._wake.set()

    def save_state(self, name: str, value: bytes) -> None:
        """Queue a named value to be found by `load_state` after a restart; the last one counts."""
        self._states.append((name, value))
        if self._asleep:
            self._wake.set()

    def remember(self, made: Made) -> None:
        """Queue who made what, to be found by `load_made` after a restart."""
        self._made.append(made)
        if self._asleep:
            self._wake.set()

    def load_made(self) -> list[Made]:
        """Return who made what, the newest few thousand, oldest first. For the start.

        Raises:
            StoreError: The store cannot be read.
        """
        try:
            with closing(open_reader(self._place.uri())) as connection:
                return made_table.newest(connection)
        except sqlite3.Error as error:
            raise StoreError(describe(error)) from error

    def load_state(self, name: str) -> bytes | None:
        """Return the stored value of `name`, or None. Reads the disk: for the start.

        Raises:
            StoreError: The store cannot be read.
        """
        try:
            with closing(open_reader(self._place.uri())) as connection:
                row = connection.execute(
                    "SELECT value FROM state WHERE name = ?", (name,)
                ).fetchone()
        except sqlite3.Error as error:
            raise StoreError(describe(error)) from error
        return row[0] if row else None

    def stop(self, timeout_s: float) -> bool:
        """Write what is queued and close; blocks for at most `timeout_s`.

        Returns:
            Whether everything was written. What was not is said and lost.
        """
        thread = self._thread
        if thread is None:
            return not self._queue
        self._stop_by = self._clock() + timeout_s
        self._wake.set()
        thread.join(timeout_s)
        left = len(self._queue) + len(self._batch)
        if left:
            self._on_problem(f"{left} records were not written before the stop")
        return not left and not thread.is_alive()

    def uri(self) -> str:
        """Return the SQLite address of the records, for `RecordReader`; changes with the place."""
        return self._place.uri()

    def suspect(self) -> None:
        """Have the file checked: a reader met damage. From any thread."""
        self._suspect = True
        self._wake.set()

    def status(self) -> StoreStatus:
        """Return the state of the store. From any thread; asks no disk."""
        place = self._place
        problem = self._problem or place.problem
        return StoreStatus(
            kind="memory" if place.in_memory else "sqlite",
            state="degraded" if problem else "ok",
            problem=problem,
            path=None if place.in_memory else str(place.path),
            free_bytes=place.free_bytes,
            queued=len(self._queue) + len(self._batch),
            written=self._written,
            dropped=self._dropped(),
        )

    def _dropped(self) -> int:
        # Read in this order, what moves meanwhile makes it too small for a moment, never too big.
        submitted = self._submitted
        queued = len(self._queue)
        return max(0, submitted - queued - self._taken) + self._lost

    def _run(self) -> None:
        wait_s = 0.0
        while self._stop_by is None:
            idle = not self._sleep(wait_s)
            if not idle:
                self._pause(_GATHER_S)
            wait_s = self._cycle(idle=idle)
            if self._problem:
                self._pause(wait_s)
        while self._has_work() and self._clock() < self._stop_by:
            self._cycle(idle=False)
            if self._problem:
                time.sleep(_RETRY_MIN_S)  # a lock may pass before the time is up
        self._place.close()

    def _sleep(self, timeout_s: float) -> bool:
        """Sleep until there is something to do; say whether there is."""
        self._wake.clear()
        self._asleep = True  # set before the look: whoever appends after it sees the flag
        if not (self._has_work() or self._stop_by is not None):
            self._wake.wait(timeout_s)
        self._asleep = False
        return self._has_work()

    def _has_work(self) -> bool:
        return bool(
            self._queue
            or self._states
            or self._made
            or self._batch
            or self._made_batch
            or self._suspect
        )

    def _pause(self, timeout_s: float) -> None:
        """Let time pass, unless the writer is being stopped."""
        self._wake.clear()
        if self._stop_by is None:
            self._wake.wait(timeout_s)

    def _cycle(self, *, idle: bool) -> float:
        """Write a batch, do the upkeep, say what changed; return how long to sleep at most."""
        try:
            if self._suspect:
                self._suspect = False
                self._check()
            self._write()
            wait_s = self._place.tick(idle=idle, now=self._clock())
        except (sqlite3.Error, OSError) as error:
            wait_s = self._after_failure(error)
        except Exception as error:  # noqa: BLE001 - keeps later records coming after a bug
            self._lost += len(self._batch)
            self._batch, self._state_batch, self._made_batch = [], [], []
            self._on_problem(f"a batch of records was lost: {type(error).__name__}")
            wait_s = _RETRY_MIN_S
        else:
            self._after_success()
        self._say_drops()
        return wait_s

    def _write(self) -> None:
        if not self._batch:
            count = min(len(self._queue), _BATCH_RECORDS)
            self._taken += count
            self._batch = [self._queue.popleft() for _ in range(count)]
        while self._states:
            self._state_batch.append(self._states.popleft())
        while self._made and len(self._made_batch) < _QUEUE_MADE:
            self._made_batch.append(self._made.popleft())
        if not (self._batch or self._state_batch or self._made_batch):
            return
        connection = self._place.connection()
        try:
            write_batch(connection, self._batch, self._state_batch, self._made_batch)
        except (ValueError, OverflowError):
            sounded = [record for record in map(sound, self._batch) if record is not None]
            self._lost += len(self._batch) - len(sounded)
            self._batch = sounded
            write_batch(connection, self._batch, self._state_batch, self._made_batch)
        self._written += len(self._batch)
        self._batch, self._state_batch, self._made_batch = [], [], []

    def _check(self) -> None:
        if self._place.in_memory:
            return
        # By a connection of its own: the writer's has sound copies of damaged pages in its cache.
        with closing(open_reader(self._place.uri())) as fresh:
            (verdict,) = fresh.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            self._place.start_over()

    def _after_failure(self, error: sqlite3.Error | OSError) -> float:
        if is_corrupt(error) and not self._place.in_memory:
            self._place.start_over()
            return 0.0
        if not may_pass(error):
            self._place.give_up_connection()
        if isinstance(error, FileGoneError):
            self._on_problem(f"{self._place.path}: {describe(error)}; a new one is begun")
            return 0.0
        problem = f"records cannot be written: {describe(error)}"
        if problem != self._problem:
            self._problem = problem
            self._on_problem(f"{problem}; the newest {QUEUE_RECORDS} wait in memory")
        self._retry_s = min(_RETRY_MAX_S, max(_RETRY_MIN_S, self._retry_s * 2))
        return self._retry_s

    def _after_success(self) -> None:
        self._retry_s = 0.0
        if self._problem is not None:
            self._problem = None
            self._say_drops_at = 0.0
            self._on_problem("records are written again")

    def _say_drops(self) -> None:
        dropped = self._dropped()
        if dropped > self._drops_said and self._clock() >= self._say_drops_at:
            self._on_problem(f"{dropped - self._drops_said} records were dropped")
            self._drops_said = dropped
            self._say_drops_at = self._clock() + _SAY_DROPS_S
