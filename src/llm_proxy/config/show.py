"""Shows the effective configuration, each value with where it came from, secrets masked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from llm_proxy.domain.price import Terms
from llm_proxy.domain.secret import AccessKey, Secret
from llm_proxy.domain.target import Upstream

from .outbound import shown_proxy
from .settings import NAMES, Settings


def shown(settings: Settings, name: str) -> str:
    """Return the value of a setting as its variable would spell it, secrets masked."""
    value = getattr(settings, name)
    if name == "outbound_proxy":
        return shown_proxy(value) if value is not None else ""
    if name == "alert_webhook_url":
        return "" if value is None else f"{value.reveal().partition('://')[0]}://{_host(value)}/…"
    if name == "my_access_key":
        return ",".join(_word(key) for key in settings.access_keys)
    if name in {"proxy_formats", "proxy_models"}:
        anything = "auto" if name == "proxy_formats" else "*"
        return ";".join(",".join(words) or anything for words in value)
    if name in {"model_map", "model_fallbacks"}:
        return ",".join(f"{left}={right}" for left, right in value)
    return _word(value)


def _host(address: Secret) -> str:
    return urlsplit(address.reveal()).hostname or ""


def _word(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:g}"
        case AccessKey():
            return f"{value.name}:{value.secret}"
        case tuple():
            return ",".join("none" if part is None else _word(part) for part in value)
        case str() | int() | Path() | Secret():
            return str(value)
        case _:
            raise TypeError(f"no setting is a {type(value).__name__}")


def lines(settings: Settings) -> Iterator[str]:
    """Yield what `llm-proxy config` prints."""
    if settings.config_path is not None:
        yield f"# file: {settings.config_path}"
    width = max(map(len, NAMES))
    for name in NAMES:
        origin = settings.origins.get(name, "default")
        yield f"{name.upper():{width}} = {shown(settings, name) or '-':28} # {origin}"
    for upstream in settings.upstreams:
        yield ""
        yield from upstream_lines(upstream)
    for price in settings.prices:
        where = f" at {price.upstream}" if price.upstream else ""
        yield f"[price] {price.model}{where}: {_dollars(price.terms)} per million tokens"
    for title, notes in (("repaired", settings.repairs), ("warning", settings.warnings)):
        for note in notes:
            yield f"# {title}: {note}"


def _dollars(terms: Terms) -> str:
    named = (
        ("input", terms.input),
        ("output", terms.output),
        ("cached input", terms.cache_read),
        ("cache write", terms.cache_write),
    )
    return ", ".join(f"{name} ${rate[0][1] / 1e6:g}" for name, rate in named if rate is not None)


def upstream_lines(upstream: Upstream) -> Iterator[str]:
    """Yield what is known of one upstream."""
    yield f"[{upstream.name}] {upstream.address}{upstream.root}"
    yield f"  keys      {', '.join(key.label for key in upstream.keys)}"
    yield f"  formats   {', '.join(upstream.formats) or 'what the client sends'}"
    yield f"  models    {', '.join(upstream.models) or 'all'}"
    if upstream.model_map:
        yield f"  model map {', '.join(f'{left}={right}' for left, right in upstream.model_map)}"
    if upstream.headers:  # names only: a value may be a secret
        yield f"  headers   {', '.join(name for name, _ in upstream.headers)}"
    yield f"  weight    {upstream.weight:g}, priority {upstream.priority}"
    if upstream.max_concurrency:
        yield f"  at once   {upstream.max_concurrency} requests per key"
    limits = upstream.timeouts
    yield (
        f"  timeouts  connect {limits.connect_s:g} s, answer {limits.upstream_s:g} s, first token "
        f"{limits.first_token_s:g} s, stream idle {limits.stream_idle_s:g} s (0 = off)"
    )
    if upstream.proxy is not None:
        yield f"  proxy     {shown_proxy(upstream.proxy)}"
