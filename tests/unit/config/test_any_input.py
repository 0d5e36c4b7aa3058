"""Whatever stands in a variable or the file, the outcome is settings or one clear line."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_proxy.config.load import examine
from llm_proxy.config.settings import NAMES
from llm_proxy.config.show import lines
from llm_proxy.domain.errors import ConfigError

PIECES = st.sampled_from(
    ["https://", "http:/", "socks5://", "a.com", "[::1]", ":", "/v1", "@", "?", "#", "%", "\\", "..",
     "*", ",", ";", " ", "\n", "\t", "\0", '"', "＂", "：", "。", "\u200b", "=", "none", "auto", "chat",
     "-1", "1e400", "nan", "９", "٣", "xn--", "例子", "\ud800", "Bearer ", "key", "{", "]", "[", "|"]
)  # fmt: skip
TEXT = st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=20)
ENOUGH = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@ENOUGH
@given(name=st.sampled_from([*NAMES, "no_proxy", "https_proxy"]), value=TEXT)
def test_any_text_in_any_variable_is_read_or_refused_in_one_line(name: str, value: str) -> None:
    environ = {
        "PROXY_URL": "a.com",
        "API_KEY": "k",
        "MY_ACCESS_KEY": "a-long-access-key",
        name.upper(): value,
    }
    found, problems = examine(environ, config_path=None, cwd=Path("/nowhere"), make_key=False)
    assert all("\n" not in str(problem) for problem in problems)
    assert all("\n" not in line for line in (*found.repairs, *found.warnings))
    if not problems:
        "\n".join(lines(found)).encode("utf-8", "surrogatepass")
        for upstream in found.upstreams:
            f"{upstream.address}{upstream.root}".encode("ascii")
            assert all(
                (secret := key.secret) is None or secret.reveal().isascii() for key in upstream.keys
            )


@ENOUGH
@given(
    text=TEXT,
    field=st.sampled_from(["url", "key", "name", "proxy", "models", "timeouts", "headers"]),
)
def test_any_text_in_the_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str, field: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(f"[[upstream]]\nurl = 'a.com'\n{field} = {text}".encode("utf-8", "replace"))
    with suppress(ConfigError):
        examine({}, config_path=path, cwd=Path("/nowhere"), make_key=False)
