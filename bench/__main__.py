"""Run the benchmark: `python -m bench [--quick] [--targets nginx,direct,proxy]`."""

import argparse
import asyncio
import datetime as dt
import os
import platform
import resource
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import uvloop

from bench import report
from bench.load import Failures
from bench.measure import FULL, INTERVAL_S, QUICK, STREAMS, Cores, Round
from bench.process import CoreClock, StartError
from bench.target import NAMES, nginx_path, provider, started

_ROUNDS = 3
_DESCRIPTORS = 3 * STREAMS


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, under a minute")
    parser.add_argument("--targets", default=",".join(NAMES), help="default: %(default)s")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the proxy")
    parser.add_argument(
        "--write-docs", action="store_true", help="put the table into docs/performance.md"
    )
    given = parser.parse_args()
    given.names = [name.strip() for name in given.targets.split(",") if name.strip()]
    unknown = set(given.names) - set(NAMES)
    if unknown or not given.names:
        parser.error(f"--targets: any of {', '.join(NAMES)}")
    return given


def _cores() -> tuple[int, int]:
    """Return the core of the targets and that of provider and load.

    Raises:
        StartError: This machine cannot separate them.
    """
    if platform.system() != "Linux":
        raise StartError("the benchmark needs Linux (/proc, taskset)")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise StartError("the benchmark needs two cores: one for the target, one for the load")
    return cores[0], cores[1]


def _raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _DESCRIPTORS:
        raise StartError(f"at most {hard} open files allowed, {_DESCRIPTORS} needed: ulimit -n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _run(given: argparse.Namespace) -> report.Result:
    """Measure all rounds."""
    target_core, load_core = _cores()
    _raise_descriptor_limit()
    nginx = nginx_path() if "nginx" in given.names else None
    os.sched_setaffinity(0, {load_core})
    started_at = dt.datetime.now().astimezone().isoformat(timespec="seconds")
    durations, count = (QUICK, 1) if given.quick else (FULL, _ROUNDS)
    failures = Failures()
    rounds: list[Round] = []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-provider-"))
        direct, answerer = stack.enter_context(
            provider(load_core, durations.contents, INTERVAL_S, Path(folder))
        )
        cores = Cores(CoreClock(target_core), CoreClock(load_core), answerer)
        for turn in range(count):
            order = given.names if turn % 2 == 0 else given.names[::-1]
            with started(order, direct, target_core, given.python) as targets:
                rounds.append(Round(targets, cores, failures))
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(rounds[-1].run(durations, order))
            print(f"round {turn + 1} of {count} done", file=sys.stderr)
    values = [each.values for each in rounds]
    foreign = [each.foreign for each in rounds]
    return report.Result(
        started=started_at,
        quick=given.quick,
        machine=report.machine(given.python, nginx),
        rows=report.judge(values),
        failures=dict(failures),
        remarks=report.remarks(values, foreign),
        rounds=values,
        foreign=foreign,
    )


def main() -> int:
    """Measure, print, save; 1 when anything went wrong, whatever the numbers."""
    given = _arguments()
    try:
        result = _run(given)
    except (StartError, OSError) as problem:
        print(f"no result: {problem}", file=sys.stderr)
        return 1
    print(report.table(result.rows))
    for remark in result.remarks:
        print(f"- {remark}")
    print(f"saved as {report.save(result)}")
    if result.failures:
        for kind, count in sorted(result.failures.items()):
            print(f"FAILED: {count} x {kind}", file=sys.stderr)
        print("a fast wrong answer is no result", file=sys.stderr)
        return 1
    if given.write_docs:
        print(f"written to {report.write_docs(result)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
