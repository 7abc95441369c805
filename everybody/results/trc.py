"""TRC, the marker format of OpenSim and Motion Analysis: a file per person, joints as markers in
the picture's plane.

X points right, Y up, from the picture's lower left corner; Z is 0. In metres where the scale is
given; else a pixel is a millimetre, since readers of the format know no pixels. Joints that are not
seen are empty, as the format wants it; the last joint is nan, since OpenSim's reader loses an empty
cell at the end of a line.
"""

from __future__ import annotations

from pathlib import Path as File

import numpy as np

from ..atomic import replacing
from ..kinematics import Path
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
    rate = f"{1 / float(np.median(np.diff(times))) if len(times) > 1 else RATE:.6g}"
    scale, unit = (metres_per_pixel, "m") if metres_per_pixel else (1.0, "mm")
    points = path.upward() * scale
    seen = path.keypoints[..., 2] >= min_score
    joints = path.skeleton.joints
    first = path.frames[0] if len(path.frames) else 0
    head = (rate, rate, len(times), len(joints), unit, rate, first, len(times))
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{name}",
        "\t".join(_COLUMNS),
        "\t".join(map(str, head)),
        "Frame#\tTime\t" + "\t\t\t".join(joints) + "\t\t",
        "\t\t" + "\t".join(f"X{n}\tY{n}\tZ{n}" for n in range(1, len(joints) + 1)),
        "",
    ]
    unseen = [*["\t\t"] * (len(joints) - 1), "nan\tnan\tnan"]
    for n, time in enumerate(times):
        cells = [
            f"{x:.5f}\t{y:.5f}\t0.00000" if seen[n, k] else unseen[k]
            for k, (x, y) in enumerate(points[n])
        ]
        lines.append(f"{n + 1}\t{time:.6f}\t" + "\t".join(cells))
    return "\n".join(lines) + "\n"


def write_trc(path: Path, file: File, *, metres_per_pixel: float = 0.0) -> None:
    """Whole or not there. Raises OutputError."""
    text = trc(path, name=file.name, metres_per_pixel=metres_per_pixel)
    with replacing(file) as part:
        part.write_text(text, encoding="utf-8")
