"""Answers without a body leave the client's connection fit for the next request."""

from pathlib import Path

import pytest

from tests.support.client import RawClient
from tests.support.provider import Provider
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import Script, head, respond

KEY = "sk-access-key-of-this-test"


@pytest.mark.parametrize(
    ("method", "script", "status"),
    [
        pytest.param("DELETE", [head(204)], 204, id="no_content"),
        pytest.param("GET", [head(304, [("etag", '"1"')])], 304, id="not_modified"),
        pytest.param("HEAD", [head(200, [("content-length", "7")])], 200, id="head"),
        pytest.param("HEAD", [head(200)], 200, id="head_without_length"),
        pytest.param(
            "HEAD",
            [head(200, [("content-type", "application/json"), ("content-length", "7")])],
            200,
            id="head_of_json",
        ),
    ],
)
async def test_an_answer_without_a_body_is_followed_by_the_next_answer(
    tmp_path: Path, method: str, script: Script, status: int
) -> None:
    async with Provider() as provider:
        provider.reply(script, path="/v1/files/1")
        provider.reply(respond(b"next", content_type="text/plain"), path="/v1/files/2")
        async with (
            ProxyProcess(tmp_path, provider.url, access_key=KEY) as proxy,
            RawClient("127.0.0.1", proxy.port) as client,
        ):
            for _ in range(2):
                assert (await client.ask(method, "/v1/files/1", key=KEY)).status == status
                assert (await client.ask("GET", "/v1/files/2", key=KEY)).body == b"next"
