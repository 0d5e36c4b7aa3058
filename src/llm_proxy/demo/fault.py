"""The faults that the demo shows on request, by model name.

`demo-500` answers with status 500, `demo-cut` breaks its stream off, and so on down the table; any
status from 400 to 599 works (`demo-418`). Every name may end in `-a` or `-b`: then only that
upstream misbehaves, and the proxy's way to the other one can be watched (`demo-cut-a` cannot be
saved by it, as its content has already begun).
"""

import re
from enum import IntEnum

import msgspec

from .dialect import Failure


class Trick(IntEnum):
    """What an upstream does instead of answering properly."""

    FAIL = 0
    """Answer with `failure`."""
    HTML = 1
    """Answer 502 with a page, as a load balancer does."""
    RESET = 2
    """Close without an answer."""
    GARBAGE = 3
    """Answer with bytes that are no HTTP."""
    EMPTY = 4
    """Answer 200 with nothing in it."""
    SLOW = 5
    """Wait before the first word."""
    CUT = 6
    """Close in the middle of the answer."""
    STALL = 7
    """Fall silent in the middle of the answer."""
    FAIL_LATE = 8
    """Report `failure` in the middle of a stream, or inside a 200 answer."""


class Fault(msgspec.Struct, frozen=True):
    """A row of the table: what happens, and how it is described to the user."""

    trick: Trick
    says: str
    failure: Failure = Failure(500, "The demo provider failed on request.")


RATE_LIMIT = Failure(
    429,
    "Rate limit reached in the demo. Please try again in 2s.",
    code="rate_limit_exceeded",
    retry_after_s=2,
)
"""What demo-429 and every third request to the first upstream meet."""

_QUOTA = Failure(
    429,
    "You exceeded your current quota, please check your plan and billing details.",
    code="insufficient_quota",
    messages_status=402,
)
_OVERLOADED = Failure(503, "Overloaded", code="overloaded", messages_status=529)
_TOO_LONG = Failure(
    400,
    "prompt is too long: this demo's maximum context length is 8192 tokens.",
    code="context_length_exceeded",
)

FAULTS = {
    "demo-400": Fault(Trick.FAIL, "400, the request's own fault", Failure(400, "No such field.")),
    "demo-401": Fault(
        Trick.FAIL,
        "401, the key is refused",
        Failure(401, "Incorrect API key provided.", code="invalid_api_key"),
    ),
    "demo-404": Fault(
        Trick.FAIL,
        "404, unknown model",
        Failure(404, "The model does not exist.", code="model_not_found"),
    ),
    "demo-429": Fault(Trick.FAIL, "429, rate limited for 2 s", RATE_LIMIT),
    "demo-500": Fault(Trick.FAIL, "500, the provider fails"),
    "demo-503": Fault(Trick.FAIL, "503, or 529 on /v1/messages: overloaded", _OVERLOADED),
    "demo-quota": Fault(Trick.FAIL, "429, or 402 on /v1/messages: out of credit", _QUOTA),
    "demo-too-long": Fault(Trick.FAIL, "400, the conversation is too long", _TOO_LONG),
    "demo-html": Fault(Trick.HTML, "502 with an HTML page instead of JSON"),
    "demo-reset": Fault(Trick.RESET, "the connection closes without an answer"),
    "demo-garbage": Fault(Trick.GARBAGE, "bytes that are no HTTP"),
    "demo-empty": Fault(Trick.EMPTY, "200 without any content"),
    "demo-slow": Fault(Trick.SLOW, "the first word comes after 5 s"),
    "demo-cut": Fault(Trick.CUT, "the answer breaks off in the middle"),
    "demo-stall": Fault(Trick.STALL, "the answer falls silent in the middle"),
    "demo-error": Fault(Trick.FAIL_LATE, "an error in the middle of the stream", _OVERLOADED),
}
"""Every fault by its model name."""

_STATUS = re.compile(r"demo-([45][0-9]{2})")


def fault_of(model: str, upstream: str) -> Fault | None:
    """Return what `upstream` does wrong when asked for `model`; None = it answers properly."""
    name, dash, only = model.rpartition("-")
    if dash and only in {"a", "b"} and name.startswith("demo-"):
        if only != upstream:
            return None
        model = name
    if model in FAULTS:
        return FAULTS[model]
    if matched := _STATUS.fullmatch(model):
        status = int(matched[1])
        failure = Failure(status, f"The demo provider answers {status} on request.")
        return Fault(Trick.FAIL, f"{status}", failure)
    return None
