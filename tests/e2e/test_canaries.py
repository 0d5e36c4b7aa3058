"""No key and no password leaves the proxy, whatever goes wrong.

Every secret here is a canary: a text that stands nowhere else. Clients and upstreams do their
worst to have it repeated; then everything that came out of the proxy (both outputs, every file it
wrote, every byte a client got, the metrics and the page's data) is searched for all of them, in
base64 and cut off at either end, too.
"""

import asyncio
import hashlib
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import (
    chat_chunk,
    chat_json,
    chat_stream,
    error,
    healthy,
    messages_stream,
    responses_stream,
    stream_error,
    to_json,
)
from tests.support.client import FramingError, Headers, RawClient, TruncatedError
from tests.support.provider import Provider, Request
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import Script, close, event_stream, respond

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"


def canary(name: str) -> str:
    """Return a secret that stands nowhere else; every other one has a key's usual shape."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"sk-{digest[:45]}" if digest[-1] < "8" else digest[:48]


def forms(secret: str) -> Iterator[str]:
    """Yield how a secret may be written."""
    yield secret
    yield secret[:16]
    yield secret[-16:]
    yield b64encode(secret.encode()).decode().rstrip("=")
    yield urlsafe_b64encode(secret.encode()).decode().rstrip("=")
    yield b64encode(b"user:" + secret.encode()).decode().rstrip("=")[8:]


OWNER, PHONE = canary("owner"), canary("phone")
WRONG = canary("a key that is none of ours")
PASSWORD = canary("the outbound proxy's password")
HOOK = canary("the alerts' webhook")


def key_of(request: Request) -> str:
    """Return the upstream key that came with a request."""
    assert request.key is not None
    return request.key


def echo(request: Request) -> str:
    """Return a sentence with the key in all the ways in which providers quote one."""
    key = key_of(request)
    written = b64encode(key.encode()).decode()
    cut = f"{key[:16]}*** ***{key[-16:]} {key[: len(key) // 2]} {key[len(key) // 2 :]}"
    return f"Incorrect API key provided: {key}, {cut}, Basic {written}, ?key={key}"


Answer = Callable[[Request], Script]
ANSWERS: dict[str, Answer] = {
    "ok": lambda _: chat_json("fine"),
    "refused-401": lambda r: error(401, message=echo(r), code="invalid_api_key"),
    "refused-403": lambda r: error(403, message=echo(r), code="invalid_api_key"),
    "forbidden": lambda r: error(403, message=echo(r)),
    "limited": lambda r: error(429, message=echo(r), headers=[("retry-after", "1000")]),
    "quota": lambda r: error(429, message=echo(r), code="insufficient_quota"),
    "bad-request": lambda r: error(400, message=echo(r)),
    "bad-request-text": lambda r: respond(echo(r).encode(), status=400, content_type="text/plain"),
    "not-found": lambda r: error(404, message=echo(r), code="model_not_found"),
    "server-error": lambda r: error(500, message=echo(r)),
    "server-page": lambda r: respond(
        f"<html>{echo(r)}</html>".encode(), status=503, content_type="text/html"
    ),
    "header": lambda r: chat_json("fine", headers=[("x-your-key", key_of(r))]),
    "error-header": lambda r: error(400, headers=[("x-your-key", key_of(r))]),
    "redirect": lambda r: respond(
        b"", status=302, headers=[("location", f"http://127.0.0.1:9/?key={key_of(r)}")]
    ),
    "error-in-200": lambda r: respond(to_json({"error": {"message": echo(r), "code": "x"}})),
    "not-json": lambda r: respond(echo(r).encode()),
    "garbage": lambda r: [f"HTTP/9.9 {key_of(r)}\r\n\r\n".encode(), close()],
    "bad-header": lambda r: [f"HTTP/1.1 200 OK\r\n{key_of(r)}\r\n\r\n".encode(), close()],
    "half-an-answer": lambda r: [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n"
        b'{"key":"%b"' % key_of(r).encode(),
        close(),
    ],
    "answer": lambda r: chat_json(f"your key is {key_of(r)}"),
}
STREAMS: dict[str, Answer] = {
    "ok-stream": lambda _: chat_stream(),
    "cut-stream": lambda r: chat_stream(["a", key_of(r), "b"], cut_after=2),
    "error-stream": lambda r: event_stream(
        [chat_chunk({"content": "a"}), stream_error("chat", message=f"bad key {key_of(r)}")]
    ),
    "first-error-stream": lambda r: event_stream([stream_error("chat", message=echo(r))]),
    "word-stream": lambda r: chat_stream(["your key is ", key_of(r), "."]),
}


THROUGH_PROXY = ("through-proxy", "through-proxy-stream")
"""Models of upstreams behind an outbound proxy that refuses every tunnel."""


class Cage:
    """A proxy full of canaries, and everything it let out."""

    def __init__(self, proxy: ProxyProcess, provider: Provider) -> None:
        self.proxy = proxy
        self.provider = provider
        self.received: list[tuple[str, bytes]] = []

    async def send(self, what: str, data: bytes) -> None:
        """Send bytes on a connection of their own and keep all that comes back."""
        async with RawClient.to(self.proxy.url) as client:
            await client.send(data)
            self.received.append((what, await client.read_rest()))

    async def ask(
        self,
        model: str,
        *,
        path: str = CHAT,
        stream: bool = False,
        key: str | None = OWNER,
        headers: Headers = (),
        method: str = "POST",
        body: Any = None,
    ) -> int:
        """Ask and keep every byte that comes back; return the status, 0 where none came."""
        if body is None and method == "POST":
            body = {"model": model, "stream": stream, "max_tokens": 9}
            words = [{"role": "user", "content": "hi"}]
            body |= {"input": words} if path == RESPONSES else {"messages": words}
        status = 0
        async with RawClient.to(self.proxy.url) as client:
            await client.request(method, path, key=key, headers=headers, json_body=body)
            try:
                head = await client.read_head()
                status = head.status
                await client.read_body(head)
            except (TruncatedError, FramingError):
                pass  # what came stands in `raw`
            self.received.append((f"{method} {path} {model}", bytes(client.raw)))
        return status


def nothing_of_it(request: Request) -> Script:
    """Answer well, and repeat nothing of what was asked, as what a client says is its own."""
    return healthy(CHAT, stream=bool(request.json().get("stream")), model="some-model")


def table(name: str, url: str, *more: str) -> str:
    """Return an `[[upstream]]` table whose key is a canary of its own."""
    lines = (f'name = "{name}"', f'url = "{url}"', f'models = ["{name}"]', *more)
    return "\n".join(["[[upstream]]", f'keys = ["{canary(name)}"]', *lines, ""])


def plant(directory: Path, provider: Provider) -> ProxyProcess:
    """Return a proxy, not started, with an upstream for every answer above."""
    tables = [table(name, provider.url) for name in (*ANSWERS, *STREAMS)]
    outbound = f'proxy = "http://user:{PASSWORD}@127.0.0.1:{provider.port}"'
    tables += [table(name, "http://provider.invalid:81", outbound) for name in THROUGH_PROXY]
    tables.append(table("any", provider.url).replace('["any"]', '["any-*"]', 1))
    file = directory / "proxy.toml"
    file.write_text("\n".join(tables))
    return ProxyProcess(
        directory,
        access_key=f"{OWNER},phone:{PHONE}",
        environment={
            "LLM_PROXY_CONFIG": str(file),
            "LOG_LEVEL": "debug",
            "MAX_RETRIES": "1",
            "ALERT_WEBHOOK_URL": f"http://127.0.0.1:1/hook/{HOOK}",
        },
    )


def canaries() -> dict[str, str]:
    """Return every planted secret by what it is."""
    keys = {name: canary(name) for name in (*ANSWERS, *STREAMS, *THROUGH_PROXY, "any")}
    return {
        "owner": OWNER,
        "phone": PHONE,
        "a wrong key": WRONG,
        "outbound password": PASSWORD,
        "webhook": HOOK,
        **keys,
    }


def finds(place: str, data: bytes) -> list[str]:
    """Return what of all canaries stands in `data`."""
    return [
        f"{name} in {place}: …{data[max(0, at - 60) : at + 60]!r}…"
        for name, secret in canaries().items()
        for form in forms(secret)
        if (at := data.find(form.encode())) >= 0
    ]


@pytest.fixture
async def cage(tmp_path: Path) -> AsyncIterator[Cage]:
    async with Provider() as provider:
        provider.reply(nothing_of_it, path=CHAT)
        for name, answer in {**ANSWERS, **STREAMS}.items():
            provider.reply(answer, model=name)
        proxy = plant(tmp_path, provider)
        async with proxy:
            yield Cage(proxy, provider)


async def test_no_canary_ever_leaves_the_proxy(cage: Cage) -> None:
    assert await cage.ask("", path="/api/capture", body={"minutes": 10}) == 200
    await upstreams_do_their_worst(cage)
    await clients_do_their_worst(cage)
    await the_owner_does_everything(cage)
    await everything_is_looked_at(cage)
    assert await asyncio.to_thread(cage.proxy.stop) == 0
    found = [one for what, data in cage.received for one in finds(f"answer to {what}", data)]
    found += finds("the output", cage.proxy.output.encode())
    files = [path for path in (cage.proxy.directory / "data").rglob("*") if path.is_file()]
    assert files
    for path in files:
        found += finds(path.name, path.read_bytes())
    assert not found, "\n".join(found)


async def upstreams_do_their_worst(cage: Cage) -> None:
    """Meet every fault, in JSON and as streams, with the owner's key and another's."""
    for name in ANSWERS:
        await cage.ask(name)
        await cage.ask(name, key=PHONE)
    for name in STREAMS:
        assert await cage.ask(name, stream=True)
    cage.provider.reply(messages_stream(), model="ok", path=MESSAGES)
    cage.provider.reply(responses_stream(), model="ok", path=RESPONSES)
    assert await cage.ask("ok", path=MESSAGES, stream=True) == 200
    assert await cage.ask("ok", path=RESPONSES, stream=True) == 200
    cage.provider.reply(refuse_tunnel, path="provider.invalid:81")
    for name in THROUGH_PROXY:
        assert await cage.ask(name, stream=name.endswith("stream")) == 502
    asked = [request for request in cage.provider.requests if request.method == "CONNECT"]
    assert asked, "the outbound proxy was not asked"
    assert asked[0].header("proxy-authorization")


def refuse_tunnel(request: Request) -> Script:
    """Refuse a tunnel and repeat the credentials, as a proxy with a debug page does."""
    said = f"denied: {request.header('proxy-authorization')} {PASSWORD}"
    return respond(said.encode(), status=407, headers=[("x-you-sent", said)])


async def clients_do_their_worst(cage: Cage) -> None:
    """Put keys everywhere, right ones in wrong places and wrong ones in the right place."""
    assert await cage.ask("ok", key=WRONG) == 401
    assert await cage.ask("ok", key=None) == 401
    assert await cage.ask("ok", key=None, headers=[("x-api-key", WRONG)]) == 401
    assert await cage.ask("ok", headers=[("x-api-key", WRONG)]) == 401
    basic = b64encode(f"user:{OWNER}".encode()).decode()
    assert await cage.ask("ok", key=None, headers=[("authorization", f"Basic {basic}")]) == 401
    assert await cage.ask("ok", path=f"{CHAT}?key={OWNER}") == 400
    assert await cage.ask("ok", path=f"{CHAT}?api_key={OWNER}") in {200, 400}
    for path in (f"/{OWNER}", f"/v1/{OWNER}", f"/v1/models/{OWNER}", f"/api/requests/{OWNER}"):
        await cage.ask("", method="GET", path=path)
        await cage.ask("", method="GET", path=path, key=None)
    assert await cage.ask("ok", headers=[("user-agent", f"curl {OWNER}")]) == 200
    assert await cage.ask("ok", headers=[("x-llm-proxy-timeout-ms", OWNER)]) == 400
    assert await cage.ask("ok", headers=[("origin", f"https://{OWNER}.example")]) == 200
    assert await cage.ask(OWNER) == 404
    for pasted in (OWNER, OWNER[:24], OWNER[-24:], basic):
        assert await cage.ask(f"any-{pasted}", headers=[("user-agent", pasted)]) == 200
        assert await cage.ask(f"any-{pasted}", stream=True) == 200
    for body in ({"model": OWNER, "messages": 7}, [OWNER], {OWNER: 1}):
        await cage.ask("ok", body=body)
    for session in ({"key": WRONG}, {"key": [OWNER]}, [OWNER], {OWNER: 1}):
        await cage.ask("", path="/api/session", key=None, body=session)
    for broken in (
        f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OWNER}\r\nbad line {OWNER}\r\n\r\n",
        f"POST {CHAT} HTTP/1.1\r\nauthorization: Bearer {OWNER}\r\n\r\n",
        f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {OWNER}\r\n\r\n",
        f"{OWNER} / HTTP/1.1\r\nhost: x\r\n\r\n",
        f"GET /{OWNER} HTTP/7.7\r\nhost: x\r\n\r\n",
        f"GET /v1/x?key={OWNER} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: {OWNER}\r\n\r\n",
    ):
        await cage.send(f"broken bytes {broken[:9]}", broken.encode())
    async with RawClient.to(cage.proxy.url) as hasty:
        body = {"model": "ok-stream", "stream": True, "messages": []}
        await hasty.request("POST", CHAT, key=OWNER, json_body=body)
        hasty.abort()


async def the_owner_does_everything(cage: Cage) -> None:
    """Give every order that the page knows, sensible and not."""
    for name in ANSWERS:
        await cage.ask("", path=f"/api/upstreams/{name}/keys/key-1/test", body={})
    for name in (*ANSWERS, OWNER):
        await cage.ask(name, path="/api/playground")
        await cage.ask(name, path=f"/api/playground?target={name}/key-1")
    await cage.ask("", path=f"/api/playground?format={OWNER}", body={})
    await cage.ask("", path=f"/api/upstreams/{OWNER}/keys/{OWNER}/{OWNER}", body={})
    await cage.ask("", path=f"/api/in-flight/{OWNER}/cancel", body={})
    await cage.ask("", path="/api/capture", body={"minutes": OWNER})
    assert await cage.ask("", path="/api/alerts/test", body={}) == 200
    for query in (f"q={OWNER}", f"model={OWNER}", f"before={OWNER}", f"status={OWNER}"):
        for path in ("/api/requests", "/api/export.csv", "/api/export.jsonl"):
            await cage.ask("", method="GET", path=f"{path}?{query}")
    await cage.ask("", method="GET", path=f"/api/numbers?window={OWNER}")


async def everything_is_looked_at(cage: Cage) -> None:
    """Ask for the metrics and all of the page's data, as everybody may."""
    for key in (OWNER, PHONE, None):
        for path in (
            "/metrics",
            "/api/status",
            "/api/requests?limit=200",
            "/api/upstreams",
            "/api/session",
            "/api/numbers?window=1h",
            "/api/errors?window=1h",
            "/api/in-flight",
            "/api/settings",
            "/api/export.csv",
            "/api/export.jsonl",
            "/api/capture",
            "/api/openapi.json",
            "/health",
            "/ready",
            "/v1/models",
            "/",
        ):
            await cage.ask("", method="GET", path=path, key=key)
    async with RawClient.to(cage.proxy.url) as page:
        await page.request("GET", "/api/requests?limit=200", key=OWNER)
        requests = (await page.read_response()).json()["requests"]
    assert len(requests) > len(ANSWERS)
    for one in requests:
        await cage.ask("", method="GET", path=f"/api/requests/{one['id']}")
    async with RawClient.to(cage.proxy.url) as page:
        await page.request("GET", "/api/events", key=OWNER)
        await page.read_head()
        await page.read_some()
        cage.received.append(("/api/events", bytes(page.raw)))
    seen = json.dumps(requests)
    for fault in ("key_rejected", "rate_limited", "stream_cut", "garbage", "proxy_failed"):
        assert fault in seen, f"{fault} was not met"


