"""Names that may be used at a destination."""

from hypothesis import given, strategies as st
import pytest

from custom_components.skylapse.engine.errors import DestinationError
from custom_components.skylapse.engine.upload.paths import printable, remote_parts, shortened, temp_name, temp_owner


@pytest.mark.parametrize(
    "path", ["a", "a.jpg", "cam/2026/11/23/cam_20261123T054501.123Z.jpg", "Küche/☀.jpg", "a b", "...", "a~", "x/~y", "ä" * 127]
)
def test_good_paths(path: str) -> None:
    assert "/".join(remote_parts(path)) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "./a",
        "a/..",
        "~root/a",
        "~",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\x7f",
        "a\x85b",
        "a\ud800",
        "x" * 256,
        "ä" * 128,
        "/".join(["abcdefgh"] * 200),
        "cam/SHA256SUMS",
        "cam/sha256sums",
        ".skylapse-destination",
        "cam/.Skylapse-Destination",
        f"cam/{temp_name('a', '0' * 8, '1' * 12)}",
    ],
)
def test_bad_paths(path: str) -> None:
    with pytest.raises(DestinationError) as raised:
        remote_parts(path)
    assert raised.value.key == "name_refused"
    assert raised.value.permanent
    assert not raised.value.destination_wide
    assert raised.value.placeholders["name"].isprintable()


@given(st.text(max_size=400))
def test_what_is_accepted_stays_below_the_root(path: str) -> None:
    try:
        parts = remote_parts(path)
    except DestinationError as err:
        err.placeholders["name"].encode()  # no halves of surrogate pairs: it goes into logs and the catalogue
        return
    assert parts
    for part in parts:
        assert part not in {"", ".", ".."}
        assert len(part.encode()) <= 255
        assert not set(part) & set("/\\\0\n\r")


@given(st.text(min_size=1, max_size=300))
def test_temporary_names(name: str) -> None:
    temp = temp_name(name, "0123abcd", "f" * 12)
    assert len(temp.encode()) <= 255
    assert temp_owner(temp) == "0123abcd"


def test_other_names_have_no_owner() -> None:
    assert temp_owner("a.part") is None
    assert temp_owner(".a.part") is None
    assert temp_owner(".skylapse-destination") is None


def test_text_for_messages() -> None:
    assert printable("a\nb\ud800") == "a\\nb\\ud800"
    assert printable("x" * 200) == "x" * 200
    assert printable("x" * 201) == "x" * 199 + "…"
    assert shortened("ä" * 200) == "ä" * 111
