import pytest

from llm_proxy.domain.errors import ConfigError

from .conftest import Load


def way(load_with: Load, **environ: str) -> str | None:
    proxy = load_with(**environ).upstreams[0].proxy
    return proxy.reveal() if proxy else None


CLASH = "http://127.0.0.1:7890"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"HTTPS_PROXY": CLASH}, CLASH, id="https_proxy"),
        pytest.param({"https_proxy": CLASH}, CLASH, id="small_letters"),
        pytest.param(
            {"https_proxy": CLASH, "HTTPS_PROXY": "http://other:1"}, CLASH, id="small_wins"
        ),
        pytest.param({"https_proxy": "", "HTTPS_PROXY": CLASH}, CLASH, id="blank_is_not_set"),
        pytest.param({"HTTP_PROXY": CLASH}, None, id="http_proxy_is_for_http"),
        pytest.param({"HTTP_PROXY": CLASH, "PROXY_URL": "http://a.com"}, CLASH, id="http_upstream"),
        pytest.param({"ALL_PROXY": "socks5://h:1"}, "socks5://h:1", id="all_proxy"),
        pytest.param(
            {"ALL_PROXY": "socks5://h:1", "HTTPS_PROXY": CLASH}, CLASH, id="own_beats_all"
        ),
        pytest.param({"OUTBOUND_PROXY": CLASH, "HTTPS_PROXY": "http://o:1"}, CLASH, id="ours_wins"),
        pytest.param({"OUTBOUND_PROXY": "127.0.0.1:7890"}, CLASH, id="scheme_missing"),
        pytest.param({"OUTBOUND_PROXY": "socks5h://h"}, "socks5://h:1080", id="socks5h"),
        pytest.param({"OUTBOUND_PROXY": "http://u:p%40@h:1/"}, "http://u:p%40@h:1", id="login"),
        pytest.param({"OUTBOUND_PROXY": "http://[::1]:1"}, "http://[::1]:1", id="ipv6"),
        pytest.param(
            {"HTTP_PROXY": CLASH, "PROXY_URL": "http://127.0.0.1:9"}, None, id="loopback_is_direct"
        ),
        pytest.param(
            {"HTTP_PROXY": CLASH, "PROXY_URL": "localhost:9"}, None, id="localhost_is_direct"
        ),
        pytest.param(
            {"OUTBOUND_PROXY": CLASH, "PROXY_URL": "localhost:9"}, CLASH, id="unless_it_is_ours"
        ),
    ],
)
def test_the_way_out_is_chosen(
    load_with: Load, environ: dict[str, str], expected: str | None
) -> None:
    assert way(load_with, **environ) == expected


@pytest.mark.parametrize(
    ("entries", "url", "is_direct"),
    [
        ("*", "https://a.com", True),
        ("a.com", "https://a.com", True),
        ("a.com", "https://x.a.com", True),
        (".a.com", "https://x.a.com", True),
        (".a.com", "https://a.com", True),
        ("*.a.com", "https://x.a.com", True),
        ("a.com", "https://ba.com", False),
        ("b.com, A.COM", "https://a.com", True),
        ("a.com:8443", "https://a.com:8443", True),
        ("a.com:8443", "https://a.com", False),
        ("10.0.0.1", "https://10.0.0.1", True),
        ("10.0.0.1", "https://10.0.0.11", False),
        ("fd00::1", "https://[fd00::1]", True),
        ("[fd00::1]:443", "https://[fd00::1]", True),
        ("", "https://a.com", False),
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "OUTBOUND_PROXY"])
def test_no_proxy_excepts_hosts(
    load_with: Load, variable: str, entries: str, url: str, is_direct: bool
) -> None:
    expected = None if is_direct else CLASH
    assert way(load_with, **{variable: CLASH, "NO_PROXY": entries, "PROXY_URL": url}) == expected


def test_an_unusable_machine_wide_proxy_is_named_rather_than_ignored(load_with: Load) -> None:
    with pytest.raises(ConfigError, match="HTTPS_PROXY: ") as caught:
        load_with(HTTPS_PROXY="gopher://u:canary@h:1")
    assert "canary" not in str(caught.value)


def test_a_table_of_the_file_may_go_its_own_way(load_with: Load) -> None:
    settings = load_with(
        """
        [[upstream]]
        url = "a.com"
        key = "k"
        proxy = "none"
        [[upstream]]
        url = "b.com"
        key = "k"
        proxy = "http://h:1"
        """,
        PROXY_URL=None,
        OUTBOUND_PROXY=CLASH,
    )
    assert [one.proxy and one.proxy.reveal() for one in settings.upstreams] == [None, "http://h:1"]
