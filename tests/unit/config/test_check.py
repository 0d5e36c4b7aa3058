"""`llm-proxy check` against real servers on loopback."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

from llm_proxy.check import check, is_healthy

from .conftest import ACCESS_KEY, UPSTREAM_KEY, Load

Answer = tuple[int, str]
Rule = Callable[[str, str, dict[str, str]], Answer]
MODELS = '{"data": [{"id": "gpt-5"}, {"id": "o3"}]}'


@contextmanager
def serving(rule: Rule, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Run a server that answers what `rule` says of (method, path, headers)."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, body = rule(self.command, self.path, headers)
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = _answer  # noqa: N815 - the names the server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def openai(method: str, path: str, headers: dict[str, str]) -> Answer:
    """Speak Chat Completions and Responses, with one good key; echo the key like bad gateways."""
    if path not in {"/v1/models", "/v1/chat/completions", "/v1/responses"}:
        return 404, "404 page not found"
    if headers.get("authorization") != f"Bearer {UPSTREAM_KEY}":
        return 401, f'{{"error": "wrong key {headers}"}}'
    if path == "/v1/models":
        return 200, MODELS
    return 400, '{"error": {"message": "you must provide a model parameter"}}'


def anthropic(method: str, path: str, headers: dict[str, str]) -> Answer:
    if headers.get("x-api-key") != UPSTREAM_KEY or "anthropic-version" not in headers:
        return 401, "{}"
    if path == "/v1/models":
        return 200, '{"data": [{"id": "claude-opus-5"}]}'
    return (400, "{}") if path == "/v1/messages" else (404, "{}")


def no_models(method: str, path: str, headers: dict[str, str]) -> Answer:
    if path == "/v1/models":
        return 404, "404 page not found"
    return openai(method, path, headers)


def report(load_with: Load, **environ: str) -> list[str]:
    settings = load_with(NO_PROXY="*", **environ)
    found = [f"{one.level} {one.text}" for one in check(settings, [])]
    assert not any(key in line for line in found for key in (UPSTREAM_KEY, ACCESS_KEY))
    return found


def test_a_good_upstream_is_shown_with_its_formats_and_models(load_with: Load) -> None:
    with serving(openai) as url:
        lines = report(load_with, PROXY_URL=url, PROXY_MODELS="o3", PROXY_FORMATS="chat,responses")
    assert lines[0] == "ok the configuration can be used"
    assert f"{url}: reached (TCP, no TLS) in " in lines[1]
    assert lines[2:] == [
        "ok upstream-1: key-1 …6789: accepted, 2 models (gpt-5, o3)",
        "ok upstream-1: formats: speaks chat, responses",
    ]


def test_a_messages_upstream_is_asked_in_its_own_shape(load_with: Load) -> None:
    with serving(anthropic) as url:
        lines = report(load_with, PROXY_URL=url)
    assert "ok upstream-1: key-1 …6789: accepted, 1 models (claude-opus-5)" in lines
    assert "ok upstream-1: formats: speaks messages" in lines


def test_a_refused_key_is_named_among_good_ones(load_with: Load) -> None:
    with serving(openai) as url:
        lines = report(load_with, PROXY_URL=url, API_KEY=f"{UPSTREAM_KEY},wrong-canary-0000")
    assert "FAIL upstream-1: key-2 …0000: refused by the upstream (401)" in lines
    assert not any("canary" in line for line in lines)


def test_without_a_model_list_the_endpoints_tell_about_the_key(load_with: Load) -> None:
    with serving(no_models) as url:
        good = report(load_with, PROXY_URL=url)
        bad = report(load_with, PROXY_URL=url, API_KEY="wrong-canary-0000")
    assert "ok upstream-1: key-1 …6789: not refused (no model list)" in good
    assert "FAIL upstream-1: key-1 …0000: refused by the upstream (401)" in bad


def test_wrong_formats_and_absent_models_are_found(load_with: Load) -> None:
    with serving(openai) as url:
        lines = report(
            load_with, PROXY_URL=url, PROXY_FORMATS="chat,messages", PROXY_MODELS="o3,o9"
        )
    advice = "set PROXY_FORMATS=chat,responses for it"
    assert f"FAIL upstream-1: formats: configured but not there: messages; {advice}" in lines
    assert "warn upstream-1: models: configured but not in its list: o9" in lines


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((200, "<html>"), "is this the address of the API?"),
        ((302, ""), "redirected"),
        ((500, ""), "the model list answers 500"),
        ((404, ""), "no endpoint answers here"),
    ],
)
def test_an_address_that_is_no_api_is_told_apart(
    load_with: Load, answer: Answer, says: str
) -> None:
    with serving(lambda *_: answer) as url:
        lines = report(load_with, PROXY_URL=url)
    assert any(line.startswith("FAIL") and says in line for line in lines)


def test_a_rate_limited_key_is_good(load_with: Load) -> None:
    with serving(lambda *_: (429, "")) as url:
        lines = report(load_with, PROXY_URL=url)
    assert "warn upstream-1: key-1 …6789: accepted, but rate limited just now" in lines


def test_a_closed_port_an_unknown_name_and_a_bad_certificate_are_told_apart(
    load_with: Load,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert "TCP: " in report(load_with, PROXY_URL=f"http://127.0.0.1:{port}")[-1]
    assert "name resolution: " in report(load_with, PROXY_URL="https://nowhere.invalid")[-1]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with serving(openai, context) as url:
        assert "TLS: the certificate is not trusted" in report(load_with, PROXY_URL=url)[-1]
    with serving(openai) as url:
        line = report(load_with, PROXY_URL=url.replace("http:", "https:"))[-1]
    assert "does the port speak plain http://?" in line


def test_the_outbound_proxy_is_used_and_its_refusal_named(load_with: Load) -> None:
    seen: list[bytes] = []

    def refuse(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            seen.append(connection.recv(4096))
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        proxy = f"http://user:canary@127.0.0.1:{listener.getsockname()[1]}"
        settings = load_with(OUTBOUND_PROXY=proxy)
        line = [one.text for one in check(settings, [])][-1]
        thread.join()
    assert "outbound proxy: it refused with 407" in line
    assert "canary" not in line
    assert seen[0].startswith(b"CONNECT api.example.com:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpjYW5hcnk=" in seen[0]


def test_socks5_carries_the_name_and_the_request(load_with: Load) -> None:
    names: list[bytes] = []

    def relay(listener: socket.socket, port: int) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, socket.create_connection(("127.0.0.1", port), 10) as upstream:
                connection.settimeout(10)
                connection.recv(3)
                connection.sendall(b"\x05\x00")
                names.append(connection.recv(300)[5:-2])
                connection.sendall(b"\x05\x00\x00\x01\0\0\0\0\0\0")
                request = connection.recv(65536)
                if not request:
                    continue
                if request.startswith(b"POST"):
                    while not request.endswith(b"{}"):
                        request += connection.recv(65536)
                upstream.sendall(request)
                connection.sendall(upstream.recv(65536))
                while piece := upstream.recv(65536):
                    connection.sendall(piece)

    with serving(openai) as url, socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=relay, args=(listener, int(url[:-3].rpartition(":")[2])))
        thread.start()
        settings = load_with(
            PROXY_URL=url.replace("127.0.0.1", "upstream.invalid"),
            OUTBOUND_PROXY=f"socks5://127.0.0.1:{listener.getsockname()[1]}",
        )
        lines = [one.text for one in check(settings, [])]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert "upstream-1: formats: speaks chat, responses" in lines
    assert set(names) == {b"upstream.invalid"}


def test_health_is_asked_of_this_machine() -> None:
    with serving(lambda *words: (200 if words[1] == "/health" else 404, "")) as url:
        port = int(url[:-3].rpartition(":")[2])
        assert is_healthy("0.0.0.0", port)
    assert not is_healthy("127.0.0.1", port)
