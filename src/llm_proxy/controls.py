"""What the owner may look at and do through the page: the other side of `dashboard.context.Control`."""

import asyncio
import time
from logging import getLogger

from llm_proxy.alarms import Alarms
from llm_proxy.config.settings import NAMES, NEED_RESTART
from llm_proxy.config.show import shown, upstream_lines
from llm_proxy.config.watch import Watcher
from llm_proxy.dashboard.shapes import (
    AlertTest,
    Captured,
    Captures,
    CaptureState,
    InFlight,
    KeyTest,
    SettingShown,
    SettingsShown,
)
from llm_proxy.policy.explain import Outlook
from llm_proxy.proxy.core import Core
from llm_proxy.proxy.exchange import Exchange
from llm_proxy.proxy.explain import explain_model

LOG = getLogger("llm_proxy")
BY_OWNER = "cancelled on the page"


class Controls:
    """Reads and steers the running proxy; on the event loop, from memory."""

    __slots__ = ("_alarms", "_core", "_watcher")

    def __init__(self, core: Core, watcher: Watcher, alarms: Alarms) -> None:
        self._alarms = alarms
        self._core = core
        self._watcher = watcher

    def in_flight(self) -> list[InFlight]:
        """Return the requests under way, oldest first."""
        max_attempts = self._core.config.retry.max_retries + 1
        found = sorted(self._core.exchanges, key=lambda exchange: exchange.visit.id)
        return [_in_flight(exchange, max_attempts) for exchange in found]

    def cancel(self, request_id: str) -> bool:
        """End a request; False = it is not under way."""
        for exchange in self._core.exchanges:
            if exchange.visit.id == request_id and exchange.task is not None:
                return exchange.task.cancel(BY_OWNER)
        return False

    def change_key(self, target_id: str, action: str) -> bool:
        """Take `reset`, `pause` or `resume` to a key; False = there is no such key."""
        return self._core.board.change(target_id, action)

    async def test_key(self, target_id: str) -> KeyTest | None:
        """Ask a key's upstream whether it accepts it; None = there is no such key."""
        # Its HTTP client is needed by nothing else here.
        from llm_proxy.check import check_key  # noqa: PLC0415

        targets = self._core.table.targets
        target = next((one for one in targets if one.id == target_id), None)
        if target is None:
            return None
        began = time.monotonic()
        found = await asyncio.to_thread(check_key, target.upstream, target.key)
        took_ms = (time.monotonic() - began) * 1000
        text = self._core.redactor.text(found.text)
        return KeyTest(found.level != "FAIL", round(took_ms, 1), [(found.level, text)])

    def capture(self, seconds: float) -> CaptureState:
        """Keep bodies for so long; 0 ends it."""
        capture = self._core.capture
        capture.switch(seconds)
        LOG.warning("capture of bodies: %s", f"{seconds:g} s" if seconds else "off")
        return CaptureState(capture.until_ms, capture.held)

    def captured(self) -> Captures:
        """Return the bodies that are kept, secrets blanked."""
        capture = self._core.capture
        bodies = [
            Captured(kept.id, kept.at_ms, kept.request, kept.answer, kept.is_cut)
            for kept in capture.shown()
        ]
        return Captures(capture.until_ms, bodies)

    @property
    def capture_until_ms(self) -> int | None:
        """When the capture ends; None = there is none."""
        return self._core.capture.until_ms

    async def test_alert(self) -> AlertTest:
        """Send a test alert and say what became of it."""
        detail = await self._alarms.test()
        return AlertTest(ok=not detail, detail=detail)

    def explain(self, model: str, format_: str) -> Outlook:
        """Return who would serve a model now, and why each other key would not."""
        core = self._core
        outlook = explain_model(
            core.table,
            core.board,
            model=model,
            format_name=format_,
            now=core.loop.time(),
            max_retries=core.retry.max_retries,
        )
        outlook.says = core.redact(outlook.says)
        for explained in outlook.targets:
            explained.says = core.redact(explained.says)
        return outlook

    def settings(self) -> SettingsShown:
        """Return the effective configuration, secrets masked."""
        settings = self._watcher.settings
        path = settings.config_path
        return SettingsShown(
            generation=self._watcher.generation,
            file=None if path is None else str(path),
            settings=[
                SettingShown(
                    name=name.upper(),
                    value=shown(settings, name),
                    source=settings.origins.get(name, "default"),
                    needs_restart=name in NEED_RESTART,
                )
                for name in NAMES
            ],
            upstreams=[line for one in settings.upstreams for line in upstream_lines(one)],
            repairs=list(settings.repairs),
            warnings=list(settings.warnings),
        )


def _in_flight(exchange: Exchange, max_attempts: int) -> InFlight:
    visit, call = exchange.visit, exchange.call
    entry = exchange.records[-1] if exchange.records else None
    age_ms = exchange.elapsed_ms()
    has_content = exchange.answered_by is not None or exchange.first_token_ms is not None
    if has_content:
        phase = "answering"
    elif exchange.ticket is not None and not exchange.ticket.is_over:
        phase = "waiting"
    elif exchange.waited_from:
        phase = "resting"
    else:
        phase = "trying" if entry is not None else "waiting"
    return InFlight(
        id=visit.id,
        at_ms=visit.at_ms,
        age_ms=round(age_ms, 1),
        format=visit.admission.endpoint.format,
        path=visit.admission.path_text,
        caller=visit.admission.caller.name,
        client=visit.admission.client_text,
        model=exchange.core.redact_name(call.model) if call and call.model else None,
        stream=call is not None and call.is_stream,
        phase=phase,
        upstream=None if entry is None else entry.upstream,
        key=None if entry is None else entry.key,
        attempt=len(exchange.records),
        max_attempts=max_attempts,
        has_first_byte=has_content,
        bytes_down=exchange.client.sent_bytes,
    )
