"""TLS certificates for tests: one throw-away authority per process, made at first use."""

import ssl
from functools import cache

import trustme


@cache
def _authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


def authority_pem() -> bytes:
    """Return the authority's certificate, for a file that clients are told to trust."""
    pem: bytes = _authority().cert_pem.bytes()
    return pem


def server_context(*names: str) -> ssl.SSLContext:
    """Return a server's context for `localhost` and 127.0.0.1, or for other names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority().issue_cert(*(names or ("localhost", "127.0.0.1"))).configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    """Return a client's context that trusts the authority and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _authority().configure_trust(context)
    return context
