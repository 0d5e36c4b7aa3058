"""Who finds out whether an address that could not be reached can be reached again.

The request of a client, where nobody else can serve it: it has nothing to lose. Else a bare
connection beside the request, which goes to somebody who is well: a black hole answers nothing for
the whole connect time, and no client should pay for that once every few seconds.

A connection proves no more than that somebody accepts connections. So behind it one request
probes, as it does everywhere else, before all others come; it finds the connection open, and pays
for nothing.
"""

from collections.abc import Callable, Sequence

from llm_proxy.domain.faults import Fault, Mark
from llm_proxy.domain.target import Target

from .breaker import CLOSED, HALF_OPEN
from .retry import RetryConfig
from .slot import Address, Slot


def set_apart(
    probes: Sequence[Slot], priority: int, now: float
) -> tuple[list[Slot], tuple[Target, ...]]:
    """Return which of `probes` a request may try, and at which connections should look.

    Args:
        probes: Half-open targets that somebody else could stand in for.
        priority: Of who would serve the request otherwise; what comes behind it is not tried.
        now: Loop time.
    """
    asked: list[Slot] = []
    looks: dict[str, Target] = {}
    for slot in probes:
        if slot.priority > priority:
            continue
        address = slot.address
        if address.is_reached or address.breaker.state(now) is CLOSED:
            asked.append(slot)
        else:
            looks.setdefault(address.name, slot.target)
    return asked, tuple(looks.values())


def begin(address: Address, now: float) -> bool:
    """Begin a look, unless one is under way or there is nothing to find out any more."""
    if address.is_probing or address.is_reached or address.breaker.state(now) is not HALF_OPEN:
        return False
    address.is_probing = True
    return True


def end(
    address: Address,
    fault: Fault | None,
    now: float,
    *,
    rng: Callable[[], float],
    config: RetryConfig,
) -> None:
    """Learn from a look: None = connected; a fault that is not of the address says nothing."""
    address.is_probing = False
    if fault is None:
        address.reached = address.breaker.until
    elif fault.mark is Mark.ADDRESS:
        address.breaker.failed(fault, now, rng=rng, config=config)
