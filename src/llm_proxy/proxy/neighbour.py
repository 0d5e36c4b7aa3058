"""What the data path asks of its neighbours, which it does not import."""

from typing import Protocol

from llm_proxy.domain.record import Attempt, Record
from llm_proxy.net.client import ClientConnection
from llm_proxy.wire.head import Fields
from llm_proxy.wire.request import Request


class Ops(Protocol):
    """Answers what needs neither an upstream nor the page."""

    def answer(self, request: Request) -> bytes | None:
        """Return a whole answer for `/health` and its kind; None = not theirs, or `expose`."""

    def takes(self, path: bytes) -> bool:
        """Return whether `expose` answers `path`."""

    async def expose(self, client: ClientConnection, request: Request) -> None:
        """Answer a whole request with the metrics and finish it."""


class Tracer(Protocol):
    """Tells a collector of requests."""

    def lines_up(self, request_id: str, headers: Fields, earlier: list[Attempt]) -> bytes:
        """Return the header lines that an upstream gets instead of the client's; empty = those."""

    def submit(self, record: Record, headers: Fields) -> None:
        """Take a finished request; never blocks."""


class Site(Protocol):
    """The page and its data."""

    def takes(self, path: bytes) -> bool:
        """Return whether `path` is theirs."""

    def serve(self, client: ClientConnection, request: Request) -> None:
        """Answer a whole request and finish it."""
