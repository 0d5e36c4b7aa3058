"""Finds requests by what they are like, within milliseconds however many there are.

A search follows one index from the newest row on: the one that the fewest rows should be in, by
the conditions asked for. It looks at a bounded number of rows, whatever else is asked of them,
and says where it stopped; whoever wants more goes on from there. So a search for something rare
comes in pieces, and none of them holds up the disk or the reader.
"""

from typing import Any

import msgspec

from llm_proxy.domain.filter import SLOW_MS, Filter
from llm_proxy.domain.record import Record
from llm_proxy.domain.record_id import first_id_at

from .sqlite import COLUMNS

SCAN_ROWS = 5_000
"""Rows looked at per search: some 20 ms where they lie in memory."""

_BEFORE_NONE = "\U0010ffff"  # sorts after every id
_EVENTFUL = "(outcome <> 'ok' OR tries > 1)"
_RESCUED = "outcome = 'ok' AND tries > 1"
_SLOW = f"coalesce(first_token_ms, total_ms) >= {SLOW_MS}"
_TEXTS = (
    "(id || ' ' || path || ' ' || coalesce(caller, '') || ' ' || coalesce(client, '') || ' ' ||"
    " coalesce(model, '') || ' ' || coalesce(served, '') || ' ' || coalesce(upstream, '') || ' '"
    " || coalesce(key, '') || ' ' || coalesce(error, '') || ' ' || attempts)"
)


class Found(msgspec.Struct):
    """A piece of a search's result.

    Attributes:
        records: Newest first.
        next_id: Where the next piece begins (as `before_id`); None = there is none.
        searched_to_ms: Arrival of the oldest row looked at, where the search stopped before its
            limit was reached; else None.
    """

    records: list[Record]
    next_id: str | None
    searched_to_ms: int | None = None


class Query(msgspec.Struct):
    """The SQL of one piece.

    Attributes:
        find: Selects the matching rows.
        last: Selects id and arrival of the last row that `find` may look at, if there are so many.
        values: Parameters of `find`.
        last_values: Parameters of `last`.
    """

    find: str
    last: str
    values: list[Any]
    last_values: list[Any]


def query_of(asked: Filter, *, limit: int, before_id: str | None) -> Query:
    """Return the SQL for a filter."""
    index, way, way_values = _way(asked)
    bounds, bound_values = _bounds(asked, before_id)
    where = " AND ".join([*way, *bounds])
    values = [*way_values, *bound_values]
    rest, rest_values = _rest(asked)
    # The inner query hands over its rows one by one, in its order; to sort them again would make
    # every search look at all rows it may look at.
    source = f"FROM records {index} WHERE {where} ORDER BY id DESC"
    return Query(
        find=f"SELECT {COLUMNS} FROM (SELECT * {source} LIMIT {SCAN_ROWS})"  # noqa: S608
        f" WHERE {' AND '.join(rest) or 'true'} LIMIT {limit + 1:d}",
        last=f"SELECT id, at_ms {source} LIMIT 1 OFFSET {SCAN_ROWS - 1}",
        values=[*values, *rest_values],
        last_values=values,
    )


def _way(asked: Filter) -> tuple[str, list[str], list[Any]]:
    """Return the index to follow, its conditions and their values."""
    if asked.is_rescued:
        return "INDEXED BY records_rescued", [_RESCUED], []
    if asked.is_slow:
        return "INDEXED BY records_slow", [_SLOW], []
    if asked.is_eventful:
        return "INDEXED BY records_eventful", [_EVENTFUL], []
    for column in ("model", "caller", "upstream"):
        value = getattr(asked, column)
        if value:
            return f"INDEXED BY records_by_{column}", [f"{column} = ?"], [value]
    return "", [], []


def _bounds(asked: Filter, before_id: str | None) -> tuple[list[str], list[Any]]:
    before = _BEFORE_NONE if before_id is None else before_id
    if asked.until_ms is not None:
        before = min(before, first_id_at(asked.until_ms))
    if asked.since_ms is None:
        return ["id < ?"], [before]
    return ["id < ?", "id >= ?"], [before, first_id_at(asked.since_ms)]


def _rest(asked: Filter) -> tuple[list[str], list[Any]]:
    """Return every condition; those that the index has met already cost next to nothing."""
    terms: list[str] = []
    values: list[Any] = []
    if asked.outcomes:
        terms.append(f"outcome IN ({', '.join('?' * len(asked.outcomes))})")
        values += sorted(outcome.value for outcome in asked.outcomes)
    if asked.is_rescued:
        terms.append(_RESCUED)
    if asked.is_slow:
        terms.append(_SLOW)
    for column in ("model", "upstream", "key", "caller"):
        value = getattr(asked, column)
        if value:
            terms.append(f"{column} = ?")
            values.append(value)
    if asked.status is not None:
        terms.append("status BETWEEN ? AND ?")
        values += asked.status
    for column, text in (
        ("attempts", asked.fault and f'"fault":"{asked.fault}"'),
        ("client", asked.client),
        (_TEXTS, asked.text),
    ):
        if text:
            terms.append(rf"{column} LIKE ? ESCAPE '\'")
            values.append(f"%{_literal(text)}%")
    return terms, values


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
