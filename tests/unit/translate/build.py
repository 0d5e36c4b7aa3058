"""Smallest requests of each format, and one call to translate them."""

import json
from typing import Any

from llm_proxy.domain.knobs import Knobs
from llm_proxy.formats.translate.context import Translated
from llm_proxy.formats.translate.request import translate_request

SMALLEST: dict[str, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
    "messages": {
        "model": "m",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hi"}],
    },
    "responses": {"model": "m", "input": "Hi"},
}


def send(
    client: str,
    upstream: str,
    body: dict[str, Any] | bytes,
    *,
    is_strict: bool = False,
    **knobs: Any,
) -> Translated:
    """Translate a request; a body given as fields is laid over the smallest one."""
    if isinstance(body, dict):
        body = json.dumps({**SMALLEST[client], **body}).encode()
    return translate_request(
        body,
        client=client,
        upstream=upstream,
        model="up",
        knobs=Knobs(**knobs),
        is_strict=is_strict,
    )


def sent(client: str, upstream: str, fields: dict[str, Any], **knobs: Any) -> dict[str, Any]:
    """Return the body that goes up."""
    found: dict[str, Any] = json.loads(send(client, upstream, fields, **knobs).body)
    return found
