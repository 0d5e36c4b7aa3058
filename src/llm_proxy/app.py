"""The composition root: settings in, a running proxy out, and its whole life in order.

    start    objects, store, upstreams' pools, page, listen        (under 0.4 s)
    run      until SIGTERM or SIGINT; SIGHUP and a changed file reload the configuration
    drain    stop listening, let what is running finish, flush records, exit 0

Nothing here decides anything about requests; see `proxy/exchange.py`.
"""

import asyncio
import gc
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from logging import getLogger
from typing import Any

from llm_proxy import __version__
from llm_proxy.alarms import Alarms
from llm_proxy.compose import config_of, limits_of, redactor_of, say
from llm_proxy.config.load import process_environ
from llm_proxy.config.prices import PriceBook
from llm_proxy.config.settings import Settings
from llm_proxy.config.watch import FileWatch, Watcher, stamp_of
from llm_proxy.domain.errors import ConfigError, StoreError
from llm_proxy.domain.record import Record
from llm_proxy.domain.status import Totals
from llm_proxy.net.dial import Dialer
from llm_proxy.net.loop import Tasks, new_event_loop, wall_ms
from llm_proxy.net.pool import Pools
from llm_proxy.net.server import Server
from llm_proxy.net.timers import Wheel
from llm_proxy.policy.board import Board
from llm_proxy.policy.makers import Makers
from llm_proxy.proxy.core import Core
from llm_proxy.proxy.gate import Gate
from llm_proxy.proxy.models import Catalogue
from llm_proxy.proxy.ops import Ops
from llm_proxy.proxy.table import Table
from llm_proxy.readings import register_readings
from llm_proxy.store.queries import RecordReader
from llm_proxy.store.writer import RecordWriter
from llm_proxy.telemetry.exposition import render
from llm_proxy.telemetry.log import LogSink, configure
from llm_proxy.telemetry.metrics import Metrics
from llm_proxy.tracing import open_otel, peers_of
from llm_proxy.unfinished import Unfinished

FILE_POLL_S = 2.0
"""How often the configuration file's time stamp is looked at."""
STATE_SAVE_S = 5.0
"""How often cool-downs are written down."""
FLUSH_S = 3.0
"""How long the last records may take at the end."""
COOL_DOWNS = "cool_downs"
GC_THRESHOLDS = (10_000, 20, 20)
"""Cycles are rare here, as connections undo theirs when they close; looking for them among every
700 new objects cost 1.4 % of a busy proxy's time."""
LOG = getLogger("llm_proxy")


def serve(
    settings: Settings,
    *,
    load_again: Callable[[], Settings],
    demo_sockets: Sequence[socket.socket] = (),
) -> int:
    """Serve until a signal ends it; return the exit code.

    Args:
        settings: The effective configuration.
        load_again: Reads it anew, for reloads; raises ConfigError.
        demo_sockets: Listening sockets for the built-in provider; empty = none.

    Raises:
        ConfigError: The address cannot be listened on.
    """
    started = time.monotonic()
    sink = configure(settings.log_level, settings.log_format, redactor_of(settings), sys.stderr)
    sink.catch_crashes()
    loop = new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(
            _App(loop, sink, settings, load_again, started).run(demo_sockets)
        )
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        sink.stop(1.0)


