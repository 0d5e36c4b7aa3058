"""The models that clients may ask for: upstreams' lists, merged, kept in memory and refreshed.

A call for the list is answered from memory within microseconds; only the very first may wait
while the lists are fetched. A list that cannot be had any more stays as it was.
"""

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

from llm_proxy.domain.target import Target, Upstream
from llm_proxy.formats import format_named
from llm_proxy.formats.endpoint import MODELS
from llm_proxy.formats.models_list import Model, id_in, page_of, read_list, write_list, write_one
from llm_proxy.net.fetch import fetch

from .admission import Visit
from .call import DEFAULT_ANTHROPIC_VERSION
from .table import Table, mapped, serves

if TYPE_CHECKING:
    from .core import Core

FRESH_S = 300.0
RETRY_S = 20.0
"""How soon an upstream without a list is asked again."""
TIMEOUT_S = 10.0
FIRST_WAIT_S = 3.0
MAX_MODELS = 5000


class Catalogue:
    """Lists of all upstreams of the configuration."""

    def __init__(self, core: "Core") -> None:
        self._core = core
        self._lists: dict[str, list[Model]] = {}
        self._table: Table | None = None
        self._merged: list[Model] | None = None
        self._first = asyncio.Event()

    async def keep_fresh(self) -> None:
        """Fetch the lists now and again and again; runs as long as the process."""
        while True:
            is_complete = await self._refresh()
            await asyncio.sleep(FRESH_S if is_complete else RETRY_S)

    async def models(self) -> list[Model]:
        """Return what clients may ask for, sorted by upstream as configured."""
        if self._core.table is not self._table and self._table is not None:
            self._table = self._core.table
            self._first.clear()
            self._core.tasks.start(self._refresh())
        if not self._first.is_set():
            try:
                async with asyncio.timeout(FIRST_WAIT_S):
                    await self._first.wait()
            except TimeoutError:
                return self._merge()
        if self._merged is None:
            self._merged = self._merge()
        return self._merged

    async def _refresh(self) -> bool:
        table = self._table = self._core.table
        self._merged = None
        asked = [upstream for upstream in table.upstreams if not _is_spelled_out(upstream)]
        results = await asyncio.gather(*(self._fetch(table, upstream) for upstream in asked))
        self._first.set()
        self._merged = None
        return all(results)

    async def _fetch(self, table: Table, upstream: Upstream) -> bool:
        target = next(target for target in table.targets if target.upstream is upstream)
        shapes = [name for name in ("chat", "messages") if _may_list(upstream, name)]
        for shape in shapes:
            found = await self._read_pages(target, shape)
            if found is not None:
                self._lists[upstream.name] = found
                return True
        return False

    async def _read_pages(self, target: Target, shape: str) -> list[Model] | None:
        """Return an upstream's list in one shape, or None if it gives none."""
        models: list[Model] = []
        query = "?limit=1000" if shape == "messages" else ""
        while len(models) < MAX_MODELS:
            fetched = await fetch(
                self._core.loop,
                self._core.pools[target],
                _head(target, shape, query),
                timeout_s=TIMEOUT_S,
            )
            if fetched.status != 200 or fetched.fault is not None:
                return None
            try:
                listing = read_list(fetched.body)
            except ValueError:
                return None
            models += listing.models
            if listing.next_id is None or not listing.models:
                break
            query = f"?limit=1000&after_id={quote(listing.next_id)}"
        return models[:MAX_MODELS]

    def _merge(self) -> list[Model]:
        merged: dict[str, Model] = {}
        for upstream in self._core.table.upstreams:
            for model in self._of(upstream):
                merged.setdefault(model.id, model)
        return list(merged.values())

    def _of(self, upstream: Upstream) -> list[Model]:
        known = [
            model
            for model in self._lists.get(upstream.name, [])
            if serves(upstream, mapped(upstream, model.id))
        ]
        spelled = [Model(id=name) for name in upstream.models if "*" not in name]
        aliases = [
            Model(id=alias)
            for alias, name in upstream.model_map
            if "*" not in alias and serves(upstream, name)
        ]
        return aliases + spelled + known


def _is_spelled_out(upstream: Upstream) -> bool:
    return bool(upstream.models) and not any("*" in name for name in upstream.models)


def _may_list(upstream: Upstream, shape: str) -> bool:
    if not upstream.formats:
        return True
    has_messages = "messages" in upstream.formats
    return has_messages if shape == "messages" else upstream.formats != ("messages",)


def _head(target: Target, shape: str, query: str) -> bytes:
    upstream = target.upstream
    lines = [
        f"GET {upstream.root}/models{query} HTTP/1.1",
        f"host: {upstream.authority}",
        "accept: application/json",
        "accept-encoding: identity",
    ]
    if shape == "messages":
        lines.append(f"anthropic-version: {DEFAULT_ANTHROPIC_VERSION.decode()}")
    if target.key.secret is not None:
        key = target.key.secret.reveal()
        is_bearer = shape == "chat" or upstream.message_auth == "bearer"
        lines.append(f"authorization: Bearer {key}" if is_bearer else f"x-api-key: {key}")
    lines += [f"{name}: {value}" for name, value in upstream.headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def list_answer(visit: Visit, models: list[Model]) -> tuple[int, bytes]:
    """Return status and body for a list of models, or for one of them."""
    is_anthropic = b"anthropic-version" in visit.request.fields
    if visit.admission.endpoint.kind is MODELS:
        page = page_of(visit.request.query)
        return 200, write_list(models, is_anthropic=is_anthropic, page=page)
    wanted = id_in(visit.admission.endpoint.path)
    for model in models:
        if model.id == wanted:
            return 200, write_one(model, is_anthropic=is_anthropic)
    format_ = format_named("messages" if is_anthropic else "chat")
    shown = id_in(visit.admission.path_text)  # somebody may have put a key there
    return 404, format_.error_body(
        404,
        f"The model '{shown}' does not exist: no upstream serves it.",
        code="model_not_found",
        param="model",
        request_id=visit.id,
    )
