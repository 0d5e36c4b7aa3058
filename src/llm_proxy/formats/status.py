"""Which status an error has, and which type and code a status has in each format."""

import msgspec

from llm_proxy.domain.signal import Signal


class ErrorWords(msgspec.Struct, frozen=True):
    """How an HTTP status is called in the body.

    Attributes:
        messages_type: `error.type` of Messages.
        openai_type: `error.type` of Chat Completions and Responses.
        openai_code: `error.code` there, unless something better is known.
    """

    messages_type: str
    openai_type: str
    openai_code: str | None = None


# fmt: off
_WORDS = {
    400: ErrorWords("invalid_request_error", "invalid_request_error"),
    401: ErrorWords("authentication_error",  "invalid_request_error", "invalid_api_key"),
    402: ErrorWords("billing_error",         "insufficient_quota",    "insufficient_quota"),
    403: ErrorWords("permission_error",      "permission_error"),
    404: ErrorWords("not_found_error",       "not_found_error"),
    408: ErrorWords("timeout_error",         "timeout_error",         "timeout"),
    409: ErrorWords("conflict_error",        "conflict_error"),
    413: ErrorWords("request_too_large",     "invalid_request_error", "request_too_large"),
    429: ErrorWords("rate_limit_error",      "rate_limit_error",      "rate_limit_exceeded"),
    500: ErrorWords("api_error",             "server_error"),
    503: ErrorWords("overloaded_error",      "server_error",          "overloaded"),
    504: ErrorWords("timeout_error",         "timeout_error",         "timeout"),
    529: ErrorWords("overloaded_error",      "server_error",          "overloaded"),
}
# fmt: on


def error_words(status: int) -> ErrorWords:
    """Return how `status` is called."""
    return _WORDS.get(status) or _WORDS[400 if 400 <= status < 500 else 500]


_BEGINNINGS = (
    (("ratelimit", "throttling", "toomanyrequests", "resourceexhausted"), 429),
    (("insufficientquota", "exceededcurrentquota"), 429),
    (("authentication", "invalidapikey", "unauthenticated", "apikeyinvalid"), 502),
    (("timeout", "deadlineexceeded"), 504),
    (("contextlength", "contextwindow", "tooluse"), 400),
    (("contentfilter", "contentpolicy", "datainspection", "responsibleai", "invalidprompt"), 400),
    (("modelnotfound", "notfound"), 404),
    (("requesttoolarge",), 413),
    (("permission",), 403),
    (("billing", "insufficientbalance", "arrearage"), 402),
    (("conflict",), 409),
    (("invalidrequest", "invalidargument", "badrequest"), 400),
)
"""First match counts: a code like `context_length_exceeded` may stand beside a vague type."""

_NUMBERED = {
    "1001": 504,  # MiniMax
    "1002": 429,
    "1004": 502,
    "1008": 402,
    "1026": 400,
    "1027": 400,
    "1039": 429,
    "2013": 400,
}


def status_in_stream(signal: Signal, format_name: str) -> int:
    """Return the status of an error that came inside a 200.

    Args:
        signal: The error.
        format_name: The client's format: overloads have another status in Messages.
    """
    words = [_fold(word) for word in (signal.type, signal.code, signal.error_code) if word]
    for beginnings, status in _BEGINNINGS:
        if any(word.startswith(beginnings) for word in words):
            return status
    overload = 529 if format_name == "messages" else 503
    for word in words:
        if word in _NUMBERED:
            return _NUMBERED[word]
        if "overload" in word or word in ("unavailable", "slowdown"):
            return overload
        if word.isdecimal() and len(word) == 3 and 400 <= int(word) < 600:
            number = int(word)
            if number in (503, 529):
                return overload
            return 502 if number == 401 else number
    return 502


def _fold(word: str) -> str:
    return "".join(char for char in word.lower() if char.isalnum())
