"""The page as a browser meets it: our own server, the real dashboard, records made by the test.

Runs on a loop in a thread of its own, so that tests can drive a browser with plain calls. What the
test changes is changed on that loop.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from llm_proxy.dashboard.app import make_app
from llm_proxy.dashboard.context import DashboardContext
from llm_proxy.dashboard.events import Feed
from llm_proxy.domain.errors import RequestError
from llm_proxy.domain.record import Attempt, Outcome, Record
from llm_proxy.domain.secret import AccessKey, Secret
from llm_proxy.domain.status import KeyStatus, StoreStatus, Totals, UpstreamStatus
from llm_proxy.net.asgi import run_asgi
from llm_proxy.net.client import ClientConnection
from llm_proxy.net.handler import Limits
from llm_proxy.net.loop import wall_ms
from llm_proxy.net.reply import Reply
from llm_proxy.net.server import Server
from llm_proxy.net.timers import Wheel
from llm_proxy.wire.request import Request
from tests.support.behind_the_page import FakeControl, FakeHistory

KEY = "sk-page-owner-0123456789-abcd"
_LOG = logging.getLogger(__name__)


class _Handler:
    """Gives every request to the page."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.tasks: set[asyncio.Task[None]] = set()

    def on_head(self, client: ClientConnection, request: Request) -> bool:
        return True

    def on_request(self, client: ClientConnection, request: Request) -> None:
        loop = asyncio.get_running_loop()
        reply = Reply(
            loop,
            client,
            http_version=request.http_version,
            is_head=request.method == "HEAD",
        )
        task = loop.create_task(run_asgi(self._app, request, reply, log=_LOG))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def error_answer(self, error: RequestError, request: Request | None) -> bytes:
        return b"HTTP/1.1 %d X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % error.status


class PageServer:
    """A proxy that only has its page.

    Attributes:
        address: Where the browser finds it.
        history: Its records.
        control: Notes the orders it gets.
    """

    def __init__(self, mode: str) -> None:
        self.address = ""
        self.history = FakeHistory()
        self.control = FakeControl()
        self._totals = Totals()
        self._feed = Feed()
        self._key = KeyStatus("upstream-1/key-1", "key-1 …ab12", "ready")
        self._loop = asyncio.new_event_loop()
        self._port = 0
        self._server: Server | None = None
        self._keys = (AccessKey("owner", Secret(KEY)),)
        started = self._loop.time()
        self._context = DashboardContext(
            mode=mode,
            access_keys=lambda: self._keys,
            version="1.2.3",
            listen="http://127.0.0.1:8000",
            data_dir=None,
            started_at_ms=wall_ms(),
            wall_ms=wall_ms,
            monotonic=lambda: self._loop.time() - started,
            totals=lambda: self._totals,
            store_status=lambda: StoreStatus("memory", "ok", problem="DATA_DIR is not writable"),
            upstreams=lambda: [
                UpstreamStatus("upstream-1", "https://api.example", ["chat"], [], [self._key])
            ],
            in_flight=lambda: 0,
            is_draining=lambda: False,
            generation=lambda: 1,
            history=self.history,
            control=self.control,
            feed=self._feed,
            warnings=["API_KEY is <b>short</b>"],
        )
        self._handler = _Handler(make_app(self._context))

    @property
    def records(self) -> list[Record]:
        """Every finished request."""
        return self.history.records

    def finish(self, **differs: Any) -> Record:
        """Let one request finish; the page hears of it."""
        record = Record(**(self._plain() | differs))

        def publish() -> None:
            self.records.append(record)
            has_failed = record.outcome is not Outcome.OK
            self._totals = msgspec.structs.replace(
                self._totals,
                requests=self._totals.requests + 1,
                ok=self._totals.ok + (not has_failed),
                failed=self._totals.failed + has_failed,
                rescued=self._totals.rescued + (not has_failed and len(record.attempts) > 1),
            )
            self._feed.publish(record)

        self._call(publish)
        return record

    def rest(self, **differs: Any) -> None:
        """Change the state of the only key."""
        status = msgspec.structs.replace(self._key, **differs)
        self._call(lambda: setattr(self, "_key", status))

    def vanish(self) -> None:
        """Stop listening and cut every connection, as a proxy that dies."""
        self._call(self._stop)

    def come_back(self) -> None:
        """Listen again, at the same address."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def run(self, is_up: threading.Event) -> None:
        """Serve until `close`; the thread's work."""
        self._loop.run_until_complete(self._listen())
        is_up.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def close(self) -> None:
        """End it all; call it from outside the thread."""

        async def end() -> None:
            self._stop()
            await asyncio.gather(*self._handler.tasks, return_exceptions=True)
            self._wheel.close()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _listen(self) -> None:
        if self._port == 0:
            self._wheel = Wheel(self._loop)
        self._server = Server(self._loop, self._wheel, self._handler, Limits())
        self._port = await self._server.listen("127.0.0.1", self._port)
        self.address = f"http://127.0.0.1:{self._port}/"

    def _stop(self) -> None:
        if self._server is not None:
            self._server.drain()
            self._server.abort_all()

    def _call(self, change: Callable[[], object]) -> None:
        async def changed() -> None:
            change()

        asyncio.run_coroutine_threadsafe(changed(), self._loop).result(10)

    def _plain(self) -> dict[str, Any]:
        return {
            "id": f"01K{len(self.records):023d}",
            "at_ms": wall_ms(),
            "format": "chat",
            "method": "POST",
            "path": "/v1/chat/completions",
            "outcome": Outcome.OK,
            "status": 200,
            "caller": "owner",
            "model": "gpt-5",
            "upstream": "upstream-1",
            "key": "key-1 …ab12",
            "total_ms": 812.0,
            "attempts": [Attempt("upstream-1", "key-1 …ab12", status=200, total_ms=810.0)],
        }


@contextmanager
def page_server(mode: str = "summary") -> Iterator[PageServer]:
    """Serve the page on a free loopback port."""
    server = PageServer(mode)
    is_up = threading.Event()
    thread = threading.Thread(target=server.run, args=(is_up,), name="page-server")
    thread.start()
    assert is_up.wait(10)
    try:
        yield server
    finally:
        server.close()
        thread.join(10)
