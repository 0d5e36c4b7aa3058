"""What the way up remembers for the way back."""

from typing import Any

import msgspec


class ToolOrigin(msgspec.Struct, frozen=True):
    """What a tool is to the client, by the name under which the upstream knows it.

    Attributes:
        name: The client's name for it.
        namespace: The namespace it was flattened from; None = none.
        is_custom: It is a freeform tool: its input is plain text, not JSON.
    """

    name: str
    namespace: str | None = None
    is_custom: bool = False


class Context(msgspec.Struct, kw_only=True):
    """One translated request, as its answer must see it.

    Attributes:
        client: The client's format: `chat`, `messages`, `responses`.
        upstream: The upstream's.
        model: The name sent up, for answers that name none.
        is_stream: Whether the client wants a stream.
        wants_usage: Whether a chat client asked for the usage chunk.
        tools: By the name sent up; a tool that is missing here keeps its name.
        is_legacy_functions: The client speaks `functions`/`function_call`.
        stop_sequences: The client's, to tell which of them was met.
        shows_reasoning: Whether reasoning text is shown to the client.
        prefill: The text a Messages client wants continued; an upstream that repeats it is cut.
        echo: Request fields that a Responses answer repeats.
        input_tokens: About how many tokens the request holds, for clients whose format requires a
            count of every answer.
        think_tags: Whether `<think>…</think>` in the text is reasoning.
        notes: What was `ignored=`, `dropped=`, `changed=`, `added=`, `estimated=`, in order, each
            once; answers add to it.
    """

    client: str
    upstream: str
    model: str = ""
    is_stream: bool = False
    wants_usage: bool = False
    tools: dict[str, ToolOrigin] = msgspec.field(default_factory=dict)
    is_legacy_functions: bool = False
    stop_sequences: tuple[str, ...] = ()
    shows_reasoning: bool = True
    prefill: str = ""
    echo: dict[str, Any] = msgspec.field(default_factory=dict)
    input_tokens: int = 0
    think_tags: bool = False
    notes: dict[str, None] = msgspec.field(default_factory=dict)

    def note(self, verb: str, path: str) -> None:
        """Remember that `path` of the request was not carried as it stands.

        Args:
            verb: `ignored`, `dropped`, `changed`, `added` or `estimated`.
            path: `seed`, `messages.3.name`.
        """
        self.notes[f"{verb}={path}"] = None


class Translated(msgspec.Struct, frozen=True):
    """A request in the upstream's format.

    Attributes:
        body: JSON.
        context: For the way back.
    """

    body: bytes
    context: Context
