"""How long a key rests after a limit, an empty account or a rejection.

Three kinds of knowledge, kept apart because they bind differently:

- **told**: the provider said how long. A ban, always honoured.
- **guessed**: a limit without advice. Half a second, doubling while the next attempt confirms
  it, at most 8 s. A preference: asked all the same when there is nothing else.
- **spent**: an answer that went well says that nothing remains until a reset. Steers, no more.

These are per key *and model*, as providers limit per model. A rejected key or an empty account
concerns all models (`Death`) and is a preference too: any success ends it.
"""

from collections.abc import Callable

from llm_proxy.domain.faults import Fault, Mark

from .limits_seen import Advice, Source
from .retry import RetryConfig

MAX_LIMITS = 256
"""Models remembered per key: names come from clients, so there must be a bound."""


class Limit:
    """What is known about one model on one key. All times are loop times.

    Attributes:
        told_until: End of the ban.
        source: Where the ban's length came from: `header` or `body`.
        guess_until: End of the guessed rest.
        guesses: Guessed rests in a row that the next attempt confirmed.
        look_until: How long the first attempt behind a confirmed rest is waited for.
        spent_until: Reset of a limit that is used up.
    """

    __slots__ = ("guess_until", "guesses", "look_until", "source", "spent_until", "told_until")

    def __init__(self) -> None:
        self.told_until = 0.0
        self.source: Source = "header"
        self.guess_until = 0.0
        self.guesses = 0
        self.look_until = 0.0
        self.spent_until = 0.0

    def is_over(self, now: float) -> bool:
        """Whether it has nothing more to say, its escalation included."""
        return self.told_until <= now and self.spent_until <= now and self.guesses == 0

    def ends_at(self) -> float:
        """Return the loop time at which the last of its rests ends."""
        return max(self.told_until, self.guess_until, self.spent_until)

    def told(self, advice: Advice, now: float) -> float:
        """Ban for as long as told; of two advices the later end counts.

        Returns:
            Seconds of rest.
        """
        until = now + advice.wait_s
        if until > self.told_until:
            self.told_until = until
            self.source = advice.source
        return self.told_until - now

    def guessed(self, now: float, *, rng: Callable[[], float], config: RetryConfig) -> float:
        """Rest by guess, longer if the last guess proved too short.

        Returns:
            Seconds of rest.
        """
        if now < self.guess_until:
            # Attempts that were under way when the rest began confirm nothing.
            return self.guess_until - now
        rest_s = config.guess_s * 2.0 ** min(self.guesses, 16)
        # ±20 %: keys limited together must not come back together.
        rest_s = min(rest_s * (0.8 + 0.4 * rng()), config.guess_cap_s)
        self.guesses += 1
        self.guess_until = now + rest_s
        return rest_s

    def is_doubted(self, now: float) -> bool:
        """Whether it is, by guess, still limited."""
        return now < self.guess_until or now < self.look_until

    def looked_at(self, now: float, config: RetryConfig) -> None:
        """Count an attempt that starts: behind a confirmed rest, one finds out for all.

        Without that, every request that comes before its answer would try the key too, and move
        on to the next key that is tried by all.
        """
        if self.guesses > 1 and not self.is_doubted(now):
            self.look_until = now + config.look_s

    def succeeded(self) -> None:
        """Forget the guesses; a ban stays, as it was told."""
        self.guesses = 0
        self.guess_until = 0.0
        self.look_until = 0.0
        self.spent_until = 0.0


class Death:
    """A key that is rejected or out of credit, for all models.

    Attributes:
        cause: The fault; None = the key is alive.
        until: Loop time from which one probe at a time may ask it.
        times: Rejections in a row.
    """

    __slots__ = ("cause", "times", "until")

    def __init__(self) -> None:
        self.cause: Fault | None = None
        self.until = 0.0
        self.times = 0

    def died(self, fault: Fault, now: float, config: RetryConfig) -> float:
        """Rest after a rejection (doubling) or an empty account (fixed).

        Returns:
            Seconds of rest.
        """
        if fault.mark is Mark.QUOTA:
            until = now + config.quota_s
        elif self.cause is not None and now < self.until:
            return self.until - now
        else:
            until = now + min(config.refused_s * 2.0 ** min(self.times, 16), config.refused_cap_s)
            self.times += 1
        self.cause = fault
        self.until = until
        return until - now

    def revive(self) -> None:
        """Any success ends it."""
        self.cause = None
        self.until = 0.0
        self.times = 0


def limit_for(limits: dict[str, Limit], model: str, now: float) -> Limit:
    """Return the entry of `model`, making it, and room for it, where needed."""
    limit = limits.get(model)
    if limit is None:
        if len(limits) >= MAX_LIMITS:
            prune(limits, now)
        if len(limits) >= MAX_LIMITS:
            del limits[min(limits, key=lambda name: limits[name].ends_at())]
        limit = limits[model] = Limit()
    return limit


def prune(limits: dict[str, Limit], now: float) -> None:
    """Drop what is over; an escalation is forgotten a minute after its rest."""
    for model in [m for m, lim in limits.items() if lim.is_over(now) or lim.ends_at() < now - 60]:
        del limits[model]
