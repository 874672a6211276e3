"""What a worker says is bounded before anybody sees it."""

import pytest

from custom_components.skylapse.engine.camera_host.last_words import LINES, LastWords
from custom_components.skylapse.engine.camera_host.replies import Reply, plain, told
from custom_components.skylapse.engine.errors import CaptureTimeout, WorkerError


@pytest.mark.parametrize(
    ("said", "key", "placeholders", "fatal"),
    [
        ({"key": "camera_missing"}, "camera_missing", {}, False),
        ({"key": "camera_denied", "placeholders": {"secret": "x"}, "fatal": True}, "camera_denied", {}, True),
        (
            {"key": "camera_busy_elsewhere", "placeholders": {"holder": "motion", "pid": 12}},
            "camera_busy_elsewhere",
            {"holder": "motion", "pid": "12"},
            False,
        ),
        ({"key": "camera_cannot"}, "camera_cannot", {"what": "?"}, False),
        ({"key": "camera_cannot", "placeholders": ["what"]}, "camera_cannot", {"what": "?"}, False),
        ({"key": "camera_failed", "placeholders": {"error": "e" * 5000}, "fatal": "yes"}, "camera_failed", {"error": "e" * 200}, False),
        ({"key": "password_is", "fatal": False}, "camera_failed", {"error": "{'key': 'password_is', 'fatal': False}"}, True),
        ({"key": ["camera_cannot"]}, "camera_failed", {"error": "{'key': ['camera_cannot']}"}, True),
        ("boom\n\x1b[31mbang", "camera_failed", {"error": "boom bang"}, True),
        (None, "camera_failed", {"error": "None"}, True),
    ],
)
def test_errors(said: object, key: str, placeholders: dict[str, str], fatal: bool) -> None:
    error, is_fatal = told(said)
    assert isinstance(error, WorkerError)
    assert (error.key, error.placeholders, is_fatal) == (key, placeholders, fatal)


def test_a_timeout_is_one_wherever_it_was_noticed() -> None:
    error, fatal = told({"key": "camera_timeout", "placeholders": {"deadline_s": 24.0}, "fatal": True})
    assert isinstance(error, CaptureTimeout)
    assert (error.key, error.placeholders, fatal) == ("camera_timeout", {"deadline_s": "24.0"}, True)


def test_a_text_is_one_line_of_bounded_length_without_colours() -> None:
    assert plain(" \x1b[1;31mERROR\x1b[0m\tV4L2\r\nx\x00\x9by ") == "ERROR V4L2 x y"
    assert plain("é" * 900, 300) == "é" * 300
    assert plain("a\u202eb \ud800\u2028 c") == "a b   c"  # what turns a line around, half a character, a line's end


def test_a_picture_is_not_in_a_replys_text() -> None:
    assert "jpeg" not in repr(Reply({}, b"jpeg"))


class Flow:
    def __init__(self, *pieces: bytes) -> None:
        self.pieces = [*pieces, b""]

    async def read(self, most: int) -> bytes:
        return self.pieces.pop(0)


async def words(*pieces: bytes) -> list[str]:
    said = LastWords()
    await said.drain(Flow(*pieces).read)
    assert said.last == (said.lines[-1] if said.lines else "")
    return list(said.lines)


async def test_lines_are_put_together_and_cleaned() -> None:
    assert await words(b"first\r\n\n\x1b[33mWA", b"RN\x1b[0m second\nlast w", b"ords") == ["first", "WARN second", "last words"]


async def test_nothing_said_is_nothing() -> None:
    assert await words() == []
    assert await words(b"\n\n  \n") == []


async def test_only_the_last_lines_are_kept() -> None:
    lines = await words(b"".join(b"line %d\n" % number for number in range(500)))
    assert lines == [f"line {number}" for number in range(500 - LINES, 500)]


async def test_of_an_endless_line_the_beginning_is_kept() -> None:
    lines = await words(*[b"x" * 65536] * 5, b"\nend\n")
    assert lines == ["x" * 300, "end"]


async def test_what_is_no_text_does_no_harm() -> None:
    assert await words(b"\xff\xfe\n") == ["\N{REPLACEMENT CHARACTER}" * 2]
