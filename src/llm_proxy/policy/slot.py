"""What is known about one target, and how that makes it stand for a model right now.

A target without a blemish costs one flag test (`is_suspect`); everything else is read only
where something was learnt.
"""

from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING

from llm_proxy.domain.target import Target

from .affinity import seed_of
from .breaker import CLOSED, OPEN, Breaker, ModelBreaker
from .cooldown import Death, Limit

if TYPE_CHECKING:
    from .queue import Ticket

RECENT = 60
"""Attempts shown per key on the page."""

PRIORITY_STEP = 1e9
"""More than any number of attempts in flight, so that priority comes before load."""


class Standing(IntEnum):
    """How much a target is wanted, best first."""

    CLEAN = 0
    SPENT = 1
    """An answer said that nothing is left until a reset."""
    HALF_OPEN = 2
    """Its rest is over; one probe may ask it."""
    GUESSED = 3
    """Limited, for a time that is guessed."""
    OPEN = 4
    """It, its address or the model there keeps failing; or a probe is in flight."""
    DEAD = 5
    """Its key is rejected or out of credit; or a probe is in flight."""
    BANNED = 6
    """Limited, for a time that was told."""


class Address:
    """What is known about `scheme://host:port`, shared by all its targets.

    Attributes:
        name: The address.
        breaker: Counts connections that fail.
        is_probing: Whether a probe is in flight, or a connection looks at it.
        reached: End of the rest behind which a connection was had; another rest needs another.
    """

    __slots__ = ("breaker", "is_probing", "name", "reached")

    def __init__(self, name: str) -> None:
        self.name = name
        self.breaker = Breaker()
        self.is_probing = False
        self.reached: float | None = None

    @property
    def is_reached(self) -> bool:
        """Whether somebody accepts connections there, as far as is known behind its last rest."""
        return self.reached is not None and self.reached == self.breaker.until


