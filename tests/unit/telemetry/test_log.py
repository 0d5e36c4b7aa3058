"""Every line passes one sink that never blocks, never floods and never tells a secret."""

import base64
import io
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

import msgspec
import pytest

from llm_proxy.domain.record import Attempt, Outcome, Record
from llm_proxy.domain.redact import Redactor
from llm_proxy.domain.secret import Secret
from llm_proxy.telemetry import log
from llm_proxy.telemetry.log import LogSink

CANARY = "canary/0123456789abcdef0123456789abcdef"


@pytest.fixture
def configured() -> Iterator[list[LogSink]]:
    """Gives the root logger to the test alone and stops the sinks a test collects here."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    sinks: list[LogSink] = []
    yield sinks
    root.handlers[:] = handlers
    root.setLevel(level)
    for sink in sinks:
        sink.stop(2.0)


class Pipe:
    """A pipe whose reading end is ours."""

    def __init__(self) -> None:
        self.read_fd, write_fd = os.pipe()
        self.stream: TextIO = os.fdopen(write_fd, "w")
        self._rest = b""

    def lines_until(self, word: str, timeout_s: float = 20.0) -> list[str]:
        """Read lines up to and with the first that contains `word`."""
        lines: list[str] = []
        end = time.monotonic() + timeout_s
        while True:
            while b"\n" in self._rest:
                line, _, self._rest = self._rest.partition(b"\n")
                lines.append(line.decode())
                if word in lines[-1]:
                    return lines
            left_s = end - time.monotonic()
            ready, _, _ = select.select([self.read_fd], [], [], max(0.0, left_s))
            assert ready, f"no line with {word!r} among {lines[-3:]}"
            piece = os.read(self.read_fd, 65_536)
            assert piece, f"the pipe ended before {word!r}"
            self._rest += piece

    def close(self) -> None:
        os.close(self.read_fd)
        self.stream.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def text_of(sink: LogSink, stream: io.StringIO) -> str:
    assert sink.stop(5.0)
    return stream.getvalue()


def record(**given: object) -> Record:
    fields: dict[str, object] = {
        "id": "01KB0000000000000000000001",
        "at_ms": 1_764_000_000_000,
        "format": "chat",
        "method": "POST",
        "path": "/v1/chat/completions",
        "outcome": Outcome.OK,
        "status": 200,
        "total_ms": 812.3,
        "model": "gpt-5",
        "upstream": "upstream-1",
        "attempts": [
            Attempt("upstream-1", "key-1 …ab12", status=429, fault="rate_limited"),
            Attempt("upstream-1", "key-2 …cd34", status=200),
        ],
    }
    return Record(**(fields | given))  # type: ignore[arg-type]


@pytest.mark.parametrize("format_", ["console", "json"])
def test_no_form_of_a_secret_reaches_the_stream(format_: str, configured: list[LogSink]) -> None:
    stream = io.StringIO()
    sink = log.configure("debug", format_, Redactor([Secret(CANARY)]), stream)
    configured.append(sink)
    logger = logging.getLogger("llm_proxy.net.upstream")
    coded = base64.b64encode(f"user:{CANARY}".encode()).decode()
    logger.warning("upstream said %s", CANARY)
    logger.warning("cut: %s", CANARY[:16], extra={"header": f"Basic {coded}", "n": 3})
    logger.warning("second line\n%s", CANARY)
    try:
        raise RuntimeError(f"bad key {CANARY}")
    except RuntimeError:
        logger.exception("failed")
    sink.log_record(record(model=CANARY, error=f"said {CANARY}", outcome=Outcome.CUT))
    text = text_of(sink, stream)
    assert CANARY not in text
    assert CANARY[:16] not in text
    assert coded[8:40] not in text
    assert "RuntimeError: bad key ***" in text
    assert text.count("***") >= 6


def test_json_lines_are_json_whatever_is_logged(configured: list[LogSink]) -> None:
    stream = io.StringIO()
    sink = log.configure("info", "json", Redactor(), stream)
    configured.append(sink)
    logging.getLogger("llm_proxy.a").info('quote " newline \n half \ud800 end', extra={"n": 3})
    sink.log_record(record())
    first, second = map(msgspec.json.decode, text_of(sink, stream).splitlines())
    assert first["message"].startswith('quote " newline \n half ')
    assert (first["level"], first["logger"], first["n"]) == ("info", "a", 3)
    assert second["at"] == "2025-11-24T16:00:00.812Z"
    assert second["outcome"] == "ok"
    assert second["attempts"] == 2
    assert second["faults"] == ["rate_limited 429 at upstream-1 key-1 …ab12"]


def test_a_client_cannot_forge_a_line_or_repaint_the_terminal(configured: list[LogSink]) -> None:
    stream = io.StringIO()
    sink = log.configure("info", "console", Redactor(), stream)
    configured.append(sink)
    sink.log_record(record(model="x\n2026-01-01 info forged\x1b[2J\x9b2J"))
    text = text_of(sink, stream)
    assert text.count("\n") == 1
    assert "\\n2026-01-01 info forged\\x1b[2J\\x9b2J" in text


def test_a_client_cannot_add_fields_to_a_line_or_turn_its_direction(
    configured: list[LogSink],
) -> None:
    stream = io.StringIO()
    sink = log.configure("info", "console", Redactor(), stream)
    configured.append(sink)
    sink.log_record(record(model='x" status=500 outcome="ok', error="a=b \u202e\u2066 \\"))
    text = text_of(sink, stream)
    assert r'model="x\" status=500 outcome=\"ok"' in text
    assert 'error="a=b \\u202e\\u2066 \\\\"' in text


@pytest.mark.parametrize("format_", ["console", "json"])
@pytest.mark.parametrize("around", range(0, 80, 7))
def test_a_long_traceback_is_cut_without_cutting_a_secret_in_two(
    configured: list[LogSink], format_: str, around: int
) -> None:
    """Its beginning goes; where a secret lies across the cut, no half of it may stay."""
    stream = io.StringIO()
    sink = log.configure("info", format_, Redactor([Secret(CANARY)]), stream)
    configured.append(sink)
    tail = "z" * (8_192 - around)
    try:
        raise RuntimeError(f"bad {CANARY} {tail}")
    except RuntimeError:
        logging.getLogger("llm_proxy.x").exception("failed")
    text = text_of(sink, stream)
    assert len(text) < 10_000
    assert tail[:8_000] in text
    assert CANARY[-8:] not in text


def test_a_flood_of_one_kind_is_cut_and_counted_and_other_kinds_pass(
    configured: list[LogSink],
) -> None:
    stream = io.StringIO()
    now = [100.0]
    sink = log.configure("info", "console", Redactor(), stream, clock=lambda: now[0])
    configured.append(sink)
    flood, other = logging.getLogger("llm_proxy.flood"), logging.getLogger("llm_proxy.other")
    for n in range(1_000):
        flood.warning("flood %d", n)
        if n % 500 == 0:
            flood.warning("named", extra={"kind": "named"})
    other.warning("still here")
    now[0] += 1.0
    flood.warning("next second")
    text = text_of(sink, stream)
    assert text.count("flood:") == log.LINES_PER_S + 2 + 1
    assert "900 more lines of this kind were left out" in text
    assert text.count("still here") == text.count("next second") == 1
    assert sink.suppressed == 900


def test_the_surplus_is_told_even_if_nothing_is_logged_afterwards(
    pipe: Pipe, configured: list[LogSink]
) -> None:
    sink = log.configure("info", "console", Redactor(), pipe.stream)
    configured.append(sink)
    for n in range(log.LINES_PER_S * 2):
        logging.getLogger("llm_proxy.flood").warning("flood %d", n)
    lines = pipe.lines_until("more lines of this kind were left out")
    assert "flood" in lines[-1]


def test_a_stalled_pipe_blocks_nobody_and_tells_its_losses_when_it_moves(
    pipe: Pipe, configured: list[LogSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "LINES_PER_S", 10**9)
    sink = log.configure("info", "console", Redactor(), pipe.stream)
    configured.append(sink)
    logger = logging.getLogger("llm_proxy.stalled")
    slowest_s = 0.0
    for n in range(5_000):
        begun = time.thread_time()
        logger.info("line %d %s", n, "x" * 200)
        slowest_s = max(slowest_s, time.thread_time() - begun)
    assert sink.dropped > 0
    assert slowest_s < 5, "a blocked call would last as long as the pipe is full"
    assert not sink.stop(0.05), "the pipe is still full"
    lines = pipe.lines_until("log lines were lost")
    assert f"{sink.dropped} log lines were lost" in lines[-1]
    told = sum("stalled: line" in line for line in lines)
    assert told + sink.dropped == 5_000


def test_a_closed_stream_loses_lines_and_writes_into_no_reused_descriptor(
    configured: list[LogSink],
) -> None:
    read_fd, write_fd = os.pipe()
    stream = os.fdopen(write_fd, "w")
    sink = log.configure("info", "console", Redactor(), stream)
    configured.append(sink)
    stream.close()
    os.close(read_fd)
    other_read, other_write = os.pipe()  # takes the numbers that were freed
    assert {other_read, other_write} & {read_fd, write_fd}
    logging.getLogger("llm_proxy.x").warning("to nobody")
    assert sink.stop(5.0)
    assert sink.dropped == 1
    os.set_blocking(other_read, False)
    with pytest.raises(BlockingIOError):
        os.read(other_read, 1)
    os.close(other_read)
    os.close(other_write)


def test_a_closed_text_stream_is_no_error_for_the_caller(configured: list[LogSink]) -> None:
    stream = io.StringIO()
    sink = log.configure("info", "console", Redactor(), stream)
    configured.append(sink)
    stream.close()
    logging.getLogger("llm_proxy.x").warning("to nobody")
    assert sink.stop(5.0)
    assert sink.dropped == 1


def test_a_log_call_with_wrong_arguments_does_not_raise(
    configured: list[LogSink], capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger().handlers.clear()  # pytest's own would raise
    stream = io.StringIO()
    sink = log.configure("info", "console", Redactor(), stream)
    configured.append(sink)
    message = "%d and %d"
    logging.getLogger("llm_proxy.x").warning(message, CANARY)
    text = text_of(sink, stream)
    assert "a line of llm_proxy.x could not be made: TypeError" in text
    assert CANARY not in text + "".join(capsys.readouterr())


def test_levels_are_honoured_for_lines_and_requests(configured: list[LogSink]) -> None:
    stream = io.StringIO()
    sink = log.configure("warning", "console", Redactor(), stream)
    configured.append(sink)
    logging.getLogger("llm_proxy.x").info("quiet")
    sink.log_record(record())
    sink.log_record(record(outcome=Outcome.UPSTREAM_ERROR, status=502))
    assert not sink.is_enabled(logging.INFO)
    text = text_of(sink, stream)
    assert text.count("\n") == 1
    assert "warning exchange: POST /v1/chat/completions status=502" in text


def test_new_secrets_are_known_after_a_reload(configured: list[LogSink]) -> None:
    stream = io.StringIO()
    sink = log.configure("info", "console", Redactor(), stream)
    configured.append(sink)
    sink.use(Redactor([Secret(CANARY)]))
    logging.getLogger("llm_proxy.x").info("key %s", CANARY)
    assert CANARY not in text_of(sink, stream)


def test_a_huge_message_is_cut(configured: list[LogSink]) -> None:
    stream = io.StringIO()
    sink = log.configure("info", "console", Redactor([Secret(CANARY)]), stream)
    configured.append(sink)
    logging.getLogger("llm_proxy.x").info("%s%s%s", "y" * 8_180, CANARY, "y" * 10**6)
    text = text_of(sink, stream)
    assert len(text) < 9_000
    assert CANARY[:10] not in text


def test_configuring_again_replaces_the_first_sink(configured: list[LogSink]) -> None:
    first, second = io.StringIO(), io.StringIO()
    configured.append(log.configure("info", "console", Redactor(), first))
    configured.append(log.configure("info", "console", Redactor(), second))
    logging.getLogger("llm_proxy.x").info("once")
    assert "once" in text_of(configured[1], second)
    assert text_of(configured[0], first) == ""


def test_many_threads_may_log_at_once(
    configured: list[LogSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "LINES_PER_S", 10**9)
    stream = io.StringIO()
    sink = log.configure("info", "console", Redactor(), stream)
    configured.append(sink)
    logger = logging.getLogger("llm_proxy.many")

    def work() -> None:
        for n in range(200):
            logger.info("line %d", n)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert text_of(sink, stream).count("\n") + sink.dropped == 800


def test_a_crash_shows_its_traceback_without_the_secret() -> None:
    code = f"""
