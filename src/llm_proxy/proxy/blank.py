"""Blanks an upstream's key in what comes from it: the key must not reach a client."""

import os

from llm_proxy.domain.redact import MIN_BYTES
from llm_proxy.domain.target import Target

NO_KEY = os.urandom(32)
"""Occurs in no answer: what is looked for where there is nothing to blank."""


def key_to_blank(target: Target) -> bytes:
    """Return what must not come down from `target`.

    A key as short as a word (`ollama`, `test`) is none that anybody hides, and answers hold it.
    """
    secret = target.key.secret
    key = secret.reveal().encode() if secret is not None else b""
    return key if len(key) >= MIN_BYTES else NO_KEY


class Blank:
    """Blanks a key in a body that passes unread, also where two reads cut it in half.

    It becomes as many asterisks, so that the body's length stays what its head says.

    Cost: one search per read, and one for the key's first byte in the read's last few bytes.
    """

    __slots__ = ("_key", "_rest")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return what may pass now; what could be the beginning of the key waits."""
        key = self._key
        if self._rest:
            data = self._rest + data
        if key in data:
            data = data.replace(key, b"*" * len(key))
        at = data.find(key[:1], max(0, len(data) - len(key) + 1))
        while at >= 0 and not key.startswith(data[at:]):
            at = data.find(key[:1], at + 1)
        self._rest = data[at:] if at >= 0 else b""
        return data[:at] if at >= 0 else data

    def rest(self) -> bytes:
        """Return what waited: no more comes, so it is not the key."""
        rest, self._rest = self._rest, b""
        return rest
