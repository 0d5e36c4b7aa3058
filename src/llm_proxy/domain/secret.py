"""A secret whose text form is masked, so that no log line, error or page can show it by accident."""

from hashlib import sha256


class Secret:
    """Holds a secret; `str`, `repr` and formatting show at most its last four characters.

    Equality and hash go by the digest. An empty secret is refused, as it would match nothing
    or, in a careless comparison, everything.

    Attributes:
        digest: SHA-256 of the whole secret, 32 bytes.
        hint: `…ab12`, the masked form; `…` alone for a secret shorter than 12 characters.
    """

    __slots__ = ("_value", "digest", "hint")

    def __init__(self, value: str) -> None:
        if not value:
            raise ValueError("a secret must not be empty")
        self._value = value
        self.digest = sha256(value.encode()).digest()
        self.hint = "…" + (value[-4:] if len(value) >= 12 else "")

    def reveal(self) -> str:
        """Return the secret itself; the only way to it."""
        return self._value

    def __repr__(self) -> str:
        return self.hint

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(self.hint, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


class AccessKey:
    """A client's key and the name that shows in records.

    Attributes:
        name: `[A-Za-z0-9_-]{1,32}`; `key-1`, `key-2`… where the user named none.
        secret: The key.
    """

    __slots__ = ("name", "secret")

    def __init__(self, name: str, secret: Secret) -> None:
        self.name = name
        self.secret = secret

    def __repr__(self) -> str:
        return f"AccessKey({self.name}:{self.secret})"
