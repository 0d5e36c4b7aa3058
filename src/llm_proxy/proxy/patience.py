"""How long an attempt is waited for, and what it is called when it took too long.

Many limits, one deadline of the connection: `arm` sets the soonest, `on_late` sees which it was.

    before content  the request's deadline; UPSTREAM_TIMEOUT_S to the head (JSON: to the end;
                    streams: to the first content); FIRST_TOKEN_TIMEOUT_S while somebody else is
                    left; where a stream was asked for, SILENCE_S without an event, head or none
    flowing         the client's own deadline; STREAM_IDLE_TIMEOUT_S without a byte; SILENCE_S
                    without an event; FAREWELL_S behind the last event
    passing unread  the client's own deadline; STREAM_IDLE_TIMEOUT_S without a byte
    always          the next keep-alive frame
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from llm_proxy.domain.faults import DEADLINE, FIRST_TOKEN_LATE, HEAD_LATE, SILENT

from .mode import WHOLE
from .relay import StreamRelay

if TYPE_CHECKING:
    from .attempt import Attempt

SILENCE_S = 200.0
"""Agents give up after 240 s without an event; before that the proxy ends it itself."""
FAREWELL_S = 2.0
"""Behind the terminal event the connection may still end properly; longer is not waited."""
NEVER = float("inf")


class FirstToken(msgspec.Struct, frozen=True):
    """How long a stream's first content is waited for, if there is a choice.

    Attributes:
        limit_s: Seconds from the request on.
        has_alternative: Whether, at a loop time, somebody else could be asked at once. Only when
            the limit passes is that known: others get full, limited or free meanwhile.
    """

    limit_s: float
    has_alternative: Callable[[float], bool]


def arm(attempt: "Attempt", now: float) -> None:
    """Set the connection's deadline to the soonest of all that matter now."""
    connection = attempt.connection
    if connection is None:
        return
    relay = attempt.relay
    due = attempt.deadline
    sent_at = 0.0
    if attempt.client is None:
        due = min(due, attempt.upstream_at)
        if relay is not None or attempt.beat is not None:
            due = min(due, _silent_at(attempt))
        if attempt.first_token is not None:
            due = min(due, attempt.sent_at + attempt.first_token.limit_s)
    elif relay is not None:
        due = min(due, relay.event_at + SILENCE_S, _idle_at(attempt, relay))
        sent_at = relay.sent_at
    else:
        due = min(due, _passes_until(attempt))
    if attempt.beat is not None:
        due = min(due, attempt.beat.next_at(sent_at))
    if due == NEVER:
        connection.clear_due()
    else:
        connection.set_due(max(due, now))


def on_late(attempt: "Attempt", now: float) -> None:
    """React to a deadline that passed."""
    if now >= attempt.deadline:
        attempt.abort(DEADLINE, "the request's time is used up")
    elif attempt.client is None:
        _on_late_before_content(attempt, now)
    elif attempt.relay is not None:
        _on_late_flowing(attempt, attempt.relay, now)
    else:
        _on_late_passing(attempt, now)


def _on_late_before_content(attempt: "Attempt", now: float) -> None:
    relay, first = attempt.relay, attempt.first_token
    if relay is None and now >= attempt.upstream_at:
        what = "the end of the answer" if attempt.mode is WHOLE else "an answer"
        attempt.abort(HEAD_LATE, f"no sign of {what} in time")
    elif now >= attempt.upstream_at:
        attempt.abort(FIRST_TOKEN_LATE, "no content within UPSTREAM_TIMEOUT_S")
    elif (relay is not None or attempt.beat is not None) and now >= _silent_at(attempt):
        attempt.abort(SILENT, f"no event for {SILENCE_S:g} s")
    elif first is not None and now >= attempt.sent_at + first.limit_s:
        if first.has_alternative(now):
            attempt.abort(FIRST_TOKEN_LATE, f"no content within {first.limit_s:g} s")
        else:
            attempt.first_token = None
            arm(attempt, now)
    else:
        if attempt.beat is not None:
            attempt.beat.on_time(now, 0.0)
        arm(attempt, now)


def _on_late_flowing(attempt: "Attempt", relay: StreamRelay, now: float) -> None:
    connection = attempt.connection
    if connection is None:
        return
    if connection.is_paused:
        # The client is slow, not the upstream: no blame, and no frame would get through.
        relay.byte_at = relay.event_at = now
        arm(attempt, now)
    elif relay.watch.is_ended and now >= relay.byte_at + FAREWELL_S:
        connection.abort()
        relay.stop(None, "")
    elif now >= relay.event_at + SILENCE_S:
        attempt.abort(SILENT, f"no event for {SILENCE_S:g} s")
    elif now >= _idle_at(attempt, relay):
        attempt.abort(SILENT, "no byte for STREAM_IDLE_TIMEOUT_S")
    else:
        if attempt.beat is not None:
            attempt.beat.on_time(now, relay.sent_at)
        arm(attempt, now)


def _on_late_passing(attempt: "Attempt", now: float) -> None:
    connection = attempt.connection
    if connection is not None and connection.is_paused:
        attempt.byte_at = now
    if now >= _passes_until(attempt):
        attempt.abort(SILENT, "no byte for STREAM_IDLE_TIMEOUT_S")
    else:
        arm(attempt, now)


def _silent_at(attempt: "Attempt") -> float:
    """Return when a stream without content has been silent for too long, its head included."""
    relay = attempt.relay
    return (attempt.sent_at if relay is None else relay.event_at) + SILENCE_S


def _passes_until(attempt: "Attempt") -> float:
    idle_s = attempt.target.upstream.timeouts.stream_idle_s
    return attempt.byte_at + idle_s if idle_s else NEVER


def _idle_at(attempt: "Attempt", relay: StreamRelay) -> float:
    if relay.watch.is_ended:
        return relay.byte_at + FAREWELL_S
    idle_s = attempt.target.upstream.timeouts.stream_idle_s
    return relay.byte_at + idle_s if idle_s else NEVER
