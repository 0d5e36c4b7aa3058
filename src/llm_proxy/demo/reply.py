"""Decides what the demo says: a canned text in the prompt's language, or a call of a tool."""

import re
from typing import Any

import msgspec

from .ask import Ask

_ENGLISH = (
    "Hello! This is the demo provider that is built into LLM Proxy. No model was asked and "
    "nothing left this machine. Your request named the model {model} and came through the proxy "
    "to demo upstream {upstream}. Upstream a refuses every third request with a rate limit, so "
    "that you can watch the proxy try elsewhere: the page at / shows each attempt. To see worse, "
    "ask for the model demo-500, demo-cut or demo-slow. To talk to a real model, set PROXY_URL and "
    "API_KEY and start the proxy again."
)
_CHINESE = (
    "你好！这是 LLM Proxy 内置的演示服务，没有调用任何模型，也没有数据离开这台机器。"
    "你请求的模型是 {model}，请求经过代理到达了演示上游 {upstream}。"
    "上游 a 每到第三个请求就会返回限流错误，这样你可以看到代理如何自动换路重试：首页 / 会显示每一次尝试。"
    "想看更糟的情况，可以请求模型 demo-500、demo-cut 或 demo-slow。"
    "要使用真正的模型，请设置 PROXY_URL 和 API_KEY，然后重新启动代理。"
)
_ENGLISH_RESULT = "Your tool answered: {result} (The demo provider only repeats it.)"
_CHINESE_RESULT = "你的工具返回了：{result}（演示服务只是重复它。）"

_HAN = re.compile(r"[\u3400-\u9fff]")
_WEATHER = re.compile("weather|天气", re.IGNORECASE)
_PIECE = re.compile(r"[\u3000-\u9fff\uff00-\uffef]{1,2}|\s*[^\s\u3000-\u9fff\uff00-\uffef]+|\s+")


class Reply(msgspec.Struct, frozen=True):
    """What to answer; joined, the pieces are the text.

    Attributes:
        pieces: The text in the portions of a stream; empty when a tool is called.
        tool: (name, arguments as JSON) of the call to make, or None.
        is_cut: Whether the client's length limit cut the text.
        input_tokens: Of the prompt, roughly.
        output_tokens: Of this answer: one per piece.
    """

    pieces: tuple[str, ...] = ()
    tool: tuple[str, str] | None = None
    is_cut: bool = False
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def text(self) -> str:
        """Return the whole text."""
        return "".join(self.pieces)


def compose(ask: Ask, upstream: str) -> Reply:
    """Choose the answer.

    When tools are on offer and the prompt speaks of the weather, the first tool is called with
    arguments that fit its schema; its result is then repeated.
    """
    if ask.tool is not None and ask.tool_result is None and _WEATHER.search(ask.text):
        arguments = msgspec.json.encode(sample(ask.tool.schema)).decode()
        return Reply((), (ask.tool.name, arguments), False, ask.input_tokens, 12)
    pieces = tuple(_PIECE.findall(_text(ask, upstream)))
    kept = pieces[: ask.max_tokens]
    return Reply(kept, None, len(kept) < len(pieces), ask.input_tokens, len(kept))


def _text(ask: Ask, upstream: str) -> str:
    if ask.schema is not None:
        return msgspec.json.encode(sample(ask.schema)).decode()
    is_chinese = bool(_HAN.search(ask.text + (ask.tool_result or "")))
    if ask.tool_result is not None:
        words = _CHINESE_RESULT if is_chinese else _ENGLISH_RESULT
        return words.format(result=ask.tool_result[:500])
    words = _CHINESE if is_chinese else _ENGLISH
    return words.format(model=ask.model[:100], upstream=upstream)


def sample(schema: dict[str, Any], *, name: str = "", depth: int = 0) -> Any:
    """Return a value that fits the usual keywords of a JSON schema.

    References are not followed and nesting ends at depth 8, so that no schema can keep the demo
    busy.
    """
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    for keyword in ("enum", "anyOf", "oneOf"):
        options = schema.get(keyword)
        if isinstance(options, list) and options:
            first = options[0]
            is_schema = keyword != "enum" and isinstance(first, dict)
            return sample(first, name=name, depth=depth + 1) if is_schema and depth < 8 else first
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        kind = kind[0]
    if kind == "object" or (kind is None and "properties" in schema):
        return _sample_object(schema, depth) if depth < 8 else {}
    if kind == "string":
        return "Paris" if re.search("city|location|place", name, re.IGNORECASE) else "demo"
    values: dict[Any, Any] = {"integer": 1, "number": 1.5, "boolean": True, "array": []}
    return values.get(kind)


def _sample_object(schema: dict[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    required = schema.get("required")
    if not isinstance(properties, dict):
        return {}
    wanted = required if isinstance(required, list) else list(properties)
    return {
        name: sample(properties[name], name=name, depth=depth + 1)
        for name in wanted
        if isinstance(properties.get(name), dict)
    }
