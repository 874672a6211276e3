"""Frames: what goes in comes out, and what is none is refused before it costs anything."""

import json
import struct
import zlib

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.skylapse.engine.camera_host.framing import CHUNK, NOISE_LIMIT, FrameError, encode_frame, read_frame, skip_noise


class Stream:
    """Hands bytes out in pieces of the given sizes, then in whole."""

    def __init__(self, data: bytes, sizes: list[int] | None = None) -> None:
        self.data = data
        self.sizes = sizes or []
        self.asked: list[int] = []

    async def read(self, most: int) -> bytes:
        self.asked.append(most)
        size = min(most, self.sizes.pop(0) if self.sizes else most)
        piece, self.data = self.data[:size], self.data[size:]
        return piece


def raw(head: bytes, blob: bytes = b"", *, magic: bytes = b"SKY1", lie: int = 0) -> bytes:
    return struct.pack(">4sIII", magic, len(head), len(blob), zlib.crc32(head + blob) ^ lie) + head + blob


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()), st.binary(max_size=2000), st.lists(st.integers(1, 40)))
async def test_what_goes_in_comes_out_however_it_is_cut(header: dict[str, object], blob: bytes, sizes: list[int]) -> None:
    stream = Stream(encode_frame(header, blob) + encode_frame({"next": 1}), sizes)
    first, second = await read_frame(stream.read), await read_frame(stream.read)
    assert first is not None
    assert second is not None
    assert (first.header, first.blob) == (header, blob)
    assert second.header == {"next": 1}
    assert await read_frame(stream.read) is None


def test_the_bytes_are_those_of_the_contract() -> None:
    assert encode_frame({"id": 1}, b"jpeg") == raw(b'{"id":1}', b"jpeg")


async def test_a_large_blob_is_read_in_small_steps() -> None:
    blob = bytes(range(256)) * 12000
    stream = Stream(encode_frame({}, blob))
    frame = await read_frame(stream.read)
    assert frame is not None
    assert frame.blob == blob
    assert max(stream.asked) <= CHUNK


@pytest.mark.parametrize("at", [0, 1, 15, 16, 20, 30])
async def test_the_end_is_no_error_wherever_it_comes(at: int) -> None:
    assert await read_frame(Stream(encode_frame({"id": 1}, b"0123456789")[:at]).read) is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"Welcome to Raspberry Pi OS", "not a frame: Welcome to Raspb"),
        (raw(b"{}", magic=b"SKY2"), "not a frame: SKY2"),
        (struct.pack(">4sIII", b"SKY1", (1 << 20) + 1, 0, 0), "too long: 1048577 and 0 bytes"),
        (struct.pack(">4sIII", b"SKY1", 2, (128 << 20) + 1, 0), "too long: 2 and 134217729 bytes"),
        (raw(b"{}", b"picture", lie=1), "wrong checksum"),
        (raw(b'{"a":'), "the header is no JSON"),
        (raw(b"\xff"), "the header is no JSON"),
        (raw(b"[" * 200000), "the header is no JSON"),
        (raw(b"[1]"), "the header is no object"),
        pytest.param(raw(b'{"a":' * 40 + b"1" + b"}" * 40), "the header is nested too deeply", id="deep objects"),
        pytest.param(raw(b'{"a":[1,' + b"[" * 5000 + b"]" * 5000 + b"]}"), "the header is nested too deeply", id="deep lists"),
    ],
)
async def test_what_is_no_frame_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        await read_frame(Stream(data).read)


async def test_a_reading_that_is_no_number_is_none() -> None:
    frame = await read_frame(Stream(raw(json.dumps({"lux": float("nan")}).encode())).read)
    assert frame is not None
    assert frame.header == {"lux": None}


def test_nothing_is_sent_that_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode_frame({"lux": float("nan")})


async def test_a_picture_is_not_in_a_frames_text() -> None:
    frame = await read_frame(Stream(encode_frame({"id": 1}, b"secret sky")).read)
    assert "secret" not in repr(frame)


# ---- what comes before the first frame

HELLO = encode_frame({"hello": {}})


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from([b"SKY1", b"SKY", b"S", b"Linux raspberrypi 6.12\r\n", b"\0" * 16])).map(b"".join),
    st.lists(st.integers(1, 40)),
)
async def test_noise_is_told_from_the_first_frame_however_it_is_cut(noise: bytes, sizes: list[int]) -> None:
    stream = Stream(noise + HELLO + encode_frame({"next": 1}, b"picture"), sizes)
    skipped, read = await skip_noise(stream.read)
    first, second = await read_frame(read), await read_frame(read)
    assert skipped == noise
    assert first is not None
    assert second is not None
    assert (first.header, second.header, second.blob) == ({"hello": {}}, {"next": 1}, b"picture")
    assert await read_frame(read) is None


@pytest.mark.parametrize("much", [0, NOISE_LIMIT])
async def test_so_much_noise_may_come(much: int) -> None:
    skipped, read = await skip_noise(Stream(b"." * much + HELLO).read)
    assert len(skipped) == much
    assert await read_frame(read) is not None


@pytest.mark.parametrize("rest", [HELLO, b"", b"." * 1000])
async def test_more_noise_may_not(rest: bytes) -> None:
    with pytest.raises(FrameError, match=r"not a frame: \.{16}$"):
        await skip_noise(Stream(b"." * (NOISE_LIMIT + 1) + rest).read)


@pytest.mark.parametrize("begun", [0, 2, 4, 15])
async def test_noise_alone_is_returned_at_the_end(begun: int) -> None:
    skipped, read = await skip_noise(Stream(b"no such account" + HELLO[:begun]).read)
    assert skipped == b"no such account" + (HELLO[:begun] if begun < 4 else b"")
    assert await read_frame(read) is None


async def test_a_picture_is_no_first_frame() -> None:
    with pytest.raises(FrameError, match="not a frame: SKY1"):
        await skip_noise(Stream(encode_frame({}, b"x" * (NOISE_LIMIT + 1)) + HELLO).read)
