"""Times every view of the page over a large store: `python -m bench.records --rows 10000000`.

The records are made by SQL, evenly spread over 30 days: 3 % failed, 3 % rescued, 1 % slow,
40 models, 4 upstreams, 5 callers. The roll-ups are made from them. Then every question that the
page can ask is asked some times through the very reader that answers it, and the slowest answer
counts. Nothing is warmed up but by the asking itself.
"""

import argparse
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from llm_proxy.domain.filter import FAILED, Filter
from llm_proxy.domain.record import Outcome
from llm_proxy.store.queries import RecordReader
from llm_proxy.store.rollup import FIELDS
from llm_proxy.store.sqlite import file_uri, open_file

DAYS = 30
DAY_MS = 86_400_000
REPEATS = 5
CHUNK = 200_000
BEGIN_MS = 1_790_000_000_000 // DAY_MS * DAY_MS
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _id_sql(at: str, n: str) -> str:
    """Return SQL for a record's id: ten digits of time, sixteen of a counter."""
    time_digits = " || ".join(
        f"substr('{_DIGITS}', (({at}) >> {5 * (9 - at_digit)} & 31) + 1, 1)"
        for at_digit in range(10)
    )
    return f"{time_digits} || printf('BENCHBENCH%06X', ({n}) & 0xffffff)"


_INSERT = f"""
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :end),
r AS (SELECT i, :begin + i * :step AS at, (i * 7919) % 1000 AS dice FROM n)
INSERT INTO records (id, at_ms, format, method, path, outcome, status, caller, client, model,
  served, upstream, key, stream, error, attempts, first_token_ms, total_ms, input, cache_read,
  output, bytes_up, bytes_down, broken_events, cost_nano, tries)
SELECT {_id_sql("at", "i")}, at, 'chat', 'POST', '/v1/chat/completions',
  CASE WHEN dice < 10 THEN 'rate_limited' WHEN dice < 20 THEN 'upstream_error'
       WHEN dice < 30 THEN 'client_error' ELSE 'ok' END,
  CASE WHEN dice < 10 THEN 429 WHEN dice < 20 THEN 502 WHEN dice < 30 THEN 400 ELSE 200 END,
  'caller-' || (i % 5), 'OpenAI/Python 3.54.0', 'model-' || (i % 40), 'model-' || (i % 40),
  'upstream-' || (i % 4), 'key-1 …ab12', 1,
  CASE WHEN dice < 20 THEN 'the upstream failed' END,
  CASE WHEN dice < 20 OR dice >= 970 THEN
    '[{{"upstream":"upstream-1","key":"key-1 …ab12","status":429,"fault":"rate_limited","reason":'
    || '"Rate limit reached for requests","why":"healthy","connect_ms":0.0,"first_byte_ms":210.5,'
    || '"total_ms":211.0,"cool_s":20.0,"cost":"none"}},' ELSE '[' END ||
  '{{"upstream":"upstream-' || (i % 4) || '","key":"key-1 …ab12","model":"model-' || (i % 40) ||
  '","status":200,"why":"healthy","connect_ms":0.0,"first_byte_ms":310.25,"total_ms":800.5}}]',
  CASE WHEN dice % 100 = 77 THEN 12000.0 ELSE 300.0 + dice END, 900.0 + dice,
  1200, 800, 300, 5000, 9000, 0, 400000,
  CASE WHEN dice < 20 OR dice >= 970 THEN 2 ELSE 1 END
FROM r
"""

_ROLL = """
INSERT INTO {table} ({time}, {fields})
SELECT at_ms / {unit}, count(*), sum(outcome = 'ok'), sum(outcome = 'ok' AND tries > 1),
  sum(outcome = 'client_error'), sum(outcome IN ('rate_limited', 'upstream_error')),
  sum(outcome = 'rate_limited'), sum(tries - 1), 0, sum(tries), sum(input), sum(output),
  sum(cache_read), sum(cost_nano), count(*), 0, {zeros}, count(*), {more}
FROM records GROUP BY 1
"""


