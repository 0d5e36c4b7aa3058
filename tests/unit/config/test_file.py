from pathlib import Path
from typing import Any

import pytest

from llm_proxy.config.load import load
from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.target import Timeouts

from .conftest import ACCESS_KEY, UPSTREAM_KEY, Load

TABLES = """
[[upstream]]
name = "first"
url = "https://a.com/v1/chat/completions"
keys = ["k1", "k2"]
formats = ["chat", "responses"]
models = ["gpt-*"]
model_map = { "fast" = "gpt-5" }
weight = 2.5
priority = 1
max_concurrency = 4
headers = { "X-Team" = "blue" }
proxy = "socks5h://127.0.0.1:1080"
timeouts = { upstream_s = 30, connect_s = 0.5 }
message_auth = "bearer"
beta_deny = ["tools-1"]

[[upstream]]
url = "b.com"
key = "none"
"""


def test_upstream_tables_say_more_than_variables_can(load_with: Load) -> None:
    settings = load_with(TABLES, PROXY_URL=None, API_KEY=None, MODEL_MAP="other=x", MAX_RETRIES="1")
    first, second = settings.upstreams
    assert (first.name, first.host, first.root) == ("first", "a.com", "/v1")
    assert [key.label for key in first.keys] == ["key-1 …", "key-2 …"]
    assert (first.formats, first.models) == (("chat", "responses"), ("gpt-*",))
    assert first.model_map == (("fast", "gpt-5"), ("other", "x"))
    assert (first.weight, first.priority) == (2.5, 1)
    assert (first.max_concurrency, second.max_concurrency) == (4, 0)
    assert first.headers == (("x-team", "blue"),)
    assert first.proxy is not None
    assert first.proxy.reveal() == "socks5://127.0.0.1:1080"
    assert first.timeouts == Timeouts(upstream_s=30, connect_s=0.5)
    assert (first.message_auth, first.beta_deny) == ("bearer", ("tools-1",))
    assert (second.name, second.keys[0].secret, second.timeouts) == ("upstream-2", None, Timeouts())
    assert settings.repairs == (
        "upstream[0].url: the endpoint /chat/completions cut off",
        "upstream[1].url: https:// added",
    )


def test_models_may_be_a_table_of_other_names(load_with: Load) -> None:
    table = """
        [[upstream]]
        url = "https://a.com"
        key = "none"
        models = { fast = "qwen3", "claude-*" = "gpt-5" }
        model_map = { old = "qwen3" }
    """
    settings = load_with(table, PROXY_URL=None, API_KEY=None)
    (upstream,) = settings.upstreams
    assert upstream.models == ("qwen3", "gpt-5")
    assert upstream.model_map == (("fast", "qwen3"), ("claude-*", "gpt-5"), ("old", "qwen3"))


def test_the_environment_beats_the_file(load_with: Load) -> None:
    settings = load_with(
        "port = 1234\nmax_retries = 7\nlog_level = 'error'", PORT="4321", LOG_LEVEL=" "
    )
    assert (settings.port, settings.max_retries, settings.log_level) == (4321, 7, "error")
    assert settings.origins["port"] == "environment"
    assert settings.origins["max_retries"] == "file"
    assert settings.origins["log_level"] == "file"


def test_proxy_url_in_the_environment_replaces_the_tables(load_with: Load) -> None:
    settings = load_with(TABLES, PROXY_URL="https://c.com")
    assert [upstream.host for upstream in settings.upstreams] == ["c.com"]
    assert any("replaces the tables" in line for line in settings.warnings)


def test_the_key_may_stay_in_the_environment(load_with: Load) -> None:
    settings = load_with('[[upstream]]\nurl = "a.com"', PROXY_URL=None)
    secret = settings.upstreams[0].keys[0].secret
    assert secret is not None
    assert secret.reveal() == UPSTREAM_KEY


