"""What stands behind the page in its unit tests: records in a list, and orders that are noted."""

from llm_proxy.dashboard.shapes import (
    AlertTest,
    Captures,
    CaptureState,
    InFlight,
    KeyTest,
    SettingShown,
    SettingsShown,
)
from llm_proxy.domain.filter import Filter
from llm_proxy.domain.record import Record
from llm_proxy.domain.tally import Tally, fault_counts
from llm_proxy.policy.explain import Outlook
from llm_proxy.store.queries import FaultRow
from llm_proxy.store.search import Found


class FakeHistory:
    """Stored records, as the store's reader gives them.

    Attributes:
        records: In any order.
        error: Raised instead of answering.
        cut_at: Pieces of a search end behind so many records, found or not; 0 = never.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.error: Exception | None = None
        self.cut_at = 0

    def search(self, asked: Filter, limit: int, before_id: str | None = None) -> Found:
        self._check()
        rows = sorted(self.records, key=lambda record: record.id, reverse=True)
        rows = [row for row in rows if before_id is None or row.id < before_id]
        looked_at = rows[: self.cut_at] if self.cut_at else rows
        found = [row for row in looked_at if asked.matches(row)]
        if len(found) > limit:
            return Found(found[:limit], found[limit - 1].id)
        if len(looked_at) < len(rows):
            return Found(found, looked_at[-1].id, looked_at[-1].at_ms)
        return Found(found, None)

    def get(self, id: str) -> Record | None:  # noqa: A002 - as the reader's
        self._check()
        return next((record for record in self.records if record.id == id), None)

    def tallies(self, from_ms: int, to_ms: int, step_ms: int) -> dict[int, Tally]:
        self._check()
        steps: dict[int, Tally] = {}
        for record in self.records:
            if from_ms <= record.at_ms < to_ms:
                at_ms = record.at_ms - (record.at_ms - from_ms) % step_ms
                steps.setdefault(at_ms, Tally()).add_record(record)
        return steps

    def faults(self, since_ms: int, *, is_hourly: bool) -> list[FaultRow]:
        self._check()
        counts = fault_counts(record for record in self.records if record.at_ms >= since_ms)
        return [
            FaultRow(fault, upstream, key, one.count, one.rescued, one.last_ms)
            for (_, fault, upstream, key), one in counts.items()
        ]

    def _check(self) -> None:
        if self.error:
            raise self.error


class FakeControl:
    """Notes the orders it gets.

    Attributes:
        orders: In words, oldest first.
        running: Requests under way.
        keys: Ids of the keys there are.
    """

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.running: list[InFlight] = []
        self.capture_until_ms: int | None = None
        self.keys = {"upstream-1/key-1", "upstream-1/key-2"}

    def in_flight(self) -> list[InFlight]:
        return self.running

    def cancel(self, request_id: str) -> bool:
        self.orders.append(f"cancel {request_id}")
        return any(one.id == request_id for one in self.running)

    def change_key(self, target_id: str, action: str) -> bool:
        self.orders.append(f"{action} {target_id}")
        return target_id in self.keys

    async def test_key(self, target_id: str) -> KeyTest | None:
        self.orders.append(f"test {target_id}")
        return KeyTest(True, 12.5, [("ok", "accepted")]) if target_id in self.keys else None

    def capture(self, seconds: float) -> CaptureState:
        self.orders.append(f"capture {seconds:g}")
        self.capture_until_ms = 5 if seconds else None
        return CaptureState(self.capture_until_ms, 0)

    def captured(self) -> Captures:
        return Captures(self.capture_until_ms, [])

    async def test_alert(self) -> AlertTest:
        self.orders.append("test alert")
        return AlertTest(False, "ALERT_WEBHOOK_URL is not set")

    def explain(self, model: str, format_: str) -> Outlook:
        self.orders.append(f"explain {model} {format_}")
        return Outlook("refuses", "nobody would be asked", False, None, [])

    def settings(self) -> SettingsShown:
        setting = SettingShown("PROXY_URL", "https://a.example/v1", "environment", False)
        return SettingsShown(1, None, [setting], ["[upstream-1] https://a.example/v1"], [], [])
