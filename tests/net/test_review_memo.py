"""Whether a head was seen before changes nothing about what a request is."""

import random

from llm_proxy.domain.errors import RequestError
from llm_proxy.wire.memo import HeadMemo
from llm_proxy.wire.request import Request, RequestReader

PIECES = [
    b"POST /v1/chat/completions HTTP/1.1\r\n",
    b"POST /v1/messages HTTP/1.1\r\n",
    b"POST / HTTP/1.0\r\n",
    b"Host: a\r\n",
    b"Host: a\r\n",
    b"Content-Length: 5\r\n",
    b"content-length: 5\r\n",
    b"CONTENT-LENGTH: 5\r\n",
    b"Content-Length: 05\r\n",
    b"Content-Length:5\r\n",
    b"Content-Length: 5 \r\n",
    b"Content-Length:  5\r\n",
    b"X-A: Content-Length: 3\r\n",
    b"X-A: 1\r\n content-length: 3\r\n",
    b"X-A: \xff\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"Expect: 100-continue\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"hello",
    b"hell",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"\r\ncontent-length: 3\r\n\r\n",
]
USUAL = (0, 3, 5, 19, 23)


class Sink:
    """Writes down what comes, letting everything in."""

    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []

    def on_head(self, request: Request) -> None:
        request.head.admission = self

    def on_body(self, request: Request, size: int) -> None: ...

    def on_complete(self, request: Request) -> None:
        self.seen.append(
            (
                request.method,
                request.target,
                # The length as written is nobody's business behind the reader.
                tuple(one for one in request.headers if one[0] != b"content-length"),
                request.body,
                request.content_length,
                request.http_version,
                request.keep_alive,
            )
        )


def read(reads: list[bytes], memo: HeadMemo | None) -> list[tuple[object, ...]]:
    """Return what a connection that brings `reads` is understood to say, up to its last request."""
    sink = Sink()
    reader = RequestReader(sink, memo)
    try:
        for data in reads:
            reader.feed(data)
    except RequestError as error:
        sink.seen.append(("refused", error.status))
    last = next((at for at, one in enumerate(sink.seen) if one[-1] is False), len(sink.seen))
    return sink.seen[: last + 1]


def some_reads(rng: random.Random) -> list[bytes]:
    """Return the reads of one connection: usual requests, bent a little here and there."""
    reads = []
    for _ in range(rng.randint(1, 3)):
        pieces = [PIECES[at] for at in USUAL]
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            at = rng.randrange(len(pieces) + 1)
            if rng.random() < 0.3 and at < len(pieces):
                pieces[at] = rng.choice(PIECES)
            else:
                pieces.insert(at, rng.choice(PIECES))
        data = b"".join(pieces)
        cut = rng.randrange(len(data)) if rng.random() < 0.2 else len(data)
        reads += [part for part in (data[:cut], data[cut:]) if part]
    return reads


def test_no_sequence_of_reads_is_understood_differently_because_heads_are_remembered() -> None:
    memo = HeadMemo()
    for seed in range(4000):
        reads = some_reads(random.Random(seed))
        assert read(reads, memo) == read(reads, None), (seed, reads)
