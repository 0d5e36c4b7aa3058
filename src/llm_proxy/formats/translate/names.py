"""Names and ids of tools, bent into what the upstream's format allows and back.

A name that does not fit is rewritten by a rule that depends on the name alone, so that a
conversation looks the same to the upstream at every turn. The way back is `Context.tools`.
"""

import re
from hashlib import sha256

from llm_proxy.domain.knobs import Knobs

from .context import Context, ToolOrigin

_LIMITS = {"chat": 64, "responses": 64, "messages": 128}
_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_NINE = re.compile(r"[a-zA-Z0-9]{9}")
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _base62(text: str, length: int) -> str:
    """Return `length` letters and digits that depend on nothing but `text`."""
    value = int.from_bytes(_digest(text))
    letters = []
    for _ in range(length):
        value, at = divmod(value, 62)
        letters.append(_BASE62[at])
    return "".join(letters)


def fitting_name(name: str, limit: int) -> str:
    """Return `name`, rewritten where it has other characters than allowed or is too long."""
    fit = _UNFIT.sub("_", name)
    return fit if fit == name and 0 < len(name) <= limit else _marked(name, limit)


def _marked(name: str, limit: int) -> str:
    return f"{_UNFIT.sub('_', name)[: limit - 9]}_{_digest(name).hex()[:8]}"


def made_id(seed: str) -> str:
    """Return an id for a call that the client gave none, the same for the same `seed`."""
    return "call_" + _base62(seed, 24)


class Names:
    """The names and ids of one request, as the upstream sees them."""

    __slots__ = ("_context", "_knobs", "_limit", "_owners", "_sent")

    def __init__(self, context: Context, knobs: Knobs) -> None:
        self._context = context
        self._knobs = knobs
        self._limit = knobs.tool_name_max or _LIMITS[context.upstream]
        self._sent: dict[tuple[str, str | None], str] = {}
        self._owners: dict[str, tuple[str, str | None]] = {}

    def tool(self, name: str, namespace: str | None = None, *, is_custom: bool = False) -> str:
        """Return what the upstream calls a tool, and remember the way back.

        Args:
            name: The client's.
            namespace: A tool of a namespace is known as `NAMESPACE__NAME`.
            is_custom: Its input is plain text.
        """
        key = (name, namespace)
        sent = self._sent.get(key)
        if sent is None:
            full = name if namespace is None else f"{namespace}__{name}"
            sent = fitting_name(full, self._limit)
            if self._owners.get(sent, key) != key:
                sent = _marked(f"{namespace or ''}\0{name}", self._limit)
            self._sent[key] = sent
            self._owners[sent] = key
        if is_custom or sent != name:
            self._context.tools[sent] = ToolOrigin(
                name, namespace, is_custom or self._is_custom(sent)
            )
        return sent

    def _is_custom(self, sent: str) -> bool:
        origin = self._context.tools.get(sent)
        return origin is not None and origin.is_custom

    def call(self, call_id: str) -> str:
        """Return what the upstream calls a call; the same for the call and its result."""
        if self._knobs.tool_ids == "mistral9":
            return call_id if _NINE.fullmatch(call_id) else _base62(call_id, 9)
        if self._context.upstream != "messages":
            return call_id
        fit = _UNFIT.sub("_", call_id)
        return fit if fit == call_id and fit else f"{fit}_{_digest(call_id).hex()[:8]}"
