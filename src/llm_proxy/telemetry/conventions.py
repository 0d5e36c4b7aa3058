"""The names under which OpenTelemetry knows what we tell it; here and nowhere else.

The conventions for generative AI were last published with OpenTelemetry's own in version 1.41.0,
then moved to a repository of their own, where names changed and still do. What understands them
today mostly reads the older ones, so they are the default; whoever sets
`OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental`, the variable the conventions give for
this, gets the newer ones (0.1.0) instead, never both.
"""

import msgspec

OPT_IN = "gen_ai_latest_experimental"

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Bounds of histograms of times, as the conventions want them."""
TOKENS = tuple(4**power for power in range(14))
"""The same of tokens: 1 to 67,108,864."""

OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/messages": "chat",
    "/v1/responses": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}
"""What a `POST` on these paths is called. All else is HTTP and no operation of a model."""

ROUTES = frozenset(
    (*OPERATIONS, "/v1/messages/count_tokens", "/v1/responses/input_tokens", "/v1/models")
)
"""Paths that name a span; others may hold ids, and there would be a name for each."""

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))

PROVIDERS = {
    "Anthropic": "anthropic",
    "Azure OpenAI": "azure.ai.openai",
    "DeepSeek": "deepseek",
    "Google Gemini": "gcp.gemini",
    "Groq": "groq",
    "Mistral": "mistral_ai",
    "Moonshot": "moonshot_ai",
    "OpenAI": "openai",
    "xAI": "x_ai",
}
"""Our table's providers by their names in the conventions; others are called what we call them."""


class Names(msgspec.Struct, frozen=True):
    """Where the two versions differ.

    Attributes:
        schema: Address of the version, for what receives it.
        duration: Histogram of the time a model's answer takes.
        first_chunk: Histogram of the time to a stream's first content.
        cache_write: Attribute of input tokens written to a cache.
        both_tokens: One histogram of tokens by `gen_ai.token.type`; empty = `input_tokens` and
            `output_tokens` are two of them, and the counters below exist.
        input_tokens: Histogram of input tokens.
        output_tokens: Histogram of output tokens.
        counters: Counters of tokens by the name of the count in our records.
    """

    schema: str
    duration: str
    first_chunk: str
    cache_write: str
    both_tokens: str = ""
    input_tokens: str = ""
    output_tokens: str = ""
    counters: dict[str, str] = {}


LONG_KNOWN = Names(
    schema="https://opentelemetry.io/schemas/1.41.0",
    duration="gen_ai.client.operation.duration",
    first_chunk="gen_ai.client.operation.time_to_first_chunk",
    cache_write="gen_ai.usage.cache_creation.input_tokens",
    both_tokens="gen_ai.client.token.usage",
)

_USAGE = "gen_ai.client.inference.usage."
NEWER = Names(
    schema="",
    duration="gen_ai.client.inference.duration",
    first_chunk="gen_ai.client.inference.time_to_first_chunk",
    cache_write="gen_ai.usage.cache_write.input_tokens",
    input_tokens="gen_ai.client.inference.operation.input_tokens",
    output_tokens="gen_ai.client.inference.operation.output_tokens",
    counters={
        "input": f"{_USAGE}input_tokens",
        "output": f"{_USAGE}output_tokens",
        "cache_read": f"{_USAGE}cache_read.input_tokens",
        "cache_write": f"{_USAGE}cache_write.input_tokens",
        "reasoning": f"{_USAGE}reasoning.output_tokens",
    },
)
OTHER_DURATION = LONG_KNOWN.duration
"""The newer names leave this one to operations that are no inference, such as embeddings."""


def names_for(opted_in: str) -> Names:
    """Return the names to use, given the value of `OTEL_SEMCONV_STABILITY_OPT_IN`."""
    chosen = {part.strip() for part in opted_in.split(",")}
    return NEWER if OPT_IN in chosen else LONG_KNOWN
