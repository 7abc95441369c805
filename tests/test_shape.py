"""Pictures as they are meant to be seen: of square pixels, cropped, upright."""

from __future__ import annotations

import struct
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from everybody.media.aperture import WHOLE, Edges, edges
from everybody.media.read import read
from everybody.media.write import Overlays

from .movies import encode

DISC = (np.hypot(*np.mgrid[-60:60, -60:60]) < 40).astype(np.uint8)[..., None].repeat(3, 2) * 200
SIZE = (64, 48)


def film(path: Path, aspect: Fraction, picture: np.ndarray, degrees: float = 0) -> Path:
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=25)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        if degrees:
            stream.set_display_rotation(degrees)
        for _ in range(3):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())
    return path


def extents(image: np.ndarray) -> tuple[int, int]:
    """Width and height of what is bright."""
    bright = image[..., 0] > 100
    return int(bright.any(0).sum()), int(bright.any(1).sum())


@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(16, 11), Fraction(8, 9), Fraction(2)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_pixels_become_square_and_none_are_lost(
    tmp_path: Path, aspect: Fraction, name: str
) -> None:
    squeezed = DISC[:, :: 2 if aspect == 2 else 1]
    file = film(tmp_path / name, aspect, squeezed)
    image = next(read(file)).image
    height, width = squeezed.shape[:2]
    assert image.shape[1] / image.shape[0] == pytest.approx(width * aspect / height, abs=0.01)
    assert image.shape[1] >= width
    assert image.shape[0] >= height
    if aspect == 2:
        wide, high = extents(image)
        assert wide == pytest.approx(high, abs=3)


def test_square_pixels_stay_as_they_are(tmp_path: Path) -> None:
    for aspect in (Fraction(1), Fraction(100, 1)):  # nobody means the second
        assert next(read(film(tmp_path / "a.mp4", aspect, DISC))).size == (120, 120)


def test_pixels_are_made_square_before_the_picture_is_turned(tmp_path: Path) -> None:
    file = film(tmp_path / "a.mp4", Fraction(2), DISC[:, ::2], degrees=90)
    wide, high = extents(next(read(file)).image)
    assert wide == pytest.approx(high, abs=3)
    file = film(tmp_path / "b.mp4", Fraction(3, 2), np.zeros((48, 64, 3), np.uint8), degrees=90)
    assert next(read(file)).size == (48, 96)


def test_an_overlay_has_the_shape_that_its_source_is_shown_in(tmp_path: Path) -> None:
    file = film(tmp_path / "a.mp4", Fraction(3, 2), np.zeros((48, 64, 3), np.uint8))
    with Overlays(tmp_path / "out") as overlays:
        for frame in read(file):
            path = overlays.write(frame)
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        assert (stream.width, stream.height) == (96, 48)
        assert stream.sample_aspect_ratio in (None, 1)


def test_the_handed_case(shared: Path) -> None:
    folder = shared / "cases" / "anamorphic-sar"
    for wide, square in zip(read(folder / "sar43.mp4"), read(folder / "square.mp4"), strict=True):
        assert wide.size == square.size == (240, 400)
        assert np.abs(wide.image.astype(int) - square.image).mean() < 6


def boxed(path: Path, box: bytes) -> None:
    """Puts a box at the end of the sample entry of an MP4 whose index comes last."""
    data = bytearray(path.read_bytes())
    start, end, around = 0, len(data), []
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", None):
        while kind is not None and data[start + 4 : start + 8] != kind:
            start += int.from_bytes(data[start : start + 4], "big")
        around.append(start)
        end = start + int.from_bytes(data[start : start + 4], "big")
        start += 16 if kind == b"stsd" else 8
    data[end:end] = box
    for place in around:
        size = int.from_bytes(data[place : place + 4], "big") + len(box)
        data[place : place + 4] = struct.pack(">I", size)
    path.write_bytes(data)


def clap(width: int, height: int, across: int, down: int) -> bytes:
    return struct.pack(">I4sIIIIiIiI", 40, b"clap", width, 1, height, 1, across, 1, down, 1)


