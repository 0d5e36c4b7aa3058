"""Looks beside a request whether an address that could not be reached can be reached again.

When, and what is learnt, is decided in `policy/look.py`. A look is a connection and no request:
no provider is asked anything, no record speaks of it, and the next request finds it open.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from llm_proxy.domain.faults import CANCELLED, Fault
from llm_proxy.domain.target import Target
from llm_proxy.net.dial import DialError
from llm_proxy.policy.slot import Address

if TYPE_CHECKING:
    from .core import Core


def look_at(core: "Core", targets: Iterable[Target]) -> None:
    """Begin to connect to those of `targets` to which nobody is connecting just now."""
    for target in targets:
        address = core.board.begin_look(target, core.loop.time())
        if address is not None:
            core.tasks.start(_look(core, target, address))


async def _look(core: "Core", target: Target, address: Address) -> None:
    fault: Fault | None = CANCELLED
    pool = core.pools[target]
    try:
        connection = await pool.open()
        fault = None
        pool.put(connection)
    except DialError as error:
        fault = error.fault
    finally:
        core.board.looked(address, fault, core.loop.time(), rng=core.rng)
