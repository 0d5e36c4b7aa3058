"""What is known of providers' hosts, as it shows in the settings made from an address."""

import re

import pytest

from llm_proxy.config.hosts import KNOWN_HOSTS, KnownHost, formats_of, known
from llm_proxy.domain.target import Upstream

from .conftest import Load

CHAT, BOTH, MESSAGES = ("chat",), ("chat", "responses"), ("messages",)


def only(load_with: Load, address: str) -> Upstream:
    (upstream,) = load_with(PROXY_URL=address).upstreams
    return upstream


@pytest.mark.parametrize(
    ("address", "root", "formats"),
    [
        ("https://api.openai.com", "/v1", BOTH),
        ("https://mine.openai.azure.com", "/openai/v1", BOTH),
        ("https://api.anthropic.com", "/v1", MESSAGES),
        ("https://api.deepseek.com", "/v1", CHAT),
        ("https://api.deepseek.com/anthropic", "/anthropic/v1", MESSAGES),
        ("https://dashscope.aliyuncs.com", "/compatible-mode/v1", CHAT),
        ("https://dashscope-intl.aliyuncs.com/apps/anthropic", "/apps/anthropic/v1", MESSAGES),
        ("https://ws-1.cn-beijing.maas.aliyuncs.com", "/compatible-mode/v1", CHAT),
        ("https://open.bigmodel.cn", "/api/paas/v4", CHAT),
        ("https://open.bigmodel.cn/api/coding/paas/v4", "/api/coding/paas/v4", CHAT),
        ("https://open.bigmodel.cn/api/anthropic", "/api/anthropic/v1", MESSAGES),
        ("https://api.moonshot.cn/v1", "/v1", CHAT),
        ("https://api.moonshot.cn/anthropic", "/anthropic/v1", MESSAGES),
        ("https://api.minimaxi.com/anthropic/v1", "/anthropic/v1", MESSAGES),
        ("https://ark.cn-beijing.volces.com", "/api/v3", CHAT),
        ("https://ark.cn-beijing.volces.com/api/coding/v3", "/api/coding/v3", CHAT),
        ("https://ark.cn-beijing.volces.com/api/coding", "/api/coding/v1", MESSAGES),
        ("https://qianfan.baidubce.com", "/v2", CHAT),
        ("https://api.hunyuan.cloud.tencent.com/anthropic", "/anthropic/v1", MESSAGES),
        ("https://openrouter.ai/api", "/api/v1", ()),
        ("https://api.groq.com", "/openai/v1", BOTH),
        ("https://generativelanguage.googleapis.com", "/v1beta/openai", CHAT),
        ("https://api.fireworks.ai", "/inference/v1", CHAT),
        ("https://api.deepinfra.com", "/v1/openai", CHAT),
        ("https://models.github.ai", "/inference", CHAT),
        ("https://models.github.ai/inference", "/inference", CHAT),
        ("https://models.github.ai/inference/chat/completions", "/inference", CHAT),
    ],
)
def test_an_address_as_providers_give_it_is_enough(
    load_with: Load, address: str, root: str, formats: tuple[str, ...]
) -> None:
    upstream = only(load_with, address)
    assert (upstream.root, upstream.formats) == (root, formats)


def test_both_addresses_of_a_provider_make_two_upstreams_with_a_format_each(
    load_with: Load,
) -> None:
    settings = load_with(PROXY_URL="https://api.deepseek.com,https://api.deepseek.com/anthropic")
    assert [one.formats for one in settings.upstreams] == [CHAT, MESSAGES]
    assert len({one.keys[0].secret for one in settings.upstreams}) == 1


@pytest.mark.parametrize(
    ("address", "auth"),
    [
        ("https://openrouter.ai", "bearer"),
        ("https://api.moonshot.ai/anthropic", "bearer"),
        ("https://api.anthropic.com", "x-api-key"),
        ("https://api.example.com", "x-api-key"),
    ],
)
def test_a_messages_key_goes_up_in_the_header_that_the_host_reads(
    load_with: Load, address: str, auth: str
) -> None:
    assert only(load_with, address).message_auth == auth


def test_the_file_beats_what_is_known_of_a_host(load_with: Load) -> None:
    tables = """
        [[upstream]]
        url = "https://openrouter.ai"
        key = "sk-one"
        formats = "messages"
        message_auth = "x-api-key"
        translation = { top_k = false }

        [[upstream]]
        url = "https://openrouter.ai/api/v1"
        key = "sk-two"
    """
    changed, known_host = load_with(tables, PROXY_URL=None, API_KEY=None).upstreams
    assert (changed.formats, changed.message_auth) == (MESSAGES, "x-api-key")
    assert not changed.knobs.top_k
    assert changed.knobs.reasoning_request == "openrouter"
    assert (known_host.formats, known_host.message_auth) == ((), "bearer")


@pytest.mark.parametrize("host", ["volces.com.evil.example", "evilvolces.com", "api.openai.com.x"])
def test_a_host_that_only_looks_like_a_known_one_is_not_known(host: str) -> None:
    assert formats_of(host, "/v1") == ()


@pytest.mark.parametrize("row", KNOWN_HOSTS, ids=lambda row: row.host)
def test_a_row_is_found_by_its_host_and_can_be_used(row: KnownHost) -> None:
    host = f"mine{row.host}" if row.host.startswith(".") else row.host
    assert known(host) is row
    assert re.fullmatch(r"[a-z0-9.-]+", row.host)
    assert re.fullmatch(r"(/[a-z0-9-]+)+", row.root)
    assert set(row.formats) <= {"chat", "messages", "responses"}
    assert row.provider
