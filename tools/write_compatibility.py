"""Write the tables of docs/compatibility.md and its Chinese twin from the code that decides them.

What stands between `<!-- NAME -->` and `<!-- /NAME -->` is written anew; the rest is by hand.
"""

import re
import sys
from pathlib import Path

import msgspec

from llm_proxy.config.hosts import KNOWN_HOSTS, KnownHost
from llm_proxy.domain.knobs import Knobs
from llm_proxy.formats.translate.fields import DROP, IGNORE, MAP, REFUSE, RULES, SAME

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = {"en": "compatibility.md", "zh": "compatibility.zh-CN.md"}

Words = tuple[str, str]
"""English, Chinese."""

_FORMATS = {
    "chat": "Chat Completions",
    "messages": "Messages",
    "responses": "Responses",
}
_VERBS: dict[str, Words] = {
    SAME: ("as it is", "原样"),
    IGNORE: ("left out (`ignored`)", "省略（`ignored`）"),
    DROP: ("left out (`dropped`)", "省略（`dropped`）"),
    REFUSE: ("400", "400"),
}
_OURS: Words = ("the proxy's answer obeys it", "由代理在回答中照办")
_PROVIDERS: Words = ("as a provider's tool", "按服务商工具处理")
_SYSTEM: Words = ("system message", "system 消息")
_KEPT: Words = ("left out, `true`: `changed`", "省略，`true` 记为 `changed`")
_HEAT: Words = ("`temperature`, cut to 0–1", "`temperature`，限于 0–1")
_TOP_P: Words = ("`top_p`, unless `temperature` is set", "`top_p`，除非设置了 `temperature`")
_EFFORT = "`thinking`, `output_config.effort`"
_LIMIT = "`max_output_tokens`"

# fmt: off
_PLACES: dict[str, dict[str, tuple[str | Words, str | Words] | str]] = {
    "chat": {
        "messages":              ("`system`, `messages`", "`instructions`, `input`"),
        "model":                 "`model`",
        "function_call":         "`tool_choice`",
        "functions":             "`tools`",
        "logprobs":              ("", "`include`"),
        "top_logprobs":          ("", "`top_logprobs`"),
        "max_completion_tokens": ("`max_tokens`", _LIMIT),
        "max_tokens":            ("`max_tokens`", _LIMIT),
        "parallel_tool_calls":   ("`tool_choice.disable_parallel_tool_use`", "`parallel_tool_calls`"),
        "tool_choice":           "`tool_choice`",
        "tools":                 "`tools`",
        "reasoning_effort":      (_EFFORT, "`reasoning.effort`"),
        "response_format":       ("`output_config.format`", "`text.format`"),
        "safety_identifier":     ("`metadata.user_id`", ""),
        "user":                  ("`metadata.user_id`", ""),
        "stop":                  ("`stop_sequences`", ""),
        "stream":                "`stream`",
        "stream_options":        (_OURS, _OURS),
        "temperature":           (_HEAT, "`temperature`"),
        "top_p":                 (_TOP_P, "`top_p`"),
        "verbosity":             ("", "`text.verbosity`"),
        "web_search_options":    (_PROVIDERS, _PROVIDERS),
        "top_k":                 ("`top_k`", ""),
    },
    "messages": {
        "messages":              ("`messages`", "`input`"),
        "system":                (_SYSTEM, "`instructions`"),
        "model":                 "`model`",
        "max_tokens":            ("`max_tokens`, `max_completion_tokens`", _LIMIT),
        "stop_sequences":        ("`stop`", ""),
        "stream":                ("`stream`, `stream_options`", "`stream`"),
        "temperature":           "`temperature`",
        "top_p":                 "`top_p`",
        "top_k":                 (("`top_k`, where known", "`top_k`（已知支持时）"), ""),
        "thinking":              ("`reasoning_effort`", "`reasoning`"),
        "output_config":         ("`reasoning_effort`, `response_format`", "`reasoning`, `text.format`"),
        "output_format":         ("`response_format`", "`text.format`"),
        "tools":                 "`tools`",
        "tool_choice":           ("`tool_choice`, `parallel_tool_calls`", "`tool_choice`, `parallel_tool_calls`"),
    },
    "responses": {
        "input":                 ("`messages`", "`system`, `messages`"),
        "instructions":          (_SYSTEM, "`system`"),
        "model":                 "`model`",
        "include":               ("`logprobs`", _OURS),
        "max_output_tokens":     ("`max_tokens`, `max_completion_tokens`", "`max_tokens`"),
        "parallel_tool_calls":   ("`parallel_tool_calls`", "`tool_choice.disable_parallel_tool_use`"),
        "tool_choice":           "`tool_choice`",
        "tools":                 "`tools`",
        "reasoning":             ("`reasoning_effort`", _EFFORT),
        "store":                 (_KEPT, _KEPT),
        "stream":                "`stream`",
        "temperature":           ("`temperature`", _HEAT),
        "top_p":                 ("`top_p`", _TOP_P),
        "text":                  ("`response_format`, `verbosity`", "`output_config.format`"),
        "top_logprobs":          ("`logprobs`, `top_logprobs`", ""),
        "user":                  ("", "`metadata.user_id`"),
    },
}
# fmt: on
"""Where the fields that are carried go; one string for both targets where the name stays."""


