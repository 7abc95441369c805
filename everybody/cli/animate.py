"""`everybody animate`: a person's motion onto a character."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import DataError, EverybodyError, OutputError
from .options import complain

if TYPE_CHECKING:
    from ..lift.motion import Motion

SOURCE = "A video, results (lifted or not), people3d.npz, or motion: BVH, AMC, TRC, C3D."
OUT = "A .glb, or a .bvh."
CHARACTER = (
    "A rigged .glb, .vrm or .bvh with the bones of Mixamo, VRM or CMU; or the stick figure with "
    "bones called as in mixamo, vrm (default), cmu, biovision."
)
ID = "Whose motion; else of whoever is there longest."


def animate(
    source: Annotated[Path, typer.Argument(help=SOURCE)],
    out: Annotated[Path, typer.Option("--out", "-o", help=OUT)],
    character: Annotated[Path | None, typer.Option("--character", "-c", help=CHARACTER)] = None,
    id: Annotated[int | None, typer.Option("--id", help=ID)] = None,
    fps: Annotated[
        float | None, typer.Option(help="Frames per second of OUT; else as in SOURCE.")
    ] = None,
    height: Annotated[
        float | None, typer.Option(help="Of the character, in metres; else as it is.")
    ] = None,
    smooth: Annotated[
        float, typer.Option(help="How many times smoother than usual; 0: frames one by one.")
    ] = 1.0,
    model: Annotated[str, typer.Option(help="For videos: fast or accurate.")] = "accurate",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Put a person's motion on a character: an animated .glb or .bvh."""
    from ..apps.animate import Animate, animated, ending, person_of, read_tracks, write_played
    from ..apps.rig import read_rig

    ending(out)
    if out.exists() and not overwrite:
        raise OutputError(f"{out}: exists; choose another name or say --overwrite")
    options, rig = Animate(fps=fps, height=height, smooth=smooth), read_rig(character)
    tracks = read_tracks(source, lift=lambda path: _lifted(path, model), say=complain)
    played = animated(person_of(tracks, id, source), rig, options)
    write_played(out, played)
    before, after = (1000 * metres for metres in played.slid)
    complain(
        f"person {played.animation.id}, {len(played.animation)} frames -> {out}; a foot stands in "
        f"{100 * played.standing:.0f} % of them and slides {after:.0f} mm at most "
        f"({before:.0f} mm before)",
        prefix="",
    )


def _lifted(path: Path, model: str) -> list[Motion]:
    """Results in pictures, or a film whose people are found first."""
    from ..estimator import Estimator
    from ..lift.lifter import Lift, Lifting
    from ..lift.motion import motions
    from ..results.formats import read_results, tell

    try:
        results = bool(tell(path))
    except DataError:
        results = False
    if results:
        found = read_results(path, say=complain)
        return motions((record.time, poses) for record, poses in Lifting(Lift()).poses(found))
    problems: list[EverybodyError] = []
    frames = Estimator(model=model).stream(
        str(path), track=True, lift=True, problem=problems.append
    )
    rows = ((frame.time, frame.poses3d) for frame in frames)
    tracks = motions((time, poses) for time, poses in rows if poses is not None)
    if problems and not tracks:
        raise problems[0]
    for problem in problems:
        complain(str(problem))
    return tracks
