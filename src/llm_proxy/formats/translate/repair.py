"""The one repair: a preference that an upstream will not take is left out and the request sent again.

Which fields an upstream's model takes is often known only by asking. When its refusal names a field
that the translation sent as a preference, the request goes once more without it. Never for content,
tools or the form of the answer: those are what the client asked for.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from .literal import dump, load

_STATUSES = (400, 422)


class Repaired(msgspec.Struct, frozen=True):
    """A request without what was refused.

    Attributes:
        body: To be sent.
        field: What was left out, by its name in the upstream's format; noted as `dropped=FIELD`,
            and worth remembering for the upstream and the model: see `without`.
    """

    body: bytes
    field: str


def _named(*words: str) -> re.Pattern[str]:
    """Match a message that means one of `words` as a field, not as a word of its sentence."""
    names = "|".join(map(re.escape, words))
    quoted = rf"[\"'`‘“](?:{names})(?:[\"'`’”.\[]|$)"
    told = rf"(?:parameters?|arguments?|fields?|inputs?|keys?|supplied|supports?):?\s+(?:{names})\b"
    begins = rf"(?:^|[\s.(])(?:{names})(?:\.\w+)*(?::|\s+(?:is|are)\s|\s+not\s|\s+cannot\s)"
    return re.compile(f"{quoted}|{told}|{begins}", re.IGNORECASE)


# fmt: off
_FIELDS: dict[str, tuple[tuple[str, ...], re.Pattern[str]]] = {
    "output_config.effort": (("messages",),          _named("output_config.effort", "output_config", "effort")),
    "reasoning_effort":     (("chat",),              _named("reasoning_effort")),
    "reasoning":            (("chat", "responses"),  _named("reasoning", "reasoning.effort", "reasoning.summary")),
    "thinking":             (("chat", "messages"),   _named("thinking", "thinking.type", "thinking.adaptive",
                                                            "thinking.enabled", "budget_tokens")),
    "enable_thinking":      (("chat",),              _named("enable_thinking")),
    "thinking_budget":      (("chat",),              _named("thinking_budget")),
    "temperature":          (("chat", "messages", "responses"), _named("temperature")),
    "top_p":                (("chat", "messages", "responses"), _named("top_p")),
    "top_k":                (("chat", "messages"),   _named("top_k")),
    "parallel_tool_calls":  (("chat", "responses"),  _named("parallel_tool_calls")),
    "stream_options":       (("chat",),              _named("stream_options", "stream_options.include_usage",
                                                            "include_usage")),
    "include":              (("responses",),         _named("include", "reasoning.encrypted_content",
                                                            "encrypted content")),
    "verbosity":            (("chat",),              _named("verbosity")),
    "text.verbosity":       (("responses",),         _named("verbosity", "text.verbosity")),
    "user":                 (("responses",),         _named("user")),
    "metadata.user_id":     (("messages",),          _named("metadata.user_id", "user_id")),
    "strict":               (("chat", "messages", "responses"), _named("strict")),
    "messages.reasoning":   (("chat",),              _named("reasoning_content", "reasoning_details", "reasoning")),
}
# fmt: on
_HISTORY = ("reasoning_content", "reasoning", "reasoning_details")
_NEVER = re.compile(
    r"json_schema|response_format|text\.format|output_config\.format", re.IGNORECASE
)
"""A message about the form of the answer; `strict` occurs there too."""


def repair(status: int, message: str, body: bytes, upstream: str) -> Repaired | None:
    """Return the request without the field that the upstream refused; None = not to be repaired.

    Args:
        status: Of the upstream's answer.
        message: Its error message.
        body: As it was sent.
        upstream: The upstream's format.
    """
    if status not in _STATUSES or _NEVER.search(message):
        return None
    for field, (formats, pattern) in _FIELDS.items():
        if upstream in formats and pattern.search(message):
            left = without(field, body)
            if left is not None:
                return Repaired(left, field)
    return None


def without(field: str, body: bytes) -> bytes | None:
    """Return a translated request without a field, or None where it holds none.

    Args:
        field: As `Repaired.field` names it.
        body: As a translation wrote it.
    """
    try:
        top = load(body)
    except ValueError:
        return None
    if not isinstance(top, dict):
        return None
    remove = _SPECIAL.get(field)
    done = _remove(top, field) if remove is None else remove(top)
    return dump(top) if done else None


def _remove(top: dict[str, Any], path: str) -> bool:
    """Remove `a` or `a.b`, and `a` with it when nothing is left there."""
    outer, _, inner = path.partition(".")
    if not inner:
        return top.pop(outer, None) is not None
    value = top.get(outer)
    if not isinstance(value, dict) or value.pop(inner, None) is None:
        return False
    if not value:
        del top[outer]
    return True


def _remove_thinking(top: dict[str, Any]) -> bool:
    """Remove it, and the level that only goes with it."""
    done = _remove(top, "thinking")
    if done:
        _remove(top, "output_config.effort")
    return done


def _remove_strict(top: dict[str, Any]) -> bool:
    """Remove the tools' strictness, which only Responses wants to be said."""
    done = False
    for tool in top.get("tools") or []:
        inner = tool.get("function", tool)
        if inner.get("strict"):
            done = True
            if tool.get("type") == "function" and inner is tool:
                tool["strict"] = False
            else:
                del inner["strict"]
    return done


def _remove_history(top: dict[str, Any]) -> bool:
    """Remove earlier reasoning, which came from another upstream that wants it back."""
    done = False
    for message in top.get("messages") or []:
        for name in _HISTORY:
            done = message.pop(name, None) is not None or done
    return done


def _remove_include(top: dict[str, Any]) -> bool:
    """Remove the question for encrypted reasoning, and no other."""
    wanted = top.get("include") or []
    left = [item for item in wanted if item != "reasoning.encrypted_content"]
    if len(left) == len(wanted):
        return False
    top["include"] = left
    if not left:
        del top["include"]
    return True


_SPECIAL: dict[str, Callable[[dict[str, Any]], bool]] = {
    "thinking": _remove_thinking,
    "strict": _remove_strict,
    "include": _remove_include,
    "messages.reasoning": _remove_history,
}
