"""How a scenario is judged: what was seen, the checks on it, and the verdict they make together.

The rules are those of the public Failover Bench (github.com/failoverbench/failoverbench,
methodology 0.1), in our own words:

    pass     the client got what it should get, and every check holds
    partial  the client got it, but an advisory check does not hold
    honest   it did not, but was told so in time, and every required check holds
             (there it is called "safe")
    fail     a required check does not hold, nobody told the client, or an answer was not the
             whole one

It is stricter in one point: a stream that ends without a word is a failure, where the original
lets a broken connection pass as an error.
"""

from collections.abc import Callable, Sequence
from math import ceil, log2
from typing import Literal, NamedTuple, TypeAlias

Ending: TypeAlias = Literal["answer", "error", "silence"]
Verdict: TypeAlias = Literal["pass", "partial", "honest", "fail"]


class Sent(NamedTuple):
    """What one client met.

    Attributes:
        ending: `answer`: complete by the rules of its format; `error`: it was told, by a status
            or in-band; `silence`: neither.
        is_right: Whether the answer is the expected text.
        at_s: When it was sent, from the scenario's beginning.
        took_s: Until its end.
        model: The model the answer names.
        has_usage: Whether the answer says how many tokens it took.
        words: The error's message.
    """

    ending: Ending
    is_right: bool
    at_s: float
    took_s: float
    model: str = ""
    has_usage: bool = False
    words: str = ""


class Asked(NamedTuple):
    """One attempt as a provider saw it.

    Attributes:
        at_s: From the scenario's beginning.
        is_spare: Whether it went to the way out: the fallback model, or the second address.
        is_prefilled: Whether it asked for the rest of an answer.
        is_answered: Whether the provider answered it well.
    """

    at_s: float
    is_spare: bool
    is_prefilled: bool
    is_answered: bool


class Seen(NamedTuple):
    """Both sides of a scenario.

    Attributes:
        sent: What clients met, in order.
        asked: What the providers saw, in order.
        is_alive: Whether an ordinary request through the same proxy passed afterwards.
        spare: What the answer says where the way out was taken: the fallback model's name, or
            that of the second upstream.
        is_same_model: Whether the way out serves the model that was asked for.
        down_s: How long the provider was down, where it was.
        prefill_refusals: How many requests for the rest of an answer were refused.
    """

    sent: Sequence[Sent]
    asked: Sequence[Asked]
    is_alive: bool
    spare: str
    is_same_model: bool = False
    down_s: float = 0.0
    prefill_refusals: int = 0

    @property
    def first(self) -> list[Asked]:
        """Return the attempts at the first choice."""
        return [one for one in self.asked if not one.is_spare]

    @property
    def of_the_model(self) -> int:
        """Return the attempts at the model that was asked for."""
        return len(self.asked) if self.is_same_model else len(self.first)

    @property
    def took_s(self) -> float:
        """Return how long the slowest client waited."""
        return max(one.took_s for one in self.sent)

    @property
    def last(self) -> Sent:
        """Return the last client."""
        return self.sent[-1]


class Check(NamedTuple):
    """One thing that must hold.

    Attributes:
        name: For the table.
        holds: The check.
        is_advisory: Whether it only makes a pass partial.
    """

    name: str
    holds: Callable[[Seen], bool]
    is_advisory: bool = False


def judge(seen: Seen, checks: Sequence[Check], *, wants_error: bool = False) -> tuple[Verdict, str]:
    """Return the verdict and why."""
    if any(one.ending == "silence" for one in seen.sent):
        return "fail", "a stream ended without a word"
    if any(one.ending == "answer" and not one.is_right for one in seen.sent):
        return "fail", "an answer that is not the whole one"
    broken = [check for check in checks if not check.holds(seen)]
    if required := [check.name for check in broken if not check.is_advisory]:
        return "fail", ", ".join(required)
    has_error = any(one.ending == "error" for one in seen.sent)
    if wants_error and not has_error:
        return "partial", "answered by somebody else in spite of the refusal"
    if has_error and not wants_error:
        return "honest", seen.last.words[:60]
    if broken:
        return "partial", ", ".join(check.name for check in broken)
    return "pass", ""


# --- checks


def at_most(attempts: int) -> Check:
    """The first choice is not asked more often."""
    return Check(f"attempts <= {attempts}", lambda seen: len(seen.first) <= attempts)


def at_most_within(attempts: int, window_s: float) -> Check:
    """The first choice is not hammered."""

    def holds(seen: Seen) -> bool:
        first = seen.first
        return sum(one.at_s - first[0].at_s < window_s for one in first) <= attempts

    return Check(f"attempts <= {attempts} in {window_s:g} s", holds)


def exactly(attempts: int) -> Check:
    """The first choice is asked so often."""
    return Check(f"attempts = {attempts}", lambda seen: len(seen.first) == attempts)


def once_if_silent() -> Check:
    """Who does not answer is not asked again."""
    return Check("silent route asked once", lambda seen: len(seen.first) <= 1, is_advisory=True)


def tried_again() -> Check:
    """The model is asked a second time: at its address, or at the other one that serves it."""
    return Check("asked again", lambda seen: seen.of_the_model >= 2, is_advisory=True)


def spared_for(seconds: float) -> Check:
    """The first choice is left alone as long as it asked for."""

    def holds(seen: Seen) -> bool:
        first = seen.first
        return len(first) < 2 or first[1].at_s - first[0].at_s >= seconds

    return Check(f"spared for {seconds:g} s", holds, is_advisory=True)


def within(seconds: float, *, is_advisory: bool = False) -> Check:
    """The client does not wait longer."""
    return Check(f"within {seconds:g} s", lambda seen: seen.took_s <= seconds, is_advisory)


def alive() -> Check:
    """The proxy is well afterwards."""
    return Check("alive afterwards", lambda seen: seen.is_alive)


def complete() -> Check:
    """The answer is whole although something was wrong with it."""
    return Check("recovered in place", lambda seen: seen.last.ending == "answer", is_advisory=True)


def counts_tokens() -> Check:
    """The client learns what the answer cost."""
    return Check("usage", lambda seen: seen.last.has_usage, is_advisory=True)


def names_the_spare() -> Check:
    """The client learns who answered."""
    return Check("names who answered", lambda seen: seen.last.model == seen.spare)


def hides_no_cause() -> Check:
    """The client is not told of a refused continuation it never asked for."""
    return Check(
        "no prefill refusal shown",
        lambda seen: seen.last.ending != "error" or seen.prefill_refusals == 0,
    )


def served_while_down() -> Check:
    """Everybody is answered during the outage."""

    def holds(seen: Seen) -> bool:
        during = [one for one in seen.sent if one.at_s < seen.down_s]
        return bool(during) and all(one.ending == "answer" for one in during)

    return Check("served during the outage", holds)


def rarely_asked_while_down(attempts: int, rest_s: float) -> Check:
    """What is down is left alone, but for a look now and then, whoever else answers meanwhile."""

    def holds(seen: Seen) -> bool:
        looks = ceil(log2(seen.down_s + 1)) + ceil(seen.down_s / rest_s)
        return sum(not one.is_answered for one in seen.first) <= attempts + looks

    return Check("left alone during the outage", holds)


def back_within(seconds: float) -> Check:
    """The first choice answers again soon after it has recovered."""

    def holds(seen: Seen) -> bool:
        again = [one.at_s for one in seen.first if one.is_answered]
        return bool(again) and again[0] <= seen.down_s + seconds

    return Check(f"back within {seconds:g} s", holds)
