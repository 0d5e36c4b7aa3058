"""One proxy per test file, with so many upstreams that every test has its own.

What a proxy learns (breakers, cool-downs, dead keys) lives across requests, so tests that share
upstreams would disturb each other; a process per test would take minutes. Here every test takes a
`Scene`: one or two upstreams of the shared proxy that serve one model name nobody else uses.
How many scenes of which kind a file needs, it says in `SCENES`.

Leaving a scene checks what holds after every fault: the attempts the providers saw are the
attempts of the records, one record per request, no key in any byte a client got, and the next
healthy request passes.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.answers import Dialect
from tests.support.client import Answer, Event, Head, Headers, RawClient, Stream, TruncatedError
from tests.support.provider import Provider, black_hole_url, refused_url
from tests.support.proxy_process import ProxyProcess

from .dialect import PATHS, question

NEVER_SENT = {"connect_refused", "connect_timeout", "connect_failed", "dns_failed", "tls_failed"}
"""Faults of attempts of which no provider sees a request."""


class Kind(NamedTuple):
    """A sort of scene.

    Attributes:
        shape: `pair` (two addresses, `a` is asked first), `keys` (one address, two keys, the
            first is asked first), `single` or `keyless` (one, and it wants no key).
        url: Where `a` is, with `{port}`, unless it is a provider over plain HTTP.
        timeouts: Time limits of one attempt.
    """

    shape: str = "pair"
    url: str = "http://127.0.0.1:{port}"
    timeouts: Mapping[str, float] = {}


_SHORT_S = 0.5
KINDS: dict[str, Kind] = {
    "pair": Kind(),
    "single": Kind("single"),
    "keys": Kind("keys"),
    "keyless": Kind("keyless"),
    "tls": Kind(url="https://localhost:{port}"),
    "dns": Kind(url="http://nobody.invalid:{port}"),
    "black_hole": Kind(url="{black_hole}", timeouts={"connect_s": 0.4}),
    "impatient": Kind(timeouts={"connect_s": 0.4}),
    "late": Kind(timeouts={"upstream_s": _SHORT_S}),
    "token": Kind(timeouts={"first_token_s": _SHORT_S}),
    "idle": Kind(timeouts={"stream_idle_s": _SHORT_S}),
    "brisk": Kind(timeouts={"upstream_s": 1.0, "stream_idle_s": 1.0}),
    "brisk_keys": Kind("keys", timeouts={"upstream_s": 1.0, "stream_idle_s": 1.0}),
    "brisk_single": Kind("single", timeouts={"upstream_s": 1.0, "stream_idle_s": 1.0}),
}


class Scene:
    """The upstreams of one test, and its client.

    Attributes:
        proxy: The shared proxy.
        model: The model name that leads to these upstreams.
        a: The provider that is asked first.
        b: The one behind it; unused in `single` and `keys`.
        keys: The upstreams' keys.
        asked: Requests sent to the proxy for `model`.
        is_checked: Whether leaving the scene checks what holds after every fault.
        is_usable_again: Whether a healthy request must pass at the end.
    """

    def __init__(self, proxy: ProxyProcess, model: str, keys: tuple[str, str]) -> None:
        self.proxy = proxy
        self.model = model
        self.keys = keys
        self.a = Provider()
        self.b = Provider()
        self.asked = 0
        self.is_checked = True
        self.is_usable_again = True
        self.upstreams = (f"{model}-a", f"{model}-b")
        self._received: list[bytearray] = []

    @contextlib.asynccontextmanager
    async def client(self, **how: Any) -> AsyncIterator[RawClient]:
        """Connect to the proxy; every byte the client gets is searched for keys at the end."""
        async with RawClient.to(self.proxy.url, **{"timeout_s": 20, **how}) as client:
            self._received.append(client.raw)
            yield client

    async def send(
        self,
        client: RawClient,
        dialect: Dialect,
        *,
        stream: bool = False,
        headers: Headers = (),
        text: str = "hi",
        path: str = "",
    ) -> None:
        """Send a request for the scene's model."""
        self.asked += 1
        await client.request(
            "POST",
            path or PATHS[dialect],
            key=self.proxy.access_key,
            headers=headers,
            json_body=question(dialect, self.model, stream=stream, text=text),
        )

    async def ask(self, dialect: Dialect = "chat", **how: Any) -> Answer:
        """Ask on a connection of its own and return the whole answer."""
        async with self.client() as client:
            await self.send(client, dialect, **how)
            return await client.read_response()

    async def stream(
        self,
        dialect: Dialect,
        *,
        on_word: tuple[str, asyncio.Event] | None = None,
        **how: Any,
    ) -> tuple[Head, Stream]:
        """Ask for a stream and return it, however it ended.

        Args:
            dialect: The format.
            on_word: A word, and what is set as soon as an event with it has come.
            how: See `send`.
        """
        async with self.client() as client:
            await self.send(client, dialect, stream=True, **how)
            head = await client.read_head()
            if on_word is None:
                return head, await client.read_stream(head)
            events: list[Event] = []
            try:
                async for event in client.read_events(head):
                    events.append(event)
                    if on_word[0] in event.data:
                        on_word[1].set()
            except TruncatedError as exc:
                return head, Stream(events, exc.received, exc.ending)
            return head, Stream(events, b"", "complete")

    async def records(self) -> list[dict[str, Any]]:
        """Return the records of the scene's requests, oldest first, once all are there."""
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(5):
            while len(found := await self._records()) < self.asked:
                await asyncio.sleep(0.01)
        assert len(found) == self.asked, found
        return [{"attempts": [], **record} for record in found]

    async def record(self) -> dict[str, Any]:
        """Return the record of the only request."""
        (record,) = await self.records()
        return record

    async def faults(self) -> list[str | None]:
        """Return how the attempts of the last request ended; None = it answered."""
        record = (await self.records())[-1]
        return [attempt.get("fault") for attempt in record["attempts"]]

    async def _records(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        before = ""
        async with RawClient.to(self.proxy.url) as client:
            while True:
                path = f"/api/requests?limit=200{before}"
                page = (await client.ask("GET", path, key=self.proxy.access_key)).json()
                found += [one for one in page["requests"] if one.get("model") == self.model]
                if len(found) >= self.asked or page["next"] is None:
                    return found[::-1]
                before = f"&before={page['next']}"

    async def check(self) -> None:
        """Check what holds after every fault."""
        records = await self.records()
        ids = [record["id"] for record in records]
        assert len(set(ids)) == len(ids), "a record stands twice"
        self.account(records)
        assert self.a.malformed == self.b.malformed == []
        if self.is_usable_again:
            await self._pass_again()
        for raw in [*map(bytes, self._received), json.dumps(await self._records()).encode()]:
            for key in (*self.keys, self.proxy.access_key):
                assert key.encode() not in raw

    def account(self, records: list[dict[str, Any]]) -> None:
        """Check that the attempts of the records are those the providers saw.

        Of two sorts of written requests only the proxy knows for certain: one on a kept connection
        that its provider was just closing, and one whose client left before the first byte.
        """
        # A connection that is accepted and dropped may end before or after its request is written.
        is_dropping = {self.a.on_accept, self.b.on_accept} & {"close", "reset"}
        unsent = set() if is_dropping else NEVER_SENT
        attempts = [attempt for record in records for attempt in record["attempts"]]
        written = [one for one in attempts if one.get("fault") not in unsent]
        unsure = [
            one
            for one in written
            if "first_byte_ms" not in one
            and (one.get("fault") == "client_gone" or "kept connection" in one.get("reason", ""))
        ]
        seen = self.seen()
        assert len(written) - len(unsure) <= seen <= len(written), (written, seen)

    def seen(self) -> int:
        """Return the attempts the providers saw: requests, and connections they never read."""
        unread = [
            connection
            for provider in (self.a, self.b)
            for connection in provider.connections
            if provider.on_accept != "serve" and not connection.requests
        ]
        return len(self.a.requests) + len(self.b.requests) + len(unread)

    async def _pass_again(self) -> None:
        for provider in (self.a, self.b):
            provider.forget()
            provider.on_accept = "serve"
        async with asyncio.timeout(1.5):  # 1 s is the promise, and the machine may be busy
            answer = await self.ask()
        assert answer.status == 200, answer.body


class Stage:
    """The shared proxy and the scenes that are left."""

    def __init__(self, proxy: ProxyProcess, scenes: Mapping[str, Iterator["Place"]]) -> None:
        self.proxy = proxy
        self._scenes = scenes

    @contextlib.asynccontextmanager
    async def scene(self, kind: str = "pair", **provider: Any) -> AsyncIterator[Scene]:
        """Open a scene nobody has used.

        Args:
            kind: See `KINDS`.
            provider: For the provider `a`, such as `ssl_context`.
        """
        place = next(self._scenes[kind], None)
        assert place is not None, f"no scene {kind!r} is left: raise its count in SCENES"
        async with open_scene(self.proxy, place, **provider) as scene:
            yield scene


class Place(NamedTuple):
    """Where a scene will be: its model, its ports (kept until it opens) and keys."""

    model: str
    held: tuple[socket.socket, socket.socket]
    keys: tuple[str, str]

    @property
    def ports(self) -> tuple[int, int]:
        """Return the ports of `a` and `b`."""
        return self.held[0].getsockname()[1], self.held[1].getsockname()[1]


@contextlib.asynccontextmanager
async def open_scene(proxy: ProxyProcess, place: Place, **provider: Any) -> AsyncIterator[Scene]:
    """Start the providers of a place and check the scene at its end."""
    scene = Scene(proxy, place.model, place.keys)
    scene.a = Provider(**provider)
    scene.a.port, scene.b.port = place.ports
    for held in place.held:
        held.close()
    async with scene.a, scene.b:
        yield scene
        if scene.is_checked:
            await scene.check()


def hold_place(model: str) -> Place:
    """Reserve two ports: bound but not listening, so nobody else gets them."""
    sockets = (socket.socket(), socket.socket())
    for held in sockets:
        held.bind(("127.0.0.1", 0))
    return Place(model, sockets, (f"sk-canary-{model}-first", f"sk-canary-{model}-second"))


def table(kind: Kind, place: Place, black_hole: str = "") -> str:
    """Return the `[[upstream]]` tables of a place."""
    port_a, port_b = place.ports
    url = kind.url.format(port=port_a, black_hole=black_hole)
    key = "none" if kind.shape == "keyless" else place.keys[0]
    first = (f"{place.model}-a", url, key, 0)
    second = (f"{place.model}-b", f"http://127.0.0.1:{port_b}", place.keys[1], 1)
    if kind.shape == "keys":
        second = (second[0], url, *second[2:])
    limits = ", ".join(f"{name} = {value}" for name, value in kind.timeouts.items())
    tables = [first] if kind.shape in ("single", "keyless") else [first, second]
    return "".join(
        f'[[upstream]]\nname = "{name}"\nurl = "{address}"\nkeys = ["{key}"]\n'
        f'models = ["{place.model}"]\npriority = {priority}\ntimeouts = {{ {limits} }}\n'
        for name, address, key, priority in tables
    )


def _decoy(url: str) -> str:
    """Return a table whose keys the proxy connects ahead of requests, so that no scene is warm."""
    keys = ", ".join(f'"sk-decoy-key-{number}"' for number in range(8))
    only = 'models = ["decoy"]\nformats = ["messages"]'
    return f'[[upstream]]\nname = "decoy"\nurl = "{url}"\nkeys = [{keys}]\n{only}\n'


@contextlib.contextmanager
def build_stage(
    directory: Path,
    scenes: Mapping[str, int],
    *,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """Start a proxy with upstreams for so many scenes of each kind."""
    with contextlib.ExitStack() as stack:
        places: dict[str, list[Place]] = {}
        tables = [_decoy(stack.enter_context(refused_url()))]
        for name, count in scenes.items():
            kind = KINDS[name]
            places[name] = [hold_place(f"{name}-{number}") for number in range(count)]
            for place in places[name]:
                is_hole = "black_hole" in kind.url
                black_hole = stack.enter_context(black_hole_url()) if is_hole else ""
                tables.append(table(kind, place, black_hole))
                for held in place.held:
                    stack.callback(held.close)
        file = directory / "llm-proxy.toml"
        file.write_text("\n".join(tables))
        proxy = stack.enter_context(
            ProxyProcess(
                directory, environment={"LLM_PROXY_CONFIG": str(file), **(environment or {})}
            )
        )
        yield Stage(proxy, {name: iter(some) for name, some in places.items()})


async def eventually(condition: Callable[[], bool], *, within_s: float = 5.0) -> None:
    """Wait until `condition()`."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.002)
