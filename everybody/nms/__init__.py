"""Removing duplicates: of boxes by IoU, of poses by OKS or by the learned likeness of RMPE's
parametric pose NMS.

    from everybody.nms import PoseNms, pose_nms

    people = PoseNms(merge=True)(people)
    people = pose_nms("oks,threshold=0.8")(people)

Each is a function from `People` to `People`, who come back most confident first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from ..errors import OptionError
from ..people import People
from .greedy import box_nms, distinct, distinct_boxes, greedy, oks_nms, soft_oks_nms
from .parametric import ALPHAPOSE, PoseNms

__all__ = [
    "ALPHAPOSE",
    "SUPPRESSORS",
    "PoseNms",
    "Suppressor",
    "box_nms",
    "distinct",
    "distinct_boxes",
    "greedy",
    "oks_nms",
    "pose_nms",
    "soft_oks_nms",
]

Suppress = Callable[[People], People]


def _parametric(values: PoseNms) -> tuple[Callable[..., Suppress], dict[str, float]]:
    numbers = asdict(values)
    del numbers["weights"]  # they belong to one skeleton, which a text does not name
    return PoseNms, numbers


# Each way by its name: what makes it, and its parameters with their defaults.
SUPPRESSORS: dict[str, tuple[Callable[..., Suppress], dict[str, float]]] = {
    "parametric": _parametric(PoseNms()),
    "alphapose": _parametric(ALPHAPOSE),
    "oks": (partial(partial, oks_nms), {"threshold": 0.9}),
    "soft-oks": (partial(partial, soft_oks_nms), {"spread": 0.9, "least": 0.05}),
    "box": (partial(partial, box_nms), {"threshold": 0.6}),
    "none": (lambda: lambda people: people, {}),
}


@dataclass(frozen=True, slots=True)
class Suppressor:
    """A way to remove duplicates, as a function of people; str() spells out all its parameters for
    `pose_nms`.
    """

    name: str
    numbers: dict[str, Any]
    run: Suppress

    @classmethod
    def of(cls, values: PoseNms) -> Suppressor:
        """Parametric pose NMS with these parameters."""
        return cls("parametric", _parametric(values)[1], values)

    def __call__(self, people: People) -> People:
        return self.run(people)

    def __str__(self) -> str:
        return ",".join([self.name, *(f"{name}={value:g}" for name, value in self.numbers.items())])


def pose_nms(text: str) -> Suppressor:
    """'parametric', 'none', 'oks,threshold=0.8' or 'parametric,eta=20,merge=1' -> that
    suppressor; parameters that are not named keep their defaults. Raises OptionError.
    """
    name, *pairs = text.split(",")
    if name not in SUPPRESSORS:
        raise OptionError(f"unknown pose NMS '{name}': known are {', '.join(SUPPRESSORS)}")
    make, defaults = SUPPRESSORS[name]
    numbers = dict(defaults)
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in defaults:
            known = (
                f"its parameters are {', '.join(defaults)}" if defaults else "it has no parameters"
            )
            raise OptionError(f"pose NMS '{text}': {name} has no '{key}': {known}")
        try:
            numbers[key] = type(defaults[key])(float(value))
        except ValueError:
            raise OptionError(f"pose NMS '{text}': {key} must be a number, got '{value}'") from None
    return Suppressor(name, numbers, make(**numbers))
