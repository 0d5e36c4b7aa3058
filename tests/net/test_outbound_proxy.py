"""Upstreams behind an outbound proxy: HTTP CONNECT and SOCKS5, plain and TLS, right and wrong."""

from pathlib import Path

import pytest

from llm_proxy.domain.faults import CONNECT_REFUSED, PROXY_FAILED
from tests.net.test_upstream import ask, pool_of, target_of
from tests.support.certificate import authority_pem, server_context
from tests.support.outbound import outbound_proxy
from tests.support.provider import Provider, refused_url

SCHEMES = ["http", "socks5"]


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_plain_upstream_is_reached_through_the_proxy(scheme: str) -> None:
    async with Provider() as provider, outbound_proxy(scheme) as outbound:
        async with pool_of(target_of(provider.url, proxy=outbound.url)) as pool:
            assert (await ask(pool)).status == 200
            assert (await ask(pool)).status == 200
        assert outbound.asked == [f"127.0.0.1:{provider.port}"]


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_tls_runs_inside_the_tunnel_and_names_the_upstream(
    scheme: str, tmp_path: Path
) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority_pem())
    async with (
        Provider(ssl_context=server_context()) as provider,
        outbound_proxy(scheme) as outbound,
    ):
        target = target_of(provider.url, proxy=outbound.url)
        async with pool_of(target, ca_file=str(ca_file)) as pool:
            assert (await ask(pool)).status == 200
        # The name is not resolved here: the proxy may know it where this machine does not.
        assert outbound.asked == [f"localhost:{provider.port}"]


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_credentials_in_the_address_are_shown_to_the_proxy(scheme: str) -> None:
    async with Provider() as provider, outbound_proxy(scheme, "me:p@ss") as outbound:
        right = target_of(provider.url, proxy=outbound.url_with("me:p%40ss"))
        async with pool_of(right) as pool:
            assert (await ask(pool)).status == 200
        async with pool_of(target_of(provider.url, proxy=outbound.url_with("me:no"))) as pool:
            fetched = await ask(pool)
            assert fetched.fault is PROXY_FAILED
            assert "me" not in fetched.reason.split()
        async with pool_of(target_of(provider.url, proxy=outbound.url)) as pool:
            assert (await ask(pool)).fault is PROXY_FAILED


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_proxy_that_refuses_is_a_fault_of_its_own(scheme: str) -> None:
    async with Provider() as provider, outbound_proxy(scheme) as outbound:
        outbound.refuse = True
        async with pool_of(target_of(provider.url, proxy=outbound.url)) as pool:
            assert (await ask(pool)).fault is PROXY_FAILED
            assert pool.sizes == (0, 0)
        assert provider.connections == []


async def test_a_proxy_that_is_not_there_refuses_the_connection() -> None:
    with refused_url() as url:
        async with Provider() as provider, pool_of(target_of(provider.url, proxy=url)) as pool:
            assert (await ask(pool)).fault is CONNECT_REFUSED
