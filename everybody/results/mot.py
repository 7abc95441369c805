"""OpenSim's .mot: the coordinates of a model over time, in degrees and metres, under the names that
the full-body models have (Rajagopal et al. 2016).

Coordinates of the pelvis are in the axes of our TRC files (y up): both lie in one laboratory. The
knee and the ankle have one angle each, the elbow two, as in those models; what our body turns
beyond is left out.
"""

from __future__ import annotations

import numpy as np

from ..lift.angles import joint_angles
from ..lift.body import Animation
from ..lift.motion import AXES

# Coordinate -> our angle; _r and _l are added where a {} is. A minus turns its sign.
COORDINATES = {
    "pelvis_tilt": "pelvis_tilt",
    "pelvis_list": "pelvis_list",
    "pelvis_rotation": "pelvis_rotation",
    "lumbar_extension": "-trunk_flexion",
    "lumbar_bending": "trunk_bending",
    "lumbar_rotation": "trunk_rotation",
    "hip_flexion_{}": "hip_flexion",
    "hip_adduction_{}": "hip_adduction",
    "hip_rotation_{}": "hip_rotation",
    "knee_angle_{}": "knee_flexion",
    "ankle_angle_{}": "ankle_dorsiflexion",
    "subtalar_angle_{}": "ankle_inversion",
    "arm_flex_{}": "shoulder_flexion",
    "arm_add_{}": "shoulder_adduction",
    "arm_rot_{}": "shoulder_rotation",
    "elbow_flex_{}": "elbow_flexion",
    "pro_sup_{}": "elbow_pronation",
    "wrist_flex_{}": "wrist_flexion",
    "wrist_dev_{}": "wrist_deviation",
}


def mot(animation: Animation) -> str:
    """A body that moves -> the text of a .mot."""
    axes = AXES["camera" if animation.frame == "camera" else "world"]
    angles = joint_angles(animation, arms="ZXY", world=axes.T)
    columns = {"time": animation.times}
    for axis, values in zip("xyz", (animation.root @ axes.T).T, strict=True):
        columns[f"pelvis_t{axis}"] = values
    for coordinate, angle in COORDINATES.items():
        sign, angle = (-1 if angle[0] == "-" else 1), angle.lstrip("-")
        for side in ("right", "left") if "{}" in coordinate else ("",):
            values = angles.get(f"{side}_{angle}" if side else angle)
            if values is not None:
                columns[coordinate.format(side[:1])] = sign * values
    rows = np.stack(list(columns.values()), 1)
    head = ("Coordinates", "version=1", f"nRows={len(rows)}", f"nColumns={len(columns)}",
            "inDegrees=yes", "", "endheader", "\t".join(columns))  # fmt: skip
    lines = ["\t".join(f"{value:.8f}" for value in row) for row in rows]
    return "\n".join([*head, *lines]) + "\n"