import sys, threading, warnings
from llm_proxy.domain.redact import Redactor
from llm_proxy.domain.secret import Secret
from llm_proxy.telemetry.log import configure
sink = configure("info", "console", Redactor([Secret({CANARY!r})]), sys.stderr)
sink.catch_crashes()
def fail(): raise ValueError("thread " + {CANARY!r})
thread = threading.Thread(target=fail); thread.start(); thread.join()
warnings.warn("careful with " + {CANARY!r})
class Odd:
    def __del__(self): raise OSError("leftover " + {CANARY!r})
del (odd := [Odd()])[0]
sink.stop(5.0)
raise RuntimeError("main " + {CANARY!r})
"""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert CANARY not in done.stderr
    for words in ("thread ***", "careful with ***", "leftover ***", "RuntimeError: main ***"):
        assert words in done.stderr, done.stderr


def test_a_process_may_end_while_its_log_is_stuck() -> None:
    code = """
import logging, sys
from llm_proxy.domain.redact import Redactor
from llm_proxy.telemetry import log
log.LINES_PER_S = 10**9
sink = log.configure("info", "console", Redactor(), sys.stderr)
for n in range(3000): logging.info("x" * 500)
print(sink.stop(0.1), flush=True)
"""
    read_fd, write_fd = os.pipe()
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        stdout=subprocess.PIPE,
        stderr=write_fd,
        timeout=30,
    )
    os.close(write_fd)
    os.close(read_fd)
    assert done.returncode == 0
    assert done.stdout == b"False\n"


def test_every_attribute_of_the_sink_can_be_set(configured: list[LogSink]) -> None:
    sink = log.configure("error", "console", Redactor(), io.StringIO())
    configured.append(sink)
    assert sink.stop(5.0)
    for name in LogSink.__slots__:
        setattr(sink, name, getattr(sink, name))
