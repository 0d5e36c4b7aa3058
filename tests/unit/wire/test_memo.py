"""A head that was seen before is known again, whole, and for exactly the bytes it announces."""

from dataclasses import dataclass, field

import pytest

from llm_proxy.domain.errors import RequestError
from llm_proxy.wire.memo import MAX_HEADS, MAX_UNLIKE, HeadMemo
from llm_proxy.wire.request import Request, RequestReader


@dataclass
class Taken:
    """A sink that lets every head in and keeps the whole requests."""

    requests: list[Request] = field(default_factory=list)

    def on_head(self, request: Request) -> None:
        request.head.admission = request.head.admission or "let in"

    def on_body(self, request: Request, size: int) -> None:
        pass

    def on_complete(self, request: Request) -> None:
        self.requests.append(request)


def reader(memo: HeadMemo) -> tuple[RequestReader, Taken]:
    taken = Taken()
    return RequestReader(taken, memo), taken


def post(body: bytes, *, length: int | None = None, trace: str = "") -> bytes:
    lines = ["POST /v1/embeddings HTTP/1.1", "Host: here", "X-Tag:  a "]
    lines += [f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"Traceparent: {trace}"] if trace else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_an_equal_head_is_read_once_whatever_its_length_says() -> None:
    one, taken = reader(HeadMemo())
    for body in (b"{}", b'{"a":1}', b"[" + b"1," * 5000 + b"1]"):
        one.feed(post(body))
    assert [request.body for request in taken.requests] == [
        b"{}",
        b'{"a":1}',
        b"[" + b"1," * 5000 + b"1]",
    ]
    assert len({id(request.head) for request in taken.requests}) == 1
    assert taken.requests[2].fields[b"x-tag"] == b"a"


def test_a_head_of_one_connection_is_known_on_the_next() -> None:
    memo = HeadMemo()
    (one, first), (two, second) = reader(memo), reader(memo)
    one.feed(post(b"{}"))
    two.feed(post(b"[1]"))
    assert second.requests[0].head is first.requests[0].head


def test_a_known_head_waits_for_the_rest_of_its_body() -> None:
    one, taken = reader(HeadMemo())
    one.feed(post(b"{}"))
    one.feed(post(b'{"a":', length=7))
    assert len(taken.requests) == 1
    one.feed(b"1}")
    assert taken.requests[1].body == b'{"a":1}'


def test_what_follows_a_known_request_is_the_next_request() -> None:
    one, taken = reader(HeadMemo())
    one.feed(post(b"{}"))
    one.feed(post(b"{}") + post(b"[]"))
    assert [request.body for request in taken.requests] == [b"{}", b"{}", b"[]"]


@pytest.mark.parametrize("length", ["+2", "2, 2", "0x2", " 2 2", "2\r\nContent-Length: 2"])
def test_a_known_head_with_another_kind_of_length_is_judged_anew(length: str) -> None:
    one, taken = reader(HeadMemo())
    one.feed(post(b"{}"))
    with pytest.raises(RequestError):
        one.feed(post(b"{}").replace(b"Length: 2", f"Length: {length}".encode()))
    assert len(taken.requests) == 1


def test_a_client_whose_heads_are_never_equal_pushes_nobody_elses_out() -> None:
    memo = HeadMemo()
    (sdk, same), (traced, _) = reader(memo), reader(memo)
    sdk.feed(post(b"{}"))
    for number in range(2 * MAX_HEADS):
        traced.feed(post(b"{}", trace=f"00-{number}"))
    another, taken = reader(memo)
    another.feed(post(b"{}"))
    assert taken.requests[0].head is same.requests[0].head


def test_a_client_with_a_few_heads_in_turn_has_them_all_known() -> None:
    one, taken = reader(HeadMemo())
    traces = [f"00-{number}" for number in range(MAX_UNLIKE)]
    for _ in range(3):
        for trace in traces:
            one.feed(post(b"{}", trace=trace))
    assert len({id(request.head) for request in taken.requests}) == len(traces)
