"""Whether open pages slow requests down: `python -m bench.pages [--pages 20] [--rate 1000]`.

Requests come at a steady rate; how long answers take is compared between rounds with and without
open pages, in turn. A page is what a browser keeps open: a session and its event stream, read as
it comes.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import uvloop

from bench import report
from bench.load import Failures, Source, pace
from bench.payload import ACCESS_KEY, json_plans
from bench.process import StartError
from bench.target import Target, provider, started

ROUNDS = 4
SECONDS = 5.0


class Page:
    """One open page: a session and the event stream behind it.

    Attributes:
        received_bytes: What came down so far.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._task = asyncio.get_running_loop().create_task(self._read(reader))
        self.received_bytes = 0

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            self.received_bytes += len(data)

    async def close(self) -> None:
        """Leave."""
        self._writer.close()
        await self._task


async def _exchange(port: int, request: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    return reader, writer


async def sign_in(port: int) -> str:
    """Return a session's cookie.

    Raises:
        StartError: The proxy gives none.
    """
    body = json.dumps({"key": ACCESS_KEY})
    reader, writer = await _exchange(
        port,
        f"POST /api/session HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json"
        f"\r\nOrigin: http://127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n\r\n{body}",
    )
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.close()
    for line in head.split("\r\n"):
        name, _, value = line.partition(": ")
        if name.lower() == "set-cookie":
            return value.partition(";")[0]
    raise StartError(f"no session: {head.splitlines()[0]}")


async def open_page(port: int, cookie: str) -> Page:
    """Open a page.

    Raises:
        StartError: The proxy refuses it.
    """
    reader, writer = await _exchange(
        port, f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n\r\n"
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.splitlines()[0]:
        raise StartError(f"no event stream: {head.splitlines()[0].decode()}")
    return Page(reader, writer)


def _quantiles(taken: Sequence[float]) -> list[str]:
    ordered = sorted(taken)
    return [f"{ordered[int(len(ordered) * part)] * 1e3:.2f}" for part in (0.5, 0.9, 0.99)]


async def _measure(target: Target, pages: int, rate: int, failures: Failures) -> list[list[str]]:
    source = Source(target.port, target.key, json_plans())
    await pace(source, rate, 1.0, failures)
    taken: dict[bool, list[float]] = {False: [], True: []}
    received = 0
    for _ in range(ROUNDS):
        taken[False] += await pace(source, rate, SECONDS, failures)
        cookie = await sign_in(target.port)
        opened = [await open_page(target.port, cookie) for _ in range(pages)]
        taken[True] += await pace(source, rate, SECONDS, failures)
        received += sum(page.received_bytes for page in opened)
        for page in opened:
            await page.close()
    if not received:
        raise StartError("the open pages got nothing")
    return [
        ["no page", *_quantiles(taken[False])],
        [f"{pages} pages", *_quantiles(taken[True])],
    ]


def main() -> int:
    """Measure and print; 1 where it could not be done or a request failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--rate", type=int, default=1000)
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    failures = Failures()
    try:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-pages-"))
            direct, _ = stack.enter_context(provider(cores[-1], 4, 0.0, Path(folder)))
            targets = stack.enter_context(started(["proxy"], direct, cores[0], sys.executable))
            runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
            lines = runner.run(_measure(targets["proxy"], given.pages, given.rate, failures))
    except (StartError, OSError) as problem:
        print(f"no result: {problem}", file=sys.stderr)
        return 1
    head = [f"at {given.rate} requests/s, ms", "p50", "p90", "p99"]
    print(report.aligned([head, *lines], left={0}))
    for kind, count in failures.items():
        print(f"{count} requests failed: {kind}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
