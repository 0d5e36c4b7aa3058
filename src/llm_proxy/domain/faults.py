"""THE fault table: everything that can go wrong with an attempt, and what follows from it.

Retry policy, cool-downs, breaker, the client's answer, the record, the metric's label and the
documentation all read these rows. A failure answers four questions:

- what is the client told if nothing better comes (`status`, `answer`)?
- who else may be asked (`retry`)?
- what does it say about the key, the upstream or the address (`mark`)?
- what may it have cost (`cost`)? A request with side effects is repeated only after NONE.

A new fault is a row here, a line in docs/faults.md and a test.
"""

from enum import IntEnum

import msgspec


class Retry(IntEnum):
    """Who may be asked next, while nothing has reached the client."""

    NEVER = 0
    """Nobody: the same request fails everywhere."""
    OTHER_KEY = 1
    """Any other target at once; this one only after its cool-down."""
    OTHER_ADDRESS = 2
    """Untried targets of other addresses first, then others, never the same target again."""
    ANYWHERE = 3
    """As OTHER_ADDRESS, then the same target after a back-off."""
    EACH_ADDRESS_ONCE = 4
    """One target of each other address; another key of the same one cannot help."""
    EACH_ONCE = 5
    """Each other target once."""


class Mark(IntEnum):
    """What is learnt about the target."""

    NONE = 0
    RATE = 1
    """(key, model) limited: banned as long as told, avoided a while where guessed."""
    QUOTA = 2
    """Key out of credit: dead for minutes, all models."""
    AUTH = 3
    """Key refused: dead for a second, doubling to a minute."""
    TARGET = 4
    """A failure of (upstream, key): counts towards the breaker."""
    ADDRESS = 5
    """A failure of the address: counts for all its keys."""


class Answer(IntEnum):
    """What the client gets if this fault has the last word."""

    VERBATIM = 0
    """The provider's status, headers and body, byte for byte."""
    PARSABLE = 1
    """The provider's status and body where it is a JSON error, else our words with that status."""
    OUR_WORDS = 2
    """Our error object with the fault's status; the provider's text is not repeated."""
    LIMITED = 3
    """The 429 with `Retry-After` and the fixed words."""
    NOTHING = 4
    """Nobody is there to answer."""


class Cost(IntEnum):
    """What the attempt may have cost at the provider."""

    NONE = 0
    UNKNOWN = 1
    PARTIAL = 2


class Fault(msgspec.Struct, frozen=True):
    """One row of the table.

    Attributes:
        name: Snake-case, in records, metrics and docs.
        status: The client's status; 0 = the provider's own.
        retry: Who may be asked next.
        mark: What is learnt about the target.
        answer: What the client gets.
        cost: What it may have cost.
        says: One sentence for the client's user and the page, without provider text.
    """

    name: str
    status: int
    retry: Retry
    mark: Mark
    answer: Answer
    cost: Cost
    says: str


_R, _M, _A, _C = Retry, Mark, Answer, Cost
_NEVER, _KEY, _ADDR, _ANY = _R.NEVER, _R.OTHER_KEY, _R.OTHER_ADDRESS, _R.ANYWHERE

