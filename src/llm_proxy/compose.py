"""From settings to what each layer wants to know, and the first words to the user."""

import shlex
import sys
from logging import DEBUG, WARNING, getLogger
from urllib.parse import parse_qsl, urlsplit

from llm_proxy.config.access import FILE
from llm_proxy.config.settings import Settings
from llm_proxy.domain.redact import Redactor
from llm_proxy.domain.secret import Secret
from llm_proxy.net.handler import Limits
from llm_proxy.net.loop import raise_descriptor_limit
from llm_proxy.policy.retry import RetryConfig
from llm_proxy.proxy.core import Config

LOG = getLogger("llm_proxy")
MIN_SECRET = 16
"""Shorter parts of an address are words, such as `webhook`."""
OWN_DESCRIPTORS = 64
"""For the store, the log, the listener and what the runtime opens."""


def redactor_of(settings: Settings) -> Redactor:
    """Return what blanks every secret of `settings`."""
    secrets: list[Secret] = [key.secret for key in settings.access_keys]
    for upstream in settings.upstreams:
        secrets += [key.secret for key in upstream.keys if key.secret is not None]
        if upstream.proxy is not None:
            secrets.append(upstream.proxy)
    if settings.alert_webhook_url is not None:
        secrets += _secrets_of(settings.alert_webhook_url.reveal())
    return Redactor(secrets)


def _secrets_of(address: str) -> list[Secret]:
    """Return what is secret in an address that is secret as a whole: all behind its host."""
    parts = urlsplit(address)
    values = [value for _, value in parse_qsl(parts.query)]
    found = {address.partition(parts.netloc)[2], *parts.path.split("/"), *values}
    return [Secret(text) for text in found if len(text) >= MIN_SECRET]


def config_of(settings: Settings) -> Config:
    """Return the part of `settings` that the proxy itself reads."""
    return Config(
        access_keys=settings.access_keys,
        request_timeout_s=settings.request_timeout_s,
        path_repair=settings.path_repair,
        cors_origins=settings.cors_origins,
        max_body_bytes=settings.max_body_mb * 1024 * 1024,
        retry=RetryConfig(max_retries=settings.max_retries),
        stream_rescue=settings.stream_rescue,
    )


def limits_of(settings: Settings) -> Limits:
    """Return the server's limits, having lifted the process's own as far as they go.

    A client's request needs two descriptors, and running out of them is worse than an honest 503:
    where there are too few for MAX_CONNECTIONS, fewer connections are taken.
    """
    connections = settings.max_connections
    descriptors = raise_descriptor_limit()
    if descriptors:
        connections = max(1, min(connections, (descriptors - OWN_DESCRIPTORS) // 2))
    if connections < settings.max_connections:
        is_asked_for = settings.origins.get("max_connections", "default") != "default"
        LOG.log(
            WARNING if is_asked_for else DEBUG,
            "at most %d client connections, as this process may open few files (ulimit -n)",
            connections,
        )
    return Limits(max_body_bytes=settings.max_body_mb * 1024 * 1024, max_connections=connections)


def say(settings: Settings, port: int, *, is_demo: bool) -> None:
    """Print the address, the access key's place and a line to try."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    key = _key_words(settings)
    model = "demo" if is_demo else "gpt-4o-mini"
    body = f'{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"Hello!"}}]}}'
    lines = (
        "",
        f"  Page       http://{host}:{port}/",
        f"  OpenAI     http://{host}:{port}/v1",
        f"  Anthropic  http://{host}:{port}",
        "",
        "  Try it:",
        f"  curl -N http://{host}:{port}/v1/chat/completions \\",
        f'    -H "Authorization: Bearer {key}" \\',
        f"    -H 'Content-Type: application/json' -d '{body}'",
        "",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _key_words(settings: Settings) -> str:
    """Return what stands for the access key within double quotes of a shell, never the key."""
    kept = settings.data_dir / FILE
    origin = settings.origins.get("my_access_key")
    if origin == "generated" and kept.exists():
        return f"$(cat {shlex.quote(str(kept))})"
    # The variable is the key itself only where it holds a single one without a name.
    names = [key.name for key in settings.access_keys]
    return "$MY_ACCESS_KEY" if origin == "environment" and names == ["key-1"] else "YOUR_ACCESS_KEY"
