"""What a client asks for, made ready to be sent to any target."""

import msgspec
from msgspec import Raw

from llm_proxy.domain.target import Target
from llm_proxy.formats.endpoint import COUNT, EMBED, GENERATE, Endpoint
from llm_proxy.formats.format import Format
from llm_proxy.formats.translate.strip import strip_markers
from llm_proxy.wire.body import Peek, splice_model
from llm_proxy.wire.head import connection_of, fields_up
from llm_proxy.wire.request import Request

from .admission import Admission

DEFAULT_ANTHROPIC_VERSION = b"2023-06-01"
TRACE = (b"traceparent:", b"tracestate:")
MARKED = ("messages", "responses")
"""Formats whose history can hold reasoning that a translation made up."""
_BODILESS = ("GET", "HEAD", "DELETE", "OPTIONS")


class Call(msgspec.Struct):
    """One request of a client, seen from the upstreams' side.

    Attributes:
        request: As read.
        admission: What its head means.
        body: As received, or decoded where a model has to be renamed in it.
        peek: What was read of it; None where nobody needs to.
        model: As asked; None when the request names none.
        is_stream: Whether a stream was asked for.
        is_recoded: The body is not the received one any more: its coding must not be announced.
        received: The body as received, where `body` is decoded; whom nothing has to be changed for
            gets this one.
        unmarked: The body without the reasoning that a translation made up, and what was read of
            it: worked out in advance where the body is large.
        is_kept: What it makes can be asked for later.
        unknown_id: What it speaks of, where nobody here remembers who made that; or empty.
        made_for: The access key for which what it speaks of was made; or empty.
        made: Ids that a whole answer gave out.
        trace: Header lines that go up instead of the client's trace; empty = those do.
    """

    request: Request
    admission: Admission
    body: bytes
    peek: Peek | None = None
    model: str | None = None
    is_stream: bool = False
    is_recoded: bool = False
    received: bytes = b""
    unmarked: tuple[bytes, Peek] | None = None
    is_kept: bool = False
    unknown_id: str = ""
    made_for: str = ""
    made: list[str] = []
    trace: bytes = b""

    @property
    def top(self) -> dict[str, Raw]:
        """The body's fields, their values raw, as far as they were read."""
        return self.peek.top if self.peek is not None else {}

    @property
    def method(self) -> str:
        """HTTP method."""
        return self.request.method

    @property
    def format(self) -> Format:
        """Whose dialect the path speaks."""
        return self.admission.format

    @property
    def endpoint(self) -> Endpoint:
        """What the path means."""
        return self.admission.endpoint

    @property
    def is_retold(self) -> bool:
        """Whether the answer comes in another format: what cannot be read must not go down."""
        return False

    @property
    def is_stream_read(self) -> bool:
        """Whether the events of a stream are understood here."""
        return self.admission.endpoint.kind is GENERATE

    @property
    def is_answer_read(self) -> bool:
        """Whether a JSON answer is understood here, and must make sense."""
        return self.admission.endpoint.kind in (GENERATE, COUNT, EMBED)

    def is_stream_kind(self, content_type: bytes) -> bool:
        """Whether an answer of this type (lower case) is a stream whose events are understood."""
        return self.is_stream_read and (
            content_type.startswith(b"text/event-stream")
            or (self.is_stream and b"json" not in content_type and b"html" not in content_type)
        )

    def body_for(self, model: str | None) -> bytes:
        """Return the body that asks for `model`: the received bytes, but for that one value.

        Reasoning that a translation made up for the client means nothing here and is left out.
        """
        peek, body = self.peek, self.body
        if peek is None:
            return body
        if self.unmarked is not None:
            body, peek = self.unmarked
        if model is not None and model != self.model and peek.model_span is not None:
            body = splice_model(body, peek.model_span, model)
        if self.unmarked is None and self.admission.endpoint.format in MARKED:
            body = strip_markers(self.admission.endpoint.format, body) or body
        return self.received if self.received and body is self.body else body

    def forget_body(self) -> None:
        """Nobody else will be asked: keep no body, and nothing that was read of it."""
        self.body = self.received = b""
        self.peek = self.unmarked = None

    def head_for(self, target: Target, body: bytes) -> bytes:
        """Return the request head for `target`; no field of it comes from anybody else's key."""
        heads = self.admission.heads
        known = heads.get(target.id)
        is_recoded = self.is_recoded and body is not self.received
        if known is not None and known[0] is target and not is_recoded:
            start = known[1]
        else:
            start = _head_start(
                self.request,
                self.admission,
                target,
                is_recoded=is_recoded,
                is_traced=bool(self.trace),
            )
            if not is_recoded:
                heads[target.id] = (target, start)
        if self.trace:
            start += self.trace
        if body or self.request.method not in _BODILESS:
            return b"%bcontent-length: %d\r\n\r\n" % (start, len(body))
        return start + b"\r\n"


def _head_start(
    request: Request, admission: Admission, target: Target, *, is_recoded: bool, is_traced: bool
) -> bytes:
    """Return the request line and all fields but the body's length and our own trace."""
    upstream = target.upstream
    query = b"?" + request.query if request.query else b""
    path = admission.path.removeprefix(b"/v1")
    lines = [
        b"%b %b%b%b HTTP/1.1\r\nhost: %b\r\n"
        % (
            request.method.encode(),
            upstream.root.encode(),
            path,
            query,
            upstream.authority.encode(),
        )
    ]
    if target.key.secret is not None:
        key = target.key.secret.reveal().encode()
        lines.append(credential(admission.format.name, target, key))
    own = _lines_up(request, admission.format.name)
    if upstream.headers:
        replaced = tuple(name.encode() + b":" for name, _ in upstream.headers)
        own = [line for line in own if not line.startswith(replaced)]
        lines += [b"%b: %b\r\n" % (n.encode(), v.encode()) for n, v in upstream.headers]
    if upstream.beta_deny:
        own = _without_betas(own, frozenset(beta.encode() for beta in upstream.beta_deny))
    if is_recoded:
        own = [line for line in own if not line.startswith(b"content-encoding:")]
    if is_traced:
        own = [line for line in own if not line.startswith(TRACE)]
    return b"".join(lines + own)


def credential(format_name: str, target: Target, key: bytes) -> bytes:
    """Return the header line in which a request of this format carries `target`'s key."""
    if format_name == "messages" and target.upstream.message_auth == "x-api-key":
        return b"x-api-key: %b\r\n" % key
    return b"authorization: Bearer %b\r\n" % key


def _lines_up(request: Request, format_name: str) -> list[bytes]:
    """Return the header lines of `request` that go to every upstream."""
    lines = fields_up(request.headers, connection_of(request.headers, request.fields))
    lines.append(b"accept-encoding: identity\r\n")
    if format_name == "messages" and b"anthropic-version" not in request.fields:
        lines.append(b"anthropic-version: %b\r\n" % DEFAULT_ANTHROPIC_VERSION)
    return lines


def _without_betas(lines: list[bytes], denied: frozenset[bytes]) -> list[bytes]:
    kept = []
    for line in lines:
        name, _, value = line.partition(b": ")
        if name != b"anthropic-beta":
            kept.append(line)
            continue
        betas = [beta.strip() for beta in value.strip().split(b",")]
        betas = [beta for beta in betas if beta and beta not in denied]
        if betas:
            kept.append(b"anthropic-beta: %b\r\n" % b",".join(betas))
    return kept
