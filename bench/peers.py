"""The proxy beside its peers, in one run: `python -m bench.peers`.

LiteLLM and Portkey's gateway are installed from their registries into `.peers`,
outside the project's own locks, at the versions below. They write requests and answers anew, so
here the mock provider takes a request by what it says and the load judges an answer by its text,
for all targets alike. Rates are low enough for the slowest.
"""

import argparse
import asyncio
import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

import msgspec
import uvloop

from bench import report
from bench.load import Asked, Crowd, Failures, Saturation, Source, pace
from bench.payload import ACCESS_KEY, UPSTREAM_KEY, Plan, json_plans, stream_plans
from bench.process import Server, StartError, free_port
from bench.target import Target, nginx_path, provider, started

LITELLM = "litellm[proxy]==1.108.7"
PORTKEY = "@portkey-ai/gateway@1.15.2"
PEERS = ("litellm", "portkey")
NAMES = ("nginx", "proxy", *PEERS)
FOLDER = Path(__file__).resolve().parent.parent / ".peers"

CONCURRENCY = 64
SATURATED_S = 5.0
RATE = 20
PACED_S = 5.0
STREAMS = 50
INTERVAL_S = 0.2
EVENTS_S = 4.0
CONTENTS = 60
START_LIMIT_S = 120.0

_CONFIG = """\
model_list:
  - model_name: gpt-5-mini
    litellm_params:
      model: openai/gpt-5-mini
      api_base: http://127.0.0.1:{provider}/v1
      api_key: {key}
general_settings: {{ master_key: {access} }}
litellm_settings: {{ drop_params: true, telemetry: false, num_retries: 3 }}
"""


class Judged(Asked):
    """Judges an answer by its text, however it is spelt."""

    __slots__ = ("_body", "_is_stream", "_text")

    def ask(self, request: bytes, plan: Plan, want: bytes) -> None:
        self._body = bytearray()
        self._is_stream = plan.stream
        self._text = _text(want, is_stream=plan.stream)
        super().ask(request, plan, want)

    def on_body(self, body: bytes) -> None:
        self._body += body
        self.events += body.count(b"\n\n")
        if self.first_s is None and b'"content"' in body:
            self.first_s = perf_counter() - self.sent_at

    def on_message_complete(self) -> None:
        if not self.busy:
            return
        status = self._parser.get_status_code()
        if status != 200:
            self.fail(f"status {status}")
        elif not self._is_right():
            self.fail("another text")
        else:
            self.busy = False
            self._on_done(self)

    def _is_right(self) -> bool:
        try:
            return _text(bytes(self._body), is_stream=self._is_stream) == self._text
        except (msgspec.DecodeError, ValueError, KeyError, IndexError, TypeError):
            return False


def _text(body: bytes, *, is_stream: bool) -> str:
    """Return what an answer says."""
    if not is_stream:  # the text has no quotes, and this is what the load does most
        begin = body.index(b'"content":') + len(b'"content":')
        return body[body.index(b'"', begin) + 1 :].partition(b'"')[0].decode()
    said = []
    for event in body.split(b"\n\n"):
        data = event.removeprefix(b"data:").strip()
        if data.startswith(b"{"):
            choices = msgspec.json.decode(data)["choices"]
            said += [choice["delta"].get("content") or "" for choice in choices]
    return "".join(said)


def source(target: Target, plans: Sequence[Plan], provider_port: int) -> Source:
    """Return the requests of a target, whose answers are judged by their text."""
    extra = b""
    if target.name == "portkey":
        host = f"http://127.0.0.1:{provider_port}/v1"
        extra = f"x-portkey-provider: openai\r\nx-portkey-custom-host: {host}\r\n".encode()
    edit = partial(_plain, extra=extra)
    return Source(target.port, target.key, plans, protocol=Judged, edit=edit)


def _plain(request: bytes, extra: bytes) -> bytes:
    first, _, rest = request.replace(b"gzip, deflate", b"identity", 1).partition(b"\r\n")
    return first + b"\r\n" + extra + rest


class Peer(NamedTuple):
    """How a peer is installed and started.

    Attributes:
        install: The command that installs it.
        made: A file that is there once it is installed.
        needs: The program that installs it.
    """

    install: tuple[str, ...]
    made: Path
    needs: str


