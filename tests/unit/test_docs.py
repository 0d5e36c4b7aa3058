"""The documentation names only what exists, leads nowhere else, and says the same in both languages."""

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path

import msgspec
import pytest
import yaml

from llm_proxy.cli import main
from llm_proxy.config.load import load
from llm_proxy.config.settings import NAMES
from llm_proxy.dashboard.openapi import OPERATIONS
from llm_proxy.domain.record import Attempt, Outcome, Record
from llm_proxy.domain.usage import Usage
from llm_proxy.proxy.refusal import ALL_LIMITED
from llm_proxy.telemetry.exposition import render
from llm_proxy.telemetry.metrics import Metrics

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
TWINS = [
    ("README.md", "README.zh-CN.md"),
    ("docs/clients.md", "docs/clients.zh-CN.md"),
    ("docs/deploy.md", "docs/deploy.zh-CN.md"),
    ("docs/settings.md", "docs/settings.zh-CN.md"),
    ("docs/compatibility.md", "docs/compatibility.zh-CN.md"),
]
LONE_SETTINGS = frozenset({"HOST", "PORT", "WORKERS", "DASHBOARD"})
NOT_SETTINGS = frozenset({
    "LLM_PROXY_CONFIG",  # where the file is, read before any setting
    "LLM_PROXY_KEY",  # an example's own
    "MAINPID",  # systemd's
    "RAILWAY_DEPLOYMENT_DRAINING_SECONDS",
    "RAILWAY_RUN_UID",
})  # fmt: skip
CLIENTS_OWN = (
    "ANTHROPIC_",
    "CLAUDE_CODE_",
    "OPENAI_",
    "OTEL_",
    "BASE_URL",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
)

every_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)
every_twin = pytest.mark.parametrize(("english", "chinese"), TWINS, ids=lambda name: name)


def text_of(name: str | Path) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def code(text: str) -> str:
    """Return what stands in code: fenced blocks and spans."""
    fenced = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([*fenced, *re.findall(r"`([^`\n]+)`", rest)])


def headings(text: str) -> list[str]:
    """Return the headings in order, code left out."""
    bare = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ .+$", bare, re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Return the anchors GitHub makes of the headings."""
    names = (re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()) for line in headings(text))
    return {name.replace(" ", "-") for name in names}


def settings_in(text: str) -> set[str]:
    """Return the variables that stand in code."""
    words = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", code(text)))
    words |= LONE_SETTINGS & set(re.findall(r"\b[A-Z]+\b", code(text)))
    return {word for word in words if word not in NOT_SETTINGS and not word.startswith(CLIENTS_OWN)}


@every_page
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?://", link):
            continue
        name, _, anchor = link.partition("#")
        target = page if not name else page.parent / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


@every_page
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", text_of("Makefile"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", code(page.read_text(encoding="utf-8"))))
    assert named <= targets


@every_page
def test_every_command_that_is_named_exists(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = set(re.findall(r"^    ([a-z]+) ", capsys.readouterr().out, re.MULTILINE))
    spans = code(page.read_text(encoding="utf-8"))
    named = set(re.findall(r"(?:^|&& )llm-proxy ([a-z]+)", spans, re.MULTILINE))
    assert {"serve", "demo", "check"} <= commands
    assert named <= commands


@every_page
def test_every_setting_that_is_named_exists(page: Path) -> None:
    if page.name in ("CONTRIBUTING.md", "architecture.md"):
        return  # they speak of names in the code
    known = {name.upper() for name in NAMES}
    assert settings_in(page.read_text(encoding="utf-8")) <= known


@every_page
def test_every_file_of_the_code_that_is_named_exists(page: Path) -> None:
    named = re.findall(r"[\w./]+\.(?:py|ts|sql|toml)\b", code(page.read_text(encoding="utf-8")))
    places = [ROOT, ROOT / "src", ROOT / "src" / "llm_proxy"]
    for name in named:
        is_users = name.endswith(".toml") and name != "pyproject.toml"
        is_found = any((place / name).exists() for place in places) or any(
            path.name == name for path in (ROOT / "src").rglob(name.rpartition("/")[2])
        )
        assert is_users or is_found, name


@every_twin
def test_both_languages_have_the_same_sections(english: str, chinese: str) -> None:
    ours, theirs = headings(text_of(english)), headings(text_of(chinese))
    assert [_shape(line) for line in ours] == [_shape(line) for line in theirs]


@every_twin
def test_both_languages_have_the_same_tables_and_commands(english: str, chinese: str) -> None:
    ours, theirs = text_of(english), text_of(chinese)
    rows = [re.findall(r"^\|(?:.+\|)+$", text, re.MULTILINE) for text in (ours, theirs)]
    assert [row.count("|") for row in rows[0]] == [row.count("|") for row in rows[1]]
    languages = [re.findall(r"^```(\w*)$", text, re.MULTILINE) for text in (ours, theirs)]
    assert languages[0] == languages[1]


@pytest.mark.parametrize(("english", "chinese"), TWINS[:2], ids=lambda name: name)
def test_both_languages_name_the_same_settings_and_paths(english: str, chinese: str) -> None:
    ours, theirs = text_of(english), text_of(chinese)
    assert settings_in(ours) == settings_in(theirs)
    paths = [set(re.findall(r"`[^`]*?(/v1/[a-z_/{}]+)", text)) for text in (ours, theirs)]
    assert paths[0] == paths[1]


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "docs/faults.md"])
def test_the_words_of_the_rate_limit_error_are_those_that_clients_get(name: str) -> None:
    assert f"`{ALL_LIMITED}`" in text_of(name)


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_configuration_examples_of_the_readme_can_be_used(name: str, tmp_path: Path) -> None:
    base = {"PROXY_URL": "https://api.example.com", "API_KEY": "sk-one", "HOST": "127.0.0.1"}
    examples = [
        dict(re.findall(r"^(?:export )?([A-Z_]+)=\"?(.+?)\"?$", group, re.MULTILINE))
        for block in blocks(text_of(name), "bash")
        for group in block.split("\n\n")
    ]
    tried = [example for example in examples if example]
    assert len(tried) >= 4
    for example in tried:
        settings = load({**base, **example}, config_path=None, cwd=tmp_path)
        assert settings.upstreams
        assert not settings.repairs


