"""What a client asks for, made ready to be sent to any target."""

import msgspec

from llm_proxy.domain.target import Target
from llm_proxy.formats.endpoint import COUNT, EMBED, GENERATE, Endpoint
from llm_proxy.formats.format import Format
from llm_proxy.wire.body import Peek, splice_model
from llm_proxy.wire.head import fields_up
from llm_proxy.wire.request import Request

DEFAULT_ANTHROPIC_VERSION = b"2023-06-01"


class Call(msgspec.Struct):
    """One request of a client, seen from the upstreams' side.

    Attributes:
        method: HTTP method.
        path: Repaired path, below the version root: `/chat/completions`.
        query: With its `?`, or empty.
        lines: Header lines every upstream gets.
        names: Their names, for upstreams whose configured headers replace some.
        body: As received.
        peek: What was read of it; None where nobody needs to.
        model: As asked; None when the request names none.
        is_stream: Whether a stream was asked for.
        format: Whose dialect the path speaks.
        endpoint: What the path means.
    """

    method: str
    path: bytes
    query: bytes
    lines: list[bytes]
    body: bytes
    peek: Peek | None
    model: str | None
    is_stream: bool
    format: Format
    endpoint: Endpoint

    @property
    def is_stream_read(self) -> bool:
        """Whether the events of a stream are understood here."""
        return self.endpoint.kind is GENERATE

    @property
    def is_answer_read(self) -> bool:
        """Whether a JSON answer is understood here, and must make sense."""
        return self.endpoint.kind in (GENERATE, COUNT, EMBED)

    def body_for(self, model: str | None) -> bytes:
        """Return the body that asks for `model`: the received bytes, but for that one value."""
        peek = self.peek
        if peek is None or model is None or model == self.model or peek.model_span is None:
            return self.body
        return splice_model(self.body, peek.model_span, model)

    def head_for(self, target: Target, body: bytes) -> bytes:
        """Return the request head for `target`; no field of it comes from anybody else's key."""
        upstream = target.upstream
        lines = [
            b"%b %b%b%b HTTP/1.1\r\nhost: %b\r\n"
            % (
                self.method.encode(),
                upstream.root.encode(),
                self.path,
                self.query,
                upstream.authority.encode(),
            )
        ]
        if target.key.secret is not None:
            lines.append(self._credential(target.key.secret.reveal().encode(), target))
        own = self.lines
        if upstream.headers:
            replaced = tuple(name.encode() + b":" for name, _ in upstream.headers)
            own = [line for line in own if not line.startswith(replaced)]
            lines += [b"%b: %b\r\n" % (n.encode(), v.encode()) for n, v in upstream.headers]
        if upstream.beta_deny:
            own = _without_betas(own, frozenset(beta.encode() for beta in upstream.beta_deny))
        lines += own
        if body or self.method not in ("GET", "HEAD", "DELETE", "OPTIONS"):
            lines.append(b"content-length: %d\r\n" % len(body))
        lines.append(b"\r\n")
        return b"".join(lines)

    def _credential(self, key: bytes, target: Target) -> bytes:
        if self.format.name == "messages" and target.upstream.message_auth == "x-api-key":
            return b"x-api-key: %b\r\n" % key
        return b"authorization: Bearer %b\r\n" % key


def lines_up(request: Request, format_name: str) -> list[bytes]:
    """Return the header lines of `request` that go to every upstream."""
    lines = fields_up(request.headers, request.fields.get(b"connection"))
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
