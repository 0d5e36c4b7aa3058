"""One way out for every log line: bounded, redacted, limited in rate, and never in the way.

Callers append to a queue; one thread makes the lines and owns the stream. A pipe or terminal that
nobody reads blocks that thread alone: the queue fills, further lines are dropped and counted, and
the first line after the jam says how many. Of each kind (`extra={"kind": …}`, or the logger's name
and level) at most 100 lines a second pass; once a second a line says how many more there were.

The stream is written by descriptor, on a copy of it: a daemon thread inside a buffered stream's
lock would bring the interpreter down at exit, and a closed stream's number may by then belong to
a client's socket.
"""

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

from llm_proxy.domain.record import Outcome, Record
from llm_proxy.domain.redact import Redactor

from .line import Entry, Lines, entry_of, note

LINES_PER_S = 100
"""Lines per second and kind; enough for eyes, too few to fill a disk."""

QUEUE_LINES = 1_000
"""Lines that may wait for a slow stream: some hundred kilobytes, a few megabytes at worst."""

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_MAX_KINDS = 200
_WINDOW_S = 1.0
_FULL_S = 0.02  # after that a non-blocking stream that took no more is tried again


def configure(
    level: str,
    format_: str,
    redactor: Redactor,
    stream: TextIO,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> "LogSink":
    """Send everything that is logged in this process to `stream`, through a new sink.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        format_: `console` or `json`.
        redactor: Blanks secrets in every line.
        stream: Written through its descriptor where it has one; stays the caller's to close.
        clock: Monotonic seconds, for the limit.
    """
    sink = LogSink(format_, redactor, stream, level=LEVELS[level], clock=clock)
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _Handler):
            root.removeHandler(handler)
    root.addHandler(_Handler(sink))
    root.setLevel(LEVELS[level])
    return sink


class _Handler(logging.Handler):
    """Where the standard library's loggers enter."""

    def __init__(self, sink: "LogSink") -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        kind = getattr(record, "kind", None) or f"{record.name} {record.levelname.lower()}"
        if not self._sink.admits(str(kind)):
            return
        try:
            entry = entry_of(record)
        except Exception as error:  # noqa: BLE001 - a log call must not bring its caller down
            entry = note(f"a line of {record.name} could not be made: {type(error).__name__}")
        self._sink.append(entry)


