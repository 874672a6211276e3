"""Making a folder a destination."""

import errno
import json
import os
from pathlib import Path

import pytest

from custom_components.skylapse.engine.errors import DestinationError
from custom_components.skylapse.engine.upload import marker
from custom_components.skylapse.engine.upload.folder import prepare_folder

from .conftest import leftovers

MARKER = ".skylapse-destination"


def key_of(root: Path) -> str:
    with pytest.raises(DestinationError) as raised:
        prepare_folder(root)
    return raised.value.key


def test_a_new_one_and_the_same_again(root: Path) -> None:
    marker_id = prepare_folder(root)
    assert len(marker_id) == 32
    assert json.loads((root / MARKER).read_text())["id"] == marker_id
    assert prepare_folder(root) == marker_id
    assert [path.name for path in root.iterdir()] == [MARKER]


@pytest.mark.parametrize("path", ["", "relative", "./x", "~", "~/x", "/\0"])
def test_not_absolute(path: str) -> None:
    assert key_of(Path(path)) == "folder_not_absolute"


def test_missing(root: Path) -> None:
    assert key_of(root / "no") == "folder_missing"
    assert key_of(root / ("x" * 300)) == "folder_missing"
    (root / "loop").symlink_to("loop")
    assert key_of(root / "loop") == "folder_missing"


def test_not_a_directory(root: Path) -> None:
    (root / "file").touch()
    assert key_of(root / "file") == "folder_not_directory"
    assert key_of(root / "file" / "below") == "folder_not_directory"
    os.mkfifo(root / "pipe")
    assert key_of(root / "pipe") == "folder_not_directory"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"1", b'{"id": 1}', b'{"id": ""}', b'{"no": "id"}', b"\xff\xfe"])
def test_a_damaged_marker_is_told_and_kept(root: Path, content: bytes) -> None:
    (root / MARKER).write_bytes(content)
    assert key_of(root) == "destination_marker_damaged"
    assert (root / MARKER).read_bytes() == content


def test_something_else_in_the_markers_place(root: Path) -> None:
    os.mkfifo(root / MARKER)
    assert key_of(root) == "destination_marker_damaged"
    (root / MARKER).unlink()
    (root / MARKER).mkdir()
    assert key_of(root) in {"destination_marker_damaged", "name_taken"}


@pytest.mark.parametrize(
    ("code", "key"),
    [
        (errno.ENOSPC, "destination_full"),
        (errno.EDQUOT, "destination_full"),
        (errno.EROFS, "destination_read_only"),
        (errno.EACCES, "destination_denied"),
        (errno.EPERM, "destination_denied"),
        (errno.EIO, "destination_io_error"),
        (errno.ESTALE, "destination_io_error"),
    ],
)
def test_what_the_system_says(root: Path, monkeypatch: pytest.MonkeyPatch, code: int, key: str) -> None:
    real = os.open

    def refuse(path: str | Path, flags: int, *args: int, **kwargs: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(code, os.strerror(code), str(path))
        return real(path, flags, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert key_of(root) == key

    def refuse_all(path: str | Path, *args: int, **kwargs: int) -> int:
        raise OSError(code, os.strerror(code), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse_all)
        assert key_of(root) == key
    assert list(root.iterdir()) == []


def test_a_disk_that_takes_half(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(marker.os, "write", lambda fd, data: real(fd, data[:10]))
    assert key_of(root) == "destination_full"
    assert list(root.iterdir()) == []


def test_a_disk_that_lies(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(marker.os, "write", lambda fd, data: real(fd, bytes(len(data))))
    assert key_of(root) == "destination_io_error"
    assert list(root.iterdir()) == []


def test_another_station_was_faster(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = marker.publish
    others: list[str] = []

    def late(fd: int, temp: str, name: str) -> None:
        monkeypatch.setattr(marker, "publish", real)
        others.append(prepare_folder(root))
        real(fd, temp, name)

    monkeypatch.setattr(marker, "publish", late)
    assert [prepare_folder(root)] == others
    assert not leftovers(root)
