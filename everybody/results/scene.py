"""People in space as several cameras see them, on disk: `people3d.npz`, `views.json` and the
journal `frames3d.jsonl` (`results.spatial`), as `everybody lift` writes it, in the world.

The .npz has a row per person and frame: positions_3d [N, K, 3] in metres, NaN where not known,
scores [N, K], times [N] in seconds, ids [N], joints [K], errors [N, C, K] in pixels, NaN where a
view did not count, cameras [C]. `everybody eval` reads it. views.json says what a reader wants to
know: median pixels off by camera and by joint, and how late each camera's clock is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import replacing
from ..errors import OutputError, unknown
from ..lift.calibration_files import write_calibration
from ..lift.views import Scene
from ..people import Poses3D
from ..skeletons import H36M17
from .motions import ENDINGS, write
from .spatial import Journal3D, Record3D

NAME = "people3d"
FORMATS = tuple(ending.removeprefix(".") for ending in ENDINGS)


def write_scene(scene: Scene, folder: Path, formats: Sequence[str] = ()) -> list[Path]:
    """FOLDER/people3d.npz, views.json, the cameras as they were used (cameras.toml), and people3d
    in more formats (`results.motions`). Returns what was written. Raises OutputError.
    """
    if wrong := [name for name in formats if name not in FORMATS]:
        raise unknown("format of motion", wrong[0], FORMATS)
    npz, told, cameras = (folder / name for name in (f"{NAME}.npz", "views.json", "cameras.toml"))
    with replacing(npz) as part, part.open("wb") as file:
        np.savez_compressed(file, **columns(scene))
    with replacing(told) as part:
        part.write_text(json.dumps(summary(scene), indent=1), encoding="utf-8")
    write_calibration(scene.cameras, cameras)
    out = [npz, told, cameras, _write_journal(scene, folder)]
    for name in formats:
        if not scene.people:
            raise OutputError(f"{folder / NAME}.{name}: nobody is seen by two cameras or more")
        out += write(folder / f"{NAME}.{name}", scene.motions)
    return out


def _write_journal(scene: Scene, folder: Path) -> Path:
    """A line per moment, with those who are seen then."""
    with closing(Journal3D(folder)) as journal:
        for record in records(scene):
            journal.write(record)
    return journal.path


def records(scene: Scene) -> Iterator[Record3D]:
    """The moments of a scene, in order; a joint that is not known has score 0."""
    name = "+".join(camera.name for camera in scene.cameras)
    skeleton = scene.people[0].motion.skeleton if scene.people else H36M17
    for index, time in enumerate(scene.times.tolist()):
        here = [(m, int(np.searchsorted(m.times, time - 1e-9))) for m in scene.motions]
        here = [(m, t) for m, t in here if t < len(m) and abs(m.times[t] - time) < 1e-9]
        poses = Poses3D.empty(skeleton)
        if here:
            joints = np.nan_to_num(np.stack([m.joints[t] for m, t in here])).astype(np.float32)
            poses = Poses3D(joints, skeleton, np.array([m.id for m, _ in here]), "world")
        yield Record3D(name, index, time, replace(poses, frame="world"))


def columns(scene: Scene) -> dict[str, Any]:
    """The arrays of the .npz."""
    joints = scene.people[0].motion.skeleton.joints if scene.people else ()
    motions, count = scene.motions, len(joints)
    none = {"positions_3d": (count, 3), "scores": (count,), "times": (), "ids": ()}
    rows = {
        "positions_3d": [motion.places for motion in motions],
        "scores": [motion.joints[..., 3] for motion in motions],
        "times": [motion.times for motion in motions],
        "ids": [np.full(len(motion), motion.id) for motion in motions],
        "errors": [np.moveaxis(seen.errors, 0, 1) for seen in scene.people],
    }
    none["errors"] = (len(scene.cameras), count)
    joined = {
        name: np.concatenate(parts) if parts else np.zeros((0, *none[name]))
        for name, parts in rows.items()
    }
    names = {"joints": list(joints), "cameras": [camera.name for camera in scene.cameras]}
    return joined | {name: np.array(values, np.str_) for name, values in names.items()}


def summary(scene: Scene) -> dict[str, Any]:
    """What views.json holds; null where no view counted."""
    errors = {
        kind: {name: None if math.isnan(value) else round(value, 3) for name, value in row.items()}
        for kind, row in scene.errors().items()
    }
    clocks = zip(scene.cameras, scene.late, strict=True)
    return {
        "people": len(scene.people),
        "frames": {str(motion.id): len(motion) for motion in scene.motions},
        "pixels off by camera": errors["cameras"],
        "pixels off by joint": errors["joints"],
        "seconds late": {camera.name: round(float(by), 4) for camera, by in clocks},
    }
