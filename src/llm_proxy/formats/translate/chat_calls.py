"""Finds out which call of a chat answer a piece belongs to.

The format says: by `index`. Providers leave it out, send 0 for all, repeat ids and names in every
piece or blank them; so a piece with an id never seen and a name is a new call, whatever its index
says, and blank or repeated words are a continuation.
"""

from typing import Any

from . import literal
from .budget import Budget
from .chat_plain import PlainCall
from .context import Context
from .hear import arguments_in, index_in, object_in, text_in
from .pieces import Piece, ToolArguments, ToolStart


class _Call:
    __slots__ = ("extra", "id", "is_started", "key", "name", "waiting")

    def __init__(self, key: int, id_: str) -> None:
        self.key = key
        self.id = id_
        self.name = ""
        self.extra: dict[str, Any] | None = None
        self.waiting: list[str] = []
        self.is_started = False


class Calls:
    """The calls of one answer.

    A call that came whole is held back until the next chunk: Gemini sends the signature that
    belongs into its id behind it.

    Attributes:
        count: Calls that were told.
    """

    __slots__ = ("_budget", "_by_id", "_by_index", "_context", "_held", "_last", "_next", "count")

    def __init__(self, context: Context, budget: Budget) -> None:
        self._context = context
        self._budget = budget
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[int, _Call] = {}
        self._last: _Call | None = None
        self._held: _Call | None = None
        self._next = 0
        self.count = 0

    @property
    def is_holding(self) -> bool:
        """Whether a call is held back."""
        return self._held is not None

    @staticmethod
    def says_something(entry: dict[str, Any]) -> bool:
        """Return whether a piece of a call is more than an extra or empty fields."""
        return any(
            inner.get(name)
            for inner in (object_in(entry, "function"), object_in(entry, "custom"))
            for name in ("name", "arguments", "input")
        )

    def read(self, entry: dict[str, Any], out: list[Piece]) -> None:
        """Read one entry of `tool_calls` and append what it says to `out`."""
        function = object_in(entry, "function")
        name = text_in(function, "name")
        arguments = arguments_in(function.get("arguments"))
        custom = object_in(entry, "custom")
        if custom:
            name = text_in(custom, "name")
            arguments = literal.dump_text({"input": text_in(custom, "input")})
        call = self._find(index_in(entry), text_in(entry, "id"), name, arguments)
        if call is None:
            return
        if call is not self._held:
            self.release(out)
        extra = object_in(entry, "extra_content")
        if extra:
            self._attach(call, extra)
        if not call.name:
            call.name = name
        self._add(call, arguments, out)

    def read_plain(self, entry: PlainCall, out: list[Piece]) -> bool:
        """Tell more arguments of a call that was told; False = it is another."""
        call = self._by_index.get(entry.index)
        if call is None or not call.is_started or (entry.id and entry.id != call.id):
            return False
        if entry.function.arguments:
            out.append(ToolArguments(call.key, entry.function.arguments))
        return True

    def attach(self, extra: dict[str, Any]) -> None:
        """Take an extra that came without a call: it belongs to the last one."""
        if self._last is not None:
            self._attach(self._last, extra)

    def release(self, out: list[Piece]) -> None:
        """Tell the call that is held back."""
        call, self._held = self._held, None
        if call is not None:
            self._start(call, out)

    def end(self, out: list[Piece]) -> None:
        """Tell what is held back; a call that nobody named is none."""
        self.release(out)
        if self._next != self.count:
            self._context.note("changed", "tool_calls")

    def _find(self, index: int | None, id_: str, name: str, arguments: str) -> _Call | None:
        if id_ and name and id_ not in self._by_id:
            return self._new(index, id_)
        if index is not None and index in self._by_index:
            call = self._by_index[index]
            if id_ and not call.id:
                call.id = id_
                self._by_id[id_] = call
            return call
        if id_ in self._by_id and not (name and index is not None):
            return self._by_id[id_]
        if name or (index is not None and (id_ or arguments)):
            return self._new(index, id_)
        return self._last

    def _new(self, index: int | None, id_: str) -> _Call:
        call = self._last = _Call(self._next, id_)
        self._next += 1
        if index is not None:
            self._by_index[index] = call
        if id_:
            self._by_id.setdefault(id_, call)
        return call

    def _attach(self, call: _Call, extra: dict[str, Any]) -> None:
        if not call.is_started:
            call.extra = extra
        elif call.extra != extra:
            self._context.note("dropped", "tool_calls.extra_content")

    def _add(self, call: _Call, arguments: str, out: list[Piece]) -> None:
        if call.is_started:
            if arguments:
                out.append(ToolArguments(call.key, arguments))
            return
        is_first = not call.waiting
        if arguments:
            self._budget.take(arguments)
            call.waiting.append(arguments)
        if not call.name:
            return
        text = arguments.strip()
        if is_first and call.extra is None and text[:1] == "{" and text[-1:] == "}":
            self._held = call
            return
        if call is self._held:
            self._held = None
        self._start(call, out)

    def _start(self, call: _Call, out: list[Piece]) -> None:
        call.is_started = True
        self.count += 1
        out.append(ToolStart(call.key, call.id, call.name, call.extra))
        if call.waiting:
            out.append(ToolArguments(call.key, "".join(call.waiting)))
            call.waiting.clear()