def _said(words: str | Words, language: str) -> str:
    return words if isinstance(words, str) else words[language == "zh"]


def fields_table(client: str, language: str) -> str:
    """Return what becomes of every field of a format's requests, for each other format.

    Raises:
        KeyError: A field that is carried has no place in `_PLACES`.
    """
    rules, targets = RULES[client]
    to = ("To", "译为")[language == "zh"]
    head = [("Field", "字段")[language == "zh"], *(f"{to} {_FORMATS[name]}" for name in targets)]
    rows = [head, ["---"] * 3]
    for name, verbs in rules.items():
        places = _PLACES[client].get(name, ("", ""))
        if isinstance(places, str):
            places = (places, places)
        cells = [
            _said(places[at] if verb == MAP else _VERBS[verb], language)
            for at, verb in enumerate(verbs)
        ]
        if not all(cells):
            raise KeyError(f"{client}.{name} has no place")
        rows.append([f"`{name}`", *cells])
    return _table(rows)


def hosts_table(language: str) -> str:
    """Return what is known of providers' hosts."""
    heads = {
        "en": ["Provider", "Host", "Formats", "Root", "Messages key", "Translation"],
        "zh": ["服务商", "主机", "格式", "根路径", "Messages 密钥", "翻译"],
    }
    rows = [heads[language], ["---"] * 6]
    for row in KNOWN_HOSTS:
        host = f"`{'*' if row.host.startswith('.') else ''}{row.host}`"
        cells = [row.provider, host, *_host_cells(row, language)]
        last = rows[-1]
        if [cells[0], *cells[2:]] == [last[0], *last[2:]]:
            last[1] += f", {host}"
        else:
            rows.append(cells)
    return _table(rows)


def _host_cells(row: KnownHost, language: str) -> list[str]:
    """Return formats, root, header of the key, and how requests are translated."""
    defaults = msgspec.structs.asdict(Knobs())
    changed = [
        f"`{name} = {_toml(value)}`"
        for name, value in msgspec.structs.asdict(row.knobs).items()
        if value != defaults[name]
    ]
    spoken = ", ".join(f"`{name}`" for name in row.formats)
    as_sent: Words = ("what the client sends", "与客户端一致")
    root = f"`{row.root}`" + "".join(f"; `messages`: `{at}`" for at in row.messages_at)
    return [spoken or _said(as_sent, language), root, f"`{row.message_auth}`", ", ".join(changed)]


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool | int) else f'"{value}"'


def _table(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows)


def rendered(text: str, language: str) -> str:
    """Return a page with its tables written anew.

    Raises:
        ValueError: A table has no place on the page.
    """
    tables = {f"fields of {name}": fields_table(name, language) for name in RULES}
    tables["hosts"] = hosts_table(language)
    for name, table in tables.items():
        found = list(
            re.finditer(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", text, re.DOTALL)
        )
        if len(found) != 1:
            raise ValueError(f"the page of {language} has {len(found)} places for the {name}")
        text = f"{text[: found[0].start()]}\n{table}\n\n{text[found[0].end() :]}"
    return text


def main() -> int:
    """Write the tables of both pages."""
    for language, name in PAGES.items():
        path = DOCS / name
        path.write_text(rendered(path.read_text("utf-8"), language), "utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
