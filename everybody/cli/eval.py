"""`everybody eval`: how good results, or a model, are. It parses and prints; the rest is in
`everybody.metrics`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ..atomic import refused
from ..errors import OptionError
from .options import listed

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..metrics.judge import Figure
    from ..metrics.tables import About, Verdict

MODEL, OUTPUT = "Run and judge at once", "What comes out"
Text = str | None


def evaluate(
    results: Annotated[
        list[Path],
        typer.Argument(
            help="Results: frames.jsonl or its folder, COCO's list of results, MPII's .mat."
        ),
    ] = [],  # noqa: B006 (typer copies it)
    data: Annotated[
        Path, typer.Option(help="The truth: COCO JSON, MPII, LSP, YOLO-pose …, told by content.")
    ] = ...,  # type: ignore[assignment]
    metrics: Annotated[
        list[str],
        typer.Option(
            help="AP, OKS, PCKh@0.5, PCK@0.2, PCKb@0.2, PDJ@0.2, PCP@0.5, PCPl@0.5, AUC@0.5, NME; of tracks "
            "HOTA, DetA, AssA, MOTA, MOTP, IDF1, PoseTrackAP."
        ),
    ] = [],  # noqa: B006
    match: Annotated[
        str, typer.Option(help="Who is who for PCK and the like: oks, box or order.")
    ] = "oks",
    skeleton: Annotated[
        Text, typer.Option(help="Joints of the results, where the file does not say.")
    ] = None,
    data_skeleton: Annotated[
        Text, typer.Option(help="Joints of the data, where the file does not say.")
    ] = None,
    mapped: Annotated[
        bool, typer.Option("--map", help="Judge the joints that results and data share.")
    ] = False,
    bootstrap: Annotated[
        int,
        typer.Option(
            help="Draws of pictures for 95 % intervals and for significance; 1000 is usual."
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    model: Annotated[
        list[str],
        typer.Option(help="Name from `everybody models` or an ONNX file.", rich_help_panel=MODEL),
    ] = [],  # noqa: B006
    detector: Annotated[Text, typer.Option(help="As --model.", rich_help_panel=MODEL)] = None,
    boxes: Annotated[
        Text,
        typer.Option(
            help="gt, detected (default) or a COCO detections file.", rich_help_panel=MODEL
        ),
    ] = None,
    flip_test: Annotated[
        bool,
        typer.Option("--flip-test", help="Average with the mirrored crop.", rich_help_panel=MODEL),
    ] = False,
    orientation: Annotated[
        str,
        typer.Option(help="any: people who lie or hang too; or upright.", rich_help_panel=MODEL),
    ] = "any",
    det_turns: Annotated[
        int,
        typer.Option(
            help="Quarter turns the detector looks in, 1 to 4; 0: as in run.", rich_help_panel=MODEL
        ),
    ] = 0,
    det_score: Annotated[
        float, typer.Option(help="Least score of a box.", rich_help_panel=MODEL)
    ] = 0.05,
    pose_nms: Annotated[
        Text, typer.Option(help="As in run; by default its default.", rich_help_panel=MODEL)
    ] = None,
    turn: Annotated[
        int,
        typer.Option(
            help="Degrees, counter-clockwise, by which it sees the pictures.", rich_help_panel=MODEL
        ),
    ] = 0,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="One JSON object on stdout instead of tables.", rich_help_panel=OUTPUT
        ),
    ] = False,
    csv: Annotated[
        Path | None, typer.Option(help="Write a tidy CSV.", rich_help_panel=OUTPUT)
    ] = None,
    latex: Annotated[
        Path | None, typer.Option(help="Write a LaTeX table.", rich_help_panel=OUTPUT)
    ] = None,
    save_plots: Annotated[
        Path | None, typer.Option(help="Folder for SVG plots.", rich_help_panel=OUTPUT)
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Diagnosis of the first results, one HTML file.", rich_help_panel=OUTPUT),
    ] = None,
) -> None:
    """Judge results, or models, against labelled data. Several are compared with the first."""
    from ..data.dataset import common
    from ..data.read import read
    from ..metrics import tables
    from ..metrics.judge import defaults, judge
    from ..metrics.regions import outside
    from ..metrics.tables import About
    from ..skeletons import skeleton as named

    if not results and not model:
        raise OptionError("nothing to judge: give RESULTS, or --model NAME")
    if not model and (
        detector or flip_test or boxes or turn or orientation != "any" or det_turns or pose_nms
    ):
        raise OptionError(
            "--detector, --boxes, --flip-test, --turn, --orientation, --det-turns, --pose-nms are for --model, "
            "which is not given"
        )
    if pose_nms and boxes == "gt":
        raise OptionError(
            "--pose-nms removes duplicates among detected people; --boxes gt has none: leave one out"
        )
    if turn not in (0, 90, 180, 270):
        raise OptionError(f"--turn {turn}: pictures are turned by 90, 180 or 270 degrees")
    truth = read(data, skeleton=named(data_skeleton) if data_skeleton else None)
    names = listed(metrics) or defaults(truth)
    pairs: list[tuple[Dataset, Dataset]] = []
    judged = None
    if names == ["AP"] and not (model or skeleton or save_plots or report):
        judged = _straight(results, truth)
    if judged is None:
        how: dict[str, Any] = {
            "detector": detector,
            "boxes": boxes or "detected",
            "det_score": det_score,
            "det_turns": det_turns,
            "flip_test": flip_test,
            "orientation": orientation,
            "quarters": turn // 90,
            "pose_nms": pose_nms,
        }
        found = _found(results, truth, skeleton, model, how)
        shared = [common(one, truth, mapped=mapped) for one in found]
        pairs = [(outside(one, labelled), labelled) for one, labelled in shared]
        judged = [
            (
                About.of(truth, found.name, found.boxes_from, found.notes),
                judge(truth, found, names, by=match),
            )  # type: ignore[arg-type]
            for found, truth in pairs
        ]
    verdicts = tables.verdicts(
        judged, repeats=bootstrap or (1000 if len(judged) > 1 else 0), seed=seed
    )
    if as_json:
        print(json.dumps(tables.to_json(verdicts)))
    else:
        _show(verdicts)
    try:
        if csv:
            csv.write_text(tables.to_csv(verdicts), encoding="utf-8")
        if latex:
            latex.write_text(tables.to_latex(verdicts), encoding="utf-8")
        if save_plots:
            from ..metrics.plots import save_plots as save

            save(save_plots, verdicts, pairs)
        if report:
            from ..metrics.report import write_report

            found, truth = pairs[0]
            write_report(
                report, truth, found, conditions=[f"boxes: {found.boxes_from or 'not said'}"]
            )
    except OSError as error:
        raise refused(error.filename or "the report", error) from None


def _straight(results: list[Path], truth: Dataset) -> list[tuple[About, list[Figure]]] | None:
    """AP of COCO's lists of results by the short way, None if one of them cannot go it."""
    from ..metrics import oks
    from ..metrics.direct import direct
    from ..metrics.judge import precision_figures
    from ..metrics.tables import About

    judged = []
    for path in results:
        if not (path.is_file() and (loaded := direct(truth, path))):
            return None
        evaluator = oks.evaluated(*loaded, truth.skeleton.sigmas)
        judged.append((About.of(truth, path.name), precision_figures(evaluator, truth)))
    return judged


