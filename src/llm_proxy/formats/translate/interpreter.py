"""Translates one answer from the upstream's format into the client's: the door to this folder.

    upstream's event ─ hear_* ─ pieces ─ order ─ pieces ─ tell_* ─ client's events

The interpreter judges no stream: when it commits, whether it ended properly and what failed, the
watch of the upstream's format says (`formats/format.py`). Nothing is told before the first piece
of content, so what an upstream sends in front of it never reaches the client.

Budget (Python 3.11): 5 us for an event that is a piece of text.
"""

from collections.abc import Callable
from enum import IntEnum

from llm_proxy.domain.usage import UNKNOWN, Usage

from .budget import MAX_HELD, Budget
from .context import Context
from .errors import AnswerError, NoAnswerError, told_words
from .hear import Hear
from .hear_chat import HearChat
from .hear_messages import HearMessages
from .hear_responses import HearResponses
from .order import Order
from .pieces import Finish, Piece, Reasoning, Refusal, Text, ToolArguments
from .request import warnings_of
from .tell import Tell
from .tell_chat import TellChat
from .tell_messages import TellMessages
from .tell_responses import TellResponses

_HEAR: dict[str, type[Hear]] = {
    "chat": HearChat,
    "messages": HearMessages,
    "responses": HearResponses,
}
_TELL: dict[str, type[Tell]] = {
    "chat": TellChat,
    "messages": TellMessages,
    "responses": TellResponses,
}


class State(IntEnum):
    """How far the answer is. Only `_go` changes it, along `_NEXT`."""

    WAITING = 0
    TELLING = 1
    OVER = 2


WAITING, TELLING, OVER = State
_NEXT = {WAITING: {TELLING, OVER}, TELLING: {OVER}, OVER: set[State]()}


