"""Two rewriters in a row: the client's events are made of those that are made of the upstream's."""

from llm_proxy.wire.sse import EventSplitter

from .format import Kind, Rewriter, Watch


class Chained:
    """Feeds what one rewriter makes to the next. A `Rewriter`.

    Cost: both, and one more reading of every event between them.
    """

    __slots__ = ("_first", "_second", "_splitter", "_watch")

    def __init__(self, first: Rewriter, second: Rewriter, watch: Watch) -> None:
        """Start with the first event.

        Args:
            first: Gets the upstream's events.
            second: Gets those that `first` makes, and makes the client's.
            watch: Reads the events between them: of the format in which `first` writes.
        """
        self._first = first
        self._second = second
        self._watch = watch
        self._splitter = EventSplitter()

    def feed(self, event: bytes, kind: Kind) -> bytes:
        return self._pass_on(self._first.feed(event, kind))

    def end(self) -> bytes:
        return self._pass_on(self._first.end()) + self._second.end()

    def failure(self, status: int, code: str | None, message: str) -> bytes:
        return self._second.failure(status, code, message)

    def _pass_on(self, made: bytes) -> bytes:
        if not made:
            return b""
        feed, read = self._second.feed, self._watch.read
        return b"".join([feed(event, read(event)) for event in self._splitter.feed(made)])