class LogSink:
    """The queue, the limit and the thread.

    Attributes:
        dropped: Lines lost because the stream did not move, or was closed.
        suppressed: Lines above the limit.
    """

    __slots__ = (
        "_asleep",
        "_clock",
        "_fd",
        "_format",
        "_level",
        "_lines",
        "_lock",
        "_passed",
        "_queue",
        "_stopping",
        "_stream",
        "_surplus",
        "_thread",
        "_told",
        "_wake",
        "_window_at",
        "dropped",
        "suppressed",
    )

    def __init__(
        self,
        format_: str,
        redactor: Redactor,
        stream: TextIO,
        *,
        level: int,
        clock: Callable[[], float],
    ) -> None:
        self._format = format_
        self._lines = Lines(format_, redactor)
        self._stream = stream
        self._fd = _own_descriptor(stream)
        self._level = level
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: deque[Entry | Record] = deque()
        self._passed: dict[str, int] = {}
        self._surplus: dict[str, int] = {}
        self._window_at = clock()
        self._wake = threading.Event()
        self._asleep = False
        self._stopping = False
        self.dropped = self._told = 0
        self.suppressed = 0
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def use(self, redactor: Redactor) -> None:
        """Blank the secrets of `redactor` from now on, after the configuration changed."""
        self._lines = Lines(self._format, redactor)

    def is_enabled(self, level: int) -> bool:
        """Say whether lines of `level` are wanted."""
        return level >= self._level

    def log_record(self, record: Record) -> None:
        """Log a finished request: at info where all went well, else at warning.

        Costs a comparison where the level is above; never blocks. The record must not change
        afterwards.
        """
        fine = record.outcome is Outcome.OK
        if (logging.INFO if fine else logging.WARNING) >= self._level:
            kind = "requests" if fine else "failed requests"
            if self.admits(kind):
                self.append(record)

    def admits(self, kind: str) -> bool:
        """Count one more line of `kind` and say whether it may pass."""
        with self._lock:
            if self._clock() - self._window_at >= _WINDOW_S:
                self._start_window()
            if kind not in self._passed and len(self._passed) >= _MAX_KINDS:
                kind = "other"
            passed = self._passed.get(kind, 0)
            if passed < LINES_PER_S:
                self._passed[kind] = passed + 1
                return True
            self.suppressed += 1
            first = kind not in self._surplus
            self._surplus[kind] = self._surplus.get(kind, 0) + 1
        if first:
            self._wake.set()  # the thread must tell of it when the second is over
        return False

    def append(self, entry: Entry | Record) -> None:
        """Queue an admitted line; from any thread, never blocks."""
        if len(self._queue) >= QUEUE_LINES or self._stopping:
            self._lose()
            return
        self._queue.append(entry)
        if self._asleep:
            self._wake.set()

    def stop(self, timeout_s: float) -> bool:
        """Write what is queued and end the thread; blocks for at most `timeout_s`.

        Lines logged later are counted as dropped.

        Returns:
            Whether everything was written.
        """
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and not self._queue

    def catch_crashes(self) -> None:
        """Let what Python would print by itself pass the redactor: crashes, warnings, leftovers.

        For the whole process, for good. An exception that ends the main thread is written to the
        stream at once, as the sink may have been stopped by then.
        """
        logger = logging.getLogger("llm_proxy.crash")
        logging.captureWarnings(True)
        sys.excepthook = lambda kind, error, trace: self._write(
            self._lines.of(note("crashed", logging.CRITICAL, exc_info=(kind, error, trace)))
        )
        threading.excepthook = lambda args: logger.critical(
            "a thread crashed", exc_info=args.exc_value
        )
        sys.unraisablehook = lambda args: logger.error(
            args.err_msg or "an exception was ignored", exc_info=args.exc_value
        )

    def _run(self) -> None:
        while True:
            self._drain()
            if self._stopping:
                break
            self._sleep()
        with self._lock:
            self._start_window()
        self._drain()
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def _drain(self) -> None:
        queue = self._queue
        while queue:
            entry = queue.popleft()
            try:
                line = self._lines.of(entry)
            except Exception as error:  # noqa: BLE001 - keeps all later lines coming after a bug
                line = self._lines.of(note(f"a line was lost: {type(error).__name__}"))
            if not self._write(line):
                self._lose()
        lost = self.dropped - self._told
        if lost and self._write(
            self._lines.of(note(f"{lost} log lines were lost: the stream did not take them"))
        ):
            self._told += lost

    def _sleep(self) -> None:
        self._wake.clear()
        self._asleep = True  # set before the look: whoever appends after it sees the flag
        if not self._queue and not self._stopping:
            with self._lock:
                left_s = self._window_at + _WINDOW_S - self._clock() if self._surplus else None
            if left_s is None or left_s > 0:
                self._wake.wait(left_s)
        self._asleep = False
        with self._lock:
            if self._surplus and self._clock() - self._window_at >= _WINDOW_S:
                self._start_window()

    def _start_window(self) -> None:
        # Under the lock. What was left out in the old second becomes a line, or, while the stream
        # is stuck, waits to be summed up with what follows.
        self._window_at = self._clock()
        self._passed.clear()
        if len(self._queue) >= QUEUE_LINES:
            return
        for kind, count in self._surplus.items():
            self._queue.append(note(f"{count} more lines of this kind were left out", of=kind))
        self._surplus.clear()

    def _write(self, line: bytes) -> bool:
        """Write `line` whole, however long that takes; say whether the stream took it."""
        try:
            if self._fd is None:
                self._stream.write(line.decode())
                self._stream.flush()
                return True
            while line:
                try:
                    line = line[os.write(self._fd, line) :]
                except BlockingIOError:
                    time.sleep(_FULL_S)
        except (OSError, ValueError):  # gone, full or closed: there is nobody left to tell
            return False
        return True

    def _lose(self) -> None:
        with self._lock:
            self.dropped += 1


def _own_descriptor(stream: TextIO) -> int | None:
    """Return a copy of the stream's descriptor, or None where it has none."""
    try:
        stream.flush()
        return os.dup(stream.fileno())
    except (OSError, ValueError):
        return None
