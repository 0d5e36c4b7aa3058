"""A running proxy with its providers: how tests ask the one and look at the others.

The providers live in threads of their own, so that synchronous clients and the blocking calls here
do no harm. SDKs never retry by themselves: what a test sees is one request.
"""

import contextlib
import http.client
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, OpenAI

from llm_proxy.domain.record import Record
from tests.support.client import Answer, Headers, RawClient, Stream
from tests.support.provider import ProviderThread, Request
from tests.support.proxy_process import ProxyProcess

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
RESPONSES = "/v1/responses"
PATHS = {"chat": CHAT, "messages": MESSAGES, "responses": RESPONSES}
TIMEOUT_S = 20.0


def question(dialect: str, model: str = "test-model", *, stream: bool = False) -> dict[str, Any]:
    """Return the JSON of a plain request."""
    body: dict[str, Any] = {"model": model, "stream": stream}
    if dialect == "responses":
        return body | {"input": "hi"}
    body |= {"messages": [{"role": "user", "content": "hi"}]}
    return body | {"max_tokens": 64} if dialect == "messages" else body


class World:
    """A proxy and the providers behind it.

    Attributes:
        proxy: The running process.
        providers: In the order of its configuration.
    """

    def __init__(self, proxy: ProxyProcess, *providers: ProviderThread) -> None:
        self.proxy = proxy
        self.providers = providers

    @property
    def provider(self) -> ProviderThread:
        """Return the first provider."""
        return self.providers[0]

    @property
    def sent(self) -> Request:
        """Return the only request that reached the first provider."""
        (request,) = self.provider.requests
        return request

    def reset(self) -> None:
        """Make the providers healthy and forget what they saw."""
        for provider in self.providers:
            provider.forget()
            provider.requests.clear()

    # asking

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[RawClient]:
        """Connect to the proxy."""
        async with RawClient.to(self.proxy.url) as client:
            yield client

    async def ask(
        self,
        method: str,
        path: str,
        *,
        key: str | None = "",
        headers: Headers = (),
        body: bytes | None = None,
        json_body: Any = None,
    ) -> Answer:
        """Ask on a connection of its own; `key=None` sends no credential."""
        chosen = self.proxy.access_key if key == "" else key
        async with self.client() as client:
            return await client.ask(
                method, path, key=chosen, headers=headers, body=body, json_body=json_body
            )

    async def generate(self, dialect: str, *, headers: Headers = (), **fields: Any) -> Answer:
        """Send a plain request of a dialect, with some fields changed."""
        body = question(dialect) | fields
        return await self.ask("POST", PATHS[dialect], headers=headers, json_body=body)

    async def stream(self, dialect: str, *, headers: Headers = (), **fields: Any) -> Stream:
        """Ask for a stream and return it, however it ended."""
        body = question(dialect, stream=True) | fields
        async with self.client() as client:
            await client.request(
                "POST",
                PATHS[dialect],
                key=self.proxy.access_key,
                headers=headers,
                json_body=body,
            )
            return await client.read_stream()

    def openai(self, **options: Any) -> OpenAI:
        """Return OpenAI's client, as its users set it up."""
        return OpenAI(**self._options("/v1", options))

    def async_openai(self, **options: Any) -> AsyncOpenAI:
        """Return OpenAI's asynchronous client."""
        return AsyncOpenAI(**self._options("/v1", options))

    def anthropic(self, **options: Any) -> Anthropic:
        """Return Anthropic's client."""
        return Anthropic(**self._options("", options))

    def async_anthropic(self, **options: Any) -> AsyncAnthropic:
        """Return Anthropic's asynchronous client."""
        return AsyncAnthropic(**self._options("", options))

    def _options(self, root: str, options: Mapping[str, Any]) -> dict[str, Any]:
        usual = {
            "base_url": self.proxy.url + root,
            "api_key": self.proxy.access_key,
            "max_retries": 0,
            "timeout": TIMEOUT_S,
        }
        return usual | dict(options)

    # looking

    def page(self, path: str, key: str = "") -> Any:
        """Return the JSON of one of the page's addresses, asked for with the access key."""
        status, value = self._get(path, key or self.proxy.access_key)
        assert status == 200, value
        return value

    def record(self, request_id: str | None) -> Record:
        """Return a request's record, waiting for the moment between its answer and its end."""
        ends_at = time.monotonic() + 5
        while True:
            status, value = self._get(f"/api/requests/{request_id}", self.proxy.access_key)
            if status == 200:
                return msgspec.convert(value, Record)
            assert time.monotonic() < ends_at, f"no record of {request_id}: {value}"
            time.sleep(0.01)

    def record_of(self, answer: Answer) -> Record:
        """Return the record of an answer."""
        return self.record(answer.header("x-llm-proxy-request-id"))

    def newest_record(self, path: str) -> Record:
        """Return the newest record of a path, for clients that got no head."""
        ends_at = time.monotonic() + 5
        while time.monotonic() < ends_at:
            for record in self.page("/api/requests?limit=200")["requests"]:
                if record["path"] == path:
                    return msgspec.convert(record, Record)
            time.sleep(0.01)
        raise AssertionError(f"no record of {path}")

    def all_records(self) -> list[Record]:
        """Return every record, newest first, page by page."""
        found: list[Record] = []
        path: str | None = "/api/requests?limit=200"
        while path is not None:
            page = self.page(path)
            found += msgspec.convert(page["requests"], list[Record])
            path = f"/api/requests?limit=200&before={page['next']}" if page["next"] else None
        return found

    def _get(self, path: str, key: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=5)
        try:
            connection.request("GET", path, headers={"authorization": f"Bearer {key}"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()


def faults_of(record: Record) -> list[str | None]:
    """Return how a record's attempts ended, in order; None = with an answer."""
    return [attempt.fault for attempt in record.attempts]
