"""Frames of videos: true numbers, true times, upright, and every broken packet told."""

from __future__ import annotations

import gc
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.packet import Packet
from av.video.frame import VideoFrame

from everybody.errors import EverybodyError, InputError, OptionError
from everybody.media import video
from everybody.media.images import upright
from everybody.media.read import Selection, count, expand, read
from everybody.media.shape import ORIENTATIONS, Shown
from everybody.people import Frame

from .movies import FAST, encode, grey, number, spoil

REAL = Path(__file__).parents[2] / "shared" / "data" / "video"


def numbers(*arguments: Any, **options: Any) -> list[int]:
    return [frame.index for frame in read(*arguments, **options)]


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "libx264", "yuv444p"),
        ("a.mov", "mpeg4", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.ts", "libx264", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.flv", "libx264", "yuv420p"),
        ("a.mpg", "mpeg2video", "yuv420p"),
        ("a.h264", "libx264", "yuv420p"),
        ("a.mjpeg", "mjpeg", "yuvj420p"),
        ("a.y4m", "rawvideo", "yuv420p"),
        ("b.mkv", "ffv1", "yuv422p10le"),
        ("c.mkv", "ffv1", "bgra"),
    ],
)
def test_every_format_gives_every_frame_once_in_order(
    tmp_path: Path, name: str, codec: str, pixels: str
) -> None:
    file = encode(tmp_path / name, codec=codec, pixels=pixels)
    frames = list(read(file))
    assert (
        [frame.index for frame in frames] == list(range(20)) == [number(frame) for frame in frames]
    )
    assert np.allclose(
        [frame.time for frame in frames], np.arange(20) / 25, atol=0.0011
    )  # some count milliseconds
    assert all(frame.source == str(file) and frame.image.flags.c_contiguous for frame in frames)
    assert np.abs(frames[7].image.astype(int) - grey(7)).max() <= 6


def test_content_counts_not_the_suffix(tmp_path: Path) -> None:
    file = encode(tmp_path / "a.mp4")
    assert numbers(file.rename(tmp_path / "a.jpg")) == list(range(20))
    assert numbers((tmp_path / "a.jpg").rename(tmp_path / "odd: name, with 50%")) == list(range(20))


def test_variable_rates_keep_their_times(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.5, 0.52, 1.9, 2.0]
    file = encode(tmp_path / "a.mkv", 6, times=times, options={**FAST, "bf": "0"})
    frames = list(read(file))
    assert [number(frame) for frame in frames] == list(range(6))
    assert np.allclose([frame.time for frame in frames], times, atol=0.0011)
    assert numbers(file, select=Selection(0.5, 2.0)) == [2, 3, 4]
    assert numbers(file, select=Selection(every=0.5)) == [0, 2, 4, 5]


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        (Selection(5), range(5, 20)),
        (Selection(5, 9), range(5, 9)),
        (Selection(3, 15, 4), [3, 7, 11]),
        (Selection(0.2), range(5, 20)),
        (Selection(0.2, 0.4), range(5, 10)),
        (Selection(every=0.2), [0, 5, 10, 15]),
        (Selection(0.4, 19, 3), [10, 13, 16]),
        (Selection(10, 0.6, 0.08), [10, 12, 14]),
        (Selection(50), []),
    ],
)
def test_selection_keeps_true_numbers(tmp_path: Path, select: Selection, expected: Any) -> None:
    file = encode(tmp_path / "a.mp4")
    frames = list(read(file, select=select))
    assert (
        [frame.index for frame in frames] == list(expected) == [number(frame) for frame in frames]
    )
    assert np.allclose([frame.time for frame in frames], np.array(expected) / 25)
    assert count(expand(file), select) == len(expected)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("2m", 120.0),
        ("1h30m", 5400.0),
        ("0:10", 10.0),
        ("01:02:03.5", 3723.5),
    ],
)
def test_times_as_users_type_them(text: str, seconds: float) -> None:
    assert Selection.parse(text, None, None) == Selection(seconds)
    assert isinstance(Selection.parse(text, None, None).start, float)
    assert Selection.parse("120", "200", "5") == Selection(120, 200, 5)
    assert Selection.parse(None, None, text) == Selection(every=seconds)


