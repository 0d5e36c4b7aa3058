"""How much time a request has: its client's own deadline, and what that leaves an attempt."""

import re

from llm_proxy.domain.errors import RequestError

HEADER = "x-llm-proxy-timeout-ms"

_MILLISECONDS = re.compile(rb"[0-9]{1,12}(?:\.[0-9]{1,9})?")


def client_deadline_s(header: bytes | None) -> float | None:
    """Return the time the client gives its request, in seconds; None if it gives none.

    Args:
        header: Value of `x-llm-proxy-timeout-ms`.

    Raises:
        RequestError: 400, the value is no positive number of milliseconds. Guessing would let a
            request run for minutes whose client meant milliseconds.
    """
    if header is None:
        return None
    value = header.strip(b" \t")
    timeout_s = float(value) / 1000.0 if _MILLISECONDS.fullmatch(value) else 0.0
    if timeout_s <= 0.0:
        raise RequestError(
            400,
            f"{HEADER} must be a positive number of milliseconds, for example 30000",
            code="invalid_timeout",
            param=HEADER,
        )
    return timeout_s


def deadline_of(now: float, *, client_s: float | None, request_s: float) -> float:
    """Return the loop time at which the whole request ends; infinite if nothing limits it.

    Args:
        now: Loop time of its arrival.
        client_s: The client's own limit, or None.
        request_s: `REQUEST_TIMEOUT_S`; 0 = off.
    """
    own_s = request_s if request_s > 0.0 else float("inf")
    return now + (own_s if client_s is None else min(own_s, client_s))
