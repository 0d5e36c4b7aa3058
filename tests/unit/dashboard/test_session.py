"""Signing in: what the cookie is worth, for how long, and who can make one."""

from pathlib import Path

import pytest

from llm_proxy.dashboard.session import LIFETIME_S, SECRET_BYTES, SessionTokens, signing_secret
from llm_proxy.domain.secret import AccessKey, Secret
from tests.support.dashboard_world import FRIEND_KEY, OWNER_KEY, START_MS, World

DAY_S = 24 * 3600


async def test_the_right_key_gives_a_cookie_that_scripts_and_other_sites_cannot_use() -> None:
    answer = await World().sign_in()
    assert (answer.status, answer.body) == (204, b"")
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name.startswith("llm_proxy_session=v1.")
    assert attributes == ["Path=/", f"Max-Age={30 * DAY_S}", "HttpOnly", "SameSite=Strict"]


@pytest.mark.parametrize(
    ("proto", "is_secure"),
    [("https", True), ("HTTPS, http", True), ("http", False), ("http, https", False), ("", False)],
)
async def test_the_cookie_is_secure_where_the_browser_came_by_https(
    proto: str, is_secure: bool
) -> None:
    answer = await World().sign_in(headers={"x-forwarded-proto": proto} if proto else {})
    assert answer.headers["set-cookie"].endswith("; Secure") is is_secure


async def test_the_session_says_who_one_is() -> None:
    world = World("private")
    assert (await world.ask("/api/session")).json == {
        "mode": "private",
        "signed_in": False,
        "caller": None,
        "is_owner": False,
    }
    cookie = await world.cookie()
    assert (await world.ask("/api/session", headers=cookie)).json == {
        "mode": "private",
        "signed_in": True,
        "caller": "owner",
        "is_owner": True,
    }


async def test_blanks_pasted_along_with_the_key_do_no_harm() -> None:
    assert (await World().sign_in(f"  {OWNER_KEY} ")).status == 204


@pytest.mark.parametrize("key", ["sk-wrong", "", " ", "é", "\\ud800", OWNER_KEY[:-1]])
async def test_a_wrong_key_gives_no_cookie(key: str) -> None:
    world = World()
    body = '{"key": "%s"}' % key  # noqa: UP031 - an escape must arrive as it is written
    answer = await world.ask("/api/session", method="POST", body=body.encode())
    assert answer.status in (400, 401)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 400, id="empty"),
        pytest.param(b"key=sk-canary", 400, id="form"),
        pytest.param(b'{"key": 1}', 400, id="number"),
        pytest.param(b'{"sk-canary": ""}', 400, id="other_field"),
        pytest.param(b'{"key": "\xff\xfe"}', 400, id="not_utf8"),
        pytest.param(b'{"x":' + b"[" * 8000, 400, id="nested"),
        pytest.param(b'{"key": "%b"}' % (b"x" * 9000), 413, id="huge"),
    ],
)
async def test_a_body_that_is_no_sign_in_is_refused_without_repeating_it(
    body: bytes, status: int
) -> None:
    answer = await World().ask("/api/session", method="POST", body=body)
    assert answer.status == status
    assert b"canary" not in answer.body


async def test_the_cookie_lives_thirty_days() -> None:
    world = World()
    cookie = await world.cookie()
    world.clock.now += LIFETIME_S - 2
    assert (await world.ask("/api/upstreams", headers=cookie)).status == 200
    world.clock.now += 2
    assert (await world.ask("/api/upstreams", headers=cookie)).status == 401
    assert (await world.ask("/api/status", headers=cookie)).json["signed_in"] is False


async def test_the_cookie_dies_with_its_key_and_no_other() -> None:
    world = World()
    owner, friend = await world.cookie(OWNER_KEY), await world.cookie(FRIEND_KEY)
    world.keys = (world.owner,)
    assert (await world.ask("/api/upstreams", headers=friend)).status == 401
    assert (await world.ask("/api/upstreams", headers=owner)).status == 200


async def test_a_new_key_under_the_old_name_does_not_revive_the_cookie() -> None:
    world = World()
    cookie = await world.cookie(FRIEND_KEY)
    world.keys = (world.owner, AccessKey("friend", Secret("sk-friend-the-second-one")))
    assert (await world.ask("/api/upstreams", headers=cookie)).status == 401


