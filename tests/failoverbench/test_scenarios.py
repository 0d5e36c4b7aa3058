"""The sixteen scenarios of the public Failover Bench, in all formats, with both ways out.

Without STREAM_RESCUE thirteen are answered as if nothing had happened. The other three break
after content has reached the client: it is told so, in-band, and never left with half an answer
that looks whole.
"""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.dialect import DIALECTS
from tests.support.answers import Dialect

from .catalogue import FAST, FULL, RESCUED, SCENARIOS
from .stand import Play, Row, Way, open_stand

WAYS: tuple[Way, ...] = ("model", "address")
PLAYS: list[Play] = [(one, dialect) for one in SCENARIOS for dialect in one.dialects]


def expected(plays: list[Play], *, is_rescuing: bool = False) -> dict[tuple[str, str], str]:
    """Return the verdict each scenario must get."""
    honest = () if is_rescuing else RESCUED
    return {(one.id, dialect): "honest" if one.id in honest else "pass" for one, dialect in plays}


def verdicts(rows: list[Row]) -> dict[tuple[str, str], str]:
    """Return the verdict each scenario got, with the reason where it is unexpected."""
    return {
        (row.scenario, row.dialect): row.verdict
        if row.verdict in ("pass", "honest")
        else f"{row.verdict}: {row.why}"
        for row in rows
    }


@pytest.mark.parametrize("way", WAYS)
async def test_thirteen_scenarios_pass_and_three_end_honestly(
    tmp_path: Path, score_card: list[Row], way: Way
) -> None:
    async with open_stand(tmp_path, PLAYS, way=way, pace=FAST) as stand:
        rows = await asyncio.gather(*(stand.play(*play) for play in PLAYS))
    score_card += rows
    assert verdicts(rows) == expected(PLAYS)
    counted = Counter(row.verdict for row in rows if row.dialect == "chat")
    assert counted == {"pass": 13, "honest": 3}


@pytest.mark.long
@pytest.mark.parametrize("is_rescuing", [False, True], ids=["plain", "rescue"])
async def test_at_the_original_pace_one_after_the_other_on_one_key(
    tmp_path: Path, score_card: list[Row], *, is_rescuing: bool
) -> None:
    async def sit(way: Way, dialect: Dialect) -> list[Row]:
        plays = [play for play in PLAYS if play[1] == dialect]
        place = tmp_path / f"{way}-{dialect}"
        place.mkdir()
        async with open_stand(
            place, plays, way=way, pace=FULL, is_shared=True, is_rescuing=is_rescuing
        ) as stand:
            return [await stand.play(*play) for play in plays]

    async with asyncio.TaskGroup() as group:
        sittings = [
            (way, dialect, group.create_task(sit(way, dialect)))
            for way in WAYS
            for dialect in DIALECTS
        ]
    score_card += [row for _, _, sitting in sittings for row in sitting.result()]
    for way, dialect, sitting in sittings:
        rows = sitting.result()
        plays = [play for play in PLAYS if play[1] == dialect]
        assert verdicts(rows) == expected(plays, is_rescuing=is_rescuing), way
