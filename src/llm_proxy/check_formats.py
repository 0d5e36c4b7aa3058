"""Finds out which formats an upstream really speaks, at no cost in tokens, for `llm-proxy check`.

An empty object is posted to each endpoint: a provider that knows the endpoint refuses it as
invalid, one that does not answers 404 or 405. Servers that answer any path alike (a web page, a
gateway that looks into the body first) are told apart by a path that nobody has. A key that only
Messages refuses is tried in the other header, as third parties differ there.
"""

from collections.abc import Callable, Iterator

import msgspec

from llm_proxy.config.kinds import FORMATS
from llm_proxy.domain.target import Upstream

PATHS = {"chat": "/chat/completions", "messages": "/messages", "responses": "/responses"}
NOT_THERE = frozenset({404, 405, 501})
_REFUSED = frozenset({401, 403})
_NOBODYS = "/no-such-endpoint"
_OTHER_HEADER = {"x-api-key": "bearer", "bearer": "x-api-key"}

Line = tuple[str, str]
"""Level and text of a finding."""


class Reply(msgspec.Struct, frozen=True):
    """What came of one request.

    Attributes:
        status: Of the answer; 0 = there was no usable one.
        body: Of the answer.
        failure: Why there was none, without secrets.
    """

    status: int
    body: bytes = b""
    failure: str = ""


Post = Callable[[Upstream, str, str], Reply]
"""Posts `{}` to an upstream's path, signed as a format wants it: (upstream, path, format)."""


def try_formats(upstream: Upstream, post: Post) -> Iterator[Line]:
    """Yield which formats an upstream speaks, and what that means for how it is configured.

    Args:
        upstream: With at least one key that it takes; `post` sends it.
        post: Sends one request.
    """
    spoken, missing, unclear = [], [], []
    control = post(upstream, _NOBODYS, "chat")
    for name in FORMATS:
        reply = post(upstream, PATHS[name], name)
        if name == "messages" and reply.status in _REFUSED and "chat" in spoken:
            other = _OTHER_HEADER[upstream.message_auth]
            changed = msgspec.structs.replace(upstream, message_auth=other)
            again = post(changed, PATHS[name], name)
            if again.status not in _REFUSED:
                reply = again
                if _is_spoken(reply, control):
                    yield "warn", f'messages: takes the key only with message_auth = "{other}"'
        if reply.failure:
            yield "warn", f"{name}: {reply.failure}"
        elif is_missing(reply):
            missing.append(name)
        elif _is_spoken(reply, control):
            spoken.append(name)
        else:
            unclear.append(name)
    if spoken:
        yield "ok", f"formats: speaks {', '.join(spoken)}"
    else:
        yield "warn", "formats: none could be made sure of"
    if unclear:
        yield "note", f"formats: unclear are {', '.join(unclear)}"
    yield from _compare(upstream.formats, spoken, missing)


def is_missing(reply: Reply) -> bool:
    """Return whether the endpoint is not there; a 404 about a missing model shows that it is."""
    return reply.status in NOT_THERE and b"model" not in reply.body.lower()


def _is_spoken(reply: Reply, control: Reply) -> bool:
    """Return whether an answer shows that the endpoint was understood."""
    if not reply.status or reply.status in _REFUSED or reply.status >= 500:
        return False
    if is_missing(reply):
        return False
    if reply.status < 300 and not reply.body.lstrip().startswith(b"{"):
        return False  # a web page
    return (reply.status, reply.body) != (control.status, control.body)


def _compare(configured: tuple[str, ...], spoken: list[str], missing: list[str]) -> Iterator[Line]:
    """Yield what to set where the configuration says otherwise."""
    fix = f"set PROXY_FORMATS={','.join(spoken)} for it"
    wrong = ", ".join(name for name in configured if name in missing)
    unused = ", ".join(name for name in spoken if configured and name not in configured)
    if wrong:
        advice = f"; {fix}" if spoken else ""
        yield "FAIL", f"formats: configured but not there: {wrong}{advice}"
    elif unused:
        yield "note", f"formats: PROXY_FORMATS leaves out {unused}; such requests are translated"
    elif spoken and missing and not configured:
        lost = " and ".join(missing)
        found = f"the host is not known, so {lost} requests go up as they are and fail"
        yield "warn", f"formats: {found}; {fix}, then they are translated"
