"""Which row of the fault table an upstream's error is: by its body first, its status second.

One order serves HTTP errors, a 200 that carries an error, and errors within a stream before its
first content, because providers dress the same failure in all three.

Words (types and codes) are compared without case and punctuation, so `rate_limit_error` and
`RateLimitReached` begin alike. Texts count where words are missing. Texts that condemn a key
are read strictly on a 400 and in a 200: there the message may quote the *client's* words, and a
client must not be able to rest a key that others share by asking about "insufficient balance".
"""

import re

from llm_proxy.domain.faults import (
    CLIENT_FAULT,
    CONTENT_FILTERED,
    CONTEXT_TOO_LONG,
    KEY_REJECTED,
    LOCKED,
    MODEL_NOT_FOUND,
    NOT_JSON,
    OVERLOADED,
    PERMISSION,
    PROXY_FAILED,
    QUOTA,
    RATE_LIMITED,
    REDIRECTED,
    REQUEST_TIMEOUT,
    SERVER_ERROR,
    Fault,
)
from llm_proxy.domain.signal import Signal

MAX_TEXT = 2000
"""Characters of a message that are read; causes stand at its beginning."""


def classify(signal: Signal) -> Fault:
    """Return the fault that an upstream's error answer is.

    Args:
        signal: The error, with status 200 where it stood inside a good-looking answer or stream.
    """
    status = signal.status
    if 300 <= status < 400:
        return REDIRECTED
    words = tuple(_fold(word) for word in (signal.type, signal.code, signal.error_code))
    text = signal.message[:MAX_TEXT].lower()
    return (
        _by_word(words)
        or _by_text(signal, text, words)
        or (_inside(signal, words) if status < 300 else _by_status(status, text, words))
    )


_QUOTED_BEFORE = r"^[^'\"`:]{0,40}?"
"""Where a message may quote the client, a cause stands in front of any quotation."""

_QUOTA = (
    r"(?:credit balance is too low|exceeded your current quota|insufficient (?:account )?quota"
    r"|insufficient (?:account )?balance|organization has been disabled|spend limit"
    r"|余额不足|账户已欠费|额度已用尽)"
)
_BAD_KEY = (
    r"(?:api[ _-]?key (?:is )?(?:not valid|invalid|expired)|(?:invalid|incorrect) api[ _-]?key)"
)
_QUOTA_ANYWHERE = re.compile(_QUOTA)
_QUOTA_FIRST = re.compile(_QUOTED_BEFORE + _QUOTA)
_BAD_KEY_FIRST = re.compile(_QUOTED_BEFORE + _BAD_KEY)
_ABOUT_KEY = re.compile(
    r"api[ _-]?key|access[ _-]?(?:key|token)|credential|authenticat|unauthori[sz]ed|invalid token"
    r"|令牌|密钥"
)
_CONTEXT = re.compile(
    r"context_length_exceeded|prompt is too long|maximum context length|context window"
    r"|too many tokens|exceed context limit|exceeds the maximum number of tokens"
)
_FILTER = re.compile(r"content filtering policy|content management policy")
_NO_MODEL = re.compile(
    r"^model:|\bmodels?\b.{0,300}\b(?:not found|not exist|does ?n[o']t exist|not supported)"
    r"|(?:unknown|no such|invalid) model|not a valid model",
    re.DOTALL,
)
_LOCK = re.compile(r"\block|try again|retry|busy|in progress|concurrent")

_WORDS: dict[str, Fault] = {
    "contentpolicyviolation": CONTENT_FILTERED,
    "contentfilter": CONTENT_FILTERED,
    "contentfiltered": CONTENT_FILTERED,
    "responsibleaipolicyviolation": CONTENT_FILTERED,
    "datainspectionfailed": CONTENT_FILTERED,
    "insufficientquota": QUOTA,
    "billinghardlimitreached": QUOTA,
    "billingnotactive": QUOTA,
    "insufficientbalance": QUOTA,
    "insufficientuserquota": QUOTA,
    "exceededcurrentquotaerror": QUOTA,
    "arrearage": QUOTA,
    "billingerror": QUOTA,
    "enforcedspendlimitreached": QUOTA,
    "contextlengthexceeded": CONTEXT_TOO_LONG,
    "contextwindowexceeded": CONTEXT_TOO_LONG,
    "exceedcontextsizeerror": CONTEXT_TOO_LONG,
    "modelnotfound": MODEL_NOT_FOUND,
    "modelnotfounderror": MODEL_NOT_FOUND,
    "deploymentnotfound": MODEL_NOT_FOUND,
    "overloaded": OVERLOADED,
    "overloadederror": OVERLOADED,
    "modeloverloaded": OVERLOADED,
    "engineoverloadederror": OVERLOADED,
    "serveroverloaded": OVERLOADED,
    "slowdown": OVERLOADED,
    "authenticationerror": KEY_REJECTED,
    "invalidauthenticationerror": KEY_REJECTED,
    "invalidapikey": KEY_REJECTED,
    "incorrectapikeyerror": KEY_REJECTED,
    "apikeyinvalid": KEY_REJECTED,
    "unauthenticated": KEY_REJECTED,
}
"""Types and codes that say enough whatever the status."""