class _App:
    """All objects of one process and the order of their lives."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sink: LogSink,
        settings: Settings,
        load_again: Callable[[], Settings],
        started: float,
    ) -> None:
        self._loop = loop
        self._sink = sink
        self._watcher = Watcher(settings, load_again)
        self._started = started
        self._started_at_ms = wall_ms()
        self._stopping = asyncio.Event()
        self._is_hurried = False
        self._publish: Callable[[Record], None] = _nobody
        self._metrics = Metrics()
        self._base = Totals()
        self._prices = PriceBook(settings.upstreams, settings.prices)
        self._tasks = Tasks(loop, self._on_bug)
        self._wheel = Wheel(loop)
        self._writer = RecordWriter(
            settings.data_dir,
            retention_days=settings.retention_days,
            wall_ms=wall_ms,
            on_problem=lambda words: LOG.warning("records: %s", words),
        )
        self._reader = RecordReader(self._writer.uri, on_corrupt=self._writer.suspect)
        table = Table(settings.upstreams, settings.model_fallbacks)
        config = config_of(settings)
        self._pools = Pools(loop, self._wheel, Dialer(loop))
        self._pools.configure(table.targets)
        self._core = Core(
            loop,
            self._tasks,
            pools=self._pools,
            board=Board(table.targets, config=config.retry),
            table=table,
            config=config,
            redactor=redactor_of(settings),
            gate=Gate(loop, settings.max_concurrency),
            clock=time.monotonic,
            wall_ms=wall_ms,
            rng=random.random,
            report=self._report,
            on_bug=self._on_bug,
            makers=Makers(self._writer.remember),
        )
        self._otel = self._core.tracer = open_otel(process_environ(), settings)
        self._alarms = Alarms(self._core, self._watcher, self._writer)
        self._unfinished = Unfinished(self._core, self._writer)
        self._server = Server(loop, self._wheel, self._core, limits_of(settings))
        self._core.models = Catalogue(self._core)
        self._core.ops = Ops(
            unready=self._unready,
            metrics=lambda: self._core.aside(render, self._metrics, self._metrics.read()),
            is_metrics_public=lambda: self._watcher.settings.metrics_public,
            access=lambda: self._core.access,
            allowed_origin=self._core.origin_of,
        )

    async def run(self, demo_sockets: Sequence[socket.socket]) -> int:
        """Live from start to exit."""
        settings = self._watcher.settings
        loop = self._loop
        loop.set_exception_handler(self._on_loop_error)
        self._install_signals()
        self._writer.start()
        self._restore()
        demo = await _start_demo(demo_sockets)
        if settings.dashboard != "off":
            self._open_site(settings)
        register_readings(
            self._metrics,
            core=self._core,
            server=self._server,
            pools=self._pools,
            writer=self._writer,
            sink=self._sink,
        )
        try:
            port = await self._server.listen(settings.host, settings.port)
        except OSError as error:
            self._writer.stop(FLUSH_S)
            raise ConfigError(
                "PORT" if error.errno != 99 else "HOST",
                f"cannot listen on {settings.host}:{settings.port} ({error.strerror})",
                "Choose a free one, for example PORT=8080",
            ) from None
        if self._otel is not None:
            self._otel.start()
        self._greet(settings, port, is_demo=bool(demo_sockets))
        self._background()
        # What was made so far lives as long as the process; collections need not look at it.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        await self._stopping.wait()
        await self._drain()
        if demo is not None:
            await demo.close()
        return 0

    # start

    def _install_signals(self) -> None:
        loop = self._loop
        if sys.platform == "win32":  # its loops take no signals, and it has no SIGHUP
            signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(self._on_stop))
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _restore(self) -> None:
        """Take up what the last process knew: totals, who made what, cool-downs."""
        try:
            self._base = self._reader.totals()
            self._core.makers.restore(self._writer.load_made())
            for record in self._unfinished.lost(self._reader):
                self._report(record)
            kept = self._writer.load_state(COOL_DOWNS)
            if kept is not None:
                self._core.board.restore(kept, self._loop.time(), wall_ms() / 1000)
        except (StoreError, ValueError) as error:
            LOG.warning("records: %s", error)

    def _open_site(self, settings: Settings) -> None:
        # Imported here: without the page nobody pays for it.
        from llm_proxy.controls import Controls  # noqa: PLC0415
        from llm_proxy.site import open_site  # noqa: PLC0415

        self._site = open_site(
            self._loop,
            self._tasks,
            settings=self._watcher,
            core=self._core,
            totals=self.totals,
            writer=self._writer,
            reader=self._reader,
            control=Controls(self._core, self._watcher, self._alarms),
            started_at_ms=self._started_at_ms,
            is_draining=lambda: self._server.is_draining,
        )
        self._core.site = self._site
        self._publish = self._site.feed.publish

    def _greet(self, settings: Settings, port: int, *, is_demo: bool) -> None:
        for words in (*settings.repairs, *settings.warnings):
            LOG.warning("%s", words)
        ready_ms = (time.monotonic() - self._started) * 1000
        LOG.info(
            "LLM Proxy %s listens on http://%s:%d (%d upstreams, %d keys), ready in %.0f ms",
            __version__,
            settings.host,
            port,
            len(settings.upstreams),
            len(self._core.table.targets),
            ready_ms,
        )
        if settings.log_format == "console" and settings.log_level in ("debug", "info"):
            say(settings, port, is_demo=is_demo)

    def _background(self) -> None:
        models = self._core.models
        assert models is not None
        self._tasks.start(models.keep_fresh())
        self._tasks.start(self._pools.warm())
        self._tasks.start(self._save_state())
        self._tasks.start(self._alarms.keep_watch())
        self._tasks.start(self._unfinished.keep_noted())
        if self._core.site is not None:
            self._site.prepare()
        if self._watcher.settings.config_path is not None:
            self._tasks.start(self._watch_file())

    # run

    def totals(self) -> Totals:
        """Return the counts since the records began."""
        base, now = self._base, self._metrics.totals
        return Totals(
            **{name: getattr(base, name) + getattr(now, name) for name in Totals.__struct_fields__}
        )

    def _report(self, record: Record) -> None:
        record.cost_nano = self._prices.cost_nano(record)
        self._metrics.on_record(record)
        self._writer.submit(record)
        self._publish(record)
        self._sink.log_record(record)

    def _unready(self) -> str:
        if self._server.is_draining:
            return "draining"
        return "" if self._core.board.is_usable(self._loop.time()) else "no upstream is usable"

    async def _save_state(self) -> None:
        last = b""
        while True:
            await asyncio.sleep(STATE_SAVE_S)
            last = self._save_cool_downs(last)

    def _save_cool_downs(self, last: bytes) -> bytes:
        data = self._core.board.export(self._loop.time(), wall_ms() / 1000)
        if data != last:
            self._writer.save_state(COOL_DOWNS, data)
        return data

    async def _watch_file(self) -> None:
        path = self._watcher.settings.config_path
        assert path is not None
        watch = FileWatch(lambda: stamp_of(path))
        while True:
            await asyncio.sleep(FILE_POLL_S)
            if watch.has_changed():
                self._reload()

    def _reload(self) -> None:
        watcher = self._watcher
        result = watcher.reload()
        if isinstance(result, ConfigError):
            LOG.error("configuration unchanged: %s", result)
            return
        if watcher.needs_restart:
            LOG.warning("these settings wait for a restart: %s", ", ".join(watcher.needs_restart))
        if not watcher.changed:
            LOG.info("configuration read again: nothing changed")
            return
        redactor = redactor_of(result)
        self._sink.use(redactor)
        self._prices.configure(result.upstreams, result.prices)
        self._core.configure(
            Table(result.upstreams, result.model_fallbacks), config_of(result), redactor
        )
        if self._otel is not None:
            self._otel.use(peers_of(result))
        if self._core.site is not None:
            self._site.reconfigured()
        LOG.info(
            "configuration generation %d: %s changed",
            watcher.generation,
            ", ".join(watcher.changed),
        )

    # drain

    def _on_stop(self) -> None:
        if self._stopping.is_set():
            LOG.warning("second signal: open requests are ended")
            self._is_hurried = True
        self._stopping.set()

    async def _drain(self) -> None:
        timeout_s = self._watcher.settings.drain_timeout_s
        self._server.drain()
        exchanges = self._core.exchanges
        if exchanges:
            LOG.info("draining: %d requests may take %g s more", len(exchanges), timeout_s)
        deadline = self._loop.time() + timeout_s
        while exchanges and self._loop.time() < deadline and not self._is_hurried:
            await asyncio.sleep(0.02)
        if exchanges:
            LOG.warning("drain time is over: %d requests are ended", len(exchanges))
        await self._core.cancel_exchanges()
        await self._tasks.cancel_all()
        # One turn for the last bytes of what was cancelled.
        await asyncio.sleep(0.05 if self._server.connections else 0)
        self._server.abort_all()
        self._pools.close()
        self._save_cool_downs(b"")
        self._unfinished.note()
        self._wheel.close()
        if not await self._loop.run_in_executor(None, self._writer.stop, FLUSH_S):
            LOG.error("not all records could be written")
        if self._otel is not None:
            await self._loop.run_in_executor(None, self._otel.stop, FLUSH_S)
        LOG.info("stopped")

    # failures

    def _on_bug(self, error: BaseException) -> None:
        LOG.error("internal error", exc_info=error)

    def _on_loop_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        LOG.error(
            "event loop: %s", context.get("message", ""), exc_info=error, extra={"kind": "loop"}
        )


async def _start_demo(sockets: Sequence[socket.socket]) -> Any:
    if not sockets:
        return None
    from llm_proxy.demo.provider import start  # noqa: PLC0415 - only the demo needs it

    return await start(list(sockets))


def _nobody(_: Record) -> None:
    """Publish to nobody: there is no page."""
