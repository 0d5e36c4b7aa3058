"""Numbers, errors, filters and exports."""

import csv
import io
import json

import pytest

from llm_proxy.domain.record import Attempt, Outcome
from llm_proxy.domain.usage import Usage
from tests.support.dashboard_world import FRIEND_KEY, OWNER_KEY, START_MS, World, record

LIMITED = Attempt("upstream-1", "key-1 …ab12", status=429, fault="rate_limited")
GOOD = Attempt("upstream-1", "key-2 …cd34", status=200)
MINUTE_MS = 60_000


def busy_world() -> World:
    world = World()
    world.stored = [
        record(1, usage=Usage(input=100, cache_read=80, output=7), cost_nano=1_500),
        record(2, attempts=[LIMITED, GOOD], usage=Usage(input=1, output=1), first_token_ms=400.0),
        record(3, outcome=Outcome.RATE_LIMITED, status=429, attempts=[LIMITED], model="o9"),
        record(4, caller="friend", client="=cmd|' /C calc'!A0", total_ms=12_000.0),
        record(5, outcome=Outcome.REFUSED, status=400, attempts=[]),
    ]
    return world


@pytest.mark.parametrize(
    ("window", "buckets", "bucket_s"),
    [("15m", 15, 60), ("1h", 60, 60), ("24h", 96, 900), ("30d", 120, 21_600)],
)
async def test_numbers_hold_every_bucket_of_their_window(
    window: str, buckets: int, bucket_s: int
) -> None:
    numbers = (await busy_world().ask(f"/api/numbers?window={window}", as_=OWNER_KEY)).json
    assert (len(numbers["series"]), numbers["bucket_s"]) == (buckets, bucket_s)
    starts = [bucket["at_ms"] for bucket in numbers["series"]]
    assert starts == [numbers["from_ms"] + n * bucket_s * 1000 for n in range(buckets)]
    assert starts[-1] <= numbers["to_ms"] < starts[-1] + bucket_s * 1000
    totals = numbers["totals"]
    assert (totals["requests"], totals["ok"], totals["rescued"]) == (5, 3, 1)
    assert (totals["cached_tokens"], totals["cost_nano"]) == (80, 1_500)
    assert (totals["priced"], totals["unpriced"]) == (1, 1)
    assert totals["first_token_p50_ms"] == pytest.approx(400, rel=0.25)
    assert numbers["series"][-1]["requests"] == 5
    assert numbers["before"]["requests"] == 0
    assert numbers["before"]["first_token_p50_ms"] is None


async def test_what_was_before_the_window_is_there_to_compare() -> None:
    world = busy_world()
    world.stored.append(record(0, at_ms=START_MS - 20 * MINUTE_MS))
    numbers = (await world.ask("/api/numbers?window=15m", as_=OWNER_KEY)).json
    assert (numbers["totals"]["requests"], numbers["before"]["requests"]) == (5, 1)


async def test_costs_are_the_owners_business() -> None:
    numbers = (await busy_world().ask("/api/numbers", as_=FRIEND_KEY)).json
    assert numbers["totals"]["cost_nano"] is None
    assert all(bucket["cost_nano"] is None for bucket in numbers["series"])


async def test_errors_are_grouped_by_cause_with_the_keys_that_met_it() -> None:
    errors = (await busy_world().ask("/api/errors?window=24h", as_=OWNER_KEY)).json["errors"]
    assert [(one["fault"], one["count"], one["rescued"]) for one in errors] == [
        ("rate_limited", 2, 1),
        ("refused", 1, 0),
    ]
    assert errors[0]["keys"] == [
        {"upstream": "upstream-1", "key": "key-1 …ab12", "count": 2, "last_ms": START_MS + 3}
    ]
    assert errors[0]["says"] == "the key is rate limited"
    assert errors[1]["keys"] == []


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("rescued=1", [2]),
        ("outcome=failed", [3]),
        ("outcome=failed,refused", [5, 3]),
        ("status=4xx", [5, 3]),
        ("status=429", [3]),
        ("fault=rate_limited", [3, 2]),
        ("model=o9", [3]),
        ("caller=friend", [4]),
        ("client=CALC", [4]),
        ("slow=1", [4]),
        ("q=cd34", [2]),
        ("key=key-1%20%E2%80%A6ab12", []),
        (f"since_ms={START_MS + 10**9}", []),
    ],
)
async def test_filters_apply_to_stored_requests_and_to_those_not_written_yet(
    query: str, numbers: list[int]
) -> None:
    world = busy_world()
    for kept in (0, 2, 5):
        for one in world.stored[kept:]:
            world.context.feed.publish(one)
        world.stored = world.stored[:kept]
        answer = await world.ask(f"/api/requests?{query}", as_=OWNER_KEY)
        assert [r["id"] for r in answer.json["requests"]] == [record(n).id for n in numbers]
        world = busy_world()


async def test_nobody_filters_for_what_is_not_theirs() -> None:
    world = busy_world()
    answer = await world.ask("/api/requests?caller=owner", as_=FRIEND_KEY)
    assert [r["id"] for r in answer.json["requests"]] == [record(4).id]


async def test_a_search_that_stopped_early_says_where() -> None:
    world = busy_world()
    world.history.cut_at = 2
    answer = (await world.ask("/api/requests?q=cd34", as_=OWNER_KEY)).json
    assert answer == {
        "requests": [],
        "next": record(4).id,
        "searched_to_ms": record(4).at_ms,
    }


@pytest.mark.parametrize(
    "query",
    [
        *("outcome=nonsense", "rescued=yes", "status=99", "status=4x", "status=600", "fault=none"),
        *("since_ms=-1", "until_ms=1e3", "window=2h", "q=%00", "q=" + "x" * 201, "slow=²"),
    ],
)
async def test_what_cannot_be_meant_is_refused(query: str) -> None:
    path = "numbers" if query.startswith("window") else "requests"
    answer = await busy_world().ask(f"/api/{path}?{query}", as_=OWNER_KEY)
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_export_holds_all_that_match_however_many() -> None:
    world = World()
    world.stored = [record(number) for number in range(1_203)]
    world.history.cut_at = 700
    answer = await world.ask("/api/export.jsonl", as_=OWNER_KEY)
    rows = [json.loads(line) for line in answer.body.splitlines()]
    assert [row["id"] for row in rows] == [record(n).id for n in range(1_202, -1, -1)]
    assert answer.headers["content-disposition"] == 'attachment; filename="requests.jsonl"'


async def test_a_spreadsheet_gets_columns_and_no_formulas() -> None:
    answer = await busy_world().ask("/api/export.csv?slow=1", as_=OWNER_KEY)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig")))
    assert row["client"] == "'=cmd|' /C calc'!A0"
    assert (row["status"], row["attempts"], row["cost_usd"]) == ("200", "1", "")
    priced = await busy_world().ask("/api/export.csv", as_=OWNER_KEY)
    rows = [*csv.DictReader(io.StringIO(priced.body.decode("utf-8-sig")))]
    assert rows[-1]["cost_usd"] == "0.000001500"
    assert rows[-1]["at"].endswith("+00:00")


async def test_an_export_holds_only_the_callers_own_requests() -> None:
    answer = await busy_world().ask("/api/export.jsonl", as_=FRIEND_KEY)
    assert [json.loads(line)["id"] for line in answer.body.splitlines()] == [record(4).id]


@pytest.mark.parametrize("path", ["numbers", "errors", "export.csv", "export.jsonl", "requests"])
async def test_history_needs_a_key(path: str) -> None:
    assert (await World().ask(f"/api/{path}")).status == 401
