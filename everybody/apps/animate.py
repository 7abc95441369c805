"""A person's motion onto a character: motions out of anything, contacts, retargeting, files.

source ─▶ Motion ─▶ floor ─▶ rigid body (IK) ─▶ bones of the character ─▶ feet kept ─▶ .glb, .bvh
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import replacing
from ..data.motions import holds_motion, read_motions
from ..data.npz import read_npz
from ..data.poses import names_in
from ..errors import DataError, OptionError, unknown
from ..geometry import Array
from ..lift.body import Animation, tree_skeleton
from ..lift.floor import ANKLE, Floor, FloorFinder
from ..lift.inverse import solve
from ..lift.measure import fit_body
from ..lift.motion import Motion, motions
from ..lift.rules import RULES
from ..messages import Say, warn
from ..people import Poses3D
from ..results.bvh import animation_bvh
from ..results.spatial import LINES3D, read, spatial_file
from ..skeletons import H36M17, H36M29
from .contacts import contacts, kept, slide
from .retarget import resampled, retarget
from .rig import Rig

TALLEST, SMALLEST = 100.0, 0.05  # metres, of a character
FASTEST = 1000.0  # frames per second


@dataclass(frozen=True, slots=True, kw_only=True)
class Animate:
    """fps: frames per second of the output; None: as the source has them. height: of the character,
    in metres; None: as it is. smooth: how many times smoother than usual, 0: frames one by one.
    """

    fps: float | None = None
    height: float | None = None
    smooth: float = 1.0

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps <= FASTEST:
            raise OptionError(f"fps {self.fps:g}: expected more than 0, to {FASTEST:g}")
        if self.height is not None and not SMALLEST <= self.height <= TALLEST:
            raise OptionError(
                f"height {self.height:g}: expected metres, {SMALLEST:g} to {TALLEST:g}"
            )
        if not 0 <= self.smooth <= 100:
            raise OptionError(f"smooth {self.smooth:g}: expected 0 to 100; 1 is usual")


@dataclass(frozen=True, eq=False)
class Played:
    """A character that moves. slid: metres that a standing foot moves at most, before and after
    contacts are kept; standing: share of frames in which a foot stands.
    """

    rig: Rig
    animation: Animation
    slid: tuple[float, float]
    standing: float


def animated(motion: Motion, rig: Rig, options: Animate | None = None) -> Played:
    """A person's motion on a character. Raises DataError where no body can be measured."""
    options = options or Animate()
    if options.height is not None:
        rig = rig.of_height(options.height)
    smooth = options.smooth
    rules = replace(
        RULES,
        turning=RULES.turning / smooth if smooth else 0.0,
        moving=RULES.moving / smooth if smooth else RULES.moving,
    )
    motion = on_floor(motion)
    person = solve(fit_body(motion), motion, rules=rules)
    body, stands = person.body, contacts(person)
    before = retarget(person, rig.character)
    if options.fps is not None:
        before = resampled(before, options.fps)
        near = np.searchsorted((person.times[1:] + person.times[:-1]) / 2, before.times)
        stands = stands[near]
    feet = any(body.joints[j].endswith("ankle") for j in body.turning)  # tell how they point
    after = kept(before, rig.character, stands, flat=not feet)
    slid = (slide(before, rig.character, stands), slide(after, rig.character, stands))
    standing = float(stands.any(1).mean()) if len(stands) else 0.0
    return Played(rig, after, slid, standing)


def on_floor(motion: Motion) -> Motion:
    """A motion in camera coordinates -> in a world whose floor its feet stand on; where nobody
    stands, the camera is taken to be level, and the lowest ankle to stand.
    """
    if motion.frame == "world":
        return motion
    names = motion.skeleton.joints
    finder = FloorFinder()
    if names[: len(H36M17)] == H36M17.joints:
        lifted = motion.joints[:, : len(H36M17)]
        for joints, time in zip(lifted, motion.times, strict=True):
            ids = np.array([motion.id])
            poses = Poses3D(np.nan_to_num(joints)[None].astype(np.float32), H36M17, ids, "camera")
            finder.add(poses, float(time))
    try:
        floor = finder.floor()
    except DataError:
        ankles = [k for k, name in enumerate(names) if name.endswith("ankle")]
        lowest = motion.places[:, ankles, 1]
        down = float(np.nanmax(lowest)) if np.isfinite(lowest).any() else 0.0
        floor = Floor(np.array([0.0, -1.0, 0.0]), down + ANKLE)
    joints = motion.joints.copy()
    joints[..., :3] = floor.to_world(joints[..., :3])
    return replace(motion, joints=joints, frame="world")


