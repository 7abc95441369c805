"""How strongly inverse kinematics obeys each of its terms."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How strongly each thing counts, as the size of a usual deviation.

    joint: metres that a joint seen in space is off. pixel: the same in a picture. outlier: how many
    times as far off a joint counts little. limit: radians beyond a joint's range. rest: radians
    from the posture at rest; girdle: the same of collars and torso. turning, moving: accelerations
    of joints in radians/s² and of the root in m/s²; 0: frames are solved one by one.
    """

    joint: float = 0.01
    pixel: float = 4.0
    outlier: float = 10.0
    limit: float = 0.2
    rest: float = 30.0
    girdle: float = 0.5
    turning: float = 60.0
    moving: float = 20.0
    steps: int = 12
    enough: float = 3e-3  # share by which a step must lessen the squares to be followed by another

    def __post_init__(self) -> None:
        for name in ("joint", "pixel", "outlier", "limit", "rest", "girdle"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name} {getattr(self, name):g}: expected more than 0")


RULES = Rules()
