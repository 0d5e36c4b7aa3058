"""Slows down whoever guesses access keys on the page.

Wrong keys of the last minute are counted per peer address and all together. The total stands
above one peer's share: a single stranger must not be able to lock everybody out, and behind a
reverse proxy, where all peers look alike, the smaller number holds for all. While somebody is
over the limit even the right key is refused: otherwise the refusals would tell the guesses apart.
Sessions that exist go on.
"""

from collections import deque

WINDOW_S = 60.0
WRONG_PER_PEER = 5
WRONG_IN_ALL = 20


class Throttle:
    """The wrong keys of the last minute; bounded, since refused attempts are not counted."""

    __slots__ = ("_wrong",)

    def __init__(self) -> None:
        self._wrong: deque[tuple[float, str]] = deque(maxlen=WRONG_IN_ALL)

    def wait_s(self, peer: str, now: float) -> float:
        """Return how long `peer` must wait before it may try a key; 0 = not at all."""
        while self._wrong and self._wrong[0][0] <= now - WINDOW_S:
            self._wrong.popleft()
        in_all = [at for at, _ in self._wrong]
        own = [at for at, who in self._wrong if who == peer]
        free_at = [
            times[-limit] + WINDOW_S
            for times, limit in ((in_all, WRONG_IN_ALL), (own, WRONG_PER_PEER))
            if len(times) >= limit
        ]
        return max(free_at, default=now) - now

    def on_wrong(self, peer: str, now: float) -> None:
        """Count a wrong key; `now` is monotonic, seconds."""
        self._wrong.append((now, peer))
