"""What all readers and writers of one translation share: its notes, its refusals, its names.

A field that cannot be carried is noted (`ignored=`, `dropped=`, `changed=`) or refused. What is
content or a guarantee is refused, a preference is dropped, a hint is ignored. A strict client wants
nothing dropped: then a drop is a refusal.
"""

from collections.abc import Iterator
from typing import Any

from llm_proxy.domain.errors import RequestError
from llm_proxy.domain.knobs import Knobs

from .context import Context
from .names import Names

_MOST_NOTES = 200
_LONGEST_NAME = 64
SPOKEN = {
    "chat": "openai-chat-completions",
    "messages": "anthropic-messages",
    "responses": "openai-responses",
}
"""What refusals call the upstream's format."""


class Passage:
    """One request on its way from the client's format to the upstream's.

    Attributes:
        context: What is remembered for the answer; notes go there.
        knobs: How the upstream wants it.
        names: What the upstream calls tools and calls.
        asked_model: The name the client used, for messages.
        host_is_openai: The upstream is OpenAI itself.
    """

    __slots__ = ("_is_strict", "asked_model", "context", "host_is_openai", "knobs", "names")

    def __init__(
        self,
        context: Context,
        knobs: Knobs,
        *,
        asked_model: str,
        is_strict: bool,
        host_is_openai: bool,
    ) -> None:
        self.context = context
        self.knobs = knobs
        self.names = Names(context, knobs)
        self.asked_model = asked_model
        self.host_is_openai = host_is_openai
        self._is_strict = is_strict

    def ignore(self, path: str) -> None:
        """Note that a hint without influence on the answer is left out."""
        self._note("ignored", path)

    def drop(self, path: str, what: str = "") -> None:
        """Note that a preference is left out.

        Args:
            path: Of the field.
            what: What lies in it, for a strict client's refusal.

        Raises:
            RequestError: The client is strict.
        """
        if self._is_strict:
            raise self.refusal(path, what)
        self._note("dropped", path)

    def change(self, path: str) -> None:
        """Note that something is carried in another shape."""
        self._note("changed", path)

    def add(self, path: str) -> None:
        """Note that the upstream demands a field which the client did not send."""
        self._note("added", path)

    def _note(self, verb: str, path: str) -> None:
        if len(self.context.notes) < _MOST_NOTES:
            self.context.note(verb, path)

    def refusal(self, path: str, what: str = "", *, code: str = "") -> RequestError:
        """Return the answer to content or a guarantee that cannot be carried."""
        return RequestError(
            400,
            f"'{path}'{' ' + what if what else ''} is not supported for model "
            f"{self.asked_model} (upstream speaks {SPOKEN[self.context.upstream]})",
            code=code or "unsupported_parameter",
            param=path,
        )

    def text(self, value: Any, path: str) -> str:
        """Return a string, or raise a refusal that names `path`."""
        if not isinstance(value, str):
            raise wrong(path, "a string")
        return value

    def object(self, value: Any, path: str) -> dict[str, Any]:
        """Return a JSON object, or raise a refusal that names `path`."""
        if not isinstance(value, dict):
            raise wrong(path, "an object")
        return value

    def objects(self, value: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the objects of a list with their paths; raise where it is no such list."""
        if not isinstance(value, list):
            raise wrong(path, "a list")
        for at, item in enumerate(value):
            inner = f"{path}.{at}"
            if not isinstance(item, dict):
                raise wrong(inner, "an object")
            yield inner, item

    def rest(self, found: dict[str, Any], known: frozenset[str], path: str) -> None:
        """Drop what nobody has read of an object inside the conversation.

        Args:
            found: The object.
            known: The fields that were dealt with.
            path: What the tokens begin with: `messages`.
        """
        if found.keys() <= known:
            return
        for name, value in found.items():
            if name not in known and value is not None and value not in ([], {}):
                self.drop(f"{path}.{spelt(name)}")


def wrong(path: str, expected: str) -> RequestError:
    """Return the answer to a field of the wrong type."""
    return RequestError(400, f"'{path}' must be {expected}", code="invalid_type", param=path)


def spelt(name: str) -> str:
    """Return a client's name of a field as it may stand in a header and a log."""
    return "".join(
        sign if "!" <= sign <= "~" and sign != "," else "?" for sign in name[:_LONGEST_NAME]
    )


def said(**fields: Any) -> dict[str, Any]:
    """Return the fields that are not None, in the order given."""
    return {name: value for name, value in fields.items() if value is not None}
