"""Formats of animals. AP-10K (Yu et al. 2021) publishes its own sigmas; Animal-Pose (Cao et al.
2019) takes those with which others judge it: COCO's by the height at which a joint lies, .1 for
throat, withers and tail base.
"""

from __future__ import annotations

from .format import Skeleton

_FRONT_LEG, _BACK_LEG = ("shoulder", "elbow", "front_paw"), ("hip", "knee", "back_paw")
ANIMAL20 = Skeleton(
    name="animal-20",
    joints=(
        *("left_eye", "right_eye", "nose", "left_ear", "right_ear"),
        *(
            f"{side}_{pair}_{part}"
            for part in ("elbow", "knee", "paw")
            for pair in ("front", "back")
            for side in ("left", "right")
        ),
        *("throat", "withers", "tailbase"),
    ),
    limbs=(
        *((0, 1), (0, 2), (1, 2), (0, 3), (1, 4), (2, 17), (17, 18), (18, 19)),
        *((17, 5), (17, 6), (19, 7), (19, 8)),
        *((5, 9), (6, 10), (7, 11), (8, 12), (9, 13), (10, 14), (11, 15), (12, 16)),
    ),
    mirror=(1, 0, 2, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 17, 18, 19),
    sigmas=(
        *(0.025, 0.025, 0.026, 0.035, 0.035),
        *(0.107,) * 4,
        *(0.087,) * 4,
        *(0.089,) * 4,
        *(0.1,) * 3,
    ),
)

AP10K17 = Skeleton(
    name="ap-10k-17",
    joints=(
        *("left_eye", "right_eye", "nose", "neck", "root_of_tail"),
        *(f"{side}_{part}" for side in ("left", "right") for part in _FRONT_LEG),
        *(f"{side}_{part}" for side in ("left", "right") for part in _BACK_LEG),
    ),
    limbs=(
        *((0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (5, 6), (6, 7), (3, 8), (8, 9), (9, 10)),
        *((4, 11), (11, 12), (12, 13), (4, 14), (14, 15), (15, 16)),
    ),
    mirror=(1, 0, 2, 3, 4, 8, 9, 10, 5, 6, 7, 14, 15, 16, 11, 12, 13),
    sigmas=(
        *(0.025, 0.025, 0.026, 0.035, 0.035),
        *(0.079, 0.072, 0.062) * 2,
        *(0.107, 0.087, 0.089) * 2,
    ),
)
