"""Upstreams that do anything at any time, and a configuration that changes under way."""

import asyncio
import signal
from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from tests.faults.dialect import PATHS
from tests.faults.test_random_faults import Chaos
from tests.support.answers import Dialect, embeddings_json, error, healthy
from tests.support.client import RawClient
from tests.support.provider import Provider, Request
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import Script, hang, reset, respond, sleep

OWNER = "sk-owner-of-the-storm"
FRIEND = "sk-friend-of-the-storm"
MODEL = "m"
EMBEDDINGS = "/v1/embeddings"
ID = b"resp_test"


class Upstream(NamedTuple):
    """One `[[upstream]]` table.

    Attributes:
        at: Which provider.
        keys: How many.
        places: `max_concurrency`; 0 = any number.
        priority: Lower is asked first.
        lines: Further lines.
    """

    at: int = 0
    keys: int = 1
    places: int = 0
    priority: int = 0
    lines: str = ""


class Layout(NamedTuple):
    """A configuration.

    Attributes:
        upstreams: By position they are `u0`, `u1`, …
        environment: Settings.
        may_leave: Whether a reload may take an upstream away, and another bring it back.
    """

    upstreams: tuple[Upstream, ...]
    environment: Mapping[str, str] = MappingProxyType({})
    may_leave: bool = False


def key_of(name: str, number: int) -> str:
    """Return a key of an upstream."""
    return f"sk-{name}-key-{number:03d}-abcdef"


def tables(upstreams: dict[str, Upstream], providers: list[Provider]) -> str:
    """Return the configuration file."""
    text = []
    for name, one in upstreams.items():
        keys = ", ".join(f'"{key_of(name, number)}"' for number in range(one.keys))
        text.append(
            f'[[upstream]]\nname = "{name}"\nurl = "{providers[one.at].url}"\nkeys = [{keys}]\n'
            f"priority = {one.priority}\nmax_concurrency = {one.places}\n"
            f"timeouts = {{ upstream_s = 1.0, stream_idle_s = 1.0, first_token_s = 0.3 }}\n"
            f"{one.lines}\n"
        )
    return "".join(text)


class Weather(Chaos):
    """Decides what the providers do, and remembers who made what.

    Attributes:
        strays: Questions about stored answers that came to another key than their maker's.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._ids = 0
        self._makers: dict[str, str | None] = {}
        self.strays: list[str] = []

    def answer(self, request: Request) -> Script:
        """Return what one request gets."""
        if request.path.startswith("/v1/responses/"):
            return self._stored(request)
        if request.path not in PATHS.values():
            return healthy(request.path, stream=False, model=MODEL)
        kind = self.rng.random()
        if kind < 0.06:
            return self._limited(request)
        script = super().answer(request)
        if kind < 0.16 and request.stream and len(script) > 2:
            script = [script[0], sleep(self.rng.random() * 0.6), *script[1:]]
        elif kind < 0.3:
            script = [sleep(self.rng.random() * 0.05), *script]
        return self._named(request, script)

    def early(self, request: Request) -> Script:
        """Answer before the body has come."""
        return self.rng.choice(
            [
                error(413),
                error(429, headers=[("retry-after-ms", "50")]),
                error(500),
                [reset()],
                [sleep(0.02), *embeddings_json()],
            ]
        )

    def _limited(self, request: Request) -> Script:
        dialect: Dialect = "messages" if request.path.endswith("messages") else "chat"
        return self.rng.choice(
            [
                error(429, dialect, headers=[("retry-after-ms", str(self.rng.randrange(3000)))]),
                error(429, dialect, headers=[("retry-after", "20")]),
                error(401, dialect),
                error(402, dialect, code="insufficient_quota"),
                [hang()],
            ]
        )

    def _named(self, request: Request, script: Script) -> Script:
        """Give a stored answer an id of its own."""
        if not request.path.endswith("/responses"):
            return script
        self._ids += 1
        id_ = f"resp{self._ids:05d}"
        self._makers[id_] = request.key
        return [one.replace(ID, id_.encode()) if isinstance(one, bytes) else one for one in script]

    def _stored(self, request: Request) -> Script:
        id_ = request.path.rpartition("/")[2]
        if self._makers.get(id_) not in (None, request.key):
            self.strays.append(id_)
        if self.rng.random() < 0.3:
            return self._limited(request)
        return respond(b'{"id":"%b","object":"response"}' % id_.encode())


class Desk:
    """The page's API, as the owner uses it.

    Attributes:
        layout: What was configured at first.
    """

    def __init__(self, proxy: ProxyProcess, layout: Layout, providers: list[Provider]) -> None:
        self.layout = layout
        self._proxy = proxy
        self._providers = providers
        self._file = proxy.directory / "llm-proxy.toml"

    @property
    def original(self) -> dict[str, Upstream]:
        """Return the upstreams by name, as configured at first."""
        return {f"u{at}": one for at, one in enumerate(self.layout.upstreams)}

    async def ask(self, method: str, path: str) -> Any:
        """Return the JSON of one of the page's addresses, or its text."""
        async with RawClient.to(self._proxy.url) as client:
            answer = await client.ask(method, path, key=OWNER)
        assert answer.status < 500, (path, answer.body)
        kind = answer.header("content-type") or ""
        return msgspec.json.decode(answer.body) if "json" in kind and answer.body else answer.body

    async def order(self, upstream: str, key: int, action: str) -> None:
        """Pause, resume or reset a key."""
        await self.ask("POST", f"/api/upstreams/{upstream}/keys/key-{key + 1}/{action}")

    async def each(self, *actions: str) -> None:
        """Give the same orders about every key."""
        for name, one in self.original.items():
            for key in range(one.keys):
                for action in actions:
                    await self.order(name, key, action)

    async def in_flight(self) -> list[int]:
        """Return how many attempts each key serves."""
        found = (await self.ask("GET", "/api/upstreams"))["upstreams"]
        return [key["in_flight"] for one in found for key in one["keys"]]

    async def reload(self, upstreams: dict[str, Upstream]) -> None:
        """Change the configuration and wait until it is in force."""
        before = (await self.ask("GET", "/api/status"))["generation"]
        text = tables(upstreams, self._providers)
        if text == self._file.read_text():
            return
        self._file.write_text(text)
        self._proxy.send_signal(signal.SIGHUP)
        async with asyncio.timeout(5):
            while (await self.ask("GET", "/api/status"))["generation"] == before:
                await asyncio.sleep(0.01)

    async def meddle(self, rng: Random) -> None:
        """Do something that an owner may do at any time."""
        name, one = rng.choice(list(self.original.items()))
        what = rng.random()
        if what < 0.5:
            action = rng.choice(["pause", "resume", "resume", "reset"])
            await self.order(name, rng.randrange(one.keys), action)
        elif what < 0.7:
            changed = {
                name: one._replace(
                    places=one.places and rng.randrange(1, 4), priority=rng.randrange(2)
                )
                for name, one in self.original.items()
            }
            if self.layout.may_leave and rng.random() < 0.5:
                del changed[name]
            await self.reload(changed)
        elif what < 0.85:
            under_way = (await self.ask("GET", "/api/in-flight"))["in_flight"]
            if under_way:
                await self.ask("POST", f"/api/in-flight/{rng.choice(under_way)['id']}/cancel")
        else:
            await self.ask("GET", rng.choice(["/metrics", f"/api/explain?model={MODEL}"]))
