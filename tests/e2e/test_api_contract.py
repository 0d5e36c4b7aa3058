"""The API does what its description says, whatever is asked of it: generated requests, a real proxy."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from llm_proxy.dashboard.openapi import description
from tests.e2e.world import CHAT, question
from tests.support.answers import chat_json, error, models_json
from tests.support.provider import ProviderThread
from tests.support.proxy_process import ProxyProcess

# Those about methods that are not described are left out: TRACE and OPTIONS are answered before
# anybody looks at a path.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
schema = schemathesis.openapi.from_dict(description("test"))
ENDLESS = "/api/events"
MOVING = ("/api/session", "/api/playground")
"""Signing in is throttled; the playground answers what an upstream says."""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    with ProviderThread() as provider:
        provider.reply(models_json(("test-model",)), path="/v1/models")
        provider.script(chat_json("well"), error(429, headers=[("retry-after", "1")]))
        with ProxyProcess(tmp_path_factory.mktemp("contract"), provider.url) as proxy:
            for _ in range(3):  # answered, limited, and refused while the key rests
                post(proxy, CHAT, question("chat"))
            yield proxy


def post(proxy: ProxyProcess, path: str, body: object) -> None:
    connection = HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    headers = {"authorization": f"Bearer {proxy.access_key}", "content-type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    connection.getresponse().read()
    connection.close()


@schema.exclude(path=[ENDLESS, *MOVING]).parametrize()
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case: Any, proxy: ProxyProcess) -> None:
    case.call_and_validate(
        base_url=proxy.url,
        headers={"authorization": f"Bearer {proxy.access_key}"},
        checks=CHECKS,
    )
