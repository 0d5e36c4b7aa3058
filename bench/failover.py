"""What a fault costs the client beside it: `python -m bench.failover [--write-docs]`.

Measured at a proxy process of its own, its providers and clients in this process:

- failover: the first three requests to an upstream that refuses or resets (then it is known and
  left alone), against the same request to a healthy one; 40 such upstreams, one after the other;
- a black hole: the first request, with the default CONNECT_TIMEOUT_S, and those after it;
- hang-ups: from the client's close to the close of the upstream's connection;
- policy: choosing a target and learning from its answer, alone, in this process.
"""

import argparse
import asyncio
import contextlib
import datetime as dt
import errno
import json
import os
import socket
import statistics
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, cast

import uvloop

from bench import report
from bench.payload import ACCESS_KEY, PATH
from bench.policy import policy_us
from bench.process import Server, StartError, free_port

UPSTREAMS = 40
BEFORE_KNOWN = 3
HOLES = 8
LEARNT_PER_S, LEARNT_S = 20, 10.0
HANG_UPS = 200
CONNECT_TIMEOUT_MS = 3_000.0
_KEPT = ("PATH", "PYTHONPATH")
_MARKS = ("<!-- failover -->", "<!-- /failover -->")

_JSON = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hi"},
                "finish_reason": "stop",
            }
        ],
    }
).encode()
_WELL = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
    len(_JSON),
    _JSON,
)
_EVENT = (
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'
)
_FLOW = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    b"%x\r\n%s\r\n" % (len(_EVENT), _EVENT)
)


class Line(NamedTuple):
    """One measurement.

    Attributes:
        label: What was measured.
        unit: Of the values.
        values: All of them.
        judged: What is held against the goal: `p90`, `p99`, `max` or `p50`.
        goal: To be reached.
    """

    label: str
    unit: str
    values: Sequence[float]
    judged: str
    goal: float

    def quantile(self, name: str) -> float:
        """Return one of `p50`, `p90`, `p99`, `max`."""
        ordered = sorted(self.values)
        share = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}[name]
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def cells(self) -> list[str]:
        """Return it as a row."""
        value = self.quantile(self.judged)
        return [
            f"{self.label} ({self.unit})",
            *(f"{self.quantile(name):.2f}" for name in ("p50", "p90", "p99", "max")),
            f"{self.judged} <= {self.goal:g}",
            "ok" if value <= self.goal else "over",
        ]


class Provider(asyncio.Protocol):
    """A connection of a provider: healthy, resetting, or holding its answer back."""

    def __init__(self, owner: "Providers", *, is_resetting: bool) -> None:
        self._owner = owner
        self._is_resetting = is_resetting
        self._transport: asyncio.Transport | None = None
        self._is_held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by shape only

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._is_resetting:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        elif b'"held"' in data or b'"flowing"' in data:
            self._is_held = True
            if b'"flowing"' in data:
                self._transport.write(_FLOW)
            self._owner.arrived.set()
        else:
            self._transport.write(_WELL)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_held:
            self._owner.lost_at = perf_counter()
            self._owner.lost.set()


class Providers:
    """All providers.

    Attributes:
        arrived: A request that is held has come.
        lost: Its connection was closed.
        lost_at: When.
    """

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.lost = asyncio.Event()
        self.lost_at = 0.0

    async def listen(self, *, is_resetting: bool) -> int:
        """Serve on a free port and return it."""
        server = await asyncio.get_running_loop().create_server(
            lambda: Provider(self, is_resetting=is_resetting), "127.0.0.1", 0
        )
        port: int = server.sockets[0].getsockname()[1]
        return port