class Interpreter:
    """One answer on its way from the upstream to the client.

    Which methods are called depends on what the client asked for and what the upstream sent:

    - stream for a stream: `feed` each event, then `end`, or `failure`;
    - stream for a client that wants JSON: the same, then `gathered`;
    - JSON for JSON: `whole`;
    - JSON for a client that wants a stream: `stream_of`.

    Args:
        context: What the request's translation remembered; notes are added to it.
        now_s: Wall time, seconds: when the answer was created.
        new_id: Gives 24 letters and digits, others each time.
        estimate_input: Gives the request's tokens, for clients whose format requires a count when
            the upstream gave none.
        max_held: Characters that may be held in memory.
    """

    __slots__ = (
        "_ascii",
        "_budget",
        "_context",
        "_estimate",
        "_finish",
        "_hear",
        "_keeps",
        "_kept",
        "_known",
        "_order",
        "_other",
        "_state",
        "_tell",
    )

    def __init__(
        self,
        context: Context,
        *,
        now_s: int,
        new_id: Callable[[], str],
        estimate_input: Callable[[], int] | None = None,
        max_held: int = MAX_HELD,
    ) -> None:
        self._budget = budget = Budget(max_held)
        self._context = context
        self._hear = _HEAR[context.upstream](context, budget)
        self._order = Order(context, new_id, budget)
        self._tell = _TELL[context.client](context, now_s, new_id, budget)
        self._estimate = estimate_input
        self._state = WAITING
        self._known: frozenset[str] = frozenset()
        self._keeps = not context.is_stream
        self._kept: list[Piece] = []
        self._finish = Finish()
        self._ascii = 0
        self._other = 0

    def _go(self, state: State) -> None:
        assert state in _NEXT[self._state]
        self._state = state
        if state is TELLING:
            self._known = frozenset(self._context.notes)

    def feed(self, event: bytes) -> bytes:
        """Take one whole event of the upstream and return the client's; often there are none.

        After the end, or a failure, nothing comes any more.

        Raises:
            AnswerError: The answer cannot go on; `UpstreamFailedError` carries what the upstream
                says. Only `failure` is of use then.
        """
        if self._state is OVER:
            return b""
        heard: list[Piece] = []
        try:
            self._hear.feed(event, heard)
            return self._told(heard) if heard else b""
        except RecursionError as error:
            raise _too_deep() from error

    def end(self) -> bytes:
        """Return the events that end the client's stream; the upstream's ended properly.

        Raises:
            AnswerError: There was no answer.
        """
        if self._state is OVER:
            return b""
        try:
            return self._ended()
        except RecursionError as error:
            raise _too_deep() from error

    def failure(self, status: int, code: str | None, message: str) -> bytes:
        """Return the event that tells the client within its stream that the answer failed.

        Args:
            status: What the client would have got as HTTP status.
            code: Machine-readable code, if one is known.
            message: What went wrong, safe to show.
        """
        if self._state is OVER:
            return b""
        self._go(OVER)
        message, told = told_words(message, None, status, self._context.client, code=code or "")
        return self._tell.failure(status, told, message)

    def whole(self, body: bytes) -> bytes:
        """Return the client's JSON answer for the upstream's.

        Raises:
            AnswerError: The upstream's body holds no answer.
        """
        self._keeps = True
        self._hear_body(body)
        return self.gathered()

    def stream_of(self, body: bytes) -> bytes:
        """Return the client's whole stream for the upstream's JSON answer.

        Raises:
            AnswerError: The upstream's body holds no answer.
        """
        self._keeps = False
        told = self._hear_body(body)
        return told + self.end()

    def gathered(self) -> bytes:
        """Return the JSON answer that a stream has become.

        Raises:
            AnswerError: There was no answer.
        """
        try:
            if self._state is not OVER:
                self._ended()
            usage = self._usage()
            return self._tell.whole(
                self._hear.id, self._hear.model, self._kept, self._finish, usage
            )
        except RecursionError as error:
            raise _too_deep() from error

    def _hear_body(self, body: bytes) -> bytes:
        heard: list[Piece] = []
        try:
            self._hear.read_body(body, heard)
            return self._told(heard)
        except RecursionError as error:
            raise _too_deep() from error

    def _told(self, heard: list[Piece]) -> bytes:
        """Return the events of some pieces; keep them for a client that wants JSON."""
        ordered: list[Piece] = []
        for piece in heard:
            self._order.put(piece, ordered)
        return self._say(ordered)

    def _say(self, ordered: list[Piece]) -> bytes:
        if not ordered:
            return b""
        if self._hear.usage is UNKNOWN:
            self._count(ordered)
        if self._keeps:
            self._keep(ordered)
            return b""
        told = [self._begin(), *map(self._tell.piece, ordered)]
        return b"".join(told)

    def _keep(self, ordered: list[Piece]) -> None:
        for piece in ordered:
            if isinstance(piece, Text | Reasoning | ToolArguments | Refusal):
                self._budget.take(piece.text)
        self._kept += ordered

    def _begin(self) -> bytes:
        if self._state is not WAITING:
            return b""
        self._go(TELLING)
        hear = self._hear
        return self._tell.start(hear.id, hear.model, hear.usage)

    def _ended(self) -> bytes:
        heard: list[Piece] = []
        finish = self._finish = self._hear.end(heard)
        if not self._hear.has_answer and not heard:
            raise NoAnswerError(
                "upstream returned no choices"
                if self._context.upstream == "chat"
                else "upstream returned no answer"
            )
        told = self._told(heard)
        last: list[Piece] = []
        self._order.end(last)
        told += self._say(last[:-1])
        if finish.reason in ("length", "context"):
            self._tell.cut_short()
        told += self._say(last[-1:])
        if self._keeps:
            self._go(OVER)
            return b""
        told += self._begin()
        end = self._tell.finish(finish, self._usage())
        self._go(OVER)
        return told + self._warnings() + end

    def _warnings(self) -> bytes:
        """Return a comment with what came up after the answer's head went out."""
        if self._context.notes.keys() <= self._known:
            return b""
        late = Context(client=self._context.client, upstream=self._context.upstream)
        late.notes.update((note, None) for note in self._context.notes if note not in self._known)
        return b": x-llm-proxy-warnings: %b\n\n" % warnings_of(late).encode()

    def _count(self, ordered: list[Piece]) -> None:
        for piece in ordered:
            if isinstance(piece, Text | Reasoning | ToolArguments | Refusal):
                count = len(piece.text)
                if piece.text.isascii():
                    self._ascii += count
                else:
                    others = sum(1 for char in piece.text if char > "\x7f")
                    self._other += others
                    self._ascii += count - others

    def _usage(self) -> Usage:
        """Return the tokens, estimated where the client's format requires a count."""
        usage = self._hear.usage
        if usage.input is not None or usage.output is not None or self._context.client == "chat":
            return usage
        self._context.note("estimated", "usage")
        output = -(-self._ascii // 4) + -(-self._other * 2 // 3)
        return Usage(input=self._estimate() if self._estimate is not None else 0, output=output)


def _too_deep() -> AnswerError:
    return AnswerError("the upstream's answer is nested too deeply to be translated")
