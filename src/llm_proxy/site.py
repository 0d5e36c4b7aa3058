"""Joins the page to the proxy: what it may ask, and how its answers reach the client."""

import asyncio
import time
from collections.abc import Callable
from logging import getLogger
from typing import TYPE_CHECKING

from llm_proxy import __version__
from llm_proxy.config.watch import Watcher
from llm_proxy.controls import Controls
from llm_proxy.dashboard.context import DashboardContext
from llm_proxy.dashboard.events import Feed
from llm_proxy.domain.status import Totals
from llm_proxy.key_report import KeyReport
from llm_proxy.net.asgi import run_asgi
from llm_proxy.net.client import ClientConnection
from llm_proxy.net.loop import Tasks, wall_ms
from llm_proxy.net.reply import Reply
from llm_proxy.proxy.core import Core
from llm_proxy.proxy.playground import serve_as_owner
from llm_proxy.store.queries import RecordReader
from llm_proxy.store.writer import RecordWriter
from llm_proxy.wire.request import Request

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOG = getLogger("llm_proxy.site")


class PageSite:
    """Serves `/`, `/dashboard/*` and `/api/*` on the proxy's own port.

    Attributes:
        feed: Gets every finished record.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: Tasks,
        context: DashboardContext,
        watcher: Watcher,
        core: Core,
    ) -> None:
        self._loop = loop
        self._tasks = tasks
        self._context = context
        self._watcher = watcher
        self._core = core
        self._made: asyncio.Future[ASGIApp] | None = None
        self.feed = context.feed

    def prepare(self) -> "asyncio.Future[ASGIApp]":
        """Make the page's application in a thread, once.

        Its library is a sixth of all imports. Called when requests are served already, neither
        the start waits for them nor, at the first visitor, every stream.
        """
        if self._made is None:
            self._made = self._loop.run_in_executor(None, _make, self._context)
        return self._made

    def takes(self, path: bytes) -> bool:
        """Return whether `path` belongs to the page."""
        if path.startswith(b"/api/v1/"):
            return False  # the address of some providers; a client is told the right one
        return path in (b"/", b"/dashboard") or path.startswith((b"/dashboard/", b"/api/"))

    def serve(self, client: ClientConnection, request: Request) -> None:
        """Answer a whole request."""
        reply = Reply(
            self._loop,
            client,
            http_version=request.http_version,
            is_head=request.method == "HEAD",
        )

        def play(format_: str, target_id: str) -> None:
            serve_as_owner(self._core, client, request, format_=format_, target_id=target_id)

        self._tasks.start(run_asgi(self._app, request, reply, log=LOG, hand_over=play))

    async def _app(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        app = await asyncio.shield(self.prepare())
        await app(scope, receive, send)

    def reconfigured(self) -> None:
        """Show what the new configuration says of itself."""
        self._context.repairs = self._watcher.settings.repairs
        self._context.warnings = self._watcher.settings.warnings


def _make(context: DashboardContext) -> "ASGIApp":
    from llm_proxy.dashboard.app import make_app  # noqa: PLC0415 - see `prepare`

    return make_app(context)


def open_site(
    loop: asyncio.AbstractEventLoop,
    tasks: Tasks,
    *,
    settings: Watcher,
    core: Core,
    totals: Callable[[], Totals],
    writer: RecordWriter,
    reader: RecordReader,
    started_at_ms: int,
    control: Controls,
    is_draining: Callable[[], bool],
) -> PageSite:
    """Return the page, ready to serve."""
    now = settings.settings

    feed = Feed()
    context = DashboardContext(
        mode=now.dashboard,
        access_keys=lambda: core.config.access_keys,
        version=__version__,
        listen=f"http://{now.host}:{now.port}",
        data_dir=now.data_dir,
        started_at_ms=started_at_ms,
        wall_ms=wall_ms,
        monotonic=time.monotonic,
        totals=totals,
        store_status=writer.status,
        upstreams=KeyReport(core, feed.records).upstreams,
        in_flight=lambda: core.gate.in_flight,
        is_draining=is_draining,
        generation=lambda: settings.generation,
        history=reader,
        control=control,
        feed=feed,
        repairs=now.repairs,
        warnings=now.warnings,
    )
    return PageSite(loop, tasks, context, settings, core)
