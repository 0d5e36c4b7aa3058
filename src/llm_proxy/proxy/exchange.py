"""The life of one request, top to bottom: plan, attempts, commit, relay, finish.

Start reading here. `Exchange.run` is the one coroutine that makes a request's decisions; what they
are based on stands in `policy/`, what the bytes mean in `formats/`, how they travel in `net/`.
Once content flows, nothing wakes this coroutine until the end.

Whatever happens, the exchange leaves by `finish`, exactly once.
"""

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from llm_proxy.domain.errors import RequestError
from llm_proxy.domain.faults import (
    CANCELLED,
    CLIENT_GONE,
    SHUT_DOWN,
    Fault,
)
from llm_proxy.domain.record import Attempt as AttemptRecord
from llm_proxy.domain.record import Outcome
from llm_proxy.domain.signal import Signal
from llm_proxy.domain.usage import UNKNOWN, Usage
from llm_proxy.formats.endpoint import COUNT, MODEL, MODELS
from llm_proxy.net.client import ClientConnection
from llm_proxy.policy.chain import Course
from llm_proxy.policy.choose import Pick, Wait
from llm_proxy.policy.limits_seen import advice
from llm_proxy.policy.queue import Ticket
from llm_proxy.wire.request import Request

from . import answer, refusal
from .admission import Visit
from .attempt import Attempt
from .beat import Beat
from .begin import begin, begin_mended, begin_translated, note_replay
from .call import Call
from .course import course_of, route_at
from .deliver import deliver
from .finish import finish
from .intake import read_call, read_call_slowly
from .judge import Verdict, judge
from .keep import routes_of
from .local import answer_count, answer_models
from .rescue import Rescue, rescue_of
from .table import Route

if TYPE_CHECKING:
    from .core import Core


