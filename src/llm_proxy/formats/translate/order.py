"""One thing at a time: puts the pieces of an answer into an order that every client can be told.

Messages and Responses open one block at a time, and a closed one stays closed. Upstreams mix the
pieces of parallel calls, write text between them, and chat upstreams do not say when a call is
over. So of the calls that grow at once one passes as it comes; what else arrives meanwhile is held
back and follows, whole as far as it came, when that call is over: its end was said, or its
arguments are a complete JSON value and something else has come.

What comes out is a sequence of runs, each closed before the next begins:
`Text… TextEnd`, `Refusal… TextEnd`, `Reasoning… ReasoningEnd`, `HiddenReasoning`,
`ToolStart ToolArguments… ToolEnd`, with a `Citation` between or inside them.

Calls also get their ids for the client here, each another one.
"""

import re
from collections import deque
from collections.abc import Callable

from . import pieces
from .budget import Budget
from .context import Context
from .markers import join_tool_id
from .pieces import (
    Citation,
    HiddenReasoning,
    Piece,
    Reasoning,
    ReasoningEnd,
    Refusal,
    Text,
    TextEnd,
    ToolArguments,
    ToolEnd,
    ToolStart,
)

_PREFIXES = {"chat": "call_", "responses": "call_", "messages": "toolu_"}
_STRUCTURE = re.compile(r'["\\{}\[\]]')
_UNSAID = ReasoningEnd("reasoning_content")


class _Call:
    """A call's arguments so far.

    Attributes:
        start: As it is told.
        parts: The arguments; the first do not begin with blanks and are not `null`.
        is_over: Its end was said.
    """

    __slots__ = (
        "_depth",
        "_head",
        "_in_string",
        "_is_escaped",
        "_scanned",
        "is_over",
        "parts",
        "start",
    )

    def __init__(self, start: ToolStart) -> None:
        self.start = start
        self.parts: list[str] = []
        self.is_over = False
        self._head = ""
        self._scanned = 0
        self._depth = 0
        self._in_string = False
        self._is_escaped = False

    def add(self, text: str) -> str:
        """Take some arguments and return what of them can be told."""
        if not self.parts:
            text = (self._head + text).lstrip()
            if "null".startswith(text.rstrip()):
                self._head = text
                return ""
        self.parts.append(text)
        return text

    @property
    def is_complete(self) -> bool:
        """Whether nothing can follow: the end was said, or the brackets are closed."""
        if self.is_over:
            return True
        for part in self.parts[self._scanned :]:
            self._scan(part)
        self._scanned = len(self.parts)
        return self._scanned > 0 and self.parts[0][:1] in ("{", "[") and self._depth <= 0

    def _scan(self, part: str) -> None:
        skip = 0 if self._is_escaped else -1
        for match in _STRUCTURE.finditer(part):
            at, char = match.start(), match[0]
            if at == skip:
                continue
            if self._in_string:
                if char == "\\":
                    skip = at + 1
                elif char == '"':
                    self._in_string = False
            elif char == '"':
                self._in_string = True
            elif char in "{[":
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
        self._is_escaped = skip == len(part)


