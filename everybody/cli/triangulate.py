"""`everybody triangulate`: several cameras' videos or results -> people in space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import DataError, OptionError, OutputError, unknown
from .flags import Choosing, Finding, Posing, Running
from .groups import grouped
from .options import complain, listed

if TYPE_CHECKING:
    from ..lift.views import Scene, View
    from ..media.read import Selection
    from ..options import Options
    from ..skeletons import Skeleton

SOURCES = "A video, or results in any format, of each camera, named like the camera."
CALIBRATION = "Cameras: Pose2Sim's or anipose's .toml, .qca.txt, OpenCV's .yml, a folder of these."
FORMAT = "Besides people3d.npz: trc, c3d, glb, bvh, mot; several with commas."
TABLES = (".json", ".jsonl", ".csv", ".parquet")


@grouped
def triangulate(
    sources: Annotated[list[str], typer.Argument(metavar="VIEW...", help=SOURCES)],
    calibration: Annotated[Path, typer.Option("--calibration", "-c", help=CALIBRATION)],
    choosing: Choosing,
    finding: Finding,
    posing: Posing,
    running: Running,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder.")] = Path("everybody-3d"),
    formats: Annotated[list[str] | None, typer.Option("--format", "-f", help=FORMAT)] = None,
    synchronise: Annotated[
        float,
        typer.Option(help="Seconds that clocks may be apart, found by motion; 0: they are right."),
    ] = 0.0,
    outlier: Annotated[
        float, typer.Option(help="Metres beside a joint at which a view of it does not count.")
    ] = 0.07,
    acceleration: Annotated[
        float, typer.Option(help="Usual acceleration of joints in m/s²; less: smoother; 0: raw.")
    ] = 10.0,
    bridge: Annotated[float, typer.Option(help="Seconds over which a joint may be unseen.")] = 0.5,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Place people in space that several calibrated cameras see.

    Writes OUT/people3d.npz, and views.json: pixels off by camera and joint. Videos are run first,
    into OUT/views/NAME, where a later call finds them.
    """
    from ..lift.calibration_files import read_calibration
    from ..lift.refine import Smoothness
    from ..lift.triangulate import Trust
    from ..lift.views import Rules, triangulate_views
    from ..results.scene import FORMATS, NAME, write_scene
    from ..skeleton_file import chosen

    wanted = listed(formats or [])
    if wrong := [name for name in wanted if name not in FORMATS]:
        raise unknown("format of motion", wrong[0], FORMATS)
    rules = Rules(
        trust=Trust(outlier=outlier),
        smoothness=Smoothness(acceleration=acceleration, bridge=bridge),
        synchronise=synchronise,
    )
    if (out / f"{NAME}.npz").exists() and not overwrite:
        raise OutputError(f"{out / NAME}.npz: exists; choose another folder or say --overwrite")
    if len(sources) < 2:
        raise OptionError(f"{len(sources)} view: triangulating takes two cameras or more")
    cameras = read_calibration(calibration)
    options = _options(finding, posing, running)
    skeleton = chosen(posing.skeleton) if posing.skeleton else None
    select = choosing.selection()
    views = [
        _view(source, name, out, options, select, skeleton)
        for source, name in zip(sources, _names(sources), strict=True)
    ]
    scene = triangulate_views(cameras, views, rules, say=complain)
    write_scene(scene, out, wanted)
    _conclude(scene, out)


def _options(finding: Finding, posing: Posing, running: Running) -> Options:
    from ..options import Options

    return Options(
        method=finding.method,
        model=finding.model,
        find=finding.options(),
        pose=posing.options(),
        engine=running.options(),
    )


def _conclude(scene: Scene, out: Path) -> None:
    """How many people, and how well they fit what each camera sees."""
    errors = scene.errors()["cameras"]
    told = ", ".join(f"{name} {pixels:.1f}" for name, pixels in errors.items() if pixels >= 0)
    count = len(scene.people)
    people = "1 person" if count == 1 else f"{count} people"
    complain(f"{people} -> {out}" + (f"; pixels off: {told}" if told else ""), prefix="")


def _names(sources: list[str]) -> list[str]:
    """What each view is called: the file's or the folder's name, or where these are all alike (as
    cam1/video.mp4, cam2/video.mp4), the name of the folder around it.
    """
    paths = [Path(source) for source in sources]
    names = [path.name if path.is_dir() else path.stem for path in paths]
    if len(set(names)) < len(names):
        names = [path.absolute().parent.name for path in paths]
    if len(set(names)) < len(names):
        raise OptionError(f"views are called alike ({', '.join(names)}): name them like cameras")
    return names


def _view(
    source: str,
    name: str,
    out: Path,
    options: Options,
    select: Selection,
    skeleton: Skeleton | None,
) -> View:
    """The results of a camera, made first where it is a video."""
    from ..lift.views import View
    from ..results.formats import read_results

    path = Path(source)
    if not _holds_results(path):
        path = out / "views" / name
        _estimate(source, path, options, select)
    results = read_results(path, skeleton, fps=select.fps, say=complain)
    if not len(results.skeleton):
        raise DataError(f"{path}: its people have no joints to triangulate")
    return View.of(name, results, results.skeleton)


def _holds_results(path: Path) -> bool:
    from ..results.formats import tell

    if path.suffix.lower() in TABLES:
        return True  # if it is none, reading says so
    if not path.is_dir():
        return False
    try:
        tell(path)
    except DataError:
        return False
    return True


def _estimate(source: str, folder: Path, options: Options, select: Selection) -> None:
    """Run the 2D pipeline, or go on behind what is there of it."""
    from .. import run as job
    from ..estimator import Estimator

    outputs = job.Outputs(out=folder, existing="resume")
    summary = job.run(
        [source],
        Estimator(options),
        outputs,
        select=select,
        strict=True,
        messages=job.Messages(warn=complain),
    )
    if summary.interrupted:
        complain("interrupted; what was done is kept, the same call goes on behind it")
        raise typer.Exit(130)
    complain(f"{source}: {summary.frames} frames", prefix="")