class Client:
    """One connection to the proxy."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, model: str, *, stream: bool = False) -> None:
        """Send a request, connecting first where needed."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        messages = [{"role": "user", "content": "hi"}]
        body = json.dumps({"model": model, "stream": stream, "messages": messages}).encode()
        self._writer.write(
            f"POST {PATH} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {ACCESS_KEY}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )

    async def head(self) -> bytes:
        """Read an answer's head."""
        assert self._reader is not None
        return (await self._reader.readuntil(b"\r\n\r\n")).lower()

    async def ask(self, model: str) -> tuple[float, int]:
        """Return how long a JSON answer took, ms, and of how many attempts it was.

        Raises:
            StartError: It was not 200.
        """
        assert self._writer is not None or self._reader is None
        began = perf_counter()
        await self.send(model)
        head = await self.head()
        if not head.startswith(b"http/1.1 200"):
            raise StartError(f"no answer for {model}: {head[:80]!r}")
        assert self._reader is not None
        await self._reader.readexactly(int(_field(head, b"content-length")))
        return (perf_counter() - began) * 1e3, int(_field(head, b"x-llm-proxy-attempts"))

    def leave(self) -> None:
        """Close at once."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = self._reader = None


def _field(head: bytes, name: bytes) -> bytes:
    _, _, rest = head.partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip()


@contextlib.contextmanager
def _refusing() -> Iterator[int]:
    """Hold a port that refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextlib.contextmanager
def _black_hole() -> Iterator[int]:
    """Hold a port whose accept queue is full: Linux then drops further SYNs."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(16):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.1)
            reached = filler.connect_ex(("127.0.0.1", port))
            if reached in {errno.EAGAIN, errno.EINPROGRESS, errno.ETIMEDOUT}:
                yield port
                return
        raise StartError("the kernel accepts connections beyond a full queue")


def _file(well: int, broken: dict[str, int]) -> str:
    """Return the proxy's configuration: behind every broken upstream there is the healthy one."""
    models = [*broken, "well", "held", "flowing"]
    tables = [("well", well, models, 1), *((name, p, [name], 0) for name, p in broken.items())]
    return "".join(
        f'[[upstream]]\nname = "{name}"\nurl = "http://127.0.0.1:{port}"\n'
        f'keys = ["sk-bench-{name}-0123456789"]\nmodels = {json.dumps(served)}\n'
        f"priority = {priority}\n"
        for name, port, served, priority in tables
    )


async def _added(client: Client, kind: str) -> list[float]:
    """Return what failing over costs beside a healthy answer, ms."""
    usual = [(await client.ask("well"))[0] for _ in range(200)]
    found: list[float] = []
    for number in range(UPSTREAMS):
        for _ in range(BEFORE_KNOWN):
            took_ms, attempts = await client.ask(f"{kind}-{number}")
            if attempts == 2:
                found.append(took_ms - statistics.median(usual))
    if len(found) < UPSTREAMS:
        raise StartError(f"{kind}: only {len(found)} of the requests failed over")
    return found


async def _black_holes(port: int) -> tuple[list[float], list[float]]:
    """Return how long black holes take beyond the connect timeout, and once they are known, ms."""
    firsts = await asyncio.gather(*(Client(port).ask(f"hole-{number}") for number in range(HOLES)))
    client = Client(port)
    usual = statistics.median([(await client.ask("well"))[0] for _ in range(200)])
    later: list[asyncio.Task[tuple[float, int]]] = []
    async with asyncio.TaskGroup() as group:
        for turn in range(int(LEARNT_PER_S * LEARNT_S)):
            later.append(group.create_task(Client(port).ask(f"hole-{turn % HOLES}")))
            await asyncio.sleep(1 / LEARNT_PER_S)
    return (
        [took_ms - CONNECT_TIMEOUT_MS for took_ms, _ in firsts],
        [task.result()[0] - usual for task in later],
    )


async def _hang_ups(providers: Providers, port: int, model: str) -> list[float]:
    """Return how long after a client's close the upstream's connection is closed, ms."""
    found: list[float] = []
    for _ in range(HANG_UPS):
        providers.arrived.clear()
        providers.lost.clear()
        client = Client(port)
        await client.send(model, stream=True)
        await providers.arrived.wait()
        if model == "flowing":
            await client.head()
        left_at = perf_counter()
        client.leave()
        await asyncio.wait_for(providers.lost.wait(), 5)
        found.append((providers.lost_at - left_at) * 1e3)
    return found


async def _measure(core: int, folder: Path) -> list[Line]:
    providers = Providers()
    with contextlib.ExitStack() as stack:
        broken = {f"refused-{n}": stack.enter_context(_refusing()) for n in range(UPSTREAMS)}
        for number in range(UPSTREAMS):
            broken[f"reset-{number}"] = await providers.listen(is_resetting=True)
        broken |= {f"hole-{n}": stack.enter_context(_black_hole()) for n in range(HOLES)}
        file = folder / "llm-proxy.toml"
        file.write_text(_file(await providers.listen(is_resetting=False), broken))
        port = free_port()
        environment = {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            "LLM_PROXY_CONFIG": str(file),
            "MY_ACCESS_KEY": ACCESS_KEY,
            "DATA_DIR": str(folder / "data"),
            "LOG_LEVEL": "error",
            "HOST": "127.0.0.1",
            "PORT": str(port),
        }
        command = [sys.executable, "-m", "llm_proxy"]
        server = Server(command, core=core, log=folder / "output.log", env=environment)
        stack.callback(server.stop)
        health = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        await asyncio.to_thread(server.wait_ready, port, health)
        client = Client(port)
        refused = await _added(client, "refused")
        resets = await _added(client, "reset")
        firsts, later = await _black_holes(port)
        held = await _hang_ups(providers, port, "held")
        flowing = await _hang_ups(providers, port, "flowing")
    return [
        Line("added by a failover, connection refused", "ms", refused, "p99", 5.0),
        Line("added by a failover, reset", "ms", resets, "p99", 5.0),
        Line("black hole, first time, beyond CONNECT_TIMEOUT_S", "ms", firsts, "max", 100.0),
        Line("black hole, once known, added", "ms", later, "max", 100.0),
        Line("hang-up before the first byte to upstream's close", "ms", held, "p99", 50.0),
        Line("hang-up in mid-stream to upstream's close", "ms", flowing, "p99", 50.0),
    ]


def _policy() -> list[Line]:
    """Return policy's cost of a request without a fault."""
    return [
        Line(
            f"policy per request, {count} target{'s' * (count > 1)}",
            "us",
            policy_us(count),
            "p50",
            5.0,
        )
        for count in (1, 3, 20)
    ]


def _table(lines: Sequence[Line]) -> str:
    head = ["measured", "p50", "p90", "p99", "max", "goal", "verdict"]
    return report.aligned([head, *(line.cells for line in lines)], left={0, 6})


def main() -> int:
    """Measure and print; 1 where a request failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.failover", description=__doc__)
    parser.add_argument("--write-docs", action="store_true", help="into docs/performance.md")
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-failover-") as folder,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            lines = runner.run(_measure(cores[0], Path(folder)))
    except (StartError, OSError, TimeoutError) as problem:
        print(f"no result: {problem}", file=sys.stderr)
        return 1
    table = _table([*lines, *_policy()])
    print(table)
    if given.write_docs:
        known = report.machine(sys.executable, None)
        where = f"{known['cpu']}, Linux {known['kernel']}, {known['python']}"
        day = dt.datetime.now().astimezone().date()
        body = f"\nMeasured {day} at commit {known['commit']} on {where}.\n\n{table}\n"
        print(f"written to {report.put(_MARKS, body)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
