"""What becomes of every top-level field of a request, for each format it may be translated to.

The table is the whole decision for fields that only one format knows. `MAP` fields are carried by
the readers and writers. What is in no table is unknown and dropped.

Two kinds of values count as absent: `null`, and what the format's documentation calls the default,
where it cannot be carried.
"""

from collections.abc import Mapping
from typing import Any

from .literal import number
from .passage import Passage, spelt

MAP, SAME, IGNORE, DROP, REFUSE = "map", "same", "ignore", "drop", "refuse"

Rules = Mapping[str, tuple[str, str]]

# fmt: off
CHAT: Rules = {
    #                            to messages  to responses
    "messages":                  (MAP,        MAP),
    "model":                     (MAP,        MAP),
    "audio":                     (REFUSE,     REFUSE),
    "modalities":                (REFUSE,     REFUSE),
    "frequency_penalty":         (DROP,       DROP),
    "presence_penalty":          (DROP,       DROP),
    "logit_bias":                (DROP,       DROP),
    "seed":                      (DROP,       DROP),
    "prediction":                (DROP,       DROP),
    "moderation":                (DROP,       SAME),
    "function_call":             (MAP,        MAP),
    "functions":                 (MAP,        MAP),
    "logprobs":                  (REFUSE,     MAP),
    "top_logprobs":              (REFUSE,     MAP),
    "max_completion_tokens":     (MAP,        MAP),
    "max_tokens":                (MAP,        MAP),
    "metadata":                  (IGNORE,     SAME),
    "store":                     (IGNORE,     SAME),
    "prompt_cache_key":          (IGNORE,     SAME),
    "prompt_cache_options":      (IGNORE,     SAME),
    "prompt_cache_retention":    (IGNORE,     SAME),
    "n":                         (REFUSE,     REFUSE),
    "parallel_tool_calls":       (MAP,        MAP),
    "tool_choice":               (MAP,        MAP),
    "tools":                     (MAP,        MAP),
    "reasoning_effort":          (MAP,        MAP),
    "response_format":           (MAP,        MAP),
    "safety_identifier":         (MAP,        SAME),
    "user":                      (MAP,        SAME),
    "service_tier":              (DROP,       SAME),
    "stop":                      (MAP,        REFUSE),
    "stream":                    (MAP,        MAP),
    "stream_options":            (MAP,        MAP),
    "temperature":               (MAP,        MAP),
    "top_p":                     (MAP,        MAP),
    "verbosity":                 (DROP,       MAP),
    "web_search_options":        (MAP,        MAP),
    "top_k":                     (MAP,        DROP),
}

MESSAGES: Rules = {
    #                            to chat      to responses
    "messages":                  (MAP,        MAP),
    "system":                    (MAP,        MAP),
    "model":                     (MAP,        MAP),
    "max_tokens":                (MAP,        MAP),
    "metadata":                  (IGNORE,     IGNORE),
    "stop_sequences":            (MAP,        REFUSE),
    "stream":                    (MAP,        MAP),
    "temperature":               (MAP,        MAP),
    "top_p":                     (MAP,        MAP),
    "top_k":                     (MAP,        DROP),
    "thinking":                  (MAP,        MAP),
    "output_config":             (MAP,        MAP),
    "output_format":             (MAP,        MAP),
    "tools":                     (MAP,        MAP),
    "tool_choice":               (MAP,        MAP),
    "cache_control":             (IGNORE,     IGNORE),
    "diagnostics":               (IGNORE,     IGNORE),
    "user_profile_id":           (IGNORE,     IGNORE),
    "workspace_id":              (IGNORE,     IGNORE),
    "betas":                     (IGNORE,     IGNORE),
    "context_management":        (DROP,       DROP),
    "compaction":                (DROP,       DROP),
    "fallbacks":                 (DROP,       DROP),
    "fallback_credit_token":     (DROP,       DROP),
    "billing_policy":            (DROP,       DROP),
    "speed":                     (DROP,       DROP),
    "service_tier":              (DROP,       DROP),
    "inference_geo":             (REFUSE,     REFUSE),
    "container":                 (REFUSE,     REFUSE),
    "thread":                    (REFUSE,     REFUSE),
    "mcp_servers":               (REFUSE,     REFUSE),
}

