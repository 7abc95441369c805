"""Animated pictures and pages are frames, at their times; a picture stays one frame."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from everybody.errors import EverybodyError
from everybody.media import animation
from everybody.media.read import Selection, count, expand, read
from everybody.people import Frame

GREYS = [30, 90, 150, 210]
DURATIONS = [100, 200, 300, 400]  # milliseconds
MOVING = ["GIF", "WEBP", "PNG", "AVIF"]


def moving(format: str, **options: Any) -> bytes:
    frames = [Image.fromarray(np.full((24, 32, 3), grey, np.uint8)) for grey in GREYS]
    options = {"duration": DURATIONS, **options} if format != "TIFF" else options
    file = BytesIO()
    frames[0].save(file, format, save_all=True, append_images=frames[1:], **options)
    return file.getvalue()


def greys(frames: list[Frame]) -> list[int]:
    return [int(frame.image.mean()) for frame in frames]


@pytest.mark.parametrize("format", MOVING)
def test_animations_are_films(tmp_path: Path, format: str) -> None:
    file = tmp_path / f"a.{format.lower()}"
    file.write_bytes(moving(format))
    for source in (file, file.read_bytes(), BytesIO(file.read_bytes())):
        frames = list(read(source))
        assert [frame.index for frame in frames] == [0, 1, 2, 3]
        assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.3, 0.6])
        assert greys(frames) == pytest.approx(GREYS, abs=6)
    assert count(expand(file)) == 4
    assert greys(list(read(file, select=Selection(0.3)))) == pytest.approx(GREYS[2:], abs=6)
    assert [frame.index for frame in read(file, after={str(file): 1})] == [2, 3]
    assert [frame.index for frame in read(file, select=Selection(1, 4, 2))] == [1, 3]


def test_pages_follow_each_other_at_fps(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    file.write_bytes(moving("TIFF"))
    frames = list(read(file))
    assert [frame.time for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12])
    assert greys(frames) == GREYS
    frames = list(read(file, select=Selection(fps=2)))
    assert [frame.time for frame in frames] == pytest.approx([0, 0.5, 1, 1.5])


def test_smaller_copies_and_masks_are_no_pages(tmp_path: Path) -> None:
    page, small = (Image.fromarray(np.full((n, n, 3), 200, np.uint8)) for n in (40, 10))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    page.save(tmp_path / "a.tif", save_all=True, append_images=[small])
    assert [frame.size for frame in read(tmp_path / "a.tif")] == [(40, 40)]


def test_pictures_of_one_frame_stay_pictures(tmp_path: Path) -> None:
    for format in (*MOVING, "TIFF"):
        path = tmp_path / f"b.{format.lower()}"
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path, format)
    frames = list(read(tmp_path))
    assert [frame.index for frame in frames] == [0] * 5
    assert [frame.time for frame in frames] == pytest.approx(np.arange(5) / 25)


def test_pictures_for_programs_that_know_no_animations_are_no_frame() -> None:
    frames = list(read(moving("PNG", default_image=True, duration=DURATIONS[1:])))
    assert greys(frames) == GREYS[1:]


@pytest.mark.parametrize("format", [*MOVING, "TIFF"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_animations_cut_short_give_what_they_have_and_a_line(format: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (4, 48, 64, 3), np.uint8)
    frames, file = [Image.fromarray(picture) for picture in noise], BytesIO()
    frames[0].save(file, format, save_all=True, append_images=frames[1:])
    data = file.getvalue()
    problems: list[EverybodyError] = []
    found = list(read(data[: int(len(data) * kept)], problem=problems.append))
    assert len(found) < 4
    assert [frame.index for frame in found] == list(range(len(found)))
    assert len(problems) == 1
    assert "\n" not in str(problems[0])


@pytest.mark.parametrize("format", [*MOVING, "TIFF"])
def test_however_few_bytes_there_are_one_line_says_so(format: str) -> None:
    data = moving(format)
    for length in range(1, 60):
        problems: list[EverybodyError] = []
        assert list(read(data[:length], problem=problems.append)) == []
        assert len(problems) == 1
        assert "any further" not in str(problems[0])
        assert count(expand(data[:length])) in (0, 1, None)


def test_too_large_pages_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(moving("TIFF"))
    problems: list[EverybodyError] = []
    assert list(read(tmp_path / "a.tif", max_pixels=100, problem=problems.append)) == []
    assert "32 × 24" in str(problems[0])


def test_nothing_is_decoded_behind_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = animation.images.rgb
    monkeypatch.setattr(animation.images, "rgb", lambda *options: made.append(1) or real(*options))
    assert len(list(read(moving("WEBP"), select=Selection(1, 2)))) == 1
    assert len(made) == 1