def test_values_of_the_file_may_have_their_natural_types(load_with: Load) -> None:
    settings = load_with(
        """
        proxy_url = ["https://a.com", "https://b.com"]
        api_key = ["k1", "k2"]
        my_access_key = { phone = "first-long-key", friend = "second-long-key" }
        proxy_formats = [["chat"], ["messages", "responses"]]
        proxy_models = ["gpt-*", "o3"]
        model_map = { "claude-*" = "gpt-5" }
        path_repair = false
        connect_timeout_s = 0.125
        cors_origins = ["https://a.com"]
        """,
        PROXY_URL=None,
        API_KEY=None,
        MY_ACCESS_KEY=None,
    )
    assert [one.formats for one in settings.upstreams] == [("chat",), ("messages", "responses")]
    assert [one.models for one in settings.upstreams] == [("gpt-*", "o3")] * 2
    assert [key.name for key in settings.access_keys] == ["phone", "friend"]
    assert settings.model_map == (("claude-*", "gpt-5"),)
    assert (settings.path_repair, settings.connect_timeout_s) == (False, 0.125)
    assert settings.cors_origins == ("https://a.com",)


@pytest.mark.parametrize(
    ("file", "setting", "says"),
    [
        pytest.param("max_retry = 3", "max_retry", "max_retries", id="misspelt"),
        pytest.param("PORT = 3", "PORT", "port", id="capitals"),
        pytest.param("[upstreams]\nurl = 'a'", "upstreams", "upstream", id="misspelt_table"),
        pytest.param("[upstream]\nurl = 'a'", "upstream", "[[upstream]]", id="single_table"),
        pytest.param("port = 'many'", "port", "port = 8080", id="unusable"),
        pytest.param("port = true", "port", "whole number", id="wrong_type"),
        pytest.param("port = 2026-01-01", "port", "type", id="a_date"),
        pytest.param("workers = 2", "workers", "not supported yet", id="not_built"),
        pytest.param("port = canary", "settings.toml", "line 1", id="no_toml"),
    ],
)
def test_a_mistake_in_the_file_is_named_as_written_there(
    load_with: Load, file: str, setting: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_with(file)
    assert caught.value.setting.endswith(setting)
    assert says in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "setting", "says"),
    [
        ('key = "k"', "upstream[0].url", "missing"),
        ('url = "a.com,b.com"\nkey = "k"', "upstream[0].url", "several"),
        ('url = "ftp://a.com"\nkey = "k"', "upstream[0].url", "http"),
        ('url = "a.com"', "upstream[0].key", "missing"),
        ('url = "a.com"\nkey = "k"\nkeys = ["k"]', "upstream[0].key", "beside"),
        ('url = "a.com"\nkey = "k"\nwieght = 1', "upstream[0].wieght", "weight"),
        ('url = "a.com"\nkey = "k"\nweight = 0', "upstream[0].weight", "number"),
        ('url = "a.com"\nkey = "k"\nweight = nan', "upstream[0].weight", "number"),
        ('url = "a.com"\nkey = "k"\npriority = 0.5', "upstream[0].priority", "whole"),
        ('url = "a.com"\nkey = "k"\nmax_concurrency = 1.5', "upstream[0].max_concurrency", "whole"),
        ('url = "a.com"\nkey = "k"\nmax_concurrency = -1', "upstream[0].max_concurrency", "number"),
        (
            'url = "a.com"\nkey = "k"\nmax_concurrency = true',
            "upstream[0].max_concurrency",
            "number",
        ),
        ('url = "a.com"\nkey = "k"\nname = "a b"', "upstream[0].name", "letters"),
        ('url = "a.com"\nkey = "k"\nformats = ["gpt"]', "upstream[0].formats", "unknown"),
        ('url = "a.com"\nkey = "k"\nheaders = 1', "upstream[0].headers", "table"),
        (
            'url = "a.com"\nkey = "k"\nheaders = {"Host" = "x"}',
            "upstream[0].headers.Host",
            "itself",
        ),
        ('url = "a.com"\nkey = "k"\nheaders = {"x" = "a\\nb"}', "upstream[0].headers.x", "ASCII"),
        ('url = "a.com"\nkey = "k"\nheaders = {"x y" = "a"}', "upstream[0].headers.x y", "name"),
        ('url = "a.com"\nkey = "k"\nproxy = "ftp://x"', "upstream[0].proxy", "socks5"),
        (
            'url = "a.com"\nkey = "k"\ntimeouts = {conect_s = 1}',
            "upstream[0].timeouts.conect_s",
            "connect_s",
        ),
        (
            'url = "a.com"\nkey = "k"\ntimeouts = {connect_s = -1}',
            "upstream[0].timeouts.connect_s",
            "between",
        ),
        ('url = "a.com"\nkey = "k"\nmessage_auth = "basic"', "upstream[0].message_auth", "bearer"),
    ],
)
def test_a_mistake_in_a_table_is_named_with_its_place(
    load_with: Load, table: str, setting: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_with(f"[[upstream]]\n{table}", PROXY_URL=None, API_KEY=None)
    assert caught.value.setting == setting
    assert says in str(caught.value)


def test_two_upstreams_never_share_a_name(load_with: Load) -> None:
    table = '[[upstream]]\nname = "a"\nurl = "a.com"\nkey = "k"\n'
    with pytest.raises(ConfigError, match=r"upstream\[1\]\.name: stands twice"):
        load_with(table * 2, PROXY_URL=None)


def test_addresses_stand_in_one_place_of_the_file(load_with: Load) -> None:
    with pytest.raises(ConfigError, match="stands beside"):
        load_with(f'proxy_url = "c.com"\n{TABLES}', PROXY_URL=None)


def test_the_file_is_found_by_flag_then_variable_then_working_directory(tmp_path: Path) -> None:
    environ = {"PROXY_URL": "a.com", "API_KEY": "k", "MY_ACCESS_KEY": ACCESS_KEY}

    def port(**options: Any) -> int:
        return load(environ, **{"config_path": None, "cwd": tmp_path, **options}).port

    for number, name in enumerate(("llm-proxy.toml", "variable.toml", "flag.toml"), 1):
        (tmp_path / name).write_text(f"port = {number}")
    assert port() == 1
    assert port(demo=True) == 8000
    environ["LLM_PROXY_CONFIG"] = "variable.toml"
    assert port() == 2
    assert port(config_path=tmp_path / "flag.toml") == 3


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read"):
        load({"LLM_PROXY_CONFIG": "nowhere.toml"}, config_path=None, cwd=tmp_path)


def test_a_known_host_says_how_it_wants_translated_requests(load_with: Load) -> None:
    table = """
        [[upstream]]
        url = "https://api.mistral.ai"
        key = "none"
        translation = { prefill = "plain", default_max_tokens = 4096, think_tags = true }
    """
    settings = load_with(table, PROXY_URL=None, API_KEY=None)
    knobs = settings.upstreams[0].knobs
    assert (knobs.tool_ids, knobs.prefill) == ("mistral9", "plain")
    assert (knobs.default_max_tokens, knobs.think_tags) == (4096, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("3", "translation: is not a table"),
        ('{ prefil = "plain" }', "translation.prefil: is not a setting. Did you mean prefill?"),
        ('{ prefill = "yes" }', "translation.prefill: is none of refuse, plain"),
        ("{ default_max_tokens = 0 }", "translation.default_max_tokens: is no whole number"),
        ('{ top_k = "on" }', "translation.top_k: is neither true nor false"),
    ],
)
def test_an_unusable_translation_table_stops_the_start(
    load_with: Load, text: str, problem: str
) -> None:
    table = f'[[upstream]]\nurl = "https://a.com"\nkey = "none"\ntranslation = {text}\n'
    with pytest.raises(ConfigError) as caught:
        load_with(table, PROXY_URL=None, API_KEY=None)
    assert problem in str(caught.value)
