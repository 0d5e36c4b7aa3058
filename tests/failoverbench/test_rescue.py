"""The same scenarios with STREAM_RESCUE: all sixteen are answered.

A stream that breaks after content goes on elsewhere. Where the way out refuses to continue
somebody else's answer (S14), it is asked anew, and the client gets what is new of the same text.
"""

import asyncio
from pathlib import Path

import pytest

from .catalogue import FAST
from .stand import Row, Way, open_stand
from .test_scenarios import PLAYS, WAYS, expected, verdicts


@pytest.mark.parametrize("way", WAYS)
async def test_with_stream_rescue_all_sixteen_scenarios_pass(
    tmp_path: Path, score_card: list[Row], way: Way
) -> None:
    async with open_stand(tmp_path, PLAYS, way=way, pace=FAST, is_rescuing=True) as stand:
        rows = await asyncio.gather(*(stand.play(*play) for play in PLAYS))
    score_card += rows
    assert verdicts(rows) == expected(PLAYS, is_rescuing=True)