def make(path: Path, rows: int) -> None:
    """Make the store; goes on where an earlier run was stopped."""
    with closing(open_file(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        (have,) = connection.execute("SELECT count(*) FROM records").fetchone()
        step = DAYS * DAY_MS // rows
        for first in range(have, rows, CHUNK):
            end = min(first + CHUNK, rows)
            values = {"first": first, "end": end, "begin": BEGIN_MS, "step": step}
            connection.execute(_INSERT, values)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            _say(f"{end:,} records")
        if have < rows:
            _roll_up(connection)


def _roll_up(connection: sqlite3.Connection) -> None:
    at = FIELDS.index("f0")
    zeros = ", ".join("0" * 6)
    more = ", ".join("0" * (len(FIELDS) - at - 7))
    for table, time_, unit in (("minutes", "minute", 60_000), ("hours", "hour", 3_600_000)):
        connection.execute(f"DELETE FROM {table}")
        statement = _ROLL.format(
            table=table, time=time_, unit=unit, fields=", ".join(FIELDS), zeros=zeros, more=more
        )
        connection.execute(statement)
        _say(table)
    for span, unit in ((1, 60_000), (60, 3_600_000)):
        connection.execute(
            "INSERT OR REPLACE INTO faults"
            " SELECT ?, at_ms / ?, 'rate_limited', upstream, key, count(*), 0, max(at_ms)"
            " FROM records INDEXED BY records_eventful WHERE (outcome <> 'ok' OR tries > 1)"
            " GROUP BY at_ms / ?, upstream, key",
            (span, unit, unit),
        )
    _say("faults")


def views(reader: RecordReader, now_ms: int) -> dict[str, Callable[[], object]]:
    """Return every question that the page asks, by name."""

    def search(**asked: object) -> Callable[[], object]:
        return lambda: reader.search(Filter(**asked), 50)  # type: ignore[arg-type]

    day, hour, minute = DAY_MS, 3_600_000, 60_000
    middle = reader.search(Filter(until_ms=now_ms - 15 * day), 1).records[0].id
    return {
        "totals since the beginning": reader.totals,
        "numbers, 15 minutes": lambda: reader.tallies(now_ms - 30 * minute, now_ms, minute),
        "numbers, 1 hour": lambda: reader.tallies(now_ms - 2 * hour, now_ms, minute),
        "numbers, 24 hours": lambda: reader.tallies(now_ms - 2 * day, now_ms, 15 * minute),
        "numbers, 30 days": lambda: reader.tallies(now_ms - 60 * day, now_ms, 6 * hour),
        "errors, 24 hours": lambda: reader.faults(now_ms - day, is_hourly=False),
        "errors, 30 days": lambda: reader.faults(now_ms - 30 * day, is_hourly=True),
        "one request": lambda: reader.get(middle),
        "newest requests": search(),
        "requests of half a month ago": lambda: reader.search(Filter(), 50, middle),
        "failed": search(outcomes=FAILED),
        "refused (there is none)": search(outcomes=frozenset({Outcome.REFUSED})),
        "rescued": search(is_rescued=True),
        "slow": search(is_slow=True),
        "status 429": search(status=(429, 429)),
        "status 5xx": search(status=(500, 599)),
        "one fault": search(fault="rate_limited"),
        "a fault that nobody met": search(fault="quota"),
        "one model": search(model="model-7"),
        "a model that nobody asked": search(model="none"),
        "one caller": search(caller="caller-3"),
        "one upstream": search(upstream="upstream-2"),
        "one key": search(upstream="upstream-2", key="key-1 …ab12"),
        "text found at once": search(text="model-7"),
        "text that is nowhere": search(text="needle in the haystack"),
        "client that is nowhere": search(client="needle"),
        "rescued of a model, with text": search(is_rescued=True, model="model-7", text="needle"),
        "one model, text nowhere": search(model="model-7", text="needle"),
        "a day half a month ago": search(
            since_ms=now_ms - 16 * day, until_ms=now_ms - 15 * day, model="model-7"
        ),
    }


def measure(path: Path, now_ms: int) -> dict[str, float]:
    """Return the slowest of some answers to each question, milliseconds."""
    reader = RecordReader(lambda: file_uri(path))
    slowest: dict[str, float] = {}
    for name, ask in views(reader, now_ms).items():
        for _ in range(REPEATS):
            began = time.perf_counter()
            ask()
            took_ms = (time.perf_counter() - began) * 1000
            slowest[name] = max(slowest.get(name, 0.0), took_ms)
    return slowest


def main() -> None:
    """Make the store where need be, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--file", type=Path, default=Path("/tmp/llm-proxy-bench/records.sqlite3"))
    options = parser.parse_args()
    make(options.file, options.rows)
    size_gb = options.file.stat().st_size / 1e9
    sys.stdout.write(
        f"{options.rows:,} records, {size_gb:.1f} GB\n\n| View | ms |\n| --- | --: |\n"
    )
    for name, took_ms in measure(options.file, BEGIN_MS + DAYS * DAY_MS).items():
        sys.stdout.write(f"| {name} | {took_ms:.1f} |\n")


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
