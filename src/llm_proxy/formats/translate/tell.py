"""What the three writers of answers share.

A writer takes pieces in the order of `order.py` and says them in the client's format: as events
while they come, or as one JSON answer from all of them.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from llm_proxy.domain.usage import Usage

from . import literal
from .budget import Budget
from .context import Context, ToolOrigin
from .pieces import Finish, HiddenReasoning, Piece, ReasoningEnd

_UNFIT = re.compile(r"[^A-Za-z0-9_-]")
ANTHROPIC = "anthropic-claude-v1"
"""What `reasoning_details` call reasoning that Anthropic signed."""


class Tell(ABC):
    """Writes one answer for a client.

    Attributes:
        calls: Calls told.
    """

    __slots__ = ("_budget", "_context", "_created", "_new_id", "calls")

    prefix: str
    """With which the format's ids begin."""

    def __init__(
        self, context: Context, created_s: int, new_id: Callable[[], str], budget: Budget
    ) -> None:
        self._context = context
        self._created = created_s
        self._new_id = new_id
        self._budget = budget
        self.calls = 0

    @abstractmethod
    def start(self, id_: str, model: str, usage: Usage) -> bytes:
        """Return the events that begin the answer."""

    @abstractmethod
    def piece(self, piece: Piece) -> bytes:
        """Return the events that say a piece; none where it only prepares others."""

    @abstractmethod
    def finish(self, finish: Finish, usage: Usage) -> bytes:
        """Return the events that end the answer."""

    @abstractmethod
    def failure(self, status: int, code: str | None, message: str) -> bytes:
        """Return the event that says the answer failed."""

    @abstractmethod
    def whole(
        self, id_: str, model: str, pieces: Iterable[Piece], finish: Finish, usage: Usage
    ) -> bytes:
        """Return the JSON answer that all pieces make."""

    def cut_short(self) -> None:  # noqa: B027 - only one format says so
        """Take note that what is closed next was cut by a limit."""

    def _id(self, upstream_id: str) -> str:
        """Return the answer's id in the client's format."""
        fit = _UNFIT.sub("", upstream_id)
        if fit.startswith(self.prefix) and len(fit) > len(self.prefix):
            return fit
        return self.prefix + (fit or self._new_id())

    def _model(self, model: str) -> str:
        return model or self._context.model

    def _origin(self, name: str) -> ToolOrigin:
        """Return what the client calls a tool."""
        return self._context.tools.get(name) or ToolOrigin(name)


def carried(end: ReasoningEnd | HiddenReasoning, text: str) -> Any:
    """Return what a marker carries for a block of reasoning whose text the client may not keep."""
    if end.data is not None:
        return end.data
    if end.kind == "blocks":
        assert isinstance(end, ReasoningEnd)
        return [{"type": "thinking", "thinking": text, "signature": end.signature}]
    return text


def custom_input(arguments: str) -> str:
    """Return the plain text that a freeform tool is called with."""
    try:
        value = literal.load(arguments)
    except ValueError:
        return arguments
    given = value.get("input") if isinstance(value, dict) else None
    return given if isinstance(given, str) else arguments
