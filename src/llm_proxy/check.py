"""Tries the configuration against the real upstreams, at no cost in tokens.

For each upstream: name resolution, TCP and TLS one by one, as each has its own cure; then each
key against the model list, in the OpenAI shape and in Anthropic's; then which formats it speaks
(`check_formats.py`). Blocking sockets from the standard library: it shares no code with the data
path, so it can also tell when that one is at fault. No text of an upstream is printed.
"""

import base64
import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import msgspec

from llm_proxy.check_formats import NOT_THERE, PATHS, Reply, try_formats
from llm_proxy.config.kinds import FORMATS
from llm_proxy.config.settings import Settings
from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.redact import Redactor
from llm_proxy.domain.secret import Secret
from llm_proxy.domain.target import Key, Upstream

_ANSWER_S = 20.0
_MAX_BODY_BYTES = 4 << 20
_MAX_HEAD_BYTES = 16 << 10
_SHOWN_MODELS = 5


class Finding(msgspec.Struct, frozen=True):
    """One line of the report.

    Attributes:
        level: `ok`, `note`, `warn` or `FAIL`; only FAIL makes the exit code 1.
        text: Without secrets.
    """

    level: str
    text: str


class _UnusableError(Exception):
    """An upstream that cannot be used; the text says at which step and what helps."""


class _Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes


def check(settings: Settings, problems: list[ConfigError]) -> Iterator[Finding]:
    """Yield what is wrong with the configuration, then what each upstream and key says."""
    secrets = [key.secret for one in settings.upstreams for key in one.keys if key.secret]
    redactor = Redactor([*secrets, *(key.secret for key in settings.access_keys)])
    for problem in problems:
        yield Finding("FAIL", str(problem))
    for line in settings.repairs:
        yield Finding("note", f"repaired: {line}")
    for line in settings.warnings:
        yield Finding("warn", line)
    if not problems:
        yield Finding("ok", "the configuration can be used")
    for upstream in settings.upstreams:
        for finding in _check_upstream(upstream):
            yield Finding(finding.level, redactor.text(f"{upstream.name}: {finding.text}"))


def check_key(upstream: Upstream, key: Key) -> Finding:
    """Return what the upstream says about one key. The text may hold its model names."""
    try:
        return _try_key(upstream, key)[0]
    except _UnusableError as failure:
        return Finding("FAIL", f"{key.label}: {failure}")


def _check_upstream(upstream: Upstream) -> Iterator[Finding]:
    where = f"{upstream.address}{upstream.root}"
    began = time.monotonic()
    try:
        connect(upstream).close()
    except _UnusableError as failure:
        yield Finding("FAIL", f"{where}: {failure}")
        return
    steps = "name resolution, TCP and TLS" if upstream.scheme == "https" else "TCP, no TLS"
    way = " through the outbound proxy" if upstream.proxy else ""
    took_ms = (time.monotonic() - began) * 1000
    yield Finding("ok", f"{where}: reached{way} ({steps}) in {took_ms:.0f} ms")
    good_key: Key | None = None
    models: set[str] = set()
    for key in upstream.keys:
        try:
            finding, listed = _try_key(upstream, key)
        except _UnusableError as failure:
            finding, listed = Finding("FAIL", f"{key.label}: {failure}"), None
        yield finding
        if finding.level != "FAIL":
            good_key = good_key or key
            models |= listed or set()
    if good_key is not None:
        yield from _try_formats(upstream, good_key)
        yield from _compare_models(upstream, models)


def _try_key(upstream: Upstream, key: Key) -> tuple[Finding, set[str] | None]:
    """Return what the model list says about a key, and the models if it was readable."""
    shapes = ["messages", "chat"] if upstream.formats == ("messages",) else ["chat", "messages"]
    statuses: list[int] = []
    for shape in shapes:
        answer = ask(upstream, "GET", "/models", _auth(upstream, key, shape))
        statuses.append(answer.status)
        if answer.status == 200:
            models = _model_names(answer.body)
            if models is None:
                problem = "the model list is no JSON; is this the address of the API?"
                return Finding("FAIL", f"{key.label}: {problem}"), None
            return Finding("ok", f"{key.label}: accepted, {_counted(models)}"), models
        if answer.status == 429:
            return Finding("warn", f"{key.label}: accepted, but rate limited just now"), None
    if statuses[0] not in NOT_THERE | {401, 403}:
        return Finding("FAIL", f"{key.label}: the model list answers {statuses[0]}"), None
    if any(status in NOT_THERE for status in statuses):
        # No model list in one of the shapes: the endpoints themselves must tell.
        for name in upstream.formats or FORMATS:
            answer = ask(upstream, "POST", PATHS[name], _auth(upstream, key, name), b"{}")
            if answer.status in {401, 403}:
                break
            if answer.status not in NOT_THERE:
                return Finding("ok", f"{key.label}: not refused (no model list)"), None
        else:
            problem = "no endpoint answers here; is the path right?"
            return Finding("FAIL", f"{key.label}: {problem}"), None
    refused = next((status for status in statuses if status in {401, 403}), 401)
    return Finding("FAIL", f"{key.label}: refused by the upstream ({refused})"), None


