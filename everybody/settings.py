"""What the results of a run depend on, as run.json tells it: to resume, they must be equal."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .follow import Follow
from .lift.lifter import Lift
from .media.selection import Selection
from .methods import DEFAULT
from .options import Options
from .smooth import Smooth

# Options that do not change results, and models, which are compared by their content.
_IMMATERIAL = {
    *("device", "engine", "threads", "workers", "batch", "det_batch"),
    *("model", "detector", "pose", "sstn", "refine", "hand", "face"),
}


def settings(
    estimator: object,
    select: Selection,
    follow: Follow | None,
    max_pixels: int,
    lift: Lift | None = None,
) -> dict[str, Any]:
    """All that the result of a frame depends on, beside sources and models: a run that goes on must
    have the same, though it may go further (`end`). Keys are flags of the command line.
    """
    options = getattr(estimator, "options", None)
    said = options.flat() if isinstance(options, Options) else {}
    said = {name: value for name, value in said.items() if name not in _IMMATERIAL}
    if said:
        said["method"] = str(said["method"] or DEFAULT)
    if said.get("boxes"):
        said["boxes"] = _content(Path(said["boxes"]))
    said |= {name: getattr(select, name) for name in ("start", "every", "fps")}
    said |= {"max_pixels": max_pixels, "track": bool(follow)}
    if follow:
        smooth = follow.smooth
        said |= {
            "detect_every": follow.detect_every,
            "smooth": asdict(smooth) if isinstance(smooth, Smooth) else smooth,
            "select": follow.keep,
            "flow": follow.flow,
            "propagate": follow.propagate,
            "camera": follow.camera,
            "rules": asdict(follow.rules),
        }
    said |= {"lift": bool(lift)}
    if lift:
        said |= {name: getattr(lift, name) for name in ("fov", "height", "ahead", "steady")}
    return said


def _content(path: Path) -> str:
    """A file by its name and what is in it."""
    with path.open("rb") as file:
        return f"{path.name} (sha256 {hashlib.file_digest(file, 'sha256').hexdigest()[:12]})"
