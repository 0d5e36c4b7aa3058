"""All waiting of one request: for the end of a ban, of a pause, or for a place at a full key.

One account of time for all of it (`max_wait_s`), as the client only feels the sum. Those who wait
for the same ban to end wake one after the other; those who wait for a place are called in the
order of their coming (`queue.py`).
"""

from .board import Board
from .choose import Line, Wait
from .queue import Ticket, offer
from .slot import Slot

LEAST_S = 0.001
"""Less time than this is not worth a place in a line."""


class Waiting:
    """What one request waits for and has waited.

    Attributes:
        at: Loop time at which the present wait began.
        lined_up_s: Seconds waited for places.
        wait: What is waited for; None = nothing.
        waited_s: Seconds waited in all.
    """

    __slots__ = ("_board", "_ticket", "at", "lined_up_s", "wait", "waited_s")

    def __init__(self, board: Board, waited_s: float) -> None:
        self._board = board
        self._ticket: Ticket | None = None
        self.at = 0.0
        self.lined_up_s = 0.0
        self.wait: Wait | None = None
        self.waited_s = waited_s

    def is_on(self, now: float) -> bool:
        """Whether there is nothing to do but wait on."""
        wait = self.wait
        if wait is None or now >= wait.until:
            return False
        return wait.ticket is None or wait.ticket.place is None

    def book(self, now: float) -> Slot | None:
        """End a wait whose time has come; return where a place was held until now.

        The place must be used or offered to the next at once. The ticket keeps its place in all
        other lines, as there may be nothing to be had yet.
        """
        wait, self.wait = self.wait, None
        if wait is None:
            return None
        self.waited_s += now - self.at
        if wait.ticket is None:
            return None
        self.lined_up_s += now - self.at
        return wait.ticket.take()

    def may_line_up(self) -> bool:
        """Whether there is time and room for (more) waiting in a line."""
        config = self._board.config
        left_s = min(config.line_s - self.lined_up_s, config.max_wait_s - self.waited_s)
        has_room = self._ticket is not None or self._board.queue.size < config.line_size
        return has_room and left_s > LEAST_S

    def begin(self, step: Wait | Line, now: float, deadline: float) -> Wait:
        """Take a place among those who wait for the same."""
        config, budget = self._board.config, self._board.budget
        longest = now + config.max_wait_s - self.waited_s
        self.at = now
        if isinstance(step, Line):
            ticket = self._ticket = self._ticket or self._board.queue.join()
            ticket.stand_behind(step.slots)
            lined_up = now + config.line_s - self.lined_up_s
            until = min(deadline, longest, lined_up, step.back_at)
            self.wait = Wait(until, "place", ticket=ticket)
            return self.wait
        self.leave_line()
        self.wait = step
        if step.is_retry:
            budget.pause(step.until)
        if step.why == "back-off":
            return step
        behind_s = budget.queue(step.until, now) * config.wake_gap_s
        spare_s = min(deadline, longest) - step.until
        # Half of the time that is left is for the attempt.
        self.wait = Wait(step.until + min(behind_s, spare_s / 2), step.why)
        return self.wait

    def leave_line(self) -> None:
        """Wait for a place no longer: one was found, or there will be none."""
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            ticket.leave()


def pass_on(held: Slot | None, used: Slot | None) -> None:
    """Offer a place that was held to the next in line, unless it is the one that gets used."""
    if held is not None and held is not used:
        offer(held)