# fmt: off
#                           name                  status retry    mark        answer        cost
CONNECT_REFUSED     = Fault("connect_refused",     502, _ANY,     _M.ADDRESS, _A.OUR_WORDS, _C.NONE,    "the upstream refused the connection")
CONNECT_TIMEOUT     = Fault("connect_timeout",     502, _ANY,     _M.ADDRESS, _A.OUR_WORDS, _C.NONE,    "the upstream could not be reached in time")
CONNECT_FAILED      = Fault("connect_failed",      502, _ANY,     _M.ADDRESS, _A.OUR_WORDS, _C.NONE,    "the connection to the upstream failed")
DNS_FAILED          = Fault("dns_failed",          502, _ANY,     _M.ADDRESS, _A.OUR_WORDS, _C.NONE,    "the upstream's name could not be resolved")
TLS_FAILED          = Fault("tls_failed",          502, _ANY,     _M.ADDRESS, _A.OUR_WORDS, _C.NONE,    "no TLS connection to the upstream")
PROXY_FAILED        = Fault("proxy_failed",        502, _ANY,     _M.ADDRESS, _A.OUR_WORDS, _C.NONE,    "the outbound proxy refused the connection")
RESET               = Fault("reset",               502, _ANY,     _M.TARGET,  _A.OUR_WORDS, _C.UNKNOWN, "the upstream closed the connection without an answer")
GARBAGE             = Fault("garbage",             502, _ANY,     _M.TARGET,  _A.OUR_WORDS, _C.UNKNOWN, "the upstream's answer was not valid HTTP")
BODY_CUT            = Fault("body_cut",            502, _ANY,     _M.TARGET,  _A.OUR_WORDS, _C.UNKNOWN, "the upstream's answer was cut off")
NOT_JSON            = Fault("not_json",            502, _ANY,     _M.TARGET,  _A.OUR_WORDS, _C.UNKNOWN, "the upstream's answer was not JSON")
EMPTY_ANSWER        = Fault("empty_answer",        502, _ANY,     _M.TARGET,  _A.OUR_WORDS, _C.UNKNOWN, "the upstream's answer was empty")
NO_STREAM           = Fault("no_stream",           502, _ADDR,    _M.NONE,    _A.OUR_WORDS, _C.UNKNOWN, "the upstream answered late and without the stream that was asked for")
REQUEST_TIMEOUT     = Fault("request_timeout",       0, _ANY,     _M.TARGET,  _A.PARSABLE,  _C.UNKNOWN, "the upstream gave up waiting")
LOCKED              = Fault("locked",                0, _ANY,     _M.NONE,    _A.PARSABLE,  _C.NONE,    "the upstream could not take the request just then")
SERVER_ERROR        = Fault("server_error",          0, _ANY,     _M.TARGET,  _A.PARSABLE,  _C.UNKNOWN, "the upstream failed")
OVERLOADED          = Fault("overloaded",            0, _ANY,     _M.TARGET,  _A.PARSABLE,  _C.NONE,    "the upstream is overloaded")
HEAD_LATE           = Fault("head_late",           504, _ADDR,    _M.TARGET,  _A.OUR_WORDS, _C.UNKNOWN, "the upstream did not answer in time")
FIRST_TOKEN_LATE    = Fault("first_token_late",    504, _ADDR,    _M.TARGET,  _A.OUR_WORDS, _C.UNKNOWN, "the upstream's first token came too late")
SILENT              = Fault("silent",              504, _ADDR,    _M.TARGET,  _A.OUR_WORDS, _C.UNKNOWN, "the upstream fell silent")
RATE_LIMITED        = Fault("rate_limited",        429, _KEY,     _M.RATE,    _A.LIMITED,   _C.NONE,    "the key is rate limited")
QUOTA               = Fault("quota",                 0, _KEY,     _M.QUOTA,   _A.VERBATIM,  _C.NONE,    "the key is out of credit")
KEY_REJECTED        = Fault("key_rejected",        502, _KEY,     _M.AUTH,    _A.OUR_WORDS, _C.NONE,    "the upstream rejected the proxy's credentials")
PERMISSION          = Fault("permission",            0, _R.EACH_ONCE, _M.NONE, _A.VERBATIM, _C.NONE,    "the upstream forbids this")
MODEL_NOT_FOUND     = Fault("model_not_found",       0, _R.EACH_ADDRESS_ONCE, _M.NONE, _A.VERBATIM, _C.NONE, "the upstream does not know the model")
UNKNOWN_ID          = Fault("unknown_id",            0, _R.EACH_ONCE, _M.NONE, _A.VERBATIM, _C.NONE,    "the upstream keeps nothing under this id")
CONTEXT_TOO_LONG    = Fault("context_too_long",      0, _R.EACH_ADDRESS_ONCE, _M.NONE, _A.VERBATIM, _C.NONE, "the conversation is too long for the model")
CONTENT_FILTERED    = Fault("content_filtered",      0, _NEVER,   _M.NONE,    _A.VERBATIM,  _C.NONE,    "the provider's content filter refused the request")
CLIENT_FAULT        = Fault("client_fault",          0, _NEVER,   _M.NONE,    _A.VERBATIM,  _C.NONE,    "the upstream refused the request as faulty")
REDIRECTED          = Fault("redirected",          502, _NEVER,   _M.NONE,    _A.OUR_WORDS, _C.NONE,    "the upstream redirects; check its address")
HEAD_TOO_LARGE      = Fault("head_too_large",      502, _ANY,     _M.TARGET,  _A.OUR_WORDS, _C.UNKNOWN, "the upstream's answer head is too large")
STREAM_CUT          = Fault("stream_cut",          502, _NEVER,   _M.TARGET,  _A.OUR_WORDS, _C.PARTIAL, "the upstream's stream broke off")
STREAM_STALLED      = Fault("stream_stalled",      504, _NEVER,   _M.TARGET,  _A.OUR_WORDS, _C.PARTIAL, "the upstream's stream fell silent")
STREAM_ERROR        = Fault("stream_error",        502, _NEVER,   _M.TARGET,  _A.OUR_WORDS, _C.PARTIAL, "the upstream reported an error within its stream")
TEXT_DIFFERS        = Fault("text_differs",        502, _NEVER,   _M.NONE,    _A.OUR_WORDS, _C.PARTIAL, "the stream that was to continue a broken one did not follow it")
CLIENT_GONE         = Fault("client_gone",           0, _NEVER,   _M.NONE,    _A.NOTHING,   _C.PARTIAL, "the client hung up")
DEADLINE            = Fault("deadline",            504, _NEVER,   _M.NONE,    _A.OUR_WORDS, _C.UNKNOWN, "the request's time is used up")
CANCELLED           = Fault("cancelled",           503, _NEVER,   _M.NONE,    _A.OUR_WORDS, _C.PARTIAL, "the request was ended by the proxy's owner")
PAUSED              = Fault("paused",              503, _NEVER,   _M.NONE,    _A.OUR_WORDS, _C.NONE,    "every key that could serve this is paused by the proxy's owner")
KEYS_BUSY           = Fault("keys_busy",           503, _NEVER,   _M.NONE,    _A.OUR_WORDS, _C.NONE,    "every key that could serve this serves as many requests as it may")
SHUT_DOWN           = Fault("shut_down",           503, _NEVER,   _M.NONE,    _A.OUR_WORDS, _C.PARTIAL, "the proxy is shutting down")
# fmt: on

FAULTS: dict[str, Fault] = {
    row.name: row for row in list(globals().values()) if isinstance(row, Fault)
}
"""Every row by its name."""
