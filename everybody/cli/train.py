"""`everybody label`, `pack`, `proposals`, `train`, `export`: from pictures to a model of one's own
(extra `train`).
"""

from __future__ import annotations

import importlib.util
import math
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..errors import DataError, OptionError
from ..skeleton_file import chosen
from .options import listed, pair

DATA = "Labelled pictures: COCO, MPII, LSP, YOLO, or results of `everybody run` as labels."
OUT = "Folder of the run; a run that is there goes on."
FEW = 10  # samples: fewer do not tell which weights are better


def needs_torch(what: str = "training", *more: str) -> None:
    """Raises OptionError where the extra that brings torch is not installed."""
    wanted = ("torch", "lightning_fabric", "safetensors", *more)
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        raise OptionError(f"{what} needs {', '.join(missing)}: pip install 'everybody[train]'")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def label(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Pictures and videos, as for run.")
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="Folder of the labels.")],
    detectors: Annotated[
        list[str] | None, typer.Option("--detector", help="Teachers of boxes; several.")
    ] = None,
    det_sizes: Annotated[
        list[str] | None, typer.Option("--det-size", help="Their inputs: 416; several.")
    ] = None,
    det_score: Annotated[float, typer.Option(help="Least score of a box.")] = 0.3,
    poses: Annotated[
        list[str] | None,
        typer.Option("--pose", help="Teachers of joints; several; none: boxes only."),
    ] = None,
    paddings: Annotated[
        str, typer.Option(help="How much the crops grow the box; several.")
    ] = "1.1,1.25,1.4",
    flip_test: Annotated[
        bool, typer.Option("--flip-test", help="Average with the mirrored crops.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on behind the last labelled picture.")
    ] = False,
) -> None:
    """Let several teachers label pictures together: results like those of run, to be packed."""
    from .. import run as job
    from ..methods.detector import open_detector
    from ..methods.topdown import open_sppe
    from ..options import Engine, FindOptions, PoseOptions
    from ..train.teachers import Teachers

    sizes = [pair(size, "--det-size") for size in det_sizes or []] or [None]
    engine = Engine(threads=1)
    try:
        grown = tuple(float(part) for part in listed([paddings]))
    except ValueError:
        raise OptionError(f"--paddings {paddings}: expected numbers, as in 1.1,1.25") from None
    teachers = Teachers(
        [
            open_detector(FindOptions(detector=name, size=size, score=det_score), engine)
            for name in detectors or [None]
            for size in sizes
        ],
        [
            open_sppe(PoseOptions(model=name, flip_test=flip_test), engine)
            for name in poses or [None]
            if name != "none"
        ],
        grown,
    )
    results = job.Outputs(out=Path(out), existing="resume" if resume else "refuse")
    summary = job.run(sources, teachers, results, messages=job.Messages(say=_say, warn=_say))
    _say(f"{summary.frames} pictures, {summary.people} people -> {out}")
    if summary.problems or summary.interrupted:
        raise typer.Exit(130 if summary.interrupted else 1)


Teacher = Annotated[
    Path | None, typer.Option(help="Results of a teacher that add to human labels.")
]
Distrust = Annotated[
    str, typer.Option(help="Joints to take from the teacher: left_hip,right_hip for LSP.")
]
Joints = Annotated[
    str | None,
    typer.Option(help="Whose joints, where the data do not say: a name, or a file of your own."),
]
Category = Annotated[
    str | None,
    typer.Option(help="Categories to pack: names or ids, with commas; by default those of people."),
]
Sure = Annotated[
    float, typer.Option(help="For detectors: people who score less are neither to find nor false.")
]
Grid = Annotated[int, typer.Option(help="For detectors: so many pictures side by side, and below.")]
Nobody = Annotated[
    bool,
    typer.Option(
        "--nobody", help="For detectors: DATA are folders of pictures with nobody on them."
    ),
]
HoldOut = Annotated[
    float, typer.Option(help="Share of the pictures to leave out, to be judged on.")
]
Avoid = Annotated[
    list[Path] | None,
    typer.Option(help="Pictures that are judged on: near-duplicates are left out."),
]
Turns = Annotated[
    str,
    typer.Option(help="For turn nets: an SPPE that says how well it does in each quarter turn."),
]


def pack(
    data: Annotated[list[Path], typer.Argument(metavar="DATA...", help=DATA)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the shards.")],
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Whole pictures, for detectors; else crops.")
    ] = False,
    size: Annotated[
        int, typer.Option(help="Side of what is packed, in pixels; 0: 416 or 256.")
    ] = 0,
    teacher: Teacher = None,
    distrust: Distrust = "",
    least_score: Annotated[
        float, typer.Option(help="Joints that score less count as unlabelled.")
    ] = 0.3,
    sure: Sure = 0.5,
    grid: Grid = 1,
    nobody: Nobody = False,
    hold_out: HoldOut = 0.0,
    avoid: Avoid = None,
    turns: Turns = "",
    skeleton: Joints = None,
    category: Category = None,
) -> None:
    """Pack labelled pictures into shards that train without waiting for the disk."""
    from ..train.packing import Packing, pack_all

    scores = None
    if turns:
        if pictures:
            raise OptionError("--turns is for crops, not for --pictures")
        from ..methods.topdown import open_sppe
        from ..options import PoseOptions
        from ..train.teachers import turn_scores

        scores = partial(turn_scores, open_sppe(PoseOptions(model=turns)))
    options = Packing(
        pictures=pictures,
        size=size,
        teacher=teacher,
        distrust=listed([distrust]),
        least_score=least_score,
        sure=sure,
        grid=grid,
        nobody=nobody,
        hold_out=hold_out,
        avoid=avoid or [],
        turns=scores,
        skeleton=chosen(skeleton) if skeleton else None,
        category=category,
    )
    total = pack_all(data, out, options, say=_say)
    _say(f"{total} {'pictures' if pictures else 'crops'} -> {out}")


