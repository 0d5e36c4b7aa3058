"""A server under test: started on one core, its whole process tree measured from /proc."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_TICKS_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class StartError(Exception):
    """A server did not get ready; the text ends with what it printed."""


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One process tree pinned to one core.

    Attributes:
        ready_s: From the start of the process to its first 200, seconds.
    """

    def __init__(
        self, command: Sequence[str], *, core: int, log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self._log = log
        self._started_at = time.monotonic()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["taskset", "-c", str(core), *command],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
            )
        self.ready_s = 0.0

    def wait_ready(self, port: int, request: bytes, *, limit_s: float = 15.0) -> None:
        """Ask until a 200 comes, every 2 ms.

        Raises:
            StartError: The process ended, or no 200 came within `limit_s`.
        """
        while time.monotonic() - self._started_at < limit_s:
            if self._process.poll() is not None:
                raise StartError(f"ended with {self._process.returncode}: {self._printed()}")
            if _answers(port, request):
                self.ready_s = time.monotonic() - self._started_at
                return
            time.sleep(0.002)
        raise StartError(f"not ready within {limit_s} s: {self._printed()}")

    def cpu_s(self) -> float:
        """Return user and system time of the tree, children that ended included, seconds."""
        total = 0
        for pid in self._tree():
            fields = _stat(pid)
            total += sum(int(field) for field in fields[11:15])
        return total / _TICKS_S

    def rss_bytes(self) -> int:
        """Return resident bytes of the tree, shared pages counted in each process."""
        return sum(int(_stat(pid)[21]) * _PAGE_BYTES for pid in self._tree())

    def stop(self) -> None:
        """End the tree, politely first."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _tree(self) -> list[int]:
        found = [self._process.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found.extend(int(child) for child in children.read_text().split())
        return found

    def _printed(self) -> str:
        return self._log.read_text(errors="replace")[-2000:].strip()


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on (proc(5) numbers them from 3)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _answers(port: int, request: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(request)
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


class CoreClock:
    """Busy time of one core, from /proc/stat: shows what else ran there."""

    def __init__(self, core: int) -> None:
        self._label = f"cpu{core} "

    def busy_s(self) -> float:
        """Return the time since boot that the core was not idle, stolen time included."""
        for line in Path("/proc/stat").read_text().splitlines():
            if line.startswith(self._label):
                user, nice, system, _idle, _iowait, irq, soft, steal = map(int, line.split()[1:9])
                return (user + nice + system + irq + soft + steal) / _TICKS_S
        raise StartError(f"no {self._label.strip()} in /proc/stat")
