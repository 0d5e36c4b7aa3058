"""Reads answers of Chat Completions upstreams, and there are many kinds of them.

Budget (Python 3.11): a chunk of mere text 2 us, any other 10 us.
"""

from typing import Any

from llm_proxy.domain.signal import Signal
from llm_proxy.formats.usage import chat_usage, merged

from . import literal
from .budget import Budget
from .chat_calls import Calls
from .chat_plain import PlainCall, read_plain
from .chat_thoughts import Thoughts
from .context import Context
from .cut import Prefill, ThinkTags
from .errors import NoAnswerError, UpstreamFailedError
from .hear import Hear, index_in, object_in, objects_in, plain, text_in
from .pieces import Citation, Finish, Piece, Refusal, Text

_REASONS = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "eos_token": "stop",
    "complete": "stop",
    "tool_calls": "stop",
    "function_call": "stop",
    "tool_use": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "context",
    "model_context_window_exceeded": "context",
    "content_filter": "refusal",
    "sensitive": "refusal",
    "safety": "refusal",
    "recitation": "refusal",
    "prohibited_content": "refusal",
    "refusal": "refusal",
}
_CALLS = frozenset(("tool_calls", "function_call", "tool_use"))
_FAILED = frozenset(
    ("error", "network_error", "insufficient_system_resource", "abort", "malformed_function_call")
)


