"""What an answer says about limits: how long to wait, and whether anything is left.

Order of belief for a wait: `retry-after-ms`, `Retry-After`, the body's words, and last the
reset of a limit of which nothing remains (OpenAI's resets tell when the limit is *full* again,
which is later than needed).

Headers are the provider's, so they are checked before they are numbers: `nan`, `1e400`,
`5, 6`, negative values, times in the past and waits of more than a week do arrive, and mean no
advice. A zero means none either, or a key would be asked without any pause.

Header names are expected in lower case. Cost without limits: a dozen dictionary look-ups.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec

from llm_proxy.domain.signal import Signal
from llm_proxy.domain.status import Quota

MAX_WAIT_S = 7 * 86400.0
"""Longer advice is a mistake or a contract's end; neither is a cool-down."""

Source = Literal["header", "body"]


class Advice(msgspec.Struct, frozen=True, gc=False):
    """How long the provider asks to wait.

    Attributes:
        wait_s: More than 0, at most a week.
        source: Where it was read.
    """

    wait_s: float
    source: Source


def advice(
    headers: Mapping[bytes, bytes], signal: Signal | None, *, wall_s: float
) -> Advice | None:
    """Return the provider's advice on when to come back, or None.

    Args:
        headers: Of the failed answer, names in lower case.
        signal: Its error, for advice in the body.
        wall_s: Wall clock, seconds since 1970, for dates.
    """
    wait_ms = _number(headers.get(b"retry-after-ms", b""))
    wait_s = None if wait_ms is None else _sane(wait_ms / 1000.0)
    if wait_s is None and (value := headers.get(b"retry-after")) is not None:
        wait_s = _sane(_number(value)) or _sane(_http_date(value, wall_s))
    if wait_s is not None:
        return Advice(wait_s, "header")
    if signal is not None and (wait_s := _sane(signal.retry_after_s)) is not None:
        return Advice(wait_s, "body")
    if (wait_s := spent(headers, wall_s=wall_s)) is not None:
        return Advice(wait_s, "header")
    return None


def quotas(headers: Mapping[bytes, bytes], *, wall_s: float) -> dict[str, Quota]:
    """Return what an answer says is left of each limit, by kind: `requests`, `tokens`, ….

    For the page; nothing is decided by it.

    Args:
        headers: Of any answer, names in lower case.
        wall_s: Wall clock, seconds since 1970, for dates.
    """
    found: dict[str, Quota] = {}
    for remaining, reset in _PAIRS:
        left = _number(headers.get(remaining, b""))
        if left is not None:
            limit = _number(headers.get(remaining.replace(b"remaining", b"limit"), b""))
            found[_kind_of(remaining)] = Quota(
                left=int(left),
                limit=None if limit is None else int(limit),
                reset_s=_reset(headers.get(reset, b""), wall_s),
            )
    return found


def _kind_of(name: bytes) -> str:
    """Return `tokens` for `x-ratelimit-remaining-tokens`; a limit without a kind is of requests."""
    text = name.decode("ascii")
    for prefix in ("x-ratelimit-remaining", "anthropic-ratelimit"):
        text = text.removeprefix(prefix)
    return text.removesuffix("-remaining").strip("-") or "requests"


def spent(headers: Mapping[bytes, bytes], *, wall_s: float) -> float | None:
    """Return in how many seconds a used-up limit is reset; None if none is known to be used up.

    Of several used-up limits the latest reset counts. `-1`, empty values and resets of 0, which
    some providers send always, mean nothing.

    Args:
        headers: Of any answer, names in lower case.
        wall_s: Wall clock, seconds since 1970, for dates.
    """
    values = headers.values()
    if b"0" not in values and b"0.0" not in values:
        return None  # nearly always: three times as fast as to ask for each name
    latest: float | None = None
    for remaining, reset in _PAIRS:
        if headers.get(remaining) in _ZERO:
            wait_s = _reset(headers.get(reset, b""), wall_s)
            if wait_s is not None and (latest is None or wait_s > latest):
                latest = wait_s
    return latest


_ZERO = (b"0", b"0.0")

_PAIRS = (
    *(
        (b"x-ratelimit-remaining" + kind, b"x-ratelimit-reset" + kind)
        for kind in (
            b"",
            b"-requests",
            b"-tokens",
            b"-requests-minute",
            b"-tokens-minute",
            b"-requests-day",
            b"-tokens-day",
        )
    ),
    *(
        (b"anthropic-ratelimit-" + kind + b"-remaining", b"anthropic-ratelimit-" + kind + b"-reset")
        for kind in (b"requests", b"tokens", b"input-tokens", b"output-tokens")
    ),
)

_NUMBER = re.compile(rb"[0-9]{1,15}(?:\.[0-9]{1,15})?")
_SPAN = re.compile(
    r"(?:(?P<d>[0-9]{1,3})d)?(?:(?P<h>[0-9]{1,4})h)?(?:(?P<m>[0-9]{1,6})m)?"
    r"(?:(?P<s>[0-9]{1,9}(?:\.[0-9]{1,9})?)s)?(?:(?P<ms>[0-9]{1,12}(?:\.[0-9]{1,9})?)ms)?"
)
_DATE = re.compile(
    r"[A-Za-z]{3,9},? (?P<day>[0-9]{1,2})[ -](?P<month>[A-Za-z]{3})[ -](?P<year>[0-9]{2,4}) "
    r"(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2}) GMT"
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def _sane(wait_s: float | None) -> float | None:
    """Return the wait if it is one to believe; `nan` compares false to everything."""
    return wait_s if wait_s is not None and 0.0 < wait_s <= MAX_WAIT_S else None


def _number(value: bytes) -> float | None:
    value = value.strip(b" \t")
    return float(value) if _NUMBER.fullmatch(value) else None


def _reset(value: bytes, wall_s: float) -> float | None:
    """Read a reset: a span (`6m0s`), seconds, a unix time in seconds or ms, or RFC 3339."""
    number = _number(value)
    if number is not None:
        if number > 1e11:
            number /= 1000.0  # milliseconds: as seconds, the year would be beyond 5000
        return _sane(number - wall_s if number > 1e9 else number)
    text = value.strip(b" \t").decode("latin-1")
    if text and (span := _SPAN.fullmatch(text)):
        part = {unit: float(size or 0) for unit, size in span.groupdict().items()}
        return _sane(
            part["d"] * 86400 + part["h"] * 3600 + part["m"] * 60 + part["s"] + part["ms"] / 1000
        )
    return _sane(_rfc3339(text, wall_s))


def _rfc3339(text: str, wall_s: float) -> float | None:
    if len(text) < 19 or text[10] not in "Tt ":
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - wall_s
    except (ValueError, OverflowError):
        return None  # not a date: the provider gave no advice


def _http_date(value: bytes, wall_s: float) -> float | None:
    """Read RFC 9110's two dated forms; `email.utils` would import sockets for it."""
    match = _DATE.fullmatch(value.strip(b" \t").decode("latin-1"))
    if match is None or match["month"].lower() not in _MONTHS:
        return None
    year = int(match["year"])
    hour, minute, second = map(int, match["time"].split(":"))
    try:
        at = datetime(
            year + 2000 if year < 100 else year,
            _MONTHS.index(match["month"].lower()) + 1,
            int(match["day"]),
            hour,
            minute,
            min(second, 59),
            tzinfo=UTC,
        )
        return at.timestamp() - wall_s
    except (ValueError, OverflowError):
        return None