def _try_formats(upstream: Upstream, key: Key) -> Iterator[Finding]:
    def post(to: Upstream, path: str, name: str) -> Reply:
        try:
            answer = ask(to, "POST", path, _auth(to, key, name), b"{}")
        except _UnusableError as failure:
            return Reply(0, failure=str(failure))
        return Reply(answer.status, answer.body)

    for level, text in try_formats(upstream, post):
        yield Finding(level, text)


def _compare_models(upstream: Upstream, models: set[str]) -> Iterator[Finding]:
    absent = [name for name in upstream.models if "*" not in name and name not in models]
    if models and absent:
        yield Finding("warn", f"models: configured but not in its list: {', '.join(absent)}")


def _model_names(body: bytes) -> set[str] | None:
    try:
        listed = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    rows = listed.get("data", listed.get("models")) if isinstance(listed, dict) else listed
    if not isinstance(rows, list):
        return set() if isinstance(listed, dict) else None
    names = {row.get("id", row.get("name")) for row in rows if isinstance(row, dict)}
    return {name for name in names if isinstance(name, str) and name.isprintable()}


def _counted(models: set[str]) -> str:
    first = ", ".join(name[:60] for name in sorted(models)[:_SHOWN_MODELS])
    more = ", …" if len(models) > _SHOWN_MODELS else ""
    return f"{len(models)} models" + (f" ({first}{more})" if models else "")


def _auth(upstream: Upstream, key: Key, name: str) -> dict[str, str]:
    headers = dict(upstream.headers)
    if name == "messages":
        headers.setdefault("anthropic-version", "2023-06-01")
    if key.secret is None:
        return headers
    if name == "messages" and upstream.message_auth == "x-api-key":
        headers["x-api-key"] = key.secret.reveal()
    else:
        headers["authorization"] = f"Bearer {key.secret.reveal()}"
    return headers


