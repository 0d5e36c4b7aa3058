"""What the demo tells about itself: its models, its guide, and vectors that mean nothing."""

from base64 import b64encode
from hashlib import shake_128
from struct import pack, unpack
from typing import Any
from urllib.parse import unquote

import msgspec

from .ask import estimate_tokens
from .fault import FAULTS

_NAMES = ("demo", *FAULTS)
_CREATED_S = 1_767_225_600  # 2026-01-01T00:00:00Z, as a constant so that lists can be compared
_CREATED = "2026-01-01T00:00:00Z"


def guide() -> str:
    """Return the text of `GET /`: what can be asked for."""
    width = max(map(len, FAULTS))
    lines = [f"  {name:<{width}}  {fault.says}" for name, fault in FAULTS.items()]
    return "\n".join(
        [
            "This is the demo provider of LLM Proxy. It answers any model name with any key:",
            "POST /v1/chat/completions, /v1/messages, /v1/responses, /v1/embeddings;",
            "GET /v1/models. These model names make it misbehave:",
            "",
            *lines,
            "",
            "Any status from 400 to 599 works (demo-418). With -a or -b at the end only that",
            "upstream misbehaves (demo-500-a). Upstream a refuses every third request with 429.",
            "",
        ]
    )


def models(*, is_anthropic: bool) -> dict[str, Any]:
    """Return the models list in OpenAI's shape or Anthropic's."""
    entries = [model(name, is_anthropic=is_anthropic) for name in _NAMES]
    if not is_anthropic:
        return {"object": "list", "data": entries}
    ends = {"first_id": _NAMES[0], "last_id": _NAMES[-1]}
    return {"data": entries, "has_more": False, **ends}


def model(name: str, *, is_anthropic: bool) -> dict[str, Any]:
    """Return one model; every name exists."""
    name = unquote(name)
    if is_anthropic:
        return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED}
    return {"id": name, "object": "model", "created": _CREATED_S, "owned_by": "llm-proxy-demo"}


def embeddings(body: dict[str, Any]) -> dict[str, Any]:
    """Return one vector per input: the same for the same input, otherwise meaningless."""
    given = body.get("input")
    inputs = given if isinstance(given, list) and not _is_tokens(given) else [given]
    wanted = body.get("dimensions")
    size = wanted if isinstance(wanted, int) and 1 <= wanted <= 4096 else 256
    is_base64 = body.get("encoding_format") == "base64"
    data = []
    for index, one in enumerate(inputs):
        vector = _vector(msgspec.json.encode(one), size)
        packed = b64encode(pack(f"<{size}f", *vector)).decode()
        embedding = packed if is_base64 else vector
        data.append({"object": "embedding", "index": index, "embedding": embedding})
    tokens = estimate_tokens({"input": given})
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    name = body.get("model")
    return {"object": "list", "data": data, "model": name or "demo", "usage": usage}


def _is_tokens(given: list[Any]) -> bool:
    return bool(given) and all(isinstance(one, int) for one in given)


def _vector(data: bytes, size: int) -> list[float]:
    """Return a vector of length 1."""
    numbers = unpack(f"<{size}h", shake_128(data).digest(2 * size))
    length = sum(number * number for number in numbers) ** 0.5 or 1.0
    return [round(number / length, 6) for number in numbers]
