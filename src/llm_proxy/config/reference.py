"""Writes the reference page of the settings, in English and Chinese, from `settings.py` itself.

The docstrings below the fields are read from the source, as Python keeps none of them. A setting
without both texts, a kind or an example makes the page fail to build, and so the tests.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise

import msgspec

from . import settings as source
from .file import UPSTREAM_NAMES
from .kinds import Kind, assignment
from .load import kinds
from .own_price import PRICE_NAMES
from .settings import NAMES, NEED_RESTART, Settings
from .show import shown

LANGUAGES = ("en", "zh")

_SECTION = re.compile(r"    # --- (?P<en>[^|\n]+) \| (?P<zh>[^|\n]+)\n")
_CHINESE = "中文："


class Entry(msgspec.Struct, frozen=True):
    """What the page says of one setting.

    Attributes:
        name: Field's name.
        section: Heading above it, by language.
        text: Meaning, by language.
        kind: What its value may look like.
    """

    name: str
    section: dict[str, str]
    text: dict[str, str]
    kind: Kind


_UPSTREAM = {
    "name": (
        "Shown to clients and in records; `upstream-1` by position otherwise.",
        "显示给客户端和记录的名称；缺省按位置为 `upstream-1`。",
    ),
    "url": ("As `PROXY_URL`, one address. Required.", "同 `PROXY_URL`，一个地址。必填。"),
    "key": (
        "As `API_KEY`; without it the one key of `API_KEY` is used.",
        "同 `API_KEY`；省略时使用 `API_KEY` 的那一个密钥。",
    ),
    "keys": ("Several keys, in place of `key`: a key pool.", "多个密钥（代替 `key`），即密钥池。"),
    "formats": ("As `PROXY_FORMATS`, for this upstream.", "同 `PROXY_FORMATS`，只用于此上游。"),
    "models": (
        'As `PROXY_MODELS`, for this upstream; or a table of other names, `{ fast = "qwen3" }`.',
        '同 `PROXY_MODELS`，只用于此上游；也可写成“客户端名称 = 上游名称”的表：`{ fast = "qwen3" }`。',
    ),
    "model_map": (
        "As `MODEL_MAP`; looked at before the common one.",
        "同 `MODEL_MAP`；先于公共映射。",
    ),
    "weight": (
        "Share among upstreams of one priority, above 0. Default 1.",
        "同优先级上游之间的份额，大于 0。默认 1。",
    ),
    "priority": (
        "Whole number; lower ones are asked first. Default 0.",
        "整数，小者优先。默认 0。",
    ),
    "max_concurrency": (
        (
            "Requests in flight at each key of this upstream, streams to their end. More go to "
            "other keys and upstreams at once; where all are full they wait up to 5 s, in order "
            "of arrival, then get 503. Default 0: any number."
        ),
        (
            "此上游每个密钥同时处理的请求数（流式请求算到结束）。超出的请求立即改用其他密钥或上游；"
            "全部占满时按到达顺序最多等待 5 秒，仍无空位则返回 503。默认 0，不限。"
        ),
    ),
    "headers": (
        "Request headers added on the way up, as a table.",
        "发往上游时附加的请求头（表）。",
    ),
    "proxy": (
        "As `OUTBOUND_PROXY`, for this upstream; `none` = direct.",
        "同 `OUTBOUND_PROXY`，只用于此上游；`none` = 直连。",
    ),
    "timeouts": (
        "Table of `connect_s`, `upstream_s`, `first_token_s`, `stream_idle_s`.",
        "时限表：`connect_s`、`upstream_s`、`first_token_s`、`stream_idle_s`。",
    ),
    "message_auth": (
        (
            "How a key goes up on Messages paths: `x-api-key` or `bearer`. Default: as a known "
            "host wants it, else `x-api-key`."
        ),
        "Messages 接口发送密钥的方式：`x-api-key` 或 `bearer`。默认按已知主机的要求，否则 `x-api-key`。",
    ),
    "translation": (
        "Table of what requests in another format need here; see [compatibility](compatibility.md).",
        "翻译为其他格式的请求时所需的细节（表），见[兼容性](compatibility.zh-CN.md)。",
    ),
    "beta_deny": (
        "`anthropic-beta` values that are never sent here.",
        "不发往此上游的 `anthropic-beta` 值。",
    ),
}

_PRICE = {
    "model": ("As the upstream calls it, `*` allowed.", "上游的模型名，可用 `*`。"),
    "upstream": ("Only at this upstream; left out = anywhere.", "只用于此上游；省略则不限。"),
    "input": ("Of input tokens.", "输入 Token 的价格。"),
    "output": (
        "Of output tokens; left out where there is none, as for embeddings.",
        "输出 Token 的价格；没有输出（如向量）则省略。",
    ),
    "cached_input": (
        "Of input tokens read from a cache; left out = as `input`.",
        "命中缓存的输入 Token 的价格；省略则同 `input`。",
    ),
    "cache_write": (
        "Of input tokens written to a cache; left out = as `input`.",
        "写入缓存的输入 Token 的价格；省略则同 `input`。",
    ),
}

_WORDS = {
    "en": {
        "title": "Settings",
        "other": "[中文](settings.zh-CN.md)",
        "intro": (
            "Settings come from environment variables, then from a TOML file (`--config PATH`, "
            "`LLM_PROXY_CONFIG`, or `llm-proxy.toml` in the working directory), where they have "
            "the same names in small letters. The environment beats the file; a blank variable "
            "counts as not set. `llm-proxy config` prints the values in force and where each came "
            "from, `llm-proxy check` says what is wrong and tries every upstream and key.\n\n"
            "Values are repaired where the meaning is plain, and every repair is said at the "
            "start: quotes, blanks, line breaks and full-width characters around keys and "
            "addresses, a missing `https://`, a whole endpoint as `PROXY_URL`, lists separated by "
            "semicolons, blanks or line breaks, duplicates. Anything else that cannot be used "
            "stops the start with one line that names the setting and an example that works.\n\n"
            "The file is read again on SIGHUP and when it changes: checked first, then swapped "
            "whole; a bad file changes nothing. Settings marked *restart* wait for one."
        ),
        "type": "Value",
        "default": "Default",
        "required": "none",
        "variable": "Variable",
        "file": "File",
        "restart": "A change needs a *restart*.",
        "table": "Upstream tables",
        "table_intro": (
            "What does not fit into variables stands in `[[upstream]]` tables of the file. "
            "`PROXY_URL` in the environment replaces them."
        ),
        "prices": "Price tables",
        "prices_intro": (
            "Costs on the page are list prices in US dollars, from a table that comes with the "
            "proxy: by the upstream's address or, at a relay, as the model's maker asks. Where "
            "you pay something else, or no price is known, `[[price]]` tables of the file say "
            "what a million tokens cost; the first that fits counts. What has no price has no "
            "cost: it is never taken for free."
        ),
        "name": "Name",
        "meaning": "Meaning",
        "dir": "`./data`",
        "generated": "This page is generated by `make docs`.",
    },
    "zh": {
        "title": "设置",
        "other": "[English](settings.md)",
        "intro": (
            "设置先取自环境变量，再取自 TOML 文件（`--config PATH`、`LLM_PROXY_CONFIG`，或工作目录下的 "
            "`llm-proxy.toml`），文件中使用同名小写。环境变量优先于文件；空白变量视为未设置。"
            "`llm-proxy config` 显示生效的值及其来源，`llm-proxy check` 指出问题并逐一测试上游和密钥。\n\n"
            "含义明确的写法会自动修正，并在启动时说明：密钥和地址外的引号、空白、换行和全角字符，缺少的 "
            "`https://`，把完整接口地址写成 `PROXY_URL`，用分号、空格或换行分隔的列表，重复项。"
            "其他无法使用的值会阻止启动，并用一行文字指出是哪个设置以及可用的示例。\n\n"
            "收到 SIGHUP 或文件变化时会重新读取：先校验，再整体替换；文件有误则一切不变。"
            "标有“需要重启”的设置在重启后生效。"
        ),
        "type": "取值",
        "default": "默认",
        "required": "无",
        "variable": "环境变量",
        "file": "文件",
        "restart": "修改后*需要重启*。",
        "table": "上游表",
        "table_intro": (
            "环境变量写不下的内容放在文件的 `[[upstream]]` 表中。环境变量 `PROXY_URL` 会取代这些表。"
        ),
        "prices": "价格表",
        "prices_intro": (
            "页面上的费用按公开标价（美元）计算，标价表随代理提供：按上游地址查价；中转站则按模型厂商的"
            "标价。若实际价格不同，或没有已知价格，可在文件的 `[[price]]` 表中写明每百万 Token 的价格，"
            "取第一个匹配项。没有价格的模型不计费用，绝不当作免费。"
        ),
        "name": "名称",
        "meaning": "含义",
        "dir": "`./data`",
        "generated": "本页由 `make docs` 生成。",
    },
}

_FILE_EXAMPLE = """\
```toml
port = 8080
my_access_key = { phone = "my-first-long-secret", friend = "my-second-long-secret" }

[[upstream]]
name = "openai"
url = "https://api.openai.com/v1"
keys = ["sk-upstream-1", "sk-upstream-2"]
models = ["gpt-*", "o3"]

[[upstream]]
name = "local"
url = "http://127.0.0.1:11434"
key = "none"
priority = 1
max_concurrency = 4
model_map = { "gpt-*" = "qwen3" }
timeouts = { upstream_s = 120 }

[[price]]
model = "qwen3*"
upstream = "local"
input = 0.15
output = 0.6
cached_input = 0.03
```
"""


def entries() -> list[Entry]:
    """Return every setting in the order of the source.

    Raises:
        LookupError: A setting lacks its section or one of its two texts.
    """
    text = inspect.getsource(source)
    body = next(
        node.body
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef) and node.name == Settings.__name__
    )
    sections = [
        (text.count("\n", 0, found.start()) + 1, found.groupdict())
        for found in _SECTION.finditer(text)
    ]
    all_kinds = kinds()
    found: list[Entry] = []
    for field, doc in pairwise(body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        name = field.target.id
        if name not in NAMES:
            continue
        section = [words for line, words in sections if line < field.lineno]
        english, _, chinese = _docstring(doc).partition(_CHINESE)
        if not (section and english.strip() and chinese.strip()):
            raise LookupError(f"{name} lacks its section, its English or its Chinese text")
        texts = {"en": _flowing(english, " "), "zh": _flowing(chinese, "")}
        found.append(Entry(name, section[-1], texts, all_kinds[name]))
    return found


def _docstring(node: ast.stmt) -> str:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return str(node.value.value) if is_text else ""  # type: ignore[attr-defined]


def _flowing(text: str, between: str) -> str:
    return between.join(line.strip() for line in text.split("\n")).strip()


def page(language: str) -> str:
    """Return the whole page in Markdown; `language` is one of LANGUAGES."""
    return "\n".join(_lines(language)) + "\n"


def _lines(language: str) -> Iterator[str]:
    words = _WORDS[language]
    yield f"# {words['title']}\n\n{words['other']}\n\n{words['intro']}\n"
    section = ""
    for entry in entries():
        if entry.section[language] != section:
            section = entry.section[language]
            yield f"## {section}\n"
        yield from _entry_lines(entry, language)
    yield f"## {words['table']}\n\n{words['table_intro']}\n"
    yield f"| {words['name']} | {words['meaning']} |\n| --- | --- |"
    for name in UPSTREAM_NAMES:
        yield f"| `{name}` | {_UPSTREAM[name][LANGUAGES.index(language)]} |"
    yield f"\n## {words['prices']}\n\n{words['prices_intro']}\n"
    yield f"| {words['name']} | {words['meaning']} |\n| --- | --- |"
    for name in PRICE_NAMES:
        yield f"| `{name}` | {_PRICE[name][LANGUAGES.index(language)]} |"
    yield f"\n{_FILE_EXAMPLE}\n{words['generated']}"


def _entry_lines(entry: Entry, language: str) -> Iterator[str]:
    words = _WORDS[language]
    kind = entry.kind
    default = words["dir"] if entry.name == "data_dir" else shown(Settings(), entry.name)
    if entry.name != "data_dir":
        default = f"`{default}`" if default else words["required"]
    yield f"### `{entry.name.upper()}`\n\n{entry.text[language]}\n"
    if entry.name in NEED_RESTART:
        yield f"{words['restart']}\n"
    yield f"- {words['type']}: {kind.says if language == 'en' else kind.says_zh}"
    yield f"- {words['default']}: {default}"
    yield f"- {words['variable']}: `{assignment(entry.name.upper(), kind.example)}`"
    yield f"- {words['file']}: `{assignment(entry.name, kind.example)}`\n"
