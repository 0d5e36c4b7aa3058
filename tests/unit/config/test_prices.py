"""What a request costs: own prices first, list prices else, and unknown where nothing is known."""

from pathlib import Path
from typing import Any

import pytest

from llm_proxy.config import prices
from llm_proxy.config.load import load
from llm_proxy.config.prices import OwnPrice, PriceBook, is_private
from llm_proxy.config.show import lines
from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.price import Terms, cost_nano, terms_at
from llm_proxy.domain.target import Key, Upstream
from llm_proxy.domain.usage import Usage
from tests.support.records import make_record

HOUR_MS = 3_600_000
FLAT = Terms(((0, 1_000_000),), ((0, 4_000_000),), ((0, 100_000),), ((0, 1_250_000),))


def upstream(name: str, host: str) -> Upstream:
    return Upstream(name, "https", host, 443, "/v1", (Key("none", None),))


OPENAI = upstream("openai", "api.openai.com")
RELAY = upstream("relay", "relay.example.com")
LOCAL = upstream("local", "127.0.0.1")
BOOK = PriceBook([OPENAI, RELAY, LOCAL])


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        pytest.param(Usage(input=1_000, output=100), 1_400_000, id="input_and_output"),
        pytest.param(
            Usage(input=1_000, cache_read=800, cache_write=100, output=0),
            100_000 + 80_000 + 125_000,
            id="cached_input_has_its_own_price",
        ),
        pytest.param(Usage(input=0, output=0), 0, id="nothing_costs_nothing"),
        pytest.param(Usage(input=1_000), None, id="unknown_output_is_an_unknown_cost"),
        pytest.param(Usage(output=5), None, id="unknown_input_is_an_unknown_cost"),
        pytest.param(Usage(), None, id="unknown_is_unknown"),
        pytest.param(
            Usage(input=10, cache_read=11, output=1), None, id="more_cached_than_there_is"
        ),
    ],
)
def test_a_cost_is_the_sum_of_its_tokens(usage: Usage, cost: int | None) -> None:
    assert cost_nano(FLAT, usage) == cost


def test_where_no_output_is_sold_none_is_needed() -> None:
    embedding = Terms(((0, 20_000),))
    assert cost_nano(embedding, Usage(input=1_000)) == 20_000
    assert cost_nano(embedding, Usage(input=1_000, output=3)) is None


def test_a_long_prompt_pays_its_tier_for_every_token() -> None:
    tiered = Terms(((0, 1_000_000), (200_000, 2_000_000)), ((0, 1_000), (200_000, 3_000)))
    assert cost_nano(tiered, Usage(input=200_000, output=1_000)) == 200_000_000 + 1_000
    assert cost_nano(tiered, Usage(input=200_001, output=1_000)) == 400_002_000 + 3_000


def test_prices_change_on_their_day_and_by_the_hour() -> None:
    base, night = Terms(((0, 4),)), Terms(((0, 2),), daily=(990, 30))
    later = Terms(((0, 9),), from_ms=100 * 24 * HOUR_MS)
    assert terms_at((base, night), 12 * HOUR_MS) is base
    assert terms_at((base, night), 23 * HOUR_MS) is night
    assert terms_at((base, night), 24 * HOUR_MS) is night
    assert terms_at((base, later), 0) is base
    assert terms_at((base, later), 101 * 24 * HOUR_MS) is later


@pytest.mark.parametrize(
    ("upstream", "model", "is_known"),
    [
        ("openai", "gpt-4o-mini", True),
        ("openai", "GPT-4o-mini", True),
        ("openai", "no-such-model", False),
        ("relay", "claude-3-5-sonnet-latest", True),
        ("relay", "anthropic/claude-3-5-sonnet-latest", True),
        ("relay", "my-own-model", False),
        ("local", "gpt-4o-mini", False),
        ("gone", "gpt-4o-mini", False),
        ("openai", "", False),
    ],
)
def test_list_prices_go_by_address_then_by_the_models_maker(
    upstream: str, model: str, is_known: bool
) -> None:
    assert (BOOK.terms(upstream, model) is not None) is is_known


def test_a_known_model_has_the_price_that_the_table_says() -> None:
    (terms,) = BOOK.terms("openai", "gpt-4o-mini") or ()
    assert (terms.input, terms.output, terms.cache_read) == (
        ((0, 150_000),),
        ((0, 600_000),),
        ((0, 75_000),),
    )


def test_every_provider_and_model_of_the_table_can_be_read() -> None:
    whole = prices._read()
    assert len(whole) > 40
    for row in whole.values():
        assert prices._Provider(row.models).find("no such model at all") is None
        assert set(row.also) <= set(whole)
    assert prices.source().startswith("genai-prices ")


def test_own_prices_win_and_the_first_that_fits_counts() -> None:
    cheap, dear = Terms(((0, 1),), ((0, 1),)), Terms(((0, 2),), ((0, 2),))
    book = PriceBook([OPENAI, LOCAL], [OwnPrice("gpt-4o*", cheap, "openai"), OwnPrice("*", dear)])
    usage = Usage(input=1_000_000, output=0)
    for upstream, model, cost in (
        ("openai", "gpt-4o-mini", 1_000),
        ("local", "gpt-4o-mini", 2_000),
        ("openai", "anything", 2_000),
    ):
        record = make_record(upstream=upstream, served=model, usage=usage)
        assert book.cost_nano(record) == cost
    book.configure([OPENAI], [])
    record = make_record(upstream="openai", served="gpt-4o-mini", usage=usage)
    assert book.cost_nano(record) == 150_000_000


def test_a_request_without_an_answer_has_no_cost() -> None:
    assert BOOK.cost_nano(make_record(upstream=None, served=None, usage=Usage(input=1))) is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True), ("192.168.1.5", True), ("::1", True), ("localhost", True),
        ("ollama", True), ("box.local", True), ("8.8.8.8", False), ("api.openai.com", False),
    ],
)  # fmt: skip
def test_machines_of_the_own_network_have_no_list_price(host: str, expected: bool) -> None:
    assert is_private(host) is expected


BASE = 'proxy_url = "https://a.example"\napi_key = "sk-a"\nmy_access_key = "sk-long-access-key"\n'


def settings_of(tmp_path: Path, tables: str) -> Any:
    path = tmp_path / "llm-proxy.toml"
    path.write_text(BASE + tables, "utf-8")
    return load({}, config_path=path, cwd=tmp_path)


def test_the_file_says_what_a_million_tokens_cost(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path, '[[price]]\nmodel = "qwen*"\ninput = 0.15\noutput = 1\ncached_input = 0.03\n'
    )
    (own,) = settings.prices
    assert own == OwnPrice("qwen*", Terms(((0, 150_000),), ((0, 1_000_000),), ((0, 30_000),)))
    assert "[price] qwen*: input $0.15, output $1, cached input $0.03 per million tokens" in lines(
        settings
    )


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("input = 1", "price[0].model"),
        ('model = "a"', "price[0].input"),
        ('model = "a"\ninput = -1', "price[0].input"),
        ('model = "a"\ninput = "1"', "price[0].input"),
        ('model = "a"\ninput = true', "price[0].input"),
        ('model = "a"\ninput = 1\noutput = nan', "price[0].output"),
        ('model = "a"\ninput = 1\noutptu = 2', "price[0].outptu"),
        ('model = "a"\ninput = 1\nupstream = 2', "price[0].upstream"),
    ],
)
def test_a_price_that_cannot_be_meant_stops_the_start(
    table: str, name: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of(tmp_path, f"[[price]]\n{table}\n")
    assert caught.value.setting == name
