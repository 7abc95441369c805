"""People on a picture: bright limbs with a dark outline, which reads on any background, in the
picture's own pixels.

Under the coordinate law a joint at (3, 5) is the centre of that pixel, which is what OpenCV draws
at (3, 5) too; its `shift` places everything to a sixteenth of a pixel, so that skeletons on video
move smoothly.
"""

from __future__ import annotations

import colorsys
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .geometry import box_around
from .skeletons import Skeleton

if TYPE_CHECKING:
    from .people import Floats, Image, People

Colour = tuple[int, int, int]  # RGB

# Told apart with every common colour blindness, and on skin, grass and asphalt.
SIDES: dict[str, Colour] = {
    "left": (0, 190, 255), "right": (255, 130, 20), "centre": (245, 240, 225),
}  # fmt: skip
DARK: Colour = (16, 18, 24)
_SHIFT, _ONE = 4, 16  # fractional bits, and what they make of 1
_FINE = 0.3  # the points of faces and hands, as part of other joints
_HEAD = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
_SOLID = 0.2  # above min_score, where joints stop being see-through
_FAINTEST = 0.35  # opacity at min_score
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw(
    image: Image,
    people: People,
    *,
    colour: Literal["side", "person"] = "side",
    boxes: bool = False,
    scores: bool = False,
    ids: bool | None = None,
    min_score: float = 0.3,
    min_score_parts: float | None = None,
    thickness: float | None = None,
) -> Image:
    """A copy of the picture [H, W, 3] uint8 RGB with the people on it, the larger over the smaller.

    colour: by the body's left (blue), right (orange) and middle (white), or one per person that
    stays with its id. boxes, scores, ids: draw these too; ids None means where people are tracked.
    People without joints are boxes always; animals have their species beside them. min_score:
    joints that score less are left out, as are limbs with such an end; from there to 0.2 above they
    turn from faint to solid. It hides joints only: the caller chooses the people. min_score_parts:
    the same for the points of faces and hands of whole bodies, of which networks are less sure;
    None is half of min_score. thickness: of a limb in pixels; by default it follows the size of the
    person, within what the size of the picture makes readable.
    """
    canvas = np.array(image, order="C")
    parts = min_score / 2 if min_score_parts is None else min_score_parts
    least = np.where(people.skeleton.fine, parts, min_score)
    extents = _extents(people, least)
    size = np.max(extents[:, 2:] - extents[:, :2], axis=1, initial=0)
    width = extent(canvas)
    fitting = np.clip(size / 75, max(1.25, width / 900), max(1.5, width / 110)).tolist()
    widths: list[float] = [thickness] * len(people) if thickness else fitting
    show_ids = people.ids is not None and ids is not False
    order = np.argsort(size, kind="stable").tolist()
    hues = [hue(n if people.ids is None else int(people.ids[n])) for n in range(len(people))]
    for n in order:
        one = hues[n] if colour == "person" else None
        _draw_person(canvas, people.keypoints[n], people.skeleton, widths[n], one, least)
    for n in order:
        one = hues[n] if colour == "person" else SIDES["centre"]
        if boxes or not len(people.skeleton):
            _draw_box(canvas, people.boxes[n], widths[n], one)
        kind = "" if people.categories is None else str(people.categories[n])
        words = [kind] * (kind not in ("", "person"))
        words += [str(people.ids[n])] * show_ids if people.ids is not None else []
        words += [f"{people.scores[n]:.2f}"] * scores
        if words:
            _draw_label(canvas, "  ".join(words), extents[n], widths[n], one)
    return canvas


def extent(image: Image) -> float:
    """Pixels that widths of lines are measured by: the longer side of the picture, or of a panorama
    the longer side of the 16:9 picture of its height, since people in it are no larger for its
    width.
    """
    return min(float(max(image.shape[:2])), min(image.shape[:2]) * 16 / 9)


def _extents(people: People, least: NDArray[np.float64]) -> Floats:
    """[N, 4]: where each person is, by the box, or where that is empty by the joints that are
    drawn: those that score at least `least` [K].
    """
    seen = np.where(people.keypoints[..., 2:] >= least[:, None], people.keypoints, 0)
    empty = np.any(people.boxes[:, 2:] <= people.boxes[:, :2], axis=1)
    return np.where(empty[:, None], box_around(seen), people.boxes)


@lru_cache(maxsize=16)
def _style(
    skeleton: Skeleton,
) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.int64], tuple[str, ...]]:
    """Sides and relative sizes [K] of joints, ends [L, 2] and sides of limbs; a limb is centre if
    its ends disagree.
    """
    sides = skeleton.sides
    fine = np.array(skeleton.fine, bool)
    if any(name.startswith("face_") for name in skeleton.joints):  # it shows eyes and nose better
        fine |= np.isin(skeleton.joints, _HEAD)
    sizes = np.where(fine, _FINE, 1.0)
    limbs = np.array(skeleton.limbs, int).reshape(-1, 2)
    ends = [{sides[a], sides[b]} - {"centre"} for a, b in skeleton.limbs]
    return sides, sizes, limbs, tuple(end.pop() if len(end) == 1 else "centre" for end in ends)


