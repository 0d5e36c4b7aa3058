"""Builders of records, and a store that a test may break."""

import time
from collections.abc import Callable
from pathlib import Path

from llm_proxy.domain.record import Attempt, Outcome, Record
from llm_proxy.domain.usage import Usage
from llm_proxy.store.writer import RecordWriter

BEGIN_MS = 1_764_000_000_000


def make_record(n: int = 0, **given: object) -> Record:
    """Return the n-th record of a series: a good chat request, n milliseconds after the first."""
    fields: dict[str, object] = {
        "id": f"01KB{n:022d}",
        "at_ms": BEGIN_MS + n,
        "format": "chat",
        "method": "POST",
        "path": "/v1/chat/completions",
        "outcome": Outcome.OK,
        "status": 200,
        "caller": "phone",
        "client": "OpenAI/Python 3.54.0",
        "model": "gpt-5",
        "served": "gpt-5",
        "upstream": "upstream-1",
        "key": "key-1 …ab12",
        "stream": True,
        "attempts": [Attempt("upstream-1", "key-1 …ab12", status=200, total_ms=800.5)],
        "first_token_ms": 310.25,
        "total_ms": 812.5,
        "usage": Usage(input=1200, cache_read=1000, output=300),
        "bytes_up": 5_000,
        "bytes_down": 9_000,
    }
    return Record(**(fields | given))  # type: ignore[arg-type]


def wait_until(is_true: Callable[[], bool], *, timeout_s: float = 15.0) -> None:
    """Return as soon as `is_true()`; fail after `timeout_s`. For the work of other threads."""
    end = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.005)


class Store:
    """A writer with its wall clock and the lines it said."""

    def __init__(self, data_dir: Path, *, retention_days: float = 30) -> None:
        self.said: list[str] = []
        self.wall_ms = BEGIN_MS
        self.file = data_dir / "records.sqlite3"
        self.writer = RecordWriter(
            data_dir,
            retention_days=retention_days,
            wall_ms=lambda: self.wall_ms,
            on_problem=self.said.append,
        )

    def submit(self, *records: Record) -> None:
        """Submit records and wait until all that was submitted is written."""
        goal = self.writer.status().written + self.writer.status().queued + len(records)
        for record in records:
            self.writer.submit(record)
        wait_until(lambda: self.writer.status().written >= goal)

    def heard(self, words: str) -> bool:
        """Say whether a line with `words` was said."""
        return any(words in line for line in self.said)
