"""Drawn by ourselves: people in space under a camera that circles them, as a picture, a GIF, a
video or a film strip.

The camera is that of page.js: it circles the middle of the floor, and looks at a point above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow

from ...atomic import replacing
from ...draw import hue
from ...errors import DataError
from ...media.encode import VideoWriter
from ...people import Image
from .show import DARKER, FAR, LEAST, Array, Mask, Moment, Show

PAPER, GRID = (250, 250, 248), (214, 216, 220)
STEP = 0.5  # metres between lines of the floor
MOMENTS = 8  # of a strip
MOST = 240  # pictures of a GIF


@dataclass(frozen=True, slots=True)
class Orbit:
    """A camera on a circle of `far` metres around `middle`, in pictures of this size. turn and tilt
    in radians: 0 looks along y, level; tilted, from above.
    """

    middle: tuple[float, float, float]
    far: float
    turn: float = -0.6
    tilt: float = 0.25
    size: tuple[int, int] = (480, 480)

    def project(self, places: Array) -> Array:
        """[..., 3] in metres, z up -> [..., 3]: x and y in pixels, depth in metres; NaN behind the
        camera.
        """
        x, y, z = np.moveaxis(places - np.array(self.middle), -1, 0)
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        right, away = cos * x - sin * y, sin * x + cos * y
        depth = self.far + np.cos(self.tilt) * away - np.sin(self.tilt) * z
        high = np.sin(self.tilt) * away + np.cos(self.tilt) * z
        depth = np.where(depth > 0.1, depth, np.nan)
        width, height = self.size
        focal = 1.6 * min(self.size)
        return np.stack(
            [
                (width - 1) / 2 + focal * right / depth,
                (height - 1) / 2 - focal * high / depth,
                depth,
            ],
            -1,
        )


def orbit(show: Show, size: tuple[int, int], turn: float = -0.6) -> Orbit:
    """A camera that sees all of a show."""
    (x, y, z), reach = show.room()
    return Orbit((float(x), float(y), float(z + min(reach, 0.9))), FAR * reach, turn, size=size)


def picture(show: Show, moment: Moment, camera: Orbit) -> Image:
    """[H, W, 3]: the floor, and people, the farthest first."""
    width, height = camera.size
    canvas = np.full((height, width, 3), PAPER, np.uint8)
    _floor(canvas, show, camera)

    points = camera.project(moment.places.astype(np.float64))
    known: Mask = np.asarray(np.isfinite(points).all(2))
    some = [n for n in range(len(points)) if known[n].any()]
    for n in sorted(some, key=lambda n: -points[n, known[n], 2].min()):
        _person(canvas, points[n], known[n], show.skeleton.limbs, hue(moment.ids[n]))
    return canvas


def _floor(canvas: Image, show: Show, camera: Orbit) -> None:
    middle, reach = show.room()
    count = int(np.ceil(reach / STEP))
    centre = np.round(middle[:2] / STEP) * STEP
    steps, edge = np.arange(-count, count + 1) * STEP, count * STEP
    for axis in (0, 1):
        ends = np.zeros((len(steps), 2, 3))
        ends[..., axis], ends[..., 1 - axis] = steps[:, None], np.array([-edge, edge])
        ends[..., :2] += centre
        ends[..., 2] = middle[2]
        for one, other in camera.project(ends):
            _line(canvas, one, other, GRID, 1)


def _person(
    canvas: Image,
    points: Array,
    known: Mask,
    limbs: Sequence[tuple[int, int]],
    colour: tuple[int, int, int],
) -> None:
    dark = tuple(round(DARKER * value) for value in colour)
    thick = max(1, round(min(canvas.shape[:2]) / 160))
    for a, b in limbs:
        if known[a] and known[b]:
            _line(canvas, points[a], points[b], dark, thick)
    for x, y, _ in points[known]:
        if abs(x) < 1e4 and abs(y) < 1e4:
            cv2.circle(canvas, (round(x), round(y)), thick + 1, dark, -1, cv2.LINE_AA)


def _line(canvas: Image, one: Array, other: Array, colour: tuple[int, ...], thick: int) -> None:
    ends = np.array([one[:2], other[:2]])
    if np.isfinite(ends).all() and np.abs(ends).max() < 1e4:
        (a, b), (c, d) = np.rint(ends).astype(int).tolist()
        cv2.line(canvas, (a, b), (c, d), colour, thick, cv2.LINE_AA)


def turning(show: Show, size: tuple[int, int], turns: float = 1.0) -> Iterator[tuple[float, Image]]:
    """Each moment with its time, seen from a camera that goes around so many times."""
    start = orbit(show, size).turn
    for n, moment in enumerate(show.moments):
        angle = start + 2 * np.pi * turns * n / len(show.moments)
        yield moment.time, picture(show, moment, orbit(show, size, angle))


def write_video(show: Show, path: Path, size: tuple[int, int] = (640, 480)) -> None:
    """An MP4. Raises DataError without frames, OutputError."""
    _some(show, path)
    with VideoWriter(path) as video:
        for time, image in turning(show, size):
            video.write(image, time)


def write_gif(show: Show, path: Path, size: tuple[int, int] = (320, 320)) -> None:
    """A GIF that goes on for ever: at most `MOST` pictures, evenly chosen. Raises DataError without
    frames, OutputError.
    """
    _some(show, path)
    every = -(-len(show.moments) // MOST)
    fewer = Show(show.name, show.skeleton, show.moments[::every])
    times, images = zip(*turning(fewer, size), strict=True)
    gaps = np.diff(times)
    usual = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 0.1
    pictures = [Pillow.fromarray(image).quantize(32) for image in images]
    with replacing(path) as part, part.open("wb") as file:
        pictures[0].save(
            file,
            "GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=max(20, round(1000 * usual)),
            loop=0,
        )


def strip(show: Show, count: int = MOMENTS, side: int = 200) -> Image:
    """[H, W, 3]: moments evenly chosen, people in 2D, where they are known, above
    people in space. Raises DataError without frames.
    """
    _some(show, Path(show.name))
    chosen = np.unique(np.linspace(0, len(show.moments) - 1, count).round().astype(int))
    moments = [show.moments[n] for n in chosen]
    camera = orbit(show, (side, side), 0.0)
    rows = [np.hstack([picture(show, moment, camera) for moment in moments])]
    heights = [round(side * m.size[1] / max(m.size)) for m in moments if min(m.size) > 0]
    if heights:
        rows.insert(0, np.hstack([_flat(moment, side, max(heights)) for moment in moments]))
    return np.vstack(rows)


def write_strip(show: Show, path: Path) -> None:
    """A PNG. Raises DataError without frames, OutputError."""
    image = strip(show)
    with replacing(path) as part, part.open("wb") as file:
        Pillow.fromarray(image).save(file, "PNG", optimize=True)


def _flat(moment: Moment, side: int, height: int) -> Image:
    """The people of a picture on white, [height, side, 3]."""
    canvas = np.full((height, side, 3), PAPER, np.uint8)
    people = moment.flat
    if people is None or not min(moment.size):
        return canvas
    scale = side / max(moment.size)
    inner = np.maximum(1, np.round(np.multiply(moment.size, scale))).astype(int)
    left, top = (np.array([side, height]) - inner) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = 255

    points = people.keypoints.astype(np.float64)
    points[..., :2] = (points[..., :2] + 0.5) * scale - 0.5 + (left, top)
    ids = range(len(people)) if people.ids is None else people.ids.tolist()
    for joints, number in zip(points, ids, strict=True):
        _person(canvas, joints, joints[:, 2] >= LEAST, people.skeleton.limbs, hue(number))
    return canvas


def _some(show: Show, path: Path) -> None:
    if not show.moments:
        raise DataError(f"{path}: there are no frames to draw")