_RATE_WORDS = ("ratelimit", "throttling", "toomanyrequests", "resourceexhausted")
"""Beginnings of types and codes of a limit."""

_INSIDE: dict[str, Fault] = {
    # MiniMax answers everything with 200 and numbers it.
    "1001": REQUEST_TIMEOUT,
    "1002": RATE_LIMITED,
    "1004": KEY_REJECTED,
    "1008": QUOTA,
    "1026": CONTENT_FILTERED,
    "1027": CONTENT_FILTERED,
    "1039": RATE_LIMITED,
    "2013": CLIENT_FAULT,
    "invalidrequest": CLIENT_FAULT,
    "invalidrequesterror": CLIENT_FAULT,
    "invalidargument": CLIENT_FAULT,
    "invalidprompt": CLIENT_FAULT,
    "requesttoolarge": CLIENT_FAULT,
    "notfounderror": CLIENT_FAULT,
    "toolusefailed": CLIENT_FAULT,
    "permissionerror": PERMISSION,
    "permissiondenied": PERMISSION,
    "timeout": REQUEST_TIMEOUT,
    "timeouterror": REQUEST_TIMEOUT,
    "unavailable": OVERLOADED,
}
"""Types and codes that count where the status says nothing, as it is 200."""

_STATUS: dict[int, Fault] = {
    401: KEY_REJECTED,
    402: QUOTA,
    407: PROXY_FAILED,
    408: REQUEST_TIMEOUT,
    425: LOCKED,
    429: RATE_LIMITED,
    498: OVERLOADED,  # Groq: no capacity in the flex tier
    499: REQUEST_TIMEOUT,  # a relay whose own upstream call was given up
    503: OVERLOADED,
    529: OVERLOADED,
}


def _fold(word: str) -> str:
    return "".join(char for char in word[:80].lower() if char.isalnum())


def _by_word(words: tuple[str, ...]) -> Fault | None:
    """Judge by type and code."""
    for word in words:
        if word in _WORDS:
            return _WORDS[word]
    # Only now: Google's `RESOURCE_EXHAUSTED` is the vaguer word of the two it may send.
    if any(word.startswith(_RATE_WORDS) for word in words):
        return RATE_LIMITED
    return None


def _by_text(signal: Signal, text: str, words: tuple[str, ...]) -> Fault | None:
    """Judge by the message, on the statuses where it means what it says."""
    status = signal.status
    if _FILTER.search(text):
        return CONTENT_FILTERED
    # Advice means that waiting helps: Google words its limits per minute like an empty account.
    if signal.retry_after_s is None and _says_quota(status, text):
        return QUOTA
    if status in (200, 400) and _BAD_KEY_FIRST.search(text):
        return KEY_REJECTED
    # On a 429, "too many tokens" are tokens per minute.
    if status in (200, 400, 413, 422) and _CONTEXT.search(text):
        return CONTEXT_TOO_LONG
    if status in (400, 404) and "threadnotfound" not in words and _NO_MODEL.search(text):
        return MODEL_NOT_FOUND
    return None


def _says_quota(status: int, text: str) -> bool:
    if status in (402, 403, 429):
        return _QUOTA_ANYWHERE.search(text) is not None
    return status in (200, 400) and _QUOTA_FIRST.search(text) is not None


def _by_status(status: int, text: str, words: tuple[str, ...]) -> Fault:
    """Judge by the HTTP status, which is at least 400."""
    if status in _STATUS:
        return _STATUS[status]
    if status == 403:
        return _forbidden(text, words)
    if status == 409:
        return LOCKED if _LOCK.search(text) else CLIENT_FAULT
    return CLIENT_FAULT if status < 500 else SERVER_ERROR


def _forbidden(text: str, words: tuple[str, ...]) -> Fault:
    """Tell a 403 about our key from one about what was asked with it.

    A key that may not use *this model* is still a good key for others.
    """
    speaks_of_key = _ABOUT_KEY.search(text) or any(
        "apikey" in word or "credential" in word or "unauthorized" in word for word in words
    )
    return KEY_REJECTED if speaks_of_key and "model" not in text else PERMISSION


def _inside(signal: Signal, words: tuple[str, ...]) -> Fault:
    """Judge an error inside a 200."""
    if not signal.is_json:
        return NOT_JSON
    for word in words:
        if word in _INSIDE:
            return _INSIDE[word]
    for word in words:
        if word.isdecimal() and len(word) == 3 and 400 <= int(word) < 600:
            return _by_status(int(word), signal.message[:MAX_TEXT].lower(), words)
    return SERVER_ERROR
