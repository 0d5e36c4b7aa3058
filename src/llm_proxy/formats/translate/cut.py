"""Takes out of a chat upstream's text what is not the answer's text.

Some upstreams write their reasoning into the text, between tags; some repeat the beginning that
they were asked to continue. Both may be cut anywhere by a stream, so a piece of text that could
still become either is held back.
"""

_OPENING = "<think>"
_CLOSING = "</think>"


class ThinkTags:
    """Tells `<think>…</think>` from the text around it."""

    __slots__ = ("_held", "_is_after", "_is_inside")

    def __init__(self) -> None:
        self._held = ""
        self._is_inside = False
        self._is_after = True

    def feed(self, text: str) -> list[tuple[bool, str]]:
        """Return what `text` completes, as pairs of "is reasoning" and text, none empty."""
        found: list[tuple[bool, str]] = []
        text = self._held + text
        while True:
            before, tag, after = text.partition(_CLOSING if self._is_inside else _OPENING)
            if not tag:
                break
            self._add(before, found)
            self._is_inside = not self._is_inside
            self._is_after = True
            text = after
        self._held = _beginning_of(_CLOSING if self._is_inside else _OPENING, text)
        self._add(text[: len(text) - len(self._held)], found)
        return found

    def end(self) -> list[tuple[bool, str]]:
        """Return what was held back."""
        found: list[tuple[bool, str]] = []
        self._add(self._held, found)
        self._held = ""
        return found

    def _add(self, text: str, found: list[tuple[bool, str]]) -> None:
        if self._is_after:  # line breaks around the tags and at the start say nothing
            text = text.lstrip("\n")
            self._is_after = not text
        if text:
            found.append((self._is_inside, text))


def _beginning_of(tag: str, text: str) -> str:
    """Return the longest end of `text` with which `tag` begins."""
    for length in range(min(len(tag) - 1, len(text)), 0, -1):
        if text.endswith(tag[:length]):
            return text[-length:]
    return ""


class Prefill:
    """Cuts a repeated beginning off the text.

    Args:
        expected: The beginning; empty = nothing is cut.
    """

    __slots__ = ("_expected", "_held")

    def __init__(self, expected: str) -> None:
        self._expected = expected
        self._held = ""

    def feed(self, text: str) -> str:
        """Return what of `text` is sure not to be the beginning; may be empty."""
        if not self._expected:
            return text
        text = self._held + text
        if len(text) < len(self._expected) and self._expected.startswith(text):
            self._held = text
            return ""
        expected, self._expected, self._held = self._expected, "", ""
        return text.removeprefix(expected)

    def end(self) -> str:
        """Return what was held back."""
        held, self._held, self._expected = self._held, "", ""
        return held