async def test_ownership_follows_the_configuration_not_the_cookie() -> None:
    world = World()
    cookie = await world.cookie(FRIEND_KEY)
    assert not (await world.ask("/api/session", headers=cookie)).json["is_owner"]
    world.keys = (world.friend, world.owner)
    assert (await world.ask("/api/session", headers=cookie)).json["is_owner"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), id="mac_changed"),
        pytest.param(lambda t: t.replace("v1.1", "v1.2"), id="lifetime_prolonged"),
        pytest.param(lambda t: t.replace("v1.", "v1.0"), id="leading_zero"),
        pytest.param(lambda t: t.rpartition(".")[0] + ".", id="no_mac"),
        pytest.param(lambda t: t.rpartition(".")[0], id="two_parts"),
        pytest.param(lambda t: t + ".x", id="four_parts"),
        pytest.param(lambda t: "v2" + t[2:], id="other_version"),
        pytest.param(lambda t: t.replace("v1.", "v1.-"), id="negative"),
        pytest.param(lambda t: t.replace("v1.", "v1." + "9" * 5000), id="huge_number"),
        pytest.param(lambda t: t + "\u00e9", id="not_ascii"),
        pytest.param(lambda t: "v1.\u00b2." + t.rpartition(".")[2], id="digit_that_is_none"),
        pytest.param(lambda t: t[:0], id="empty"),
    ],
)
async def test_a_forged_cookie_is_nobody(change: object) -> None:
    world = World()
    name, _, token = (await world.cookie())["cookie"].partition("=")
    assert callable(change)
    forged = {"cookie": f"{name}={change(token)}"}
    assert (await world.ask("/api/upstreams", headers=forged)).status == 401


def test_a_token_of_another_installation_is_worth_nothing() -> None:
    key = AccessKey("owner", Secret(OWNER_KEY))
    ours, theirs = SessionTokens(b"a" * SECRET_BYTES), SessionTokens(b"b" * SECRET_BYTES)
    token = theirs.make(key.secret, START_MS)
    assert theirs.verify(token, (key,), START_MS) is key
    assert ours.verify(token, (key,), START_MS) is None


async def test_signing_out_clears_the_cookie() -> None:
    world = World()
    headers = await world.cookie() | {"x-llm-proxy-csrf": "1"}
    answer = await world.ask("/api/session", method="DELETE", headers=headers)
    assert answer.status == 204
    assert answer.headers["set-cookie"].startswith("llm_proxy_session=; Path=/; Max-Age=0;")
    assert (await world.ask("/api/session", method="DELETE")).status == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 403, id="no_csrf_header"),
        pytest.param({"x-llm-proxy-csrf": "0"}, 403, id="wrong_csrf_header"),
        pytest.param({"x-llm-proxy-csrf": "1"}, 204, id="no_origin"),
        pytest.param(
            {"x-llm-proxy-csrf": "1", "origin": "http://proxy.test"}, 204, id="same_origin"
        ),
        pytest.param(
            {"x-llm-proxy-csrf": "1", "origin": "https://proxy.test:443"}, 204, id="default_port"
        ),
        pytest.param(
            {"x-llm-proxy-csrf": "1", "origin": "https://evil.example"}, 403, id="other_origin"
        ),
        pytest.param({"x-llm-proxy-csrf": "1", "origin": "null"}, 403, id="null_origin"),
        pytest.param({"x-llm-proxy-csrf": "1", "origin": "proxy.test"}, 403, id="no_origin_at_all"),
        pytest.param(
            {"x-llm-proxy-csrf": "1", "origin": "http://proxy.test:81"}, 403, id="other_port"
        ),
        pytest.param(
            {"x-llm-proxy-csrf": "1", "sec-fetch-site": "same-site"}, 403, id="sibling_domain"
        ),
        pytest.param(
            {
                "x-llm-proxy-csrf": "1",
                "sec-fetch-site": "same-origin",
                "origin": "https://public.example",
            },
            204,
            id="host_rewritten_by_a_reverse_proxy",
        ),
        pytest.param(
            {
                "x-llm-proxy-csrf": "1",
                "x-forwarded-host": "public.example",
                "origin": "http://public.example",
            },
            204,
            id="host_forwarded_by_a_reverse_proxy",
        ),
    ],
)
async def test_another_sites_page_cannot_use_the_cookie_to_change_anything(
    headers: dict[str, str], status: int
) -> None:
    world = World()
    cookie = await world.cookie()
    answer = await world.ask("/api/session", method="DELETE", headers=cookie | headers)
    assert answer.status == status
    assert ("set-cookie" in answer.headers) is (status == 204)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"origin": "http://proxy.test"}, 204), ({"origin": "http://evil.example"}, 403)],
)
async def test_another_sites_page_cannot_sign_a_browser_in(
    headers: dict[str, str], status: int
) -> None:
    assert (await World().sign_in(headers=headers)).status == status


async def test_a_sign_in_outlives_a_restart(tmp_path: Path) -> None:
    cookie = await World(data_dir=tmp_path).cookie()
    assert (await World(data_dir=tmp_path).ask("/api/upstreams", headers=cookie)).status == 200


def test_the_signing_secret_is_for_its_owner_only(tmp_path: Path) -> None:
    secret = signing_secret(tmp_path)
    file = tmp_path / "session-secret"
    assert file.read_bytes() == secret
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o644)
    assert signing_secret(tmp_path) == secret
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("left", [b"", b"short", b"x" * 100])
def test_a_damaged_signing_secret_is_replaced(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "session-secret").write_bytes(left)
    secret = signing_secret(tmp_path)
    assert len(secret) == SECRET_BYTES
    assert signing_secret(tmp_path) == secret


def test_without_a_place_for_it_the_signing_secret_lives_as_long_as_the_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    assert len(signing_secret(file)) == SECRET_BYTES
    assert "session-secret" in caplog.text
    assert signing_secret(None) != signing_secret(None)
