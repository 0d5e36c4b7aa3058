"""Reads an upstream's address the way people write it, and says what it took it for.

Kept: the host, the port, a version root of any name. Added: a missing scheme, a missing `/v1`.
Cut: a pasted endpoint. Refused: what is no HTTP address, and what would carry a secret in the
address (user names, queries). No message repeats the address: a key pasted into the wrong field
would be shown.
"""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from llm_proxy.domain.errors import ConfigError

from .hosts import known
from .repair import Repairs

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BENT_SCHEME = re.compile(r"(?i)(https?)(?::/(?!/)|//|:///+)")
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_VERSION = re.compile(r"v\d+(?:\.\d+)?(?:alpha|beta)?\d*")
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_ENDPOINTS = (
    "/chat/completions",
    "/messages/count_tokens",
    "/completions",
    "/messages",
    "/responses",
    "/embeddings",
    "/models",
)
_PROXY_SCHEMES = frozenset({"socks", "socks4", "socks4a", "socks5", "socks5h"})
_EXAMPLE = "Write it like https://api.example.com/v1"


class Address(msgspec.Struct, frozen=True):
    """Where an upstream is; two addresses are the same when all four parts are."""

    scheme: str
    host: str
    port: int
    root: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        standard = 443 if self.scheme == "https" else 80
        port = "" if self.port == standard else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.root}"


def is_loopback(host: str) -> bool:
    """Return whether `host` (no brackets) can be nothing but this machine."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read_address(setting: str, text: str, repairs: Repairs) -> Address:
    """Return the address that `text` means.

    Args:
        setting: What messages name: `PROXY_URL`, `upstream[0].url`.
        text: One address, free of blanks and quotes around it.
        repairs: Told what was mended.

    Raises:
        ConfigError: It cannot be meant as an HTTP address.
    """
    written = _with_scheme(setting, text, repairs)
    try:
        parts = urlsplit(written)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigError(setting, "holds an address that cannot be read", _EXAMPLE) from None
    if parts.username is not None or parts.password is not None:
        fix = "Put the key into API_KEY and the plain address here"
        raise ConfigError(setting, "holds a user name or password", fix)
    if parts.query or "?" in written:
        fix = "Leave out everything from the question mark on"
        raise ConfigError(setting, "holds an address with a query", fix)
    if parts.fragment or written.endswith("#"):
        repairs.say(setting, "everything from # on removed")
    host = checked_host(setting, host, _EXAMPLE)
    if port == 0:
        raise ConfigError(setting, "holds port 0", _EXAMPLE)
    scheme = parts.scheme.lower()
    root = _root(setting, parts.path, host, repairs)
    return Address(scheme, host, port or (443 if scheme == "https" else 80), root)


def _with_scheme(setting: str, text: str, repairs: Repairs) -> str:
    bent = _BENT_SCHEME.match(text)
    if bent:
        repairs.say(setting, "http(s):// written properly")
        text = f"{bent[1]}://{text[bent.end() :]}"
    scheme = _SCHEME.match(text)
    if scheme is None:
        if re.match(r"(?i)(sk-|bearer\b|eyJ)", text):
            problem = "holds what looks like a key"
            raise ConfigError(setting, problem, "Keys belong into API_KEY; here the address")
        host = re.split(r"[/:]", text, maxsplit=1)[0]
        if "." not in text and ":" not in text and host.lower() != "localhost":
            raise ConfigError(setting, "holds something that is no address", _EXAMPLE)
        added = "http" if _is_nearby(text) else "https"
        repairs.say(setting, f"{added}:// added")
        return f"{added}://{text}"
    name = scheme[1].lower()
    if name in _PROXY_SCHEMES:
        fix = "Set OUTBOUND_PROXY to it, and PROXY_URL to the provider's address"
        raise ConfigError(setting, f"holds an outbound proxy ({name}://)", fix)
    if name not in {"http", "https"}:
        raise ConfigError(setting, "holds an address that is not http or https", _EXAMPLE)
    return text


def _is_nearby(text: str) -> bool:
    """Return whether an address without a scheme names this machine or its network.

    Servers there (Ollama, LM Studio, a container's neighbour) hardly ever speak TLS.
    """
    host = text[1:].partition("]")[0] if text.startswith("[") else re.split(r"[/:]", text)[0]
    if is_loopback(host) or "." not in host:
        return True
    try:
        return ip_address(host).is_private
    except ValueError:
        return False


def checked_host(setting: str, host: str, fix: str) -> str:
    """Return `host` in small ASCII letters.

    Raises:
        ConfigError: It is neither a name nor an IP address; `fix` says what works.
    """
    try:
        if ":" in host:
            return str(ip_address(host))
        name = host.lower() if host.isascii() else host.encode("idna").decode()
    except ValueError:  # UnicodeError is one, too
        name = ""
    if not _HOST.fullmatch(name) or len(name) > 253:
        raise ConfigError(setting, "holds an address without a usable host name", fix)
    if re.fullmatch(r"[0-9.]+", name):
        try:
            ip_address(name)
        except ValueError:
            raise ConfigError(setting, "holds an impossible IP address", fix) from None
    return name


def _root(setting: str, path: str, host: str, repairs: Repairs) -> str:
    """Return the path in front of an endpoint, without a slash at its end."""
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ConfigError(setting, "holds an address with an unusable path", _EXAMPLE)
    root = re.sub(r"/+", "/", path).rstrip("/")
    for endpoint in _ENDPOINTS:
        if root.endswith(endpoint):
            # Where a whole endpoint was shown, its root is known exactly, version or not.
            repairs.say(setting, f"the endpoint {endpoint} cut off")
            return _undoubled(setting, root.removesuffix(endpoint), repairs)
    root = _undoubled(setting, root, repairs)
    usual = known(host).root
    if root in ("", usual):
        return usual
    segments = root.split("/")
    if segments[-1] == "anthropic" or not any(map(_VERSION.fullmatch, segments)):
        return f"{root}/v1"
    return root


def _undoubled(setting: str, root: str, repairs: Repairs) -> str:
    segments = root.split("/")
    if len(segments) > 2 and segments[-1] == segments[-2] and _VERSION.fullmatch(segments[-1]):
        repairs.say(setting, f"doubled /{segments[-1]} removed")
        return "/".join(segments[:-1])
    return root