@pytest.mark.parametrize("text", ["", "x", "1.5", "-3", "5 s", "1:2:3:4", "s", "nan", "١s"])
def test_times_that_make_no_sense(text: str) -> None:
    for place in range(3):
        with pytest.raises(
            OptionError, match="expected a frame index such as 120 or a time such as 90s"
        ):
            Selection.parse(*(text if i == place else None for i in range(3)))


def test_selections_that_make_no_sense() -> None:
    for wrong in (
        (-1,),
        (5, 5),
        (2.0, 1.0),
        (None, 0),
        (None, None, 0),
        (None, None, -0.5),
        (float("nan"),),
    ):
        with pytest.raises(OptionError):
            Selection(*wrong)
    Selection(100, 2.0)  # a frame and a time cannot be compared beforehand


def test_skipped_frames_are_not_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(
        Shown, "__call__", lambda *_: calls.append(1) or np.zeros((48, 64, 3), np.uint8)
    )
    assert numbers(
        encode(tmp_path / "a.mp4"), select=Selection(4, 10, 2), after={str(tmp_path / "a.mp4"): 4}
    ) == [6, 8]
    assert len(calls) == 2


def test_resume_goes_on_after_the_last_frame_done(tmp_path: Path) -> None:
    file = str(encode(tmp_path / "a.mp4"))
    assert numbers(file, after={file: 11}) == list(range(12, 20))
    assert numbers(file, after={file: 11}, select=Selection(every=5)) == [15]
    assert numbers(file, after={file: 19}) == []
    assert len(numbers(file, after={"another": 11})) == 20


@pytest.mark.parametrize(
    ("degrees", "mirror"), [(d, m) for d in (0, 90, 180, -90) for m in (False, True)]
)
def test_rotation_and_mirroring_are_undone(tmp_path: Path, degrees: float, mirror: bool) -> None:
    scene = np.full((48, 64, 3), 30, np.uint8)
    scene[:24, :32] = 220  # bright at the top left
    scene[24:, :32] = 120
    file = encode(tmp_path / "a.mp4", [scene] * 3, rotation=(degrees, mirror))
    expected = np.rot90(scene, round(degrees / 90))  # FFmpeg turns against the clock, then mirrors
    expected = expected[:, ::-1] if mirror else expected
    for frame in read(file):
        assert frame.image.shape == expected.shape
        assert frame.image.flags.c_contiguous
        assert np.abs(frame.image.astype(int) - expected).mean() < 8


def test_the_orientations_of_matrices_are_those_of_exif() -> None:
    for (a, b, c, d), orientation in ORIENTATIONS.items():
        image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1).repeat(3, 2)
        shown = upright(image, orientation)
        for y in range(2):
            for x in range(3):
                to_x, to_y = a * x + c * y, b * x + d * y
                # a negative axis counts from the far end
                to_x, to_y = (
                    to_x + (a + c < 0) * (shown.shape[1] - 1),
                    to_y + (b + d < 0) * (shown.shape[0] - 1),
                )
                assert (shown[to_y, to_x] == image[y, x]).all()


@pytest.mark.parametrize("broken", [[9], [5, 6], [3, 12], [18], [19], [15, 18]])
@pytest.mark.parametrize("options", [FAST, {**FAST, "g": "1"}, {**FAST, "g": "250", "bf": "0"}])
def test_broken_packets_are_told_and_the_rest_keeps_its_numbers(
    tmp_path: Path, options: dict[str, str], broken: list[int]
) -> None:
    file = encode(tmp_path / "a.mp4", 20, options=options)
    lost = spoil(file, *broken)
    problems: list[EverybodyError] = []
    frames = list(read(file, problem=problems.append))
    assert [frame.index for frame in frames] == [i for i in range(20) if i not in lost]
    assert np.allclose(
        [frame.time for frame in frames], [frame.index / 25 for frame in frames], atol=0.0011
    )
    assert [str(problem).split(" cannot")[0] for problem in problems] == [
        f"{file}: frame {i}" for i in lost
    ]
    with pytest.raises(InputError, match=f"frame {lost[0]} cannot be decoded"):
        list(read(file))