def _draw_person(
    canvas: Image,
    keypoints: Floats,
    skeleton: Skeleton,
    width: float,
    colour: Colour | None,
    least: NDArray[np.float64],
) -> None:
    """keypoints [K, 3]; width of a limb in pixels; colour None is by side; least [K]: what a joint
    must score.
    """
    sides, sizes, limbs, limb_sides = _style(skeleton)
    scores = np.where(np.isfinite(keypoints).all(1), keypoints[:, 2], -1)
    opacity = np.clip(_FAINTEST + (1 - _FAINTEST) * (scores - least) / _SOLID, 0, 1)
    opacity = np.where(scores >= least, opacity, 0)
    reach = 4 * max(canvas.shape)  # beyond which OpenCV's fixed-point numbers would overflow
    points = np.clip(np.nan_to_num(keypoints[:, :2].astype(np.float64)), -reach, reach)

    a, b = limbs.T
    along = points[b] - points[a]
    across = along[:, ::-1] * (-1, 1) / np.maximum(np.hypot(*along.T), 1e-6)[:, None]
    bar_sizes, bar_opacity = np.minimum(sizes[a], sizes[b]), np.minimum(opacity[a], opacity[b])
    for outline in (True, False):
        edge = max(0.75, 0.16 * width) if outline else 0
        sideways = across * (bar_sizes * (0.5 * width + edge))[:, None]
        corners = np.stack(
            [
                points[a] + sideways,
                points[b] + sideways,
                points[b] - sideways,
                points[a] - sideways,
            ],
            1,
        )
        corners, centres, radii = (
            np.rint(v * _ONE).astype(np.int32)
            for v in (corners, points, sizes * (0.8 * width + edge))
        )
        for limb in np.flatnonzero(bar_opacity).tolist():
            paint = DARK if outline else colour or SIDES[limb_sides[limb]]
            _shape(canvas, corners[limb], 0, paint, bar_opacity[limb])
        for joint in np.flatnonzero(opacity).tolist():
            paint = DARK if outline else _light(colour or SIDES[sides[joint]])
            _shape(canvas, centres[joint : joint + 1], int(radii[joint]), paint, opacity[joint])


def _shape(
    canvas: Image, points: NDArray[np.int32], radius: int, colour: Colour, opacity: float
) -> None:
    """A convex polygon [P, 2], or a disc around one point [1, 2]; all in sixteenths of a pixel."""
    if opacity < 1:  # on a copy of its surroundings, which is then mixed in
        low = np.maximum((points.min(0) - radius) // _ONE - 2, 0)
        high = (points.max(0) + radius) // _ONE + 4
        region = canvas[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
        if region.size:
            solid = region.copy()
            _shape(solid, points - (low * _ONE).astype(np.int32), radius, colour, 1)
            cv2.addWeighted(solid, opacity, region, 1 - opacity, 0, dst=region)
    elif len(points) == 1:
        cv2.circle(canvas, points[0].tolist(), max(radius, 1), colour, -1, cv2.LINE_AA, _SHIFT)
    else:
        cv2.fillConvexPoly(canvas, points, colour, cv2.LINE_AA, _SHIFT)


def _light(colour: Colour) -> Colour:
    """Half way to white, for joints to stand out from limbs."""
    red, green, blue = colour
    return (red + 255) // 2, (green + 255) // 2, (blue + 255) // 2


def _draw_box(canvas: Image, box: Floats, width: float, colour: Colour) -> None:
    reach = 4 * max(canvas.shape)
    x0, y0, x1, y1 = (
        np.rint(np.clip(np.nan_to_num(box.astype(np.float64)), -reach, reach) * _ONE)
        .astype(int)
        .tolist()
    )
    thin = max(1, round(width / 3))
    for line, paint in ((thin + 2, DARK), (thin, colour)):
        cv2.rectangle(canvas, (x0, y0), (x1, y1), paint, line, cv2.LINE_AA, _SHIFT)


def _draw_label(canvas: Image, text: str, place: Floats, width: float, colour: Colour) -> None:
    """A tag above the upper left corner of the person's place, moved into the picture where it
    would stick out.
    """
    # Of the letters, in pixels.
    height = min(max(3.2 * width, 11, extent(canvas) / 90), canvas.shape[0] / 4)
    scale, weight = height / 22, max(1, round(height / 10))
    (wide, high), _ = cv2.getTextSize(text, _FONT, scale, weight)
    pad = round(0.45 * height)
    x = int(np.clip(np.nan_to_num(place[0]), 0, max(0, canvas.shape[1] - wide - 2 * pad)))
    y = int(
        np.clip(
            np.nan_to_num(place[1]) - high - 2 * pad, 0, max(0, canvas.shape[0] - high - 2 * pad)
        )
    )
    canvas[y : y + high + 2 * pad, x : x + wide + 2 * pad] = DARK
    cv2.putText(canvas, text, (x + pad, y + pad + high), _FONT, scale, colour, weight, cv2.LINE_AA)


def hue(number: int) -> Colour:
    """Neighbouring numbers get colours far apart, each number always the same one: steps of the
    golden ratio.
    """
    red, green, blue = colorsys.hsv_to_rgb((0.55 + number * 0.618033988749895) % 1, 0.72, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)
