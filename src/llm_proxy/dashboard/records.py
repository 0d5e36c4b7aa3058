"""Finds finished requests for a caller: in the store, and in the ring of those not yet written.

The store writes a fraction of a second behind the requests. Whoever opens the page right after a
request must see it all the same, so the newest records are those of both.
"""

import asyncio

from llm_proxy.domain.record import Record

from .context import DashboardContext
from .sign_in import Caller


def is_record_id(text: str) -> bool:
    """Whether `text` has the shape of a record's id."""
    return len(text) == 26 and text.isascii() and text.isalnum()


async def newest(context: DashboardContext, caller: Caller, limit: int) -> list[Record]:
    """Return the newest `limit` records that `caller` may see, newest first.

    Raises:
        StoreError: The store cannot be read.
    """
    stored = await asyncio.to_thread(context.latest, limit, None, caller.sees_only)
    found = {record.id: record for record in stored}
    found.update((r.id, r) for r in context.feed.records() if caller.sees(r))
    return sorted(found.values(), key=lambda record: record.id, reverse=True)[:limit]


async def older(
    context: DashboardContext, caller: Caller, limit: int, before_id: str
) -> list[Record]:
    """Return the next `limit` records before `before_id` that `caller` may see, newest first.

    Raises:
        StoreError: The store cannot be read.
    """
    return await asyncio.to_thread(context.latest, limit, before_id, caller.sees_only)


async def find(context: DashboardContext, caller: Caller, record_id: str) -> Record | None:
    """Return the record, or None where there is none that `caller` may see.

    Raises:
        StoreError: The store cannot be read.
    """
    record = context.feed.find(record_id) or await asyncio.to_thread(context.get, record_id)
    return record if record is not None and caller.sees(record) else None
