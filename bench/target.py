"""What is measured: nginx, the proxy, and no proxy at all; all started fresh for every round.

nginx does the same work as far as it can: it replaces the credential, keeps connections to the
upstream alive, does not hold streams back, and writes a line for every request.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from string import Template

from bench.payload import ACCESS_KEY, UPSTREAM_KEY, json_plans, request_bytes
from bench.process import Server, StartError, free_port

NAMES = ("nginx", "proxy", "direct")
_SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
_ROOT = Path(__file__).resolve().parent.parent

_NGINX = Template("""\
daemon off;
pid $folder/pid;
error_log $folder/error.log warn;
$user
worker_processes 1;
worker_rlimit_nofile 16384;
events { worker_connections 8192; multi_accept on; }
http {
  access_log $folder/access.log;
  client_body_temp_path $folder/body; proxy_temp_path $folder/proxy;
  fastcgi_temp_path $folder/fastcgi; uwsgi_temp_path $folder/uwsgi; scgi_temp_path $folder/scgi;
  tcp_nodelay on;
  keepalive_requests 100000000;
  upstream provider {
    server 127.0.0.1:$provider;
    keepalive 4096;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:$port backlog=4096;
    location = /health { access_log off; return 200 "ok"; }
    location / {
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_set_header Host $$host;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer $key";
    }
  }
}
""")


class Target:
    """Something that answers chat completions on a loopback port.

    Attributes:
        name: `nginx`, `proxy` or `direct`.
        port: Where it listens.
        key: What its clients present.
        server: The process under test; None for `direct`.
    """

    def __init__(self, name: str, port: int, key: str, server: Server | None) -> None:
        self.name = name
        self.port = port
        self.key = key
        self.server = server


@contextmanager
def provider(
    core: int, contents: int, interval_s: float, folder: Path, *, is_lenient: bool = False
) -> Iterator[tuple[Target, Server]]:
    """Run the mock provider on `core`: the target `direct`, and its process."""
    port = free_port()
    command = [sys.executable, "-m", "bench.provider", "--port", str(port)]
    command += ["--contents", str(contents), "--interval", str(interval_s)]
    command += ["--lenient"] if is_lenient else []
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    server = Server(command, core=core, log=folder / "provider.log", env=environment)
    try:
        server.wait_ready(port, request_bytes(json_plans()[0], port, UPSTREAM_KEY))
        yield Target("direct", port, UPSTREAM_KEY, None), server
    finally:
        server.stop()


@contextmanager
def started(
    names: Sequence[str], direct: Target, core: int, python: str
) -> Iterator[dict[str, Target]]:
    """Start the named targets on `core`, each in a fresh folder; stop them at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        targets = {}
        for name in names:
            if name == "direct":
                targets[name] = direct
                continue
            own = folder / name
            own.mkdir()
            target = _start(name, direct.port, core, python, own)
            assert target.server is not None
            stack.callback(target.server.stop)
            health = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\n\r\n"
            target.server.wait_ready(target.port, health.encode())
            targets[name] = target
        yield targets


def _start(name: str, provider_port: int, core: int, python: str, folder: Path) -> Target:
    port = free_port()
    log = folder / "output.log"
    if name == "nginx":
        command = [nginx_path(), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
        (folder / "nginx.conf").write_text(
            _NGINX.substitute(
                folder=folder,
                user="user root;" if os.geteuid() == 0 else "",
                provider=provider_port,
                port=port,
                key=UPSTREAM_KEY,
            )
        )
        return Target(name, port, ACCESS_KEY, Server(command, core=core, log=log))
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PROXY_URL": f"http://127.0.0.1:{provider_port}",
        "API_KEY": UPSTREAM_KEY,
        "MY_ACCESS_KEY": ACCESS_KEY,
        "DATA_DIR": str(folder / "data"),
        "LOG_LEVEL": "warning",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "MAX_CONCURRENCY": "4000",
    }
    server = Server([python, "-m", "llm_proxy"], core=core, log=log, env=environment)
    return Target(name, port, ACCESS_KEY, server)


def nginx_path() -> str:
    """Return where nginx is installed.

    Raises:
        StartError: It is not.
    """
    found = shutil.which("nginx", path=_SEARCH)
    if found is None:
        raise StartError("nginx is not installed: apt-get install nginx-light")
    return found
