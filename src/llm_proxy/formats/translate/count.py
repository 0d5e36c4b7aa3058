"""Estimates the input tokens of a request, where no upstream can be asked.

A rule of thumb: four ASCII characters to a token, one and a half of any other, and flat amounts for
messages, pictures and documents. It is an estimate and called one; no vocabulary of a current
model is public.
"""

from typing import Any

import msgspec

from .literal import dump_text
from .received import read_body, unusable

_MESSAGE_TOKENS = 4
_IMAGE_TOKENS = 1600
_BYTES_PER_DOCUMENT_TOKEN = 20
REQUIRED = frozenset(("messages", "responses"))
"""Formats whose answers must name the request's tokens."""
_SILENT = frozenset(("type", "id", "role", "call_id", "tool_use_id", "status", "signature"))
"""Fields whose text the model is not shown."""


def estimate(format_name: str, body: bytes) -> int:
    """Return about how many tokens a Messages or Responses request holds.

    Raises:
        RequestError: 400, the body is no JSON object.
    """
    try:
        return tokens_in(format_name, read_body(body))
    except RecursionError as error:
        raise unusable("it is nested too deeply") from error


def tokens_in(format_name: str, top: dict[str, Any]) -> int:
    """Return about how many tokens stand in a body that has been read.

    Cost: a fifth of its translation.

    Raises:
        RecursionError: It is nested too deeply.
    """
    tally = _Tally()
    if format_name == "messages":
        tally.add(top.get("system"))
        messages = top.get("messages")
    else:
        tally.add(top.get("instructions"))
        messages = top.get("input")
    if isinstance(messages, list):
        for message in messages:
            tally.flat += _MESSAGE_TOKENS
            tally.add(message)
    elif messages is not None:
        tally.flat += _MESSAGE_TOKENS
        tally.add(messages)
    tools = top.get("tools")
    if isinstance(tools, list):
        for tool in tools:
            tally.add_tool(tool)
    return tally.tokens()


def answer(format_name: str, tokens: int) -> bytes:
    """Return the body that says so: of `count_tokens`, or of `input_tokens`."""
    if format_name == "messages":
        return msgspec.json.encode({"input_tokens": tokens})
    return msgspec.json.encode({"object": "response.input_tokens", "input_tokens": tokens})


class _Tally:
    __slots__ = ("ascii", "flat", "other")

    def __init__(self) -> None:
        self.ascii = 0
        self.other = 0
        self.flat = 0

    def tokens(self) -> int:
        return -(-self.ascii // 4) + -(-self.other * 2 // 3) + self.flat

    def text(self, text: str) -> None:
        count = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
        self.ascii += count
        self.other += len(text) - count

    def add(self, value: Any) -> None:
        """Count whatever stands in a conversation, of any shape."""
        if isinstance(value, str):
            self.text(value)
        elif isinstance(value, list):
            for item in value:
                self.add(item)
        elif isinstance(value, dict):
            self._add_object(value)

    def _add_object(self, value: dict[str, Any]) -> None:
        kind = value.get("type")
        if kind in ("image", "input_image"):
            self.flat += _IMAGE_TOKENS
        elif kind in ("document", "input_file"):
            self._add_document(value)
        elif kind in ("thinking", "redacted_thinking", "reasoning"):
            self.add(value.get("thinking"))
            self.add(value.get("summary"))
        else:
            for name, item in value.items():
                if name == "input" and isinstance(item, dict):
                    self.text(dump_text(item))
                elif name not in _SILENT and name != "cache_control":
                    self.add(item)

    def _add_document(self, value: dict[str, Any]) -> None:
        source = value.get("source")
        data = value.get("file_data")
        if isinstance(source, dict):
            if source.get("type") == "base64":
                data = source.get("data")
            elif source.get("type") in ("text", "content"):
                self.add(source.get("data"))
                self.add(source.get("content"))
        if isinstance(data, str):
            self.flat += len(data) // _BYTES_PER_DOCUMENT_TOKEN
        self.add(value.get("title"))
        self.add(value.get("filename"))

    def add_tool(self, tool: Any) -> None:
        """Count a tool's name and description, and its schema as compact JSON."""
        if not isinstance(tool, dict):
            return
        self.add(tool.get("name"))
        self.add(tool.get("description"))
        for name in ("input_schema", "parameters", "format"):
            if isinstance(tool.get(name), dict):
                self.text(dump_text(tool[name]))
        inner = tool.get("tools")
        if isinstance(inner, list):
            for item in inner:
                self.add_tool(item)
