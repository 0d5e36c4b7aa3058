"""The neutral form that every request passes through between two formats.

Readers (`read_*.py`) build it from a client's body, writers (`write_*.py`) make an upstream's body
of it; so there are three readers and three writers, not six translators. It holds what two of the
formats share; what only one of them knows is settled by the table of `fields.py` before.

JSON values (schemas, numbers) are as `literal.py` reads them: numbers keep their spelling. A tool
call's arguments are the text they are in the chat format.

`path` says where a thing stands in the client's body, for the tokens and refusals that name it.
"""

from typing import Any

import msgspec


class Text(msgspec.Struct):
    """Text of a user, a system message, an assistant or a tool.

    Attributes:
        cache: What Messages calls `cache_control`; None = none.
        mark: What the OpenAI formats call `prompt_cache_breakpoint`; None = none.
    """

    text: str
    cache: Any = None
    mark: Any = None


class Image(msgspec.Struct):
    """A picture.

    Attributes:
        url: An http(s) address, or a `data:` URL.
        detail: How closely it is looked at; empty = not said.
        path: For refusals.
        cache: See `Text`.
        mark: See `Text`.
    """

    url: str
    detail: str = ""
    path: str = ""
    cache: Any = None
    mark: Any = None


class Document(msgspec.Struct):
    """A file to read.

    Attributes:
        url: An http(s) address, a `data:` URL, or what a client sent instead of one.
        title: Its name; empty = none given.
        path: For refusals.
        cache: See `Text`.
        mark: See `Text`.
    """

    url: str
    title: str = ""
    path: str = ""
    cache: Any = None
    mark: Any = None


class Reasoning(msgspec.Struct):
    """Earlier reasoning that a client sends back.

    Attributes:
        text: What can be read of it; may be empty.
        kind: What it was where it was made: `field` (a field of a chat message), `details` (the
            list `reasoning_details`), `blocks` (signed Messages blocks), `item` (a Responses
            item), `foreign` (of no known upstream).
        data: The field's name, the list, the blocks, the item; None for `foreign`.
        path: For notes.
    """

    text: str
    kind: str
    data: Any = None
    path: str = ""


class ToolCall(msgspec.Struct):
    """An assistant's call.

    Attributes:
        id: As the client knows it, extras split off.
        name: The client's name of the tool.
        arguments: JSON text, or a custom tool's input.
        namespace: The tool's namespace; None = none.
        is_custom: `arguments` is plain text.
        extra: What a chat upstream wants back with the call (`extra_content`); None = nothing.
        path: For notes.
    """

    id: str
    name: str
    arguments: str
    namespace: str | None = None
    is_custom: bool = False
    extra: Any = None
    path: str = ""


class ToolResult(msgspec.Struct):
    """What a tool gave back.

    Attributes:
        id: Of its call.
        parts: What it says and shows.
        is_list: The client sent a list of parts, not a string.
        is_error: The tool failed.
    """

    id: str
    parts: list[Text | Image | Document]
    is_list: bool = False
    is_error: bool = False


Part = Text | Image | Document
Block = Text | Image | Document | Reasoning | ToolCall | ToolResult


class Turn(msgspec.Struct):
    """One message.

    Attributes:
        role: `user`, `assistant`, or `system` (also what others call `developer`).
        blocks: In the client's order.
        path: `messages.3`, `input.7`.
    """

    role: str
    blocks: list[Block]
    path: str = ""


class Tool(msgspec.Struct):
    """A tool that the client runs.

    Attributes:
        name: The client's.
        description: None = none given.
        schema: Of its input; None = none given.
        is_strict: Its input must fit the schema.
        namespace: The namespace it stands in; None = none.
        is_custom: Its input is plain text.
        grammar: Syntax and definition of that text; None = any.
        cache: See `Text`.
        path: For notes.
    """

    name: str
    description: str | None = None
    schema: Any = None
    is_strict: bool = False
    namespace: str | None = None
    is_custom: bool = False
    grammar: tuple[str, str] | None = None
    cache: Any = None
    path: str = ""


class ProviderTool(msgspec.Struct):
    """A tool that the provider would run, or whose input only its own models know.

    Attributes:
        kind: Its type: `web_search_20250305`.
        name: What a tool choice calls it.
        path: For notes.
    """

    kind: str
    name: str
    path: str


class Choice(msgspec.Struct):
    """Which tools the model may or must call.

    Attributes:
        mode: `auto`, `none`, `required`, or `tool` (the one of `names`).
        names: For `tool` the one; for the others, where not empty, all that may be called. Each
            with its namespace, None where it has none.
    """

    mode: str
    names: list[tuple[str, str | None]] = []


class AnswerFormat(msgspec.Struct):
    """What the answer has to look like.

    Attributes:
        kind: `json_schema` or `json_object`.
        path: For notes.
        schema: For `json_schema`.
        name: Of the schema.
        description: Of the schema.
        strict: Whether the schema binds; None = not said.
    """

    kind: str
    path: str
    schema: Any = None
    name: str = "output"
    description: str | None = None
    strict: bool | None = None


class Effort(msgspec.Struct):
    """How much the model is to reason.

    Attributes:
        path: Of the field that says so.
        level: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`; empty = not said.
        budget: Tokens allowed for it; 0 = not said.
        is_adaptive: The model decides, as far as `level` does not.
        is_off: No reasoning is wanted.
        summary: What is to be shown of it: a word of the Responses format; empty = nothing said.
    """

    path: str
    level: str = ""
    budget: int = 0
    is_adaptive: bool = False
    is_off: bool = False
    summary: str = ""


class Conversation(msgspec.Struct):
    """A whole request.

    Attributes:
        system: The system messages before everything else.
        turns: Everything else, in order.
        tools: Those the client runs.
        provider_tools: Those it does not.
        choice: None = not said.
        is_parallel: Whether several tools may be called at once.
        max_tokens: None = not said.
        temperature: None = not said.
        top_p: None = not said.
        top_k: None = not said.
        stop: Texts that end the answer.
        effort: None = not said.
        answer_format: None = text.
        user: Who asks, for the provider; empty = not said.
        verbosity: None = not said.
        top_logprobs: How many alternatives each token shows; None = no probabilities are wanted.
        same: Fields that the upstream knows by the same name and meaning.
    """

    system: list[Turn] = []
    turns: list[Turn] = []
    tools: list[Tool] = []
    provider_tools: list[ProviderTool] = []
    choice: Choice | None = None
    is_parallel: bool = True
    max_tokens: Any = None
    temperature: Any = None
    top_p: Any = None
    top_k: Any = None
    stop: list[str] = []
    effort: Effort | None = None
    answer_format: AnswerFormat | None = None
    user: str = ""
    verbosity: Any = None
    top_logprobs: Any = None
    same: dict[str, Any] = {}
