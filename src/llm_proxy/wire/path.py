"""Which path a client meant: its common address mistakes are mended, everything else is not ours.

Base addresses get pasted with `/v1`, without it, twice, with a whole endpoint behind them or a
provider's name in front. Such paths are rewritten inside, never redirected. Nothing here turns a
hostile path into a valid one: dot segments, control bytes and broken percent-encoding have no
meaning. Percent-encoding is kept as it came, since model names contain slashes.

The page's own paths (`/`, `/dashboard`, `/api`, `/health`, `/ready`, `/metrics`) are no API paths
and stay untouched.
"""

import re

import msgspec

ENDPOINTS = (
    "chat/completions",
    "completions",
    "messages",
    "messages/count_tokens",
    "messages/batches",
    "responses",
    "responses/compact",
    "responses/input_tokens",
    "embeddings",
    "models",
    "moderations",
    "rerank",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "images/generations",
    "images/edits",
    "images/variations",
    "files",
    "uploads",
    "batches",
    "videos",
    "fine_tuning/jobs",
    "vector_stores",
    "conversations",
    "containers",
    "realtime",
)
"""Endpoints by which an API path is known where `/v1` is missing, and which a 404 can name."""

_APPENDABLE = (
    ["chat", "completions"],
    ["completions"],
    ["messages"],
    ["responses"],
    ["embeddings"],
)
"""Endpoints that get pasted as base addresses."""
_APPENDED = (*_APPENDABLE, ["models"])
"""What SDKs append to a base address."""
_PROVIDERS = ("openai", "anthropic")

_KNOWN = frozenset(tuple(endpoint.split("/")) for endpoint in ENDPOINTS)
USUAL = "/v1/chat/completions"
"""What most people look for, named where nothing looks alike."""
MIN_LIKENESS = 0.35

_PLAIN = re.compile(rb"(?:[A-Za-z0-9_.~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})+")
_ENCODED_EVIL = re.compile(rb"%(?:[01][0-9A-Fa-f]|7[Ff]|5[Cc])")
_DOTS = re.compile(rb"(?:^|/|%2f)(?:\.|%2e){1,2}(?=$|/|%2f)", re.IGNORECASE)


class Address(msgspec.Struct, frozen=True, gc=False):
    """An API path.

    Attributes:
        path: `/v1/…`, percent-encoding as the client sent it.
        was_corrected: Whether it differs from what the client sent.
    """

    path: str
    was_corrected: bool


def is_sound(path: bytes) -> bool:
    """Return whether a path has one meaning for everybody: plain bytes and no dot segments."""
    evil = _ENCODED_EVIL.search(path) or _DOTS.search(path)
    return evil is None and _PLAIN.fullmatch(path) is not None


def repair(path: bytes) -> Address | None:
    """Return the API path that `path` means, or None where it means none.

    Args:
        path: The request target without its query.
    """
    if not is_sound(path):
        return None
    text = path.decode("ascii")
    segments = [segment for segment in text.split("/") if segment]
    if segments and segments[0] in _PROVIDERS:
        segments = segments[1:]
    has_version = segments[:1] == ["v1"]
    segments = _without_version(segments)
    while (rest := _behind_endpoint(segments)) is not None:
        segments = rest
        has_version = True
    if not has_version and not _is_known(segments):
        return None
    meant = "/".join(("", "v1", *segments))
    return Address(meant, meant != text)


def _without_version(segments: list[str]) -> list[str]:
    at = 0
    while segments[at : at + 1] == ["v1"]:
        at += 1
    return segments[at:]


def _behind_endpoint(segments: list[str]) -> list[str] | None:
    """Return what an SDK appended to a pasted endpoint, or None if nothing was."""
    for endpoint in _APPENDABLE:
        size = len(endpoint)
        if segments[:size] == endpoint:
            rest = _without_version(segments[size:])
            if any(rest[: len(head)] == head for head in _APPENDED):
                return rest
    return None


def _is_known(segments: list[str]) -> bool:
    return tuple(segments[:1]) in _KNOWN or tuple(segments[:2]) in _KNOWN


def nearest(path: str) -> str:
    """Return the valid path that looks most like `path`, for the text of a 404."""
    wanted = _pairs(path.lower()[:200])
    best = max(
        (f"/v1/{endpoint}" for endpoint in ENDPOINTS), key=lambda one: _likeness(wanted, one)
    )
    return best if _likeness(wanted, best) >= MIN_LIKENESS else USUAL


def _likeness(wanted: frozenset[str], path: str) -> float:
    """Return Dice's coefficient of the letter pairs, 0 to 1."""
    pairs = _pairs(path)
    return 2 * len(wanted & pairs) / (len(wanted) + len(pairs) or 1)


def _pairs(text: str) -> frozenset[str]:
    return frozenset(text[at : at + 2] for at in range(len(text) - 1))
