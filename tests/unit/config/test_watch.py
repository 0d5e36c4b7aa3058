import os
from pathlib import Path

import pytest

from llm_proxy.config.load import load
from llm_proxy.config.settings import NAMES, NEED_RESTART, Settings
from llm_proxy.config.watch import FileWatch, Watcher, changed, stamp_of
from llm_proxy.domain.errors import ConfigError

from .conftest import ACCESS_KEY, Load

FILE = """
port = 8000
max_retries = 3
my_access_key = "{access}"
[[upstream]]
url = "{url}"
key = "upstream-key-0123456789"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "llm-proxy.toml"
    path.write_text(FILE.format(access=ACCESS_KEY, url="a.com"))
    return path


@pytest.fixture
def watcher(file: Path) -> Watcher:
    def load_again() -> Settings:
        return load({}, config_path=file, cwd=file.parent)

    return Watcher(load_again(), load_again)


def rewrite(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text().replace(old, new))


def test_a_reload_swaps_and_says_what_changed(file: Path, watcher: Watcher) -> None:
    rewrite(file, "max_retries = 3", "max_retries = 5")
    rewrite(file, "a.com", "b.com")
    settings = watcher.reload()
    assert not isinstance(settings, ConfigError)
    assert (settings.max_retries, settings.upstreams[0].host) == (5, "b.com")
    assert watcher.settings is settings
    assert (watcher.generation, watcher.changed) == (2, ["max_retries", "upstreams"])
    assert watcher.needs_restart == []


def test_a_reload_without_a_change_keeps_the_generation(watcher: Watcher) -> None:
    watcher.reload()
    assert (watcher.generation, watcher.changed) == (1, [])


def test_a_bad_file_keeps_the_old_settings_until_it_is_mended(file: Path, watcher: Watcher) -> None:
    before = watcher.settings
    rewrite(file, "max_retries = 3", "max_retries = many")
    error = watcher.reload()
    assert isinstance(error, ConfigError)
    assert watcher.error is error
    assert (watcher.settings, watcher.generation) == (before, 1)
    rewrite(file, "many", "4")
    settings = watcher.reload()
    assert not isinstance(settings, ConfigError)
    assert getattr(watcher, "error") is None  # noqa: B009 - mypy remembers what it was above
    assert (settings.max_retries, watcher.generation) == (4, 2)


def test_what_needs_a_restart_keeps_its_running_value_and_is_named(
    file: Path, watcher: Watcher
) -> None:
    rewrite(file, "port = 8000", "port = 9000")
    rewrite(file, "max_retries = 3", "max_retries = 5")
    for _ in range(2):  # a second reload has not forgotten
        watcher.reload()
        assert watcher.settings.port == 8000
        assert watcher.settings.max_retries == 5
        assert watcher.needs_restart == ["port"]
    assert watcher.generation == 2


def test_a_changed_access_key_is_a_change(file: Path, watcher: Watcher) -> None:
    rewrite(file, ACCESS_KEY, "another-long-access-key")
    watcher.reload()
    assert watcher.changed == ["my_access_key"]


def test_equal_settings_do_not_differ(load_with: Load) -> None:
    assert changed(load_with(), load_with()) == []
    assert changed(load_with(), load_with(API_KEY="other")) == ["api_key"]
    assert changed(load_with(), load_with(OUTBOUND_PROXY="h:1")) == ["outbound_proxy", "upstreams"]


def test_a_file_change_is_told_once(file: Path) -> None:
    watch = FileWatch(lambda: stamp_of(file))
    assert not watch.has_changed()
    os.utime(file, ns=(1, 1))
    assert watch.has_changed()
    assert not watch.has_changed()
    content = file.read_text()
    file.unlink()
    assert not watch.has_changed()
    file.write_text(content)
    assert watch.has_changed()


def test_only_settings_need_a_restart() -> None:
    assert set(NAMES) >= NEED_RESTART
