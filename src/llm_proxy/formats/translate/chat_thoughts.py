"""Collects what a chat upstream says of its reasoning, until a block of it is over."""

from typing import Any

from .budget import Budget
from .hear import text_in
from .pieces import HiddenReasoning, Piece, Reasoning, ReasoningEnd

_PARTS = ("text", "summary", "data", "signature")


class Thoughts:
    """The block of reasoning that is open.

    Attributes:
        is_open: Some of it came.
    """

    __slots__ = ("_budget", "_details", "_field", "_has_text", "is_open")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._details: list[dict[str, Any]] = []
        self._field = ""
        self._has_text = False
        self.is_open = False

    def add(self, text: str, field: str, details: list[dict[str, Any]], out: list[Piece]) -> None:
        """Take some reasoning.

        Args:
            text: What can be read of it; may be empty.
            field: Where it stood.
            details: Entries of `reasoning_details`; in a stream fragments of them.
            out: The text is appended here.
        """
        if not self.is_open:
            self.is_open = True
            self._field = field
        for detail in details:
            self._collect(detail)
        if text:
            self._has_text = True
            out.append(Reasoning(text))

    def close(self, out: list[Piece]) -> None:
        """End the block, if one is open."""
        if not self.is_open:
            return
        if not self._details:
            out.append(ReasoningEnd(self._field))
        elif self._has_text:
            out.append(ReasoningEnd("reasoning_details", self._details))
        else:
            out.append(HiddenReasoning("reasoning_details", self._details))
        self._details = []
        self._has_text = self.is_open = False

    def _collect(self, detail: dict[str, Any]) -> None:
        for part in _PARTS:
            self._budget.take(text_in(detail, part))
        last = self._details[-1] if self._details else {}
        if last.get("type") != detail.get("type") or last.get("index") != detail.get("index"):
            self._details.append(dict(detail))
            return
        for name, value in detail.items():
            known = last.get(name)
            if name in _PARTS and isinstance(known, str) and isinstance(value, str):
                last[name] = known + value
            elif value is not None:
                last[name] = value
