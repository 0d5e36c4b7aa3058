"""Finds finished requests for a caller: in the store, and in the ring of those not yet written.

The store writes a fraction of a second behind the requests. Whoever opens the page right after a
request must see it all the same, so the newest records are those of both.
"""

import asyncio

from llm_proxy.domain.filter import Filter
from llm_proxy.domain.record import Record
from llm_proxy.domain.record_id import LENGTH
from llm_proxy.store.search import Found

from .context import DashboardContext
from .sign_in import Caller


def is_record_id(text: str) -> bool:
    """Whether `text` has the shape of a record's id."""
    return len(text) == LENGTH and text.isascii() and text.isalnum()


async def newest(context: DashboardContext, asked: Filter, limit: int) -> Found:
    """Return the newest `limit` records that match, newest first.

    Raises:
        StoreError: The store cannot be read.
    """
    stored = await asyncio.to_thread(context.history.search, asked, limit)
    by_id = {record.id: record for record in stored.records}
    by_id.update((r.id, r) for r in context.feed.records() if asked.matches(r))
    records = sorted(by_id.values(), key=lambda record: record.id, reverse=True)
    if len(records) > limit:
        records = records[:limit]
        return Found(records, records[-1].id)
    return Found(records, stored.next_id, stored.searched_to_ms)


async def older(context: DashboardContext, asked: Filter, limit: int, before_id: str) -> Found:
    """Return the next `limit` records before `before_id` that match, newest first.

    Raises:
        StoreError: The store cannot be read.
    """
    return await asyncio.to_thread(context.history.search, asked, limit, before_id)


async def find(context: DashboardContext, caller: Caller, record_id: str) -> Record | None:
    """Return the record, or None where there is none that `caller` may see.

    Raises:
        StoreError: The store cannot be read.
    """
    record = context.feed.find(record_id) or await asyncio.to_thread(context.history.get, record_id)
    return record if record is not None and caller.sees(record) else None
