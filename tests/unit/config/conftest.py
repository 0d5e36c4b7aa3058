"""Settings as a test needs them: a good start, of which a case changes only what it is about."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llm_proxy.config.load import load
from llm_proxy.config.settings import Settings

ACCESS_KEY = "access-canary-0123456789"
UPSTREAM_KEY = "upstream-canary-0123456789"

Load = Callable[..., Settings]


@pytest.fixture
def load_with(tmp_path: Path) -> Load:
    """Load a good environment changed by the given variables; None removes one."""

    def load_changed(
        file: str | None = None, demo: bool = False, **changes: str | None
    ) -> Settings:
        environ = {
            "PROXY_URL": "https://api.example.com/v1",
            "API_KEY": UPSTREAM_KEY,
            "MY_ACCESS_KEY": ACCESS_KEY,
        }
        for name, value in changes.items():
            environ.pop(name, None)
            if value is not None:
                environ[name] = value
        path = None
        if file is not None:
            path = tmp_path / "settings.toml"
            path.write_text(file, "utf-8")
        return load(environ, config_path=path, cwd=tmp_path, demo=demo)

    return load_changed
