"""A running proxy as the page sees it: keys, upstreams, records and a clock the test turns."""

import asyncio
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from llm_proxy.dashboard.app import make_app
from llm_proxy.dashboard.context import DashboardContext
from llm_proxy.dashboard.events import Feed
from llm_proxy.domain.record import Attempt, Outcome, Record
from llm_proxy.domain.secret import AccessKey, Secret
from llm_proxy.domain.status import KeyStatus, StoreStatus, Totals, UpstreamStatus
from tests.support.asgi_client import Answer, Stream, ask
from tests.support.behind_the_page import FakeControl, FakeHistory

OWNER_KEY = "sk-owner-canary-0123456789-own1"
FRIEND_KEY = "sk-friend-canary-0123456789-fri2"
ADDRESS = "https://address-canary.example"
START_MS = 1_790_000_000_000


class Clock:
    """Stands still until the test advances it; wakes whoever pauses, in order."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._pauses: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return START_MS + round((self.now - 1000.0) * 1000)

    async def pause(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pauses.append((self.now + seconds, future))
        await future

    async def advance(self, seconds: float) -> None:
        target = self.now + seconds
        await settle()
        while due := sorted(at for at, future in self._pauses if at <= target + 1e-9):
            self.now = max(self.now, due[0])
            woken = [f for at, f in self._pauses if at <= self.now + 1e-9]
            self._pauses = [(at, f) for at, f in self._pauses if f not in woken]
            for future in woken:
                if not future.done():
                    future.set_result(None)
            await settle()
        self.now = target


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)


def record(number: int, **differs: Any) -> Record:
    """Return a finished request; a higher number is a later one."""
    values: dict[str, Any] = {
        "id": f"01K{number:023d}",
        "at_ms": START_MS + number,
        "format": "chat",
        "method": "POST",
        "path": "/v1/chat/completions",
        "outcome": Outcome.OK,
        "status": 200,
        "caller": "owner",
        "model": "gpt-5",
        "attempts": [Attempt("upstream-1", "key-1 …ab12", status=200)],
    }
    return Record(**(values | differs))


class World:
    """The proxy behind the page; tests change its attributes."""

    def __init__(
        self,
        mode: str = "summary",
        data_dir: Path | None = None,
        static: Path = Path("/nonexistent"),
    ) -> None:
        self.clock = Clock()
        self.owner = AccessKey("owner", Secret(OWNER_KEY))
        self.friend = AccessKey("friend", Secret(FRIEND_KEY))
        self.keys: tuple[AccessKey, ...] = (self.owner, self.friend)
        self.totals = Totals(requests=7, ok=5, rescued=2, failed=1)
        self.key_states = ["ready", "ready"]
        self.in_flight = 0
        self.is_draining = False
        self.history = FakeHistory()
        self.control = FakeControl()
        self.context = DashboardContext(
            mode=mode,
            access_keys=lambda: self.keys,
            version="1.2.3",
            listen="http://0.0.0.0:8000",
            data_dir=data_dir,
            started_at_ms=START_MS - 60_000,
            wall_ms=self.clock.wall_ms,
            monotonic=self.clock.monotonic,
            pause=self.clock.pause,
            totals=lambda: self.totals,
            store_status=lambda: StoreStatus("sqlite", "ok", path="/path-canary/records.sqlite3"),
            upstreams=self._upstreams,
            in_flight=lambda: self.in_flight,
            is_draining=lambda: self.is_draining,
            generation=lambda: 1,
            history=self.history,
            control=self.control,
            feed=Feed(),
            repairs=[f"PROXY_URL: cut back to {ADDRESS}"],
            warnings=[f"{ADDRESS} is slow"],
        )
        self.app: ASGIApp = make_app(self.context, static)

    @property
    def stored(self) -> list[Record]:
        return self.history.records

    @stored.setter
    def stored(self, records: list[Record]) -> None:
        self.history.records = records

    @property
    def store_error(self) -> Exception | None:
        return self.history.error

    @store_error.setter
    def store_error(self, error: Exception | None) -> None:
        self.history.error = error

    async def ask(
        self,
        path: str,
        *,
        as_: str = "",
        headers: dict[str, str] | None = None,
        **request: Any,
    ) -> Answer:
        """Ask the page's server; `as_` is an access key to send as Bearer."""
        fields = {"authorization": f"Bearer {as_}"} if as_ else {}
        return await ask(self.app, path, headers=fields | (headers or {}), **request)

    async def sign_in(self, key: str = OWNER_KEY, **request: Any) -> Answer:
        body = b'{"key": "%b"}' % key.encode()
        return await self.ask("/api/session", method="POST", body=body, **request)

    async def cookie(self, key: str = OWNER_KEY) -> dict[str, str]:
        """Sign in and return the `Cookie` field a browser would send from then on."""
        answer = await self.sign_in(key)
        assert answer.status == 204
        return {"cookie": answer.headers["set-cookie"].partition(";")[0]}

    def open(self, as_: str = "", headers: dict[str, str] | None = None, **request: Any) -> Stream:
        """Open the event stream; enter it with `async with`."""
        fields = {"authorization": f"Bearer {as_}"} if as_ else {}
        return Stream(self.app, "/api/events", headers=fields | (headers or {}), **request)

    def _upstreams(self) -> list[UpstreamStatus]:
        keys = [
            KeyStatus(f"upstream-1/key-{number}", f"key-{number} …ab12", state)
            for number, state in enumerate(self.key_states, 1)
        ]
        return [UpstreamStatus("upstream-1", ADDRESS, ["chat"], ["*"], keys)]
