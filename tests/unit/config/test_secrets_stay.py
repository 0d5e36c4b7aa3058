"""Canary keys in every place a user might put them, and every place where text comes out."""

from pathlib import Path

import pytest

from llm_proxy.config.load import examine
from llm_proxy.config.settings import NAMES
from llm_proxy.config.show import lines

from .conftest import Load

CANARY = "sk-canary-0123456789abcdef"
TAIL = "abcdef"


def everything_said(environ: dict[str, str], cwd: Path, file: str | None = None) -> str:
    path = None
    if file is not None:
        path = cwd / "settings.toml"
        path.write_text(file)
    settings, problems = examine(environ, config_path=path, cwd=cwd, make_key=False)
    texts = [repr(settings), *map(str, problems), *map(repr, problems), *lines(settings)]
    return "\n".join([*texts, *settings.repairs, *settings.warnings])


SHOWN = {"data_dir", "host", "cors_origins", "proxy_models", "model_map", "model_fallbacks"}
"""Settings whose values are names or places, meant to be seen."""


@pytest.mark.parametrize("name", [name.upper() for name in NAMES if name not in SHOWN])
@pytest.mark.parametrize("shape", ["{}", '"{}"', "{};{}", "https://{}@a.com", "{}=", "a://b:{}@c"])
def test_a_key_in_the_wrong_variable_is_never_repeated(
    name: str, shape: str, tmp_path: Path
) -> None:
    environ = {"PROXY_URL": "a.com", "API_KEY": "k", name: shape.replace("{}", CANARY)}
    said = everything_said(environ, tmp_path)
    assert "canary" not in said
    assert TAIL not in said


@pytest.mark.parametrize(
    "line",
    [
        'key = "{}"',
        'keys = ["{}", "{}"]',
        'key = "k"\nheaders = { "x-extra" = "{}" }',
        'key = "k"\nheaders = { "authorization" = "{}" }',
        'key = "k"\nproxy = "http://u:{}@h:1"',
        'key = "k"\nname = " {} "',
        'key = "k"\nformats = "{}"',
        'key = "k"\nweight = "{}"',
        'key = "k"\ntimeouts = "{}"',
        'key = "k"\nmessage_auth = "{}"',
        "key = {}",
    ],
)
def test_a_key_in_a_table_is_never_repeated(line: str, tmp_path: Path) -> None:
    if 'name = "' in line:
        line = line.replace("{}", "{} !")  # a usable name is meant to be shown
    file = f'[[upstream]]\nurl = "a.com"\n{line.replace("{}", CANARY)}'
    try:
        said = everything_said({}, tmp_path, file)
    except Exception as error:  # noqa: BLE001 - whatever is raised must be silent about it, too
        said = str(error)
    headers_repr = f"('x-extra', '{CANARY}')"
    said = said.replace(headers_repr, "")  # repr of plain header values is not for users
    assert "canary" not in said


def test_upstream_access_and_generated_keys_are_masked(load_with: Load, tmp_path: Path) -> None:
    settings = load_with(
        API_KEY=CANARY,
        MY_ACCESS_KEY="phone:access-canary-wxyz",
        OUTBOUND_PROXY="http://user:canary@h:1",
    )
    said = "\n".join([repr(settings), *lines(settings)])
    assert "canary" not in said
    assert "phone:…wxyz" in said
    assert "key-1 …cdef" in said
    generated = load_with(MY_ACCESS_KEY=None, HOST="::1")
    value = generated.access_keys[0].secret.reveal()
    assert value not in "\n".join([repr(generated), *lines(generated)])


def test_config_shows_each_value_with_its_origin(load_with: Load) -> None:
    shown = lines(load_with("max_retries = 5", PORT="9000"))
    text = "\n".join(" ".join(line.split()) for line in shown)
    assert "PORT = 9000 # environment" in text
    assert "MAX_RETRIES = 5 # file" in text
    assert "HOST = 0.0.0.0 # default" in text
    assert "PROXY_FORMATS = auto # default" in text
    assert "PROXY_MODELS = * # default" in text


def test_config_spells_values_as_variables_do(load_with: Load) -> None:
    settings = load_with(
        PROXY_URL="a.com,b.com",
        PROXY_FORMATS="chat;auto",
        MODEL_MAP="a=b,c=d",
        PATH_REPAIR="0",
        API_KEY="k,none",
    )
    text = "\n".join(" ".join(line.split()) for line in lines(settings))
    assert "PROXY_URL = https://a.com/v1,https://b.com/v1 # environment" in text
    assert "PROXY_FORMATS = chat;auto # environment" in text
    assert "MODEL_MAP = a=b,c=d # environment" in text
    assert "PATH_REPAIR = off # environment" in text
    assert "API_KEY = …,none # environment" in text