@pytest.mark.parametrize(
    ("codec", "broken"), [("libx264", 8), ("libx264", 16), ("mpeg4", 9), ("libvpx-vp9", 9)]
)
def test_a_broken_key_frame_takes_others_along_but_not_their_numbers(
    tmp_path: Path, codec: str, broken: int
) -> None:
    file = encode(tmp_path / "a.mp4", codec=codec)
    (lost,) = spoil(file, broken)
    problems: list[EverybodyError] = []
    frames = list(read(file, problem=problems.append))
    found = [frame.index for frame in frames]
    assert [round(frame.time * 25) for frame in frames] == found
    assert lost not in found
    assert [f"{file}: frame {i}" for i in range(20) if i not in found] == [
        str(p).split(" cannot")[0] for p in problems
    ]
    if codec == "libx264":  # FFmpeg takes the last frame before a broken key frame for one after it
        assert {*range(broken - 1), *range(broken + 8, 20)} <= set(found)


def test_broken_packets_outside_the_selection_are_nobodys_concern(tmp_path: Path) -> None:
    file = encode(tmp_path / "a.mp4")
    (lost,) = spoil(file, 9)
    assert numbers(file, select=Selection(lost + 1)) == list(range(lost + 1, 20))
    assert numbers(file, after={str(file): lost}) == list(range(lost + 1, 20))
    assert numbers(file, select=Selection(0, lost)) == list(range(lost))


def test_damaged_frames_are_told_but_kept(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (4, 240, 320, 3), dtype=np.uint8)
    file = encode(tmp_path / "a.mp4", list(noise), codec="mpeg4")
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    file.write_bytes(data)
    problems: list[EverybodyError] = []
    assert numbers(file, problem=problems.append) == [0, 1, 2, 3]
    assert [str(problem) for problem in problems if "is damaged" in str(problem)]


def test_a_video_cut_short_gives_what_it_has(tmp_path: Path) -> None:
    file = encode(tmp_path / "a.ts")
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    problems: list[EverybodyError] = []
    frames = list(read(file, problem=problems.append))
    assert 5 < len(frames) < 20
    assert [number(frame) for frame in frames][:-1] == [frame.index for frame in frames][:-1]


@pytest.mark.parametrize("kept", [0.4, 0.6, 0.8, 0.9])
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm", "avi", "flv"])
def test_a_video_shorter_than_it_says_is_told(tmp_path: Path, suffix: str, kept: float) -> None:
    random = np.random.default_rng(0)
    pictures = list(random.integers(0, 255, (50, 48, 64, 3), dtype=np.uint8))
    codec = "libvpx-vp9" if suffix == "webm" else "libx264"
    front = {"movflags": "faststart"} if suffix in ("mp4", "mov") else {}
    file = encode(tmp_path / f"a.{suffix}", pictures, codec=codec, container=front)
    assert numbers(file) == list(range(50))  # and nothing is told of a whole one
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * kept)])
    problems: list[EverybodyError] = []
    found = numbers(file, problem=problems.append)
    assert len(found) < 50
    said = " | ".join(map(str, problems))
    assert re.search(rf"holds {len(found)} of about 5[0-2] frames; cut short", said)
    assert numbers(file, select=Selection(0, 3)) == [0, 1, 2]  # its end is nobody's concern


def test_the_size_may_change(tmp_path: Path) -> None:
    first, second = tmp_path / "1.h264", tmp_path / "2.h264"
    encode(first, 5)
    encode(second, [np.full((96, 80, 3), 200, np.uint8)] * 5)
    (tmp_path / "a.h264").write_bytes(first.read_bytes() + second.read_bytes())
    frames = list(read(tmp_path / "a.h264"))
    assert [frame.size for frame in frames] == [(64, 48)] * 5 + [(80, 96)] * 5
    assert [frame.index for frame in frames] == list(range(10))


def test_full_range_and_limited_range_both_reach_black_and_white(tmp_path: Path) -> None:
    scene = np.zeros((48, 64, 3), np.uint8)
    scene[:, 32:] = 255
    for codec, pixels in (("mjpeg", "yuvj420p"), ("libx264", "yuv420p")):
        image = next(read(encode(tmp_path / "a.mkv", [scene], codec=codec, pixels=pixels))).image
        assert image[:, :24].max() <= 4
        assert image[:, 40:].min() >= 251


