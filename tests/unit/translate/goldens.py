"""Golden files of request translation: one input, what becomes of it for each upstream format.

`python -m tests.unit.translate.goldens` writes the results anew (of the features named, or of all).
Read the difference line by line before it is committed: the files are the contract.
"""

import json
import sys
from pathlib import Path
from typing import Any

from llm_proxy.domain.errors import RequestError
from llm_proxy.domain.knobs import Knobs
from llm_proxy.formats.translate.context import Context
from llm_proxy.formats.translate.request import translate_request, warnings_of

FOLDER = Path(__file__).parent / "golden" / "requests"
FORMATS = ("chat", "messages", "responses")
MODELS = {"chat": "qwen3-max", "messages": "claude-opus-5", "responses": "gpt-5.6"}
_WIDTH = 100


def cases() -> dict[str, dict[str, Any]]:
    """Return all inputs by `feature: case`."""
    return {
        f"{path.stem}: {case['case']}": case
        for path in sorted(FOLDER.glob("*.json"))
        for case in json.loads(path.read_text())
    }


def result_of(case: dict[str, Any], upstream: str) -> dict[str, Any]:
    """Return what a golden file says of one input and one upstream."""
    options = dict(case.get("options", {}))
    try:
        translated = translate_request(
            json.dumps(case["body"]).encode(),
            client=case["client"],
            upstream=upstream,
            model=options.pop("model", MODELS[upstream]),
            knobs=Knobs(**options.pop("knobs", {})),
            is_strict=options.pop("is_strict", False),
            host_is_openai=options.pop("host_is_openai", False),
        )
    except RequestError as error:
        return {"refused": error.message, "param": error.param, "code": error.code}
    assert not options, f"unknown options {options}"
    found = {
        "body": json.loads(translated.body),
        "warnings": warnings_of(translated.context),
        **_remembered(translated.context),
    }
    return {name: value for name, value in found.items() if value}


def _remembered(context: Context) -> dict[str, Any]:
    """Return what the context holds beyond what every context holds."""
    plain = Context(client=context.client, upstream=context.upstream)
    skipped = ("client", "upstream", "model", "is_stream", "notes", "echo", "input_tokens")
    found: dict[str, Any] = {}
    for name in Context.__struct_fields__:
        value = getattr(context, name)
        if name not in skipped and value != getattr(plain, name):
            found[name] = value
    if context.tools:
        found["tools"] = {
            sent: [origin.name, origin.namespace, origin.is_custom]
            for sent, origin in context.tools.items()
        }
    if context.stop_sequences:
        found["stop_sequences"] = list(context.stop_sequences)
    if not context.shows_reasoning:
        found["hides_reasoning"] = True
    return found


def targets(case: dict[str, Any]) -> list[str]:
    """Return the upstream formats that a case is translated to."""
    wanted = case.get("only", FORMATS)
    return [name for name in FORMATS if name != case["client"] and name in wanted]


def pretty(value: Any, indent: int = 0) -> str:
    """Return JSON with whatever fits on one line on one line."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + indent <= _WIDTH or not isinstance(value, dict | list) or not value:
        return flat
    inner = indent + 2
    pad = " " * inner
    if isinstance(value, list):
        lines = [pad + pretty(item, inner) for item in value]
        return "[\n" + ",\n".join(lines) + "\n" + " " * indent + "]"
    lines = [
        f"{pad}{json.dumps(key)}: {json.dumps(item, ensure_ascii=False)}"
        if not isinstance(item, dict | list)
        else f"{pad}{json.dumps(key)}: {pretty(item, inner)}"
        for key, item in value.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"


def main(names: list[str]) -> None:
    for path in sorted(FOLDER.glob("*.json")):
        if names and path.stem not in names:
            continue
        found = json.loads(path.read_text())
        for case in found:
            case["to"] = {upstream: result_of(case, upstream) for upstream in targets(case)}
        path.write_text(pretty(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
