"""A client's end of `net.asgi`, in memory: what the server would have written, and when."""

import asyncio
from dataclasses import dataclass, field


@dataclass
class FakeRequest:
    """A request as the server hands it over; a case names only what differs."""

    method: str = "GET"
    path: bytes = b"/"
    query: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    http_version: str = "1.1"
    peer: tuple[str, int] | None = ("127.0.0.1", 50000)


class FakeReply:
    """Writes down every call in order; the test decides when the client reads or leaves."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.length: int | None = None
        self.body = b""
        self.is_open = True
        self._readable = asyncio.Event()
        self._readable.set()
        self._gone = asyncio.Event()

    @property
    def kinds(self) -> list[str]:
        """Return the names of the calls, body writes joined."""
        names: list[str] = []
        for call in self.calls:
            if not (names and names[-1] == call == "body"):
                names.append(str(call))
        return names

    def send_head(
        self, status: int, headers: list[tuple[bytes, bytes]], length: int | None
    ) -> None:
        self.calls.append("head")
        self.status, self.headers, self.length = status, dict(headers), length

    def send_body(self, data: bytes) -> None:
        assert data
        self.calls.append("body")
        self.body += data

    def finish(self) -> None:
        self.calls.append("finish")

    def abort(self) -> None:
        self.calls.append("abort")
        self.hang_up()

    async def drained(self) -> None:
        await self._readable.wait()

    async def gone(self) -> None:
        await self._gone.wait()

    def stop_reading(self) -> None:
        self._readable.clear()

    def read_on(self) -> None:
        self._readable.set()

    def hang_up(self) -> None:
        self.is_open = False
        self._readable.set()
        self._gone.set()
