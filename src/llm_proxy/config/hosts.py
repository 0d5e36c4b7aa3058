"""What is known of some providers' hosts: the formats they speak, where their API begins.

Only what is sure stands here: a wrong row would keep requests from an upstream that could serve
them, while a missing row merely means that the upstream is taken to speak what the client sends.
"""

import msgspec


class KnownHost(msgspec.Struct, frozen=True):
    """One row.

    Attributes:
        host: The host; with a dot in front, every host that ends so.
        formats: What it speaks; empty = what the client sends.
        root: Where its API begins when the address has no path.
    """

    host: str
    formats: tuple[str, ...] = ()
    root: str = "/v1"


# fmt: off
KNOWN_HOSTS = (
    KnownHost("api.openai.com",                    ("chat", "responses")),
    KnownHost("api.anthropic.com",                 ("messages",)),
    KnownHost(".openai.azure.com",                 ("chat", "responses"), "/openai/v1"),
    KnownHost("api.mistral.ai",                    ("chat",)),
    KnownHost("generativelanguage.googleapis.com", ("chat",),             "/v1beta/openai"),
    KnownHost("openrouter.ai",                     (),                    "/api/v1"),
    KnownHost("api.groq.com",                      (),                    "/openai/v1"),
)
# fmt: on

_UNKNOWN = KnownHost("")


def known(host: str) -> KnownHost:
    """Return the row of `host`, or one that knows nothing."""
    for row in KNOWN_HOSTS:
        if host == row.host or (row.host.startswith(".") and host.endswith(row.host)):
            return row
    return _UNKNOWN


def formats_of(host: str, root: str) -> tuple[str, ...]:
    """Return the formats an `auto` upstream speaks; empty = what the client sends.

    Providers that offer the Messages format beside their own do so under `…/anthropic`.
    """
    if "anthropic" in root.split("/"):
        return ("messages",)
    return known(host).formats
