"""Knows what models cost: the user's own prices first, then the list prices that come along.

`prices.json` is a table of list prices, made by `tools/make_prices.py`; its head says from what
and when. An upstream is known by its address, or else its models by their names: a relay's
`claude-…` is priced as its maker's. What a machine of the own network serves has no list price.

The table is read when a provider is met for the first time, and only that provider's part of it
is kept: the whole would take a megabyte of which nearly nothing is used.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec

from llm_proxy.domain.price import Rate, Terms, cost_nano, terms_at
from llm_proxy.domain.record import Record
from llm_proxy.domain.target import Upstream

TABLE = Path(__file__).with_name("prices.json")
MAX_KNOWN = 4_096
"""Models whose terms are remembered; beyond it all are looked up anew."""


class OwnPrice(msgspec.Struct, frozen=True):
    """A `[[price]]` of the file.

    Attributes:
        model: As the upstream calls it; `*` allowed.
        terms: What it costs.
        upstream: Only at this one; empty = anywhere.
    """

    model: str
    terms: Terms
    upstream: str = ""


class _Row(msgspec.Struct):
    """A provider as the table writes it, its models not read yet."""

    at: str
    models: msgspec.Raw
    makes: list[Any] | None = None
    also: list[str] = []


class _Table(msgspec.Struct):
    source: str
    date: str
    providers: dict[str, _Row]


class _Written(msgspec.Struct, frozen=True):
    """Prices as the table writes them."""

    i: int | list[Any]
    o: int | list[Any] | None = None
    r: int | list[Any] | None = None
    w: int | list[Any] | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    daily: tuple[str, str] | None = None


class _Provider:
    """The models of one provider: those with plain names by name, patterns in order."""

    __slots__ = ("_named", "_patterns")

    def __init__(self, raw: msgspec.Raw) -> None:
        self._named: dict[str, list[_Written]] = {}
        self._patterns: list[tuple[list[Any], list[_Written]]] = []
        models = msgspec.json.decode(raw, type=list[tuple[list[Any], list[_Written]]])
        for match, written in models:
            names = match[1:] if match[0] == "|" else [match]
            for name in names:
                if name[0] == "=":
                    self._named.setdefault(name[1], written)
            if any(name[0] != "=" for name in names):
                self._patterns.append((match, written))

    def find(self, model: str) -> tuple[Terms, ...] | None:
        """Return the terms of a model, its name in small letters."""
        written = self._named.get(model)
        if written is None:
            written = next((w for match, w in self._patterns if _meets(match, model)), None)
        return None if written is None else tuple(map(_terms, written))


class PriceBook:
    """Answers for the upstreams of one configuration.

    Args:
        upstreams: Where requests can go.
        own: The user's prices, the first match counts.
    """

    __slots__ = ("_addresses", "_index", "_known", "_own", "_providers")

    def __init__(self, upstreams: Iterable[Upstream] = (), own: Iterable[OwnPrice] = ()) -> None:
        self._providers: dict[str, _Provider] = {}
        self._index: dict[str, _Row] | None = None
        self.configure(upstreams, own)

    def configure(self, upstreams: Iterable[Upstream], own: Iterable[OwnPrice]) -> None:
        """Take over a new configuration."""
        self._addresses = {one.name: one for one in upstreams}
        self._own = tuple(own)
        self._known: dict[tuple[str | None, str | None], tuple[Terms, ...] | None] = {}

    def cost_nano(self, record: Record) -> int | None:
        """Return what a request cost; None = unknown. Half a microsecond for a known model."""
        usage = record.usage
        if usage.input is None:
            return None
        place = (record.upstream, record.served)
        try:
            terms = self._known[place]
        except KeyError:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            terms = self._known[place] = self.terms(record.upstream or "", record.served or "")
        return None if terms is None else cost_nano(terms_at(terms, record.at_ms), usage)

    def terms(self, upstream: str, model: str) -> tuple[Terms, ...] | None:
        """Return the terms of a model at an upstream; None = no price is known.

        The first look at a provider reads the table: some milliseconds.
        """
        for own in self._own:
            if own.upstream in ("", upstream) and fnmatchcase(model, own.model):
                return (own.terms,)
        at = self._addresses.get(upstream)
        if at is None or not model or is_private(at.host):
            return None
        return self._listed(f"{at.address}{at.root}", model.lower())

    def _listed(self, address: str, model: str) -> tuple[Terms, ...] | None:
        rows = self._rows()
        for name, row in rows.items():
            if re.match(row.at, address):
                found = (
                    self._provider(one).find(model) for one in (name, *row.also) if one in rows
                )
                return next((terms for terms in found if terms is not None), None)
        # Relays write `anthropic/claude-…` as well as the bare name.
        bare = model.rpartition("/")[2]
        for name, row in rows.items():
            if row.makes is not None and _meets(row.makes, bare):
                terms = self._provider(name).find(bare)
                if terms is not None:
                    return terms
        return None

    def _rows(self) -> dict[str, _Row]:
        """Return what is said of each provider, without its models."""
        if self._index is None:
            self._index = _read()
            for row in self._index.values():
                row.models = msgspec.Raw(b"[]")
        return self._index

    def _provider(self, name: str) -> _Provider:
        found = self._providers.get(name)
        if found is None:
            found = self._providers[name] = _Provider(_read()[name].models)
        return found


def source() -> str:
    """Return where the list prices come from and of which day they are."""
    table = msgspec.json.decode(TABLE.read_bytes(), type=_Table)
    return f"{table.source}, {table.date}"


def is_private(host: str) -> bool:
    """Say whether `host` is this machine or of the own network, where nobody has list prices."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".lan"))


def _read() -> dict[str, _Row]:
    return msgspec.json.decode(TABLE.read_bytes(), type=_Table).providers


def _meets(match: list[Any], text: str) -> bool:
    mark, *parts = match
    match mark:
        case "=":
            return bool(text == parts[0])
        case "^":
            return text.startswith(parts[0])
        case "$":
            return text.endswith(parts[0])
        case "*":
            return parts[0] in text
        case "/":
            return re.search(parts[0], text) is not None
        case "|":
            return any(_meets(part, text) for part in parts)
        case _:
            return all(_meets(part, text) for part in parts)


def _terms(written: _Written) -> Terms:
    from_ms = 0
    if written.from_ is not None:
        from_ms = int(datetime.fromisoformat(written.from_).replace(tzinfo=UTC).timestamp() * 1000)
    return Terms(
        input=_rate(written.i),
        output=None if written.o is None else _rate(written.o),
        cache_read=None if written.r is None else _rate(written.r),
        cache_write=None if written.w is None else _rate(written.w),
        from_ms=from_ms,
        daily=None
        if written.daily is None
        else (_minute(written.daily[0]), _minute(written.daily[1])),
    )


def _rate(written: int | list[Any]) -> Rate:
    if isinstance(written, int):
        return ((0, written),)
    base, *tiers = written
    return ((0, base), *((start, price) for start, price in tiers))


def _minute(time: str) -> int:
    hours, _, minutes = time.partition(":")
    return int(hours) * 60 + int(minutes)
