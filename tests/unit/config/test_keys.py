import pytest

from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.target import Upstream, targets_of

from .conftest import Load


def pool(upstream: Upstream) -> tuple[str, list[str]]:
    return upstream.host, [key.secret.reveal() if key.secret else "none" for key in upstream.keys]


@pytest.mark.parametrize(
    ("urls", "keys", "expected"),
    [
        pytest.param("a.com", "k1", [("a.com", ["k1"])], id="one_and_one"),
        pytest.param("a.com", "k1,k2,k3", [("a.com", ["k1", "k2", "k3"])], id="a_pool"),
        pytest.param(
            "a.com,b.com", "k1,k2", [("a.com", ["k1"]), ("b.com", ["k2"])], id="by_position"
        ),
        pytest.param("a.com,b.com", "k1", [("a.com", ["k1"]), ("b.com", ["k1"])], id="one_for_all"),
        pytest.param("a.com,a.com", "k1,k2", [("a.com", ["k1", "k2"])], id="address_twice"),
        pytest.param(
            "a.com,b.com,a.com",
            "k1,k2,k3",
            [("a.com", ["k1", "k3"]), ("b.com", ["k2"])],
            id="address_twice_apart",
        ),
        pytest.param(
            "a.com,a.com/v1/", "k1,k2", [("a.com", ["k1", "k2"])], id="same_address_spelled_apart"
        ),
        pytest.param("a.com,a.com", "k1", [("a.com", ["k1"])], id="identical_pairs"),
        pytest.param("a.com", "k1,k1", [("a.com", ["k1"])], id="identical_keys"),
        pytest.param(
            "a.com,b.com", "k1,k1", [("a.com", ["k1"]), ("b.com", ["k1"])], id="same_key_elsewhere"
        ),
        pytest.param("a.com", "none", [("a.com", ["none"])], id="no_key_wanted"),
        pytest.param(
            "a.com,b.com",
            "k1,NONE",
            [("a.com", ["k1"]), ("b.com", ["none"])],
            id="none_by_position",
        ),
        pytest.param(
            "a.com", "k1;k2 k3\nk4", [("a.com", ["k1", "k2", "k3", "k4"])], id="other_separators"
        ),
        pytest.param("a.com", " \"k1\" , 'k2' ", [("a.com", ["k1", "k2"])], id="quotes"),
        pytest.param("a.com", "ｋ１，ｋ２", [("a.com", ["k1", "k2"])], id="full_width"),
        pytest.param("a.com", "Bearer k1", [("a.com", ["k1"])], id="bearer_pasted_along"),
        pytest.param(
            "a.com", "Authorization: Bearer k1", [("a.com", ["k1"])], id="header_pasted_along"
        ),
        pytest.param("a.com", "API_KEY=k1", [("a.com", ["k1"])], id="own_name_pasted_along"),
    ],
)
def test_addresses_and_keys_are_put_together(
    load_with: Load, urls: str, keys: str | None, expected: list[tuple[str, list[str]]]
) -> None:
    settings = load_with(PROXY_URL=urls, API_KEY=keys)
    assert [pool(upstream) for upstream in settings.upstreams] == expected


@pytest.mark.parametrize(
    ("urls", "keys"),
    [("a.com,b.com", "k1,k2,k3"), ("a.com,b.com,c.com", "k1,k2"), ("a.com,a.com", "k1,k2,k3")],
)
def test_any_other_combination_is_an_error_that_says_so(
    load_with: Load, urls: str, keys: str | None
) -> None:
    with pytest.raises(ConfigError, match=r"API_KEY: has \d keys for \d addresses"):
        load_with(PROXY_URL=urls, API_KEY=keys)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (None, "API_KEY: is not set"),
        ("   ", "API_KEY: is not set"),
        ("https://api.example.com/v1", "API_KEY: holds an address"),
        ("sk-ключ-canary", "no request header can carry"),
    ],
)
def test_an_unusable_key_stops_the_start(load_with: Load, keys: str | None, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_with(API_KEY=keys)
    assert says in str(caught.value)
    assert "canary" not in str(caught.value)


def test_labels_are_masked_and_names_go_by_position(load_with: Load) -> None:
    settings = load_with(
        PROXY_URL="a.com,b.com,a.com", API_KEY="sk-1234567890-aaaa,none,sk-1234567890-bbbb"
    )
    assert [upstream.name for upstream in settings.upstreams] == ["upstream-1", "upstream-2"]
    assert [key.label for key in settings.upstreams[0].keys] == ["key-1 …aaaa", "key-2 …bbbb"]
    assert [target.id for target in targets_of(settings.upstreams)] == [
        "upstream-1/key-1",
        "upstream-1/key-2",
        "upstream-2/none",
    ]


def test_formats_are_one_list_for_all_or_one_per_address(load_with: Load) -> None:
    both = load_with(PROXY_URL="a.com,b.com", PROXY_FORMATS="chat, messages")
    assert [upstream.formats for upstream in both.upstreams] == [("chat", "messages")] * 2
    each = load_with(PROXY_URL="a.com,api.openai.com", PROXY_FORMATS="messages；auto")
    assert [one.formats for one in each.upstreams] == [("messages",), ("chat", "responses")]
    auto = load_with(PROXY_URL="a.com")
    assert auto.upstreams[0].formats == ()


def test_an_address_written_twice_counts_two_for_formats(load_with: Load) -> None:
    settings = load_with(PROXY_URL="a.com,a.com", API_KEY="k1", PROXY_FORMATS="chat;messages")
    assert [(one.name, one.formats) for one in settings.upstreams] == [
        ("upstream-1", ("chat",)),
        ("upstream-2", ("messages",)),
    ]


@pytest.mark.parametrize(
    "written",
    ["chat;messages;chat", "chat;;messages", "openai", "auto,chat", "chat;messages;responses;auto"],
)
def test_formats_that_do_not_fit_are_refused(load_with: Load, written: str) -> None:
    with pytest.raises(ConfigError, match=r"^PROXY_FORMATS: "):
        load_with(PROXY_URL="a.com,b.com", PROXY_FORMATS=written)


def test_models_and_their_other_names_reach_the_upstreams(load_with: Load) -> None:
    settings = load_with(
        PROXY_URL="a.com,b.com",
        PROXY_MODELS="gpt-*, o3;*",
        MODEL_MAP="claude-*=gpt-5, fast = qwen3",
    )
    assert [one.models for one in settings.upstreams] == [("gpt-*", "o3"), ()]
    assert settings.upstreams[1].model_map == (("claude-*", "gpt-5"), ("fast", "qwen3"))


@pytest.mark.parametrize("written", ["fast", "fast=", "=qwen", "a=b,a=c", "gpt-*=x-*"])
def test_a_broken_model_map_is_refused(load_with: Load, written: str) -> None:
    with pytest.raises(ConfigError, match=r"^MODEL_MAP: "):
        load_with(MODEL_MAP=written)