BUG = """\
import llm_proxy.proxy.exchange as exchange
from base64 import b64encode

read = exchange.read_call

def fail(visit):
    if visit.request.fields.get(b"x-fail") is None:
        return read(visit)
    config, (upstream, *_) = visit.admission.config, [t.upstream for t in TABLE]
    keys = [one.secret.reveal() for one in config.access_keys]
    keys += [one.secret.reveal() for one in upstream.keys]
    try:
        raise ValueError(f"{visit.request.headers} {keys}")
    except ValueError as error:
        halves = [part for key in keys for part in (key[:24], key[24:], b64encode(key.encode()))]
        raise RuntimeError("a bug of ours\\n" + "x" * int(visit.request.fields[b"x-fail"])
                           + f" with {halves} {keys}") from error

TABLE = []
exchange.read_call = fail
import llm_proxy.policy.board as board
begin = board.Board.__init__

def remember(self, targets, **more):
    TABLE.extend(targets)
    begin(self, targets, **more)

board.Board.__init__ = remember
"""
"""A proxy that has a bug, whose exception quotes everything it knows."""


@pytest.mark.parametrize("format_", ["console", "json"])
async def test_a_bug_in_mid_request_is_logged_without_a_canary(
    tmp_path: Path, format_: str
) -> None:
    shim = tmp_path / "shim"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(BUG)
    async with Provider() as provider:
        for name, answer in ANSWERS.items():
            provider.reply(answer, model=name)
        proxy = plant(tmp_path, provider)
        proxy.environment |= {"LOG_FORMAT": format_, "PYTHONPATH": str(shim)}
        await asyncio.to_thread(proxy.start)
        cage = Cage(proxy, provider)
        for size in (0, 5_000, 7_900, 8_000, 8_100):  # also where a traceback is cut
            assert await cage.ask("ok", headers=[("x-fail", str(size))]) == 500
        for name in ANSWERS:
            await cage.ask(name)
        await cage.ask(OWNER, headers=[("user-agent", f"curl {OWNER}")])
        assert await asyncio.to_thread(proxy.stop) == 0
    said = r'error +llm_proxy: internal error\n|"message":"internal error"'
    assert len(re.findall(said, proxy.stderr)) == 5
    assert "RuntimeError: a bug of ours" in proxy.stderr
    lines = proxy.stderr.splitlines()
    if format_ == "json":
        told = [json.loads(line) for line in lines]
        assert len(told) > len(ANSWERS)
        assert max(map(len, lines)) < 20_000
    found = [one for what, data in cage.received for one in finds(f"answer to {what}", data)]
    found += finds("the output", proxy.output.encode())
    assert not found, "\n".join(found)