@every_page
def test_examples_in_python_and_toml_can_be_read(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in blocks(text, "python"):
        ast.parse(block)
    for block in blocks(text, "toml"):
        tomllib.loads(block)


def test_every_metric_and_outcome_is_explained_for_operators() -> None:
    page = text_of("docs/operations.md")
    exposed = render(Metrics(), ()).decode()
    families = {
        name + ("_total" if kind == "counter" and not name.endswith("_total") else "")
        for name, kind in re.findall(r"^# TYPE llm_proxy_(\w+) (\w+)", exposed, re.MULTILINE)
    }
    for name in families:
        assert re.search(rf"`{name}[`{{]", page), name
    registered = re.findall(
        r"(?:gauge|counter)\(\s*\"(\w+)\"", text_of("src/llm_proxy/readings.py"), re.MULTILINE
    )
    for name in registered:
        assert re.search(rf"`{name}(?:_total)?[`{{]", page), name
    for outcome in Outcome:
        assert f"| `{outcome.value}` |" in page


def test_every_address_of_the_pages_api_is_explained() -> None:
    page = text_of("docs/api.md")
    for one in OPERATIONS:
        wanted = f"{one.method.upper()} {one.path}".replace("{record_id}", "{id}")
        assert re.search(rf"`{re.escape(wanted)}[`?]", page), wanted


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_address_of_the_proxy_is_named(name: str) -> None:
    page = text_of(name)
    table = text_of("src/llm_proxy/formats/endpoint.py")
    wanted = {
        path
        for kind, path in re.findall(r'Endpoint\("(\w+)",.+"(/v1/\S+)"', table)
        if kind != "other"
    }
    assert len(wanted) >= 5
    wanted |= {
        "/v1/models",
        "/v1/embeddings",
        "/health",
        "/ready",
        "/metrics",
        "/dashboard/",
        "/api/",
    }
    wanted -= {"/v1/responses/input_tokens", "/v1/responses/compact"}  # below `/v1/responses`
    for path in wanted:
        assert f"`{path}" in page or f" {path}" in page, path


@pytest.mark.parametrize("shape", [Record, Attempt, Usage], ids=lambda shape: shape.__name__)
def test_every_field_of_a_record_is_explained(shape: type[msgspec.Struct]) -> None:
    section = text_of("docs/api.md").partition("## A request's record")[2]
    for field in shape.__struct_fields__:
        assert f"`{field}`" in section, field


def test_every_picture_of_a_page_is_there_and_small() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        pictures = re.findall(r'(?:src|srcset)="(\S+?)"', text_of(name))
        assert len(pictures) == 2
        assert all((ROOT / picture).stat().st_size < 200_000 for picture in pictures)


def test_the_site_shows_every_page_under_the_language_it_is_in() -> None:
    (english, chinese) = yaml.safe_load(text_of("mkdocs.yml"))["nav"]
    shown = [
        set().union(*(one.values() for one in part))
        for part in (english["English"], chinese["中文"])
    ]
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    is_chinese = {name for name in pages if name.endswith(".zh-CN.md")}
    assert shown[0] == {"index.md", "security.md", "changelog.md", *(pages - is_chinese)}
    assert shown[1] == {"index.zh-CN.md", *is_chinese}


def test_no_page_says_a_thing_twice_under_the_same_heading() -> None:
    for page in PAGES:
        if page.name == "CHANGELOG.md":
            continue  # each version has an "Added"
        counts = Counter(headings(page.read_text(encoding="utf-8")))
        assert [line for line, count in counts.items() if count > 1] == []


def _shape(heading: str) -> str:
    """Return what must agree between languages: the level, and a sign or name in Latin letters."""
    level, _, words = heading.partition(" ")
    sign = re.match(r"[^\w\s`]|Q\d", words)
    name = re.fullmatch(r"`\w+`", words)
    return f"{level} {name[0] if name else sign[0] if sign else ''}"
