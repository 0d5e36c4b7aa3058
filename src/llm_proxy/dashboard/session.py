"""Makes and checks the token in the session cookie, so that no key is ever kept in a browser.

A token is `v1.<expiry>.<MAC>`: the MAC covers the expiry and the digest of the access key it was
made from. So it names nobody, cannot be made or prolonged without the signing secret, and dies
with its key: once the key has left the configuration nothing is left to check the token against.
Nothing is stored per session; signing out clears the cookie.
"""

import hmac
import logging
import os
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path

from llm_proxy.domain.secret import AccessKey, Secret

LIFETIME_S = 30 * 24 * 3600
"""Thirty days: long enough for a page one looks at now and then, and renewed by signing in."""
SECRET_BYTES = 32

_log = logging.getLogger(__name__)


class SessionTokens:
    """Signs and verifies, with one secret for all sessions.

    Args:
        secret: `SECRET_BYTES` random bytes.
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, key: Secret, now_ms: int) -> str:
        """Return a token of the access key `key` that is good for `LIFETIME_S` from `now_ms` (wall clock)."""
        expires_s = str(now_ms // 1000 + LIFETIME_S)
        return f"v1.{expires_s}.{self._mac(expires_s, key)}"

    def verify(self, token: str, keys: tuple[AccessKey, ...], now_ms: int) -> AccessKey | None:
        """Return the key that `token` was made from, if it is still among `keys`.

        Cost: one MAC (3 µs) per key. Every key is tried, so that the time tells nothing.
        """
        parts = token.split(".")
        if len(parts) != 3 or parts[0] != "v1" or not token.isascii():
            return None
        expires_s, mac = parts[1:]
        if len(expires_s) > 12 or not expires_s.isdigit() or int(expires_s) * 1000 <= now_ms:
            return None
        good = [key for key in keys if hmac.compare_digest(mac, self._mac(expires_s, key.secret))]
        return good[0] if good else None

    def _mac(self, expires_s: str, key: Secret) -> str:
        text = b"session v1\0" + expires_s.encode() + b"\0" + key.digest
        return urlsafe_b64encode(hmac.digest(self._secret, text, "sha256")).decode().rstrip("=")


def signing_secret(data_dir: Path | None) -> bytes:
    """Return the secret kept in `data_dir/session-secret`, making it the first time.

    Where nothing can be kept there, the secret is a new one per process and sign-ins end with it.
    """
    if data_dir is not None:
        try:
            return _kept_secret(data_dir / "session-secret")
        except OSError as error:
            reason = error.strerror or type(error).__name__
            _log.warning("sign-ins end with this process: session-secret: %s", reason)
    return secrets.token_bytes(SECRET_BYTES)


def _kept_secret(path: Path) -> bytes:
    """Read the secret, tightening its mode; make it where it is missing or not whole.

    Raises:
        OSError: It can be neither read nor made.
    """
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        return _make_secret(path)
    if len(secret) == SECRET_BYTES:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        return secret
    path.unlink()
    return _make_secret(path)


def _make_secret(path: Path) -> bytes:
    secret = secrets.token_bytes(SECRET_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    return secret
