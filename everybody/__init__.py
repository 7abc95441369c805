"""everybody finds every body in a picture: multi-person pose estimation for images and video.

    import everybody

    people = everybody.estimate("photo.jpg")
    people.keypoints                      # [N, 17, 3]: x, y, score
    for frame in everybody.stream("match.mp4"):
        print(frame.time, len(frame.people))

The names below are loaded when they are first used, so that importing the package costs next to
nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .draw import draw
    from .errors import DataError, EverybodyError, InputError, ModelError, OptionError, OutputError
    from .estimator import Estimator, estimate, stream
    from .follow import Follow
    from .lift.lifter import Lift
    from .media.read import Selection, read
    from .options import Engine, FindOptions, Options, PoseOptions
    from .people import Frame, People, Poses3D
    from .skeletons import SKELETONS, Skeleton, mapping
    from .smooth import Smooth
    from .track import Rules, Tracker

__version__ = version("everybody")

_PLACES = {
    "draw": ("draw",),
    "errors": (
        "DataError", "EverybodyError", "InputError", "ModelError", "OptionError", "OutputError",
    ),
    "estimator": ("Estimator", "estimate", "stream"),
    "follow": ("Follow",),
    "lift.lifter": ("Lift",),
    "media.read": ("Selection", "read"),
    "options": ("Engine", "FindOptions", "Options", "PoseOptions"),
    "people": ("Frame", "People", "Poses3D"),
    "skeletons": ("SKELETONS", "Skeleton", "mapping"),
    "smooth": ("Smooth",),
    "track": ("Rules", "Tracker"),
}  # fmt: skip

__all__ = [
    "SKELETONS",
    "DataError",
    "Engine",
    "Estimator",
    "EverybodyError",
    "FindOptions",
    "Follow",
    "Frame",
    "InputError",
    "Lift",
    "ModelError",
    "OptionError",
    "Options",
    "OutputError",
    "People",
    "PoseOptions",
    "Poses3D",
    "Rules",
    "Selection",
    "Skeleton",
    "Smooth",
    "Tracker",
    "__version__",
    "draw",
    "estimate",
    "mapping",
    "read",
    "stream",
]


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