def _found(
    results: list[Path], truth: Dataset, skeleton: Text, models: list[str], how: dict[str, Any]
) -> list[Dataset]:
    """Results, read or made (`how`: options of `predict`)."""
    from ..data.read import read_results
    from ..metrics.predict import predict
    from ..skeletons import skeleton as named

    joints = named(skeleton) if skeleton else None
    found = [read_results(path, truth, skeleton=joints) for path in results]
    return found + [predict(truth, pose=model, **how) for model in models]


def _show(verdicts: list[Verdict]) -> None:
    """Tables on stdout, notes on stderr."""
    from ..metrics.tables import notes

    console, first = Console(highlight=False), verdicts[0].about
    console.print(
        f"[bold]{first.data}[/bold]: {first.pictures} pictures, {first.people} people × {first.skeleton.name}"
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for verdict in verdicts:
        boxes = verdict.about.boxes or "not said"
        table.add_column(f"{verdict.about.results}\n[dim]boxes: {boxes}[/dim]", justify="right")
        if verdict.differences:
            table.add_column("difference\n[dim]to the first, p[/dim]", justify="right")
    for i, figure in enumerate(verdicts[0].figures):
        cells = []
        for verdict in verdicts:
            value, ends = verdict.figures[i].value, verdict.intervals.get(figure.name)
            cells.append(
                _number(value)
                + (f"  [dim]{_number(ends[0])} – {_number(ends[1])}[/dim]" if ends else "")
            )
            if change := verdict.differences.get(figure.name):
                strong = "bold" if change.p < 0.05 else "dim"
                cells.append(f"[{strong}]{change.value:+.4f}  p {change.p:.3f}[/{strong}]")
        table.add_row(figure.name, *cells)
    console.print(table)
    for figure in verdicts[0].figures:
        if figure.says:
            console.print(f"[dim]{figure.name}: {figure.says}[/dim]", soft_wrap=True)
    messages = Console(stderr=True, highlight=False, soft_wrap=True)
    for note in notes(verdicts):
        messages.print(f"note: {note}", markup=False)


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"
