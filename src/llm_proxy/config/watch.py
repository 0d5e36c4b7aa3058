"""Decides what a reload does: validate first, swap whole, keep the old settings on any error.

A running process has one environment for life, so what can change is the file. Settings whose
sockets, files or threads are made at the start keep their running values; the watcher names them
instead of pretending. It starts no task and asks no clock: who drives it polls `FileWatch` or
answers SIGHUP, then calls `reload`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from llm_proxy.domain.errors import ConfigError

from .settings import NAMES, NEED_RESTART, Settings

Stamp = tuple[int, int, int] | None
"""(modified ns, size, inode) of a file; None = it is not there."""


def stamp_of(path: Path) -> Stamp:
    """Return what changes when the file does; links are followed, as mounted files are links."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class FileWatch:
    """Tells once for each change that a file has changed."""

    __slots__ = ("_last", "_stamp")

    def __init__(self, stamp: Callable[[], Stamp]) -> None:
        """Remember the present state.

        Args:
            stamp: Usually `lambda: stamp_of(path)`.
        """
        self._stamp = stamp
        self._last = stamp()

    def has_changed(self) -> bool:
        """Return whether the file changed since the last call. A vanished file is no change."""
        now = self._stamp()
        if now is None or now == self._last:
            return False
        self._last = now
        return True


class Watcher:
    """Holds the settings in force.

    Attributes:
        settings: In force now.
        generation: 1 at the start, one more with every reload that changed something.
        changed: Names of the settings that the last good reload changed.
        needs_restart: Names whose new values wait for a restart, since the start.
        error: Why the last reload was refused; None = it was not.
    """

    __slots__ = ("_load_again", "changed", "error", "generation", "needs_restart", "settings")

    def __init__(self, settings: Settings, load_again: Callable[[], Settings]) -> None:
        self.settings = settings
        self.generation = 1
        self.changed: list[str] = []
        self.needs_restart: list[str] = []
        self.error: ConfigError | None = None
        self._load_again = load_again

    def reload(self) -> Settings | ConfigError:
        """Return the settings now in force, or why the old ones stay."""
        try:
            loaded = self._load_again()
        except ConfigError as error:
            self.error = error
            return error
        self.error = None
        different = changed(self.settings, loaded)
        self.needs_restart = [name for name in different if name in NEED_RESTART]
        self.changed = [name for name in different if name not in NEED_RESTART]
        if self.changed:
            self.generation += 1
        running = {name: getattr(self.settings, name) for name in NEED_RESTART}
        self.settings = msgspec.structs.replace(loaded, **running)
        return self.settings


def changed(old: Settings, new: Settings) -> list[str]:
    """Return the names of the settings that differ; `upstreams`, `prices` where tables do."""
    names = [name for name in NAMES if _comparable(old, name) != _comparable(new, name)]
    if old.upstreams != new.upstreams and not {"proxy_url", "api_key"} & set(names):
        names.append("upstreams")
    if old.prices != new.prices:
        names.append("prices")
    return names


def _comparable(settings: Settings, name: str) -> Any:
    if name == "my_access_key":  # the keys in force, a generated one included
        return [(key.name, key.secret) for key in settings.access_keys]
    return getattr(settings, name)