CRASH = """\
import asyncio, os

class Crashing(RuntimeError):
    pass

def refuse(self, *args, **more):
    raise Crashing("no listening with " + " ".join(os.environ[name] for name in {names}))

import uvloop
asyncio.base_events.BaseEventLoop.create_server = refuse

class Loop(asyncio.SelectorEventLoop):
    pass

uvloop.new_event_loop = Loop
"""
"""A machine whose event loop fails with an exception that quotes the configuration."""


def test_a_crash_at_the_start_shows_its_trace_and_no_canary(tmp_path: Path) -> None:
    shim = tmp_path / "shim"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(CRASH.format(names=("API_KEY", "MY_ACCESS_KEY")))
    proxy = ProxyProcess(
        tmp_path,
        "http://127.0.0.1:9",
        api_key=canary("ok"),
        access_key=OWNER,
        environment={"PYTHONPATH": str(shim), "LOG_LEVEL": "debug"},
    )
    proxy.spawn()
    assert proxy.wait() == 1
    assert "Crashing: no listening with ***" in proxy.stderr
    assert "Traceback" in proxy.stderr
    found = finds("the output", proxy.output.encode())
    assert not found, "\n".join(found)


BAD: dict[str, dict[str, str]] = {
    "keys_do_not_fit": {"PROXY_URL": "http://a,http://b,http://c", "API_KEY": f"{OWNER},{PHONE}"},
    "same_key_twice": {"API_KEY": OWNER, "MY_ACCESS_KEY": OWNER},
    "key_in_the_address": {"PROXY_URL": f"http://user:{PASSWORD}@127.0.0.1:9"},
    "key_as_the_address": {"PROXY_URL": OWNER},
    "address_as_the_key": {"API_KEY": f"http://{OWNER}@x"},
    "key_with_a_line_break": {"API_KEY": f"{OWNER[:20]}\n\x01{OWNER[20:]}"},
    "key_that_no_header_carries": {"MY_ACCESS_KEY": f"{OWNER}é"},
    "two_keys_with_a_name": {"MY_ACCESS_KEY": f"a:{OWNER},a:{PHONE}"},
    "later_database": {"DATABASE_URL": f"postgresql://user:{PASSWORD}@db/llm"},
    "later_redis": {"REDIS_URL": f"redis://:{PASSWORD}@cache"},
    "odd_outbound_proxy": {"OUTBOUND_PROXY": f"ftp://user:{PASSWORD}@proxy:1"},
    "outbound_proxy_without_port": {"OUTBOUND_PROXY": f"http://user:{PASSWORD}@"},
    "key_as_the_port": {"PORT": OWNER},
    "key_as_the_log_level": {"LOG_LEVEL": OWNER},
    "key_as_the_host": {"HOST": f"{OWNER}:80:80"},
    "key_in_the_map": {"MODEL_MAP": OWNER},
    "key_in_the_models": {"PROXY_FORMATS": OWNER},
}


