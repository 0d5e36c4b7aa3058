"""Tests can start the real proxy, see it serve and end, and read what it wrote."""

from pathlib import Path

import pytest

from .client import RawClient
from .provider import Provider, ProviderThread
from .proxy_process import UPSTREAM_KEY, ProxyProcess


def test_a_proxy_starts_serves_and_stops_cleanly(tmp_path: Path) -> None:
    with ProviderThread() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        assert proxy.resident_bytes() > (1 << 20)
        assert proxy.stop() == 0
        assert UPSTREAM_KEY not in proxy.output


async def test_a_proxy_serves_requests_from_the_tests_own_loop(tmp_path: Path) -> None:
    async with Provider() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        async with RawClient.to(proxy.url) as client:
            answer = await client.ask(
                "POST",
                "/v1/chat/completions",
                key=proxy.access_key,
                json_body={"model": "m", "messages": [{"role": "user", "content": "hi"}]},
            )
        assert answer.json()["choices"][0]["message"]["content"] == "Hello there!"
        asked = [request for request in provider.requests if request.method == "POST"]
        assert [(request.path, request.key) for request in asked] == [
            ("/v1/chat/completions", UPSTREAM_KEY)
        ]


def test_a_start_that_fails_shows_its_code_and_output(tmp_path: Path) -> None:
    proxy = ProxyProcess(tmp_path)
    proxy.spawn()
    assert proxy.wait() == 2
    assert "PROXY_URL" in proxy.stderr
    with pytest.raises(AssertionError, match="ended with 2"):
        proxy.start()


def test_a_killed_proxy_is_not_complained_about(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path, "http://127.0.0.1:9") as proxy:
        proxy.kill()
