"""Blanks secrets in everything that leaves: log lines, upstream bodies, words kept in records.

Two nets. The first knows the configured secrets and catches them as they are, in base64 (at any
offset, as in `Basic` credentials), percent-encoded, JSON-escaped, and cut off after their first
16 characters or before their last 16, because providers and clients quote them in all these ways. The second knows what
keys look like (`sk-…`, `Bearer …`, `?key=…`) and serves log text only: an answer's bytes are the
client's, and a chat about `sk-` keys must pass unharmed.
"""

import re
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import quote, unquote

from .secret import Secret

MIN_BYTES = 8
"""A shorter secret is a word like `test`: blanked in text as a whole word, never in bytes."""

PREFIX = 16
"""Characters by which a key that is cut off at either end is still known; much is printed that way."""

_PREFIX_FROM = 20  # below it the first 16 are nearly the whole, and the whole is searched anyway
_ANCHOR = 4
_MAX_FINDS = 16  # more single searches cost more than one pass of a regular expression

BLANK = "***"

_SHAPES = re.compile(
    r"(?P<before>"
    r"\b(?:bearer|basic)\s+"
    r"|\b(?:x-api-key|x-goog-api-key|api[-_]?key|apikey|authorization|proxy-authorization)"
    r"\\?[\"']?\s*[:=]\s*\\?[\"']?(?:(?:bearer|basic)\s+)?"
    r"|[?&](?:key|api[-_]?key|token|access_token|sig|signature)="
    r")(?P<value>[^\s\"'\\,;&<>()\[\]{}@]{6,})"
    r"|(?<=://)[^\s/@\"'\\]+(?=@)"
    r"|\b(?:sk|rk|pk|xai|fk|ak)-[A-Za-z0-9_*-]{8,}"
    r"|\b(?:gsk|hf|ghp|sk|pk|rk)_[A-Za-z0-9_]{16,}"
    r"|\bAIza[A-Za-z0-9_-]{10,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.?[A-Za-z0-9_-]*",
    re.IGNORECASE,
)


class Redactor:
    """Blanks the secrets it was made with; immutable, safe to share between threads.

    Attributes:
        longest: Bytes of the longest searched form. Whoever cleans a stream piece by piece sees
            a secret that straddles two pieces only if `longest - 1` bytes are kept back.
    """

    __slots__ = ("_anchors", "_any_anchor", "_known", "_known_text", "_words", "longest")

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        values = {part for secret in secrets for part in _secret_parts(secret.reveal())}
        forms = sorted(
            {form for value in values if _size(value) >= MIN_BYTES for form in _forms(value)},
            key=lambda form: (-len(form), form),  # the longest first: it blanks the most
        )
        short = sorted(value for value in values if _size(value) < MIN_BYTES)
        encoded = [form.encode() for form in forms]
        self.longest = max(map(len, encoded), default=0)
        self._anchors = tuple({form[:_ANCHOR] for form in encoded})
        self._any_anchor = _one_of_bytes(self._anchors)
        self._known = _one_of_bytes(encoded, rb"[A-Za-z0-9_-]*")
        self._known_text = _one_of(forms, r"[A-Za-z0-9_-]*")
        self._words = _one_of([rf"(?<!\w){re.escape(word)}(?!\w)" for word in short], escape=False)

    def text(self, text: str) -> str:
        """Return `text` for a log line, a record or a page: known secrets and key shapes blanked.

        Costs some microseconds per hundred characters: for words, not for bodies.
        """
        if self._known_text is not None:
            text = self._known_text.sub(BLANK, text)
        if self._words is not None:
            text = self._words.sub(BLANK, text)
        return _SHAPES.sub(_blank_shape, text)

    def contains(self, data: bytes) -> bool:
        """Say whether a known secret occurs in `data`, in any of its forms."""
        return (
            self._known is not None
            and self._may_contain(data)
            and self._known.search(data) is not None
        )

    def _may_contain(self, data: bytes) -> bool:
        if len(self._anchors) > _MAX_FINDS:
            return self._any_anchor is not None and self._any_anchor.search(data) is not None
        for anchor in self._anchors:  # noqa: SIM110 - any() with a generator takes twice as long
            if anchor in data:
                return True
        return False

    def bytes(self, data: bytes) -> bytes:
        """Return `data` with every known secret overwritten by asterisks of the same length.

        The length stays, so that a `Content-Length` or chunk size announced before stays true.
        Where no secret occurs the same object comes back, after a search of under a microsecond
        for the size of a stream event.
        """
        if self._known is None or not self._may_contain(data):
            return data
        return self._known.sub(_asterisks, data)


def _secret_parts(value: str) -> set[str]:
    """Return what is secret in a secret: of an address (an outbound proxy's) its password only.

    `http://127.0.0.1` is the beginning of many an innocent address in an answer.
    """
    scheme, mark, rest = value.partition("://")
    if not (mark and scheme.isalnum()):
        return {value}
    user_info, at, _ = rest.partition("/")[0].rpartition("@")
    user, _, password = user_info.partition(":")
    secret = password or user
    return {secret, unquote(secret)} if at and secret else set()


def _size(value: str) -> int:
    return len(value.encode())


def _forms(value: str) -> set[str]:
    """Return the ways in which a secret of eight bytes or more may be written."""
    forms = {value, quote(value, safe=""), value.replace("/", "\\/")}
    raw = value.encode()
    for offset in range(3):
        whole = b64encode(b"\0" * offset + raw)
        # The characters at both ends mix in the neighbours' bits; those between are certain.
        start = (0, 2, 3)[offset]
        certain = whole[start : (offset + len(raw)) * 8 // 6].decode()
        if len(certain) >= MIN_BYTES:
            forms |= {certain, certain.replace("+", "-").replace("/", "_")}
    if len(value) >= _PREFIX_FROM:
        forms.add(value[-PREFIX:])
        if not value.startswith("eyJ"):  # all JWTs begin alike
            forms.add(value[:PREFIX])
    return forms


def _one_of(forms: list[str], rest: str = "", *, escape: bool = True) -> re.Pattern[str] | None:
    if not forms:
        return None
    return re.compile("(?:" + "|".join(re.escape(f) if escape else f for f in forms) + ")" + rest)


def _one_of_bytes(forms: Iterable[bytes], rest: bytes = b"") -> re.Pattern[bytes] | None:
    choices = b"|".join(re.escape(form) for form in forms)
    return re.compile(b"(?:" + choices + b")" + rest) if choices else None


def _asterisks(match: re.Match[bytes]) -> bytes:
    return b"*" * len(match[0])


def _blank_shape(match: re.Match[str]) -> str:
    return (match["before"] or "") + BLANK
