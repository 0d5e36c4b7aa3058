"""Who may see what: every path, signed in and out, in both modes."""

from typing import Any

import pytest

from llm_proxy.domain.errors import StoreError
from tests.support.asgi_client import ask, scope_of
from tests.support.dashboard_world import ADDRESS, FRIEND_KEY, OWNER_KEY, World, record

RECORD = f"/api/requests/{record(1).id}"
NEEDS_KEY = ["/api/requests", RECORD, "/api/upstreams"]
GIVES_TOTALS = ["/api/status", "/api/events"]
OPEN = ["/", "/api/session"]


def world_of(mode: str = "summary") -> World:
    world = World(mode)
    world.stored = [record(1), record(2, caller="friend")]
    return world


async def status_of(world: World, path: str, **request: Any) -> int:
    """Return the status; an event stream is left as soon as it has one."""
    if path != "/api/events":
        return (await world.ask(path, **request)).status
    world.is_draining = True  # the stream says how things stand and ends
    return (await world.ask(path, **request)).status


@pytest.mark.parametrize("mode", ["summary", "private"])
@pytest.mark.parametrize("path", OPEN)
async def test_the_page_itself_is_open_to_all(mode: str, path: str) -> None:
    assert await status_of(world_of(mode), path) == 200


@pytest.mark.parametrize("mode", ["summary", "private"])
@pytest.mark.parametrize("path", NEEDS_KEY)
async def test_requests_and_upstreams_need_the_access_key(mode: str, path: str) -> None:
    assert await status_of(world_of(mode), path) == 401


@pytest.mark.parametrize(("mode", "status"), [("summary", 200), ("private", 401)])
@pytest.mark.parametrize("path", GIVES_TOTALS)
async def test_totals_are_open_in_summary_mode_only(mode: str, status: int, path: str) -> None:
    assert await status_of(world_of(mode), path) == status


@pytest.mark.parametrize("mode", ["summary", "private"])
@pytest.mark.parametrize("path", [*OPEN, *NEEDS_KEY, *GIVES_TOTALS])
@pytest.mark.parametrize("way", ["bearer", "x-api-key", "api-key", "cookie"])
async def test_the_access_key_opens_everything_in_each_way_of_showing_it(
    mode: str, path: str, way: str
) -> None:
    world = world_of(mode)
    headers = {
        "bearer": {"authorization": f"bEARER  {OWNER_KEY}"},
        "x-api-key": {"x-api-key": OWNER_KEY},
        "api-key": {"api-key": f" {OWNER_KEY} "},
        "cookie": await world.cookie(),
    }[way]
    assert await status_of(world, path, headers=headers) == 200


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"authorization": "Bearer sk-wrong"}, id="wrong"),
        pytest.param({"x-api-key": OWNER_KEY[:-1]}, id="cut_short"),
        pytest.param({"x-api-key": OWNER_KEY + "\u00e9"}, id="not_ascii"),
        pytest.param({"authorization": f"Bearer {OWNER_KEY}", "api-key": "other"}, id="two"),
    ],
)
@pytest.mark.parametrize("path", ["/api/status", "/api/session", "/api/events", *NEEDS_KEY])
async def test_a_wrong_key_is_refused_even_where_none_is_needed(
    headers: dict[str, str], path: str
) -> None:
    answer = await world_of().ask(path, headers=headers)
    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Permission Denied" in answer.json["detail"]
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_wrong_key_in_a_header_is_not_saved_by_a_good_cookie() -> None:
    world = world_of()
    cookie = await world.cookie()
    assert (await world.ask("/api/upstreams", as_="sk-wrong", headers=cookie)).status == 401


async def test_the_password_of_a_reverse_proxy_in_front_is_not_taken_for_a_key() -> None:
    world = world_of()
    cookie = await world.cookie()
    headers = {"authorization": "Basic dXNlcjpwYXNz"} | cookie
    assert (await world.ask("/api/upstreams", headers=headers)).status == 200


async def test_with_no_access_key_configured_nobody_gets_in() -> None:
    world = world_of()
    world.keys = ()
    assert (await world.ask("/api/upstreams", as_=OWNER_KEY)).status == 401
    assert (await world.sign_in("")).status == 401


async def test_strangers_see_totals_and_nothing_else() -> None:
    world = world_of()
    answer = await world.ask("/api/status")
    assert answer.json == {
        "version": "1.2.3",
        "now_ms": world.clock.wall_ms(),
        "started_at_ms": world.context.started_at_ms,
        "uptime_s": 60.0,
        "state": "working",
        "totals": answer.json["totals"],
        "signed_in": False,
    }
    assert answer.json["totals"]["rescued"] == 2


