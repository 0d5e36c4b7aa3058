import pytest

from llm_proxy.config.address import is_loopback
from llm_proxy.config.hosts import formats_of
from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.target import Upstream

from .conftest import Load


def shown(upstream: Upstream) -> str:
    return f"{upstream.address}{upstream.root}"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        pytest.param("https://a.com/v1", "https://a.com/v1", id="as_it_should_be"),
        pytest.param("https://a.com", "https://a.com/v1", id="without_v1"),
        pytest.param("https://a.com/", "https://a.com/v1", id="slash_without_v1"),
        pytest.param("https://a.com/v1/", "https://a.com/v1", id="slash_at_the_end"),
        pytest.param("https://a.com//v1//", "https://a.com/v1", id="double_slashes"),
        pytest.param("https://a.com/v1/v1", "https://a.com/v1", id="doubled_v1"),
        pytest.param("https://a.com/api/v3", "https://a.com/api/v3", id="other_version_root"),
        pytest.param("https://a.com/api/paas/v4/", "https://a.com/api/paas/v4", id="deep_root"),
        pytest.param("https://a.com/v1beta/openai", "https://a.com/v1beta/openai", id="v1beta"),
        pytest.param("https://a.com/api", "https://a.com/api/v1", id="path_without_version"),
        pytest.param("https://a.com/anthropic", "https://a.com/anthropic/v1", id="anthropic_path"),
        pytest.param("https://a.com/v1/chat/completions", "https://a.com/v1", id="chat_endpoint"),
        pytest.param("https://a.com/v1/messages", "https://a.com/v1", id="messages_endpoint"),
        pytest.param("https://a.com/v1/responses/", "https://a.com/v1", id="responses_endpoint"),
        pytest.param("https://a.com/v1/models", "https://a.com/v1", id="models_endpoint"),
        pytest.param(
            "https://a.com/api/v3/chat/completions", "https://a.com/api/v3", id="deep_endpoint"
        ),
        pytest.param(
            "https://a.com/chat/completions", "https://a.com", id="endpoint_shows_bare_root"
        ),
        pytest.param("a.com/v1", "https://a.com/v1", id="scheme_missing"),
        pytest.param("a.com:8443", "https://a.com:8443/v1", id="scheme_missing_with_port"),
        pytest.param("localhost:11434", "http://localhost:11434/v1", id="local_server"),
        pytest.param("192.168.1.5:8080/v1", "http://192.168.1.5:8080/v1", id="private_network"),
        pytest.param("ollama:11434", "http://ollama:11434/v1", id="container_neighbour"),
        pytest.param("HTTPS://API.Example.COM/v1", "https://api.example.com/v1", id="capitals"),
        pytest.param("https:/a.com/v1", "https://a.com/v1", id="one_slash"),
        pytest.param("https//a.com/v1", "https://a.com/v1", id="no_colon"),
        pytest.param("https:\\\\a.com\\v1", "https://a.com/v1", id="backslashes"),
        pytest.param("https:// a.com /v1", "https://a.com/v1", id="blanks_inside"),
        pytest.param('  "https://a.com/v1" ', "https://a.com/v1", id="quotes_and_blanks"),
        pytest.param("“https://a.com/v1”", "https://a.com/v1", id="curly_quotes"),
        pytest.param("https://a.com/v1\n", "https://a.com/v1", id="line_break"),
        pytest.param("https：／／a．com／v1", "https://a.com/v1", id="full_width"),
        pytest.param("\ufeffhttps://a.com/v1\u200b", "https://a.com/v1", id="invisible"),
        pytest.param("PROXY_URL=https://a.com/v1", "https://a.com/v1", id="own_name_pasted_along"),
        pytest.param("https://a.com/v1#", "https://a.com/v1", id="fragment"),
        pytest.param("http://[::1]:9000/v1", "http://[::1]:9000/v1", id="ipv6"),
        pytest.param("https://例子.com/v1", "https://xn--fsqu00a.com/v1", id="international_name"),
        pytest.param(
            "https://x.openai.azure.com", "https://x.openai.azure.com/openai/v1", id="azure"
        ),
        pytest.param("https://openrouter.ai", "https://openrouter.ai/api/v1", id="known_root"),
    ],
)
def test_an_address_is_understood_as_people_write_it(
    load_with: Load, written: str, meant: str
) -> None:
    settings = load_with(PROXY_URL=written)
    assert [shown(upstream) for upstream in settings.upstreams] == [meant]
    assert settings.proxy_url == (meant,)


