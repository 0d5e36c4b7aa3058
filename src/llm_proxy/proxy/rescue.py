"""A stream that broke behind its first content goes on elsewhere, if that can be done unseen.

    broken -> others first, whoever broke it last: the client's request, and what the client has
              as the beginning of the answer
           -> refused as faulty: the request as it was; its answer counts only if it repeats what
              the client has, character by character
           -> nobody can: the client is told why the first stream broke

What may be continued and how the events are made stands in `formats/continuation.py`, who may be
asked in `policy/`. Every attempt is one of the request's attempts, in its record and its limits.
"""

import asyncio
from typing import TYPE_CHECKING

import msgspec

from llm_proxy.domain.faults import CANCELLED, CLIENT_FAULT, SHUT_DOWN, Fault
from llm_proxy.domain.signal import Signal
from llm_proxy.domain.target import Target
from llm_proxy.formats.continuation import Continuation, Continuer, Transcript
from llm_proxy.formats.continuers import CONTINUERS
from llm_proxy.formats.endpoint import GENERATE
from llm_proxy.policy.chain import Course
from llm_proxy.policy.choose import Pick, Wait
from llm_proxy.wire.body import is_large, peek

from .attempt import Attempt
from .call import Call
from .course import route_at
from .judge import meaning
from .patience import SILENCE_S
from .table import Route

if TYPE_CHECKING:
    from .exchange import Exchange

MAX_RESCUES = 2
"""Of one request. An answer that breaks three times will break again."""


class Rescue:
    """What it takes to go on with the stream of one exchange.

    Attributes:
        call: What the next attempt asks.
        cause: Why the stream broke first; None = it has not.
        signal: The upstream's error, where it broke with one.
    """

    __slots__ = (
        "_asked",
        "_continuer",
        "_prefilled",
        "_routes",
        "_times",
        "_transcript",
        "_writer",
        "call",
        "cause",
        "signal",
    )

    def __init__(self, continuer: Continuer, call: Call, routes: tuple[Route, ...]) -> None:
        self._asked = self.call = call
        self._continuer = continuer
        self._routes = routes
        self._times = 0
        self._prefilled: str | None = None
        self._transcript: Transcript | None = None
        self._writer: Transcript | Continuation | None = None
        self.cause: Fault | None = None
        self.signal: Signal | None = None

    def rewriter(self) -> Transcript | Continuation:
        """Return what the next attempt's events go through."""
        before = self._transcript
        if before is None:
            self._writer = self._continuer.transcript()
        else:
            self._writer = self._continuer.continuation(before, self._prefilled)
        return self._writer

    def why(self, pick: Pick) -> str:
        """Return why an attempt is made."""
        return pick.why if self._transcript is None else "rescue"

    def adopt(self) -> None:
        """Learn that the newest attempt's answer goes to the client."""
        assert self._writer is not None
        self._transcript = self._writer.transcript

    async def heir_of(
        self, exchange: "Exchange", plan: Course, broken: Attempt, fault: Fault
    ) -> Attempt | None:
        """Return an attempt whose answer goes on behind the broken one's; None = nobody can.

        Args:
            exchange: Whose answer broke.
            plan: Has learnt of it.
            broken: The attempt.
            fault: How it broke.
        """
        if self.cause is None:
            self.cause, self.signal = fault, broken.signal
        transcript = self._transcript
        assert transcript is not None
        text = transcript.text
        if not text or self._times >= MAX_RESCUES:
            return None
        self._times += 1
        core = exchange.core
        now = core.loop.time()
        # Agents hang up after little more than this without an event.
        silent_at = SILENCE_S + (broken.relay.event_at if broken.relay is not None else now)
        exchange.deadline = min(core.client_deadline_of(exchange.visit), silent_at)
        learnt = meaning(broken, fault)
        plan.resume(broken.target, learnt, now, deadline=exchange.deadline, rng=core.rng)
        if exchange.beat is not None:
            exchange.beat.go_on(now)
        try:
            await self._prefill(exchange, text)
            return await self._ask(exchange, plan)
        except asyncio.CancelledError as error:
            # The drain time is over, or the owner ended it; the client is told of the break.
            exchange.drop(CANCELLED if error.args else SHUT_DOWN)
            return None

    async def _ask(self, exchange: "Exchange", plan: Course) -> Attempt | None:
        core = exchange.core
        while not exchange.is_gone:
            step = plan.next(core.loop.time(), core.rng)
            if isinstance(step, Pick):
                route = route_at(self._routes, plan)
                attempt = await exchange.answer_from(plan, step, route)
                if attempt is not None:
                    return attempt
                if _is_refused(exchange, step.target) and self.rephrase():
                    plan.rephrased(step.target, CLIENT_FAULT, core.loop.time())
            elif isinstance(step, Wait):
                await exchange.wait(step)
            else:
                return None
        return None

    def rephrase(self) -> bool:
        """Ask without the beginning of the answer from here; False: that is done already."""
        if self._prefilled is None:
            return False
        self._prefilled = None
        self.call = self._asked
        return True

    async def _prefill(self, exchange: "Exchange", text: str) -> None:
        """Make the call that asks to go on with `text`."""
        self._prefilled, self.call = None, self._asked
        body = self._asked.body
        if is_large(body):
            made = await exchange.core.aside(self._prefilled_call, text)
        else:
            made = self._prefilled_call(text)
        if made is not None:
            self.call, self._prefilled = made

    def _prefilled_call(self, text: str) -> tuple[Call, str] | None:
        call = self._asked
        longer = self._continuer.prefilled(call.body, call.top, text)
        if longer is None:
            return None
        body, prefilled = longer
        longer_call = msgspec.structs.replace(
            call, body=body, received=b"", unmarked=None, peek=peek(body)
        )
        return longer_call, prefilled


def rescue_of(call: Call, routes: tuple[Route, ...]) -> Rescue | None:
    """Return what is needed to go on with `call`'s stream; None = it is none that can."""
    continuer = CONTINUERS.get(call.format.name)
    if continuer is None or call.endpoint.kind is not GENERATE:
        return None
    if b"content-encoding" in call.request.fields and not call.is_recoded:
        return None  # nothing can be put into a body that stays coded
    return Rescue(continuer, call, routes) if continuer.takes(call.top) else None


def _is_refused(exchange: "Exchange", target: Target) -> bool:
    """Whether the attempt that failed last was refused at `target` for what it asked."""
    if not exchange.failures:
        return False
    failed, verdict = exchange.failures[-1]
    return failed is exchange.attempt and failed.target is target and verdict.fault is CLIENT_FAULT
