"""Where requests can go: upstreams, their keys, and the targets made of both."""

import msgspec

from .knobs import Knobs
from .secret import Secret


class Timeouts(msgspec.Struct, frozen=True):
    """Limits of one attempt, in seconds; 0 = off.

    Attributes:
        connect_s: Name resolution, TCP and TLS together.
        upstream_s: From the request's last byte to the answer's head (JSON: to the body's end).
        first_token_s: Streams: to the first content.
        stream_idle_s: Streams: silence after content.
    """

    connect_s: float = 3.0
    upstream_s: float = 600.0
    first_token_s: float = 0.0
    stream_idle_s: float = 120.0


class Key(msgspec.Struct, frozen=True):
    """One key of an upstream.

    Attributes:
        label: Unique within its upstream and safe to show: `key-1 …ab12`, or `none`.
        secret: None where the upstream wants no key.
    """

    label: str
    secret: Secret | None


class Upstream(msgspec.Struct, frozen=True):
    """One provider address with everything that is configured about it.

    Attributes:
        name: Unique, shown to clients: `upstream-1` unless configured.
        scheme: `http` or `https`.
        host: Name or address without brackets.
        port: TCP port.
        root: Path in front of an endpoint, version root included, no slash at its end:
            `/v1`, `/api/paas/v4`. `/v1/chat/completions` goes up as `{root}/chat/completions`.
        keys: At least one.
        formats: Formats it speaks (`chat`, `messages`, `responses`); empty = what the client sends.
        models: Names and `*` patterns it serves (as the upstream calls them); empty = all.
        model_map: (from, to) pairs, first match wins, `*` allowed on the left.
        weight: Share among equals, > 0.
        priority: Lower is asked first.
        headers: Extra request headers (name lower-case, value).
        proxy: `http://…` (CONNECT) or `socks5://…` address, with its credentials; None = direct.
        timeouts: Limits of one attempt here.
        message_auth: How a key goes up on Messages paths: `x-api-key` or `bearer`.
        beta_deny: `anthropic-beta` values never sent here.
        knobs: How it wants requests that are translated for it.
        max_concurrency: Attempts each of its keys may serve at once; 0 = any number.
    """

    name: str
    scheme: str
    host: str
    port: int
    root: str
    keys: tuple[Key, ...]
    formats: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    model_map: tuple[tuple[str, str], ...] = ()
    weight: float = 1.0
    priority: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    proxy: Secret | None = None
    timeouts: Timeouts = Timeouts()
    message_auth: str = "x-api-key"
    beta_deny: tuple[str, ...] = ()
    knobs: Knobs = Knobs()
    max_concurrency: int = 0

    @property
    def authority(self) -> str:
        """Return the `Host` header's value: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"

    @property
    def address(self) -> str:
        """Return `scheme://host:port`, the unit on which connect faults count."""
        return f"{self.scheme}://{self.authority}"


class Target(msgspec.Struct, frozen=True):
    """An upstream reached with one of its keys.

    Attributes:
        id: `upstream-1/key-1`, unique in a configuration, stable over reloads of the same names.
    """

    id: str
    upstream: Upstream
    key: Key


def targets_of(upstreams: tuple[Upstream, ...]) -> tuple[Target, ...]:
    """Return every (upstream, key) pair, in configured order."""
    return tuple(
        Target(f"{upstream.name}/{key.label.partition(' ')[0]}", upstream, key)
        for upstream in upstreams
        for key in upstream.keys
    )
