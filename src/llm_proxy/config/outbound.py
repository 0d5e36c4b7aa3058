"""Chooses the outbound proxy of each upstream from OUTBOUND_PROXY and the usual variables.

`HTTPS_PROXY` and its kin are often set for a whole machine, so they never apply to upstreams on
this machine; `OUTBOUND_PROXY` was written for this program and always does. `NO_PROXY` excepts
hosts from both. The small spelling of a variable wins over the capitals, as in curl.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.secret import Secret

from .address import Address, checked_host, is_loopback
from .repair import Repairs, cleaned

_FIX = "Write it like http://127.0.0.1:7890 or socks5://127.0.0.1:1080"
_PORTS = {"http": 80, "socks5": 1080}


class Outbound(msgspec.Struct, frozen=True):
    """The proxies that may apply, and the exceptions.

    Attributes:
        own: `OUTBOUND_PROXY`.
        by_scheme: From `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, by the upstream's scheme.
        exceptions: Entries of `NO_PROXY`, in small letters.
    """

    own: Secret | None = None
    by_scheme: dict[str, Secret] = {}
    exceptions: tuple[str, ...] = ()

    def proxy_of(self, address: Address) -> Secret | None:
        """Return the proxy through which `address` is reached; None = direct."""
        if any(_excepts(entry, address) for entry in self.exceptions):
            return None
        if self.own is not None:
            return self.own
        return None if is_loopback(address.host) else self.by_scheme.get(address.scheme)


def read_outbound(
    environ: Mapping[str, str], spelled: str, own: str | None, repairs: Repairs
) -> Outbound:
    """Return what the variables say.

    Args:
        environ: All of it, for the variables that are not ours.
        spelled: How OUTBOUND_PROXY was spelled, for messages.
        own: Its value, if any.
        repairs: Told what was mended.

    Raises:
        ConfigError: A proxy's address is unusable. Going direct instead could be worse.
    """
    by_scheme: dict[str, Secret] = {}
    for scheme in ("https", "http"):
        for name in (f"{scheme}_proxy", "all_proxy"):
            variable = name if environ.get(name, "").strip() else name.upper()
            value = environ.get(variable, "").strip()
            if value:
                by_scheme[scheme] = read_proxy(variable, value, repairs)
                break
    entries = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    return Outbound(
        own=read_proxy(spelled, own, repairs) if own else None,
        by_scheme=by_scheme,
        exceptions=tuple(entry.lower() for entry in re.split(r"[,\s]+", entries) if entry),
    )


def read_proxy(setting: str, text: str, repairs: Repairs) -> Secret:
    """Return `scheme://[user:password@]host:port`, the port always there, `http` or `socks5`."""
    value = cleaned(setting, text, repairs)
    if "://" not in value:
        if not re.search(r"[.:]", value):
            raise ConfigError(setting, "is no proxy's address", _FIX)
        value = f"http://{value}"
        repairs.say(setting, "http:// added")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigError(setting, "cannot be read as a proxy's address", _FIX) from None
    scheme = "socks5" if parts.scheme in {"socks", "socks5h"} else parts.scheme
    if scheme not in _PORTS:
        raise ConfigError(setting, "is neither an http:// nor a socks5:// proxy", _FIX)
    if not value.isascii() or re.search(r"[\s\x00-\x1f]", value):
        raise ConfigError(setting, "holds characters that no address has", _FIX)
    host = checked_host(setting, host or "", _FIX)
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    shown = f"[{host}]" if ":" in host else host
    return Secret(f"{scheme}://{login}{shown}:{port or _PORTS[scheme]}")


def shown_proxy(proxy: Secret) -> str:
    """Return the proxy's address without its user and password."""
    scheme, _, rest = proxy.reveal().partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _excepts(entry: str, address: Address) -> bool:
    """Return whether an entry of NO_PROXY covers `address`: `*`, `.suffix`, `host`, `host:port`."""
    if entry == "*":
        return True
    host, port = _split_port(entry)
    if port is not None and port != address.port:
        return False
    host = host.removeprefix("*").strip("[]")
    bare = host.lstrip(".")
    try:
        return ip_address(bare) == ip_address(address.host)
    except ValueError:
        return address.host == bare or (bool(bare) and address.host.endswith(f".{bare}"))


def _split_port(entry: str) -> tuple[str, int | None]:
    host, colon, port = entry.rpartition(":")
    is_bare_ipv6 = entry.count(":") > 1 and not entry.startswith("[")
    if colon and port.isdecimal() and not is_bare_ipv6:
        return host, int(port)
    return entry, None
