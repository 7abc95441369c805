"""TRC, the marker format of OpenSim and Motion Analysis: a file per person, joints as markers in
the picture's plane.

X points right, Y up, from the picture's lower left corner, in metres where the height of a person
is given, else in pixels; Z is 0. Joints that are not seen are empty, as the format wants it.
"""

from __future__ import annotations

from pathlib import Path as File

import numpy as np

from ..atomic import replacing
from ..kinematics import Path


def trc(
    path: Path,
    *,
    name: str = "",
    height: int = 0,
    metres_per_pixel: float = 0.0,
    min_score: float = 0.2,
) -> str:
    """One person's path -> the text of a TRC file. height: of the picture in pixels, where Y
    begins.
    """
    times = path.times - path.times[0] if len(path.times) else path.times
    rate = 1 / float(np.median(np.diff(times))) if len(times) > 1 else 25.0
    scale, unit = (metres_per_pixel, "m") if metres_per_pixel else (1.0, "px")
    x, y = path.keypoints[..., 0] * scale, (height - 1 - path.keypoints[..., 1]) * scale
    seen = path.keypoints[..., 2] >= min_score
    joints = path.skeleton.joints
    first = path.frames[0] if len(path.frames) else 0
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate:.6g}\t{rate:.6g}\t{len(times)}\t{len(joints)}\t{unit}\t{rate:.6g}\t{first}\t{len(times)}",
        "Frame#\tTime\t" + "\t\t\t".join(joints) + "\t\t",
        "\t\t" + "\t".join(f"X{n}\tY{n}\tZ{n}" for n in range(1, len(joints) + 1)),
        "",
    ]
    for n, time in enumerate(times):
        cells = [
            f"{x[n, k]:.5f}\t{y[n, k]:.5f}\t0.00000" if seen[n, k] else "\t\t"
            for k in range(len(joints))
        ]
        lines.append(f"{n + 1}\t{time:.6f}\t" + "\t".join(cells))
    return "\n".join(lines) + "\n"


def write_trc(path: Path, file: File, **options: float) -> None:
    """Whole or not there. Raises OutputError."""
    with replacing(file) as part:
        part.write_text(trc(path, name=file.name, **options), encoding="utf-8")  # type: ignore[arg-type]
