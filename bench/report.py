"""The goals, and how a run stands against them: one table for people, one file for machines.

CPU is judged as a ratio to nginx of the same round, latency as what the proxy adds to no proxy
at all in the same round; the median over the rounds counts. Memory, start and requests a second
are plain numbers of this machine.
"""

import platform
import statistics
import subprocess
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.measure import Values

_ROOT = Path(__file__).resolve().parent.parent
_MARKS = ("<!-- results -->", "<!-- /results -->")
MIN_BUSY = 0.95
"""Below this share of its core a target was not saturated: the load was the limit."""
MAX_FOREIGN = 0.1
"""Above this share of a core used by others, a measurement is called noisy."""


class Judge(Enum):
    """What of a measurement is held against the goal."""

    RATIO = "x nginx"
    ADDED = "added"
    PLAIN = ""


class Goal(NamedTuple):
    """One row of the table.

    Attributes:
        name: Measurement.
        label: Words for people.
        unit: Unit of the measured value.
        judge: What is held against the goal.
        goal: To be reached; None = watched only.
        red: Beyond it a change must not ship; None = no such line.
        more: Whether more is better.
    """

    name: str
    label: str
    unit: str
    judge: Judge
    goal: float | None = None
    red: float | None = None
    more: bool = False


GOALS = (
    Goal("request_us", "CPU per request, saturated", "us", Judge.RATIO, 2.2, 3.0),
    Goal("traced_us", "CPU per request, no two heads equal", "us", Judge.RATIO, 2.2, 3.0),
    Goal(
        "request_per_s",
        "requests on one core, saturated",
        "req/s",
        Judge.PLAIN,
        14_000,
        10_000,
        more=True,
    ),
    Goal(
        "traced_per_s",
        "requests on one core, no two heads equal",
        "req/s",
        Judge.PLAIN,
        14_000,
        10_000,
        more=True,
    ),
    Goal("event_us", "CPU per paced event", "us", Judge.RATIO, 1.4, 1.8),
    Goal("at_200_p50_ms", "latency at 200/s, p50", "ms", Judge.ADDED, 0.5, 0.8),
    Goal("at_200_p99_ms", "latency at 200/s, p99", "ms", Judge.ADDED, 1.2, 2.0),
    Goal("at_1000_p50_ms", "latency at 1,000/s, p50", "ms", Judge.ADDED, 0.16, 0.3),
    Goal("at_1000_p99_ms", "latency at 1,000/s, p99", "ms", Judge.ADDED),
    Goal("first_p50_ms", "first event at 10,000 events/s, p50", "ms", Judge.ADDED, 2.0),
    Goal("first_p99_ms", "first event at 10,000 events/s, p99", "ms", Judge.ADDED, 8.0),
    Goal("idle_mb", "memory, idle", "MB", Judge.PLAIN, 40, 60),
    Goal("stream_kb", "memory per open stream", "KB", Judge.PLAIN, 10, 20),
    Goal("ready_ms", "start to first 200", "ms", Judge.PLAIN, 300, 600),
)


class Row(msgspec.Struct):
    """One judged measurement, medians over the rounds; None = not measured.

    Attributes:
        judged: The number held against `goal`.
        verdict: `ok`, `over`, `RED`, or `-` without a proxy or a goal.
    """

    name: str
    label: str
    unit: str
    judge: str
    nginx: float | None
    proxy: float | None
    direct: float | None
    judged: float | None
    goal: float | None
    red: float | None
    more: bool
    verdict: str


class Result(msgspec.Struct):
    """Everything about a run."""

    started: str
    quick: bool
    machine: dict[str, str]
    rows: list[Row]
    failures: dict[str, int]
    remarks: list[str]
    rounds: list[Values]
    foreign: list[Values]


def judge(rounds: Sequence[Values]) -> list[Row]:
    """Return a row for each goal."""
    return [_row(goal, [values.get(goal.name, {}) for values in rounds]) for goal in GOALS]


def _row(goal: Goal, rounds: Sequence[dict[str, float]]) -> Row:
    judged = _median([_judged(goal.judge, values) for values in rounds])
    nginx, proxy, direct = (
        _median([values.get(name) for values in rounds]) for name in ("nginx", "proxy", "direct")
    )
    return Row(
        goal.name,
        goal.label,
        goal.unit,
        goal.judge.value,
        nginx,
        proxy,
        direct,
        judged,
        goal.goal,
        goal.red,
        goal.more,
        _verdict(goal, judged),
    )


