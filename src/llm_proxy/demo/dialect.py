"""What the three formats have in common: a stream in three parts, errors, event bytes."""

from typing import Any, Protocol

import msgspec

from .ask import Ask
from .reply import Reply


class Stamp(msgspec.Struct, frozen=True):
    """What makes one answer unique.

    Attributes:
        id: Random characters, without a format's prefix.
        at_s: Wall clock, seconds since 1970.
    """

    id: str
    at_s: int


class Stream(msgspec.Struct, frozen=True):
    """A stream's events in three parts, so that a fault can break it between them.

    Attributes:
        opening: Before any content.
        deltas: One per portion of content; sent at the demo's pace.
        closing: After the content; the last one says that the stream is complete.
    """

    opening: list[bytes]
    deltas: list[bytes]
    closing: list[bytes]


class Failure(msgspec.Struct, frozen=True):
    """An error to report.

    Attributes:
        status: HTTP status.
        code: OpenAI's `error.code`; None = null.
        message: For people.
        retry_after_s: Value of `retry-after`; None = not sent.
        messages_status: Status in the Messages format where that differs; 0 = the same.
    """

    status: int
    message: str
    code: str | None = None
    retry_after_s: int | None = None
    messages_status: int = 0


class Dialect(Protocol):
    """A format, as a module of functions."""

    def document(self, ask: Ask, reply: Reply, stamp: Stamp) -> dict[str, Any]:
        """Return the whole answer as a JSON object."""

    def stream(self, ask: Ask, reply: Reply, stamp: Stamp) -> Stream:
        """Return the answer as a stream."""

    def status(self, failure: Failure) -> int:
        """Return the HTTP status of an error."""

    def error(self, failure: Failure, stamp: Stamp, /) -> dict[str, Any]:
        """Return an error body."""

    def error_event(self, failure: Failure, stamp: Stamp, /) -> bytes:
        """Return an error within a stream."""

    def headers(self, stamp: Stamp) -> list[tuple[str, str]]:
        """Return the provider's own header fields."""


def named_event(kind: str, fields: dict[str, Any]) -> bytes:
    """Return an event with its name on an `event:` line and in its data."""
    data = msgspec.json.encode({"type": kind, **fields})
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), data)
