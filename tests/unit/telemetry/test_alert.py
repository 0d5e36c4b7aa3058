"""What is worth an alert, told once when it begins and once when it is over."""

import pytest

from llm_proxy.domain.status import KeyStatus, StoreStatus, UpstreamStatus
from llm_proxy.telemetry.alert import AGAIN_S, DOWN_S, LOSING_S, AlertWatch


class World:
    """Two upstreams with two keys each, on a clock that the test turns."""

    def __init__(self) -> None:
        self.watch = AlertWatch()
        self.now = 1000.0
        self.states = {f"{up}/key-{n}": "ready" for up in ("a", "b") for n in (1, 2)}
        self.dropped = 0

    def look(self, *, after_s: float = 0.0) -> list[str]:
        """Return what is told now, in words."""
        self.now += after_s
        upstreams = [
            UpstreamStatus(
                name,
                "https://secret.example",
                [],
                [],
                [
                    KeyStatus(id_, "key …ab12", state)
                    for id_, state in self.states.items()
                    if id_.startswith(name + "/")
                ],
            )
            for name in ("a", "b")
        ]
        store = StoreStatus("sqlite", "ok", dropped=self.dropped)
        alerts = self.watch.look(upstreams, store, now=self.now, at_ms=1)
        return [f"{one.event} {one.subject}{' over' * one.is_over}" for one in alerts]


@pytest.fixture
def world() -> World:
    world = World()
    assert world.look() == []
    return world


@pytest.mark.parametrize(
    ("state", "event"), [("refused", "key_refused"), ("no_credit", "key_no_credit")]
)
def test_a_key_that_needs_its_owner_is_told_at_once_and_once(
    state: str, event: str, world: World
) -> None:
    world.states["a/key-1"] = state
    assert world.look() == [f"{event} a/key-1"]
    for _ in range(5):
        assert world.look(after_s=3600.0) == []
    world.states["a/key-1"] = "ready"
    assert world.look() == [f"{event} a/key-1 over"]
    assert world.look() == []


def test_an_upstream_is_down_when_none_of_its_keys_has_worked_for_a_while(world: World) -> None:
    world.states["a/key-1"] = "open"
    assert world.look(after_s=DOWN_S * 2) == []
    world.states["a/key-2"] = "half_open"
    assert world.look() == []
    assert world.look(after_s=DOWN_S - 1.0) == []
    assert world.look(after_s=1.0) == ["upstream_down a"]
    world.states["a/key-2"] = "ready"
    assert world.look() == ["upstream_down a over"]


def test_a_passing_trouble_is_not_told(world: World) -> None:
    for _ in range(10):
        world.states["a/key-1"] = world.states["a/key-2"] = "open"
        assert world.look(after_s=DOWN_S / 2) == []
        world.states["a/key-1"] = "ready"
        assert world.look(after_s=1.0) == []


def test_what_flickers_rings_once_in_ten_minutes(world: World) -> None:
    told: list[str] = []
    for n in range(100):
        world.states["a/key-1"] = "refused" if n % 2 == 0 else "ready"
        told += world.look(after_s=1.0)
    assert told == ["key_refused a/key-1", "key_refused a/key-1 over"]
    world.states["a/key-1"] = "refused"
    assert world.look(after_s=AGAIN_S) == ["key_refused a/key-1"]


def test_a_key_that_cools_down_is_no_alert(world: World) -> None:
    world.states = dict.fromkeys(world.states, "cooling")
    assert world.look(after_s=3600.0) == []


def test_lost_records_are_told_until_none_has_been_lost_for_a_while(world: World) -> None:
    world.dropped = 5
    assert world.look() == ["records_lost records"]
    world.dropped = 9
    assert world.look(after_s=30.0) == []
    assert world.look(after_s=LOSING_S - 1.0) == []
    assert world.look(after_s=1.0) == ["records_lost records over"]


def test_a_key_that_is_paused_or_taken_away_is_not_said_to_be_well(world: World) -> None:
    world.states["a/key-1"] = world.states["a/key-2"] = "refused"
    assert len(world.look()) == 2
    world.states["a/key-1"] = "paused"
    del world.states["a/key-2"]
    assert world.look() == []


def test_alerts_name_no_address() -> None:
    world = World()
    world.states["a/key-1"] = "refused"
    upstreams = [
        UpstreamStatus(
            "a", "https://secret.example", [], [], [KeyStatus("a/key-1", "l", "refused")]
        )
    ]
    (alert,) = world.watch.look(upstreams, StoreStatus("sqlite", "ok"), now=1.0, at_ms=1)
    assert "secret.example" not in repr(alert)
    assert alert.text.startswith("LLM Proxy: a/key-1 is refused")