def scene(size: tuple[int, int] = SIZE) -> np.ndarray:
    """Dark, with one bright block from column 16 to 32 and from row 8 to 24."""
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[8:24, 16:32] = 220
    return picture


def test_the_clean_aperture_of_mp4_is_what_is_shown(tmp_path: Path) -> None:
    file = encode(tmp_path / "a.mp4", [scene()] * 3)
    boxed(file, clap(48, 32, 4, -6))  # 12 columns off the left, 4 off the right; 2 rows, 14 rows
    for source in (file, file.read_bytes()):
        image = next(read(source)).image
        assert image.shape[:2] == (32, 48)
        bright = np.argwhere(image[..., 0] > 110)
        assert bright.min(0).tolist() == pytest.approx([6, 4], abs=1)


@pytest.mark.parametrize("box", [clap(480, 32, 0, 0), clap(48, 32, 40, 0), clap(0, 0, 0, 0), b"x"])
def test_an_aperture_that_makes_no_sense_crops_nothing(tmp_path: Path, box: bytes) -> None:
    file = encode(tmp_path / "a.mp4", [scene()] * 3)
    boxed(file, box)
    data = file.read_bytes()
    assert edges(BytesIO(data), "mov,mp4", 0, SIZE) == WHOLE
    for length in range(0, len(data), 37):  # nor does a file cut short raise anything
        assert edges(BytesIO(data[:length]), "mov,mp4", 0, SIZE) == WHOLE


def element(identity: int, inside: bytes) -> bytes:
    return (
        identity.to_bytes((identity.bit_length() + 7) // 8, "big")
        + bytes([0x40 | len(inside) >> 8, len(inside) & 255])
        + inside
    )


def test_the_crop_of_matroska() -> None:
    crops = [(0x54CC, 1), (0x54BB, 2), (0x54DD, 3), (0x54AA, 4)]
    video = element(0xE0, b"".join(element(kind, bytes([value])) for kind, value in crops))
    sound = element(0xAE, element(0xD7, b"\1"))
    tracks = element(0x1654AE6B, sound + element(0xAE, element(0xD7, b"\2") + video))
    head = element(0x1A45DFA3, b"")
    endless = bytes.fromhex("18538067 01ffffffffffffff")
    for data in (head + element(0x18538067, tracks), head + endless + tracks):
        found = edges(BytesIO(data), "matroska,webm", 0, SIZE)
        assert found == Edges(left=1, top=2, right=3, bottom=4)
        assert edges(BytesIO(data), "matroska,webm", 1, SIZE) == WHOLE
        for length in range(len(data)):
            assert min(edges(BytesIO(data[:length]), "matroska,webm", 0, SIZE)) >= 0


def test_the_stream_marked_as_the_default_is_shown(tmp_path: Path) -> None:
    def write(path: Path, marked: int | None) -> Path:
        with av.open(str(path), "w") as output:
            streams: list[Any] = [output.add_stream("libx264", rate=25) for _ in range(2)]
            for n, stream in enumerate(streams):
                stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
                stream.disposition = Disposition.default if n == marked else Disposition(0)
            for n, stream in enumerate(streams):
                grey = np.full((48, 64, 3), 60 + 120 * n, np.uint8)
                for _ in range(3):
                    output.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            for stream in streams:
                output.mux(stream.encode())
        return path

    for marked, expected in ((0, 60), (1, 180), (None, 60)):
        image = next(read(write(tmp_path / "a.mkv", marked))).image
        assert image.mean() == pytest.approx(expected, abs=6)


def test_side_data_that_pyav_does_not_know_are_ignored(shared: Path) -> None:
    folder = shared / "cases" / "broken"
    assert [frame.size for frame in read(folder / "exif_frames.avi")] == [(320, 180)] * 3
    (frame,) = read(folder / "jpeg_as_video_exif_sidedata.jpg")
    assert frame.size == (108, 192)  # which EXIF turns by a quarter
