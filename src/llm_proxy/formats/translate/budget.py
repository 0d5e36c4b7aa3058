"""How much of an answer may be held in memory: buffered calls, finished items, whole answers."""

from .errors import AnswerTooLargeError

MAX_HELD = 64 * 1024 * 1024
"""Characters. No model writes as much; a broken or hostile upstream does."""
_OBJECT = 64
"""What a held piece costs beside its text."""


class Budget:
    """What is left for one answer. What was taken is given back by its end."""

    __slots__ = ("_left",)

    def __init__(self, limit: int = MAX_HELD) -> None:
        self._left = limit

    def take(self, text: str) -> None:
        """Account for `text` that is going to be held.

        Raises:
            AnswerTooLargeError: There is no room left.
        """
        self._left -= len(text) + _OBJECT
        if self._left < 0:
            raise AnswerTooLargeError("the upstream's answer is too large to be translated")
