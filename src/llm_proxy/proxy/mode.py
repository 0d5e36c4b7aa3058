"""How an answer's body is treated."""

from enum import IntEnum


class Mode(IntEnum):
    """What kind of body is awaited."""

    NONE = 0
    """No head has come."""
    WHOLE = 1
    """Held to its end, then judged."""
    STREAM = 2
    """Events, held until the first content."""
    PASS = 3
    """Passed on unread as it comes."""


NONE, WHOLE, STREAM, PASS = Mode
