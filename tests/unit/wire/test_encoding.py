"""Compressed bodies are read as they come, and never grow without bound."""

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.wire.encoding import Decoder, decode_all

LIMIT = 1024 * 1024


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"x-gzip": gzip.compress,
    b" GZIP ": gzip.compress,
    b"deflate": zlib.compress,
    b"identity": bytes,
    b"": bytes,
}


@pytest.mark.parametrize("encoding", PACKERS)
@given(data=st.binary(max_size=300))
def test_what_was_packed_comes_out(encoding: bytes, data: bytes) -> None:
    assert decode_all(PACKERS[encoding](data), encoding, LIMIT) == data


@given(st.binary(max_size=300), st.integers(1, 20))
def test_pieces_give_the_same_as_the_whole(data: bytes, size: int) -> None:
    for packed, encoding in (
        (gzip.compress(data), b"gzip"),
        (zlib.compress(data), b"deflate"),
        (raw_deflate(data), b"deflate"),
    ):
        decoder = Decoder.of(encoding, LIMIT)
        assert decoder is not None
        got = b"".join(decoder.feed(packed[at : at + size]) for at in range(0, len(packed), size))
        assert got == data
        assert decoder.is_complete


def test_each_flushed_event_comes_out_at_once() -> None:
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    decoder = Decoder.of(b"gzip", LIMIT)
    assert decoder is not None
    for event in (b"data: a\n\n", b"data: b\n\n"):
        packed = packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)
        assert decoder.feed(packed) == event


def test_several_gzip_members_are_one_body() -> None:
    body = gzip.compress(b"a") + gzip.compress(b"b")
    assert decode_all(body, b"gzip", LIMIT) == b"ab"


def test_padding_behind_the_end_is_ignored() -> None:
    assert decode_all(gzip.compress(b"a") + b"\0\0\0", b"gzip", LIMIT) == b"a"


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, gzip", b"compress"])
def test_other_codings_cannot_be_read(encoding: bytes) -> None:
    assert Decoder.of(encoding, LIMIT) is None
    assert decode_all(b"x", encoding, LIMIT) is None


def test_a_bomb_is_refused() -> None:
    bomb = gzip.compress(b"\0" * (LIMIT + 1))
    assert decode_all(bomb, b"gzip", LIMIT) is None
    decoder = Decoder.of(b"gzip", LIMIT)
    assert decoder is not None
    with pytest.raises(ValueError, match="too large"):
        decoder.feed(bomb)


def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert decode_all(gzip.compress(b"\0" * LIMIT), b"gzip", LIMIT) == b"\0" * LIMIT


def test_a_damaged_body_is_refused() -> None:
    assert decode_all(b"no gzip at all", b"gzip", LIMIT) is None
    assert decode_all(gzip.compress(b"abc")[:-4], b"gzip", LIMIT) is None
    decoder = Decoder.of(b"deflate", LIMIT)
    assert decoder is not None
    with pytest.raises(ValueError, match="damaged"):
        decoder.feed(b"\xff\xff\xff\xff")
