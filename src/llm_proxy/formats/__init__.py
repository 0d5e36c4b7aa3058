"""The dialects: how each is read, how errors are told in it, which paths speak it."""

from .chat import CHAT, OTHER
from .format import Format
from .messages import MESSAGES
from .responses import RESPONSES

__all__ = ["CHAT", "MESSAGES", "OTHER", "RESPONSES", "format_named"]

_FORMATS = {format_.name: format_ for format_ in (CHAT, MESSAGES, RESPONSES, OTHER)}


def format_named(name: str) -> Format:
    """Return the format called `chat`, `messages`, `responses` or `other`."""
    return _FORMATS[name]
