"""One round: every measurement, over all targets in turn, so that they share the same noise."""

import asyncio
import gc
import math
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.load import Crowd, Failures, Saturation, Source, pace
from bench.payload import json_plans, stream_plans
from bench.process import CoreClock, Server
from bench.target import Target

CONCURRENCY = 64
STREAMS = 2000
INTERVAL_S = 0.2
PROBES_PER_S = 50
RATES = (200, 1000)

Values = dict[str, dict[str, float]]
"""Measurement → target → value."""


class Durations(NamedTuple):
    """How long each part of a round takes, in seconds."""

    opening: float
    events: float
    probes: float
    saturated: float
    paced: float

    @property
    def contents(self) -> int:
        """Return how many content events a stream needs to outlast its part of the round."""
        needed = self.opening + 0.5 + self.events + self.probes + 1.0
        return math.ceil(needed / INTERVAL_S)


FULL = Durations(opening=2.0, events=3.0, probes=3.0, saturated=2.0, paced=2.5)
QUICK = Durations(opening=2.0, events=2.0, probes=2.0, saturated=1.5, paced=1.5)


class Cores(NamedTuple):
    """The two cores in use, and whose work there is ours."""

    target: CoreClock
    load: CoreClock
    provider: Server


class _Watch:
    """Adds up CPU from now until `stop`.

    Attributes:
        foreign: Share of a core, of the worse one, that went to others; 0 until `stop`.
    """

    def __init__(self, cores: Cores, target: Target) -> None:
        self._cores = cores
        self._server = target.server
        self._start = self._read()
        self.foreign = 0.0

    def stop(self) -> tuple[float, float]:
        """Return CPU of the target and wall time since the start, both in seconds."""
        wall_s, own_s, busy_s, load_s, load_busy_s = (
            now - then for now, then in zip(self._read(), self._start, strict=True)
        )
        self.foreign = max(busy_s - own_s, load_busy_s - load_s, 0.0) / wall_s
        return own_s, wall_s

    def _read(self) -> tuple[float, ...]:
        return (
            time.perf_counter(),
            self._server.cpu_s() if self._server is not None else 0.0,
            self._cores.target.busy_s(),
            time.process_time() + self._cores.provider.cpu_s(),
            self._cores.load.busy_s(),
        )


class Round:
    """Measures all targets once.

    Attributes:
        values: What was measured.
    """

    def __init__(self, targets: Mapping[str, Target], cores: Cores, failures: Failures) -> None:
        self._targets = targets
        self._cores = cores
        self._failures = failures
        self._watches: list[tuple[str, Target, _Watch]] = []
        self.values: Values = {}

    @property
    def foreign(self) -> Values:
        """Measurement → target → share of a core that others used meanwhile."""
        found: Values = {}
        for name, target, watch in self._watches:
            found.setdefault(name, {})[target.name] = watch.foreign
        return found

    async def run(self, durations: Durations, order: Sequence[str]) -> None:
        """Measure in `order`; memory first, as the targets are fresh."""
        targets = [self._targets[name] for name in order]
        for target in targets:
            if target.server is not None:
                self._note("ready_ms", target, target.server.ready_s * 1e3)
        await asyncio.sleep(0.5)
        for target in targets:
            if target.server is not None:
                self._note("idle_mb", target, target.server.rss_bytes() / 1e6)
        for target in targets:
            await self._streams(target, durations)
        for target in targets:
            await self._saturated(target, durations.saturated, "request", is_traced=False)
        for target in targets:
            await self._saturated(target, durations.saturated, "traced", is_traced=True)
        for rate in RATES:
            for target in targets:
                await self._paced(target, rate, durations.paced)

    async def _streams(self, target: Target, durations: Durations) -> None:
        """Hold STREAMS streams open: memory, CPU per event, and what a new stream waits."""
        probes = Source(target.port, target.key, stream_plans(1))
        for source in (Source(target.port, target.key, json_plans()), probes):
            await pace(source, 200, 0.5, self._failures)
        before = target.server.rss_bytes() if target.server is not None else 0
        source = Source(target.port, target.key, stream_plans(durations.contents))
        crowd = Crowd(source, self._failures)
        gc.collect()
        gc.disable()
        await crowd.open(STREAMS, durations.opening)
        await asyncio.sleep(0.5)
        if target.server is not None and crowd.running == STREAMS:
            grown = target.server.rss_bytes() - before
            self._note("stream_kb", target, grown / STREAMS / 1e3)
        events = crowd.events
        watch = self._watch("event", target)
        await asyncio.sleep(durations.events)
        cpu_s, wall_s = watch.stop()
        events = crowd.events - events
        self._note("events_per_s", target, events / wall_s)
        if target.server is not None:
            self._note("event_us", target, cpu_s / max(events, 1) * 1e6)
        watch = self._watch("first", target)
        firsts = await pace(probes, PROBES_PER_S, durations.probes, self._failures)
        watch.stop()
        self._quantiles("first", target, firsts)
        await crowd.end()
        gc.enable()

    async def _saturated(
        self, target: Target, seconds: float, name: str, *, is_traced: bool
    ) -> None:
        """Keep CONCURRENCY requests in flight: CPU per request and requests a second."""
        source = Source(target.port, target.key, json_plans(), is_traced=is_traced)
        load = Saturation(source, self._failures)
        await load.start(CONCURRENCY)
        await asyncio.sleep(0.5)
        answered = load.answered
        watch = self._watch(name, target)
        await asyncio.sleep(seconds)
        cpu_s, wall_s = watch.stop()
        answered = load.answered - answered
        await load.stop()
        self._note(f"{name}_per_s", target, answered / wall_s)
        if target.server is not None:
            self._note(f"{name}_us", target, cpu_s / max(answered, 1) * 1e6)
            self._note(f"{name}_busy", target, cpu_s / wall_s)

    async def _paced(self, target: Target, rate: int, seconds: float) -> None:
        """Ask at a steady rate: how long an answer takes."""
        source = Source(target.port, target.key, json_plans())
        await pace(source, rate, 0.3, self._failures)
        watch = self._watch(f"at_{rate}", target)
        taken = await pace(source, rate, seconds, self._failures)
        watch.stop()
        self._quantiles(f"at_{rate}", target, taken)

    def _watch(self, name: str, target: Target) -> "_Watch":
        watch = _Watch(self._cores, target)
        self._watches.append((name, target, watch))
        return watch

    def _quantiles(self, name: str, target: Target, seconds: Sequence[float]) -> None:
        if not seconds:
            self._failures.add(f"{target.name}: nothing to measure {name} with")
            return
        ordered = sorted(seconds)
        self._note(f"{name}_p50_ms", target, ordered[len(ordered) // 2] * 1e3)
        self._note(f"{name}_p99_ms", target, ordered[int(len(ordered) * 0.99)] * 1e3)

    def _note(self, name: str, target: Target, value: float) -> None:
        self.values.setdefault(name, {})[target.name] = value
