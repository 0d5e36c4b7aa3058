"""Puts the turns of a conversation into the order that every upstream takes.

Results of tools follow their calls directly, all in one turn, before anything else that the user
says: the strictest format wants it so, and the others do not mind.
"""

from llm_proxy.domain.errors import RequestError

from .conversation import Block, Conversation, Document, Image, Text, ToolCall, ToolResult, Turn
from .passage import SPOKEN, Passage, wrong

REMINDER = "<system-reminder>\n{}\n</system-reminder>"
"""How a system message amid a conversation looks as a user's text."""


def settle_turns(conversation: Conversation, passage: Passage) -> None:
    """Bring results behind their calls and join what belongs together.

    Raises:
        RequestError: A system message holds more than text.
    """
    for turn in (*conversation.system, *conversation.turns):
        if turn.role == "system" and not all(isinstance(block, Text) for block in turn.blocks):
            raise wrong(f"{turn.path}.content", "text")
    turns = _behind_results(conversation.turns)
    joined: list[Turn] = []
    are_results = False  # the last turn holds results and nothing else
    for turn in turns:
        is_user = turn.role == "user"
        if are_results and is_user:
            joined[-1].blocks.extend(turn.blocks)
        else:
            joined.append(turn)
            are_results = is_user
        are_results = are_results and _is_results(turn)
    for turn in joined:
        if turn.role == "user":
            turn.blocks = _results_first(turn.blocks)
    conversation.turns = joined
    if not joined and conversation.system and passage.context.upstream == "messages":
        last = conversation.system.pop()
        conversation.turns = [Turn("user", last.blocks, last.path)]
        passage.change("input" if passage.context.client == "responses" else "messages")


def note_hints(conversation: Conversation, passage: Passage) -> None:
    """Note the cache hints that the OpenAI formats have no place for.

    Those of a Messages client have been noted where they were read; Messages has a place for all.
    """
    for turn in (*conversation.system, *conversation.turns):
        for block in turn.blocks:
            parts = block.parts if isinstance(block, ToolResult) else [block]
            for part in parts:
                if not isinstance(part, Text | Image | Document):
                    continue
                if part.cache is not None:
                    passage.ignore("cache_control")
                if part.mark is not None and (
                    passage.context.upstream == "chat" or turn.role != "user"
                ):
                    passage.ignore("prompt_cache_breakpoint")


def _is_results(turn: Turn) -> bool:
    return all(isinstance(block, ToolResult) for block in turn.blocks)


def _results_first(blocks: list[Block]) -> list[Block]:
    if not any(isinstance(block, ToolResult) for block in blocks):
        return blocks
    return [block for block in blocks if isinstance(block, ToolResult)] + [
        block for block in blocks if not isinstance(block, ToolResult)
    ]


def _behind_results(turns: list[Turn]) -> list[Turn]:
    """Move system messages that stand between calls and their results behind the last result."""
    if not any(turn.role == "system" for turn in turns):
        return turns
    found: list[Turn] = []
    at = 0
    while at < len(turns):
        turn = turns[at]
        at += 1
        found.append(turn)
        if not any(isinstance(block, ToolCall) for block in turn.blocks):
            continue
        end = at
        last = at  # one behind the last turn of results
        while end < len(turns) and turns[end].role != "assistant":
            end += 1
            if any(isinstance(block, ToolResult) for block in turns[end - 1].blocks):
                last = end
        between = turns[at:last]
        found += [item for item in between if item.role != "system"]
        found += [item for item in between if item.role == "system"]
        at = last
    return found


def text_of(turn: Turn) -> str:
    """Return all text of a turn, its pieces apart by a blank line."""
    return "\n\n".join(
        block.text for block in turn.blocks if isinstance(block, Text) and block.text
    )


def is_prefill(turn: Turn) -> bool:
    """Return whether a last turn is the beginning of an answer that is to be continued."""
    return turn.role == "assistant" and not any(
        isinstance(block, ToolCall) for block in turn.blocks
    )


def prefill_refusal(passage: Passage) -> RequestError:
    """Return the answer to a conversation whose last turn the upstream cannot continue."""
    return RequestError(
        400,
        f"'messages' must end with a user turn for model {passage.asked_model} "
        f"(upstream speaks {SPOKEN[passage.context.upstream]})",
        code="unsupported_parameter",
        param="messages",
    )
