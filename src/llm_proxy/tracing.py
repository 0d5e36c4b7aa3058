"""Opens the way to an OpenTelemetry collector where one is named, by OpenTelemetry's own variables.

They are not settings of ours: the SDK reads them, and every program of a deployment shares them.
Without an address nothing of the SDK is imported.
"""

from collections.abc import Mapping
from logging import getLogger
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llm_proxy.config.hosts import known
from llm_proxy.config.settings import Settings
from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.target import Upstream
from llm_proxy.telemetry.conventions import PROVIDERS, names_for
from llm_proxy.telemetry.spans import Peer

if TYPE_CHECKING:
    from llm_proxy.telemetry.otel import Otel

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
EXAMPLE = "For example http://127.0.0.1:4318"
GATHER_S = 1.0
GRPC_PORT = 4317
SIGNALS = ("TRACES", "METRICS")

_log = getLogger("llm_proxy.otel")


def open_otel(environ: Mapping[str, str], settings: Settings) -> "Otel | None":
    """Return what tells the collector, not started yet; None = no collector is named.

    Raises:
        ConfigError: The `otel` extra is not installed, or a variable is of no use.
    """
    addresses = {signal: _address(environ, signal) for signal in SIGNALS}
    used = {signal: found for signal, found in addresses.items() if found is not None}
    if not used or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    for signal, (variable, address) in used.items():
        _check(environ, signal, variable, address)
    variable, _ = next(iter(used.values()))
    try:
        from llm_proxy.telemetry.otel import Otel  # noqa: PLC0415 - see above
    except ImportError as error:
        raise ConfigError(
            variable,
            f"it is set, but OpenTelemetry is not installed ({error.name} is missing)",
            "Run: pip install 'llm-proxy[otel]'",
        ) from None
    try:
        return Otel(
            names_for(environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "")),
            peers_of(settings),
            has_traces="TRACES" in used,
            has_metrics="METRICS" in used,
            gather_s=_gather_s(environ),
        )
    except (ValueError, OSError) as error:
        # The text may quote an address or a header; the class is all that is safe to say.
        raise ConfigError(
            "OTEL_*",
            f"OpenTelemetry cannot be set up with these variables ({type(error).__name__})",
            f"Set no more than {ENDPOINT} first. {EXAMPLE}",
        ) from None


def peers_of(settings: Settings) -> dict[str, Peer]:
    """Return the upstreams as spans name them."""
    return {one.name: _peer(one) for one in settings.upstreams}


def _peer(upstream: Upstream) -> Peer:
    name = known(upstream.host).provider
    provider = PROVIDERS.get(name) or name.lower().replace(" ", "_").replace(".", "_")
    format_ = upstream.formats[0] if upstream.formats else ""
    return Peer(provider, upstream.host, upstream.port, format_)


def _address(environ: Mapping[str, str], signal: str) -> tuple[str, str] | None:
    """Return the variable that says where a signal goes, and what it says; None = nowhere."""
    if environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() == "none":
        return None
    for variable in (f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", ENDPOINT):
        address = environ.get(variable, "").strip()
        if address:
            return variable, address
    return None


def _check(environ: Mapping[str, str], signal: str, variable: str, address: str) -> None:
    """Refuse what the SDK would take and then fail with, request after request.

    Raises:
        ConfigError: See there.
    """
    try:
        parts = urlsplit(address)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        port = parts.port
    except ValueError:
        is_usable, port = False, None
    if not is_usable:
        raise ConfigError(variable, "it is no http or https address", EXAMPLE)
    for name in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = environ.get(name, "").strip()
        if protocol and protocol != "http/protobuf":
            raise ConfigError(name, "only http/protobuf is spoken", f"Use {name}=http/protobuf")
        if protocol:
            break
    if port == GRPC_PORT:
        _log.warning(
            "%s names port %d, which usually speaks gRPC; OTLP over HTTP is mostly on 4318",
            variable,
            GRPC_PORT,
        )


def _gather_s(environ: Mapping[str, str]) -> float:
    """Return how long spans gather, by the SDK's variable for it (milliseconds)."""
    given = environ.get("OTEL_BSP_SCHEDULE_DELAY", "").strip()
    return int(given) / 1000 if given.isascii() and given.isdigit() else GATHER_S
