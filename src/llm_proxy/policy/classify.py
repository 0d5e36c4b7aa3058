"""Which row of the fault table an upstream's error is: by its body first, its status second.

One order serves HTTP errors, a 200 that carries an error, and errors within a stream before its
first content, because providers dress the same failure in all three.

Words (types and codes) are compared without case and punctuation, so `rate_limit_error` and
`RateLimitReached` begin alike. Texts count where words are missing. Texts that condemn a key
are read strictly on a 400, a 500 and in a 200: there the message may quote the *client's* words,
and a client must not be able to rest a key that others share by asking about "insufficient
balance".
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
    if status == 429:
        for pattern, fault in _NO_ORDINARY_LIMIT:
            if pattern.search(text):
                return fault
    named = _by_word(words)
    if named is MODEL_NOT_FOUND and status == 403:
        return PERMISSION  # the model is there, but not for this key
    return (
        named
        or _by_text(signal, text)
        or (_inside(signal, words) if status < 300 else _by_status(status, text, words))
    )


_QUOTED_BEFORE = r"^[^'\"`:]{0,40}?"
"""Where a message may quote the client, a cause stands in front of any quotation."""

_QUOTA = (
    r"(?:credit balance is too low|exceeded your current quota|insufficient (?:account )?quota"
    r"|insufficient (?:account )?balance|balance is insufficient|organization has been disabled"
    r"|spend(?:ing)? limit|reached your specified api usage limits|out of call volume quota"
    r"|key limit exceeded|run out of credits|n[o']t have any credits"
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
_RELAYED = "provider returned error"
"""OpenRouter's words in front of its own upstream's, whose empty account is not ours."""

_NO_ORDINARY_LIMIT: tuple[tuple[re.Pattern[str], Fault], ...] = (
    # one-api keeps the type of whichever of its accounts failed
    (re.compile(r"负载已饱和"), RATE_LIMITED),
    # DashScope means tokens a minute, and calls them `insufficient_quota`
    (re.compile(r"(?<!free )allocated quota exceeded"), RATE_LIMITED),
    # Anthropic: no wait helps this request, while others with the key go on
    (re.compile(r"required for long context requests"), PERMISSION),
)
"""Texts that count more than the words beside them, where the status is 429."""
_CONTEXT = re.compile(
    r"context_length_exceeded|prompt is too long|maximum context length|context window"
    r"|too many tokens|exceed context limit|exceeds the maximum number of tokens"
    r"|exceeded model token limit|maximum prompt length|prompt exceeds max length"
    r"|context size has been exceeded|when context the overflows|greater than the context length"
    r"|longer than the (?:model's context length|maximum model length)|exceed max message tokens"
    r"|range of input length should be|must be less than max_seq_len"
    r"|`inputs` tokens \+ `max_new_tokens` must be"
)
_FILTER = re.compile(
    r"content filtering policy|content management policy|violat\w+ (?:our )?usage (?:polic|guid)"
    r"|your input was flagged|content exists risk|unsafe or sensitive content|不安全或敏感内容"
)
_NO_MODEL = re.compile(
    r"^model:|\bmodels?\b.{0,300}\b(?:not found|not exist|does ?n[o']t exist|not supported)"
    r"|(?:unknown|no such|invalid) model|not a valid model|not found the model"
    r"|no endpoints found|模型不存在",
    re.DOTALL,
)
_TEXTS: tuple[tuple[tuple[int, ...], re.Pattern[str], Fault], ...] = (
    # Not on a 401: an account that is closed for what others asked is a bad key.
    ((200, 400, 403, 422, 500), _FILTER, CONTENT_FILTERED),
    ((200, 400), _BAD_KEY_FIRST, KEY_REJECTED),
    # On a 429, "too many tokens" are tokens per minute.
    ((200, 400, 413, 422, 500), _CONTEXT, CONTEXT_TOO_LONG),
    ((400, 404), _NO_MODEL, MODEL_NOT_FOUND),
    ((503,), re.compile(r"无可用渠道"), MODEL_NOT_FOUND),
    ((400,), re.compile(r"location is not supported"), PERMISSION),
    ((200, 500), re.compile(r"overloaded"), OVERLOADED),
)
"""Texts that say enough on some statuses; the first that fits counts."""
_LOCK = re.compile(r"\block|try again|retry|busy|in progress|concurrent")

_WORDS: dict[str, Fault] = {
    "contentpolicyviolation": CONTENT_FILTERED,
    "contentfilter": CONTENT_FILTERED,
    "contentfiltered": CONTENT_FILTERED,
    "responsibleaipolicyviolation": CONTENT_FILTERED,
    "datainspectionfailed": CONTENT_FILTERED,
    "sensitivewordsdetected": CONTENT_FILTERED,
    "insufficientquota": QUOTA,
    "billinghardlimitreached": QUOTA,
    "billingnotactive": QUOTA,
    "insufficientbalance": QUOTA,
    "insufficientuserquota": QUOTA,
    "preconsumetokenquotafailed": QUOTA,
    "accountoverdueerror": QUOTA,
    "operationdeniedserviceoverdue": QUOTA,
    "organizationrestricted": QUOTA,
    "budgetexceeded": QUOTA,
    "exceededcurrentquotaerror": QUOTA,
    "arrearage": QUOTA,
    "billingerror": QUOTA,
    "enforcedspendlimitreached": QUOTA,
    "contextlengthexceeded": CONTEXT_TOO_LONG,
    "contextwindowexceeded": CONTEXT_TOO_LONG,
    "exceedcontextsizeerror": CONTEXT_TOO_LONG,
    "modelnotfound": MODEL_NOT_FOUND,
    "modelnotfounderror": MODEL_NOT_FOUND,
    "modelnotavailable": MODEL_NOT_FOUND,
    "modeldecommissioned": MODEL_NOT_FOUND,
    "deploymentnotfound": MODEL_NOT_FOUND,
    "modelnotopen": PERMISSION,
    "keymodelaccessdenied": PERMISSION,
    "teammodelaccessdenied": PERMISSION,
    "threadnotfound": CLIENT_FAULT,  # a lost thread is the client's to replay
    "overloaded": OVERLOADED,
    "overloadederror": OVERLOADED,
    "modeloverloaded": OVERLOADED,
    "engineoverloadederror": OVERLOADED,
    "serveroverloaded": OVERLOADED,
    "serverisoverloaded": OVERLOADED,
    "modelcapacityexhausted": OVERLOADED,
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
_FILTER_WORD = "sensitivecontentdetected"
"""Volcengine's code names what was found, and where, around this."""

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
    if any(_FILTER_WORD in word for word in words):
        return CONTENT_FILTERED
    # Only now: Google's `RESOURCE_EXHAUSTED` is the vaguer word of the two it may send.
    if any(word.startswith(_RATE_WORDS) for word in words):
        return RATE_LIMITED
    return None


def _by_text(signal: Signal, text: str) -> Fault | None:
    """Judge by the message, on the statuses where it means what it says."""
    # Advice means that waiting helps: Google words its limits per minute like an empty account.
    if signal.retry_after_s is None and _says_quota(signal.status, text):
        return QUOTA
    for statuses, pattern, fault in _TEXTS:
        if signal.status in statuses and pattern.search(text):
            return fault
    return None


def _says_quota(status: int, text: str) -> bool:
    text = text.partition(_RELAYED)[0]
    if status in (402, 403, 412, 429):
        return _QUOTA_ANYWHERE.search(text) is not None
    return status in (200, 400, 500) and _QUOTA_FIRST.search(text) is not None


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
    of_model = "model" in text or "模型" in text
    return KEY_REJECTED if speaks_of_key and not of_model else PERMISSION


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
