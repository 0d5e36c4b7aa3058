"""The real proxy as a subprocess, as a user starts it.

::

    with ProviderThread() as provider, ProxyProcess(tmp_path, provider.url) as proxy:
        answer = httpx.get(proxy.url + "/health")

Leaving the block stops it by SIGTERM and asserts exit code 0 and no traceback in its output,
unless the test has stopped or killed it itself. In async tests `async with` does the same
without blocking the loop (the provider may live in it).
"""

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ACCESS_KEY = "sk-test-access-key-0123456789"
UPSTREAM_KEY = "sk-test-upstream-key-9876543210"


class ProxyProcess:
    """One proxy process.

    Attributes:
        directory: Where its data and output go.
        port: The port it listens on.
        access_key: What clients present.
        environment: What it was started with.
    """

    def __init__(
        self,
        directory: Path,
        proxy_url: str | Sequence[str] = (),
        *,
        api_key: str | Sequence[str] = UPSTREAM_KEY,
        access_key: str = ACCESS_KEY,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        port: int | None = None,
    ) -> None:
        """Prepare a start; nothing runs before `start` or the `with` block.

        Args:
            directory: A test's own directory; `data` and the output files are made in it.
            proxy_url: Upstream address or addresses; empty = PROXY_URL is not set.
            api_key: Upstream key or keys.
            access_key: MY_ACCESS_KEY; empty = not set.
            environment: More variables; they win over the above.
            arguments: Command-line arguments, such as `["demo"]`.
            port: Listening port; None = a free one.
        """
        self.directory = directory
        self.port = port or free_port()
        self.access_key = access_key
        self.arguments = list(arguments)
        urls = [proxy_url] if isinstance(proxy_url, str) else list(proxy_url)
        keys = [api_key] if isinstance(api_key, str) else list(api_key)
        settings = {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "PROXY_URL": ",".join(urls),
            "API_KEY": ",".join(keys) if urls else "",
            "MY_ACCESS_KEY": access_key,
            "DATA_DIR": str(directory / "data"),
        }
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        chosen = {name: value for name, value in settings.items() if value}
        self.environment = kept | chosen | dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped_by_test = False

    @property
    def url(self) -> str:
        """Return `http://127.0.0.1:PORT`, no slash behind."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._running().pid

    @property
    def stdout(self) -> str:
        """Return what it wrote to its standard output so far."""
        return self._text("stdout")

    @property
    def stderr(self) -> str:
        """Return what it wrote to its standard error so far."""
        return self._text("stderr")

    @property
    def output(self) -> str:
        """Return both outputs, for searches."""
        return self.stdout + self.stderr

    def start(self, *, within_s: float = 10.0) -> float:
        """Start and wait until `/health` answers 200; return the seconds that took.

        Raises:
            AssertionError: It ended or did not answer in time; the message holds its output.
        """
        started_at = time.monotonic()
        self.spawn()
        while time.monotonic() - started_at < within_s:
            code = self._running().poll()
            if code is not None:
                raise AssertionError(f"the proxy ended with {code}:\n{self.output}")
            if self._is_healthy():
                return time.monotonic() - started_at
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"no answer from /health in {within_s} s:\n{self.output}")

    def spawn(self) -> None:
        """Start without waiting, for starts that are meant to fail; see `wait`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._stopped_by_test = False
        # appended, so that a restarted proxy's output stands behind the first one's
        with self._path("stdout").open("ab") as out, self._path("stderr").open("ab") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "llm_proxy", *self.arguments],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGHUP."""
        self._running().send_signal(number)

    def wait(self, *, within_s: float = 10.0) -> int:
        """Wait for its end and return the exit code.

        Raises:
            AssertionError: It still ran; it is killed then.
        """
        self._stopped_by_test = True
        process = self._running()
        try:
            return process.wait(timeout=within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"still running after {within_s} s:\n{self.output}") from None

    def stop(self, *, within_s: float = 10.0) -> int:
        """Send SIGTERM, wait, return the exit code."""
        self.send_signal(signal.SIGTERM)
        return self.wait(within_s=within_s)

    def kill(self) -> None:
        """Send SIGKILL and wait."""
        self._stopped_by_test = True
        self._running().kill()
        self._running().wait()

    def resident_bytes(self) -> int:
        """Return its resident memory now (Linux)."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stopped_by_test:
            return
        if exc is not None:
            self.kill()
            return
        code = self._running().poll()
        if code is None:
            code = self.stop()
        assert code == 0, f"exit code {code}:\n{self.output}"
        assert "Traceback (most recent call last)" not in self.output, self.output

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, exc, trace)

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", "/health")
            response = connection.getresponse()
            response.read()
            return response.status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the proxy was not started")
        return self._process

    def _path(self, stream: str) -> Path:
        return self.directory / f"proxy-{self.port}.{stream}"

    def _text(self, stream: str) -> str:
        path = self._path(stream)
        return path.read_text(errors="replace") if path.exists() else ""


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
"""Variables the proxy gets from the test run; no setting of the machine must leak into a test."""
