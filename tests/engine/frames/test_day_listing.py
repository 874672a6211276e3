"""A day's folder is listed while frames in it come and go."""

from pathlib import Path

import pytest

from custom_components.skylapse.engine.frames import folder as room
from custom_components.skylapse.engine.frames.folder import list_day


def test_a_frame_deleted_while_the_folder_is_listed_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen when a station was killed and started while it deleted: every frame of the day counted as vanished."""
    day = tmp_path / "2026/11/23"
    day.mkdir(parents=True)
    names = [f"kill_20261123T12000{second}.000Z.jpg" for second in range(5)]
    for name in names:
        (day / name).write_bytes(b"x")
    parse = room.parse_instant

    def deleting(name: str, slug: str | None = None) -> object:
        (day / names[2]).unlink(missing_ok=True)
        return parse(name, slug)

    monkeypatch.setattr(room, "parse_instant", deleting)
    listing = list_day(tmp_path, "2026/11/23", "kill")
    assert set(names) - {names[2]} <= set(listing.sizes)
