"""When a target, a model of it or an address is left alone as it keeps failing, and comes back.

Two signals trip it: failures in a row (a dead upstream is noticed at once, under any traffic)
and the share of failures within a window (a half-broken one that answers now and then never
fails in a row). It rests for a time that doubles with every failed probe, then is half-open:
one request at a time may try, its success closes the breaker and forgets everything.

The state is not stored but read off two fields, so that no timer has to fire for it:
`until` is None: closed; `now < until`: open; else half-open.

The same rules serve three things. Connections that fail count on the address. What fails behind
a connection (answers of the 5xx kind, silence, resets) counts twice: on the target (upstream ×
key) and on the model that was asked for there. The target's breaker counts the failures of all
models and any success closes it, so it is open only where nobody gets an answer, and a model that
was never asked is not tried three times at an upstream that is down. The model's own breaker is
closed by nobody else's success: a model that is down beside a healthy one stays left alone.

A breaker steers, it never refuses: `choose.py` asks even open targets when there is nothing else.
"""

from collections.abc import Callable
from enum import IntEnum

from llm_proxy.domain.faults import CONNECT_TIMEOUT, Fault

from .retry import RetryConfig


class State(IntEnum):
    """What a breaker lets through."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


CLOSED, HALF_OPEN, OPEN = State

MAX_MODELS = 256
"""Models remembered per target: names come from clients, so there must be a bound."""
FORGET_S = 600.0
"""How long a model that nobody asks for any more is remembered as failing."""


class Breaker:
    """Failures of one target or address.

    Attributes:
        cause: The fault that opened it; None while closed.
        rests: How often it has opened since the last success.
        run: Failures in a row.
        until: Loop time at which the rest ends; None = closed.
    """

    __slots__ = ("_bad", "_total", "_window_at", "cause", "rests", "run", "until")

    def __init__(self) -> None:
        self.cause: Fault | None = None
        self.rests = 0
        self.run = 0
        self.until: float | None = None
        self._window_at = 0.0
        self._total = 0
        self._bad = 0

    def state(self, now: float) -> State:
        """Return what it lets through at `now`."""
        if self.until is None:
            return CLOSED
        return OPEN if now < self.until else HALF_OPEN

    def succeeded(self, now: float, config: RetryConfig) -> None:
        """Count a success: close and forget."""
        self.run = 0
        if self.until is not None:
            self.close()
        if now - self._window_at >= config.breaker_window_s:
            self._window_at = now
            self._total = self._bad = 0
        self._total += 1

    def failed(
        self, fault: Fault, now: float, *, rng: Callable[[], float], config: RetryConfig
    ) -> float | None:
        """Count a failure.

        Returns:
            Seconds it rests from now on; None while it stays closed.
        """
        if self.until is not None and now < self.until:
            # Attempts that were under way when it opened are no further evidence.
            return self.until - now
        if now - self._window_at >= config.breaker_window_s:
            self._window_at = now
            self._total = self._bad = 0
        self._total += 1
        self._bad += 1
        # A connect timeout is several lost packets and costs its client seconds: once is enough.
        self.run += config.breaker_failures if fault is CONNECT_TIMEOUT else 1
        if self.until is not None or self._is_tripped(config):
            return self._open(fault, now, rng, config)
        return None

    def close(self) -> None:
        """Let everything through; the window starts anew, or old failures would trip it again."""
        self.until = None
        self.cause = None
        self.run = 0
        self.rests = 0
        self._total = self._bad = 0

    def _is_tripped(self, config: RetryConfig) -> bool:
        return self.run >= config.breaker_failures or (
            self._total >= config.breaker_window_attempts
            and self._bad >= self._total * config.breaker_ratio
        )

    def _open(
        self, fault: Fault, now: float, rng: Callable[[], float], config: RetryConfig
    ) -> float:
        rest_s = config.breaker_rest_s * 2.0 ** min(self.rests, 16)
        # ±10 %: several proxies must not probe at the same instant.
        rest_s = min(rest_s * (0.9 + 0.2 * rng()), config.breaker_rest_cap_s)
        self.rests += 1
        self.until = now + rest_s
        self.cause = fault
        self._total = self._bad = 0
        return rest_s


class ModelBreaker(Breaker):
    """Failures of one model at one target; there is none where nothing failed.

    Attributes:
        is_probing: Whether a probe is in flight.
    """

    __slots__ = ("is_probing",)

    def __init__(self) -> None:
        super().__init__()
        self.is_probing = False

    def is_over(self) -> bool:
        """Whether it has nothing more to say: closed, and no failure within the window."""
        return self.until is None and self.run == 0 and self._bad == 0

    def ends_at(self) -> float:
        """Return the loop time at which its rest ends; before any other where it has none."""
        return self._window_at - FORGET_S if self.until is None else self.until

    def is_forgotten(self, now: float) -> bool:
        """Whether it has heard of its model too long ago."""
        last = self._window_at if self.until is None else max(self._window_at, self.until)
        return last + FORGET_S < now


def breaker_for(failing: dict[str, ModelBreaker], model: str, now: float) -> ModelBreaker:
    """Return the breaker of `model`, making it, and room for it, where needed."""
    breaker = failing.get(model)
    if breaker is None:
        if len(failing) >= MAX_MODELS:
            forget_old(failing, now)
        if len(failing) >= MAX_MODELS:
            del failing[min(failing, key=lambda name: failing[name].ends_at())]
        breaker = failing[model] = ModelBreaker()
    return breaker


def forget_old(failing: dict[str, ModelBreaker], now: float) -> None:
    """Drop those of models that nobody asks for any more."""
    for model in [name for name, breaker in failing.items() if breaker.is_forgotten(now)]:
        del failing[model]