class Exchange:
    """One request and all that is done for it.

    Attributes:
        core: What all exchanges share.
        visit: The request, its caller and its endpoint.
        client: The client's connection, ours until `finish`.
        call: What is asked of upstreams; None until the body has been read.
        records: One entry per attempt so far.
        attempt: The newest one.
        beat: Keep-alive frames; None = no stream was asked for.
        rescue: How a broken stream may go on; None = it may not.
        failures: The attempts behind `plan.faults`, in the same order.
        outcome: How it ended, as the client saw it.
        status: HTTP status sent; 0 = none.
        ticket: What it stands, or has stood, in line with for a place at a key.
        error: One sentence for the record.
        refused: Why the first target that could not take the request was passed over.
        deadline: Loop time at which everything must be done, until content flows.
        is_chunked: Whether the client understands chunks.
    """

    __slots__ = (
        "_is_in_gate",
        "_sleep",
        "answered_by",
        "attempt",
        "beat",
        "broken_events",
        "call",
        "client",
        "core",
        "deadline",
        "error",
        "failures",
        "first_token_ms",
        "is_chunked",
        "is_gone",
        "outcome",
        "plan",
        "records",
        "refused",
        "rescue",
        "started",
        "status",
        "task",
        "ticket",
        "usage",
        "visit",
        "waited_from",
    )

    def __init__(self, core: "Core", client: ClientConnection, visit: Visit) -> None:
        self.core = core
        self.client = client
        self.visit = visit
        self.started = core.clock()
        self.call: Call | None = None
        self.plan: Course | None = None
        self.records: list[AttemptRecord] = []
        self.failures: list[tuple[Attempt, Verdict]] = []
        self.answered_by: Attempt | None = None
        self.outcome = Outcome.UPSTREAM_ERROR
        self.status = 0
        self.error: str | None = None
        self.refused: RequestError | None = None
        self.usage: Usage = UNKNOWN
        self.broken_events = 0
        self.first_token_ms: float | None = None
        self.is_gone = False
        self.deadline = float("inf")
        self.waited_from = 0.0
        self.attempt: Attempt | None = None
        self.beat: Beat | None = None
        self.rescue: Rescue | None = None
        self.is_chunked = visit.request.http_version == "1.1"
        self._is_in_gate = False
        self._sleep: asyncio.Future[bool] | None = None
        self.task: asyncio.Task[None] | None = None
        self.ticket: Ticket | None = None

    @property
    def request(self) -> Request:
        """The client's request."""
        return self.visit.request

    async def run(self) -> None:
        """Serve the request to its end."""
        try:
            if self.visit.admission.endpoint.kind in (MODELS, MODEL):
                await answer_models(self)
                return
            if self.core.gate.enter():
                self._is_in_gate = True
            else:
                await self._wait_at_gate()
            call = self.call = read_call(self.visit) or await read_call_slowly(
                self.core, self.visit
            )
            await self._serve(call)
        except RequestError as error:
            self._refuse(error)
        except asyncio.CancelledError as error:
            self._fail(CANCELLED if error.args else SHUT_DOWN)
            raise
        except Exception as error:  # noqa: BLE001 - a bug must not leave a client hanging
            self.core.on_bug(error)
            self._fail(None)
        finally:
            if self._is_in_gate:
                self.core.gate.leave()
            finish(self)
            # These refer back to the exchange; nothing should wait for the collector.
            self.beat = self.attempt = self.answered_by = self.rescue = None
            self.failures.clear()

    # plan

    async def _wait_at_gate(self) -> None:
        """Take a place among the requests in flight when one gets free shortly.

        Raises:
            RequestError: 503, there was none.
        """
        gate = self.core.gate
        left_s = self.core.client_deadline_of(self.visit) - self.core.loop.time()
        place = self._sleep = gate.wait(left_s)
        try:
            await place
        finally:  # it may be given in the very turn in which the request is cancelled
            self._is_in_gate = not place.cancelled() and place.done() and place.result()
        self._sleep = None
        if self._is_in_gate and not self.is_gone:
            return
        raise RequestError(
            503,
            "too many requests in flight (MAX_CONCURRENCY); try again shortly",
            code="overloaded",
        )

    async def _serve(self, call: Call) -> None:
        core = self.core
        routes = routes_of(core, call)
        if call.endpoint.kind is COUNT and routes[0].foreign:
            await answer_count(self, call)
            return
        now = core.loop.time()
        self.deadline = core.deadline_of(self.visit)
        if call.is_stream:
            self.beat = Beat(
                self.client,
                frame=call.format.keepalive,
                is_chunked=self.is_chunked,
                write_head=self._write_early_head,
                now=now,
            )
            if core.config.stream_rescue:
                self.rescue = rescue_of(call, routes)
        plan = self.plan = course_of(
            core.board, routes, call, deadline=self.deadline, config=core.retry
        )
        while not self.is_gone:
            step = plan.next(core.loop.time(), core.rng)
            if isinstance(step, Pick):
                attempt = await self.answer_from(plan, step, route_at(routes, plan))
                if attempt is not None:
                    await deliver(self, plan, attempt)
                    return
            elif isinstance(step, Wait):
                await self.wait(step)
            elif self.refused is not None and not plan.faults and step.reason == "no target left":
                raise self.refused
            else:
                refusal.answer_last_word(self, plan)
                return
        self.outcome = Outcome.CLIENT_GONE

    # attempt

    async def answer_from(self, plan: Course, pick: Pick, route: Route) -> Attempt | None:
        """Make an attempt; return it if it answered."""
        target = pick.target
        if target.id in route.foreign:
            translated = await begin_translated(self, plan, pick, route)
            if translated is None:
                return None
            attempt = translated
        else:
            attempt = begin(self, plan, pick, route.names.get(target.id))
        await attempt.settled
        return await self._judged(plan, attempt)

    async def _judged(self, plan: Course, attempt: Attempt) -> Attempt | None:
        """Decide whether an attempt answered; if not, learn from its fault."""
        if attempt.replays:
            note_replay(self, plan)
        if self.is_gone:
            self.note(attempt, CLIENT_GONE, None)
            plan.gone(attempt.target)
            return None
        core = self.core
        verdict = await judge(core, attempt.call, attempt)
        fault, signal = verdict.fault, verdict.signal
        if self._has_left():
            self.note(attempt, CLIENT_GONE, None)
            plan.gone(attempt.target)
            return None
        if fault is None:
            self.usage = verdict.usage
            return attempt
        other = await begin_mended(self, plan, attempt, verdict)
        if other is not None:
            await other.settled
            return await self._judged(plan, other)
        told = advice(attempt.fields, signal, wall_s=core.wall_ms() / 1000)
        cool_s = plan.failed(
            attempt.target,
            fault,
            core.loop.time(),
            advice=told,
            rng=core.rng,
            took_s=attempt.total_ms / 1000,
        )
        self.note(attempt, fault, signal, cool_s)
        self.failures.append((attempt, verdict))
        return None

    async def wait(self, step: Wait) -> None:
        """Wait as long as a step says, until a place is free, or for the client to leave."""
        loop = self.core.loop
        self.waited_from = self.waited_from or loop.time()
        sleep = self._sleep = loop.create_future()
        timer = loop.call_at(step.until, _wake, sleep)
        self.ticket = step.ticket
        if step.ticket is not None:
            step.ticket.on_call = partial(_wake, sleep)
        await sleep
        timer.cancel()
        self._sleep = None

    # finish

    def elapsed_ms(self) -> float:
        """Milliseconds since the request's head was read."""
        return (self.core.clock() - self.started) * 1000

    def stamp(self) -> answer.Stamp:
        """Return our own header fields as they stand."""
        visit = self.visit
        admission = visit.admission
        attempt = self.answered_by or self.attempt
        return answer.Stamp(
            request_id=visit.id,
            id_name=admission.id_name,
            attempts=self.plan.attempts if self.plan is not None else 0,
            upstream=attempt.target.upstream.name if attempt is not None else "",
            notice=admission.notice,
            origin=admission.origin,
            connection=self.connection_line(),
        )

    def connection_line(self) -> bytes:
        """Return the Connection field where the connection ends with this answer."""
        return b"connection: close\r\n" if self.client.will_close else b""

    @property
    def has_begun(self) -> bool:
        """Whether the client has its head already: errors must be told in-band."""
        return self.beat is not None and self.beat.has_begun

    def _write_early_head(self) -> None:
        stamp = self.stamp()
        stamp.upstream = ""
        self.status = 200
        self.client.write(answer.own_stream_head(stamp, is_chunked=self.is_chunked))

    def abandon(self) -> None:
        """End a request whose task was cancelled before its first step."""
        self._fail(SHUT_DOWN)
        finish(self)

    def _refuse(self, error: RequestError) -> None:
        if self.is_gone:
            self.outcome = Outcome.CLIENT_GONE
            return
        self.outcome = Outcome.REFUSED
        refusal.answer_refused(self, error)

    def _fail(self, fault: Fault | None) -> None:
        """End it for a reason of ours: shut-down, or a bug (None)."""
        self.drop(fault)
        self.outcome = Outcome.UPSTREAM_ERROR
        refusal.answer_failed(self, fault)

    def drop(self, fault: Fault | None) -> None:
        """Let go of the attempt under way for a reason of ours."""
        attempt = self.attempt
        if attempt is None:
            return
        if not attempt.is_over:
            attempt.abort(SHUT_DOWN)
            if attempt.replays and self.plan is not None:
                note_replay(self, self.plan)
        is_judged = attempt is self.answered_by or self.records[-1].fault is not None
        if fault is not None and not is_judged:
            self.note(attempt, fault, None)
        if self.plan is not None:
            self.plan.gone(attempt.target)

    def note(
        self,
        attempt: Attempt,
        fault: Fault | None,
        signal: Signal | None,
        cool_s: float | None = None,
    ) -> None:
        """Complete the attempt's entry in the record."""
        entry = self.records[-1]
        entry.status = attempt.status or None
        entry.connect_ms = attempt.connect_ms
        entry.first_byte_ms = attempt.first_byte_ms
        entry.total_ms = attempt.total_ms
        if fault is not None:
            entry.fault = fault.name
            entry.cost = fault.cost.name.lower()
            words = (signal.message if signal is not None else "") or attempt.reason
            entry.reason = self.core.redact(words)[:500] if words else None
            entry.cool_s = cool_s

    def _has_left(self) -> bool:
        return self.is_gone

    def on_gone(self) -> None:
        """The client hung up: let go of everything at once."""
        self.is_gone = True
        if self.attempt is not None:
            self.attempt.abort(CLIENT_GONE)
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(False)


def _wake(sleep: "asyncio.Future[bool]") -> None:
    if not sleep.done():
        sleep.set_result(True)
