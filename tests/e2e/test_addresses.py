"""Addresses: mistakes that are mended, those that are not, and what browsers and probes ask."""

import pytest

from tests.e2e.world import CHAT, MESSAGES, RESPONSES, World, question
from tests.support.answers import error
from tests.support.client import Headers

NOTICE = "address corrected"
EMBEDDINGS = "/v1/embeddings"
MENDED = {
    "/chat/completions": CHAT,
    "/messages": MESSAGES,
    "/messages/count_tokens": "/v1/messages/count_tokens",
    "/responses": RESPONSES,
    "/embeddings": EMBEDDINGS,
    "/v1/v1/chat/completions": CHAT,
    "/v1/v1/messages": MESSAGES,
    "/v1/chat/completions/chat/completions": CHAT,
    "/chat/completions/chat/completions": CHAT,
    "/v1/chat/completions/v1/chat/completions": CHAT,
    "/v1/messages/v1/messages": MESSAGES,
    "/v1/messages/v1/messages/count_tokens": "/v1/messages/count_tokens",
    "/v1/responses/responses": RESPONSES,
    "/openai/v1/chat/completions": CHAT,
    "/openai/v1/responses": RESPONSES,
    "/openai/v1/embeddings": EMBEDDINGS,
    "/anthropic/v1/messages": MESSAGES,
    "/anthropic/v1/messages/count_tokens": "/v1/messages/count_tokens",
    "//v1/chat/completions": CHAT,
    "/v1//chat//completions": CHAT,
    "/v1/chat/completions/": CHAT,
    "/v1/messages//": MESSAGES,
    "//openai//v1//v1//responses/": RESPONSES,
}


@pytest.mark.parametrize("path", MENDED)
async def test_a_mistaken_address_is_mended_and_said_so(world: World, path: str) -> None:
    answer = await world.ask("POST", f"{path}?beta=true", body=b'{"model":"m"}')
    assert answer.status == 200, answer.body
    assert answer.head.headers_named("x-llm-proxy-notice") == [NOTICE]
    assert world.sent.target == f"{MENDED[path]}?beta=true"
    record = world.record_of(answer)
    assert (record.path, record.notice) == (MENDED[path], NOTICE)


@pytest.mark.parametrize(
    "path", [CHAT, MESSAGES, RESPONSES, EMBEDDINGS, "/v1/messages/count_tokens"]
)
async def test_nothing_is_said_of_a_right_address(world: World, path: str) -> None:
    answer = await world.ask("POST", path, body=b'{"model":"m"}')
    assert answer.header("x-llm-proxy-notice") is None
    assert world.record_of(answer).notice is None


@pytest.mark.parametrize("path", ["/models", "/v1/models/", "/openai/v1/models", "/v1/v1/models"])
async def test_the_list_of_models_is_found_under_mistaken_addresses(
    world: World, path: str
) -> None:
    answer = await world.ask("GET", path)
    assert answer.status == 200
    assert answer.json()["object"] == "list"
    assert answer.header("x-llm-proxy-notice") == NOTICE


def test_sdks_work_with_a_pasted_endpoint_as_base_address(world: World) -> None:
    url = world.proxy.url
    for base in (f"{url}", f"{url}/v1/", f"{url}{CHAT}", f"{url}/openai/v1"):
        with world.openai(base_url=base) as client:
            answer = client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hi"}]
            )
        assert answer.choices[0].message.content == "Hello there!"
    for base in (f"{url}/v1", f"{url}{MESSAGES}", f"{url}/anthropic"):
        with world.anthropic(base_url=base) as other:
            counted = other.messages.count_tokens(
                model="m", messages=[{"role": "user", "content": "hi"}]
            )
        assert counted.input_tokens == 9


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/chat/completion", CHAT),
        ("/completion", "/v1/completions"),
        ("/message", MESSAGES),
        ("/v2/messages", MESSAGES),
        ("/response", RESPONSES),
        ("/embedding", EMBEDDINGS),
    ],
)
async def test_any_other_address_is_answered_with_the_nearest_one(
    world: World, path: str, near: str
) -> None:
    answer = await world.ask("POST", path, body=b"{}")
    assert answer.status == 404
    said = answer.json()["error"]
    assert near in said["message"]
    if "/messages" in path:
        assert (answer.json()["type"], said["type"]) == ("error", "not_found_error")
    assert world.provider.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../api/requests",
        "/v1/%2e%2e/api/requests",
        "/v1/chat/..%2f..%2fadmin",
        "/v1/x%00y",
        "/v1/x%0d%0ay",
        "/v1/x%5cy",
        "/v1/./messages",
    ],
)
async def test_a_hostile_address_goes_nowhere(world: World, path: str) -> None:
    answer = await world.ask("GET", path)
    assert answer.status in (400, 404)
    assert world.provider.requests == []


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_an_unknown_path_under_v1_is_the_upstreams_to_answer(
    world: World, method: str
) -> None:
    status = 405 if method == "PUT" else 404
    world.provider.script(error(status, message="nothing here", headers=[("allow", "GET")]))
    answer = await world.ask(method, "/v1/something/new%2Fhere?x=1", body=b"raw")
    assert answer.status == status
    assert answer.json()["error"]["message"] == "nothing here"
    assert answer.header("allow") == "GET"
    assert (world.sent.method, world.sent.target) == (method, "/v1/something/new%2Fhere?x=1")
    assert world.sent.body == b"raw"