def _peers() -> dict[str, Peer]:
    venv, node = FOLDER / "litellm", FOLDER / "portkey"
    script = f"{sys.executable} -m venv {venv} && {venv}/bin/pip install -q '{LITELLM}'"
    return {
        "litellm": Peer(("sh", "-c", script), venv / "bin" / "litellm", sys.executable),
        "portkey": Peer(
            ("npm", "install", "--no-audit", "--no-fund", "--prefix", str(node), PORTKEY),
            node / "node_modules/@portkey-ai/gateway/build/start-server.js",
            "npm",
        ),
    }


def install(name: str) -> str:
    """Install a peer; return why it could not be, or nothing."""
    peer = _peers()[name]
    if peer.made.exists():
        return ""
    if shutil.which(peer.needs) is None:
        return f"{peer.needs} is not here"
    print(f"installing {name} into {FOLDER}", file=sys.stderr)
    (FOLDER / name).mkdir(parents=True, exist_ok=True)
    done = subprocess.run(peer.install, capture_output=True, text=True, check=False, timeout=900)
    return "" if peer.made.exists() else done.stderr.strip()[-300:] or "nothing was installed"


@contextmanager
def peer(name: str, provider_port: int, core: int, folder: Path) -> Iterator[Target]:
    """Start an installed peer on `core`."""
    port = free_port()
    made = _peers()[name].made
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder)}
    if name == "litellm":
        config = folder / "config.yaml"
        config.write_text(
            _CONFIG.format(provider=provider_port, key=UPSTREAM_KEY, access=ACCESS_KEY)
        )
        command = [str(made), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
        environment |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        health, key = "/health/liveliness", ACCESS_KEY
    else:
        command = [shutil.which("node") or "node", str(made), f"--port={port}", "--headless"]
        environment |= {"NODE_ENV": "production"}
        health, key = "/", UPSTREAM_KEY  # it holds no keys: the client sends the provider's
    server = Server(command, core=core, log=folder / "output.log", env=environment)
    try:
        request = f"GET {health} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        server.wait_ready(port, request.encode(), limit_s=START_LIMIT_S)
        yield Target(name, port, key, server)
    finally:
        server.stop()


ROWS = (
    ("request_us", "CPU per request, saturated (us)", "{:,.0f}"),
    ("request_per_s", "requests a second on one core", "{:,.0f}"),
    ("event_us", f"CPU per event, {STREAMS} streams of 5 a second (us)", "{:,.0f}"),
    ("p50_ms", f"latency at {RATE}/s, p50 (ms)", "{:.2f}"),
    ("p99_ms", f"latency at {RATE}/s, p99 (ms)", "{:.2f}"),
    ("idle_mb", "memory, idle (MB)", "{:,.0f}"),
    ("loaded_mb", "memory after the load (MB)", "{:,.0f}"),
    ("ready_ms", "start to first 200 (ms)", "{:,.0f}"),
)

Values = dict[str, dict[str, list[float]]]


class Found(NamedTuple):
    """What one target showed in one round.

    Attributes:
        values: Row → value; a part that failed has none.
        problems: What failed, for people.
    """

    values: dict[str, float]
    problems: list[str]


async def measure(target: Target, provider_port: int) -> Found:
    """Measure one target, part by part."""
    found = Found({}, [])
    if target.server is not None:
        await asyncio.sleep(1.0)
        found.values["ready_ms"] = target.server.ready_s * 1e3
        found.values["idle_mb"] = target.server.rss_bytes() / 1e6
    for part in (_paced, _saturated, _streamed):
        failures = Failures()
        values = await part(target, provider_port, failures)
        if failures:
            kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(failures.items()))
            found.problems.append(f"{target.name}, {part.__name__.strip('_')}: {kinds}")
        else:
            found.values.update(values)
    if target.server is not None:
        found.values["loaded_mb"] = target.server.rss_bytes() / 1e6
    return found


