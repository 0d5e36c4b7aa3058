"""Answers what was: finished requests, their numbers, their errors, and all of them as a file."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from llm_proxy.domain.faults import FAULTS
from llm_proxy.domain.filter import Filter
from llm_proxy.domain.record import Record
from llm_proxy.domain.tally import REFUSED, Tally, quantile_ms
from llm_proxy.store.queries import FaultRow

from . import records
from .answer import Problem, json_answer
from .asking import Window, before_of, filter_of, limit_of, window_of
from .context import DashboardContext
from .encode import to_json
from .shapes import Bucket, ErrorGroup, Errors, FaultyKey, Numbers, Requests, Sums
from .sign_in import Gate

EXPORT_PIECE = 500
"""Records per look at the store: a few milliseconds, a few hundred kilobytes."""

_COLUMNS = (
    "id", "at", "format", "method", "path", "outcome", "status", "caller", "client", "model",
    "served", "upstream", "key", "stream", "attempts", "first_token_ms", "total_ms",
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens",
    "reasoning_tokens", "cost_usd", "bytes_up", "bytes_down", "error", "notice",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Archive:
    """The handlers; each begins with the gate."""

    def __init__(self, context: DashboardContext, gate: Gate) -> None:
        self._context = context
        self._gate = gate

    def routes(self) -> list[Route]:
        """Return the paths."""
        return [
            Route("/api/numbers", self.numbers),
            Route("/api/requests", self.requests),
            Route("/api/requests/{id}", self.request),
            Route("/api/errors", self.errors),
            Route("/api/export.csv", self.export_csv),
            Route("/api/export.jsonl", self.export_jsonl),
        ]

    async def requests(self, request: Request) -> Response:
        """Answer `GET /api/requests`: newest first, older ones with `before`."""
        asked = self._gate.signed_in(request).filter(filter_of(request))
        limit, before = limit_of(request), before_of(request)
        if before is None:
            found = await records.newest(self._context, asked, limit)
        else:
            found = await records.older(self._context, asked, limit, before)
        return json_answer(Requests(found.records, found.next_id, found.searched_to_ms))

    async def request(self, request: Request) -> Response:
        """Answer `GET /api/requests/{id}`; somebody else's request does not exist."""
        caller = self._gate.signed_in(request)
        record_id = request.path_params["id"]
        found = None
        if records.is_record_id(record_id):
            found = await records.find(self._context, caller, record_id)
        if found is None:
            raise Problem(404, "no such request, or it is older than the records are kept")
        return json_answer(found)

    async def numbers(self, request: Request) -> Response:
        """Answer `GET /api/numbers`."""
        caller = self._gate.signed_in(request)
        name, window = window_of(request)
        now_ms = self._context.wall_ms()
        from_ms, before_ms = _begins(window, now_ms)
        step_ms = window.bucket_s * 1000
        tallies = await asyncio.to_thread(
            self._context.history.tallies, before_ms, now_ms + step_ms, step_ms
        )

        def total(first_ms: int, last_ms: int) -> Sums:
            whole = Tally()
            for at_ms, tally in tallies.items():
                if first_ms <= at_ms < last_ms:
                    whole.merge(tally)
            return Sums(**_sums(whole, with_cost=caller.is_owner))

        empty = Tally()
        series = [
            Bucket(at_ms=at_ms, **_sums(tallies.get(at_ms, empty), with_cost=caller.is_owner))
            for at_ms in range(from_ms, now_ms + 1, step_ms)
        ]
        return json_answer(
            Numbers(
                window=name,
                from_ms=from_ms,
                to_ms=now_ms,
                bucket_s=window.bucket_s,
                totals=total(from_ms, now_ms + 1),
                before=total(before_ms, from_ms),
                series=series,
            )
        )

    async def errors(self, request: Request) -> Response:
        """Answer `GET /api/errors`."""
        self._gate.signed_in(request)
        name, window = window_of(request)
        from_ms, _ = _begins(window, self._context.wall_ms())
        rows = await asyncio.to_thread(
            lambda: self._context.history.faults(from_ms, is_hourly=window.is_hourly)
        )
        return json_answer(Errors(name, from_ms, _groups(rows)))

    async def export_csv(self, request: Request) -> Response:
        """Answer `GET /api/export.csv`, for spreadsheets."""
        return self._export(request, "csv", "text/csv; charset=utf-8", _csv_row, _csv_head())

    async def export_jsonl(self, request: Request) -> Response:
        """Answer `GET /api/export.jsonl`: every field, attempts included."""
        return self._export(
            request, "jsonl", "application/jsonl", lambda record: to_json(record) + b"\n", b""
        )

    def _export(
        self,
        request: Request,
        suffix: str,
        media_type: str,
        row: Callable[[Record], bytes],
        head: bytes,
    ) -> Response:
        asked = self._gate.signed_in(request).filter(filter_of(request))
        headers = {"Content-Disposition": f'attachment; filename="requests.{suffix}"'}
        if request.method == "HEAD":
            return Response(media_type=media_type, headers=headers)
        pieces = self._pieces(asked, row, head)
        return StreamingResponse(pieces, media_type=media_type, headers=headers)

    async def _pieces(
        self, asked: Filter, row: Callable[[Record], bytes], head: bytes
    ) -> AsyncIterator[bytes]:
        """Yield the file; it grows no faster than it is taken."""
        search = self._context.history.search
        if head:
            yield head
        before: str | None = None
        while True:
            found = await asyncio.to_thread(search, asked, EXPORT_PIECE, before)
            if found.records:
                yield b"".join(map(row, found.records))
            before = found.next_id
            if before is None:
                return


