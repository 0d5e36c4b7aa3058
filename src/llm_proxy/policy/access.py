"""Who the client is: the access key in its headers, or why there is none.

A credential may stand in three headers; two that differ are refused, since whoever sits in
between may have checked the other one.

Keys are found by the SHA-256 of the whole secret in a dictionary: what its timing could tell
concerns the digest of the guess, which brings no guess nearer to the secret, and the cost does
not grow with the number of keys. The dictionary holds no secret. An empty credential is none.
"""

from collections.abc import Iterable
from enum import StrEnum
from hashlib import sha256

from llm_proxy.domain.secret import AccessKey


class Refusal(StrEnum):
    """Why nobody was recognised; the client gets a 401 for each."""

    MISSING = "missing"
    WRONG = "wrong"
    CONFLICT = "conflict"
    """Two headers carry different credentials."""


class AccessTable:
    """The configured access keys; replaced as a whole on reload.

    Attributes:
        owner: The first key, which sees everybody's requests; None = there are no keys and
            everybody is refused.
    """

    __slots__ = ("_by_digest", "owner")

    def __init__(self, keys: Iterable[AccessKey]) -> None:
        self._by_digest: dict[bytes, AccessKey] = {}
        for key in keys:
            self._by_digest.setdefault(key.secret.digest, key)
        self.owner = next(iter(self._by_digest.values()), None)

    def check(
        self,
        authorization: bytes | None = None,
        x_api_key: bytes | None = None,
        api_key: bytes | None = None,
    ) -> AccessKey | Refusal:
        """Return the access key that a request presents.

        Args:
            authorization: Value of `Authorization`: `Bearer` in any case, blanks, the key.
                Any other scheme is a wrong credential.
            x_api_key: Value of `x-api-key`.
            api_key: Value of `api-key`.
        """
        presented: bytes | None = None
        for credential in (_bearer(authorization), _bare(x_api_key), _bare(api_key)):
            if not credential:
                continue
            if presented is not None and credential != presented:
                return Refusal.CONFLICT
            presented = credential
        if presented is None:
            return Refusal.MISSING
        if not presented.isascii():
            return Refusal.WRONG
        return self._by_digest.get(sha256(presented).digest(), Refusal.WRONG)


def _bare(value: bytes | None) -> bytes:
    return value.strip(b" \t") if value else b""


def _bearer(value: bytes | None) -> bytes:
    """Return the credential behind `Bearer`; what no key can equal, for any other scheme."""
    scheme, _, rest = _bare(value).partition(b" ")
    if not scheme or scheme.lower() == b"bearer":
        return rest.strip(b" \t")
    return _OTHER_SCHEME


_OTHER_SCHEME = b"\xff"
"""Stands for a credential in a form that is not ours: outside ASCII, so always wrong."""
