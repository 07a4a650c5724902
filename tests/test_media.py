"""Videos as frames, and pictures that are files of their own."""

from __future__ import annotations

import io
from pathlib import Path

import PIL.Image
import pytest

from evalkit.errors import DataError
from evalkit.images import decode, encoded
from evalkit.media import frames, is_video, picture

av = pytest.importorskip("av", reason="pip install 'evalkit[video]'")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at ten frames a second, each frame brighter than the one before."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(40):
            shade = PIL.Image.new("RGB", (64, 48), (6 * number,) * 3)
            file.mux(stream.encode(av.VideoFrame.from_image(shade)))
        file.mux(stream.encode())
    return path


def test_a_name_says_whether_it_is_a_video() -> None:
    assert [name for name in ("a.mp4", "b.PNG", "c.mov", "d", "e.jpg") if is_video(name)] == ["a.mp4", "c.mov"]


@pytest.mark.parametrize(
    ("most", "rate", "number"), [(64, 1.0, 4), (64, None, 40), (3, 1.0, 3), (8, None, 8), (1, 1.0, 1), (64, 5.0, 20)]
)
def test_frames_are_as_many_as_rate_and_room_allow(video: Path, most: int, rate: float | None, number: int) -> None:
    assert len(frames(video, "clip.mp4", "row 1", most, rate)) == number


def test_frames_are_evenly_spaced_and_can_be_read_again(video: Path) -> None:
    found = frames(video, "clip.mp4", "row 1", 64)
    shades = [decode(frame).getpixel((32, 24)) for frame in found]
    for number, shade in enumerate(shades):
        assert isinstance(shade, tuple)
        assert shade[0] == pytest.approx(60 * number, abs=8)
    assert [frame.name for frame in found] == [f"clip.mp4#{number}" for number in range(4)]
    assert frames(video.read_bytes(), "clip.mp4", "row 1", 64) == found


def test_a_broken_video_names_the_row(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match=r"row 3: a\.mp4 is no video that PyAV can read .*: replace the file"):
        frames(tmp_path / "a.mp4", "a.mp4", "row 3", 4)


def test_a_picture_from_a_file_is_read_when_needed(tmp_path: Path) -> None:
    stream = io.BytesIO()
    PIL.Image.new("RGB", (4, 3)).save(stream, "PNG")
    (tmp_path / "a.png").write_bytes(stream.getvalue())
    found = picture(tmp_path / "a.png", "./a.png", "row 1")
    assert found == picture(stream.getvalue(), "./a.png", "row 1")
    assert encoded(found) == stream.getvalue()
    with pytest.raises(DataError, match="row 2: cannot read"):
        picture(tmp_path / "b.png", "b.png", "row 2")