class Slot:
    """What is known about one target.

    Attributes:
        address: Shared with the other targets of the address.
        attempts: Since start.
        breaker: Counts failures of (upstream, key), whatever model was asked for.
        death: Whether the key is rejected or out of credit.
        failing: Breakers of models that failed lately, by model.
        failures: Since start, limits included.
        held: Places held for requests that were called out of the line.
        in_flight: Attempts under way.
        is_full: Whether it serves as many attempts as it may, those with a place held included.
        is_paused: Whether the owner has paused it: it is asked by nobody.
        is_probing: Whether a probe is in flight.
        is_suspect: False = clean for every model, nothing else needs to be read.
        limits: By model.
        line: Who waits for a place, oldest first.
        max_in_flight: Attempts it may serve at once; 0 = any number.
        order: Priority and load in one number: the lowest is asked first.
        priority: Lower is asked first.
        rate_limited: Since start.
        recent: Last attempts, oldest first: 0 ok, 1 rate limited, 2 failed.
        seed: Stands for the target in rendezvous hashing.
        target: As configured now.
        tokens: Retries it has saved up.
        weight: Share among equals.
    """

    __slots__ = (
        "address",
        "attempts",
        "breaker",
        "death",
        "failing",
        "failures",
        "held",
        "in_flight",
        "is_full",
        "is_paused",
        "is_probing",
        "is_suspect",
        "limits",
        "line",
        "max_in_flight",
        "order",
        "priority",
        "rate_limited",
        "recent",
        "seed",
        "target",
        "tokens",
        "weight",
    )

    def __init__(self, target: Target, address: Address) -> None:
        self.address = address
        self.attempts = 0
        self.breaker = Breaker()
        self.death = Death()
        self.failing: dict[str, ModelBreaker] = {}
        self.failures = 0
        self.held = 0
        self.in_flight = 0
        self.is_full = False
        self.is_paused = False
        self.is_probing = False
        self.is_suspect = False
        self.limits: dict[str, Limit] = {}
        self.line: deque[Ticket] = deque()
        self.max_in_flight = 0
        self.order = 0.0
        self.rate_limited = 0
        self.recent: deque[int] = deque(maxlen=RECENT)
        self.seed = seed_of(target.id)
        self.tokens = 0.0
        self.adopt(target)

    def adopt(self, target: Target) -> None:
        """Take over what the configuration now says about the same target."""
        self.target = target
        self.weight = target.upstream.weight
        self.priority = target.upstream.priority
        self.seed = seed_of(target.id)
        self.max_in_flight = target.upstream.max_concurrency
        self.is_full = False
        self.weigh()

    def weigh(self) -> None:
        """Bring `order` and `is_full` up to date with `in_flight`."""
        self.order = self.priority * PRIORITY_STEP + self.in_flight / self.weight
        if self.max_in_flight:
            self.is_full = self.in_flight + self.held >= self.max_in_flight
            self.suspect()

    def hold(self, places: int) -> None:
        """Hold so many places more."""
        self.held += places
        self.weigh()

    def suspect(self) -> None:
        """Bring `is_suspect` up to date with what is known."""
        self.is_suspect = (
            bool(self.limits)
            or bool(self.failing)
            or self.is_full
            or self.is_paused
            or self.death.cause is not None
            or self.breaker.until is not None
            or self.address.breaker.until is not None
        )

    def forget(self) -> None:
        """Forget whatever speaks against it, its address included; its counts stay."""
        self.limits.clear()
        self.failing.clear()
        self.death.revive()
        for breaker in (self.breaker, self.address.breaker):
            breaker.close()

    def banned_until(self, model: str) -> float:
        """Return the loop time at which the ban of `model` ends; 0 = there was none."""
        limit = self.limits.get(model)
        return 0.0 if limit is None else limit.told_until

    def standing(self, model: str, now: float) -> Standing:
        """Return how it stands for `model` at `now`."""
        if not self.is_suspect:
            return Standing.CLEAN
        limit = self.limits.get(model)
        if limit is not None and limit.told_until > now:
            return Standing.BANNED
        health = self.health_for(model, now)
        if health is not Standing.CLEAN or limit is None:
            return health
        if limit.is_doubted(now):
            return Standing.GUESSED
        return Standing.SPENT if limit.spent_until > now else Standing.CLEAN

    def health_for(self, model: str, now: float) -> Standing:
        """Return how it stands for `model`, limits aside: CLEAN, HALF_OPEN, OPEN or DEAD."""
        health = self.health(now)
        breaker = self.failing.get(model)
        if breaker is None or breaker.until is None:
            return health
        is_open = now < breaker.until or breaker.is_probing
        return max(health, Standing.OPEN if is_open else Standing.HALF_OPEN)

    def health(self, now: float) -> Standing:
        """Return how it stands for any model: CLEAN, HALF_OPEN, OPEN or DEAD."""
        if self.is_paused:
            return Standing.DEAD
        if self.death.cause is not None and (now < self.death.until or self.is_probing):
            return Standing.DEAD
        own, shared = self.breaker.state(now), self.address.breaker.state(now)
        if own is OPEN or shared is OPEN:
            return Standing.OPEN
        if shared is not CLOSED and self.address.is_probing:
            return Standing.OPEN
        if own is not CLOSED and self.is_probing:
            return Standing.OPEN
        if self.death.cause is not None or own is not CLOSED or shared is not CLOSED:
            return Standing.HALF_OPEN
        return Standing.CLEAN

    def is_hopeless(self, standing: Standing, model: str) -> bool:
        """Whether an outage is so certain that one attempt must do.

        Then retries would only multiply it. A first guess at a limit is not that certain.
        """
        if standing is not Standing.GUESSED:
            return True
        limit = self.limits.get(model)
        return limit is not None and limit.guesses > 1

    def back_at(self, model: str, now: float) -> float:
        """Return the loop time from which nothing speaks against asking it for `model`."""
        if not self.is_suspect:
            return now
        limit, failing = self.limits.get(model), self.failing.get(model)
        return max(
            now,
            self.death.until,
            self.breaker.until or now,
            (failing and failing.until) or now,
            self.address.breaker.until or now,
            max(limit.told_until, limit.guess_until) if limit is not None else now,
        )
