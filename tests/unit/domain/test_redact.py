"""Nothing secret leaves, and nothing else is touched."""

import base64
from collections.abc import Callable
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llm_proxy.domain.redact import Redactor
from llm_proxy.domain.secret import Secret

CANARY = "sk-proj-Zx81kQpLm3vT/9aB+cD7eF=canary"
OPAQUE = "tr0ub4dor&3/horse+battery=staple"  # looks like no key at all


def redactor(*values: str) -> Redactor:
    return Redactor(Secret(value) for value in values)


WRITTEN = [
    pytest.param(lambda s: s, id="as_it_is"),
    pytest.param(lambda s: quote(s, safe=""), id="percent_encoded"),
    pytest.param(lambda s: base64.b64encode(s.encode()).decode(), id="base64"),
    pytest.param(lambda s: base64.urlsafe_b64encode(s.encode()).decode(), id="base64url"),
    pytest.param(lambda s: base64.b64encode(f"u:{s}".encode()).decode(), id="basic_credentials"),
    pytest.param(lambda s: base64.b64encode(f"me:{s}!".encode()).decode(), id="basic_shifted"),
    pytest.param(lambda s: s[:16], id="first_16_characters"),
    pytest.param(lambda s: s[:24], id="cut_off_after_24"),
    pytest.param(lambda s: s[-16:], id="last_16_characters"),
    pytest.param(lambda s: s[len(s) // 2 :], id="second_half"),
    pytest.param(lambda s: s.replace("/", "\\/"), id="json_escaped"),
]


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("secret", [CANARY, OPAQUE], ids=["key_like", "opaque"])
def test_a_known_secret_is_blanked_however_it_is_written(
    secret: str, written: Callable[[str], str]
) -> None:
    form = written(secret)
    line = f'upstream said "{form}" is no good'
    cleaner = redactor(secret)
    assert cleaner.contains(line.encode())
    cleaned_text = cleaner.text(line)
    cleaned_bytes = cleaner.bytes(line.encode()).decode()
    core = form[3:-4]  # base64 may keep bits of the neighbours at its ends
    assert core not in cleaned_text
    assert core not in cleaned_bytes
    assert cleaned_text.startswith('upstream said "')
    assert cleaned_text.endswith('" is no good')


def test_blanked_bytes_keep_their_length_so_that_framing_stays_true() -> None:
    body = b'{"error":"bad key ' + CANARY.encode() + b'"}'
    cleaned = redactor(CANARY).bytes(body)
    assert len(cleaned) == len(body)
    assert msgspec.json.decode(cleaned)["error"].startswith("bad key ***")


def test_bytes_without_a_secret_come_back_as_the_same_object() -> None:
    body = b'data: {"content":"Bearer sk-something-else and AIzaSomethingElse"}\n\n'
    assert redactor(CANARY, OPAQUE).bytes(body) is body
    assert Redactor().bytes(body) is body


def test_many_secrets_are_all_found() -> None:
    secrets = [f"{chr(97 + i % 26)}{i:02d}-secret-number-{i}" for i in range(60)]
    cleaner = redactor(*secrets)
    for secret in secrets:
        assert secret not in cleaner.text(f"x {secret} y")
        assert cleaner.contains(f"x {secret} y".encode())
    assert not cleaner.contains(b"a01-and-nothing-else")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("sk-abcdefgh12345678 failed", "*** failed", id="openai"),
        pytest.param("Authorization: Bearer abc.def-123", "Authorization: Bearer ***", id="bearer"),
        pytest.param("bearer   deadbeef99", "bearer   ***", id="any_case"),
        pytest.param("x-api-key: hunter2hunter2", "x-api-key: ***", id="header"),
        pytest.param('{"x-api-key": "hunter2hunter2"}', '{"x-api-key": "***"}', id="json_header"),
        pytest.param(r"{\"api_key\": \"hunter2h\"}", r"{\"api_key\": \"***\"}", id="json_in_json"),
        pytest.param("key AIzaSyA1234567890_-abc.", "key ***.", id="google"),
        pytest.param("GET /v1?key=abcdef123&alt=sse", "GET /v1?key=***&alt=sse", id="url"),
        pytest.param("https://me:pw@proxy:8080/", "https://***@proxy:8080/", id="userinfo"),
        pytest.param("eyJhbGciOiJub25lIn0.eyJzdWIiOiIx.c2ln", "***", id="jwt"),
    ],
)
def test_text_loses_what_looks_like_a_key(line: str, expected: str) -> None:
    assert Redactor().text(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "the risk-assessment-report and a task-force-meeting",
        "POST /v1/chat/completions 200 gpt-5 upstream-1/key-1 …ab12 812 ms",
        "monkey=banana in https://api.example.com/v1?alt=sse",
        "client claude-cli/2.1.0 (external, cli)",
        "user@example.com wrote",
    ],
)
def test_ordinary_words_stay(line: str) -> None:
    assert redactor(CANARY).text(line) == line


def test_a_short_secret_is_blanked_as_a_whole_word_in_text_only() -> None:
    cleaner = redactor("test")
    assert cleaner.text("key test, but testing goes on") == "key ***, but testing goes on"
    assert cleaner.bytes(b"key test") == b"key test"
    assert not cleaner.contains(b"key test")


def test_the_common_beginning_of_tokens_is_not_taken_for_the_secret() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    other = b'{"token":"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIyIn0.b3RoZXI"}'
    assert redactor(token).bytes(other) is other
    assert redactor(token).contains(token.encode())


def test_of_a_proxy_address_only_the_password_is_secret() -> None:
    body = b'{"text":"open http://127.0.0.1:8000/v1 or http://proxy.example:3128"}'
    cleaner = redactor("http://127.0.0.1:7890", "http://me:p%40ssword-long@proxy.example:3128/")
    assert cleaner.bytes(body) is body
    for form in (b"p%40ssword-long", b"p@ssword-long"):
        assert cleaner.contains(b"said " + form)
    assert "ssword" not in cleaner.text("via http://me:p%40ssword-long@proxy.example:3128/")


@given(st.text(min_size=8, max_size=60), st.text(max_size=40), st.text(max_size=40))
def test_no_secret_survives_wherever_it_stands(secret: str, before: str, after: str) -> None:
    assume("://" not in secret)  # an address: see above
    cleaner = redactor(secret)
    data = (before + secret + after).encode(errors="surrogatepass")
    cleaned = cleaner.bytes(data)
    assert len(cleaned) == len(data)
    if set(secret) - {"*"}:
        assert not cleaner.contains(cleaned) or "*" in secret