class Order:
    """Orders the pieces of one answer.

    Attributes:
        calls: How many calls came out.
    """

    __slots__ = (
        "_budget",
        "_call",
        "_context",
        "_held",
        "_ids",
        "_known",
        "_new_id",
        "_run",
        "calls",
    )

    def __init__(self, context: Context, new_id: Callable[[], str], budget: Budget) -> None:
        self._context = context
        self._new_id = new_id
        self._budget = budget
        self._run: type[Piece] | None = None
        self._call: _Call | None = None
        self._known: dict[int, _Call] = {}
        self._held: deque[_Call | list[Piece]] = deque()
        self._ids: set[str] = set()
        self.calls = 0

    def put(self, piece: Piece, out: list[Piece]) -> None:
        """Take a piece and append to `out` what can be told now.

        Raises:
            AnswerTooLargeError: Too much is held back.
        """
        kind = type(piece)
        if kind is self._run and (kind is Text or kind is Reasoning):
            out.append(piece)
        elif isinstance(piece, ToolStart | ToolArguments | ToolEnd):
            self._put_call(piece, out)
        elif self._call is not None and not self._call.is_complete:
            self._hold(piece)
        else:
            self._close_call(out)
            self._put_plain(piece, out)

    def end(self, out: list[Piece]) -> None:
        """Append everything that is held back; there is nothing more to come."""
        for unit in self._held:
            if isinstance(unit, _Call):
                unit.is_over = True
        self._close_call(out)
        self._close_run(out)

    def _put_plain(self, piece: Piece, out: list[Piece]) -> None:
        """Pass on a piece of no call, while no call is open."""
        if isinstance(piece, Citation):
            out.append(piece)
        elif isinstance(piece, TextEnd):
            if self._run is Text or self._run is Refusal:
                self._close_run(out)
        elif isinstance(piece, ReasoningEnd):
            if self._run is Reasoning:
                out.append(piece)
                self._run = None
            elif piece.data is not None:
                self._close_run(out)
                out.append(HiddenReasoning(piece.kind, piece.data))
        else:
            if type(piece) is not self._run:
                self._close_run(out)
            out.append(piece)
            self._run = None if isinstance(piece, HiddenReasoning) else type(piece)

    def _close_run(self, out: list[Piece]) -> None:
        if self._run is Reasoning:
            out.append(_UNSAID)
        elif self._run is not None:
            out.append(TextEnd())
        self._run = None

    def _put_call(self, piece: ToolStart | ToolArguments | ToolEnd, out: list[Piece]) -> None:
        if isinstance(piece, ToolStart):
            self._begin(_Call(self._told(piece)), out)
            return
        call = self._known.get(piece.key)
        if call is None:
            return
        if isinstance(piece, ToolEnd):
            call.is_over = True
            if call is self._call:
                self._close_call(out)
        elif call.is_over:
            if piece.text.strip():
                self._context.note("changed", "tool_calls")
        else:
            self._argue(call, piece.text, out)

    def _argue(self, call: _Call, text: str, out: list[Piece]) -> None:
        self._budget.take(text)
        told = call.add(text)
        if call is not self._call:
            return
        if told:
            out.append(ToolArguments(call.start.key, told))
        if self._held and call.is_complete:
            self._close_call(out)

    def _begin(self, call: _Call, out: list[Piece]) -> None:
        self._known[call.start.key] = call
        if self._call is not None and not self._call.is_complete:
            self._held.append(call)
            return
        self._close_call(out)
        self._open(call, out)

    def _open(self, call: _Call, out: list[Piece]) -> None:
        self._close_run(out)
        self._call = call
        self.calls += 1
        out.append(call.start)
        if call.parts:
            out.append(ToolArguments(call.start.key, "".join(call.parts)))

    def _close_call(self, out: list[Piece]) -> None:
        """End the open call and pass on what was held back, up to a call that still grows."""
        call = self._call
        while call is not None:
            call.is_over = True
            out.append(ToolEnd(call.start.key))
            self._call = None
            call = self._next_call(out)
            if call is not None and not (call.is_over or (self._held and call.is_complete)):
                return

    def _next_call(self, out: list[Piece]) -> _Call | None:
        """Pass on what was held back up to the next call, and open that."""
        while self._held:
            unit = self._held.popleft()
            if isinstance(unit, _Call):
                self._open(unit, out)
                return unit
            for piece in unit:
                self._put_plain(piece, out)
        return None

    def _hold(self, piece: Piece) -> None:
        if isinstance(piece, Text | Reasoning | Refusal):
            self._budget.take(piece.text)
        if not self._held or isinstance(self._held[-1], _Call):
            self._held.append([])
        unit = self._held[-1]
        assert isinstance(unit, list)
        unit.append(piece)

    def _told(self, start: ToolStart) -> ToolStart:
        """Return a call's start with the id by which the client will know it."""
        id_ = start.id
        joined = join_tool_id(id_, start.extra) if id_ and id_ not in self._ids else None
        if not id_ or id_ in self._ids:
            id_ = _PREFIXES[self._context.client] + self._new_id()
            joined = join_tool_id(id_, start.extra)
        if joined is None:
            self._context.note("dropped", "tool_calls.extra_content")
        self._ids.add(id_)
        return pieces.ToolStart(start.key, joined or id_, start.name)