def person_of(tracks: Sequence[Motion], id: int | None, source: object) -> Motion:
    """The track of this id; None: the longest. Raises DataError that names the ids."""
    if not tracks:
        raise DataError(f"{source}: nobody is there to animate: results need ids (run --track)")
    if id is None:
        return max(tracks, key=len)
    found = [track for track in tracks if track.id == id]
    if not found:
        ids = ", ".join(str(track.id) for track in tracks[:20])
        raise DataError(f"{source}: has no person {id}; there are {ids}")
    return max(found, key=len)


# --- sources


def read_tracks(
    path: Path, *, lift: Callable[[Path], list[Motion]], say: Say = warn
) -> list[Motion]:
    """Motion files, people3d.npz, results in space; `lift` makes motions of all others. Raises
    DataError.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if path.suffix.lower() == ".npz":
        return read_tracks_npz(path)
    if path.name == LINES3D or (path.is_dir() and spatial_file(path).is_file()):
        return motions((record.time, record.poses) for record in read(path, say=say))
    if path.is_file() and holds_motion(path):
        return read_motions(path)
    return lift(path)


def read_tracks_npz(path: Path) -> list[Motion]:
    """people3d.npz of `triangulate` or `lift`. Raises DataError."""
    time, number = ("times", "ids") if "times" in names_in(path) else ("time", "id")
    wanted = ("positions_3d", "scores", "joints", time, number)
    content = read_npz(path, path.read_bytes(), wanted)
    places, scores = content["positions_3d"], content["scores"]
    joints = content["joints"].astype(str).ravel().tolist()
    times, ids = content[time], content[number]
    count = len(places)
    shapes = ((count, len(joints), 3), (count, len(joints)), (count,), (count,))
    if (places.shape, scores.shape, times.shape, ids.shape) != shapes:
        raise DataError(f"{path}: its arrays do not belong together: {places.shape}, {times.shape}")
    known = (one for one in (H36M17, H36M29) if list(one.joints) == joints)
    skeleton = next(known, None) or tree_skeleton(path.stem, joints)
    whole = np.concatenate([places, scores[..., None]], 2).astype(np.float64)
    out = []
    for one in np.unique(ids):
        rows = np.flatnonzero(ids == one)
        rows = rows[np.diff(times[rows], prepend=-np.inf) > 0]
        out.append(Motion(skeleton, whole[rows], times[rows], int(one), frame=_frame(whole[rows])))
    return out


def _frame(joints: Array) -> Any:
    """ "camera" where heads are at smaller y and nothing speaks for z: the .npz does not say."""
    low, high = (np.nanquantile(joints[..., :3], q, axis=1) for q in (0.1, 0.9))
    tall = np.nanmedian(high - low, axis=0)
    return "camera" if tall[1] > tall[2] else "world"


# --- files


def write_played(path: Path, played: Played) -> None:
    """By the ending, .glb or .bvh. Raises OptionError, OutputError."""
    with replacing(path) as part:
        part.write_bytes(WRITERS[ending(path)](played))


def ending(path: Path) -> str:
    """Raises OptionError for another than .glb and .bvh."""
    if path.suffix.lower() not in WRITERS:
        raise unknown("format of animation", path.suffix or path.name, WRITERS)
    return path.suffix.lower()


WRITERS: dict[str, Callable[[Played], bytes]] = {
    ".glb": lambda played: played.rig.glb(played.animation),
    ".bvh": lambda played: animation_bvh(played.animation).encode(),
}
