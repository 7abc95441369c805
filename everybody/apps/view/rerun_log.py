"""People in space, in their picture, and angles of joints, to the viewer of rerun.io (extra
`view`), live or into an .rrd file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...atomic import replacing
from ...draw import hue
from ...errors import OptionError
from .show import LEAST, Array, Mask, Moment, Show, spatial_angles


def to_rerun(show: Show, path: Path | None = None) -> None:
    """Into a file, or without one into a viewer that is started. Raises OptionError without the
    extra, OutputError.
    """
    rr = _rerun()
    stream = rr.RecordingStream("everybody", recording_id=None)
    if path is None:
        stream.spawn()
        _log(rr, stream, show)
        stream.flush()
        return
    with replacing(path) as part:
        stream.save(part)
        _log(rr, stream, show)
        stream.flush()
        stream.disconnect()


def _rerun() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise OptionError(
            "--rerun needs rerun: pip install 'everybody[view]', or leave it out for a page"
        ) from error
    return rerun


def _log(rr: Any, stream: Any, show: Show) -> None:
    stream.log("space", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    gone: set[int] = set()
    for n, moment in enumerate(show.moments):
        stream.set_time("frame", sequence=n)
        stream.set_time("time", duration=moment.time)
        for number in gone - set(moment.ids):
            stream.log(f"space/{number}", rr.Clear(recursive=True))
        gone = set(moment.ids)
        _log_space(rr, stream, show, moment)
        _log_flat(rr, stream, moment)


def _log_space(rr: Any, stream: Any, show: Show, moment: Moment) -> None:
    angles = spatial_angles(moment.places, show.skeleton)
    for n, number in enumerate(moment.ids):
        places, colour = moment.places[n], hue(number)
        known = np.isfinite(places).all(1)
        bones = _bones(places, known, show.skeleton.limbs)
        joints = rr.Points3D(places[known], colors=colour, radii=0.02)
        stream.log(f"space/{number}/joints", joints)
        stream.log(f"space/{number}/bones", rr.LineStrips3D(bones, colors=colour, radii=0.01))
        for name, values in angles.items():
            if np.isfinite(values[n]):
                stream.log(f"angles/{number}/{name}", rr.Scalars(float(values[n])))


def _log_flat(rr: Any, stream: Any, moment: Moment) -> None:
    """All people of a picture at once: who is gone is gone with the next."""
    people = moment.flat
    if people is None:
        return
    bones, joints, colours, of_joints = [], [], [], []
    ids = range(len(people)) if people.ids is None else people.ids.tolist()
    for number, keypoints in zip(ids, people.keypoints, strict=True):
        known = keypoints[:, 2] >= LEAST
        own = _bones(keypoints[:, :2], known, people.skeleton.limbs)
        bones += own
        colours += [hue(number)] * len(own)
        joints += list(keypoints[known, :2])
        of_joints += [hue(number)] * int(known.sum())
    stream.log("picture/bones", rr.LineStrips2D(bones, colors=colours))
    stream.log("picture/joints", rr.Points2D(np.reshape(joints, (-1, 2)), colors=of_joints))


def _bones(places: Array, known: Mask, limbs: Any) -> list[Array]:
    return [places[[a, b]] for a, b in limbs if known[a] and known[b]]
