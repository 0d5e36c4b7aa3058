"""An upstream's error, whatever shape it has, taken apart into one `Signal`.

Providers put the same failure into a dozen shapes: OpenAI's and Anthropic's error objects, a bare
string, a list around it, FastAPI's `detail`, DashScope's flat code and message, MiniMax's
`base_resp` inside a 200, HTML of a CDN. Nothing is judged here; the words are only found.
"""

import re
from typing import Any, TypeGuard

import msgspec

from llm_proxy.domain.signal import Signal
from llm_proxy.wire.body import read_json, writable
from llm_proxy.wire.sse import fields

MAX_BODY_BYTES = 64 * 1024
"""An error says what it has to say in less."""
MAX_TEXT = 200
"""Characters kept of a body that is no JSON."""
MAX_HTML_BYTES = 8 * 1024
"""More of a page is not searched for its text: unclosed tags make that slow."""
MAX_MESSAGE = 4000
MAX_WORD = 200

_RETRY_NAMES = ("retry_after", "retry_after_seconds", "retryAfter")

ERROR_FIELDS = frozenset(
    (
        "__type",
        "base_resp",
        "choices",
        "code",
        "content",
        "data",
        "detail",
        "error",
        "error_code",
        "error_msg",
        "error_type",
        "errors",
        "id",
        "message",
        "msg",
        "object",
        "output",
        "role",
        "status",
        "statusCode",
        "title",
        "type",
        *_RETRY_NAMES,
    )
)
"""Top-level fields by which an error is told from an answer."""

_TAG = re.compile(
    r"<(?:script|style)\b.*?</(?:script|style)>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE
)
_BLANKS = re.compile(r"\s+")
_WAIT = re.compile(
    r"(?:(?:try|retry|again|retrying)(?: your request)?(?: again)?(?: in| after)"
    r"|resets? (?:in|after)|wait(?: for)?|请在?)"
    r"\s*(?:about |around |approximately |at least )?(?P<span>(?:\d+(?:\.\d+)?\s*"
    r"(?:milliseconds?|ms|minutes?|mins?|hours?|hrs?|days?|seconds?|secs?|秒|分钟|小时|[smhd])"
    r"(?![a-z])\s*)+)",
    re.IGNORECASE,
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milli|m|h|d|s|秒|分|小)", re.IGNORECASE)
_UNITS = {"ms": 0.001, "milli": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400} | {
    "秒": 1,
    "分": 60,
    "小": 3600,
}


def read_signal(status: int, content_type: bytes, body: bytes) -> Signal:
    """Read the body of an answer with an error status.

    Args:
        status: HTTP status, at least 400.
        content_type: As sent; a hint only.
        body: Decoded; the first 64 KiB count.

    Returns:
        A signal with a message in any case.
    """
    body = body[:MAX_BODY_BYTES]
    if body.startswith((b"event:", b"data:", b":")):
        data = fields(body)[1]
        if data is not None:
            # What it says counts, but as a body it is nothing that a client could read.
            inside = read_signal(status, content_type, data)
            return msgspec.structs.replace(inside, is_json=False)
    try:
        value = read_json(body)
    except ValueError:
        return Signal(
            status,
            message=_plain_text(body, is_html=b"html" in content_type.lower())
            or f"upstream returned HTTP {status}",
            retry_after_s=_advice_in(body.decode("utf-8", "replace")),
            is_json=False,
        )
    signal = signal_of(value, status)
    if signal is not None:
        return signal
    text = value if isinstance(value, str) else ""
    return Signal(
        status,
        message=_clip(text) or f"upstream returned HTTP {status}",
        retry_after_s=_advice_in(text),
        is_json=isinstance(value, dict | list),
    )


def text_signal(status: int, text: bytes) -> Signal:
    """Return the signal of an error that is plain text."""
    message = _plain_text(text, is_html=False)
    return Signal(status, message=message, retry_after_s=_advice_in(message), is_json=False)


def error_inside(value: Any) -> Signal | None:
    """Return the error that stands in a 200 instead of an answer, or None if there is none.

    Args:
        value: A whole JSON answer, or one event of a stream, read.
    """
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        return None
    if value.get("error") or value.get("type") == "error" or value.get("object") == "error":
        return signal_of(value, 200)
    resp = value.get("base_resp")
    if isinstance(resp, dict) and resp.get("status_code"):
        return signal_of(value, 200)
    if (
        value.get("code")
        and isinstance(value.get("message"), str)
        and value.keys().isdisjoint(("choices", "content", "output", "data", "id", "role"))
    ):
        return signal_of(value, 200)
    return None