async def _paced(target: Target, port: int, failures: Failures) -> dict[str, float]:
    requests = source(target, json_plans(), port)
    await pace(requests, RATE, 1.0, failures)
    taken = sorted(await pace(requests, RATE, PACED_S, failures))
    if not taken:
        return {}
    p99 = taken[int(len(taken) * 0.99)]
    return {"p50_ms": taken[len(taken) // 2] * 1e3, "p99_ms": p99 * 1e3}


async def _saturated(target: Target, port: int, failures: Failures) -> dict[str, float]:
    if target.server is None:
        return {}
    load = Saturation(source(target, json_plans(), port), failures)
    await load.start(CONCURRENCY)
    await asyncio.sleep(1.0)
    answered, cpu_s = load.answered, target.server.cpu_s()
    await asyncio.sleep(SATURATED_S)
    answered, cpu_s = load.answered - answered, target.server.cpu_s() - cpu_s
    await load.stop()
    return {"request_us": cpu_s / max(answered, 1) * 1e6, "request_per_s": answered / SATURATED_S}


async def _streamed(target: Target, port: int, failures: Failures) -> dict[str, float]:
    if target.server is None:
        return {}
    crowd = Crowd(source(target, stream_plans(CONTENTS), port), failures)
    await crowd.open(STREAMS, 2.0)
    await asyncio.sleep(0.5)
    events, cpu_s = crowd.events, target.server.cpu_s()
    await asyncio.sleep(EVENTS_S)
    events, cpu_s = crowd.events - events, target.server.cpu_s() - cpu_s
    await crowd.end()
    return {"event_us": cpu_s / max(events, 1) * 1e6}


def table(values: Values, names: Sequence[str]) -> str:
    """Return the medians as a Markdown table."""
    lines = [["measured", *names]]
    for row, title, shape in ROWS:
        found = [values.get(name, {}).get(row) for name in names]
        lines.append([title, *(shape.format(median(some)) if some else "" for some in found)])
    return report.aligned(lines, left={0})


def run(names: Sequence[str], rounds: int) -> tuple[Values, set[str]]:
    """Measure all targets, one after the other, each started afresh for every round."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise StartError("two cores are needed: one for the target, one for the load")
    os.sched_setaffinity(0, {cores[1]})
    values: Values = {}
    problems: set[str] = set()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-peers-")))
        direct, _ = stack.enter_context(
            provider(cores[1], CONTENTS, INTERVAL_S, folder, is_lenient=True)
        )
        for turn in range(rounds):
            for name in ("direct", *names):
                own = folder / f"{name}-{turn}"
                own.mkdir()
                with ExitStack() as inner:
                    if name in PEERS:
                        target = inner.enter_context(peer(name, direct.port, cores[0], own))
                    else:
                        running = started([name], direct, cores[0], sys.executable)
                        target = inner.enter_context(running)[name]
                    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                        found = runner.run(measure(target, direct.port))
                problems.update(found.problems)
                for row, value in found.values.items():
                    values.setdefault(name, {}).setdefault(row, []).append(value)
                print(f"round {turn + 1} of {rounds}: {name}", file=sys.stderr)
    return values, problems


def main() -> int:
    """Install, measure, print; 1 when one of our own answers was wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write-docs", action="store_true", help="into docs/performance.md")
    given = parser.parse_args()
    names = []
    for name in NAMES:
        problem = install(name) if name in PEERS else ""
        if problem:
            print(f"{name} cannot be measured here: {problem}", file=sys.stderr)
        else:
            names.append(name)
    values, problems = run(names, given.rounds)
    known = report.machine(sys.executable, nginx_path())
    versions = [{"litellm": LITELLM, "portkey": PORTKEY}[name] for name in names if name in PEERS]
    text = (
        f"\nMeasured {dt.datetime.now().astimezone().date()} at commit {known['commit']} on "
        f"{known['cpu']}, Linux {known['kernel']}, {known['python']}, {known['nginx']}; "
        f"{', '.join(versions)}; medians of {given.rounds} rounds.\n\n"
        f"{table(values, [*names, 'direct'])}\n"
    )
    text += "".join(f"\n- failed here: {problem}" for problem in sorted(problems))
    print(text)
    if any(problem.startswith(("nginx", "proxy", "direct")) for problem in problems):
        return 1
    if given.write_docs:
        print(
            f"written to {report.put(('<!-- peers -->', '<!-- /peers -->'), text.rstrip() + chr(10))}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