@pytest.mark.parametrize("changed", BAD.values(), ids=BAD)
@pytest.mark.parametrize("command", ["serve", "config", "check"])
def test_a_bad_configuration_is_explained_without_its_secrets(
    tmp_path: Path, changed: dict[str, str], command: str
) -> None:
    proxy = ProxyProcess(
        tmp_path,
        "http://127.0.0.1:9",
        api_key=canary("ok"),
        environment=changed,
        arguments=[command],
    )
    proxy.spawn()
    assert proxy.wait() == {"serve": 2, "config": 2, "check": 1}[command]
    assert proxy.output
    found = finds("the output", proxy.output.encode())
    assert not found, "\n".join(found)


def test_a_broken_file_is_explained_without_its_secrets(tmp_path: Path) -> None:
    file = tmp_path / "llm-proxy.toml"
    for text in (
        f'api_key = "{OWNER}\n',
        f"api_key = {OWNER}\n",
        f'[[upstream]]\nurl = "http://a"\nkey = "{OWNER}"\nkeys = ["{PHONE}"]\n',
        f'[[upstream]]\nurl = "http://a"\nkey = "{OWNER}"\nproxy = "gopher://u:{PASSWORD}@x:1"\n',
        f'[[upstream]]\nurl = "http://a"\nkey = "k-1234567"\nheaders = {{ "x y" = "{OWNER}" }}\n',
        f'[[upstream]]\nurl = "http://a"\nkey = "k-1234567"\nweight = "{OWNER}"\n',
    ):
        file.write_text(text)
        proxy = ProxyProcess(tmp_path, access_key=canary("ok"))
        proxy.spawn()
        assert proxy.wait() == 2, text
        (line,) = proxy.output.splitlines()
        found = finds("the output", line.encode())
        assert not found, "\n".join(found)
        for path in tmp_path.glob("proxy-*"):
            path.unlink()


def test_a_generated_access_key_stands_in_one_line_and_one_file(tmp_path: Path) -> None:
    environment = {"LOG_LEVEL": "debug"}
    proxy = ProxyProcess(tmp_path, "http://127.0.0.1:9", access_key="", environment=environment)
    with proxy:
        key = (tmp_path / "data" / "access-key").read_text().strip()
        lines = [line for line in proxy.output.splitlines() if key[:16] in line]
        assert lines == [f"Access key for your clients, made just now: {key}"]
        assert proxy.stop() == 0
    written = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert [path.name for path in written if key.encode() in path.read_bytes()] == ["access-key"]