RESPONSES: Rules = {
    #                            to chat      to messages
    "input":                     (MAP,        MAP),
    "instructions":              (MAP,        MAP),
    "model":                     (MAP,        MAP),
    "background":                (REFUSE,     REFUSE),
    "conversation":              (REFUSE,     REFUSE),
    "previous_response_id":      (REFUSE,     REFUSE),
    "prompt":                    (REFUSE,     REFUSE),
    "context_management":        (DROP,       DROP),
    "truncation":                (DROP,       DROP),
    "max_tool_calls":            (DROP,       DROP),
    "image":                     (DROP,       DROP),
    "access_programs":           (DROP,       DROP),
    "background_options":        (DROP,       DROP),
    "moderation":                (DROP,       DROP),
    "service_tier":              (DROP,       DROP),
    "include":                   (MAP,        MAP),
    "max_output_tokens":         (MAP,        MAP),
    "metadata":                  (IGNORE,     IGNORE),
    "prompt_cache_key":          (IGNORE,     IGNORE),
    "prompt_cache_options":      (IGNORE,     IGNORE),
    "prompt_cache_retention":    (IGNORE,     IGNORE),
    "safety_identifier":         (IGNORE,     IGNORE),
    "parallel_tool_calls":       (MAP,        MAP),
    "tool_choice":               (MAP,        MAP),
    "tools":                     (MAP,        MAP),
    "reasoning":                 (MAP,        MAP),
    "store":                     (MAP,        MAP),
    "stream":                    (MAP,        MAP),
    "stream_options":            (IGNORE,     IGNORE),
    "temperature":               (MAP,        MAP),
    "top_p":                     (MAP,        MAP),
    "text":                      (MAP,        MAP),
    "top_logprobs":              (MAP,        REFUSE),
    "user":                      (IGNORE,     MAP),
}

RULES: dict[str, tuple[Rules, tuple[str, str]]] = {
    "chat":      (CHAT,      ("messages", "responses")),
    "messages":  (MESSAGES,  ("chat", "responses")),
    "responses": (RESPONSES, ("chat", "messages")),
}
"""By the client's format: its table and what the columns stand for."""

_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "n":                   (1,),
    "logprobs":            (False,),
    "top_logprobs":        (0,),
    "temperature":         (1,),
    "top_p":               (1,),
    "store":               (False,),
    "background":          (False,),
    "truncation":          ("disabled",),
    "service_tier":        ("auto", "default"),
    "presence_penalty":    (0,),
    "frequency_penalty":   (0,),
    "modalities":          (["text"],),
    "stream_options":      ({},),
}
# fmt: on


def is_default(name: str, value: Any) -> bool:
    """Return whether a field says nothing that its absence would not say."""
    if value is None or value in ([], {}, ""):
        return True
    known = _DEFAULTS.get(name, ())
    if isinstance(value, bool | str | list | dict):
        return any(type(item) is type(value) and item == value for item in known)
    amount = number(value)
    return any(not isinstance(item, bool) and item == amount for item in known)


def settle(body: dict[str, Any], passage: Passage) -> dict[str, Any]:
    """Note, or refuse, every field that is not carried by a reader or a writer.

    Returns:
        The fields that the upstream knows by the same name and meaning.

    Raises:
        RequestError: A field can neither be carried nor left out.
    """
    table, targets = RULES[passage.context.client]
    column = targets.index(passage.context.upstream)
    same: dict[str, Any] = {}
    for name, value in body.items():
        if value is None:
            continue
        rule = table.get(name)
        verb = DROP if rule is None else rule[column]
        if verb == SAME:
            same[name] = value
        elif verb != MAP and not is_default(name, value):
            _leave_out(name, verb, passage)
    return same


def _leave_out(name: str, verb: str, passage: Passage) -> None:
    if verb == IGNORE:
        passage.ignore(name)
    elif verb == DROP:
        passage.drop(spelt(name))
    elif name == "thread":
        raise passage.refusal(name, code="thread_unsupported_request")
    elif name == "n":
        raise passage.refusal(name, "greater than 1")
    else:
        raise passage.refusal(name)