def signal_of(value: Any, status: int) -> Signal | None:
    """Return the signal in a JSON value, or None if it says nothing that is known."""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if isinstance(error, list) and error:
        error = error[0]
    inner = error if isinstance(error, dict) else value
    details = inner.get("details")
    message = _message(value, inner, error)
    type_, code = _type(value, inner), _code(value, inner)
    if not (message or type_ or code):
        return None
    return Signal(
        status,
        type=type_,
        code=code,
        error_code=_word(details.get("error_code")) if isinstance(details, dict) else "",
        message=message or f"upstream returned an error without words ({type_ or code})",
        retry_after_s=_advice(value, inner, message),
    )


def _message(value: dict[str, Any], inner: dict[str, Any], error: Any) -> str:
    """Return the provider's words, from the most to the least usual place."""
    message = (
        _words(inner.get("message"))
        or _words(error)
        or _words(value.get("message"))
        or _words(value.get("detail"))
        or _words(value.get("errors"))
        or _words(value.get("msg"))
        or _words(value.get("error_msg"))
        or _words(_object(value.get("base_resp")).get("status_msg"))
        or _words(inner.get("detail"))
        or _words(value.get("title"))
    )
    raw = _object(inner.get("metadata")).get("raw")  # OpenRouter: what its own upstream said
    if raw:
        message = f"{message}: {raw if isinstance(raw, str) else _words(raw)}"
    return _clip(message)


def _words(value: Any) -> str:
    """Return the text in a string, an error-like object, or a list that begins with either."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list) and value:
        return _words(value[0])
    if isinstance(value, dict):
        for name in ("message", "msg", "detail", "error"):
            words = _words(value.get(name))
            if words:
                place = value.get("loc")
                if isinstance(place, list):
                    return f"{'.'.join(str(part) for part in place)}: {words}"
                return words
    return ""


def _type(value: dict[str, Any], inner: dict[str, Any]) -> str:
    for candidate in (inner.get("type"), value.get("type"), value.get("__type")):
        word = _word(candidate)
        if word and word != "error" and "://" not in word and word != "about:blank":
            return word
    details = inner.get("details")
    if isinstance(details, list):  # Google's ErrorInfo is more telling than its status
        for detail in details:
            word = _word(_object(detail).get("reason"))
            if word:
                return word
    return _word(value.get("error_type"))


def _code(value: dict[str, Any], inner: dict[str, Any]) -> str:
    code = inner.get("code")
    status = inner.get("status")
    if isinstance(status, str) and status and (code is None or _word(code).isdecimal()):
        return _word(status)
    resp = _object(value.get("base_resp"))
    errors = value.get("errors")
    first = _object(errors[0]) if isinstance(errors, list) and errors else {}
    for candidate in (
        code,
        value.get("code"),
        resp.get("status_code"),
        value.get("error_code"),
        first.get("code"),
        value.get("statusCode"),
    ):
        word = _word(candidate)
        if word:
            return word
    return ""


def _advice(value: dict[str, Any], inner: dict[str, Any], message: str) -> float | None:
    details = inner.get("details")
    for detail in details if isinstance(details, list) else ():
        delay = _object(detail).get("retryDelay")
        wait_s = _spans(delay) if isinstance(delay, str) else _object(delay).get("seconds")
        if _is_wait(wait_s):
            return float(wait_s)
    for place in (inner, value, _object(inner.get("metadata"))):
        for name in _RETRY_NAMES:
            wait_s = place.get(name)
            if _is_wait(wait_s):
                return float(wait_s)
    return _advice_in(message)


def _is_wait(value: Any) -> TypeGuard[int | float]:
    """Return whether a value is a number that a float can hold; an integer may be too large."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def _advice_in(text: str) -> float | None:
    """Return the wait that a text asks for: `try again in 6m0.5s`, `retry after 7 seconds`."""
    match = _WAIT.search(text[:MAX_MESSAGE])
    return _spans(match["span"]) if match is not None else None


def _spans(text: str) -> float | None:
    parts = _PART.findall(text[:100])
    if not parts:
        return None
    return sum(float(number) * _UNITS[unit.lower()] for number, unit in parts)


def _plain_text(body: bytes, *, is_html: bool) -> str:
    text = body[:MAX_HTML_BYTES].decode("utf-8", "replace")
    if is_html or text.lstrip()[:1] == "<":
        text = _TAG.sub(" ", text)
    return _BLANKS.sub(" ", text).strip()[:MAX_TEXT]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _word(value: Any) -> str:
    """Return a type or code as text; codes are numbers with some providers."""
    if isinstance(value, str):
        return writable(value.strip()[:MAX_WORD])
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)[:MAX_WORD]
    return ""


def _clip(text: str) -> str:
    return writable(text.strip()[:MAX_MESSAGE])