async def test_probes_are_answered_without_a_key(world: World) -> None:
    for method, path in (("HEAD", "/"), ("GET", "/health"), ("GET", "/ready"), ("HEAD", "/health")):
        answer = await world.ask(method, path, key=None)
        assert (method, path, answer.status) == (method, path, 200)
        assert (answer.body == b"") is (method == "HEAD")
    assert world.provider.requests == []


async def test_a_probe_for_another_providers_path_gets_a_404(world: World) -> None:
    assert (await world.ask("HEAD", "/api/hello", key=None)).status in (401, 404)


ORIGIN = ("origin", "https://app.example")


@pytest.mark.parametrize("path", [CHAT, MESSAGES, "/v1/anything", "/chat/completions"])
async def test_a_browser_may_ask_first(world: World, path: str) -> None:
    asked = "authorization, content-type, x-stainless-lang, anthropic-version"
    headers: Headers = [
        ORIGIN,
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", asked),
    ]
    answer = await world.ask("OPTIONS", path, key=None, headers=headers)
    assert answer.status == 204
    assert answer.header("access-control-allow-origin") == "*"
    assert "POST" in (answer.header("access-control-allow-methods") or "")
    assert answer.header("access-control-allow-headers") == asked
    assert answer.header("access-control-max-age") == "600"
    assert answer.header("access-control-allow-credentials") is None
    assert world.provider.requests == []


@pytest.mark.parametrize("path", ["/api/requests", "/api/status", "/api/session", "/", "/metrics"])
async def test_the_page_is_no_business_of_other_origins(world: World, path: str) -> None:
    asked: Headers = [ORIGIN, ("access-control-request-method", "GET")]
    for method, headers in (("OPTIONS", asked), ("GET", [ORIGIN])):
        answer = await world.ask(method, path, headers=headers)
        assert answer.header("access-control-allow-origin") is None


async def test_a_browsers_page_may_read_answers_and_errors(world: World) -> None:
    good = await world.generate("chat", headers=[ORIGIN])
    refused = await world.ask("POST", CHAT, key="sk-wrong", headers=[ORIGIN], body=b"{}")
    faulty = await world.ask("POST", CHAT, headers=[ORIGIN], body=b"{")
    assert [good.status, refused.status, faulty.status] == [200, 401, 400]
    for answer in (good, refused, faulty):
        assert answer.header("access-control-allow-origin") == "*"
        assert answer.header("access-control-expose-headers")
        assert answer.header("access-control-allow-credentials") is None
    assert world.sent.header("origin") is None
    plain = await world.generate("chat")
    assert plain.header("access-control-allow-origin") is None


async def test_a_head_request_gets_a_head(world: World) -> None:
    answer = await world.ask("HEAD", "/v1/models")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.header("content-length") or 0) > 20


async def test_one_connection_serves_many_requests_of_all_kinds(world: World) -> None:
    key = world.proxy.access_key
    async with world.client() as client:
        for _ in range(3):
            for path, dialect in ((CHAT, "chat"), (MESSAGES, "messages"), (RESPONSES, "responses")):
                body = question(dialect, stream=True)
                await client.request("POST", path, key=key, json_body=body)
                assert (await client.read_stream()).ending == "complete"
                answer = await client.ask("POST", path, key=key, json_body=question(dialect))
                assert answer.status == 200
            assert (await client.ask("GET", "/v1/models", key=key)).status == 200
            assert (await client.ask("POST", CHAT, key="no", body=b"{}")).status == 401
            assert (await client.ask("POST", "/nowhere", body=b"{}")).status == 404
