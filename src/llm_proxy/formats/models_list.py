"""The list of models in both shapes, OpenAI's and Anthropic's: read from upstreams, written down.

Facts that no upstream told are absent or, where clients require a field, its empty value: the epoch
for a date (which Anthropic's reference allows for an unknown one), never a guess.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from llm_proxy.domain.errors import RequestError
from llm_proxy.wire.body import read_json, writable

MAX_LIMIT = 1000
MAX_ID = 300
"""Characters of a model's name; longer ones in a list are no names."""


class Model(msgspec.Struct, frozen=True):
    """One model as listed.

    Attributes:
        id: The name clients send; may contain `/` and `:`.
        created: Seconds since 1970; 0 = unknown.
        owned_by: Empty = unknown.
        display_name: Empty = the id.
    """

    id: str
    created: int = 0
    owned_by: str = ""
    display_name: str = ""


class Page(msgspec.Struct, frozen=True):
    """Which part of an Anthropic list is asked for.

    Attributes:
        limit: At most so many entries; None = all.
        after_id: Only entries behind this one.
        before_id: Only entries in front of this one.
    """

    limit: int | None = None
    after_id: str | None = None
    before_id: str | None = None


class Listing(msgspec.Struct, frozen=True):
    """What an upstream's answer lists.

    Attributes:
        models: In its order.
        next_id: Value of `after_id` for the next page; None = this was the last.
    """

    models: list[Model]
    next_id: str | None = None


def page_of(query: bytes) -> Page:
    """Return the page that a query string asks for.

    Raises:
        RequestError: 400, `limit` is no number from 1 to 1000.
    """
    values = parse_qs(query.decode("latin-1"), keep_blank_values=False, max_num_fields=100)
    limit = values.get("limit", [None])[-1]
    if limit is not None and not (
        limit.isascii() and limit.isdecimal() and len(limit) < 5 and 1 <= int(limit) <= MAX_LIMIT
    ):
        raise RequestError(400, f"limit must be a number from 1 to {MAX_LIMIT}", param="limit")
    return Page(
        int(limit) if limit is not None else None,
        values.get("after_id", [None])[-1],
        values.get("before_id", [None])[-1],
    )


def write_list(models: Sequence[Model], *, is_anthropic: bool, page: Page | None = None) -> bytes:
    """Return the body of `GET /v1/models`.

    Args:
        models: In the order to list them.
        is_anthropic: Whether Anthropic's shape is wanted.
        page: Which part of it, in Anthropic's shape; OpenAI's has no pages.
    """
    if not is_anthropic:
        return msgspec.json.encode(
            {"object": "list", "data": [_openai_entry(model) for model in models]}
        )
    shown, has_more = _cut(models, page or Page())
    return msgspec.json.encode(
        {
            "data": [_anthropic_entry(model) for model in shown],
            "has_more": has_more,
            "first_id": shown[0].id if shown else None,
            "last_id": shown[-1].id if shown else None,
        }
    )


def write_one(model: Model, *, is_anthropic: bool) -> bytes:
    """Return the body of `GET /v1/models/{id}`."""
    return msgspec.json.encode(_anthropic_entry(model) if is_anthropic else _openai_entry(model))


def id_in(path: str) -> str:
    """Return the model's name in `/v1/models/{id}`, its percent-encoding undone."""
    return writable(unquote(path.removeprefix("/v1/models/")))


def read_list(body: bytes) -> Listing:
    """Read an upstream's list in either shape; also a bare list and Ollama's or Gemini's own.

    Raises:
        ValueError: It is no list of models.
    """
    value = read_json(body)
    entries = value
    if isinstance(value, dict):
        entries = next((value[name] for name in ("data", "models") if name in value), None)
    if not isinstance(entries, list):
        raise ValueError("no list of models")
    models = [model for entry in entries if (model := _read_entry(entry)) is not None]
    has_more = isinstance(value, dict) and value.get("has_more") is True
    return Listing(models, models[-1].id if has_more and models else None)


def _cut(models: Sequence[Model], page: Page) -> tuple[list[Model], bool]:
    """Return the entries of a page and whether more follow in its direction."""
    shown = list(models)
    places = {model.id: place for place, model in enumerate(shown)}
    if page.after_id is not None:
        place = places.get(page.after_id)
        shown = shown[place + 1 :] if place is not None else []
    if page.before_id is not None:
        place = next((at for at, model in enumerate(shown) if model.id == page.before_id), None)
        shown = shown[:place] if place is not None else []
    if page.limit is None or len(shown) <= page.limit:
        return shown, False
    is_backwards = page.before_id is not None and page.after_id is None
    return (shown[-page.limit :] if is_backwards else shown[: page.limit]), True


def _openai_entry(model: Model) -> dict[str, Any]:
    return {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": model.owned_by,
    }


def _anthropic_entry(model: Model) -> dict[str, Any]:
    created = datetime.fromtimestamp(model.created, UTC)
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name or model.id,
        "created_at": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
    }


def _read_entry(entry: Any) -> Model | None:
    if not isinstance(entry, dict):
        return None
    name = entry.get("id") or entry.get("name") or entry.get("model")
    if not isinstance(name, str) or not name or len(name) > MAX_ID:
        return None
    owner, display = entry.get("owned_by"), entry.get("display_name")
    return Model(
        writable(name),
        _seconds(entry.get("created")) or _seconds(entry.get("created_at")),
        writable(owner) if isinstance(owner, str) else "",
        writable(display) if isinstance(display, str) else "",
    )


def _seconds(value: Any) -> int:
    """Return a time as seconds since 1970, or 0 where it is none."""
    if isinstance(value, str):
        try:
            date = datetime.fromisoformat(value)
            value = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 < value < 2**34 else 0
