"""Who made what: which target is asked about a stored response, a file, a batch, by its id.

What a provider keeps is known only at the address and under the key that made it, so follow-ups
go there and nowhere else. The newest few thousand ids are remembered, here and in the store; an
id that is used stays, so that a file outlives the many responses that come after it.

With an id goes the access key it was made for. All access keys share the providers' keys, so
without that anybody who learns an id could read another caller's stored answer.
"""

from collections.abc import Callable, Iterable

from llm_proxy.domain.made import Made

MAX_IDS = 10_000
"""About 3 MB; at ten stored answers a minute two thirds of a day, and used ones stay longer."""
REFRESH_MS = 3_600_000
"""An id in use is written down again this often, or the store would let it go."""


class Makers:
    """The ids, the last used one last.

    Args:
        save: Takes what should outlive a restart.

    Attributes:
        has_files: Whether any file is remembered; prompts need not be scanned for them else.
    """

    __slots__ = ("_made", "_save", "has_files")

    def __init__(self, save: Callable[[Made], None]) -> None:
        self._save = save
        self._made: dict[str, Made] = {}
        self.has_files = False

    def restore(self, made: Iterable[Made]) -> None:
        """Take up what was saved, oldest first."""
        for one in made:
            self._put(one)

    def add(self, made: Made) -> None:
        """Remember who made something; what is known already is not written again so soon."""
        known = self._made.get(made.id)
        if (
            known is not None
            and (known.target, known.caller) == (made.target, made.caller)
            and made.at_ms - known.at_ms < REFRESH_MS
        ):
            return
        self._put(made)
        self._save(made)

    def find(self, id_: str, at_ms: int) -> Made | None:
        """Return who made it, or None; `at_ms` is the wall clock."""
        made = self._made.get(id_)
        if made is None:
            return None
        if at_ms - made.at_ms >= REFRESH_MS:
            made = Made(id_, made.target, made.caller, at_ms)
            self._save(made)
        self._put(made)
        return made

    def _put(self, made: Made) -> None:
        self._made.pop(made.id, None)  # to the end of the order
        self._made[made.id] = made
        if made.id.startswith("file"):
            self.has_files = True
        if len(self._made) > MAX_IDS:
            del self._made[next(iter(self._made))]