def _verdict(goal: Goal, judged: float | None) -> str:
    if judged is None or goal.goal is None:
        return "-"
    sign = -1 if goal.more else 1
    if goal.red is not None and sign * judged > sign * goal.red:
        return "RED"
    return "over" if sign * judged > sign * goal.goal else "ok"


def _judged(kind: Judge, values: dict[str, float]) -> float | None:
    proxy = values.get("proxy")
    other = values.get({Judge.RATIO: "nginx", Judge.ADDED: "direct"}.get(kind, "proxy"))
    if proxy is None or other is None:
        return None
    if kind is Judge.RATIO:
        return proxy / other
    return proxy - other if kind is Judge.ADDED else proxy


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def remarks(rounds: Sequence[Values], foreign: Sequence[Values]) -> list[str]:
    """Return what a reader must know before believing the numbers."""
    found = []
    for name in ("nginx", "proxy"):
        busy = _median([values.get("request_busy", {}).get(name) for values in rounds])
        if busy is not None and busy < MIN_BUSY:
            found.append(
                f"{name} used {busy:.0%} of its core when saturated: the load or others' work was "
                "the limit, its requests per second are a lower bound"
            )
    ceiling = _median([values.get("request_per_s", {}).get("direct") for values in rounds])
    if ceiling is not None:
        found.append(f"ceiling of load and provider together on one core: {ceiling:,.0f}/s")
    for what in sorted({what for values in foreign for what in values}):
        shares = {
            name: _median([values.get(what, {}).get(name) for values in foreign])
            for name in ("nginx", "proxy", "direct")
        }
        loud = [
            f"{name} {share:.0%}" for name, share in shares.items() if (share or 0) > MAX_FOREIGN
        ]
        if loud:
            found.append(f"noisy, share of a core used by others ({what}): {', '.join(loud)}")
    return found


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table, aligned for terminals too."""
    head = ["measured", "nginx", "proxy", "direct", "judged", "goal", "verdict"]
    return aligned([head, *(_line(row) for row in rows)], left={0, 6})


def aligned(lines: Sequence[list[str]], *, left: set[int]) -> str:
    """Return a Markdown table, its head first; the columns `left` are aligned to the left."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    rule = [
        "-" * width if column in left else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    return "\n".join(
        "| "
        + " | ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in [lines[0], rule, *lines[1:]]
    )


def _line(row: Row) -> list[str]:
    unit = "" if row.judge == Judge.RATIO.value else f" {row.unit}"
    judged = "" if row.judged is None else f"{_number(row.judged)}{unit} {row.judge}".rstrip()
    goal = "" if row.goal is None else f"{'>=' if row.more else '<='} {_number(row.goal)}{unit}"
    return [
        f"{row.label} ({row.unit})",
        *(_number(value) for value in (row.nginx, row.proxy, row.direct)),
        judged,
        goal,
        row.verdict,
    ]


def machine(python: str, nginx: str | None) -> dict[str, str]:
    """Return what the numbers depend on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    found = {"cpu": model, "kernel": platform.release(), "python": _said([python, "-V"])}
    if nginx is not None:
        found["nginx"] = _said([nginx, "-v"])
    commit = _said(["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--exclude=*"])
    return found | {"commit": commit}


def save(result: Result) -> Path:
    """Write the run to bench/results/ and return the file."""
    folder = _ROOT / "bench" / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{result.started.replace(':', '')}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
    return path


def write_docs(result: Result) -> Path:
    """Put the table between the marks of docs/performance.md and return the file."""
    known = result.machine
    where = f"{known['cpu']}, Linux {known['kernel']}, {known['python']}, {known.get('nginx', '')}"
    notes = "".join(f"- {remark}\n" for remark in result.remarks)
    body = (
        f"\nMeasured {result.started[:10]} at commit {known['commit']} on {where.rstrip(', ')}; "
        f"medians of {len(result.rounds)} rounds.\n\n{table(result.rows)}\n\n{notes}"
    )
    return put(_MARKS, body)


def put(marks: tuple[str, str], body: str) -> Path:
    """Put `body` between two marks of docs/performance.md and return the file.

    Raises:
        ValueError: The marks are not there.
    """
    path = _ROOT / "docs" / "performance.md"
    before, opening, rest = path.read_text().partition(marks[0])
    _, closing, after = rest.partition(marks[1])
    if not opening or not closing:
        raise ValueError(f"{path} has lost its marks {marks[0]} and {marks[1]}")
    path.write_text(before + opening + body + closing + after)
    return path


def _said(command: Sequence[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip() if done.returncode == 0 else "unknown"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
