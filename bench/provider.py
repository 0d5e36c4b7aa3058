"""The mock provider: a process that answers as fast as Python can, and checks what it is asked.

It accepts only the very bodies of `payload` with the upstream key, anything else is a 400: a
proxy that damages a request cannot win. All streams of a step length share one timer, which
advances a wheel of slots a millisecond wide, so that events of many streams are spread evenly
instead of arriving in bursts.
"""

import argparse
import asyncio
import socket
from collections import deque
from typing import cast

import msgspec
import uvloop

from bench.payload import UPSTREAM_KEY, Plan, json_plans, stream_plans

_SLOT_S = 0.001
_AUTHORIZATION = f"Bearer {UPSTREAM_KEY}".encode()
_LIMITS = (
    b"openai-organization: bench\r\n"
    b"openai-processing-ms: 212\r\n"
    b"openai-version: 2020-10-01\r\n"
    b"x-ratelimit-limit-requests: 30000\r\n"
    b"x-ratelimit-limit-tokens: 150000000\r\n"
    b"x-ratelimit-remaining-requests: 29999\r\n"
    b"x-ratelimit-remaining-tokens: 149999742\r\n"
    b"x-ratelimit-reset-requests: 2ms\r\n"
    b"x-ratelimit-reset-tokens: 0s\r\n"
)


def _fixed(status: str, body: bytes) -> bytes:
    """Return a whole JSON answer, apart from its request id."""
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s" % (
        status.encode(),
        len(body),
        _LIMITS,
        body,
    )


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n%s\r\n" % _LIMITS
)
_REFUSED = _fixed("400 Bad Request", b'{"error":{"message":"not the bytes that were sent"}}')
_MODELS = _fixed(
    "200 OK",
    msgspec.json.encode({"object": "list", "data": [{"id": "gpt-5-mini", "object": "model"}]}),
)


class Wheel:
    """One timer for all streams: each is served once per `interval_s`, in its own slot."""

    def __init__(self, loop: asyncio.AbstractEventLoop, interval_s: float) -> None:
        self._loop = loop
        self._slots: list[deque[Answerer]] = [deque() for _ in range(round(interval_s / _SLOT_S))]
        self._at = 0
        self._start = loop.time()
        self._size = 0
        self._armed = False

    def add(self, stream: "Answerer") -> None:
        """Serve `stream` first one interval from now."""
        if not self._armed:
            self._start, self._at, self._armed = self._loop.time(), 0, True
            self._loop.call_later(_SLOT_S, self._tick)
        self._slots[self._at % len(self._slots)].append(stream)
        self._size += 1

    def _tick(self) -> None:
        due = int((self._loop.time() - self._start) / _SLOT_S)
        while self._at < due:
            self._at += 1
            slot = self._slots[self._at % len(self._slots)]
            for _ in range(len(slot)):
                stream = slot.popleft()
                if stream.step():
                    slot.append(stream)
                else:
                    self._size -= 1
        if self._size:
            self._loop.call_later(_SLOT_S, self._tick)
        else:
            self._armed = False


class Answerer(asyncio.Protocol):
    """One connection of a proxy, or of the load itself."""

    __slots__ = ("_answers", "_buffer", "_steps", "_transport", "_wheel")

    def __init__(self, answers: dict[bytes, bytes | list[bytes]], wheel: Wheel) -> None:
        self._answers = answers
        self._wheel = wheel
        self._buffer = b""
        self._steps: deque[bytes] = deque()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by shape only

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            self._buffer = data
            return
        head = data[:end].lower()
        at = head.find(b"\r\ncontent-length:")
        length = int(head[at + 17 : head.index(b"\r\n", at + 17)]) if at >= 0 else 0
        if len(data) < end + length:
            self._buffer = data
            return
        self._buffer = b""
        self._reply(data[:end], data[end:])

    def step(self) -> bool:
        """Send the next step of the stream; False when that was the last."""
        if self._transport is None or self._transport.is_closing():
            self._steps.clear()
            return False
        self._transport.write(self._steps.popleft())
        return bool(self._steps)

    def _reply(self, head: bytes, body: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if head.startswith(b"GET /v1/models"):
            self._transport.write(_MODELS)
            return
        answer = self._answers.get(body)
        if answer is None or _AUTHORIZATION not in head or b"POST /v1/chat/" not in head:
            self._transport.write(_REFUSED)
        elif isinstance(answer, bytes):
            self._transport.write(answer)
        else:
            self._steps.extend(answer)
            if self.step():
                self._wheel.add(self)


def _framed(plan: Plan) -> bytes | list[bytes]:
    """Return the answer as it goes over the wire: at once, or step by step."""
    if not plan.stream:
        return _fixed("200 OK", plan.answer)
    steps = [_chunk(piece) for piece in plan.pieces]
    steps[0] = _STREAM_HEAD + steps[0]
    steps[-1] += b"0\r\n\r\n"
    return steps


class ByMeaning(dict[bytes, bytes | list[bytes]]):
    """Answers found by what a body says, for servers that write requests anew.

    The user's name tells the variants apart, and how many tokens are asked for a stream's length.
    """

    def __init__(self, plans: list[Plan]) -> None:
        super().__init__()
        self._found = {_meaning(plan.body): _framed(plan) for plan in plans}

    def get(self, body: bytes, default: object = None) -> bytes | list[bytes] | None:  # type: ignore[override]
        """Return the answer that belongs to a body, None if its text is not what was sent."""
        try:
            return self._found.get(_meaning(body))
        except (msgspec.DecodeError, KeyError, TypeError):
            return None


def _meaning(body: bytes) -> tuple[str, int, str]:
    read = msgspec.json.decode(body)
    messages = msgspec.json.encode([(one["role"], one["content"]) for one in read["messages"]])
    stream_length = read["max_completion_tokens"] if read.get("stream") else 0
    return read["user"], stream_length, messages.decode()


async def _serve(port: int, contents: int, interval_s: float, *, is_lenient: bool) -> None:
    plans = json_plans() + stream_plans(1) + stream_plans(contents)
    answers = ByMeaning(plans) if is_lenient else {plan.body: _framed(plan) for plan in plans}
    loop = asyncio.get_running_loop()
    wheel = Wheel(loop, interval_s)
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    server = await loop.create_server(lambda: Answerer(answers, wheel), sock=listener, backlog=4096)
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    arguments = argparse.ArgumentParser(prog="python -m bench.provider")
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--contents", type=int, required=True, help="content events a stream")
    arguments.add_argument("--interval", type=float, required=True, help="seconds between them")
    arguments.add_argument(
        "--lenient", action="store_true", help="take bodies by what they say, not byte by byte"
    )
    given = arguments.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(given.port, given.contents, given.interval, is_lenient=given.lenient))


if __name__ == "__main__":
    main()
