"""Time goes up in every source: as stamped, on from the last where stamps jump, else by fps."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from everybody.errors import OptionError
from everybody.media.clock import RATE, Clock, Films, Joins
from everybody.media.encode import VideoWriter
from everybody.media.read import Selection, read
from everybody.media.write import Overlays

from .movies import FAST, encode, number
from .test_write import record


def times(source: Any, **select: Any) -> list[float]:
    return [frame.time for frame in read(source, select=Selection(**select))]


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(np.full((4, 6, 3), i, np.uint8)).save(folder / f"{i}.png")
    return folder


def joined(folder: Path, count: int = 2) -> Path:
    """One recording several times in one transport stream."""
    data = encode(folder / "one.ts", options={**FAST, "bf": "2"}).read_bytes()
    (folder / "joined.ts").write_bytes(data * count)
    return folder / "joined.ts"


def test_a_folder_of_pictures_is_a_film(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "a", 4)
    assert times(folder) == pytest.approx([0, 1 / 25, 2 / 25, 3 / 25])
    assert times(folder, fps=10) == pytest.approx([0, 0.1, 0.2, 0.3])
    assert times(f"{folder}/*.png", fps=0.5, every=2) == pytest.approx([0, 4])
    assert times([np.zeros((4, 6, 3), np.uint8)] * 3, fps=4) == pytest.approx([0, 0.25, 0.5])


def test_each_folder_is_a_film_of_its_own_and_what_is_done_counts(tmp_path: Path) -> None:
    a, b = pictures(tmp_path / "a", 2), pictures(tmp_path / "b", 3)
    assert times([a, b], fps=1) == [0, 1, 0, 1, 2]
    done = {str(a / "0.png"): 0, str(b / "1.png"): 0}
    assert [frame.time for frame in read([a, b], after=done, select=Selection(fps=1))] == [1, 0, 2]


def test_times_apply_to_pictures_where_fps_is_given(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "a", 6)
    assert times(folder, fps=2, start=1.0, end=2.0) == [1.0, 1.5]
    assert len(times(folder, start=1.0, end=2.0)) == 6


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e9, 1e-9])
def test_fps_that_makes_no_sense(fps: float) -> None:
    with pytest.raises(OptionError, match="fps"):
        Selection(fps=fps)
    assert Selection.parse(None, None, None, fps=30.0).fps == 30


def test_stamps_come_before_fps(tmp_path: Path) -> None:
    file = encode(tmp_path / "a.mp4", 5)
    assert times(file, fps=50) == pytest.approx(np.arange(5) / 25)
    raw = encode(tmp_path / "a.h264", 5)  # has none
    assert times(raw) == pytest.approx(np.arange(5) / 25, abs=1e-3)
    assert times(raw, fps=50) == pytest.approx(np.arange(5) / 50, abs=1e-3)


@pytest.mark.parametrize("count", [2, 3])
def test_joined_recordings_go_on_from_the_last_frame(tmp_path: Path, count: int) -> None:
    file = joined(tmp_path, count)
    frames = list(read(file))
    assert [frame.index for frame in frames] == list(range(20 * count))
    assert [number(frame) for frame in frames] == list(range(20)) * count
    found = [frame.time for frame in frames]
    assert found == pytest.approx(np.arange(20 * count) / 25, abs=1e-3)
    assert times(file, start=1.0) == pytest.approx(np.arange(25, 20 * count) / 25, abs=1e-3)
    assert times(file, every=0.4) == pytest.approx(np.arange(0, 20 * count, 10) / 25, abs=1e-3)


def test_the_handed_cases(shared: Path) -> None:
    frames = shared / "cases" / "folder-of-frames" / "frames"
    assert times(frames) == pytest.approx(np.arange(6) / 25)
    file = shared / "cases" / "joined-ts" / "joined.ts"
    assert times(file) == pytest.approx(np.arange(48) / 24, abs=1e-5)
    assert times(file, start=1.5) == pytest.approx(np.arange(36, 48) / 24, abs=1e-5)


def test_an_overlay_of_joined_recordings_has_both_and_their_sound(tmp_path: Path) -> None:
    data = record(tmp_path / "talkie.ts", "aac").read_bytes()
    (tmp_path / "joined.ts").write_bytes(data * 2)
    frames = list(read(tmp_path / "joined.ts"))
    with Overlays(tmp_path / "out", say=pytest.fail) as overlays:
        for frame in frames:
            path = overlays.write(frame)
    with av.open(str(path)) as video:
        shown = [frame.time for frame in video.decode(video=0)]
    with av.open(str(path)) as video:
        packets = [p for p in video.demux(audio=0) if p.pts is not None]
    heard = [float(packet.pts * packet.time_base) for packet in packets]
    assert np.diff(shown) == pytest.approx(np.full(99, 1 / 25), abs=1e-3)
    assert heard[0] == pytest.approx(0, abs=0.05)
    assert heard[-1] == pytest.approx(4, abs=0.1)
    assert 0 < np.diff(heard).min() <= np.diff(heard).max() < 0.05


@pytest.mark.parametrize("rate", [0.5, 10, 1000])
def test_the_last_picture_lasts_as_long_as_the_one_before(tmp_path: Path, rate: float) -> None:
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for i in range(4):
            writer.write(np.full((48, 64, 3), 40 * i, np.uint8), i / rate)
    with av.open(str(tmp_path / "a.mp4")) as video:
        assert (video.duration or 0) / av.time_base == pytest.approx(4 / rate, abs=1e-4)


def test_a_clock_counts_frames_and_the_pictures_of_each_folder() -> None:
    clock = Clock(10)
    assert [clock.picture(name) for name in ("a/x.png", "a/y.png", "b/x.png", "a/z.png")] == [
        0,
        0.1,
        0,
        0.2,
    ]
    assert clock.frame(25) == 2.5
    assert Clock().frame(int(RATE)) == 1


def test_pictures_that_follow_each_other_are_one_film_and_videos_their_own() -> None:
    films = Films()
    shown = [("a/1.png", 0), ("a/2.png", 0), ("a/v.mp4", 0), ("a/v.mp4", 1), ("b/1.png", 0)]
    assert [films(*one) for one in shown] == ["a", "a", "a/v.mp4", "a/v.mp4", "b"]
    assert [films("a/moving.webp", i) for i in range(3)] == ["a"] * 3


@given(st.lists(st.integers(-500, 500), max_size=30))
def test_moved_stamps_never_go_back_far(steps: list[int]) -> None:
    stamps = [Fraction(stamp, 100) for stamp in np.cumsum(steps).tolist()]
    joins = Joins()
    moved = [stamp + joins.shift(stamp) for stamp in stamps]
    assert all(b - a >= -Fraction(1, 4) for a, b in pairwise(moved))
    if all(step >= 0 for step in steps[1:]):
        assert moved == stamps


def test_another_stream_moves_as_the_leading_one() -> None:
    leading = Joins()
    for stamp in (0, 1, 2, 0, 1):
        leading.shift(Fraction(stamp))
    assert leading.shifts == [0, 3]
    sound = Joins(shifts=leading.shifts)
    assert [s + sound.shift(Fraction(s)) for s in (0, 1, 2, 0, 1)] == [0, 1, 2, 3, 4]
    assert not sound.known(Fraction(0))  # a jump that the pictures have not come to
