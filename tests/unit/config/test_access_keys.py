import stat
from pathlib import Path

import pytest

from llm_proxy.config.load import examine, generated_key, load
from llm_proxy.config.settings import Settings
from llm_proxy.domain.errors import ConfigError

from .conftest import UPSTREAM_KEY, Load


def named(settings: Settings) -> list[tuple[str, str]]:
    return [(key.name, key.secret.reveal()) for key in settings.access_keys]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("long-enough-key", [("key-1", "long-enough-key")], id="one"),
        pytest.param(
            "phone:sk-abc,friend:sk-def", [("phone", "sk-abc"), ("friend", "sk-def")], id="named"
        ),
        pytest.param(
            "sk-abc,friend:sk-def", [("key-1", "sk-abc"), ("friend", "sk-def")], id="some_named"
        ),
        pytest.param("a:b:c", [("a", "b:c")], id="split_at_the_first_colon_only"),
        pytest.param(
            "not a.name:x".replace(" ", "."), [("key-1", "not.a.name:x")], id="left_side_is_no_name"
        ),
        pytest.param("x" * 33 + ":y", [("key-1", "x" * 33 + ":y")], id="left_side_too_long"),
        pytest.param('"sk-abc"', [("key-1", "sk-abc")], id="quotes"),
        pytest.param("sk-abc,sk-abc", [("key-1", "sk-abc")], id="duplicate"),
        pytest.param(
            "first-long-key;second-long-key",
            [("key-1", "first-long-key"), ("key-2", "second-long-key")],
            id="semicolon",
        ),
        pytest.param(
            "Bearer first-long-key", [("key-1", "first-long-key")], id="bearer_pasted_along"
        ),
    ],
)
def test_access_keys_are_read_with_their_names(
    load_with: Load, written: str, expected: list[tuple[str, str]]
) -> None:
    assert named(load_with(MY_ACCESS_KEY=written)) == expected


@pytest.mark.parametrize(
    ("written", "says"),
    [
        pytest.param(
            "my pass phrase", "blank or semicolon", id="a_phrase_never_becomes_three_keys"
        ),
        pytest.param("密钥-canary", "no request header", id="outside_ascii"),
        pytest.param("me:k1,me:k2", "two keys me", id="name_twice"),
        pytest.param(UPSTREAM_KEY, "also an upstream's key", id="the_upstream_key"),
    ],
)
def test_unusable_access_keys_stop_the_start(load_with: Load, written: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_with(MY_ACCESS_KEY=written)
    assert str(caught.value).startswith("MY_ACCESS_KEY: ")
    assert says in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("host", [None, "0.0.0.0", "::", "192.168.1.5", "proxy.example.com"])
@pytest.mark.parametrize("key", [None, "", "  "])
def test_without_a_key_an_open_address_is_refused_and_a_fresh_key_offered(
    load_with: Load, host: str | None, key: str | None
) -> None:
    lines = set()
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"MY_ACCESS_KEY=sk-[0-9a-f]{48}") as caught:
            load_with(MY_ACCESS_KEY=key, HOST=host)
        lines.add(str(caught.value))
    assert len(lines) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.1.2.3"])
def test_on_loopback_a_key_is_generated_once_and_kept(
    load_with: Load, tmp_path: Path, host: str | None
) -> None:
    first = load_with(MY_ACCESS_KEY=None, HOST=host)
    second = load_with(MY_ACCESS_KEY=None, HOST=host)
    assert named(first) == named(second)
    assert (first.has_new_key, second.has_new_key) == (True, False)
    assert first.origins["my_access_key"] == "generated"
    file = tmp_path / "data" / "access-key"
    assert file.read_text().strip() == first.access_keys[0].secret.reveal()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["access-key"]


def test_the_demo_generates_a_key_on_any_address(load_with: Load) -> None:
    settings = load_with(demo=True, MY_ACCESS_KEY=None, HOST="0.0.0.0")
    assert settings.has_new_key


def test_a_configured_key_is_used_in_the_demo_too(load_with: Load, tmp_path: Path) -> None:
    settings = load_with(demo=True)
    assert not settings.has_new_key
    assert generated_key(settings) is None
    assert not (tmp_path / "data").exists()


def test_a_damaged_key_file_is_replaced(load_with: Load, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "access-key").write_text("")
    settings = load_with(MY_ACCESS_KEY=None, HOST="127.0.0.1")
    assert settings.has_new_key
    assert named(load_with(MY_ACCESS_KEY=None, HOST="127.0.0.1")) == named(settings)


def test_a_key_that_cannot_be_kept_lasts_one_run_and_survives_a_reload(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    environ = {"PROXY_URL": "a.com", "API_KEY": "none", "HOST": "::1", "DATA_DIR": "file/data"}
    first = load(environ, config_path=None, cwd=tmp_path)
    assert first.has_new_key
    assert any("could not be kept" in line for line in first.warnings)
    assert any("lost at restart" in line for line in first.warnings)
    again = load(environ, config_path=None, cwd=tmp_path, known_key=generated_key(first))
    assert named(again) == named(first)


def test_looking_at_the_configuration_writes_nothing(tmp_path: Path) -> None:
    environ = {"PROXY_URL": "a.com", "API_KEY": "none", "HOST": "::1"}
    settings, problems = examine(environ, config_path=None, cwd=tmp_path, make_key=False)
    assert (settings.access_keys, problems) == ((), [])
    assert list(tmp_path.iterdir()) == []


def test_short_and_published_keys_are_warned_about(load_with: Load) -> None:
    assert "short" in load_with(MY_ACCESS_KEY="sk-abc").warnings[0]
    assert "example" in load_with(MY_ACCESS_KEY="my-secret-key-12345").warnings[0]