def ask(
    upstream: Upstream, method: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> _Answer:
    """Send one request on a connection of its own and return the answer, at most 4 MiB of it.

    Raises:
        _UnusableError: There was no usable answer.
    """
    connection = http.client.HTTPConnection(upstream.host, upstream.port, timeout=_ANSWER_S)
    connection.sock = connect(upstream)
    fields = {"host": upstream.authority, "user-agent": "llm-proxy-check"} | headers
    if body is not None:
        fields["content-type"] = "application/json"
    try:
        connection.request(method, upstream.root + path, body=body, headers=fields)
        response = connection.getresponse()
        answer = _Answer(response.status, response.read(_MAX_BODY_BYTES))
    except TimeoutError:
        raise _UnusableError(f"no answer to {method} {path} within {_ANSWER_S:.0f} s") from None
    except (OSError, http.client.HTTPException) as error:
        raise _UnusableError(
            f"no usable answer to {method} {path} ({type(error).__name__})"
        ) from None
    finally:
        connection.close()
    if 300 <= answer.status < 400:
        raise _UnusableError(f"{method} {path} is redirected; use the address it is redirected to")
    return answer


def connect(upstream: Upstream) -> socket.socket:
    """Return a connected socket, TLS done, through the outbound proxy where there is one.

    Raises:
        _UnusableError: Which step failed, and what helps.
    """
    limit_s = upstream.timeouts.connect_s or 10.0
    if upstream.proxy is None:
        sock = _connect_tcp("the upstream", upstream.host, upstream.port, limit_s)
    else:
        sock = _through_proxy(upstream, upstream.proxy, limit_s)
    sock.settimeout(_ANSWER_S)
    if upstream.scheme != "https":
        return sock
    try:
        return ssl.create_default_context().wrap_socket(sock, server_hostname=upstream.host)
    except ssl.SSLCertVerificationError as error:
        sock.close()
        raise _UnusableError(
            f"TLS: the certificate is not trusted ({error.verify_message})"
        ) from None
    except ssl.SSLError as error:
        sock.close()
        cure = (
            "; does the port speak plain http://?" if error.reason == "WRONG_VERSION_NUMBER" else ""
        )
        raise _UnusableError(f"TLS: no agreement ({error.reason}){cure}") from None
    except OSError as error:
        sock.close()
        raise _UnusableError(f"TLS: the connection broke ({type(error).__name__})") from None


def _connect_tcp(who: str, host: str, port: int, limit_s: float) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _UnusableError(f"name resolution: the name of {who} is not known here") from None
    problem = f"TCP: {who} cannot be reached"
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(limit_s)
        try:
            sock.connect(address)
        except TimeoutError:
            problem = f"TCP: {who} did not answer within {limit_s:g} s"
        except OSError as error:
            problem = f"TCP: {who} cannot be reached ({error.strerror})"
        else:
            return sock
        sock.close()
    raise _UnusableError(problem)


def _through_proxy(upstream: Upstream, proxy: Secret, limit_s: float) -> socket.socket:
    parts = urlsplit(proxy.reveal())
    login = (unquote(parts.username or ""), unquote(parts.password or ""))
    shake = _socks5 if parts.scheme == "socks5" else _http_connect
    sock = _connect_tcp("the outbound proxy", parts.hostname or "", parts.port or 80, limit_s)
    try:
        shake(sock, upstream, login)
    except OSError as error:
        sock.close()
        raise _UnusableError(f"outbound proxy: it broke off ({type(error).__name__})") from None
    except _UnusableError:
        sock.close()
        raise
    return sock


def _http_connect(sock: socket.socket, upstream: Upstream, login: tuple[str, str]) -> None:
    host = f"[{upstream.host}]" if ":" in upstream.host else upstream.host
    authority = f"{host}:{upstream.port}"
    head = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
    if any(login):
        token = base64.b64encode(":".join(login).encode()).decode()
        head += f"Proxy-Authorization: Basic {token}\r\n"
    sock.sendall(f"{head}\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        # Byte by byte: what follows the head belongs to the tunnel.
        answer += _read(sock, 1)
        if len(answer) > _MAX_HEAD_BYTES:
            raise _UnusableError("outbound proxy: it is no HTTP proxy")
    status = answer.split(b" ", 2)[1][:3].decode("ascii", "replace") if b" " in answer else "?"
    if not status.startswith("2"):
        raise _UnusableError(f"outbound proxy: it refused with {status}")


def _socks5(sock: socket.socket, upstream: Upstream, login: tuple[str, str]) -> None:
    sock.sendall(b"\x05\x02\x00\x02" if any(login) else b"\x05\x01\x00")
    version, method = _read(sock, 2)
    if version != 5 or method not in {0, 2}:
        raise _UnusableError("outbound proxy: it is no SOCKS5 proxy, or wants another sign-in")
    if method == 2:
        user, password = (part.encode()[:255] for part in login)
        sock.sendall(b"\x01%c%b%c%b" % (len(user), user, len(password), password))
        if _read(sock, 2)[1] != 0:
            raise _UnusableError("outbound proxy: it refused the user and password")
    name = upstream.host.encode()
    sock.sendall(b"\x05\x01\x00\x03%c%b%b" % (len(name), name, upstream.port.to_bytes(2, "big")))
    _, code, _, kind = _read(sock, 4)
    if code != 0:
        raise _UnusableError(f"outbound proxy: SOCKS error {code}")
    length = {1: 4, 4: 16}.get(kind)
    _read(sock, (length if length is not None else _read(sock, 1)[0]) + 2)


def _read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise _UnusableError("outbound proxy: it closed the connection")
        data += piece
    return data


def connection_here(host: str, port: int, limit_s: float = 4.0) -> http.client.HTTPConnection:
    """Return a connection to the proxy that listens on this machine, not made yet."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - replaced, not bound
    return http.client.HTTPConnection(everywhere.get(host, host), port, timeout=limit_s)


def is_healthy(host: str, port: int) -> bool:
    """Return whether a proxy on this machine answers `/health`; for container health checks."""
    connection = connection_here(host, port)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