async def test_the_owner_sees_everything() -> None:
    answer = await world_of().ask("/api/status", as_=OWNER_KEY)
    status = answer.json
    assert status["signed_in"]
    assert status["upstreams"][0]["address"] == ADDRESS
    assert status["store"]["path"] == "/path-canary/records.sqlite3"
    assert status["repairs"]
    assert status["warnings"]
    assert (status["generation"], status["in_flight"]) == (1, 0)
    assert (status["listen"], status["key_hint"]) == ("http://0.0.0.0:8000", "…own1")


async def test_another_key_sees_its_own_requests_and_no_addresses() -> None:
    world = world_of()
    for path in ("/api/status", "/api/upstreams", "/api/requests", "/api/session"):
        answer = await world.ask(path, as_=FRIEND_KEY)
        assert answer.status == 200
        assert ADDRESS.encode() not in answer.body
        assert b"path-canary" not in answer.body
    requests = (await world.ask("/api/requests", as_=FRIEND_KEY)).json["requests"]
    assert [r["caller"] for r in requests] == ["friend"]
    assert (await world.ask(RECORD, as_=FRIEND_KEY)).status == 404
    assert (await world.ask(RECORD, as_=OWNER_KEY)).status == 200
    session = (await world.ask("/api/session", as_=FRIEND_KEY)).json
    assert session == {
        "mode": "summary",
        "signed_in": True,
        "caller": "friend",
        "is_owner": False,
    }


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        pytest.param("/api/nothing", "GET", 404, id="unknown"),
        pytest.param("/api/status/", "GET", 404, id="trailing_slash_is_no_redirect"),
        pytest.param("/api/status", "POST", 405, id="wrong_method"),
        pytest.param("/api/session", "PUT", 405, id="wrong_method_on_session"),
        pytest.param("/dashboard/nothing", "GET", 404, id="unknown_file"),
        pytest.param("/dashboard/../app.py", "GET", 404, id="way_up"),
    ],
)
async def test_what_does_not_exist_is_a_problem_document(
    path: str, method: str, status: int
) -> None:
    answer = await world_of().ask(path, method=method)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status


@pytest.mark.parametrize("host", ["proxy.test/api/status?", "/api/session", "evil.example", ""])
async def test_the_host_field_never_changes_which_path_is_meant(host: str) -> None:
    world = world_of("private")
    answer = await world.ask("/api/upstreams", headers={"host": host})
    assert answer.status == 401
    assert (await world.ask("/api/session", headers={"host": host})).status == 200


async def test_the_raw_path_never_changes_which_path_is_meant() -> None:
    world = world_of("private")
    scope = scope_of("/api/upstreams")
    scope["raw_path"] = b"/api/session"
    sent = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await world.app(scope, receive, send)
    assert sent[0]["status"] == 401


@pytest.mark.parametrize("path", ["/", "/api/status", "/api/nothing", "/api/requests"])
async def test_every_answer_carries_the_security_headers(path: str) -> None:
    headers = (await ask(world_of().app, path)).headers
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


async def test_no_key_and_no_token_is_ever_in_an_answer() -> None:
    world = world_of()
    cookie = await world.cookie()
    token = cookie["cookie"].partition("=")[2]
    answers = [
        await world.ask(path, method=method, headers=headers)
        for path in (*OPEN, *NEEDS_KEY, "/api/status", "/api/nothing", f"/api/{OWNER_KEY}")
        for method in ("GET", "POST")
        for headers in ({}, cookie, {"x-api-key": OWNER_KEY}, {"x-api-key": FRIEND_KEY + "x"})
    ]
    answers += [await world.sign_in(OWNER_KEY), await world.sign_in("sk-wrong-canary-key")]
    for answer in answers:
        fields = {k: v for k, v in answer.headers.items() if k != "set-cookie"}
        text = answer.body.decode() + str(fields)
        assert "canary-0123" not in text
        assert "sk-wrong" not in text
        assert token not in text


async def test_unreadable_records_are_said_to_be_so() -> None:
    world = world_of()
    world.store_error = StoreError("disk I/O error in /path-canary")
    for path in ("/api/requests", RECORD):
        answer = await world.ask(path, as_=OWNER_KEY)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "5"
        assert "path-canary" not in answer.body.decode()
    assert (await world.ask("/api/status", as_=OWNER_KEY)).status == 200


async def test_a_bug_is_a_500_without_details() -> None:
    world = world_of()
    world.store_error = ValueError("canary")
    with pytest.raises(ValueError, match="canary"):  # whoever runs the application logs it
        await world.ask("/api/requests", as_=OWNER_KEY)
