"""What a provider keeps under an id, and who made it for whom."""

import msgspec


class Made(msgspec.Struct, frozen=True, gc=False):
    """A response, a file, a batch, … that only the upstream and key that made it know.

    Attributes:
        id: As the provider named it.
        target: Fingerprint of the (address, key) that made it; see `target.fingerprint`.
        caller: Name of the access key it was made for.
        at_ms: When, wall clock, milliseconds since 1970.
    """

    id: str
    target: str
    caller: str
    at_ms: int
