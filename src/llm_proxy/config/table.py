"""Builds the upstreams of the file's `[[upstream]]` tables.

A table says more than the variables can: names, weights, headers, limits of its own. What it
leaves out comes from the settings that hold for all; what it says wins over them.
"""

import math
import re
from typing import Any

import msgspec

from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.secret import Secret
from llm_proxy.domain.target import Timeouts, Upstream

from .address import Address, read_address
from .file import as_text, nearest_name
from .hosts import formats_of, knobs_of, message_auth_of
from .kinds import FORMATS, Kind, Lists, Pairs, assignment, parse_as
from .knobs import read_knobs
from .outbound import Outbound, read_proxy
from .reading import Reading
from .repair import cleaned, items, joined_addresses
from .upstream import Defaults, labelled, read_keys, spread, warn_of_proxy

_OURS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key"})
_FRAMING = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"}
)
_FORMATS = Lists(FORMATS, "auto", "chat", "words such as chat, or auto", "格式或 auto")
_MODELS = Lists((), "*", "gpt-*", "model names, * allowed", "模型名")
_PAIRS = Pairs("fast=qwen3")


def from_tables(
    keys: tuple[Secret | None, ...], defaults: Defaults, reading: Reading
) -> tuple[Upstream, ...]:
    """Return the upstreams of the file's `[[upstream]]` tables.

    Args:
        keys: Of API_KEY; a single one serves the tables that have none.
        defaults: For what a table leaves out.
        reading: Gathers what is to be said.

    Raises:
        ConfigError: Some value of a table is unusable.
    """
    tables = reading.written.upstreams
    formats = spread("proxy_formats", defaults.formats, len(tables), reading)
    models = spread("proxy_models", defaults.models, len(tables), reading)
    upstreams: list[Upstream] = []
    for position, table in enumerate(tables):
        reader = _Table(f"upstream[{position}]", table, reading)
        own = reader.upstream(f"upstream-{position + 1}", keys, defaults)
        renamed = reader.renamed_models()
        own = msgspec.structs.replace(
            own,
            formats=reader.lists("formats", _FORMATS)
            or formats[position]
            or formats_of(own.host, own.root),
            models=tuple(dict.fromkeys(name for _, name in renamed))
            or reader.lists("models", _MODELS)
            or models[position],
            model_map=renamed + own.model_map,
        )
        if any(own.name == other.name for other in upstreams):
            fix = "Give each upstream its own name"
            raise ConfigError(f"upstream[{position}].name", "stands twice", fix)
        upstreams.append(own)
    if keys and all("key" in table or "keys" in table for table in tables):
        reading.warn(f"{reading.spelled('api_key')}: not used, every [[upstream]] has keys")
    return tuple(upstreams)


