"""Says once that a signal does not arrive at its collector, and once that it does again."""

import logging

_log = logging.getLogger("llm_proxy.otel")


class Delivery:
    """What is known of one signal's way.

    Args:
        what: Its name in a sentence: `spans`.
    """

    __slots__ = ("_is_broken", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_broken = False

    def went(self, *, well: bool) -> None:
        """Note how a delivery went."""
        if well and self._is_broken:
            _log.info("%s reach the collector again", self._what)
        elif not well and not self._is_broken:
            _log.warning("%s do not reach the collector and are lost", self._what)
        self._is_broken = not well
