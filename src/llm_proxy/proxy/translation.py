"""A call in the words of an upstream that speaks another format than its client.

The client's request is translated anew for each such attempt, since upstreams differ; what comes
back goes through the attempt's own interpreter. Everything between (attempt, relay, judging) sees
a call like any other, whose format is the upstream's.
"""

import secrets
from typing import TYPE_CHECKING

from llm_proxy.domain.signal import Signal
from llm_proxy.domain.target import Target
from llm_proxy.formats import format_named
from llm_proxy.formats.endpoint import Endpoint, endpoint_of
from llm_proxy.formats.format import Format
from llm_proxy.formats.translate.context import Context, Translated
from llm_proxy.formats.translate.interpreter import Interpreter
from llm_proxy.formats.translate.repair import repair, without
from llm_proxy.formats.translate.request import translate_request, warnings_of
from llm_proxy.wire.head import fields_up

from .call import DEFAULT_ANTHROPIC_VERSION, TRACE, Call, credential

if TYPE_CHECKING:
    from .core import Core

LARGE_BODY_BYTES = 32 * 1024
"""A body from this size on is translated off the loop: 100 KB take two milliseconds."""
MAX_DISLIKES = 256
"""Models at upstreams whose dislikes are remembered."""

_ENDPOINTS = {
    name: endpoint_of("POST", path)
    for name, path in (
        ("chat", "/v1/chat/completions"),
        ("messages", "/v1/messages"),
        ("responses", "/v1/responses"),
    )
}
_PASSED = (b"user-agent", b"traceparent", b"tracestate", b"x-client-request-id", b"idempotency-key")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class TranslatedCall(Call, kw_only=True):
    """One attempt's request in the upstream's format.

    Attributes:
        origin: The client's request.
        spoken: The upstream's format.
        context: What the way up says to the way back.
        interpreter: Turns the answer into the client's format.
    """

    origin: Call
    spoken: Format
    context: Context
    interpreter: Interpreter

    @property
    def format(self) -> Format:
        """The upstream's dialect."""
        return self.spoken

    @property
    def endpoint(self) -> Endpoint:
        """What the upstream is asked for."""
        return _ENDPOINTS[self.spoken.name]

    @property
    def is_retold(self) -> bool:
        """Of another format, the answer must be read."""
        return True

    def lines_down(self) -> list[bytes]:
        """Return the header lines that the client gets of us instead of the upstream's."""
        kind = b"text/event-stream; charset=utf-8" if self.is_stream else b"application/json"
        lines = [b"content-type: %b\r\n" % kind]
        if self.is_stream:
            lines.append(b"cache-control: no-cache\r\nx-accel-buffering: no\r\n")
        if warnings := warnings_of(self.context):
            lines.append(b"x-llm-proxy-warnings: %b\r\n" % warnings.encode())
        return lines

    def comment_down(self) -> bytes:
        """Return what `lines_down` says of the request, as a comment behind a head of our own."""
        warnings = warnings_of(self.context)
        return b": x-llm-proxy-warnings: %b\n\n" % warnings.encode() if warnings else b""

    def summary(self) -> str:
        """Return one line for the record: the formats, and what was not carried as it stood."""
        line = f"translated from {self.context.client} to {self.context.upstream}"
        warnings = warnings_of(self.context)
        return f"{line}: {warnings}" if warnings else line

    def forget_body(self) -> None:
        """Nobody else will be asked: keep no body, the client's neither."""
        super().forget_body()
        self.origin.forget_body()

    def is_stream_kind(self, content_type: bytes) -> bool:
        """Whether the answer may flow: a stream that nobody asked for is gathered instead."""
        return self.is_stream and super().is_stream_kind(content_type)

    def body_for(self, model: str | None) -> bytes:
        """Return the translated body, in which the model is named already."""
        return self.body

    def head_for(self, target: Target, body: bytes) -> bytes:
        """Return the request head: the few fields that mean the same to everybody, and ours."""
        upstream = target.upstream
        lines = [
            b"POST %b%b HTTP/1.1\r\nhost: %b\r\n"
            % (
                upstream.root.encode(),
                self.endpoint.path.removeprefix("/v1").encode(),
                upstream.authority.encode(),
            )
        ]
        if target.key.secret is not None:
            key = target.key.secret.reveal().encode()
            lines.append(credential(self.spoken.name, target, key))
        accept = b"text/event-stream" if self.is_stream else b"application/json"
        own = [
            b"content-type: application/json\r\naccept: %b\r\naccept-encoding: identity\r\n"
            % accept
        ]
        if self.spoken.name == "messages":
            own.append(b"anthropic-version: %b\r\n" % DEFAULT_ANTHROPIC_VERSION)
        own += fields_up([pair for pair in self.request.headers if pair[0] in _PASSED], None)
        if self.trace:
            own = [line for line in own if not line.startswith(TRACE)] + [self.trace]
        if upstream.headers:
            replaced = tuple(name.encode() + b":" for name, _ in upstream.headers)
            own = [line for line in own if not line.startswith(replaced)]
            own += [b"%b: %b\r\n" % (n.encode(), v.encode()) for n, v in upstream.headers]
        return b"".join([*lines, *own, b"content-length: %d\r\n\r\n" % len(body)])


