"""Who is let in: every form of the access key, and what everybody else is told."""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.e2e.world import CHAT, MESSAGES, PATHS, RESPONSES, World, question
from tests.support.client import Answer, Headers
from tests.support.provider import ProviderThread
from tests.support.proxy_process import ACCESS_KEY, ProxyProcess

K = ACCESS_KEY
ADMITTED: dict[str, Headers] = {
    "bearer": [("authorization", f"Bearer {K}")],
    "bearer in lower case": [("Authorization", f"bearer {K}")],
    "bearer in upper case": [("AUTHORIZATION", f"BEARER {K}")],
    "blanks around it": [("authorization", f"  Bearer   {K}  ")],
    "x-api-key": [("x-api-key", K)],
    "x-api-key in any case": [("X-API-Key", K)],
    "api-key": [("api-key", K)],
    "the same one twice": [("authorization", f"Bearer {K}"), ("x-api-key", K)],
    "the same one three times": [
        ("authorization", f"Bearer {K}"),
        ("x-api-key", K),
        ("api-key", K),
    ],
    "an empty one beside it": [("authorization", f"Bearer {K}"), ("x-api-key", "")],
}
REFUSED: dict[str, Headers] = {
    "none": [],
    "a wrong one": [("authorization", "Bearer sk-wrong")],
    "an empty one": [("authorization", "Bearer ")],
    "no scheme": [("authorization", K)],
    "another scheme": [("authorization", f"Basic {K}")],
    "two that differ": [("authorization", f"Bearer {K}"), ("x-api-key", "sk-wrong")],
    "two that differ, the other way": [("authorization", "Bearer sk-wrong"), ("x-api-key", K)],
    "two of one kind": [("x-api-key", K), ("x-api-key", K)],
    "bytes beyond ASCII": [("authorization", f"Bearer {K}é")],
    "only bytes beyond ASCII": [("x-api-key", "ключ".encode().decode("latin-1"))],
    "one letter less": [("authorization", f"Bearer {K[:-1]}")],
    "one letter more": [("authorization", f"Bearer {K}x")],
    "another case": [("authorization", f"Bearer {K.upper()}")],
    "two in one": [("authorization", f"Bearer {K}, Bearer {K}")],
    "the upstream's": [("authorization", "Bearer sk-test-upstream-key-9876543210")],
    "in a cookie": [("cookie", f"llm_proxy_session={K}")],
    "in the wrong field": [("x-goog-api-key", K)],
}


def assert_denied(answer: Answer, path: str) -> None:
    """Check all that clients rely on in a 401 of the proxy."""
    assert answer.status == 401
    assert answer.header("x-should-retry") == "false"
    assert answer.header("content-type") == "application/json"
    assert answer.header("x-llm-proxy-attempts") == "0"
    request_id = answer.header("x-llm-proxy-request-id")
    body = answer.json()
    error = body["error"]
    assert "Permission Denied" in error["message"]
    assert "Incorrect API key provided" in error["message"]
    if path.startswith(MESSAGES):
        assert body["type"] == "error"
        assert error["type"] == "authentication_error"
        assert body["request_id"] == answer.header("request-id") == request_id
    else:
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
        assert error["param"] is None
        assert answer.header("x-request-id") == request_id


@pytest.mark.parametrize("path", PATHS.values())
@pytest.mark.parametrize("form", ADMITTED)
async def test_every_usual_form_of_the_key_is_accepted(world: World, form: str, path: str) -> None:
    headers = ADMITTED[form]
    answer = await world.ask("POST", path, key=None, headers=headers, body=b'{"model":"m"}')
    assert answer.status == 200


