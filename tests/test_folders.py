"""What a folder holds is read by content, and what is left out is counted and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from everybody.errors import EverybodyError, InputError
from everybody.media.folders import folder, matching
from everybody.media.read import count, expand, read

from .movies import encode

SCENE = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)


def save(path: Path, format: str | None = None) -> Path:
    Image.fromarray(SCENE).save(path, format)
    return path


def read_all(source: Any) -> tuple[list[str], list[str], list[str]]:
    """Names of the sources of frames, problems, what is said."""
    problems: list[EverybodyError] = []
    said: list[str] = []
    frames = list(read(source, problem=problems.append, say=said.append))
    names = list(dict.fromkeys(Path(frame.source).name for frame in frames))
    return names, [str(problem) for problem in problems], said


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.ppm", "PPM"), ("a.pgm", "PPM"), ("a.jp2", "JPEG2000"), ("a.tga", "TGA"),
        ("a.mpo", "JPEG"), ("STEREO.MPO", "JPEG"), ("picture", "PNG"), ("picture.tmp", "JPEG"),
        ("a.backup", "TGA"), ("b.txt", "PPM"),
    ],
)  # fmt: skip
def test_pictures_are_pictures_by_content(tmp_path: Path, name: str, format: str) -> None:
    save(tmp_path / name, format)
    frames = list(read(tmp_path))
    assert [Path(frame.source).name for frame in frames] == [name]
    if format not in ("JPEG", "JPEG2000"):
        assert (frames[0].image == SCENE).all()
    assert count(expand(tmp_path)) == 1


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "flv", "mpg", "ts", "y4m", "webm"])
def test_videos_are_videos_by_content(tmp_path: Path, suffix: str) -> None:
    codec = {"y4m": "rawvideo", "mpg": "mpeg2video", "webm": "libvpx-vp9"}.get(suffix, "libx264")
    encode(tmp_path / f"a.{suffix}", codec=codec).rename(tmp_path / "clip")
    names, problems, said = read_all(tmp_path)
    assert (names, problems, said) == (["clip"], [], [])


def test_what_is_left_out_is_counted_and_said_once(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    for name in ("notes.txt", "Thumbs.db", "list.m3u8", "song.m4a", "z.json"):
        (tmp_path / name).write_bytes(b"\0\0\0\x18ftypM4A " if "m4a" in name else b"text")
    (tmp_path / ".hidden").touch()
    (tmp_path / "below").mkdir()
    names, problems, said = read_all(tmp_path)
    assert (names, problems) == (["a.png"], [])
    assert len(said) == 1
    assert "left out 5 files that are neither picture nor video (Thumbs.db, " in said[0]
    assert "1 folder, which needs /** (below)" in said[0]
    names, problems, said = read_all(f"{tmp_path}/*")
    assert (names, problems) == (["a.png"], [])
    assert len(said) == 1
    assert "left out 5 files" in said[0]
    assert read_all(f"{tmp_path}/*.png")[2] == []


def test_links_that_lead_nowhere_are_problems(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "c.png").symlink_to("c.png")
    (tmp_path / "d.png").symlink_to("a.png")
    for source in (tmp_path, f"{tmp_path}/*.png"):
        names, problems, _ = read_all(source)
        assert names == ["a.png", "d.png"]
        assert len(problems) == 2
        assert f"b.png: is a link to '{tmp_path / 'gone.png'}', which is not there" in problems[0]
    with pytest.raises(InputError, match="mend the link"):
        expand(tmp_path)


def test_a_folder_of_nothing_to_look_at(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    found, wrong = folder(str(tmp_path), pytest.fail)
    assert found == []
    assert "holds no pictures or videos (1 other files)" in str(wrong[0])
    found, wrong = matching(f"{tmp_path}/*.txt", pytest.fail)  # asked for by name
    assert (found, wrong) == ([str(tmp_path / "a.txt")], [])


def test_the_handed_folder_and_more(shared: Path, tmp_path: Path) -> None:
    for file in (shared / "cases" / "mixed-folder" / "pictures").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    save(tmp_path / "none", "PNG")
    (tmp_path / "broken.jpg").symlink_to("nowhere.jpg")
    names, problems, said = read_all(tmp_path)
    assert set(names) == {"a.jp2", "a.jpg", "a.ppm", "a.tga", "stereo.MPO", "none"}
    assert len(problems) == 1
    assert said == []
