"""Keep-alive frames, so that no proxy or CDN on the way cuts a stream for its silence.

A stream that waits for its first content gets its head and a comment after BEAT_S; another attempt
can still answer it unseen, but an error then has to be told in-band. Only whole events are ever
written, so a frame fits anywhere.
"""

from collections.abc import Callable

from llm_proxy.net.client import ClientConnection
from llm_proxy.wire.head import chunk

BEAT_S = 15.0
COMMENT = b": keepalive\n\n"


class Beat:
    """The frames of one exchange.

    Attributes:
        has_begun: The client has its head and a comment: errors are in-band from here.
        has_content: The client has the beginning of an answer: only its rest may follow.
    """

    __slots__ = (
        "_client",
        "_frame",
        "_is_chunked",
        "_last_at",
        "_write_head",
        "has_begun",
        "has_content",
    )

    def __init__(
        self,
        client: ClientConnection,
        *,
        frame: bytes,
        is_chunked: bool,
        write_head: Callable[[], None],
        now: float,
    ) -> None:
        self._client = client
        self._frame = frame
        self._is_chunked = is_chunked
        self._last_at = now
        self._write_head = write_head
        self.has_begun = False
        self.has_content = False

    def go_on(self, now: float) -> None:
        """Count anew: the client has had its head and content, and waits for more."""
        self.has_begun = self.has_content = True
        self._last_at = now

    def next_at(self, sent_at: float) -> float:
        """Return the loop time of the next frame.

        Args:
            sent_at: When something else was last sent; 0 = never.
        """
        return max(self._last_at, sent_at) + BEAT_S

    def on_time(self, now: float, sent_at: float) -> None:
        """Send a frame if it is time."""
        if now < self.next_at(sent_at):
            return
        self._last_at = now
        frame = self._frame
        if not sent_at:
            frame = COMMENT
            if not self.has_begun:
                self.has_begun = True
                self._write_head()
        self._client.write(chunk(frame) if self._is_chunked else frame)
