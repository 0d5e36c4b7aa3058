"""Where the text of another upstream joins the text that a client has already.

Asked to go on with a text, an upstream either does, or begins it all over. Both look alike at
first, so nothing passes until it is clear which it is:

    prefilled   the text stood in the request as the beginning of the answer: what comes is its
                continuation, unless it repeats that text from its first character to its last
    from scratch   nothing but the whole text again, character by character, proves that what
                follows belongs to it
"""

from llm_proxy.domain.faults import TEXT_DIFFERS

from .format import RewriteError


class Seam:
    """Lets new text pass as far as it is known to follow the old one.

    Cost: one comparison per piece until it is decided, nothing afterwards.
    """

    __slots__ = ("_at", "_gap", "_held", "_is_joined", "_is_prefilled", "_is_repeating", "_sent")

    def __init__(self, sent: str, *, prefilled: str | None) -> None:
        """Start with the first piece of new text.

        Args:
            sent: What the client has.
            prefilled: What of it stood in the request: all, or all but the blanks at its end;
                None = nothing, the upstream is to begin from scratch.
        """
        self._sent = sent
        self._is_prefilled = prefilled is not None
        self._gap = sent[len(prefilled) :] if prefilled is not None else ""
        self._at = 0
        self._held = ""
        self._is_repeating = True
        self._is_joined = False

    def feed(self, text: str) -> str:
        """Return what may pass now.

        Raises:
            RewriteError: It is another text.
        """
        if self._is_joined:
            return text
        if not self._is_repeating:
            return self._join(self._held + text)
        left = len(self._sent) - self._at
        if not self._sent.startswith(text[:left], self._at):
            if not self._is_prefilled:
                raise _differs()
            self._is_repeating = False
            return self._join(self._sent[: self._at] + text)
        if len(text) < left:
            self._at += len(text)
            return ""
        self._is_joined = True
        return text[left:]

    def end(self) -> str:
        """Return what was held: no more comes, so it repeats nothing.

        Raises:
            RewriteError: The text so far was not repeated to its end.
        """
        if self._is_joined:
            return ""
        if not self._is_prefilled:
            raise _differs()
        self._is_joined = True
        held = self._sent[: self._at] if self._is_repeating else self._held
        return held.removeprefix(self._gap)

    def _join(self, new: str) -> str:
        """Pass the continuation on; the blanks that were kept from the request may come again."""
        gap = self._gap
        if len(new) < len(gap) and gap.startswith(new):
            self._held = new
            return ""
        self._is_joined = True
        return new.removeprefix(gap)


def _differs() -> RewriteError:
    return RewriteError(TEXT_DIFFERS, "the answer from scratch is another one")
