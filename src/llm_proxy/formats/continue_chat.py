"""Chat Completions: how a broken text goes on."""

from typing import Any

from llm_proxy.wire.body import write_json

from .chat import CHAT
from .continuation import (
    Continuation,
    Continuer,
    Event,
    Top,
    Transcript,
    appended,
    read_field,
    unfit,
)

_FRAME = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
"""What all chunks of a stream have in common."""
_REASONING = ("reasoning_content", "reasoning", "reasoning_details", "thinking", "thinking_blocks")
"""Thoughts on how to go on; the client has the text in front of them already."""
_SILENT = frozenset(("role", "content", "obfuscation", *_REASONING))


class ChatTranscript(Transcript):
    """Notes the text of a Chat Completions stream.

    Attributes:
        frame: The fields that its chunks have in common.
    """

    __slots__ = ("frame",)

    def __init__(self) -> None:
        super().__init__(CHAT.watch())
        self.frame: dict[str, Any] = {}

    def _read(self, type_: str, value: Event) -> None:
        choices = value.get("choices")
        if not isinstance(choices, list) or not choices:
            return
        if not self.frame:
            self.frame = {name: value[name] for name in _FRAME if name in value}
        choice = choices[0]
        is_plain = (
            len(choices) == 1
            and isinstance(choice, dict)
            and not choice.get("index")
            and not any(choice.get(name) for name in ("finish_reason", "logprobs", "text"))
            and not choice.get("message")
        )
        if not is_plain:
            self._close()
            return
        for name, piece in (choice.get("delta") or {}).items():
            if piece and name not in ("role", "obfuscation"):
                if name != "content":
                    self._close()
                    return
                self._say(piece)


class ChatContinuation(Continuation):
    """Makes another stream's chunks into the first one's."""

    __slots__ = ()

    transcript: ChatTranscript

    def _rewrite(self, type_: str, value: dict[str, Any]) -> list[bytes]:
        choices = value.get("choices")
        if not isinstance(choices, list) or not choices:
            return [self._chunk(value)] if value.get("usage") or value.get("x_groq") else []
        choice = choices[0]
        if len(choices) > 1 or not isinstance(choice, dict):
            raise unfit("the answer has several choices")
        delta = choice.get("delta") or choice.get("message") or {}
        more = {name: piece for name, piece in delta.items() if piece and name not in _SILENT}
        events = self._text(delta.get("content"))
        is_finish = bool(choice.get("finish_reason"))
        if more or is_finish:
            events += self._rest()
        if more or is_finish or value.get("usage"):
            rest = {name: part for name, part in choice.items() if name != "message"}
            events.append(self._chunk(value | {"choices": [rest | {"index": 0, "delta": more}]}))
        return events

    def _done(self, event: bytes) -> list[bytes]:
        return [event]

    def _delta(self, text: str) -> bytes:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        return self._chunk({"choices": [choice]})

    def _chunk(self, value: dict[str, Any]) -> bytes:
        frame = self.transcript.frame
        own = {name: part for name, part in value.items() if name not in _FRAME}
        return b"data: %b\n\n" % write_json(frame | own)


class ChatContinuer(Continuer):
    """The rules of Chat Completions."""

    __slots__ = ()

    def takes(self, top: Top) -> bool:
        format_ = read_field(top, "response_format")
        is_text = not format_ or (isinstance(format_, dict) and format_.get("type") == "text")
        return (
            is_text
            and "messages" in top
            and read_field(top, "n") in (None, 1)
            and not read_field(top, "logprobs")
            and not read_field(top, "top_logprobs")
        )

    def transcript(self) -> Transcript:
        return ChatTranscript()

    def prefilled(self, body: bytes, top: Top, text: str) -> tuple[bytes, str] | None:
        longer = appended(body, top, "messages", {"role": "assistant", "content": text})
        return (longer, text) if longer is not None else None

    def continuation(self, before: Transcript, prefilled: str | None) -> Continuation:
        return ChatContinuation(before, prefilled=prefilled)
