"""Sixteen ways in which a provider misbehaves, and what a good proxy makes of each.

The situations are those of the public Failover Bench (github.com/failoverbench/failoverbench,
methodology 0.1, scenarios S01 to S16); words, scripts and code are our own, and so are the
Messages and Responses versions: the original speaks Chat Completions only. Its times are kept in
`FULL`; `FAST` has the same proportions where a proportion is what is judged.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from tests.faults.dialect import STREAM
from tests.support.answers import Dialect, error
from tests.support.scripts import Script, chunk, close, reset, sleep

from .score import (
    Check,
    alive,
    at_most,
    at_most_within,
    back_within,
    complete,
    counts_tokens,
    exactly,
    hides_no_cause,
    names_the_spare,
    once_if_silent,
    rarely_asked_while_down,
    served_while_down,
    spared_for,
    tried_again,
    within,
)

WORDS = [f"w{number:02d}" if number == 0 else f" w{number:02d}" for number in range(60)]
"""The answer: sixty words, none like another, so that what is missing or double shows."""
TEXT = "".join(WORDS)
CUT_AFTER, STALL_AFTER, BROKEN_AT = 40, 20, 10


class Pace(NamedTuple):
    """How long things take, in seconds.

    Attributes:
        advice: What a limited provider asks for.
        first_word: A slow provider's first word.
        stall: How long a stream is silent before it closes.
        silence: How long a silent provider holds the connection.
        down: How long a flapping provider is down.
        requests: How many requests are sent to it.
        every: One each so often.
        word: Between two words.
        attempt: Set on the proxy: UPSTREAM_TIMEOUT_S and STREAM_IDLE_TIMEOUT_S.
        first_token: Set on the proxy: FIRST_TOKEN_TIMEOUT_S.
    """

    advice: int
    first_word: float
    stall: float
    silence: float
    down: float
    requests: int
    every: float
    word: float
    attempt: float
    first_token: float


FULL = Pace(
    advice=2,
    first_word=20,
    stall=30,
    silence=120,
    down=60,
    requests=20,
    every=4,
    word=0.015,
    attempt=29,
    first_token=10,
)
FAST = Pace(
    advice=1,
    first_word=8,
    stall=8,
    silence=16,
    down=2.5,
    requests=13,
    every=0.4,
    word=0.0,
    attempt=1.5,
    first_token=0.75,
)


class Turn(NamedTuple):
    """One attempt at the provider that misbehaves.

    Attributes:
        dialect: Its format.
        model: The model it names.
        number: From 1.
        since_s: Since the scenario began.
        words: What is to be said: all, or the rest that was asked for.
        pace: The times.
    """

    dialect: Dialect
    model: str
    number: int
    since_s: float
    words: Sequence[str]
    pace: Pace

    def answer(self, **how: object) -> Script:
        """Answer well, but for what `how` says."""
        gap_s = self.pace.word
        return STREAM[self.dialect](
            self.words, model=self.model, usage=(9, len(WORDS)), gap_s=gap_s, **how
        )


Fault: TypeAlias = Callable[[Turn], Script]
"""What the provider does; a whole answer where the fault is over."""


class Scenario(NamedTuple):
    """One row.

    Attributes:
        id: As in the original.
        title: What goes wrong.
        fault: How.
        checks: Given the times, what must hold besides the client's answer.
        wants_error: Whether the client should be told, not helped.
        is_prefill_refused: Whether the way out refuses to continue an answer.
        is_series: Whether one request after the other is sent.
        is_repeated: Whether somebody may be asked again where there is but one address.
        dialects: Formats in which it can happen.
    """

    id: str
    title: str
    fault: Fault
    checks: Callable[[Pace], list[Check]]
    wants_error: bool = False
    is_prefill_refused: bool = False
    is_series: bool = False
    is_repeated: bool = False
    dialects: tuple[Dialect, ...] = ("chat", "messages", "responses")


def once(fault: Fault) -> Fault:
    """Misbehave the first time only."""
    return lambda turn: fault(turn) if turn.number == 1 else turn.answer()


def limited_with_advice(turn: Turn) -> Script:
    return error(429, turn.dialect, headers=[("retry-after", str(turn.pace.advice))])


def limited(turn: Turn) -> Script:
    return error(429, turn.dialect)


def failing(turn: Turn) -> Script:
    return error(500, turn.dialect)


def overloaded(turn: Turn) -> Script:
    return error(503, turn.dialect, message="The engine has too much to do.")


def resetting(turn: Turn) -> Script:
    return [reset()]


def silent(turn: Turn) -> Script:
    return [sleep(turn.pace.silence), close()]


def slow(turn: Turn) -> Script:
    head, *rest = turn.answer()
    return [head, sleep(turn.pace.first_word), *rest]


def cut(turn: Turn) -> Script:
    """Break after forty words; the rest of an answer is shorter and comes whole."""
    if len(turn.words) <= CUT_AFTER:
        return turn.answer()
    return turn.answer(cut_after=CUT_AFTER)


def stalling(turn: Turn) -> Script:
    script = turn.answer(cut_after=STALL_AFTER, cut_by="clean")
    return [*script[:-1], sleep(turn.pace.stall), close()]


def malformed(turn: Turn) -> Script:
    script = turn.answer()
    word = turn.words[BROKEN_AT].encode()
    at = next(n for n, piece in enumerate(script) if isinstance(piece, bytes) and word in piece)
    return [*script[:at], chunk(b'data: {"id": "x", "choices": [{"delta": \n\n'), *script[at:]]


def without_end_mark(turn: Turn) -> Script:
    return turn.answer(done=False)


def too_long(turn: Turn) -> Script:
    words = "This model's maximum context length is 8192 tokens, you asked for 9631."
    if turn.dialect == "messages":
        return error(400, "messages", message="prompt is too long: 9631 tokens > 8192 maximum")
    return error(400, turn.dialect, code="context_length_exceeded", message=words)


def filtered(turn: Turn) -> Script:
    words = "Output blocked by content filtering policy"
    if turn.dialect == "messages":
        return error(400, "messages", message=words)
    return error(400, turn.dialect, code="content_policy_violation", message=words)


def flapping(turn: Turn) -> Script:
    return overloaded(turn) if turn.since_s < turn.pace.down else turn.answer()


SCENARIOS = (
    Scenario(
        "S01",
        "429 that says when to come back, once",
        once(limited_with_advice),
        lambda pace: [
            tried_again(),
            spared_for(0.9 * pace.advice),
            at_most_within(2, 0.75 * pace.advice),
        ],
        is_repeated=True,
    ),
    Scenario(
        "S02",
        "429 without advice, always",
        limited,
        lambda _: [at_most_within(4, 3.0), at_most(6)],
        is_repeated=True,
    ),
    Scenario("S03", "500, once", once(failing), lambda _: [tried_again()], is_repeated=True),
    Scenario("S04", "503, always", overloaded, lambda _: [at_most(6)], is_repeated=True),
    Scenario("S05", "reset before the head, once", once(resetting), lambda _: [], is_repeated=True),
    Scenario(
        "S06",
        "accepted, never answered",
        silent,
        lambda pace: [within(pace.silence * 100 / 120), once_if_silent()],
    ),
    Scenario(
        "S07",
        "first word comes late",
        slow,
        lambda pace: [within(pace.first_word * 15 / 20, is_advisory=True)],
    ),
    Scenario("S08", "stream cut in the middle", cut, lambda _: []),
    Scenario(
        "S09",
        "stream falls silent in the middle",
        stalling,
        lambda pace: [within(pace.stall * 45 / 30), alive()],
    ),
    Scenario("S10", "one event of a stream is garbled", malformed, lambda _: [alive(), complete()]),
    Scenario(
        "S11",
        "stream without its end mark",
        without_end_mark,
        lambda _: [within(8.0), counts_tokens()],
        dialects=("chat", "messages"),  # responses say nothing of their end but by that mark
    ),
    Scenario("S12", "conversation too long for the model", too_long, lambda _: [exactly(1)]),
    Scenario(
        "S13",
        "content filter",
        filtered,
        lambda _: [exactly(1)],
        wants_error=True,
    ),
    Scenario(
        "S14",
        "stream cut, and the way out cannot continue it",
        cut,
        lambda _: [hides_no_cause()],
        is_prefill_refused=True,
        is_repeated=True,
    ),
    Scenario(
        "S15",
        "down for a while, then well",
        flapping,
        lambda _: [served_while_down(), rarely_asked_while_down(3, 8.0), back_within(30.0)],
        is_series=True,
        is_repeated=True,
    ),
    Scenario(
        "S16",
        "who answered, and what it cost",
        overloaded,
        lambda _: [names_the_spare(), counts_tokens(), at_most(6)],
        is_repeated=True,
    ),
)

RESCUED = ("S08", "S09", "S14")
"""What only STREAM_RESCUE can turn into an answer: content has flowed when it breaks."""
