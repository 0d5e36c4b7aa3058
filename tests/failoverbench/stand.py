"""A proxy in front of providers that misbehave, and scenarios played through it.

There are two ways out for a proxy: the fallback model at the same address, as in the original
bench, or a second address that serves the same model. What is "first choice" and "spare" in
`score.py` follows from that.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Literal, NamedTuple, TypeAlias

from tests.faults.dialect import JSON, PATHS, STREAM, assert_is_error, question, read, text_of
from tests.support.answers import Dialect, error
from tests.support.client import RawClient, Stream
from tests.support.provider import Provider, Request
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import Script

from .catalogue import TEXT, WORDS, Pace, Scenario, Turn
from .score import Asked, Seen, Sent, Verdict, judge

Way: TypeAlias = Literal["model", "address"]
"""The way out: another model at the same address, or the same model at another address."""


class Row(NamedTuple):
    """One line of the score card.

    Attributes:
        setting: What is special about the proxy; empty = nothing.
        way: The way out it had.
        scenario: The scenario's id.
        dialect: The format.
        verdict: What it got.
        why: Why it is no pass.
        title: What went wrong.
        first: Attempts at the first choice, as its provider saw them.
        spare: Attempts at the way out.
        took_s: How long the slowest client waited.
    """

    setting: str
    way: Way
    scenario: str
    dialect: Dialect
    verdict: Verdict
    why: str
    title: str
    first: int
    spare: int
    took_s: float

    @property
    def line(self) -> str:
        """Return it for people."""
        seen = f"{self.first} + {self.spare}"
        return (
            f"{self.setting:7}{self.way:8} {self.scenario} {self.dialect:9} {self.verdict:7} "
            f"{seen:7} {self.took_s:6.2f} s  {self.title}{self.why and f' ({self.why})'}"
        )


class Names(NamedTuple):
    """The models of one scenario in one format."""

    asked: str
    spare: str
    calm: str

    @classmethod
    def of(cls, scenario: Scenario, dialect: Dialect) -> "Names":
        """Return names nobody else has."""
        name = f"{scenario.id}-{dialect}".lower()
        return cls(name, f"{name}-spare", f"{name}-calm")


Play: TypeAlias = tuple[Scenario, Dialect]


class Stand:
    """The proxy and its providers.

    Attributes:
        proxy: Running.
        a: The first choice's address.
        b: The second address; unused where the way out is another model.
        way: The way out.
        pace: The times.
        is_shared: Whether all scenarios share one key.
        setting: What is special about the proxy, for the score card.
    """

    def __init__(
        self,
        proxy: ProxyProcess,
        a: Provider,
        b: Provider,
        *,
        way: Way,
        pace: Pace,
        is_shared: bool,
        setting: str = "",
    ) -> None:
        self.proxy = proxy
        self.a = a
        self.b = b
        self.way = way
        self.pace = pace
        self.is_shared = is_shared
        self.setting = setting
        # The proxy repeats three requests at a time without having saved up for it: scenarios
        # that need that must not take it from each other.
        self._retries = asyncio.Semaphore(3)

    def second_upstream(self, model: str) -> str:
        """Return the name of the second upstream of a model."""
        return "shared-b" if self.is_shared else f"{model}-b"

    async def play(self, scenario: Scenario, dialect: Dialect) -> Row:
        """Play one scenario and judge it."""
        scene = _Scene(self, scenario, dialect)
        if self.way == "model" and scenario.is_repeated:
            async with self._retries:
                seen = await scene.run()
        else:
            seen = await scene.run()
        await self._check_accounts(scene, seen)
        verdict, why = judge(seen, scenario.checks(self.pace), wants_error=scenario.wants_error)
        first = len(seen.first)
        return Row(
            self.setting,
            self.way,
            scenario.id,
            dialect,
            verdict,
            why,
            scenario.title,
            first,
            len(seen.asked) - first,
            seen.took_s,
        )

    async def _check_accounts(self, scene: "_Scene", seen: Seen) -> None:
        """Check that the records tell what the providers saw, and bill the answer only."""
        records: list[dict[str, Any]] = []
        async with RawClient.to(self.proxy.url) as client, asyncio.timeout(5):
            while len(records) < len(seen.sent):
                await asyncio.sleep(0.01)
                page = await client.ask("GET", "/api/requests?limit=200", key=self.proxy.access_key)
                every = page.json()["requests"]
                records = [one for one in every if one.get("model") == scene.names.asked]
        attempts = [attempt for record in records for attempt in record["attempts"]]
        assert len(attempts) == len(seen.asked), (scene.names.asked, attempts, seen.asked)
        for record in records:
            if record["outcome"] == "ok":
                assert record["usage"]["output"] == len(WORDS), record
                *failed, last = record["attempts"]
                assert "fault" not in last, record
                assert all(one["cost"] in ("none", "unknown", "partial") for one in failed), record


class _Scene:
    """One scenario in one format while it is played."""

    def __init__(self, stand: Stand, scenario: Scenario, dialect: Dialect) -> None:
        self.stand = stand
        self.scenario = scenario
        self.dialect: Dialect = dialect
        self.names = Names.of(scenario, dialect)
        self.began = monotonic()
        self.asked: list[Asked] = []
        self.turns = 0
        self.refusals = 0

    async def run(self) -> Seen:
        stand, pace = self.stand, self.stand.pace
        spare_at, spare = (stand.a, self.names.spare)
        if stand.way == "address":
            spare_at, spare = (stand.b, self.names.asked)
        stand.a.reply(self._first, model=self.names.asked)
        spare_at.reply(self._spare, model=spare)
        for provider in (stand.a, stand.b):
            provider.reply(JSON[self.dialect](TEXT, usage=(9, len(WORDS))), model=self.names.calm)
        self.began = monotonic()
        sent = await self._series() if self.scenario.is_series else [await self._send()]
        return Seen(
            sent,
            self.asked,
            await self._is_alive(),
            spare if stand.way == "model" else stand.second_upstream(self.names.asked),
            stand.way == "address",
            pace.down if self.scenario.is_series else 0.0,
            self.refusals,
        )

    # the providers

    def _first(self, request: Request) -> Script:
        self.turns += 1
        since_s = monotonic() - self.began
        words, is_prefilled = self._wanted(request)
        turn = Turn(self.dialect, self.names.asked, self.turns, since_s, words, self.stand.pace)
        script = self.scenario.fault(turn)
        head = script[0]
        is_answered = isinstance(head, bytes) and head.startswith(b"HTTP/1.1 200")
        self._note(request, is_spare=False, is_prefilled=is_prefilled, is_answered=is_answered)
        return script

    def _spare(self, request: Request) -> Script:
        words, is_prefilled = self._wanted(request)
        is_refused = is_prefilled and self.scenario.is_prefill_refused
        self._note(request, is_spare=True, is_prefilled=is_prefilled, is_answered=not is_refused)
        if is_refused:
            self.refusals += 1
            words_of_refusal = "This model does not support assistant message prefill."
            return error(400, self.dialect, message=words_of_refusal)
        return STREAM[self.dialect](
            words, model=request.model, usage=(9, len(WORDS)), gap_s=self.stand.pace.word
        )

    def _note(
        self, request: Request, *, is_spare: bool, is_prefilled: bool, is_answered: bool
    ) -> None:
        at_s = request.at - self.began
        self.asked.append(Asked(at_s, is_spare, is_prefilled, is_answered))

    def _wanted(self, request: Request) -> tuple[Sequence[str], bool]:
        """Return what is to be said, and whether it is the rest of an answer."""
        begun = _begun(self.dialect, request.fields)
        if begun is None:
            return WORDS, False
        if not TEXT.startswith(begun):
            return WORDS, True
        return re.findall(r" ?w\d\d", TEXT[len(begun) :]), True

    # the clients

    async def _series(self) -> list[Sent]:
        sent: list[Sent] = []
        for number in range(self.stand.pace.requests):
            await asyncio.sleep(self.began + number * self.stand.pace.every - monotonic())
            sent.append(await self._send())
        return sent

    async def _send(self) -> Sent:
        dialect, pace = self.dialect, self.stand.pace
        body = question(dialect, self.names.asked, stream=True)
        if dialect == "chat":
            body["stream_options"] = {"include_usage": True}
        sent_at = monotonic()
        limit_s = pace.silence + 10
        async with RawClient.to(self.stand.proxy.url, timeout_s=limit_s) as client:
            key = self.stand.proxy.access_key
            await client.request("POST", PATHS[dialect], key=key, json_body=body)
            try:
                head = await client.read_head()
                if head.status != 200:
                    words = assert_is_error(dialect, head.status, await client.read_body(head))
                    return self._sent("error", sent_at, words=words["message"])
                stream = await client.read_stream(head)
            except TimeoutError:
                return self._sent("silence", sent_at)
        seen = read(dialect, stream)
        if seen.ending == "error":
            assert TEXT.startswith(seen.text)
            return self._sent("error", sent_at, words=seen.error["message"])
        if seen.ending == "cut":
            return self._sent("silence", sent_at)
        name, has_usage = _accounts(dialect, stream)
        if self.stand.way == "address":
            name = head.header("x-llm-proxy-upstream") or ""
        return Sent(
            "answer",
            seen.text == TEXT,
            sent_at - self.began,
            monotonic() - sent_at,
            name,
            has_usage,
        )

    def _sent(self, ending: Literal["error", "silence"], sent_at: float, words: str = "") -> Sent:
        at_s, took_s = sent_at - self.began, monotonic() - sent_at
        return Sent(ending, False, at_s, took_s, words=words)

    async def _is_alive(self) -> bool:
        body = question(self.dialect, self.names.calm)
        async with RawClient.to(self.stand.proxy.url) as client:
            key = self.stand.proxy.access_key
            answer = await client.ask("POST", PATHS[self.dialect], key=key, json_body=body)
            return answer.status == 200 and text_of(self.dialect, answer.json()) == TEXT


def _begun(dialect: Dialect, body: dict[str, Any]) -> str | None:
    """Return the answer that a request wants continued."""
    turns = body["input" if dialect == "responses" else "messages"]
    if isinstance(turns, str) or turns[-1].get("role") != "assistant":
        return None
    content = turns[-1]["content"]
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content)


def _accounts(dialect: Dialect, stream: Stream) -> tuple[str, bool]:
    """Return the model an answer names and whether it says how many tokens it took."""
    name, has_usage = "", False
    for data in stream.data:
        if data == "[DONE]":
            continue
        value = json.loads(data)
        inner = value.get({"messages": "message", "responses": "response"}.get(dialect, ""), value)
        name = inner.get("model") or name
        has_usage = has_usage or bool((value if dialect == "messages" else inner).get("usage"))
    return name, has_usage


@contextlib.asynccontextmanager
async def open_stand(
    directory: Path,
    plays: Sequence[Play],
    *,
    way: Way,
    pace: Pace,
    is_shared: bool = False,
    is_rescuing: bool = False,
) -> AsyncIterator[Stand]:
    """Start a proxy for these scenarios.

    Args:
        directory: Where its files go.
        plays: What will be played.
        way: The way out.
        pace: The times.
        is_shared: Whether all scenarios share one key, so that what was learnt in one is known
            in the next, as in the original; else they may be played at the same time.
        is_rescuing: Whether STREAM_RESCUE is on.
    """
    limit_s = pace.silence + 10
    async with Provider(limit_s=limit_s) as a, Provider(limit_s=limit_s) as b:
        file = directory / "llm-proxy.toml"
        urls = [a.url] if way == "model" else [a.url, b.url]
        file.write_text(_shared(urls, plays) if is_shared else _apart(urls, plays))
        pairs = [Names.of(*play) for play in plays] if way == "model" else []
        settings = {
            "LLM_PROXY_CONFIG": str(file),
            "MAX_RETRIES": "2",
            "UPSTREAM_TIMEOUT_S": f"{pace.attempt:g}",
            "STREAM_IDLE_TIMEOUT_S": f"{pace.attempt:g}",
            "FIRST_TOKEN_TIMEOUT_S": f"{pace.first_token:g}",
            "MODEL_FALLBACKS": ",".join(f"{one.asked}={one.spare}" for one in pairs),
            "STREAM_RESCUE": "1" if is_rescuing else "",
        }
        chosen = {name: value for name, value in settings.items() if value}
        async with ProxyProcess(directory, environment=chosen) as proxy:
            setting = "rescue" if is_rescuing else ""
            yield Stand(proxy, a, b, way=way, pace=pace, is_shared=is_shared, setting=setting)
        assert a.malformed == b.malformed == []


def _apart(urls: Sequence[str], plays: Sequence[Play]) -> str:
    """Return tables in which every scenario has a key of its own at each address."""
    tables = []
    for play in plays:
        names = Names.of(*play)
        for priority, (letter, url) in enumerate(zip("ab", urls, strict=False)):
            name = f"{names.asked}-{letter}"
            tables.append(_table(name, url, f"sk-bench-key-{name}", [*names], priority))
    return "\n".join(tables)


def _shared(urls: Sequence[str], plays: Sequence[Play]) -> str:
    """Return one table per address."""
    models = [name for play in plays for name in Names.of(*play)]
    return "\n".join(
        _table(f"shared-{letter}", url, f"sk-bench-key-{letter}", models, priority)
        for priority, (letter, url) in enumerate(zip("ab", urls, strict=False))
    )


def _table(name: str, url: str, key: str, models: Sequence[str], priority: int) -> str:
    return (
        f'[[upstream]]\nname = "{name}"\nurl = "{url}"\nkeys = ["{key}"]\n'
        f"models = {json.dumps(models)}\npriority = {priority}\n"
    )