def _begins(window: Window, now_ms: int) -> tuple[int, int]:
    """Return where a window that ends now begins, and the one before it: on whole buckets."""
    step_ms, length_ms = window.bucket_s * 1000, window.length_s * 1000
    end_ms = now_ms // step_ms * step_ms + step_ms
    return end_ms - length_ms, end_ms - 2 * length_ms


def _sums(tally: Tally, *, with_cost: bool) -> dict[str, Any]:
    names = ("cached_tokens", "priced", "unpriced")
    plain = {name: getattr(tally, name) for name in (*_TOTALS, *names)}
    return plain | {
        "cost_nano": tally.cost_nano if with_cost else None,
        "first_token_p50_ms": _rounded(quantile_ms(tally.first_tokens, 0.5)),
        "first_token_p95_ms": _rounded(quantile_ms(tally.first_tokens, 0.95)),
    }


_TOTALS = tuple(name for name in Sums.__struct_fields__ if name in Tally.__struct_fields__)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _groups(rows: list[FaultRow]) -> list[ErrorGroup]:
    groups: dict[str, ErrorGroup] = {}
    for row in sorted(rows, key=lambda row: -row.count):
        group = groups.get(row.fault)
        if group is None:
            group = groups[row.fault] = ErrorGroup(row.fault, 0, 0, 0, [], _says(row.fault))
        group.count += row.count
        group.rescued += row.rescued
        group.last_ms = max(group.last_ms, row.last_ms)
        if row.upstream:
            group.keys.append(FaultyKey(row.upstream, row.key, row.count, row.last_ms))
    return sorted(groups.values(), key=lambda group: (-group.count, group.fault))


def _says(fault: str) -> str:
    if fault == REFUSED:
        return "the proxy refused the request itself"
    return FAULTS[fault].says if fault in FAULTS else fault


def _csv_head() -> bytes:
    # A byte order mark, or spreadsheets take UTF-8 for something else.
    return b"\xef\xbb\xbf" + ",".join(_COLUMNS).encode() + b"\r\n"


def _csv_row(record: Record) -> bytes:
    usage = record.usage
    cost = None if record.cost_nano is None else f"{record.cost_nano / 1e9:.9f}"
    at = datetime.fromtimestamp(record.at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    line = io.StringIO()
    csv.writer(line).writerow(
        None if value is None else _harmless(str(value))
        for value in (
            record.id, at, record.format, record.method, record.path, record.outcome.value,
            record.status, record.caller, record.client, record.model, record.served,
            record.upstream, record.key, int(record.stream), len(record.attempts),
            record.first_token_ms, record.total_ms, usage.input, usage.cache_read,
            usage.cache_write, usage.output, usage.reasoning, cost, record.bytes_up,
            record.bytes_down, record.error, record.notice,
        )
    )  # fmt: skip
    return line.getvalue().encode("utf-8", "replace")


def _harmless(text: str) -> str:
    """Return `text` so that no spreadsheet takes it for a formula; our numbers are never negative."""
    return f"'{text}" if text.startswith(_FORMULA) else text