@pytest.mark.parametrize(
    ("written", "repair"),
    [
        ("a.com/v1", "https:// added"),
        ("'https://a.com/v1'", "quotes removed"),
        ("https：//a.com/v1", "full-width or invisible characters replaced"),
        ("https://a.com/v1/chat/completions", "the endpoint /chat/completions cut off"),
        ("https://a.com;https://b.com", "list separated by commas now"),
        ("https://a.com https://b.com", "list separated by commas now"),
        ("https://a.com\nhttps://b.com", "list separated by commas now"),
        ("https://a.com/v1/v1", "doubled /v1 removed"),
        ("https://a.com /v1", "blanks or backslashes inside an address removed"),
    ],
)
def test_every_repair_is_said_once(load_with: Load, written: str, repair: str) -> None:
    assert load_with(PROXY_URL=written).repairs == (f"PROXY_URL: {repair}",)


def test_a_good_configuration_needs_no_repair_and_no_warning(load_with: Load) -> None:
    settings = load_with()
    assert (settings.repairs, settings.warnings) == ((), ())


def test_a_comma_with_blanks_around_it_is_no_repair(load_with: Load) -> None:
    settings = load_with(PROXY_URL="https://a.com , https://b.com,\n https://c.com,")
    assert len(settings.upstreams) == 3
    assert settings.repairs == ()


@pytest.mark.parametrize(
    ("written", "says"),
    [
        pytest.param("ftp://a.com", "not http or https", id="other_scheme"),
        pytest.param("wss://a.com", "not http or https", id="websocket"),
        pytest.param("socks5://127.0.0.1:7890", "OUTBOUND_PROXY", id="outbound_proxy"),
        pytest.param("https://user:canary@a.com", "user name or password", id="credentials"),
        pytest.param("https://a.com/v1?key=canary", "query", id="query"),
        pytest.param("sk-canary", "looks like a key", id="a_key"),
        pytest.param("canary", "no address", id="a_word"),
        pytest.param("https://", "host name", id="no_host"),
        pytest.param("https://-a.com", "host name", id="bad_host"),
        pytest.param("https://a..com", "host name", id="empty_label"),
        pytest.param("https://300.1.1.1", "IP address", id="impossible_ip"),
        pytest.param("https://a.com:99999", "cannot be read", id="bad_port"),
        pytest.param("https://a.com:0", "port 0", id="port_zero"),
        pytest.param("https://a.com/../v1", "path", id="dots"),
        pytest.param("https://a.com/v1/{model}", "path", id="placeholder"),
        pytest.param("http://127.0.0.1:8000/v1", "own address", id="itself"),
    ],
)
def test_an_unusable_address_stops_the_start_with_one_line(
    load_with: Load, written: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_with(PROXY_URL=written)
    text = str(caught.value)
    assert text.startswith("PROXY_URL: ")
    assert says in text
    assert "\n" not in text
    assert "canary" not in text


def test_an_outbound_proxy_written_as_http_is_warned_about(load_with: Load) -> None:
    for written in ("127.0.0.1:7890", "http://localhost:7890"):
        (warning,) = load_with(PROXY_URL=written).warnings
        assert "OUTBOUND_PROXY" in warning


def test_no_upstream_at_all_names_the_variable_and_the_demo(load_with: Load) -> None:
    with pytest.raises(ConfigError, match=r"PROXY_URL: is not set.*llm-proxy demo"):
        load_with(PROXY_URL=None)


@pytest.mark.parametrize(
    ("host", "root", "formats"),
    [
        ("api.openai.com", "/v1", ("chat", "responses")),
        ("api.anthropic.com", "/v1", ("messages",)),
        ("x.openai.azure.com", "/openai/v1", ("chat", "responses")),
        ("openai.azure.com.evil.com", "/v1", ()),
        ("api.z.ai", "/api/anthropic/v1", ("messages",)),
        ("api.example.com", "/v1", ()),
    ],
)
def test_auto_knows_some_hosts_and_guesses_for_no_other(
    host: str, root: str, formats: tuple[str, ...]
) -> None:
    assert formats_of(host, root) == formats


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST.", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
    ],
)
def test_loopback_is_only_what_nobody_else_can_reach(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
