"""What a path means: its dialect, what is done there, and whether that may be done twice.

Everything under `/v1` is an endpoint; what is not in the table is relayed as it is and repeated
only where HTTP itself promises that repeating does no harm (RFC 9110 section 9.2.2).
"""

from enum import IntEnum

import msgspec


class Kind(IntEnum):
    """What is done at an endpoint."""

    GENERATE = 0
    """A model answers; JSON or a stream."""
    COUNT = 1
    """Tokens are counted."""
    EMBED = 2
    MODELS = 3
    """The list of models."""
    MODEL = 4
    """One model's entry."""
    STATE = 5
    """Something that a provider stored: it lives at one upstream, under one key."""
    OTHER = 6


GENERATE, COUNT, EMBED, MODELS, MODEL, STATE, OTHER = Kind


class Endpoint(msgspec.Struct, frozen=True):
    """One method on one path.

    Attributes:
        format: `chat`, `messages`, `responses` or `other`.
        kind: What is done.
        path: As repaired: `/v1/chat/completions`.
        has_json_body: Whether the body is JSON in which the model is named.
        is_repeatable: Whether it may be repeated after the upstream may have acted.
    """

    format: str
    kind: Kind
    path: str
    has_json_body: bool = False
    is_repeatable: bool = False


_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
_READING = frozenset(("GET", "HEAD"))

# fmt: off
_POSTS = {
    endpoint.path: endpoint
    for endpoint in (
        #        format       kind      path                         JSON  repeatable
        Endpoint("chat",      GENERATE, "/v1/chat/completions",      True, True),
        Endpoint("messages",  GENERATE, "/v1/messages",              True, True),
        Endpoint("messages",  COUNT,    "/v1/messages/count_tokens", True, True),
        Endpoint("responses", GENERATE, "/v1/responses",             True, True),
        Endpoint("responses", COUNT,    "/v1/responses/input_tokens", True, True),
        Endpoint("responses", STATE,    "/v1/responses/compact",     True, False),
        Endpoint("other",     GENERATE, "/v1/completions",           True, True),
        Endpoint("other",     EMBED,    "/v1/embeddings",            True, True),
        Endpoint("other",     OTHER,    "/v1/rerank",                True, True),
        Endpoint("other",     OTHER,    "/v1/moderations",           True, True),
        Endpoint("other",     OTHER,    "/v1/audio/speech",          True, False),
        Endpoint("other",     OTHER,    "/v1/images/generations",    True, False),
    )
}
# fmt: on


def endpoint_of(method: str, path: str) -> Endpoint:
    """Return what `method` on `path` means.

    Args:
        method: As sent.
        path: A repaired path, `/v1/…`, percent-encoding kept.
    """
    if method == "POST" and path in _POSTS:
        return _POSTS[path]
    return Endpoint(
        _format_of(path), _kind_of(method, path), path, is_repeatable=method in _IDEMPOTENT
    )


def _format_of(path: str) -> str:
    for name, head in (
        ("chat", "/v1/chat"),
        ("messages", "/v1/messages"),
        ("responses", "/v1/responses"),
    ):
        if path == head or path.startswith(head + "/"):
            return name
    return "other"


def _kind_of(method: str, path: str) -> Kind:
    if method in _READING:
        if path == "/v1/models":
            return MODELS
        if path.startswith("/v1/models/"):
            return MODEL
    if _format_of(path) != "other":
        return STATE
    return OTHER
