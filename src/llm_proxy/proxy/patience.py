"""How long an attempt is waited for, and what it is called when it took too long.

Many limits, one deadline of the connection: `arm` sets the soonest, `on_late` sees which it was.

    before content  the request's deadline; UPSTREAM_TIMEOUT_S to the head (JSON: to the end;
                    streams: to the first content); FIRST_TOKEN_TIMEOUT_S; SILENCE_S without an
                    event
    flowing         the client's own deadline; STREAM_IDLE_TIMEOUT_S without a byte; SILENCE_S
                    without an event; FAREWELL_S behind the last event
    passing unread  the client's own deadline; STREAM_IDLE_TIMEOUT_S without a byte
    always          the next keep-alive frame
"""

from typing import TYPE_CHECKING

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
        if relay is not None:
            due = min(due, relay.event_at + SILENCE_S)
        if attempt.first_token_s:
            due = min(due, attempt.sent_at + attempt.first_token_s)
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
    relay = attempt.relay
    if relay is None and now >= attempt.upstream_at:
        what = "the end of the answer" if attempt.mode is WHOLE else "an answer"
        attempt.abort(HEAD_LATE, f"no sign of {what} in time")
    elif now >= attempt.upstream_at:
        attempt.abort(FIRST_TOKEN_LATE, "no content within UPSTREAM_TIMEOUT_S")
    elif relay is not None and now >= relay.event_at + SILENCE_S:
        attempt.abort(SILENT, f"no event for {SILENCE_S:g} s")
    elif attempt.first_token_s and now >= attempt.sent_at + attempt.first_token_s:
        attempt.abort(FIRST_TOKEN_LATE, f"no content within {attempt.first_token_s:g} s")
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


def _passes_until(attempt: "Attempt") -> float:
    idle_s = attempt.target.upstream.timeouts.stream_idle_s
    return attempt.byte_at + idle_s if idle_s else NEVER


def _idle_at(attempt: "Attempt", relay: StreamRelay) -> float:
    if relay.watch.is_ended:
        return relay.byte_at + FAREWELL_S
    idle_s = attempt.target.upstream.timeouts.stream_idle_s
    return relay.byte_at + idle_s if idle_s else NEVER
