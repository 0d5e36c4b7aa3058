"""One record tells what happened: every attempt says how it ended, why it was made, what it cost.

Seven telling situations are brought about and read back from the API as the page reads them; every
word that stands in a record has its sentence in both languages of the page.
"""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from llm_proxy.domain.record import Attempt, Record
from llm_proxy.net.pool import REST_S
from tests.e2e.world import World
from tests.support.answers import chat_json, chat_stream, error
from tests.support.provider import ProviderThread, refused_url
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import close, hang, reset

I18N = Path(__file__).parents[2] / "web" / "src" / "i18n"
FIRST, SECOND = "sk-first-0123456789", "sk-second-9876543210"


class Line(NamedTuple):
    """What must stand in the record of one attempt.

    Attributes:
        fault: How it ended; None = with the answer.
        why: Why it was made.
        cost: What it may have cost.
        words: Part of the provider's or the proxy's words.
        rests: Whether the target rests because of it.
        waited: Whether something was waited for before.
    """

    fault: str | None
    why: str
    cost: str | None = None
    words: str = ""
    rests: bool = False
    waited: bool = False

    @classmethod
    def of(cls, attempt: Attempt, words: str) -> "Line":
        """Return what stands in a record; `words` where they are part of its reason."""
        assert attempt.why
        return cls(
            attempt.fault,
            attempt.why,
            attempt.cost,
            words if words in (attempt.reason or "") else str(attempt.reason),
            attempt.cool_s is not None and attempt.cool_s > 0,
            attempt.wait_ms > 1,
        )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A proxy whose models each have upstreams of their own."""
    directory = tmp_path_factory.mktemp("told")
    with ProviderThread() as provider, refused_url() as refused:
        file = directory / "llm-proxy.toml"
        tables = [
            _table("limited", provider.url, keys=(f"{FIRST}-l", f"{SECOND}-l")),
            _table("rejected", provider.url, keys=(f"{FIRST}-r", f"{SECOND}-r")),
            _table("closed", refused, keys=(f"{FIRST}-c",)),
            _table("closed", provider.url, keys=(f"{SECOND}-c",), priority=1),
            _table("shaky", provider.url, keys=(f"{FIRST}-s",)),
            _table("cut", provider.url, keys=(f"{FIRST}-u",)),
            _table("dead", provider.url, keys=(f"{FIRST}-d",)),
            _table("stale", provider.url, keys=(f"{FIRST}-t",)),
        ]
        file.write_text("\n".join(tables))
        with ProxyProcess(directory, environment={"LLM_PROXY_CONFIG": str(file)}) as proxy:
            yield World(proxy, provider)


def _table(model: str, url: str, *, keys: tuple[str, ...], priority: int = 0) -> str:
    quoted = ", ".join(f'"{key}"' for key in keys)
    return (
        f'[[upstream]]\nname = "{model}-{priority}"\nurl = "{url}"\nkeys = [{quoted}]\n'
        f'models = ["{model}"]\npriority = {priority}\n'
    )


async def _record(told: World, model: str, **fields: Any) -> Record:
    return told.record_of(await told.generate("chat", model=model, **fields))


def _check(record: Record, *expected: Line) -> None:
    lines = [
        Line.of(attempt, line.words)
        for attempt, line in zip(record.attempts, expected, strict=True)
    ]
    assert lines == list(expected)
    for attempt in record.attempts:
        _has_words(attempt)


def _has_words(attempt: Attempt) -> None:
    for language in ("en", "zh"):
        text = (I18N / f"{language}.ts").read_text()
        assert attempt.why in _names(text, "why")
        assert attempt.cost is None or attempt.cost in _names(text, "cost")
    faults = re.findall(r"^  (\w+): row\(", (I18N / "faults.ts").read_text(), re.MULTILINE)
    assert attempt.fault is None or attempt.fault in faults


def _names(text: str, table: str) -> list[str]:
    """Return the names in a table of words."""
    found = re.search(rf"^ +{table}: {{\n(.*?)^ +}}", text, re.MULTILINE | re.DOTALL)
    assert found is not None, table
    return re.findall(r'^ +"?([\w -]+?)"?:', found[1], re.MULTILINE)


async def test_a_limited_key_and_the_other_one(told: World) -> None:
    limit = error(429, message="slow down, please", headers=[("retry-after", "30")])
    told.provider.script(limit, model="limited")
    record = await _record(told, "limited")
    _check(
        record,
        Line("rate_limited", "healthy", "none", "slow down, please", rests=True),
        Line(None, "healthy"),
    )
    assert (record.outcome, record.error) == ("ok", None)
    assert 29 < (record.attempts[0].cool_s or 0) <= 30


async def test_a_rejected_key_and_the_other_one(told: World) -> None:
    told.provider.script(error(401, message="who are you?"), model="rejected")
    _check(
        await _record(told, "rejected"),
        Line("key_rejected", "healthy", "none", "who are you?", rests=True),
        Line(None, "healthy"),
    )


async def test_a_closed_port_and_the_upstream_behind_it(told: World) -> None:
    record = await _record(told, "closed")
    _check(record, Line("connect_refused", "healthy", "none"), Line(None, "healthy"))
    assert [attempt.upstream for attempt in record.attempts] == ["closed-0", "closed-1"]


async def test_a_failure_that_was_repeated_after_a_pause(told: World) -> None:
    told.provider.script(error(500, message="it broke"), model="shaky")
    _check(
        await _record(told, "shaky"),
        Line("server_error", "healthy", "unknown", "it broke"),
        Line(None, "again", waited=True),
    )


async def test_a_stream_that_broke_after_its_beginning(told: World) -> None:
    told.provider.script(chat_stream(["a", "b", "c"], cut_after=2), model="cut")
    stream = await told.stream("chat", model="cut")
    assert b'"error"' in stream.raw
    record = told.all_records()[0]
    _check(record, Line("stream_cut", "healthy", "partial"))
    assert (record.outcome, record.status) == ("cut", 200)
    assert record.error


async def test_an_upstream_that_is_down_and_then_is_looked_at(told: World) -> None:
    told.provider.reply([reset()], model="dead")
    for _ in range(2):
        await _record(told, "dead")
    record = await _record(told, "dead")
    _check(record, Line("reset", "last resort", "unknown", rests=True))
    assert (record.outcome, record.status) == ("upstream_error", 502)
    assert record.error
    told.provider.reply(chat_json("well again"), model="dead")
    _check(await _record(told, "dead"), Line(None, "last resort"))


async def test_a_kept_connection_that_was_closed_meanwhile(told: World) -> None:
    await _record(told, "stale")
    await asyncio.sleep(4 * REST_S)  # until the connection may be used again
    told.provider.script([close()], model="stale")
    _check(
        await _record(told, "stale"),
        Line("reset", "healthy", "unknown", "a kept connection was closed"),
        Line(None, "replay"),
    )


async def test_a_replay_that_the_owner_ends_tells_of_both_requests(told: World) -> None:
    await _record(told, "stale")
    await asyncio.sleep(4 * REST_S)
    told.provider.script([close()], [hang()], model="stale")
    seen = len(told.provider.requests)
    asking = asyncio.create_task(told.generate("chat", model="stale"))
    await asyncio.to_thread(told.provider.wait_for_requests, seen + 2)
    (one,) = told.page("/api/in-flight")["in_flight"]
    await told.ask("POST", f"/api/in-flight/{one['id']}/cancel")
    answer = await asking
    assert (answer.status, answer.header("x-llm-proxy-attempts")) == (503, "2")
    _check(
        told.record(one["id"]),
        Line("reset", "healthy", "unknown", "a kept connection was closed"),
        Line("cancelled", "replay", "partial"),
    )
