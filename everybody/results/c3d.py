"""C3D, the binary format of motion laboratories, written by ezc3d (extra `c3d`): in millimetres, z
up, all people in one file; where there are several, their markers are called subject:joint.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import OutputError
from ..lift.motion import Motion

MILLIMETRES = 1000.0
UP = [2, 0, 1]  # of a file whose y points up, the axes of one whose z does


def write_c3d(path: Path, tracks: Sequence[Motion]) -> None:
    """Frames of all people on one clock; who is not there has no markers. Raises OutputError."""
    try:
        import ezc3d
    except ImportError:
        raise OutputError(f"{path}: C3D needs ezc3d: pip install 'everybody[c3d]'") from None
    rate = max((track.rate for track in tracks), default=30.0)
    first = min((round(track.times[0] * rate) for track in tracks if len(track)), default=0)
    last = max((round(track.times[-1] * rate) for track in tracks if len(track)), default=-1)
    columns, labels = [], []
    for track in tracks:
        points = np.full((last - first + 1, len(track.skeleton), 3), np.nan)
        points[np.round(track.times * rate).astype(int) - first] = track.upright()[..., UP]
        columns.append(points)
        subject = f"{track.id}:" if len(tracks) > 1 else ""
        labels += [f"{subject}{joint}" for joint in track.skeleton.joints]
    points = np.concatenate(columns, 1) if columns else np.zeros((0, 0, 3))
    file = ezc3d.c3d()
    point = file["parameters"]["POINT"]
    point["UNITS"]["value"] = ["mm"]
    point["RATE"]["value"] = [rate]
    point["LABELS"]["value"] = labels
    file.add_parameter("POINT", "X_SCREEN", ["+X"])
    file.add_parameter("POINT", "Y_SCREEN", ["+Z"])
    file["header"]["points"]["first_frame"] = max(first, 0)
    values = np.ones((4, points.shape[1], len(points)))
    values[:3] = np.moveaxis(points, 2, 0).swapaxes(1, 2) * MILLIMETRES
    file["data"]["points"] = values
    named = path.with_suffix(".c3d")  # ezc3d adds the ending where it is missing
    file.write(str(named))
    named.replace(path)
