"""`everybody ar`: pictures, films and models on things in a film, and things that people wear."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import OptionError, OutputError
from .options import Complaints, complain, listed

TARGET = "A photo of something flat in the film: a page, a poster. It is found and followed."
SHOW = "What to draw on the target: a picture, a film, or a model (glb, gltf, obj, stl, ply)."
WEAR = "What people wear: glasses, hat, jersey, sword, or FILE.toml; several with commas."


def ar(
    source: Annotated[str, typer.Argument(help="A video, or a camera's number.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The video to write, as MP4.")],
    target: Annotated[Path | None, typer.Option(help=TARGET)] = None,
    width: Annotated[float, typer.Option(help="The target's width in metres.")] = 0.21,
    show: Annotated[Path | None, typer.Option(help=SHOW)] = None,
    size: Annotated[float, typer.Option(help="Longest side of a model, in metres.")] = 0.2,
    wear: Annotated[list[str] | None, typer.Option(help=WEAR)] = None,
    fov: Annotated[float, typer.Option(help="Degrees across the picture's longer side.")] = 60.0,
    occlusion: Annotated[bool, typer.Option(help="People in front hide what is drawn.")] = True,
    model: Annotated[str, typer.Option(help="fast or accurate.")] = "fast",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Draw a picture, a film or a model on a thing in a film, and hats on people."""
    from ..apps.ar import Scene, augmented, showable
    from ..apps.target import Target
    from ..apps.worn import thing
    from ..estimator import Estimator
    from ..media.encode import VideoWriter
    from ..media.read import one, read

    if (target is None) != (show is None):
        raise OptionError("--target and --show go together: on what, and what")
    things = [thing(name) for name in listed(wear or [])]
    if target is None and not things:
        raise OptionError("nothing to draw: give --target and --show, or --wear")
    if out.exists():
        if not overwrite:
            raise OutputError(f"{out}: exists; choose another name or say --overwrite")
        out.unlink()

    place = Target.flat(one(str(target)).image, width, str(target)) if target else None
    scene = Scene(place, showable(show, size) if show else None, things, fov, occlusion)
    people = bool(things) or occlusion
    complaints = Complaints()
    frames = (
        Estimator(model=model).stream(source, problem=complaints)
        if people
        else read(source, problem=complaints)
    )
    with VideoWriter(out, say=complain) as video:
        for time, image in augmented(scene, frames):
            video.write(image, time)
    if scene.frames:
        _sum_up(scene, out)
    complaints.conclude()


def _sum_up(scene: object, out: Path) -> None:
    from ..apps.ar import Scene

    assert isinstance(scene, Scene)
    said = f"{scene.frames} frames -> {out}"
    if scene.target is not None:
        error = sum(scene.errors) / max(len(scene.errors), 1)
        said += f"; target seen in {scene.seen}, off by {error:.2f} px"
    typer.echo(said)
