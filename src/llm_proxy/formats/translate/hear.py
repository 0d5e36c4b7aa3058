"""What the three readers of answers share.

A reader takes an upstream's events, or its JSON answer as if it were one event, and says what they
mean as pieces. It judges nothing about order and knows nothing of the client's format. What it
cannot read it skips: the watch of the same stream (`formats/format.py`) judges it.
"""

from abc import ABC, abstractmethod
from typing import Any

import msgspec

from llm_proxy.domain.usage import UNKNOWN, Usage
from llm_proxy.formats.signal import error_inside
from llm_proxy.wire.body import read_json
from llm_proxy.wire.sse import fields

from . import literal
from .budget import Budget
from .context import Context
from .errors import NoAnswerError, UpstreamFailedError
from .pieces import Finish, Piece

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a typed decoder raises for an event that it does not know."""

_SUSPECT = ("error", "base_resp", "code")
_REASON_NAMES = {"chat": "finish_reason", "messages": "stop_reason", "responses": "status"}


class Hear(ABC):
    """Reads one answer of an upstream.

    Attributes:
        id: The upstream's; empty = not said.
        model: As the upstream reports it; empty = not said.
        usage: The last word on tokens.
        has_answer: There was something to read.
    """

    __slots__ = ("_budget", "_context", "has_answer", "id", "model", "usage")

    def __init__(self, context: Context, budget: Budget) -> None:
        self._context = context
        self._budget = budget
        self.id = ""
        self.model = ""
        self.usage: Usage = UNKNOWN
        self.has_answer = False

    def feed(self, event: bytes, out: list[Piece]) -> None:
        """Read one whole event and append its pieces to `out`.

        Raises:
            AnswerError: The upstream reports a failure, or too much must be held.
        """
        name, data = fields(event)
        if data is None:
            data = event.strip()
            if data[:1] == b"{":  # a JSON answer under the content type of a stream
                self.read_body(data, out)
            return
        self._feed_data(name, data, out)

    def read_body(self, body: bytes, out: list[Piece]) -> None:
        """Read a JSON answer and append its pieces to `out`.

        Raises:
            AnswerError: It is none.
        """
        try:
            value = _load(body)
        except ValueError as error:
            raise NoAnswerError("the upstream's answer was not JSON") from error
        _raise_error(value, body)
        if not isinstance(value, dict):
            raise NoAnswerError("the upstream's answer was no JSON object")
        self._read_whole(value, out)

    @abstractmethod
    def _feed_data(self, name: bytes, data: bytes, out: list[Piece]) -> None:
        """Read the data of an event."""

    @abstractmethod
    def _read_whole(self, value: dict[str, Any], out: list[Piece]) -> None:
        """Read a JSON answer."""

    @abstractmethod
    def end(self, out: list[Piece]) -> Finish:
        """Append what was held back and return how the answer ends."""

    def _read(self, data: bytes) -> dict[str, Any] | None:
        """Return an event's JSON object, its numbers as `literal` reads them; None = skip it.

        Raises:
            UpstreamFailedError: It is an error.
        """
        try:
            value = _load(data)
        except ValueError:
            return None
        _raise_error(value, data)
        return value if isinstance(value, dict) else None

    def _name(self, value: dict[str, Any]) -> None:
        """Note id and model; the first that are said count."""
        if not self.id:
            self.id = text_in(value, "id")
        if not self.model:
            self.model = text_in(value, "model")

    def _unknown_reason(self) -> None:
        self._context.note("changed", _REASON_NAMES[self._context.client])


def _load(data: bytes) -> Any:
    try:
        return literal.load(data.decode("utf-8", "replace"))
    except ValueError:
        return read_json(data)


def _raise_error(value: Any, data: bytes) -> None:
    if isinstance(value, dict) and not (
        any(value.get(name) for name in _SUSPECT)
        or value.get("type") == "error"
        or value.get("object") == "error"
    ):
        return
    signal = error_inside(read_json(data))  # with numbers as numbers
    if signal is not None:
        raise UpstreamFailedError(signal)


def text_in(value: dict[str, Any], name: str) -> str:
    """Return a string of an object, empty where there is none."""
    text = value.get(name)
    return text if isinstance(text, str) else ""


def object_in(value: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an object of an object, empty where there is none."""
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}


def objects_in(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects of a list of an object, none where there is no list."""
    inner = value.get(name)
    return [item for item in inner if isinstance(item, dict)] if isinstance(inner, list) else []


def index_in(value: dict[str, Any], name: str = "index") -> int | None:
    """Return a whole number of an object."""
    number = literal.number(value.get(name))
    return number if isinstance(number, int) else None


def plain(value: Any) -> Any:
    """Return a value with its numbers as numbers."""
    return read_json(literal.dump(value))


def arguments_in(value: Any) -> str:
    """Return a call's arguments as JSON text; objects come where strings belong."""
    if isinstance(value, str):
        return value
    return "" if value is None else literal.dump_text(value)
