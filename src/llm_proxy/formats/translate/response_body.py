"""The response object of the Responses format, as every lifecycle event repeats it."""

from typing import Any

from llm_proxy.domain.usage import Usage
from llm_proxy.wire.body import writable

from .pieces import Finish

_DEFAULTS: dict[str, Any] = {
    "instructions": None,
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "temperature": None,
    "top_p": None,
    "max_output_tokens": None,
    "metadata": {},
    "text": {"format": {"type": "text"}},
    "reasoning": {"effort": None, "summary": None},
    "truncation": "disabled",
    "previous_response_id": None,
    "store": False,
}
"""What a response repeats of its request, where the request did not say."""

_INCOMPLETE = {
    "length": "max_output_tokens",
    "context": "max_output_tokens",
    "refusal": "content_filter",
}
CODES = frozenset(
    (
        "context_length_exceeded",
        "insufficient_quota",
        "invalid_prompt",
        "rate_limit_exceeded",
        "server_error",
    )
)
"""Codes that clients know in `response.error`."""


class ResponseBody:
    """One response's object.

    Args:
        id_: The response's.
        model: That answers.
        created_s: Wall time, seconds.
        echo: Fields of the request that it repeats.
    """

    __slots__ = ("_fields",)

    def __init__(self, id_: str, model: str, created_s: int, echo: dict[str, Any]) -> None:
        kept = {name: value for name, value in echo.items() if value is not None}
        self._fields = {
            "id": id_,
            "object": "response",
            "created_at": created_s,
            "completed_at": None,
            "status": "in_progress",
            "model": model,
            "output": [],
            "error": None,
            "incomplete_details": None,
            "usage": None,
            **_DEFAULTS,
            **kept,
        }

    def begun(self) -> dict[str, Any]:
        """Return it as it begins."""
        return self._fields

    def ended(self, finish: Finish, output: list[Any], usage: Usage) -> dict[str, Any]:
        """Return it as it ends."""
        reason = _INCOMPLETE.get(finish.reason)
        return self._fields | {
            "status": "incomplete" if reason else "completed",
            "output": output,
            "incomplete_details": {"reason": reason} if reason else None,
            "usage": responses_usage_of(usage),
        }

    def failed(self, code: str, message: str, output: list[Any]) -> dict[str, Any]:
        """Return it as it fails, with the items that were finished."""
        return self._fields | {
            "status": "failed",
            "output": output,
            "error": {"code": code, "message": writable(message)},
        }


def responses_usage_of(usage: Usage) -> dict[str, Any]:
    """Return the `usage` object of Responses, which requires every detail."""
    input_, output = usage.input or 0, usage.output or 0
    return {
        "input_tokens": input_,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read or 0,
            "cache_write_tokens": usage.cache_write or 0,
        },
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": input_ + output,
    }
