"""Reads what a query asks for; whatever cannot be meant is refused with a sentence."""

import re
from collections.abc import Mapping

import msgspec
from starlette.requests import Request

from llm_proxy.domain.faults import FAULTS
from llm_proxy.domain.filter import FAILED, Filter
from llm_proxy.domain.record import Outcome

from .answer import Problem
from .records import is_record_id

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_TEXT = 200
FILTERS = (
    "q", "outcome", "rescued", "slow", "model", "upstream", "key", "caller", "client", "status",
    "fault", "since_ms", "until_ms",
)  # fmt: skip
"""Parameters that choose among requests."""

_STATUS = re.compile(r"([1-5])(xx|[0-9]{2})")
_OUTCOMES = frozenset(outcome.value for outcome in Outcome)
_FLAGS = {"1": True, "true": True, "0": False, "false": False}


class Window(msgspec.Struct, frozen=True):
    """A span of time that ends now.

    Attributes:
        length_s: From its begin to now.
        bucket_s: Length of a step of its series.
        is_hourly: Whether it is read from the hours' roll-up.
    """

    length_s: int
    bucket_s: int
    is_hourly: bool = False


WINDOWS = {
    "15m": Window(15 * 60, 60),
    "1h": Window(3600, 60),
    "24h": Window(24 * 3600, 15 * 60),
    "30d": Window(30 * 24 * 3600, 6 * 3600, is_hourly=True),
}
DEFAULT_WINDOW = "24h"


def window_of(request: Request) -> tuple[str, Window]:
    """Return the window asked for and its name.

    Raises:
        Problem: 400.
    """
    name = request.query_params.get("window", DEFAULT_WINDOW)
    if name not in WINDOWS:
        raise Problem(400, f"window must be one of {', '.join(WINDOWS)}")
    return name, WINDOWS[name]


def limit_of(request: Request) -> int:
    """Return how many requests are asked for.

    Raises:
        Problem: 400.
    """
    limit = _number(request.query_params, "limit", digits=3)
    if limit is None:
        return DEFAULT_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise Problem(400, f"limit must be a number from 1 to {MAX_LIMIT}")
    return limit


def before_of(request: Request) -> str | None:
    """Return the id that the page asked for begins behind.

    Raises:
        Problem: 400.
    """
    before = request.query_params.get("before")
    if before is not None and not is_record_id(before):
        raise Problem(400, "before must be the id of a request")
    return before


def filter_of(request: Request) -> Filter:
    """Return which requests are asked for.

    Raises:
        Problem: 400.
    """
    asked = request.query_params
    for name in ("q", "model", "upstream", "key", "caller", "client"):
        if not _is_text(asked.get(name, "")):
            raise Problem(400, f"{name} must be text of at most {MAX_TEXT} characters")
    fault = asked.get("fault", "")
    if fault and fault not in FAULTS:
        raise Problem(400, "fault must be a name of the fault table")
    return Filter(
        text=asked.get("q", ""),
        outcomes=_outcomes(asked.get("outcome", "")),
        is_rescued=_flag(asked, "rescued"),
        is_slow=_flag(asked, "slow"),
        model=asked.get("model", ""),
        upstream=asked.get("upstream", ""),
        key=asked.get("key", ""),
        caller=asked.get("caller", ""),
        client=asked.get("client", ""),
        status=_statuses(asked.get("status", "")),
        fault=fault,
        since_ms=_number(asked, "since_ms"),
        until_ms=_number(asked, "until_ms"),
    )


def _is_text(text: str) -> bool:
    # A lone surrogate or a NUL is in no record, and no SQL text.
    return len(text) <= MAX_TEXT and "\0" not in text and text.isprintable()


def _outcomes(text: str) -> frozenset[Outcome]:
    found: set[Outcome] = set()
    for word in filter(None, text.split(",")):
        if word == "failed":
            found |= FAILED
        elif word in _OUTCOMES:
            found.add(Outcome(word))
        else:
            raise Problem(400, f"outcome must be failed or among {', '.join(Outcome)}")
    return frozenset(found)


def _flag(asked: Mapping[str, str], name: str) -> bool:
    text = asked.get(name, "0")
    if text not in _FLAGS:
        raise Problem(400, f"{name} must be 1 or 0")
    return _FLAGS[text]


def _statuses(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    match = _STATUS.fullmatch(text)
    if match is None:
        raise Problem(400, "status must be like 429 or 4xx")
    if match[2] == "xx":
        first = int(match[1]) * 100
        return first, first + 99
    return int(text), int(text)


def _number(asked: Mapping[str, str], name: str, *, digits: int = 14) -> int | None:
    text = asked.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= digits):
        raise Problem(400, f"{name} must be a number of at most {digits} digits")
    return int(text)
