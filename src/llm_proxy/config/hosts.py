"""What is known of some providers' hosts: the formats they speak, where their API begins.

Only what the providers' documentation says stands here, and a format only where it serves every
chat model of the host: a wrong row would keep requests from an upstream that could serve them. A
missing row merely means that the upstream is taken to speak what the client sends, and a missing
format that it is translated.
"""

import msgspec

from llm_proxy.domain.knobs import Knobs


class KnownHost(msgspec.Struct, frozen=True):
    """One row.

    Attributes:
        provider: Its name, for the documentation.
        host: The host; with a dot in front, every host that ends so.
        formats: What it speaks, the one that is translated to first; empty = what the client sends.
        root: Where its API begins when the address has no path.
        knobs: How it wants translated requests.
        message_auth: How a key goes up on Messages paths: `x-api-key` or `bearer`.
        messages_at: Roots under which it speaks Messages instead, beyond those with `/anthropic`.
    """

    provider: str
    host: str
    formats: tuple[str, ...] = ()
    root: str = "/v1"
    knobs: Knobs = Knobs()
    message_auth: str = "x-api-key"
    messages_at: tuple[str, ...] = ()


_OPENAI = Knobs(max_tokens_field="max_completion_tokens", mid_system="developer")
_SWITCH = Knobs(reasoning_request="deepseek", json_schema="refuse")
_QWEN = Knobs(reasoning_request="qwen", top_k=True)
_OPENROUTER = Knobs(reasoning_request="openrouter", top_k=True)
_KIMI = Knobs(max_tokens_field="max_completion_tokens", prefill="partial")
_MINIMAX = Knobs(max_tokens_field="max_completion_tokens", think_tags=True)
_MISTRAL = Knobs(
    tool_ids="mistral9", prefill="prefix", reasoning_request="none", stream_options=False
)
_CEREBRAS = Knobs(max_tokens_field="max_completion_tokens")
_TOP_K = Knobs(top_k=True)
_CHAT = ("chat",)
_BOTH = ("chat", "responses")
_DASHSCOPE = "/compatible-mode/v1"
_ARK = ("/api/coding/v1",)


# fmt: off
KNOWN_HOSTS = (
    KnownHost("OpenAI",         "api.openai.com",               _BOTH, knobs=_OPENAI),
    KnownHost("Azure OpenAI",   ".openai.azure.com",            _BOTH, "/openai/v1", _OPENAI),
    KnownHost("Anthropic",      "api.anthropic.com",            ("messages",)),
    KnownHost("DeepSeek",       "api.deepseek.com",             _CHAT, knobs=_SWITCH),
    KnownHost("DashScope",      "dashscope.aliyuncs.com",       _CHAT, _DASHSCOPE, _QWEN),
    KnownHost("DashScope",      "dashscope-intl.aliyuncs.com",  _CHAT, _DASHSCOPE, _QWEN),
    KnownHost("DashScope",      "dashscope-us.aliyuncs.com",    _CHAT, _DASHSCOPE, _QWEN),
    KnownHost("DashScope",      "cn-hongkong.dashscope.aliyuncs.com", _CHAT, _DASHSCOPE, _QWEN),
    KnownHost("DashScope",      ".maas.aliyuncs.com",           _CHAT, _DASHSCOPE, _QWEN),
    KnownHost("Zhipu",          "open.bigmodel.cn",             _CHAT, "/api/paas/v4", _SWITCH),
    KnownHost("Z.AI",           "api.z.ai",                     _CHAT, "/api/paas/v4", _SWITCH),
    KnownHost("Moonshot",       "api.moonshot.cn",              _CHAT, knobs=_KIMI, message_auth="bearer"),
    KnownHost("Moonshot",       "api.moonshot.ai",              _CHAT, knobs=_KIMI, message_auth="bearer"),
    KnownHost("MiniMax",        "api.minimaxi.com",             _CHAT, knobs=_MINIMAX, message_auth="bearer"),
    KnownHost("MiniMax",        "api.minimax.io",               _CHAT, knobs=_MINIMAX, message_auth="bearer"),
    KnownHost("Volcengine Ark", ".volces.com",                  _CHAT, "/api/v3", _SWITCH, "bearer", _ARK),
    KnownHost("SiliconFlow",    "api.siliconflow.cn",           _CHAT, knobs=_QWEN),
    KnownHost("SiliconFlow",    "api.siliconflow.com",          _CHAT, knobs=_QWEN),
    KnownHost("Baidu Qianfan",  "qianfan.baidubce.com",         _CHAT, "/v2"),
    KnownHost("Tencent Hunyuan", "api.hunyuan.cloud.tencent.com", _CHAT),
    KnownHost("StepFun",        "api.stepfun.com",              _CHAT),
    KnownHost("StepFun",        "api.stepfun.ai",               _CHAT),
    KnownHost("OpenRouter",     "openrouter.ai",                (), "/api/v1", _OPENROUTER, "bearer"),
    KnownHost("Groq",           "api.groq.com",                 _BOTH, "/openai/v1"),
    KnownHost("Mistral",        "api.mistral.ai",               _CHAT, knobs=_MISTRAL),
    KnownHost("xAI",            "api.x.ai",                     _BOTH),
    KnownHost("Google Gemini",  "generativelanguage.googleapis.com", _CHAT, "/v1beta/openai"),
    KnownHost("Together",       "api.together.xyz",             _CHAT, knobs=_TOP_K),
    KnownHost("Together",       "api.together.ai",              _CHAT, knobs=_TOP_K),
    KnownHost("Fireworks",      "api.fireworks.ai",             _CHAT, "/inference/v1", _TOP_K, "bearer"),
    KnownHost("Cerebras",       "api.cerebras.ai",              _CHAT, knobs=_CEREBRAS),
    KnownHost("DeepInfra",      "api.deepinfra.com",            _CHAT, "/v1/openai"),
    KnownHost("NVIDIA",         "integrate.api.nvidia.com",     _CHAT),
    KnownHost("GitHub Models",  "models.github.ai",             _CHAT, "/inference"),
)
# fmt: on

_UNKNOWN = KnownHost("", "")


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
    row = known(host)
    if "anthropic" in root.split("/") or root in row.messages_at:
        return ("messages",)
    return row.formats


def knobs_of(host: str) -> Knobs:
    """Return how the upstream at `host` wants translated requests."""
    return known(host).knobs


def message_auth_of(host: str) -> str:
    """Return how a key goes up on Messages paths of `host`."""
    return known(host).message_auth