@pytest.mark.parametrize("path", [*PATHS.values(), "/v1/files", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("form", REFUSED)
async def test_everybody_else_is_told_in_their_own_dialect(
    world: World, form: str, path: str
) -> None:
    answer = await world.ask("POST", path, key=None, headers=REFUSED[form], body=b"{}")
    assert_denied(answer, path)
    assert world.provider.requests == []
    assert K.encode() not in answer.head.raw + answer.body


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_no_method_gets_past_the_door(world: World, method: str) -> None:
    for path in ("/v1/models", "/v1/models/x", "/v1/responses/x", "/v1/anything/else"):
        assert_denied(await world.ask(method, path, key=None), path)
    assert world.provider.requests == []


async def test_a_stranger_is_told_before_the_body_is_read(world: World) -> None:
    async with world.client() as client:
        headers = [("content-length", "50000000"), ("content-type", "application/json")]
        await client.request("POST", CHAT, key="sk-wrong", headers=headers)
        assert_denied(await client.read_response(), CHAT)  # not one byte of the body was sent


async def test_a_stranger_who_asks_first_is_not_told_to_go_on(world: World) -> None:
    async with world.client() as client:
        headers = [("content-length", "500000"), ("expect", "100-continue")]
        await client.request("POST", CHAT, key="sk-wrong", headers=headers)
        answer = await client.read_response()
    assert_denied(answer, CHAT)
    assert answer.head.interim == []


@pytest.mark.parametrize(
    "path", ["/chat/completions", "/openai/v1/chat/completions", "//v1/messages/", "/v1/v1/models"]
)
async def test_a_mistaken_address_opens_no_door(world: World, path: str) -> None:
    answer = await world.ask("POST", path, key="sk-wrong", body=b"{}")
    assert_denied(answer, MESSAGES if "messages" in path else CHAT)


async def test_a_key_in_the_address_is_refused_and_not_sent_up(world: World) -> None:
    answer = await world.ask("POST", f"{CHAT}?key={K}", body=b'{"model":"m"}')
    assert answer.status == 400
    assert answer.json()["error"]["code"] == "key_in_address"
    assert K not in answer.body.decode()
    assert world.provider.requests == []


def test_openais_client_raises_what_its_users_expect(world: World) -> None:
    with (
        world.openai(api_key="sk-wrong", max_retries=2) as client,
        pytest.raises(openai.AuthenticationError, match="Permission Denied") as raised,
    ):
        client.responses.create(model="m", input="hi")
    assert raised.value.code == "invalid_api_key"
    assert raised.value.request_id


def test_anthropics_client_raises_what_its_users_expect(world: World) -> None:
    ask: Any = question("messages") | {"stream": False}
    with (
        world.anthropic(api_key="sk-wrong", max_retries=2) as client,
        pytest.raises(anthropic.AuthenticationError, match="Permission Denied") as raised,
    ):
        client.messages.create(**ask)
    body: Any = raised.value.body
    assert body["error"]["type"] == "authentication_error"
    assert raised.value.request_id


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A proxy with three access keys."""
    keys = "phone:sk-phone-0123456789,friend:sk-friend:with:colons,sk-nameless-0123456789"
    directory = tmp_path_factory.mktemp("shared")
    with (
        ProviderThread() as provider,
        ProxyProcess(directory, provider.url, access_key=keys) as proxy,
    ):
        yield World(proxy, provider)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("sk-phone-0123456789", "phone"),
        ("sk-friend:with:colons", "friend"),
        ("sk-nameless-0123456789", "key-3"),
    ],
)
async def test_the_record_tells_whose_key_it_was(shared: World, key: str, name: str) -> None:
    shared.proxy.access_key = "sk-phone-0123456789"  # the first sees everybody's requests
    answer = await shared.ask("POST", RESPONSES, key=key, json_body=question("responses"))
    assert answer.status == 200
    assert shared.record_of(answer).caller == name


async def test_a_named_key_is_not_accepted_with_its_name(shared: World) -> None:
    answer = await shared.ask("POST", CHAT, key="phone:sk-phone-0123456789", body=b"{}")
    assert_denied(answer, CHAT)


async def test_only_the_first_key_sees_what_others_asked(shared: World) -> None:
    shared.proxy.access_key = first = "sk-phone-0123456789"
    ours = await shared.ask("POST", CHAT, key=first, json_body=question("chat"))
    theirs = await shared.ask("POST", CHAT, key="sk-friend:with:colons", json_body=question("chat"))
    for answer in (ours, theirs):
        shared.record_of(answer)
    seen = shared.page("/api/requests", key="sk-friend:with:colons")["requests"]
    assert {record["caller"] for record in seen} == {"friend"}
    path = f"/api/requests/{ours.header('x-llm-proxy-request-id')}"
    assert (await shared.ask("GET", path, key="sk-friend:with:colons")).status == 404
