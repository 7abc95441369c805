"""How thick a body is: girths of limbs and trunk from silhouettes, where they are given.

Across a bone, the silhouette is as wide as the limb. A limb is taken to be round, a trunk an
ellipse that is deeper than wide by `TRUNK_DEPTH` (NASA 1978, chest depth by breadth).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..geometry import Array
from .body import Animation
from .cameras import Camera

# Segment -> its ends; {} is the side.
SEGMENTS = {
    **{f"{side}_{name}": (f"{side}_{a}", f"{side}_{b}")
       for side in ("left", "right")
       for name, a, b in (("thigh", "hip", "knee"), ("shank", "knee", "ankle"),
                          ("upper_arm", "shoulder", "elbow"), ("forearm", "elbow", "wrist"))},
    "trunk": ("pelvis", "neck"),
}  # fmt: skip
TRUNK_DEPTH = 0.75
WIDEST = 0.5  # metres
SHORTEST = 0.6  # of a bone's length that must be seen, or it points too much at the camera


def girths(
    silhouettes: Sequence[NDArray[np.bool_]], animation: Animation, camera: Camera
) -> dict[str, float]:
    """Masks [H, W] of the frames (as many as the animation has) -> girths in metres, the median of
    what is seen across the middle of each segment; segments that are never seen whole are left out.
    """
    place = {name: j for j, name in enumerate(animation.body.joints)}
    place.setdefault("neck", place.get("thorax", -1))
    out = {}
    for segment, (start, end) in SEGMENTS.items():
        if place.get(start, -1) < 0 or place.get(end, -1) < 0:
            continue
        ends = animation.places[:, [place[start], place[end]]]
        widths = [
            width
            for mask, pair in zip(silhouettes, ends, strict=True)
            for width in _widths(mask, pair, camera)
        ]
        if widths:
            out[segment] = _around(float(np.median(widths)), segment)
    return out


def _around(width: float, segment: str) -> float:
    """The girth of a segment that is so wide; an ellipse by Ramanujan's first formula (1914)."""
    a, b = width / 2, width / 2 * (TRUNK_DEPTH if segment == "trunk" else 1)
    return float(np.pi * (3 * (a + b) - np.sqrt((3 * a + b) * (a + 3 * b))))


def _widths(mask: NDArray[np.bool_], ends: Array, camera: Camera) -> list[float]:
    """Metres across a segment with ends [2, 3], at a third, half and two thirds of its length."""
    first, last = camera.onto(ends)
    depth = (ends @ camera.rotation.T + camera.translation)[:, 2].mean()
    pixel = depth / camera.matrix[0, 0]  # metres
    along = (last - first) * pixel
    seen = float(np.linalg.norm(along))
    if depth <= 0 or seen < SHORTEST * np.linalg.norm(ends[1] - ends[0]):
        return []
    across = np.array([-along[1], along[0]]) / seen
    reach = int(WIDEST / 2 / pixel) + 1
    out = []
    for share in (1 / 3, 1 / 2, 2 / 3):
        middle = first + share * (last - first)
        sides = [_run(mask, middle, sign * across, reach) for sign in (1, -1)]
        if all(0 < side < reach for side in sides):
            out.append((sum(sides) - 1) * pixel)
    return out


def _run(mask: NDArray[np.bool_], start: Array, way: Array, most: int) -> int:
    """How many steps of a pixel lead out of the mask; 0 where the start is outside."""
    for step in range(most):
        x, y = np.rint(start + step * way).astype(int)
        if not (0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]) or not mask[y, x]:
            return step
    return most
