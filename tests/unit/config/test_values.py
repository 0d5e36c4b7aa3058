import re
from pathlib import Path

import pytest

from llm_proxy.config.load import kinds
from llm_proxy.config.settings import NAMES
from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.target import Timeouts

from .conftest import Load


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("max_retries", 3),
        ("port", 8000),
        ("host", "0.0.0.0"),
        ("proxy_formats", ((),)),
        ("proxy_models", ((),)),
        ("model_map", ()),
        ("model_fallbacks", ()),
        ("stream_rescue", False),
        ("connect_timeout_s", 3.0),
        ("upstream_timeout_s", 600.0),
        ("first_token_timeout_s", 0.0),
        ("stream_idle_timeout_s", 120.0),
        ("request_timeout_s", 600.0),
        ("max_body_mb", 64),
        ("max_connections", 10_000),
        ("max_concurrency", 2_000),
        ("database_url", None),
        ("redis_url", None),
        ("workers", 1),
        ("log_level", "info"),
        ("log_format", "console"),
        ("dashboard", "summary"),
        ("retention_days", 30),
        ("drain_timeout_s", 60.0),
        ("outbound_proxy", None),
        ("path_repair", True),
        ("cors_origins", ("*",)),
        ("metrics_public", False),
    ],
)
def test_defaults_are_as_documented(load_with: Load, name: str, default: object) -> None:
    settings = load_with()
    assert getattr(settings, name) == default
    assert settings.origins[name] == "default"


def test_records_lie_in_data_beside_where_the_proxy_was_started(
    load_with: Load, tmp_path: Path
) -> None:
    assert load_with().data_dir == tmp_path / "data"
    assert load_with(DATA_DIR="/var/lib/x").data_dir == Path("/var/lib/x")


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("MAX_RETRIES", "0", 0),
        ("MAX_RETRIES", ' "5" ', 5),
        ("PORT", "８０８０", 8080),
        ("PORT", "", 8000),
        ("HOST", "[::1]", "::1"),
        ("HOST", "*", "0.0.0.0"),
        ("CONNECT_TIMEOUT_S", "0.25", 0.25),
        ("UPSTREAM_TIMEOUT_S", "0", 0.0),
        ("LOG_LEVEL", "WARN", "warning"),
        ("LOG_FORMAT", "JSON", "json"),
        ("DASHBOARD", "false", "off"),
        ("PATH_REPAIR", "off", False),
        ("PATH_REPAIR", "0", False),
        ("METRICS_PUBLIC", "true", True),
        ("STREAM_RESCUE", "0", False),
        ("STREAM_RESCUE", "on", True),
        ("WORKERS", "1", 1),
        (
            "CORS_ORIGINS",
            "https://a.com/, https://b.com:8443",
            ("https://a.com", "https://b.com:8443"),
        ),
        ("CORS_ORIGINS", "none", ()),
    ],
)
def test_values_are_read(load_with: Load, name: str, written: str, value: object) -> None:
    settings = load_with(**{name: written})
    assert getattr(settings, name.lower()) == value


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("MAX_RETRIES", "-1"),
        ("MAX_RETRIES", "101"),
        ("MAX_RETRIES", "3.5"),
        ("MAX_RETRIES", "canary"),
        ("PORT", "65536"),
        ("PORT", "tcp://10.0.0.1:8000"),
        ("HOST", "http://0.0.0.0"),
        ("HOST", "0.0.0.0:8000"),
        ("CONNECT_TIMEOUT_S", "nan"),
        ("CONNECT_TIMEOUT_S", "inf"),
        ("REQUEST_TIMEOUT_S", "-1"),
        ("REQUEST_TIMEOUT_S", "5 minutes"),
        ("MAX_BODY_MB", "0"),
        ("MAX_BODY_MB", "513"),
        ("MAX_CONNECTIONS", "0"),
        ("MAX_CONCURRENCY", "many"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("DASHBOARD", "canary"),
        ("RETENTION_DAYS", "0"),
        ("DRAIN_TIMEOUT_S", "1e9"),
        ("PATH_REPAIR", "maybe"),
        ("CORS_ORIGINS", "https://a.com/path"),
        ("OUTBOUND_PROXY", "ftp://127.0.0.1:1"),
        ("OUTBOUND_PROXY", "https://127.0.0.1:1"),
        ("DATA_DIR", "a\0b"),
    ],
)
def test_an_unusable_value_stops_the_start_with_one_line_and_a_way_out(
    load_with: Load, name: str, written: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_with(**{name: written})
    text = str(caught.value)
    assert caught.value.setting == name
    assert re.match(rf"{name}: .+\. (Use|Write) .+", text)
    assert "\n" not in text
    assert "canary" not in text


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("DATABASE_URL", "postgresql://u:canary@db/x"),
        ("REDIS_URL", "redis://:canary@cache"),
        ("WORKERS", "2"),
    ],
)
def test_what_is_not_built_yet_stops_the_start_when_set(
    load_with: Load, name: str, written: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: .* not supported yet") as caught:
        load_with(**{name: written})
    assert "canary" not in str(caught.value)


def test_time_limits_reach_the_upstreams(load_with: Load) -> None:
    settings = load_with(CONNECT_TIMEOUT_S="1", FIRST_TOKEN_TIMEOUT_S="2.5")
    assert settings.upstreams[0].timeouts == Timeouts(connect_s=1, first_token_s=2.5)


def test_every_example_is_one_that_works() -> None:
    for name, kind in kinds().items():
        assert kind.parse(kind.example) is not None, name
    assert set(kinds()) == set(NAMES)
