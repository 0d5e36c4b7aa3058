"""The ring of finished requests."""

from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.dashboard.events import Feed
from tests.support.dashboard_world import record


@given(
    size=st.integers(1, 8),
    steps=st.lists(st.tuples(st.integers(0, 10), st.integers(0, 2)), max_size=30),
)
def test_every_watcher_gets_each_record_once_in_order_or_is_told_of_the_gap(
    size: int, steps: list[tuple[int, int]]
) -> None:
    feed = Feed(size)
    cursors = [0, 0, 0]
    seen: list[list[str]] = [[], [], []]
    published: list[str] = []
    gaps = [False, False, False]
    for count, watcher in steps:
        for _ in range(count):
            feed.publish(record(len(published)))
            published.append(record(len(published)).id)
        entries, is_gap = feed.since(cursors[watcher])
        assert is_gap == (len(published) - cursors[watcher] > size)
        cursors[watcher] = feed.published
        seen[watcher] += [entry.record.id for entry in entries]
        gaps[watcher] |= is_gap
        if not gaps[watcher]:
            assert seen[watcher] == published
        assert seen[watcher] == sorted(set(seen[watcher]))


def test_the_ring_keeps_the_last_ones_only() -> None:
    feed = Feed(3)
    for number in range(10):
        feed.publish(record(number))
    assert [r.id for r in feed.records()] == [record(n).id for n in (7, 8, 9)]
    assert feed.find(record(6).id) is None
    assert feed.find(record(7).id) == record(7)
    assert feed.cursor_at(record(6).id) is None
    assert feed.cursor_at(record(9).id) == feed.published


def test_a_record_is_encoded_only_when_somebody_watches_and_then_once() -> None:
    feed = Feed()
    feed.publish(record(1))
    entry = feed.since(0)[0][0]
    assert entry._event == b""
    assert entry.event is entry.event