class Dislikes:
    """Fields that models refuse, learnt from their refusals; for the process's lifetime."""

    def __init__(self) -> None:
        self._fields: dict[tuple[str, str, str], tuple[str, ...]] = {}

    def of(self, target: Target, format_: str, model: str) -> tuple[str, ...]:
        """Return what `model` at `target` does not take."""
        return self._fields.get((target.upstream.name, format_, model), ())

    def add(self, target: Target, format_: str, model: str, field: str) -> None:
        """Remember another such field."""
        key = (target.upstream.name, format_, model)
        if field in self._fields.get(key, ()):
            return  # several requests met the refusal at once
        if len(self._fields) >= MAX_DISLIKES and key not in self._fields:
            self._fields.clear()
        self._fields[key] = (*self._fields.get(key, ()), field)


async def translated_call(
    core: "Core", call: Call, target: Target, model: str, format_: str
) -> TranslatedCall:
    """Return `call` as `target` understands it.

    Args:
        core: For what is known of the target's dislikes.
        call: The client's.
        target: Who will be asked.
        model: Its name for the model.
        format_: The format it speaks.

    Raises:
        RequestError: 400, the request holds what that format cannot carry, or is malformed.
    """
    dislikes = core.dislikes.of(target, format_, model)
    if len(call.body) < LARGE_BODY_BYTES:
        translated = _translate(call, target, model, format_, dislikes)
    else:
        translated = await core.aside(_translate, call, target, model, format_, dislikes)
    return _made(core, call, translated.body, translated.context)


def _translate(
    call: Call, target: Target, model: str, format_: str, dislikes: tuple[str, ...]
) -> Translated:
    host = target.upstream.host
    translated = translate_request(
        call.body,
        client=call.format.name,
        upstream=format_,
        model=model,
        knobs=target.upstream.knobs,
        is_strict=call.request.fields.get(b"x-llm-proxy-strict", b"").lower() == b"true",
        host_is_openai=host == "api.openai.com" or host.endswith(".openai.azure.com"),
    )
    body = translated.body
    for field in dislikes:
        left = without(field, body)
        if left is not None:
            translated.context.note("dropped", field)
            body = left
    return Translated(body, translated.context)


def _made(core: "Core", call: Call, body: bytes, context: Context) -> TranslatedCall:
    return TranslatedCall(
        call.request,
        call.admission,
        body,
        model=call.model,
        is_stream=context.is_stream,
        origin=call,
        spoken=format_named(context.upstream),
        context=context,
        interpreter=Interpreter(
            context,
            now_s=core.wall_ms() // 1000,
            new_id=_new_id,
            estimate_input=lambda: context.input_tokens,
        ),
    )


async def repaired_call(
    core: "Core", call: TranslatedCall, target: Target, status: int, signal: Signal
) -> TranslatedCall | None:
    """Return the request without the preference that the upstream refused; None = it stays refused.

    What was refused is remembered: the model gets no such field any more.
    """
    message, body, spoken = signal.message, call.body, call.spoken.name
    if len(body) < LARGE_BODY_BYTES:
        mended = repair(status, message, body, spoken)
    else:
        mended = await core.aside(repair, status, message, body, spoken)
    if mended is None:
        return None
    core.dislikes.add(target, call.spoken.name, call.context.model, mended.field)
    call.context.note("dropped", mended.field)
    return _made(core, call.origin, mended.body, call.context)


def _new_id() -> str:
    """Return 24 characters of chance."""
    number = secrets.randbits(144)
    text = []
    for _ in range(24):
        number, digit = divmod(number, 62)
        text.append(_DIGITS[digit])
    return "".join(text)
