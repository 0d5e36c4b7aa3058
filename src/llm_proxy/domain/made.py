"""What a provider keeps under an id, and who made it for whom."""

from hashlib import sha256

import msgspec

from .target import Target


class Made(msgspec.Struct, frozen=True, gc=False):
    """A response, a file, a batch, … that only the upstream and key that made it know.

    Attributes:
        id: As the provider named it.
        target: Fingerprint of the (address, key) that made it; see `fingerprint`.
        caller: Name of the access key it was made for.
        at_ms: When, wall clock, milliseconds since 1970.
    """

    id: str
    target: str
    caller: str
    at_ms: int


def fingerprint(target: Target) -> str:
    """Return a short mark of address and key: a digest of a digest, nothing to go back from."""
    secret = target.key.secret
    digest = b"" if secret is None else secret.digest
    return sha256(target.upstream.address.encode() + b"\0" + digest).hexdigest()[:16]
