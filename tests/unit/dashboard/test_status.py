"""The one word for everything, and how often the proxy is asked for it."""

import pytest

from tests.support.dashboard_world import OWNER_KEY, World


@pytest.mark.parametrize(
    ("keys", "is_draining", "state"),
    [
        pytest.param(["ready", "ready"], False, "working", id="all_ready"),
        pytest.param(["ready", "half_open"], False, "working", id="one_on_trial"),
        pytest.param(["ready", "cooling"], False, "cooling", id="one_rests"),
        pytest.param(["cooling", "cooling"], False, "cooling", id="all_rest_and_come_back"),
        pytest.param(["ready", "refused"], False, "cooling", id="one_refused"),
        pytest.param(["refused", "no_credit"], False, "down", id="none_comes_back"),
        pytest.param(["open", "open"], False, "down", id="breaker_open_everywhere"),
        pytest.param([], False, "down", id="no_upstream"),
        pytest.param(["ready"], True, "draining", id="draining"),
    ],
)
async def test_one_word_says_how_things_are(keys: list[str], is_draining: bool, state: str) -> None:
    world = World()
    world.key_states, world.is_draining = keys, is_draining
    assert (await world.ask("/api/status")).json["state"] == state
    assert (await world.ask("/api/status", as_=OWNER_KEY)).json["state"] == state


async def test_the_status_is_never_older_than_the_question() -> None:
    world = World()
    assert (await world.ask("/api/status")).json["totals"]["requests"] == 7
    world.totals.requests = 8
    assert (await world.ask("/api/status")).json["totals"]["requests"] == 8


async def test_a_clock_set_back_gives_no_negative_uptime() -> None:
    world = World()
    world.clock.now -= 100
    assert (await world.ask("/api/status")).json["uptime_s"] == 0
