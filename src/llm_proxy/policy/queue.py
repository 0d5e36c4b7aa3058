"""Who waits for a place at keys that serve as many requests as they may, oldest first.

A request whose every usable target is full takes a ticket and stands in the line of each of them.
The first place that frees in one of these lines calls it, and is held for it until it has chosen:
nobody who comes later can slip in between. A request that then goes elsewhere, or has left,
passes the place on.

Invariant: no target has both room and somebody in its line who has not been called.
"""

from collections.abc import Callable, Iterable

from .slot import Slot


class Ticket:
    """One request's place in the lines.

    Attributes:
        is_over: It has left; lines that still hold it pass it by.
        number: Of those given out; lower ones came first.
        on_call: Told, within whatever freed the place, that the plan should be asked again.
        place: Where a place is held for it; None = not called.
    """

    __slots__ = ("_lines", "_queue", "is_over", "number", "on_call", "place")

    def __init__(self, queue: "Queue", number: int) -> None:
        self._queue = queue
        self.number = number
        self._lines: list[Slot] = []
        self.is_over = False
        self.on_call: Callable[[], None] = _nobody
        self.place: Slot | None = None

    def stand_behind(self, slots: Iterable[Slot]) -> None:
        """Stand in the line of each of `slots`, before those who came later."""
        for slot in slots:
            if slot in self._lines:
                continue
            line = slot.line
            while line and line[0].is_over:
                line.popleft()
            at = len(line)
            while at and line[at - 1].number > self.number:  # its key was not full before
                at -= 1
            line.insert(at, self)
            self._lines.append(slot)

    def call(self, slot: Slot) -> None:
        """Hold a place of `slot`, at the head of whose line it stood."""
        self._lines.remove(slot)
        if self.place is None:
            slot.hold(1)
            self.place = slot
            self.on_call()

    def take(self) -> Slot | None:
        """Return where a place was held and hold it no more: who calls this uses or offers it."""
        slot, self.place = self.place, None
        if slot is not None:
            slot.hold(-1)
        return slot

    def leave(self) -> None:
        """Give up waiting, and the place if there was one; may be called again."""
        self._queue.leave(self)


class Queue:
    """All who wait.

    Attributes:
        size: How many.
    """

    __slots__ = ("_given", "size")

    def __init__(self) -> None:
        self._given = 0
        self.size = 0

    def join(self) -> Ticket:
        """Return a new ticket."""
        self.size += 1
        self._given += 1
        return Ticket(self, self._given)

    def leave(self, ticket: Ticket) -> None:
        """Take a ticket back."""
        if ticket.is_over:
            return
        ticket.is_over = True
        ticket.on_call = _nobody
        self.size -= 1
        slot = ticket.take()
        if slot is not None:
            offer(slot)


def offer(slot: Slot) -> None:
    """Call those at the head of the line of `slot` while it has room. Calling it again is safe."""
    line = slot.line
    while line and not slot.is_full:
        ticket = line.popleft()
        if not ticket.is_over:
            ticket.call(slot)


def _nobody() -> None:
    """Tell nobody."""
