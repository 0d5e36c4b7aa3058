"""The page about compatibility says what the code does."""

import re
from typing import Any

import pytest

from llm_proxy.config.knobs import read_knobs
from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.knobs import Knobs
from llm_proxy.formats.translate.fields import RULES
from tools.write_compatibility import DOCS, PAGES, fields_table, rendered

every_page = pytest.mark.parametrize("language", PAGES)


def page(language: str) -> str:
    return (DOCS / PAGES[language]).read_text("utf-8")


def knob_rows(language: str) -> list[list[str]]:
    """Return name, values and default of each row of the table of knobs."""
    text = page(language)
    (table,) = re.findall(r"(?:^\| `max_tokens_field` .*\n)(?:^\|.*\n)+", text, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")[1:4]] for line in table.splitlines()]


def value_of(word: str) -> Any:
    word = word.strip("` ").replace(",", "")
    return int(word) if word.isdecimal() else {"true": True, "false": False}.get(word, word)


@every_page
def test_the_tables_of_the_page_are_up_to_date(language: str) -> None:
    assert rendered(page(language), language) == page(language), "run `make docs`"


@every_page
@pytest.mark.parametrize("client", RULES)
def test_every_field_of_a_format_has_its_line(language: str, client: str) -> None:
    table = fields_table(client, language)
    rules, _ = RULES[client]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(rules)
    assert "| |" not in table


@every_page
def test_every_knob_has_its_line_with_its_values_and_its_default(language: str) -> None:
    rows = knob_rows(language)
    assert [row[0].strip("`") for row in rows] == list(Knobs.__struct_fields__)
    for name, values, default in rows:
        knob = name.strip("`")
        numbers = re.fullmatch(r"([\d,]+)(?: to |–)([\d,]+)", values)
        accepted = [
            value_of(word) for word in (numbers.groups() if numbers else values.split(", "))
        ]
        for value in accepted:
            assert getattr(read_knobs("at", {knob: value}, Knobs()), knob) == value
        refused = [accepted[0] - 1, accepted[1] + 1] if numbers else ["no-such-value"]
        for value in refused:
            with pytest.raises(ConfigError):
                read_knobs("at", {knob: value}, Knobs())
        if knob != "tool_name_max":
            assert value_of(default) == getattr(Knobs(), knob)
