"""Answers that cannot be told, and upstream errors told in the client's format.

```
AnswerError (a ValueError)
  NoAnswerError          there is nothing that could be told
  AnswerTooLargeError    it would take more memory than allowed
  UpstreamFailedError    the upstream says that it failed
```
"""

import re

import msgspec
from msgspec import Struct

from llm_proxy.domain.signal import Signal
from llm_proxy.formats.format import openai_error
from llm_proxy.formats.status import error_words, status_in_stream
from llm_proxy.wire.body import writable


class AnswerError(ValueError):
    """An upstream's answer cannot be told to the client; the text says why, safe to show."""


class NoAnswerError(AnswerError):
    """The upstream's answer holds none."""


class AnswerTooLargeError(AnswerError):
    """The answer would have to be held whole, and is too large for that."""


class UpstreamFailedError(AnswerError):
    """The upstream reports its own failure where an answer should be.

    Attributes:
        signal: What it says.
    """

    def __init__(self, signal: Signal) -> None:
        super().__init__(signal.message)
        self.signal = signal


class ToldError(Struct, frozen=True):
    """An upstream's error in the client's format.

    Attributes:
        status: HTTP status for the client.
        message: What went wrong.
        code: Machine-readable; None = the format's usual one for the status.
        body: JSON.
    """

    status: int
    message: str
    code: str | None
    body: bytes


REJECTED = "upstream rejected the proxy's credentials"
TOO_LONG = "prompt is too long: "
"""Claude Code compacts its conversation when a message begins so."""
_CONTEXT_CODE = "context_length_exceeded"
_CONTEXT = re.compile(
    r"maximum context length|prompt is too long|context window|context[_ ]length|too many tokens",
    re.IGNORECASE,
)
_MODEL = re.compile(r"\bmodels?\b", re.IGNORECASE)


def translated_error(signal: Signal, client: str, *, request_id: str) -> ToldError:
    """Tell an upstream's error in the client's format.

    Args:
        signal: The error, its message redacted.
        client: The client's format: `chat`, `messages`, `responses`.
        request_id: For the formats that carry it in the body.
    """
    status = told_status(signal, client)
    if signal.status == 401 or (signal.status == 200 and status == 502 and _is_about_key(signal)):
        message, code = REJECTED, None
    else:
        message, code = told_words(signal.message, signal, status, client)
    return ToldError(
        status, message, code, _body(status, message, code, client, request_id=request_id)
    )


def told_status(signal: Signal, client: str) -> int:
    """Return the client's status: the upstream's, except where that would mislead."""
    if signal.status == 200:
        return status_in_stream(signal, client)
    if signal.status == 401 or not 400 <= signal.status < 600:
        return 502
    return signal.status


def told_words(
    message: str, signal: Signal | None, status: int, client: str, *, code: str = ""
) -> tuple[str, str | None]:
    """Return message and code as the client's own recovery looks for them.

    Args:
        message: The upstream's words or ours.
        signal: What the upstream said; None = the failure is not its own.
        status: The client's.
        client: Its format.
        code: Of a failure that is not the upstream's own.
    """
    code = code if signal is None else signal.code
    if is_context_error(status, code, message):
        if client == "messages" and not message.lower().startswith(TOO_LONG.strip()):
            message = TOO_LONG + message
        return message, _CONTEXT_CODE
    if signal is None:
        return message, code or None
    said = f"{code} {signal.type}"
    if status == 429:
        return message, "insufficient_quota" if "insufficient_quota" in said else None
    if status == 404 and ("model" in said or _MODEL.search(message)):
        return message, "model_not_found"
    if not code or code.isdecimal() or error_words(status).openai_code:
        return message, None
    return message, code


def is_context_error(status: int, code: str, message: str) -> bool:
    """Return whether the conversation is too long for the model."""
    return status == 400 and (code == _CONTEXT_CODE or _CONTEXT.search(message) is not None)


def _is_about_key(signal: Signal) -> bool:
    said = f"{signal.type} {signal.code}".lower()
    return any(word in said for word in ("auth", "api_key", "apikey", "401", "1004"))


def _body(status: int, message: str, code: str | None, client: str, *, request_id: str) -> bytes:
    if client != "messages":
        return msgspec.json.encode({"error": openai_error(status, message, code, None)})
    error = {"type": error_words(status).messages_type, "message": writable(message)}
    return msgspec.json.encode({"type": "error", "error": error, "request_id": request_id})
