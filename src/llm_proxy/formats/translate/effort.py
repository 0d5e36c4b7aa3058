"""How much a model is to reason: read from each format, said in each upstream's own words.

Chat and Responses name a level; Messages knows a budget of tokens (older models) or a level with
the model deciding (newer ones), and refuses the style that a model does not know. Chat upstreams
differ most: some take a level, some a switch, some a budget.
"""

import re
from typing import Any

from .conversation import Conversation, Effort, Reasoning, ToolResult
from .history import signed_blocks
from .literal import number
from .passage import Passage, wrong

LEVELS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_BUDGETS = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 49152,
}
_SMALLEST_BUDGET = 1024
_OFF: dict[str, dict[str, Any]] = {
    "deepseek": {"thinking": {"type": "disabled"}},
    "qwen": {"enable_thinking": False},
    "openrouter": {"reasoning": {"enabled": False}},
}
"""How a chat upstream that knows no level `none` is told to answer at once."""
_OLD = re.compile(r"claude-(?:[12]\b|instant|3-(?!7))")
_BY_BUDGET = re.compile(r"claude-(?:3-7|opus-4-[0125]|sonnet-4-|haiku-4-)")


def read_level(value: Any, path: str, passage: Passage) -> Effort | None:
    """Read a level, as chat (`reasoning_effort`) and Responses (`reasoning.effort`) name it."""
    if value is None:
        return None
    level = passage.text(value, path)
    if level not in LEVELS:
        passage.drop(path, f"'{level}'")
        return None
    return Effort(path, level=level, is_off=level == "none")


def read_thinking(body: dict[str, Any], passage: Passage) -> Effort | None:
    """Read `thinking` and `output_config.effort` of a Messages request."""
    config = passage.object(body.get("output_config") or {}, "output_config")
    said = read_level(config.get("effort"), "output_config.effort", passage)
    value = body.get("thinking")
    if value is None:
        return said
    value = passage.object(value, "thinking")
    kind = value.get("type")
    shown = value.get("display")
    passage.context.shows_reasoning = shown != "omitted"
    found = said or Effort("thinking")
    found.summary = "" if shown == "omitted" else "auto"
    if kind == "enabled":
        budget = number(value.get("budget_tokens"))
        if not isinstance(budget, int):
            raise wrong("thinking.budget_tokens", "a whole number")
        found.budget = max(budget, 1)
    elif kind == "adaptive":
        found.is_adaptive = True
    elif kind == "disabled":
        return Effort("thinking", is_off=True)
    elif kind == "between_tools":
        passage.drop("thinking", "of type 'between_tools'")
        return said
    else:
        raise passage.refusal("thinking", f"of type '{kind}'" if isinstance(kind, str) else "")
    return found


def level_of(effort: Effort) -> str:
    """Return the level that comes nearest to what was asked for; empty = nothing was."""
    if effort.level or not effort.budget:
        return effort.level
    if effort.budget < 4096:
        return "low"
    return "medium" if effort.budget < 16384 else "high"


def to_chat(effort: Effort | None, passage: Passage) -> dict[str, Any]:
    """Return the fields by which a chat upstream is asked for reasoning."""
    if effort is None:
        return {}
    level = level_of(effort)
    is_off = effort.is_off or level == "none"
    style = passage.knobs.reasoning_request
    if not level and not is_off:
        return {}
    if style == "none":
        if level:
            passage.drop(effort.path)
        return {}
    if style == "effort":
        return {"reasoning_effort": level} if level else {}
    if is_off:
        return dict(_OFF[style])
    if style == "openrouter":
        by_budget = effort.budget and not effort.level
        return {"reasoning": {"max_tokens": effort.budget} if by_budget else {"effort": level}}
    if style == "qwen":
        budget = _BUDGETS[level] if effort.level else effort.budget
        return {"enable_thinking": True, "thinking_budget": budget}
    passage.change(effort.path)  # a switch has no levels
    return {"thinking": {"type": "enabled"}}


def to_responses(effort: Effort | None) -> dict[str, Any]:
    """Return the `reasoning` object of a Responses request; empty = nothing is asked for.

    A Messages client that wants no reasoning gets the model's default: `none` is an error for
    models that always reason.
    """
    if effort is None or (effort.is_off and not effort.level):
        return {}
    level = level_of(effort)
    said: dict[str, Any] = {"effort": level} if level else {}
    if effort.summary:
        said["summary"] = effort.summary
    return said


class Thinking:
    """What a Messages upstream is told: the two fields, and whether sampling is still allowed."""

    __slots__ = ("config", "is_on", "level")

    def __init__(self) -> None:
        self.config: dict[str, Any] | None = None
        self.level = ""
        self.is_on = False


def to_messages(conversation: Conversation, passage: Passage, max_tokens: float | None) -> Thinking:
    """Return how a Messages upstream is asked to reason.

    Args:
        conversation: With its turns as they are sent.
        passage: For notes.
        max_tokens: The limit sent; a budget has to stay below it.
    """
    said = Thinking()
    effort = conversation.effort
    if effort is None or not effort.level:
        return said
    style = passage.knobs.thinking_style
    if style == "auto":
        style = style_of(passage.context.model)
    if style == "none":
        if not effort.is_off:
            passage.drop(effort.path)
    elif style == "adaptive":
        if effort.is_off:
            said.config = {"type": "disabled"}
        else:
            said.config = {"type": "adaptive"}
            said.level = "low" if effort.level == "minimal" else effort.level
            said.is_on = True
    elif not effort.is_off:
        budget = min(_BUDGETS[effort.level], int(max_tokens or 0) - 1)
        forced = conversation.choice is not None and conversation.choice.mode in (
            "required",
            "tool",
        )
        if budget < _SMALLEST_BUDGET or forced or _lacks_signed_start(conversation):
            passage.drop(effort.path)
        else:
            said.config = {"type": "enabled", "budget_tokens": budget}
            said.is_on = True
    return said


def style_of(model: str) -> str:
    """Return how a model of this name is asked: `budget`, `adaptive`, or `none` (it cannot)."""
    name = re.sub(r"[^a-z0-9]", "-", model.lower())
    if _OLD.search(name):
        return "none"
    return "budget" if _BY_BUDGET.search(f"{name}-") else "adaptive"


def _lacks_signed_start(conversation: Conversation) -> bool:
    """Return whether a tool loop goes on whose last assistant turn shows no signed reasoning.

    With a budget, Messages refuses such a conversation.
    """
    turns = conversation.turns
    if not turns or not any(isinstance(block, ToolResult) for block in turns[-1].blocks):
        return False
    for turn in reversed(turns):
        if turn.role == "assistant":
            first = turn.blocks[0] if turn.blocks else None
            return not (isinstance(first, Reasoning) and signed_blocks(first))
    return True
