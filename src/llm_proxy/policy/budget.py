"""How many retries an outage may cause, and in what order waiting requests go on.

A retry (the same target again, or a move to a doubtful one) needs a token of the target, earned
by a tenth per attempt, *or* fewer than three retries in progress in the process, pauses
included. A move to a healthy untried target is free and never asks.

Without the floor of three, light traffic is denied its retries; without the free move, clients
fail beside a healthy target; without the tokens, an outage multiplies the traffic by
`MAX_RETRIES` + 1.

Requests that wait for the same ban to end wake one after the other instead of all at once: if
the first is limited again, those behind it need not ask.

A pause is counted by its end, not by a pair of calls: a client that leaves during one gives its
place back when the pause would have ended, and nothing can leak.
"""

from .retry import RetryConfig


class Budget:
    """The process's retries in progress.

    Attributes:
        config: The numbers.
        running: Retries whose attempt is under way.
    """

    __slots__ = ("_pauses", "_queues", "config", "running")

    def __init__(self, config: RetryConfig) -> None:
        self.config = config
        self._pauses: list[float] = []
        self._queues: dict[float, int] = {}
        self.running = 0

    def allows(self, tokens: float, now: float) -> bool:
        """Whether one more retry may start."""
        return tokens >= 1.0 or self.in_progress(now) < self.config.budget_floor

    def in_progress(self, now: float) -> int:
        """Return retries under way, pauses before them included."""
        if self._pauses:
            self._pauses = [end for end in self._pauses if end > now]
        return self.running + len(self._pauses)

    def spend(self, tokens: float, now: float) -> float:
        """Take one retry; return the tokens that are left of `tokens`.

        A token is spent only where the floor is used up.
        """
        if self.in_progress(now) < self.config.budget_floor:
            return tokens
        return max(0.0, tokens - 1.0)

    def pause(self, until: float) -> None:
        """Count a pause that ends at `until`, loop time."""
        self._pauses.append(until)

    def earn(self, tokens: float) -> float:
        """Return `tokens` after one more attempt."""
        return min(tokens + self.config.budget_per_attempt, self.config.budget_cap)

    def queue(self, until: float, now: float) -> int:
        """Join those who wait for the ban that ends at `until`; return how many came before."""
        place = self._queues.get(until, 0)
        if place == 0:
            self._queues = {end: size for end, size in self._queues.items() if end > now}
        self._queues[until] = place + 1
        return place
