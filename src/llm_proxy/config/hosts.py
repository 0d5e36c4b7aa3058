"""What is known of some providers' hosts: the formats they speak, where their API begins.

Only what is sure stands here: a wrong row would keep requests from an upstream that could serve
them, while a missing row merely means that the upstream is taken to speak what the client sends.
"""

import msgspec

from llm_proxy.domain.knobs import Knobs


class KnownHost(msgspec.Struct, frozen=True):
    """One row.

    Attributes:
        host: The host; with a dot in front, every host that ends so.
        formats: What it speaks; empty = what the client sends.
        root: Where its API begins when the address has no path.
        knobs: How it wants translated requests.
    """

    host: str
    formats: tuple[str, ...] = ()
    root: str = "/v1"
    knobs: Knobs = Knobs()


_OPENAI = Knobs(max_tokens_field="max_completion_tokens", mid_system="developer")
_SWITCH = Knobs(reasoning_request="deepseek", json_schema="refuse")
_QWEN = Knobs(reasoning_request="qwen", top_k=True)
_OPENROUTER = Knobs(reasoning_request="openrouter", top_k=True)
_CHAT = ("chat",)


# fmt: off
KNOWN_HOSTS = (
    KnownHost("api.openai.com",                    ("chat", "responses"), knobs=_OPENAI),
    KnownHost(".openai.azure.com",                 ("chat", "responses"), "/openai/v1", _OPENAI),
    KnownHost("api.anthropic.com",                 ("messages",)),
    KnownHost("api.deepseek.com",                  _CHAT, knobs=_SWITCH),
    KnownHost("dashscope.aliyuncs.com",            _CHAT, "/compatible-mode/v1", _QWEN),
    KnownHost("dashscope-intl.aliyuncs.com",       _CHAT, "/compatible-mode/v1", _QWEN),
    KnownHost("open.bigmodel.cn",                  _CHAT, "/api/paas/v4", _SWITCH),
    KnownHost("api.z.ai",                          _CHAT, "/api/paas/v4", _SWITCH),
    KnownHost("api.moonshot.cn",                   _CHAT, knobs=Knobs(prefill="partial")),
    KnownHost("api.moonshot.ai",                   _CHAT, knobs=Knobs(prefill="partial")),
    KnownHost("api.minimaxi.com",                  _CHAT),
    KnownHost("api.minimax.io",                    _CHAT),
    KnownHost(".volces.com",                       _CHAT, "/api/v3", _SWITCH),
    KnownHost("api.siliconflow.cn",                _CHAT, knobs=_QWEN),
    KnownHost("api.siliconflow.com",               _CHAT, knobs=_QWEN),
    KnownHost("openrouter.ai",                     (),    "/api/v1", _OPENROUTER),
    KnownHost("api.groq.com",                      (),    "/openai/v1"),
    KnownHost("api.mistral.ai",                    _CHAT, knobs=Knobs(
        tool_ids="mistral9", prefill="prefix", reasoning_request="none", stream_options=False)),
    KnownHost("api.x.ai",                          ("chat", "responses")),
    KnownHost("generativelanguage.googleapis.com", _CHAT, "/v1beta/openai"),
    KnownHost("api.together.xyz",                  _CHAT, knobs=Knobs(top_k=True)),
    KnownHost("api.fireworks.ai",                  _CHAT, "/inference/v1", Knobs(top_k=True)),
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


def knobs_of(host: str) -> Knobs:
    """Return how the upstream at `host` wants translated requests."""
    return known(host).knobs