def test_what_is_no_video(tmp_path: Path) -> None:
    def line(name: str, data: bytes) -> str:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError) as caught:
            list(read(tmp_path / name))
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    whole = encode(tmp_path / "a.mp4").read_bytes()
    assert "neither a picture" in line("noise.mp4", bytes(range(256)) * 16)
    assert "neither a picture" in line("cut.mp4", whole[: len(whole) // 2])  # the index is gone
    assert "codec is unknown" in line("codec.mp4", whole.replace(b"avc1", b"zzzz"))
    assert "holds no video (wav with audio)" in line("a.wav", _silence())
    assert "holds no frames" in line(
        "none.y4m", encode(tmp_path / "b.y4m", 1, codec="rawvideo").read_bytes()[:70]
    )


def _silence() -> bytes:
    import io
    import wave

    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1600))
    return file.getvalue()


def test_too_large_a_video(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="64 × 48"):
        list(read(encode(tmp_path / "a.mp4"), max_pixels=1000))


def test_closing_early_closes_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    real = video.Video.__exit__

    def close(self: video.Video, *error: object) -> None:
        real(self, *error)
        closed.append("yes")

    monkeypatch.setattr(video.Video, "__exit__", close)
    frames: Any = read(encode(tmp_path / "a.mp4"))
    assert next(frames).index == 0
    assert not closed
    frames.close()
    assert closed


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    file = encode(tmp_path / "a.mp4", [np.zeros((48, 64, 3), np.uint8)] * 100, rotation=(90, False))
    gc.collect()
    gc.disable()  # what only the collector frees is, at 4K, gigabytes before it comes
    try:
        assert sum(1 for _ in read(file)) == 100
        assert sum(type(thing) in (VideoFrame, Frame, Packet) for thing in gc.get_objects()) < 10
    finally:
        gc.enable()


@pytest.mark.parametrize("broken", [17, 18, 19])
def test_frames_rescued_from_a_broken_end_are_upright_too(tmp_path: Path, broken: int) -> None:
    file = encode(tmp_path / "a.mp4", rotation=(90, False))
    (lost,) = spoil(file, broken)
    frames = list(read(file, problem=lambda _: None))
    assert [frame.index for frame in frames] == [i for i in range(20) if i != lost]
    assert {frame.size for frame in frames} == {(48, 64)}


def test_an_estimate_without_a_frame_count(tmp_path: Path) -> None:
    assert count(expand(encode(tmp_path / "a.mkv"))) == 20  # Matroska says only how long it lasts
    assert count(expand(encode(tmp_path / "a.h264"))) is None


@pytest.mark.skipif(not REAL.exists(), reason="needs ../shared/data")
def test_a_real_video() -> None:
    frames = list(read(REAL / "class.mp4", select=Selection(100, 103)))
    assert [frame.index for frame in frames] == [100, 101, 102]
    assert frames[0].time == pytest.approx(4.0)
    assert frames[0].size == (1280, 720)
    assert count(expand(REAL / "class.mp4")) == 381


def test_whatever_is_broken_frames_come_once_in_order_and_problems_in_a_line_each(
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(0)
    files = [
        encode(tmp_path / f"a.{suffix}").read_bytes() for suffix in ("mp4", "ts", "mkv", "flv")
    ]
    for trial in range(60):
        data = np.frombuffer(files[trial % 4], np.uint8).copy()
        for place in random.integers(0, len(data), 1 + trial % 3):
            data[place : place + 1 + trial % 60] = random.integers(256)
        (tmp_path / "broken").write_bytes(data.tobytes())
        problems: list[EverybodyError] = []
        found = numbers(tmp_path / "broken", problem=problems.append)
        assert found == sorted(set(found))
        assert found or problems
        assert all(
            isinstance(problem, InputError) and "\n" not in str(problem) for problem in problems
        )


# Hardware


def test_hardware_that_cannot_decode_is_told_and_the_frames_are_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What the machine of this test has does not matter: frames are the same in any case."""
    from av.codec.hwaccel import hwdevices_available

    path = encode(tmp_path / "a.mp4", 9)
    plain = [frame.image for frame in read(path)]
    for kind in hwdevices_available():
        caplog.clear()
        select = Selection(hardware=kind)
        for source in (path, path.read_bytes()):
            found = [frame.image for frame in read(source, select=select)]
            assert np.array_equal(found, plain)
        said = [record.message for record in caplog.records]
        assert all(f"is decoded on the CPU: {kind}" in text for text in said)


def test_hardware_that_nobody_knows(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", 2)
    with pytest.raises(OptionError, match="no decoding on 'abacus': this FFmpeg knows"):
        list(read(path, select=Selection(hardware="abacus")))