def proposals(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="DATA...", help=DATA + " Without pictures: for the poses."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path(
        "proposals.json"
    ),
    detectors: Annotated[
        list[str] | None, typer.Option("--detector", help="Whose errors to learn; several.")
    ] = None,
    atoms: Annotated[int, typer.Option(help="Atomic poses.")] = 9,
    gaussians: Annotated[int, typer.Option(help="In each mixture, at most.")] = 3,
    pictures: Annotated[int, typer.Option(help="Of each data set, to detect on; 0: all.")] = 1500,
    seed: Annotated[int, typer.Option(help="Of the fits.")] = 1,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the atoms and the offsets into a PNG.")
    ] = None,
) -> None:
    """Learn how detectors are wrong, pose by pose: boxes for training with --set
    proposals=pgpg:FILE (docs/rmpe.md).
    """
    import numpy as np

    from ..data.dataset import with_margin
    from ..data.read import read
    from ..methods.detector import open_detector
    from ..options import Engine, FindOptions
    from ..train import proposals as pgpg

    sets = [read(path) for path in data]
    teachers = [
        open_detector(FindOptions(detector=name), Engine(threads=1)) for name in detectors or [None]
    ]
    found = []
    for labelled in sets:
        if not len(labelled) or not labelled.path(0).is_file():
            _say(f"{labelled.name}: no pictures beside it; only its poses count")
            continue
        boxes = with_margin(labelled.boxes, labelled.keypoints)
        for teacher in teachers:
            offsets = pgpg.detected(labelled, boxes, teacher, most=pictures, say=_say)
            found.append((labelled, offsets))
            _say(
                f"{labelled.name}, {teacher.session.path.stem}: "
                f"{int((~np.isnan(offsets[:, 0])).sum())} people found"
            )
    if not found:
        raise DataError(
            f"{', '.join(map(str, data))}: no data set has its pictures beside it "
            "to detect people on"
        )
    rng = np.random.default_rng(seed)
    fitted = pgpg.fit(sets, found, atoms=atoms, gaussians=gaussians, rng=rng)
    fitted.save(out)
    if plot is not None:
        from ..train.curves import draw_proposals

        draw_proposals(fitted, plot)
    _say(f"{atoms} atomic poses -> {out}")


def train(
    recipe: Annotated[str, typer.Argument(help="Its name; a wrong one lists what there is.")],
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", "-d", help="Folders of shards (`everybody pack`)."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help=OUT)] = Path("everybody-train"),
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of the recipe; several.")
    ] = None,
    minutes: Annotated[
        float, typer.Option(help="Stop after so long; call again to go on.")
    ] = math.inf,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, mps; one device per process, torchrun for more.")
    ] = "auto",
) -> None:
    """Train a network by a recipe, or go on with it.

    On several devices: torchrun --nproc-per-node N -m everybody train RECIPE …
    """
    needs_torch()
    from ..train import recipes

    chosen = recipes.recipe(recipe, settings or [])
    folders = [*map(Path, chosen.data), *(data or [])]
    if not folders:
        raise OptionError(
            "training needs data: --data FOLDER of shards, as `everybody pack` makes them"
        )
    from ..train import loop
    from ..train.tasks import task_of

    kind = task_of(chosen)  # unknown names are told before the shards are read
    task = kind(chosen, kind.load(folders))  # type: ignore[arg-type]  (each kind loads its own)
    held = len(task.held)
    few = (
        f"; so few choose badly: --set held_back={min(2 * chosen.held_back, 0.5):g}"
        if held < FEW
        else ""
    )
    _say(f"{len(task)} to learn from, {held} held back to choose the best weights by{few}")
    progress = loop.train(
        chosen, task, out, fabric=loop.on(chosen, device), minutes=minutes, say=_say
    )
    _say(f"{out}: at step {progress.step} of {chosen.steps}, best {progress.best:.4f}")


def export(
    weights: Annotated[Path, typer.Argument(help="best.safetensors of a run.")],
    out: Annotated[Path, typer.Argument(help="ONNX file to write.")],
    mix: Annotated[
        float,
        typer.Option(help="Share of the trained weights; the rest: what the run started from."),
    ] = 1.0,
    model: Annotated[
        str, typer.Option(help="A part of the network: openpose-small of a many-small.")
    ] = "",
    half: Annotated[
        bool, typer.Option("--half", help="Store the weights as float16: half the size.")
    ] = False,
    int8: Annotated[Path | None, typer.Option(help="Write an int8 ONNX file too.")] = None,
    data: Annotated[
        list[Path] | None, typer.Option("--data", "-d", help="Shards to calibrate int8 on.")
    ] = None,
) -> None:
    """Write trained weights as ONNX, proven equal to torch, and as int8."""
    needs_torch()
    from ..train import compress
    from ..train import export as exporting

    if data and int8 is None:
        raise OptionError("--data is for --int8, which is not given")
    if int8 is not None and not data:
        raise OptionError("--int8 needs pictures to calibrate on: --data FOLDER of shards")
    pictures = compress.calibration(weights, data) if data else None  # fails before all the work

    difference = exporting.export(weights, out, mix=mix, model=model)
    _say(f"{out}: differs from torch by {difference:.1e} of the greatest output")
    if half:
        compress.halve(out, out)
    if int8 is not None and pictures is not None:
        compress.quantise(out, int8, pictures)
        _say(f"{int8}: int8, {int8.stat().st_size / out.stat().st_size:.0%} of the size")
