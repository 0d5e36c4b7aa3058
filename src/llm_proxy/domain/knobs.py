"""What a translation must know about the upstream it translates for."""

import msgspec


class Knobs(msgspec.Struct, frozen=True, kw_only=True):
    """How one upstream wants translated requests; a row of `config/hosts.py` or the file sets them.

    Attributes:
        max_tokens_field: What the chat format calls the limit: `max_tokens` or
            `max_completion_tokens`.
        default_max_tokens: Sent to Messages upstreams when the client names no limit.
        reasoning_request: How reasoning is asked for: `effort`, `deepseek`, `qwen`, `openrouter`
            or `none`.
        reasoning_history: Whether earlier reasoning goes back up: `auto`, `never`, `always`.
        thinking_style: What a Messages upstream takes: `auto` (by the model's name), `adaptive`,
            `budget` or `none`.
        mid_system: What a system message amid a conversation becomes: `user`, `system`,
            `developer`.
        prefill: What a final assistant message becomes: `refuse`, `plain`, `prefix`, `partial`,
            `continue_final_message`.
        tool_ids: `keep`, or `mistral9` for ids of exactly nine letters and digits.
        tool_name_max: Longest name of a tool; 0 = the format's own limit.
        stream_options: Whether `stream_options.include_usage` is understood.
        json_schema: Whether a schema for the answer is understood: `native` or `refuse`.
        top_k: Whether `top_k` is understood by a chat upstream.
        think_tags: Whether `<think>…</think>` in the text is reasoning.
    """

    max_tokens_field: str = "max_tokens"
    default_max_tokens: int = 8192
    reasoning_request: str = "effort"
    reasoning_history: str = "auto"
    thinking_style: str = "auto"
    mid_system: str = "user"
    prefill: str = "refuse"
    tool_ids: str = "keep"
    tool_name_max: int = 0
    stream_options: bool = True
    json_schema: str = "native"
    top_k: bool = False
    think_tags: bool = False
