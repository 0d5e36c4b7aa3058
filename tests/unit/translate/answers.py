"""Golden files of answer translation: one upstream stream, what each client is told.

`FEATURE.json` holds the upstream's streams, `FEATURE.txt` what becomes of them, a line per event.
`python -m tests.unit.translate.answers` writes the results anew (of the features named, or of all).
Read the difference line by line before it is committed: the files are the contract.

A case's `stream` lists events: a string stands as it is (a blank line is added), an object becomes
the `data` of an event, named if it has a type, and `{"delta": …}` a chat chunk.
"""

import itertools
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from llm_proxy.formats.translate.context import Context, ToolOrigin
from llm_proxy.formats.translate.interpreter import Interpreter
from llm_proxy.formats.translate.request import warnings_of
from llm_proxy.wire.sse import EventSplitter, fields

from .goldens import pretty

FOLDER = Path(__file__).parent / "golden" / "answers"
FORMATS = ("chat", "messages", "responses")
_HALF = re.compile("[\ud800-\udfff]")
ECHOED = frozenset(
    [
        "object",
        "created",
        "created_at",
        "completed_at",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "temperature",
        "top_p",
        "max_output_tokens",
        "metadata",
        "text",
        "reasoning",
        "truncation",
        "previous_response_id",
        "store",
    ]
) - {"text"}
"""Fields of answers that are the same in all of them."""
NOW_S = 1_764_000_000


def cases() -> dict[str, dict[str, Any]]:
    """Return all inputs by `feature: case`."""
    return {
        f"{path.stem}: {case['case']}": case
        for path in sorted(FOLDER.glob("*.json"))
        for case in json.loads(path.read_text())
    }


def targets(case: dict[str, Any]) -> list[str]:
    """Return the client formats that a case is told in."""
    wanted = case.get("only", FORMATS)
    return [name for name in FORMATS if name != case["upstream"] and name in wanted]


def stream_bytes(case: dict[str, Any]) -> bytes:
    """Return what the upstream sends."""
    return b"".join(_event_bytes(event) for event in case["stream"])


def _event_bytes(event: Any) -> bytes:
    if isinstance(event, str):
        raw = event.encode("utf-8", "surrogatepass")
        return raw if raw.endswith(b"\n") else raw + b"\n\n"
    if "delta" in event and "type" not in event:
        choice = {"index": 0, "finish_reason": None} | {
            name: value for name, value in event.items() if name not in ("top", "usage")
        }
        base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        usage = {"usage": event["usage"]} if "usage" in event else {}
        event = base | {"choices": [choice]} | usage | event.get("top", {})
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


def counter() -> Callable[[], str]:
    """Return a source of ids that are the same in every run."""
    numbers = itertools.count(1)
    return lambda: f"{next(numbers):024d}"


def context_of(case: dict[str, Any], client: str, *, is_stream: bool) -> Context:
    """Return what the request would have left for the answer."""
    options = dict(case.get("context", {}))
    tools = {name: ToolOrigin(*origin) for name, origin in options.pop("tools", {}).items()}
    options["stop_sequences"] = tuple(options.pop("stop_sequences", ()))
    options.setdefault("wants_usage", True)
    return Context(
        client=client,
        upstream=case["upstream"],
        model="asked",
        is_stream=is_stream,
        tools=tools,
        **options,
    )


def interpreter_for(context: Context) -> Interpreter:
    return Interpreter(context, now_s=NOW_S, new_id=counter(), estimate_input=lambda: 7)


def told_stream(case: dict[str, Any], client: str, reads: Iterable[bytes]) -> bytes:
    """Return the client's stream for an upstream's that arrives in `reads`."""
    interpreter = interpreter_for(context_of(case, client, is_stream=True))
    return b"".join([*map(interpreter.feed, events_of(reads)), interpreter.end()])


def told_json(case: dict[str, Any], client: str, context: Context | None = None) -> bytes:
    """Return the JSON answer for the same stream."""
    interpreter = interpreter_for(context or context_of(case, client, is_stream=False))
    for event in events_of([stream_bytes(case)]):
        assert interpreter.feed(event) == b""
    assert interpreter.end() == b""
    return interpreter.gathered()


def events_of(reads: Iterable[bytes]) -> list[bytes]:
    """Cut reads into events as the relay does."""
    splitter = EventSplitter()
    events = [event for read in reads for event in splitter.feed(read)]
    return [*events, bytes(splitter.rest)] if splitter.rest else events


def lines_of(stream: bytes) -> list[str]:
    """Return a client's events as lines for reading: without numbers and what all repeat."""
    found = []
    for event in events_of([stream]):
        name, data = fields(event)
        if data is None or data == b"[DONE]":
            found.append(event.decode().strip())
            continue
        value = json.loads(data)
        if name:
            assert name.decode() == value.pop("type")
            value.pop("sequence_number", None)
        found.append(f"{name.decode()} {_short(value)}".strip())
    return found


def _short(value: Any) -> str:
    """Return compact JSON without what every event or answer repeats."""
    if isinstance(value, dict):
        if value.get("object") == "chat.completion.chunk":
            value = {name: value[name] for name in ("choices", "usage") if value.get(name)}
            if "choices" in value:
                choice = value.pop("choices")[0]
                reason = choice.get("finish_reason")
                kept = {"logprobs": choice["logprobs"]} if choice.get("logprobs") else {}
                value = {"delta": choice["delta"], "finish": reason} | kept | value
        elif "response" in value:
            value = {"status": value["response"]["status"]}
        value = {name: item for name, item in value.items() if name not in ECHOED}
    text = json.dumps(value, ensure_ascii=False)
    text = re.sub(r'"(item_id|id)": "(\w+_)0{8,}(\d+)"', r'"\1": "\2\3"', text)
    text = re.sub(r'"(annotations|logprobs)": \[\](, )?', "", text).replace(", }", "}")
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def result_of(case: dict[str, Any], client: str) -> list[str]:
    """Return what a golden file says of one input and one client."""
    context = context_of(case, client, is_stream=False)
    answer = json.loads(told_json(case, client, context))
    return [
        f"> {client}",
        *lines_of(told_stream(case, client, [stream_bytes(case)])),
        f"json {_short(answer)}",
        f"warnings {warnings_of(context) or '-'}",
    ]


def text_of(name: str, case: dict[str, Any]) -> str:
    """Return a case's part of its golden file."""
    results = [line for client in targets(case) for line in result_of(case, client)]
    return "\n".join([f"## {name}", *results, ""])


def main(names: list[str]) -> None:
    for path in sorted(FOLDER.glob("*.json")):
        if not names or path.stem in names:
            found = json.loads(path.read_text())
            path.write_text(_HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", pretty(found)) + "\n")
            parts = [text_of(f"{path.stem}: {case['case']}", case) for case in found]
            path.with_suffix(".txt").write_text("\n".join(parts))


if __name__ == "__main__":
    main(sys.argv[1:])
