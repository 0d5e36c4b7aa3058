"""What the life-cycle tests share: starting the proxy through a shell, asking it, reading it.

`ShellProxy` starts the real proxy behind a line of shell, so that a test can close its standard
error, stall its pipes or take its descriptors away as a user's machine would.
"""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.answers import Dialect, chat_stream, messages_stream, responses_stream
from tests.support.client import Answer, Head, RawClient, Stream
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import Script

DIALECTS: tuple[Dialect, ...] = ("chat", "messages", "responses")
PATHS: dict[Dialect, str] = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
STREAMS: dict[Dialect, Callable[..., Script]] = {
    "chat": chat_stream,
    "messages": messages_stream,
    "responses": responses_stream,
}
LAST_WORDS: dict[Dialect, bytes] = {
    "chat": b"data: [DONE]\n\n",
    "messages": b"event: message_stop",
    "responses": b"event: response.completed",
}
"""What stands in a stream that is whole, and in no other."""


class ShellProxy(ProxyProcess):
    """A proxy started by a line of shell, in which `"$@"` is the proxy's own command."""

    def __init__(self, directory: Path, *given: Any, shell: str, **more: Any) -> None:
        super().__init__(directory, *given, **more)
        self.shell = shell

    def spawn(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._stopped_by_test = False
        command = [sys.executable, "-m", "llm_proxy", *self.arguments]
        with self._path("stdout").open("ab") as out, self._path("stderr").open("ab") as err:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", self.shell, "sh", *command],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )


def question(dialect: Dialect = "chat", *, model: str = "m", stream: bool = False) -> Any:
    """Return a request's JSON."""
    body: dict[str, Any] = {"model": model, "stream": stream}
    if dialect == "responses":
        return body | {"input": "hi"}
    body |= {"messages": [{"role": "user", "content": "hi"}]}
    return body | {"max_tokens": 64} if dialect == "messages" else body


async def ask(
    proxy: ProxyProcess,
    dialect: Dialect = "chat",
    *,
    model: str = "m",
    key: str | None = None,
    timeout_s: float = 10.0,
) -> Answer:
    """Ask for a JSON answer on a connection of its own."""
    async with RawClient.to(proxy.url, timeout_s=timeout_s) as client:
        return await client.ask(
            "POST",
            PATHS[dialect],
            key=key or proxy.access_key,
            json_body=question(dialect, model=model),
        )


async def ask_stream(
    proxy: ProxyProcess, dialect: Dialect = "chat", *, model: str = "m"
) -> tuple[Head, Stream]:
    """Ask for a stream on a connection of its own and read it, however it ends."""
    async with RawClient.to(proxy.url) as client:
        await client.request(
            "POST",
            PATHS[dialect],
            key=proxy.access_key,
            json_body=question(dialect, model=model, stream=True),
        )
        head = await client.read_head()
        return head, await client.read_stream(head)


async def get(proxy: ProxyProcess, path: str) -> Any:
    """Return the JSON of a path of the page's API, as the owner sees it."""
    async with RawClient.to(proxy.url) as client:
        answer = await client.ask("GET", path, key=proxy.access_key)
    assert answer.status == 200, answer.body
    return answer.json()


async def records(proxy: ProxyProcess) -> list[dict[str, Any]]:
    """Return all records, oldest first."""
    found: list[dict[str, Any]] = []
    before = ""
    while True:
        page = await get(proxy, f"/api/requests?limit=200{before}")
        found += page["requests"]
        if page["next"] is None:
            return found[::-1]
        before = f"&before={page['next']}"


async def eventually(condition: Callable[[], Any], *, within_s: float = 5.0) -> None:
    """Wait until `condition()`."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


async def stop(proxy: ProxyProcess, *, within_s: float = 10.0) -> int:
    """Send SIGTERM and return the exit code, without blocking the loop a provider lives in."""
    return await asyncio.to_thread(proxy.stop, within_s=within_s)
