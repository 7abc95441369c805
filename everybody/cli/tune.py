"""`everybody tune-nms`: the parameters of the pose NMS, learned on labelled pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..errors import OptionError
from .options import pair

if TYPE_CHECKING:
    from ..metrics.tune_nms import Sets
    from ..nms import Suppressor

COMPARED = ("none", "box", "oks", "soft-oks", "alphapose")
Text = str | None


def tune_nms(
    data: Annotated[
        Path,
        typer.Argument(help="Labelled pictures that are not used to judge: COCO JSON, MPII, …"),
    ],
    category: Annotated[
        Text, typer.Option(help="Categories of the data: names or ids; by default of people.")
    ] = None,
    start: Annotated[
        str, typer.Option(help="Where the search begins, as --pose-nms of run.")
    ] = "parametric",
    detector: Annotated[
        Text, typer.Option(help="Name from `everybody models`, or an ONNX file.")
    ] = None,
    det_size: Annotated[Text, typer.Option(help="Detector input: 416 or 640x384.")] = None,
    det_score: Annotated[float, typer.Option(help="Least score of a box.")] = 0.05,
    pose: Annotated[Text, typer.Option(help="As --detector.")] = None,
    price: Annotated[
        float, typer.Option(help="AP that a needless pose per person costs; 0: AP alone.")
    ] = 0.04,
    jitter: Annotated[int, typer.Option(help="Proposals per true box.", min=1)] = 8,
    seed: Annotated[int, typer.Option(help="Of the proposals and the crowds.")] = 0,
    threads: Annotated[int, typer.Option(help="CPU cores to use; 0: all.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout instead of a table.")
    ] = False,
) -> None:
    """Learn the parameters of the pose NMS: maximise AP of dense proposals, crowds and detected
    boxes, with few poses.

    Prints what to give to --pose-nms of run, and AP beside that of the other methods.
    """
    from ..data.read import read
    from ..estimator import Estimator
    from ..metrics.tune_nms import candidates, search, worth
    from ..nms import PoseNms, Suppressor, pose_nms

    best = pose_nms(start)
    if not isinstance(first := best.run, PoseNms):
        raise OptionError(f"--start {start}: only parametric and alphapose can be learned")
    truth = read(data, category=category)
    estimator = Estimator(
        detector=detector,
        det_size=pair(det_size, "--det-size"),
        det_score=det_score,
        pose=pose,
        pose_nms="none",
        threads=threads,
    )
    truth = truth.to(estimator.skeleton)
    messages = Console(stderr=True, highlight=False, soft_wrap=True)
    messages.print(
        f"{len(truth)} pictures, {(~truth.ignored).sum()} people: estimating the candidates' poses"
    )
    sets = candidates(truth, estimator, jitter=jitter, seed=seed)
    for step in search(lambda setting: worth(sets, setting, price), first):
        best = Suppressor.of(step.best)
        found = ", ".join(f"{name} {getattr(step.best, name):.3g}" for name in step.names)
        messages.print(f"{found}: mean AP {worth(sets, step.best):.4f}")
    _show(best, [*map(pose_nms, COMPARED), best], sets, as_json)


def _show(best: Suppressor, methods: list[Suppressor], sets: Sets, as_json: bool) -> None:
    """AP and poses per person of each method on each set, and what to give to --pose-nms."""
    rows = {
        str(method): {
            name: {"AP": some.precision(method), "poses per person": some.each(method)}
            for name, some in sets.items()
        }
        for method in methods
    }
    if as_json:
        print(json.dumps({"pose_nms": str(best), "results": rows}))
        return
    table = Table("AP, poses per person", *sets, box=None, header_style="bold", pad_edge=False)
    for method, cells in rows.items():
        name = "tuned" if method == str(best) else method.partition(",")[0]
        figures = (f"{cell['AP']:.4f} {cell['poses per person']:6.2f}" for cell in cells.values())
        table.add_row(name, *figures)
    Console(highlight=False).print(table)
    print(f"--pose-nms {best}")
