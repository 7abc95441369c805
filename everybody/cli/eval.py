"""`everybody eval`: how good results, or a model, are. It parses and prints; the rest is in
`everybody.metrics`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..atomic import refused
from ..errors import OptionError
from .options import listed

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..metrics.compare import Judged
    from ..metrics.figure import Figure
    from ..metrics.tables import Verdict

MODEL, OUTPUT = "Run and judge at once", "What comes out"


def _option(*names: str, help: str, panel: str | None = None) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel)


Results = Annotated[
    list[Path],
    typer.Argument(help="Results of a run in any format, COCO's list of results, MPII's .mat."),
]
Data = Annotated[
    Path, _option(help="The truth: COCO JSON, MPII, LSP, YOLO-pose …, told by content.")
]
Category = Annotated[
    str | None,
    _option(help="Categories of the data to judge: names or ids; by default those of people."),
]
Metrics = Annotated[
    list[str],
    _option(
        help="AP, BoxAP, OKS, PCKh@0.5, PCK@0.2, PCKb@0.2, PDJ@0.2, PCP@0.5, PCPl@0.5, AUC@0.5, "
        "NME; of tracks HOTA, DetA, AssA, MOTA, MOTP, IDF1, SwitchesPerMinute, PoseTrackAP; "
        "of poses in space MPJPE, PA-MPJPE, N-MPJPE, PCK3D@150, AUC3D, MPJVE."
    ),
]
Match = Annotated[str, _option(help="How people are paired for PCK and the like: oks, box, order.")]
Joints = Annotated[str | None, _option(help="Joints of the results, where the file does not say.")]
DataJoints = Annotated[str | None, _option(help="Joints of the data, where the file does not say.")]
Mapped = Annotated[bool, _option("--map", help="Judge the joints that results and data share.")]
Bootstrap = Annotated[
    int,
    _option(help="Draws of pictures for 95 % intervals and for significance; 1000 is usual."),
]
Seed = Annotated[int, _option(help="Of the draws.")]

Model = Annotated[
    list[str],
    _option(
        help="accurate, fast, animals, a name from `everybody models`, an ONNX file; none: boxes.",
        panel=MODEL,
    ),
]
Detector = Annotated[str | None, _option(help="As --model.", panel=MODEL)]
Boxes = Annotated[
    str | None,
    _option(help="gt, detected (default) or a COCO detections file.", panel=MODEL),
]
FlipTest = Annotated[
    bool, _option("--flip-test", help="Average with the mirrored crop.", panel=MODEL)
]
Orientation = Annotated[
    str, _option(help="any: people who lie or hang too; or upright.", panel=MODEL)
]
DetTurns = Annotated[
    int,
    _option(help="Quarter turns the detector looks in, 1 to 4; 0: as in run.", panel=MODEL),
]
DetScore = Annotated[float, _option(help="Least score of a box.", panel=MODEL)]
PoseNms = Annotated[str | None, _option(help="As in run; by default its default.", panel=MODEL)]
Turn = Annotated[
    int, _option(help="Degrees, counter-clockwise, by which it sees the pictures.", panel=MODEL)
]

AsJson = Annotated[
    bool, _option("--json", help="One JSON object on stdout instead of tables.", panel=OUTPUT)
]
Csv = Annotated[Path | None, _option(help="Write a tidy CSV.", panel=OUTPUT)]
Latex = Annotated[Path | None, _option(help="Write a LaTeX table.", panel=OUTPUT)]
Plots = Annotated[Path | None, _option(help="Folder for SVG plots.", panel=OUTPUT)]
Report = Annotated[
    Path | None, _option(help="Diagnosis of the first results, one HTML file.", panel=OUTPUT)
]


def evaluate(
    results: Results = [],  # noqa: B006 (typer copies it)
    data: Data = ...,  # type: ignore[assignment]
    category: Category = None,
    metrics: Metrics = [],  # noqa: B006
    match: Match = "oks",
    skeleton: Joints = None,
    data_skeleton: DataJoints = None,
    mapped: Mapped = False,
    bootstrap: Bootstrap = 0,
    seed: Seed = 0,
    model: Model = [],  # noqa: B006
    detector: Detector = None,
    boxes: Boxes = None,
    flip_test: FlipTest = False,
    orientation: Orientation = "any",
    det_turns: DetTurns = 0,
    det_score: DetScore = 0.05,
    pose_nms: PoseNms = None,
    turn: Turn = 0,
    as_json: AsJson = False,
    csv: Csv = None,
    latex: Latex = None,
    save_plots: Plots = None,
    report: Report = None,
) -> None:
    """Judge results, or models, against labelled data. Several are compared with the first."""
    how: dict[str, Any] = {
        "detector": detector,
        "boxes": boxes,
        "flip_test": flip_test,
        "orientation": orientation,
        "det_turns": det_turns,
        "pose_nms": pose_nms,
        "quarters": turn // 90,
    }
    _check(results, model, how, turn)
    how |= {"boxes": boxes or "detected", "det_score": det_score}
    from ..metrics import spatial
    from ..metrics.compare import judge_all, precision_of_files
    from ..metrics.judge import defaults
    from ..metrics.tables import to_json, verdicts

    names, judged = listed(metrics), None
    if data.is_file() and spatial.holds_poses(data):
        judged = spatial.judge_files(results, data, names)
    else:
        truth = _labels(data, data_skeleton, category, names)
        names = names or defaults(truth)
        if names == ["AP"] and not (model or skeleton or save_plots or report):
            judged = precision_of_files(results, truth)
        if judged is None:
            found = _found(results, truth, skeleton, model, how)
            judged = judge_all(found, truth, names, by=match, mapped=mapped)

    repeats = bootstrap or (1000 if len(judged) > 1 else 0)
    decided = verdicts([(one.about, one.figures) for one in judged], repeats=repeats, seed=seed)
    print(json.dumps(to_json(decided))) if as_json else _show(decided)
    _save(decided, judged, csv, latex, save_plots, report)


def _check(results: list[Path], models: list[str], how: dict[str, Any], turn: int) -> None:
    """Raises OptionError for options that make no sense together."""
    if not results and not models:
        raise OptionError(
            "nothing to judge: give RESULTS, or --model NAME (the detector alone: --model none)"
        )
    if not models and (
        turn
        or how["orientation"] != "any"
        or any(value for name, value in how.items() if name != "orientation")
    ):
        raise OptionError(
            "--detector, --boxes, --flip-test, --turn, --orientation, --det-turns, --pose-nms are "
            "for --model, which is not given"
        )
    if how["pose_nms"] and how["boxes"] == "gt":
        raise OptionError(
            "--pose-nms removes duplicates among detected people; --boxes gt has none: "
            "leave one out"
        )
    if turn not in (0, 90, 180, 270):
        raise OptionError(f"--turn {turn}: pictures are turned by 90, 180 or 270 degrees")


def _labels(data: Path, skeleton: str | None, category: str | None, measures: list[str]) -> Dataset:
    """The truth; where boxes alone are judged, joints need not be labelled."""
    from ..data.read import read
    from ..metrics.judge import of_boxes_alone

    joints = not of_boxes_alone(measures)
    return read(data, skeleton=_skeleton(skeleton), category=category, joints=joints)


def _skeleton(name: str | None) -> Any:
    from ..skeleton_file import chosen

    return chosen(name) if name else None


def _found(
    results: list[Path],
    truth: Dataset,
    skeleton: str | None,
    models: list[str],
    how: dict[str, Any],
) -> list[Dataset]:
    """Results, read or made (`how`: options of `predict`)."""
    from ..data.read import read_results

    joints = _skeleton(skeleton)
    found = [read_results(path, truth, skeleton=joints) for path in results]
    if models:
        from ..metrics.predict import predict

        found += [predict(truth, pose=model, skeleton=skeleton, **how) for model in models]
    return found


def _save(
    verdicts: list[Verdict],
    judged: list[Judged],
    csv: Path | None,
    latex: Path | None,
    plots: Path | None,
    report: Path | None,
) -> None:
    """The files that were asked for. Raises OutputError."""
    from ..metrics import tables

    pairs: list[Any] = [(one.results, one.truth) for one in judged]
    try:
        if csv:
            csv.write_text(tables.to_csv(verdicts), encoding="utf-8")
        if latex:
            latex.write_text(tables.to_latex(verdicts), encoding="utf-8")
        if (plots or report) and None in pairs[0]:
            raise OptionError("--save-plots and --report draw people in pictures: these have none")
        if (plots or report) and any(a.skeleton.joints != b.skeleton.joints for a, b in pairs):
            raise OptionError(
                "--save-plots and --report look at joints: results and data have different ones, "
                "which only measures of boxes allow; leave them out"
            )
        if plots:
            from ..metrics.plots import save_plots

            save_plots(plots, verdicts, pairs)
        if report:
            from ..metrics.report import write_report

            found, truth = pairs[0]
            boxes = found.boxes_from or "not said"
            conditions = [f"boxes: {boxes}"]
            write_report(report, truth, found, conditions=conditions, verdict=verdicts[0])
    except OSError as error:
        raise refused(error.filename or "the report", error) from None


def _show(verdicts: list[Verdict]) -> None:
    """Tables on stdout, notes on stderr."""
    from ..metrics.tables import notes

    console, first = Console(highlight=False), verdicts[0].about
    called = "bodies" if first.categories else "people"
    people = f"{first.people} {called} × {first.skeleton.name}"
    console.print(f"[bold]{escape(first.data)}[/bold]: {first.pictures} pictures, {people}")
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for verdict in verdicts:
        boxes, name = verdict.about.boxes or "not said", escape(verdict.about.results)
        table.add_column(f"{name}\n[dim]boxes: {escape(boxes)}[/dim]", justify="right")
        if verdict.differences:
            table.add_column("difference\n[dim]to the first, p[/dim]", justify="right")
    for i, figure in enumerate(verdicts[0].overall):
        cells = []
        for verdict in verdicts:
            cells.append(_cell(verdict, verdict.overall[i]))
            if change := verdict.differences.get(figure.name):
                strong = "bold" if change.p < 0.05 else "dim"
                cells.append(f"[{strong}]{change.value:+.4f}  p {change.p:.3f}[/{strong}]")
        table.add_row(figure.name, *cells)
    console.print(table)
    for verdict in verdicts:
        if verdict.about.categories:
            console.print("", _by_category(verdict, several=len(verdicts) > 1))
    for figure in verdicts[0].overall:
        if figure.says:
            console.print(f"[dim]{figure.name}: {figure.says}[/dim]", soft_wrap=True)
    messages = Console(stderr=True, highlight=False, soft_wrap=True)
    for note in notes(verdicts):
        messages.print(f"note: {note}", markup=False)


def _by_category(verdict: Verdict, *, several: bool) -> Table:
    """A row per category, a column per measure. several: others are judged, too."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(escape(verdict.about.results) if several else "")
    for name in ("to find", *verdict.measures_by_category):
        table.add_column(escape(name), justify="right")
    for name, row in verdict.by_category.items():
        figures = [row.get(measure) for measure in verdict.measures_by_category]
        cells = [_cell(verdict, figure, _short, "–") if figure else "–" for figure in figures]
        table.add_row(escape(name), str(verdict.about.categories.get(name, "")), *cells)
    return table


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"


def _short(value: float) -> str:
    """'.512': three columns of these, with intervals, fit 80 places."""
    return "–" if math.isnan(value) else f"{value:.3f}".removeprefix("0")


def _cell(
    verdict: Verdict, figure: Figure, text: Callable[[float], str] = _number, dash: str = " – "
) -> str:
    """A figure, with its interval where there is one."""
    low, high = verdict.intervals.get(figure.name, (math.nan, math.nan))
    if math.isnan(low):
        return text(figure.value)
    return f"{text(figure.value)}  [dim]{text(low)}{dash}{text(high)}[/dim]"
