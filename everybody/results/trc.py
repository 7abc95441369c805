"""TRC, the marker format of OpenSim and Motion Analysis: a file per person, joints as markers, in
space, or in the picture's plane.

In the picture's plane X points right, Y up, from the picture's lower left corner; Z is 0. In metres
where the scale is given; else a pixel is a millimetre, since readers of the format know no pixels.
Joints that are not seen are empty, as the format wants it; the last joint is nan, since OpenSim's
reader loses an empty cell at the end of a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as File

import numpy as np

from ..atomic import replacing
from ..geometry import Array
from ..kinematics import Path
from ..lift.motion import Motion
from ..media.clock import RATE

_COLUMNS = (
    "DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units",
    "OrigDataRate", "OrigDataStartFrame", "OrigNumFrames",
)  # fmt: skip


def trc(
    path: Path, *, name: str = "", metres_per_pixel: float = 0.0, min_score: float = 0.2
) -> str:
    """One person's path -> the text of a TRC file, in metres, or where the scale is 0, in
    millimetres of which one stands for a pixel.
    """
    times = path.times - path.times[0] if len(path.times) else path.times
    scale, unit = (metres_per_pixel, "m") if metres_per_pixel else (1.0, "mm")
    points = np.concatenate([path.upward() * scale, np.zeros((*path.keypoints.shape[:2], 1))], 2)
    points[path.keypoints[..., 2] < min_score] = np.nan
    first = path.frames[0] if len(path.frames) else 0
    return text_of(path.skeleton.joints, times, points, unit=unit, name=name, first=first)


def motion_trc(motion: Motion, *, name: str = "") -> str:
    """One person in space -> the text of a TRC file in metres, y up."""
    return text_of(motion.skeleton.joints, motion.times, motion.upright(), unit="m", name=name)


def text_of(
    markers: Sequence[str], times: Array, points: Array, *, unit: str, name: str, first: int = 0
) -> str:
    """The text of a TRC: K markers, times [T], points [T, K, 3], NaN where not seen. first: the
    number of the first frame in what they come from.
    """
    rate = f"{1 / float(np.median(np.diff(times))) if len(times) > 1 else RATE:.6g}"
    head = (rate, rate, len(times), len(markers), unit, rate, first, len(times))
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{name}",
        "\t".join(_COLUMNS),
        "\t".join(map(str, head)),
        "Frame#\tTime\t" + "\t\t\t".join(markers) + "\t\t",
        "\t\t" + "\t".join(f"X{n}\tY{n}\tZ{n}" for n in range(1, len(markers) + 1)),
        "",
    ]
    unseen = [*["\t\t"] * (len(markers) - 1), "nan\tnan\tnan"]
    seen = np.asarray(np.isfinite(points).all(2))
    for n, time in enumerate(times):
        cells = [
            f"{x:.5f}\t{y:.5f}\t{z:.5f}" if seen[n, k] else unseen[k]
            for k, (x, y, z) in enumerate(points[n])
        ]
        lines.append(f"{n + 1}\t{time:.6f}\t" + "\t".join(cells))
    return "\n".join(lines) + "\n"


def write_trc(path: Path, file: File, *, metres_per_pixel: float = 0.0) -> None:
    """Whole or not there. Raises OutputError."""
    text = trc(path, name=file.name, metres_per_pixel=metres_per_pixel)
    with replacing(file) as part:
        part.write_text(text, encoding="utf-8")
