"""Looks after what is worth an alert while the proxy runs, and sends it to the configured webhook.

A look every few seconds at states that are kept anyway; nothing of it is on the way of a request.
Without `ALERT_WEBHOOK_URL` nothing is looked at, and the library that sends is not imported.
"""

import asyncio
from typing import TYPE_CHECKING

from llm_proxy.config.watch import Watcher
from llm_proxy.net.loop import wall_ms
from llm_proxy.proxy.core import Core
from llm_proxy.store.writer import RecordWriter
from llm_proxy.telemetry.alert import TEST, Alert, AlertWatch, words_of

if TYPE_CHECKING:
    from llm_proxy.telemetry.webhook import Webhook

LOOK_S = 2.0


class Alarms:
    """One per process; follows reloads by asking for the settings each time."""

    __slots__ = ("_core", "_hook", "_watch", "_watcher", "_writer")

    def __init__(self, core: Core, watcher: Watcher, writer: RecordWriter) -> None:
        self._core = core
        self._watcher = watcher
        self._writer = writer
        self._watch = AlertWatch()
        self._hook: Webhook | None = None

    async def keep_watch(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Send what has become worth an alert."""
        settings = self._watcher.settings
        url = settings.alert_webhook_url
        if url is None:
            return
        now = self._core.loop.time()
        alerts = self._watch.look(
            self._core.board.statuses(now), self._writer.status(), now=now, at_ms=wall_ms()
        )
        for alert in alerts:
            self._sender().send(url, settings.alert_webhook_format, alert)

    async def test(self) -> str:
        """Send a test alert; return why it was not taken, or an empty string."""
        settings = self._watcher.settings
        if settings.alert_webhook_url is None:
            return "ALERT_WEBHOOK_URL is not set"
        from llm_proxy.telemetry.webhook import WebhookError, format_of, post  # noqa: PLC0415

        url = settings.alert_webhook_url.reveal()
        format_ = format_of(url, settings.alert_webhook_format)
        alert = Alert(TEST, "", False, wall_ms(), words_of(TEST, "", is_over=False))
        try:
            await asyncio.to_thread(post, url, format_, alert)
        except WebhookError as error:
            return f"the webhook failed: {error}"
        return ""

    def _sender(self) -> "Webhook":
        if self._hook is None:
            from llm_proxy.telemetry.webhook import Webhook  # noqa: PLC0415 - see above

            self._hook = Webhook()
        return self._hook