class _Table:
    """Reads one `[[upstream]]` table."""

    def __init__(self, path: str, table: dict[str, Any], reading: Reading) -> None:
        self._path = path
        self._table = table
        self._reading = reading

    def upstream(self, name: str, keys: tuple[Secret | None, ...], defaults: Defaults) -> Upstream:
        """Return everything but formats and models."""
        address = self._address()
        return Upstream(
            name=self._name(name),
            scheme=address.scheme,
            host=address.host,
            port=address.port,
            root=address.root,
            keys=labelled(self._keys(keys)),
            model_map=self._model_map(defaults.model_map),
            weight=self._number("weight", 1.0, above=0.0),
            priority=int(self._number("priority", 0, above=-1)),
            max_concurrency=int(self._number("max_concurrency", 0, above=-1)),
            headers=self._headers(),
            proxy=self._proxy(address, defaults.outbound),
            timeouts=self._timeouts(defaults.timeouts),
            message_auth=self._message_auth(address.host),
            knobs=read_knobs(
                self._at("translation"),
                self._table.get("translation", {}),
                knobs_of(address.host),
            ),
            beta_deny=self.lists("beta_deny", _MODELS),
        )

    def lists(self, name: str, kind: Lists) -> tuple[str, ...]:
        """Return the one list of a name; empty where it is missing."""
        lists = self._parsed(name, kind)
        if lists is not None and len(lists) > 1:
            fix = "Write one list of words"
            raise ConfigError(self._at(name), "holds several lists", fix)
        return () if lists is None else tuple(lists[0])

    def renamed_models(self) -> tuple[tuple[str, str], ...]:
        """Return (client's name, upstream's name) where `models` is a table of them."""
        models = self._table.get("models")
        if not isinstance(models, dict):
            return ()
        for alias, name in models.items():
            if not alias or not isinstance(name, str) or not name.strip():
                fix = 'For example models = { fast = "qwen3" }'
                raise ConfigError(self._at("models"), "holds a name without a model", fix)
        return tuple((alias, name.strip()) for alias, name in models.items())

    def _at(self, name: str) -> str:
        return f"{self._path}.{name}"

    def _text(self, name: str) -> str:
        text = as_text(self._at(name), self._table.get(name, ""))
        return cleaned(self._at(name), text, self._reading.repairs)

    def _parsed(self, name: str, kind: Kind) -> Any:
        text = self._text(name)
        return parse_as(kind, self._at(name), text) if text else None

    def _refuse(self, name: str, problem: str, example: str) -> ConfigError:
        return ConfigError(self._at(name), problem, f"For example {assignment(name, example)}")

    def _name(self, otherwise: str) -> str:
        name = self._text("name") or otherwise
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
            raise self._refuse("name", "is not 1 to 64 letters, digits, dots or dashes", "openai")
        return name

    def _address(self) -> Address:
        setting, repairs = self._at("url"), self._reading.repairs
        parts = items(setting, joined_addresses(setting, self._text("url"), repairs), repairs)
        if len(parts) != 1:
            problem = "holds several addresses" if parts else "is missing"
            raise self._refuse("url", problem, "https://api.example.com/v1")
        address = read_address(setting, parts[0], repairs)
        warn_of_proxy(setting, address, self._reading)
        return address

    def _keys(self, shared: tuple[Secret | None, ...]) -> tuple[Secret | None, ...]:
        if "key" in self._table and "keys" in self._table:
            raise self._refuse("key", "stands beside keys", "sk-upstream-1")
        name = "keys" if "keys" in self._table else "key"
        text = as_text(self._at(name), self._table.get(name, ""))
        keys = read_keys(self._at(name), text, self._reading) or shared
        if not keys:
            raise self._refuse(name, "is missing (none where the provider wants no key)", "none")
        if keys is shared and len(shared) > 1:
            raise self._refuse(name, "is missing, and API_KEY holds several", "sk-upstream-1")
        unique = tuple(dict.fromkeys(keys))
        if len(unique) < len(keys):
            self._reading.repairs.say(self._at(name), "a duplicate removed")
        return unique

    def _model_map(self, shared: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        own: tuple[tuple[str, str], ...] = self._parsed("model_map", _PAIRS) or ()
        return own + shared

    def _number(self, name: str, otherwise: float, *, above: float) -> float:
        value = self._table.get(name, otherwise)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not above < value <= 1_000_000:
            raise self._refuse(name, f"is not a number above {above:g}", "1")
        if name in ("priority", "max_concurrency") and value != int(value):
            raise self._refuse(name, "is not a whole number", "1")
        return float(value)

    def _headers(self) -> tuple[tuple[str, str], ...]:
        table = self._table.get("headers", {})
        if not isinstance(table, dict):
            fix = 'For example headers = { "x-team" = "blue" }'
            raise ConfigError(self._at("headers"), "is not a table", fix)
        headers: dict[str, str] = {}
        for name, value in table.items():
            lower = name.lower()
            setting = self._at(f"headers.{name}" if name.isascii() else "headers")
            if not re.fullmatch(r"[a-z0-9!#$%&'*+.^_`|~-]+", lower) or lower in headers:
                raise ConfigError(setting, "is no usable header name", "Use letters and dashes")
            if lower in _OURS or lower in _FRAMING:
                raise ConfigError(setting, "is set by the proxy itself", "Leave it out")
            if not isinstance(value, str) or not re.fullmatch(r"[\x20-\x7e]*", value):
                raise ConfigError(setting, "is no printable ASCII text", "Put it in quotes")
            headers[lower] = value.strip()
        return tuple(headers.items())

    def _proxy(self, address: Address, outbound: Outbound) -> Secret | None:
        text = self._text("proxy")
        if not text:
            return outbound.proxy_of(address)
        if text.lower() in {"none", "direct"}:
            return None
        return read_proxy(self._at("proxy"), text, self._reading.repairs)

    def _timeouts(self, shared: Timeouts) -> Timeouts:
        table = self._table.get("timeouts", {})
        if not isinstance(table, dict):
            fix = "For example timeouts = { upstream_s = 120 }"
            raise ConfigError(self._at("timeouts"), "is not a table", fix)
        limits: dict[str, float] = {}
        for name, value in table.items():
            setting = self._at(f"timeouts.{name}")
            if name not in Timeouts.__struct_fields__:
                nearest = nearest_name(name, Timeouts.__struct_fields__)
                known = ", ".join(Timeouts.__struct_fields__)
                fix = f"Did you mean {nearest}?" if nearest else f"Known are {known}"
                raise ConfigError(setting, "is not a time limit", fix)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not math.isfinite(value) or not 0 <= value <= 86_400:
                fix = f"For example {name} = 30"
                raise ConfigError(setting, "is not between 0 and 86400 seconds", fix)
            limits[name] = float(value)
        return msgspec.structs.replace(shared, **limits)

    def _message_auth(self, host: str) -> str:
        word = self._text("message_auth").lower() or message_auth_of(host)
        if word not in {"x-api-key", "bearer"}:
            raise self._refuse("message_auth", "is neither x-api-key nor bearer", "bearer")
        return word