class HearChat(Hear):
    """Reads one answer of a Chat Completions upstream."""

    __slots__ = (
        "_calls",
        "_is_plain",
        "_prefill",
        "_reason",
        "_refused",
        "_stop",
        "_tags",
        "_thoughts",
    )

    def __init__(self, context: Context, budget: Budget) -> None:
        super().__init__(context, budget)
        self._thoughts = Thoughts(budget)
        self._calls = Calls(context, budget)
        self._tags = ThinkTags() if context.think_tags else None
        self._prefill = Prefill(context.prefill)
        self._reason = ""
        self._stop: str | None = None
        self._refused = False
        self._is_plain = False

    def _feed_data(self, name: bytes, data: bytes, out: list[Piece]) -> None:
        if self._is_plain:
            said = read_plain(data)
            if said is not None and self._tell_plain(*said, out):
                return
        value = self._read(data)
        if value is not None:
            self._read_chunk(value, out)

    def _tell_plain(
        self, text: str, thought: str, call: PlainCall | None, out: list[Piece]
    ) -> bool:
        """Tell what continues the present run; False = it begins another."""
        if call is not None:
            return self._calls.read_plain(call, out)
        if self._thoughts.is_open == bool(text):
            return False
        if text:
            out.append(Text(text))
        else:
            self._thoughts.add(thought, "", [], out)
        return True

    def _read_whole(self, value: dict[str, Any], out: list[Piece]) -> None:
        if not objects_in(value, "choices"):
            raise NoAnswerError("upstream returned no choices")
        self._read_chunk(value, out)

    def end(self, out: list[Piece]) -> Finish:
        self._flush_text(out)
        self._thoughts.close(out)
        self._calls.end(out)
        return self._finish()

    def _finish(self) -> Finish:
        reason = _REASONS.get(self._reason.lower(), "") if self._reason else "stop"
        if not reason:
            self._unknown_reason()
            reason = "stop"
        if reason == "stop" and self._refused:
            reason = "declined"
        if reason == "stop" and self._stop is not None and not self._calls.count:
            return Finish("stop_sequence", self._stop)
        return Finish(reason)

    def _read_chunk(self, value: dict[str, Any], out: list[Piece]) -> None:
        self._name(value)
        choices = objects_in(value, "choices")
        self._read_usage(value, choices)
        was_held = self._calls.is_holding
        chosen = None
        for choice in choices:
            if index_in(choice) or chosen is not None:
                self._context.note("ignored", "choices")
            else:
                chosen = choice
        if chosen is not None:
            self.has_answer = True
            delta = object_in(chosen, "delta") or object_in(chosen, "message")
            self._read_delta(delta, object_in(chosen, "logprobs").get("content"), out)
            if was_held:
                self._calls.release(out)
            self._read_reason(chosen)
        self._is_plain = bool(
            self.id
            and self.model
            and self._tags is None
            and not self._context.prefill
            and not self._calls.is_holding
        )

    def _read_usage(self, value: dict[str, Any], choices: list[dict[str, Any]]) -> None:
        for place in (value, object_in(value, "x_groq"), *choices[:1]):
            usage = place.get("usage")
            if isinstance(usage, dict) and usage:
                self.usage = merged(self.usage, chat_usage(plain(usage)))
                return

    def _read_reason(self, choice: dict[str, Any]) -> None:
        reason = text_in(choice, "finish_reason")
        if not reason:
            return
        if reason.lower() in _FAILED:
            raise UpstreamFailedError(
                Signal(
                    200,
                    type="server_error",
                    code=reason,
                    message=f"the upstream's answer ended with finish_reason {reason}",
                )
            )
        if not self._reason or (self._reason == "stop" and reason in _CALLS):
            self._reason = reason
        for name in ("stop_reason", "matched_stop"):  # vLLM, SGLang
            met = choice.get(name)
            if isinstance(met, str) and met in self._context.stop_sequences:
                self._stop = met

    def _read_delta(self, delta: dict[str, Any], logprobs: Any, out: list[Piece]) -> None:
        self._read_thoughts(delta, out)
        content = delta.get("content")
        if isinstance(content, str):
            self._add_text(content, logprobs, out)
        elif isinstance(content, list):
            self._read_parts(objects_in(delta, "content"), out)
        refusal = text_in(delta, "refusal")
        if refusal:
            self._turn_to_other(out)
            self._refused = True
            out.append(Refusal(refusal))
        entries = objects_in(delta, "tool_calls")
        legacy = object_in(delta, "function_call")
        if legacy:
            entries = [{"index": 0, "function": legacy}]
        for entry in entries:
            if self._calls.says_something(entry):
                self._turn_to_other(out)
            self._calls.read(entry, out)
        if object_in(delta, "audio"):
            self._context.note("ignored", "audio")
        extra = object_in(delta, "extra_content")
        if extra:
            self._calls.attach(extra)
        for annotation in objects_in(delta, "annotations"):
            self._read_annotation(annotation, out)

    def _turn_to_other(self, out: list[Piece]) -> None:
        """Say that no text or reasoning of the present run follows."""
        self._flush_text(out)
        self._thoughts.close(out)

    def _read_thoughts(self, delta: dict[str, Any], out: list[Piece]) -> None:
        details = objects_in(delta, "reasoning_details")
        for field in ("reasoning_content", "reasoning"):
            text = text_in(delta, field)
            if text:
                break
        else:
            field = "reasoning_content"
            text = "".join(
                text_in(detail, "text") or text_in(detail, "summary") for detail in details
            )
        if text or details:
            self._flush_text(out)
            self._calls.release(out)
            self._thoughts.add(text, field, details, out)

    def _read_parts(self, parts: list[dict[str, Any]], out: list[Piece]) -> None:
        """Read content that is a list, as Mistral's is where the model reasons."""
        for part in parts:
            if part.get("type") == "thinking":
                inner = part.get("thinking")
                text = (
                    inner
                    if isinstance(inner, str)
                    else "".join(text_in(item, "text") for item in objects_in(part, "thinking"))
                )
                if text:
                    self._flush_text(out)
                    self._thoughts.add(text, "content", [], out)
            elif part.get("type") == "refusal":
                self._turn_to_other(out)
                self._refused = True
                out.append(Refusal(text_in(part, "refusal") or " "))
            else:
                self._add_text(text_in(part, "text"), None, out)

    def _add_text(self, text: str, logprobs: Any, out: list[Piece]) -> None:
        if not text:
            return
        if self._tags is None and not self._context.prefill:
            self._thoughts.close(out)
            self._calls.release(out)
            out.append(Text(text, logprobs if isinstance(logprobs, list) and logprobs else None))
            return
        self._tell_parts([(False, text)] if self._tags is None else self._tags.feed(text), out)

    def _tell_parts(self, parts: list[tuple[bool, str]], out: list[Piece]) -> None:
        for is_reasoning, text in parts:
            self._calls.release(out)
            if is_reasoning:
                self._thoughts.add(text, "reasoning_content", [], out)
            elif kept := self._prefill.feed(text):
                self._thoughts.close(out)
                out.append(Text(kept))

    def _flush_text(self, out: list[Piece]) -> None:
        if self._tags is not None:
            self._tell_parts(self._tags.end(), out)
        if self._context.prefill and (kept := self._prefill.end()):
            self._thoughts.close(out)
            out.append(Text(kept))

    def _read_annotation(self, annotation: dict[str, Any], out: list[Piece]) -> None:
        cited = object_in(annotation, "url_citation")
        url = text_in(cited, "url")
        if not url:
            return
        start = literal.number(cited.get("start_index"))
        end = literal.number(cited.get("end_index"))
        out.append(
            Citation(
                url,
                text_in(cited, "title"),
                start if isinstance(start, int) else 0,
                end if isinstance(end, int) else 0,
            )
        )
