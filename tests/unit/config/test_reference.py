import tomllib
from pathlib import Path

import pytest

from llm_proxy.config.file import UPSTREAM_NAMES
from llm_proxy.config.reference import entries, page
from llm_proxy.config.settings import NAMES

from .conftest import Load

DOCS = Path(__file__).parents[3] / "docs"


def test_every_setting_is_documented_in_both_languages() -> None:
    found = entries()
    assert tuple(entry.name for entry in found) == NAMES
    for entry in found:
        assert entry.text["en"], entry.name
        assert any("\u4e00" <= letter <= "\u9fff" for letter in entry.text["zh"]), entry.name


@pytest.mark.parametrize(("language", "name"), [("en", "settings.md"), ("zh", "settings.zh-CN.md")])
def test_the_reference_page_is_up_to_date(language: str, name: str) -> None:
    written = (DOCS / name).read_text("utf-8")
    assert written == page(language), "run `make docs`"
    for setting in NAMES:
        assert f"### `{setting.upper()}`" in written
        assert f"`{setting} = " in written
    for field in UPSTREAM_NAMES:
        assert f"| `{field}` |" in written


def test_the_example_file_of_the_page_can_be_used(load_with: Load) -> None:
    example = page("en").partition("```toml\n")[2].partition("```")[0]
    tomllib.loads(example)
    settings = load_with(example, PROXY_URL=None, API_KEY=None, MY_ACCESS_KEY=None)
    assert [upstream.name for upstream in settings.upstreams] == ["openai", "local"]


def test_the_page_shows_no_machine_specific_path() -> None:
    assert str(Path.home()) not in page("en")
