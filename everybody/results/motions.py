"""People in space -> files of animation and biomechanics: BVH, glTF, TRC, C3D, OpenSim's .mot.

Formats of turns (BVH, glTF, .mot) get a rigid body that is measured on the person's whole track and
moved by inverse kinematics; formats of markers (TRC, C3D) get the joints as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..atomic import replacing
from ..errors import DataError, OutputError, unknown
from ..lift.body import Animation
from ..lift.inverse import solve
from ..lift.measure import fit_body
from ..lift.motion import Motion, motions
from ..lift.rules import RULES, Rules
from ..media.clock import Films
from .bvh import animation_bvh
from .c3d import write_c3d
from .gltf import glb
from .mot import mot
from .trc import motion_trc

if TYPE_CHECKING:
    from .spatial import Records3D


def animated(track: Motion | Animation, rules: Rules = RULES) -> Animation:
    """A person's body and its turns."""
    return track if isinstance(track, Animation) else solve(fit_body(track), track, rules=rules)


def write(
    path: Path | str, tracks: Sequence[Motion | Animation], *, rules: Rules = RULES
) -> list[Path]:
    """Tracks -> files in the format that the path's ending names; returns what was written.

    glTF and C3D hold several people; the others are a file each: with several tracks, the id comes
    behind the name (walk-3.bvh). Raises OptionError for other endings, DataError for people who
    cannot be measured, OutputError.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise unknown("format of motion", ending or path.name, ENDINGS)
    if not tracks:
        raise OutputError(f"{path}: nobody to write: run with tracking, so that people have ids")
    if ending in _ALL:
        with replacing(path) as part:
            _ALL[ending](part, tracks, rules)
        return [path]
    written = []
    for number, track in enumerate(tracks):
        suffix = f"-{track.id}" if len(tracks) > 1 else ""
        target = path.with_stem(f"{path.stem}{suffix}")
        if target in written:
            target = path.with_stem(f"{path.stem}{suffix}-{number}")
        text = _ONE[ending](track, target, rules)
        with replacing(target) as part:
            part.write_text(text, encoding="utf-8")
        written.append(target)
    return written


def write_people(records: Records3D, path: Path) -> None:
    """Frames of people in space -> the same files; in several films, people of one id are several.
    Raises DataError where nobody is seen, or has an id.
    """
    films, rows, seen = Films(), {}, 0
    for record in records():
        seen += len(record.poses)
        if record.poses.ids is not None:
            film = films(record.source, record.index)
            rows.setdefault(film, []).append((record.time, record.poses))
    tracks = [track for film in rows.values() for track in motions(film)]
    if not seen:
        raise DataError(f"{path}: nobody is seen in any frame: it is not written")
    if not tracks:
        raise DataError(
            f"{path}: nobody has an id: run with --track, so that frames belong together"
        )
    write(path, tracks)


def _joints(track: Motion | Animation) -> Motion:
    return track.motion() if isinstance(track, Animation) else track


def _glb(path: Path, tracks: Sequence[Motion | Animation], rules: Rules) -> None:
    path.write_bytes(glb([animated(track, rules) for track in tracks]))


def _c3d(path: Path, tracks: Sequence[Motion | Animation], rules: Rules) -> None:
    write_c3d(path, [_joints(track) for track in tracks])


_ONE: dict[str, Callable[[Motion | Animation, Path, Rules], str]] = {
    ".bvh": lambda track, path, rules: animation_bvh(animated(track, rules)),
    ".mot": lambda track, path, rules: mot(animated(track, rules)),
    ".trc": lambda track, path, rules: motion_trc(_joints(track), name=path.name),
}
_ALL: dict[str, Callable[[Path, Sequence[Motion | Animation], Rules], None]] = {
    ".glb": _glb,
    ".c3d": _c3d,
}
ENDINGS = (*_ONE, *_ALL)
