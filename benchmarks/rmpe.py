"""What RMPE's parts are worth: robustness against wrong boxes and turned bodies, and the time they
take. Its ablation is `benchmarks.rmpe_ablation`.

    S="--system plain=tinypose-256x192 --system sstn=tinypose-256x192+sstn.onnx"
    python -m benchmarks.rmpe boxes $S
    python -m benchmarks.rmpe turns $S
    python -m benchmarks.rmpe look --sstn sstn.onnx
    python -m benchmarks.rmpe speed --pose tinypose-256x192 --sstn sstn.onnx --rmpe rmpe.onnx

A system is an SPPE (a name or an ONNX file, RMPE in one graph too), or an SPPE + an SSTN's file.
All systems see the same people in the same wrong boxes and turns: differences are paired, with 95 %
bootstrap intervals over pictures. Measured on ../shared/data coco_val (AP of 17 joints) and
lspet/val (of the 12 that both have), one person per true box, no NMS where boxes are given. Nothing
is chosen on these pictures.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common import (
    COCO_VAL,
    DATA,
    DETECTOR,
    POSE,
    VIDEO,
    by_turns,
    counted,
    gap,
    head,
    parsed,
    parser,
    picture,
    pictures,
    row,
)
from everybody import geometry
from everybody.data.dataset import Dataset, with_margin
from everybody.data.frames import gathered
from everybody.data.read import read
from everybody.draw import draw as draw_people
from everybody.media.read import Selection
from everybody.media.read import read as read_frames
from everybody.method import Poser
from everybody.methods.detector import open_detector
from everybody.methods.orientation import AnyTurn
from everybody.methods.sppe import Sppe
from everybody.methods.topdown import open_sppe, usual_turn_net
from everybody.metrics.figure import Figure
from everybody.metrics.judge import judge
from everybody.options import Engine, FindOptions, PoseOptions
from everybody.people import Frame, Image, People
from everybody.skeletons import COCO17

DRAWS = 300
ENGINE = Engine(threads=1)
Curves = dict[tuple[str, str], list[tuple[float, float]]]  # of a data set and a system: (x, AP)
SIGMAS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
AREA = 0.53  # of a box: what COCO's areas come to, for data without


def datasets(names: Sequence[str], limit: int) -> list[Dataset]:
    """The truth, all as COCO's joints, in boxes as a detector draws them."""
    found = []
    for name in names:
        truth = replace(read(DATA / name), name=name.removesuffix(".npz"))
        if truth.skeleton != COCO17:
            boxes = with_margin(truth.boxes, truth.keypoints)
            areas = AREA * geometry.area(boxes)
            truth = replace(truth.to(COCO17), boxes=boxes, areas=areas, format="COCO")
        found.append(truth.subset(range(min(limit, len(truth)))) if limit else truth)
    return found


def systems(given: Sequence[str]) -> dict[str, Poser]:
    """'name=pose', 'name=pose+sstn.onnx', and either with '@any' (to search for turns) ->
    estimators of one thread.
    """
    made = {}
    for text in given:
        name, _, files = text.partition("=")
        files, _, orientation = files.partition("@")
        pose, _, sstn = files.partition("+")
        asked = PoseOptions(model=pose, sstn=sstn or None, batch=4)
        poser = open_sppe(asked, ENGINE)
        if orientation == "any":
            poser = AnyTurn(poser=poser, net=usual_turn_net(ENGINE), straighten=not sstn)
        made[name] = poser
    return made


def posed(poser: Poser, image: Image, people: People) -> People:
    """One picture's people with boxes -> the same people with joints."""
    return poser([Frame(image, people=people)])[0].people


def figure(truth: Dataset, people: Sequence[People]) -> Figure:
    """AP."""
    found = gathered(people, truth.pictures, COCO17, name="", boxes_from="gt")
    return judge(truth, found, ["AP"])[0]


def scored(poses: list[People]) -> list[People]:
    """With the mean of the joints as the score, because the given boxes have none."""
    return [replace(some, scores=some.keypoints[..., 2].mean(1)) for some in poses]


# --- wrong boxes


def wrong(boxes: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Shift by N(0, σ) of the sides, scale by exp N(0, σ), aspect by exp N(0, σ / 2); all cut at 2
    σ.
    """
    n = len(boxes)
    draw = np.clip(rng.normal(0, 1, (n, 4)), -2, 2) * sigma
    sides, middle = boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2
    middle = middle + draw[:, :2] * sides
    stretch = np.stack([draw[:, 3], -draw[:, 3]], 1) / 4
    half = sides * np.exp(draw[:, 2:3] + stretch) / 2
    return np.concatenate([middle - half, middle + half], 1)


@dataclass
class Errors:
    """What wrong boxes lead to: per σ and system the poses, per σ the IoU with the true boxes, per
    system the pairs (IoU of the box, OKS of the pose).
    """

    poses: dict[float, dict[str, list[People]]]
    overlaps: dict[float, list[float]]
    similar: dict[str, list[tuple[float, float]]]


def boxes(given: argparse.Namespace) -> None:
    """AP by how wrong the boxes are."""
    loaded = systems(given.system)
    curves: Curves = {}
    for truth in datasets(given.data, given.limit):
        errors = posed_in_wrong_boxes(truth, loaded)
        print(f"\n{truth.name}: {counted(truth)}; AP by box error\n")
        names = list(loaded)
        print(head("σ", "mean IoU", *names, f"{names[-1]} − {names[0]}"))
        for sigma in SIGMAS:
            poses = errors.poses[sigma]
            figures = {name: figure(truth, scored(some)) for name, some in poses.items()}
            mean = float(np.mean(errors.overlaps[sigma]))
            for name, found in figures.items():
                curves.setdefault((truth.name, name), []).append((mean, found.value))
            values = [f"{found.value:.3f}" for found in figures.values()]
            better = gap(figures[names[0]], figures[names[-1]], len(truth), DRAWS)
            print(row(f"{sigma:g}", f"{mean:.2f}", *values, better))
        print_similarity(errors.similar)
    draw(given.plot, curves, "mean IoU of box and person", [1.0, 0.8, 0.6, 0.4], flip=True)


def posed_in_wrong_boxes(truth: Dataset, loaded: dict[str, Poser]) -> Errors:
    errors = Errors(
        {sigma: {name: [] for name in loaded} for sigma in SIGMAS},
        {sigma: [] for sigma in SIGMAS},
        {name: [] for name in loaded},
    )
    rng = np.random.default_rng(0)
    for image, rows in pictures(truth):
        true, labelled = truth.boxes[rows], (truth.keypoints[rows, :, 2] > 0).astype(float)
        for sigma in SIGMAS:
            seen = wrong(true, sigma, rng) if sigma else true
            overlap = np.diagonal(geometry.iou(true, seen)).tolist()
            errors.overlaps[sigma] += overlap
            for name, sppe in loaded.items():
                poses = posed(sppe, image, People.from_boxes(seen))
                errors.poses[sigma][name].append(poses)
                both = truth.keypoints[rows], poses.keypoints
                oks = geometry.oks(*both, truth.areas[rows], COCO17.sigmas, labelled)
                errors.similar[name] += zip(overlap, np.diagonal(oks).tolist(), strict=True)
    return errors


def print_similarity(similar: dict[str, list[tuple[float, float]]]) -> None:
    """Mean OKS by the IoU of the box."""
    print("\n" + head("IoU of the box", "people", *(f"OKS, {name}" for name in similar)))
    for low in (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.0):
        high = 1.01 if low == 0.9 else 0.4 if low == 0 else low + 0.1
        bins = [[oks for iou, oks in pairs if low <= iou < high] for pairs in similar.values()]
        values = [f"{np.mean(found):.3f}" if found else "–" for found in bins]
        print(row(f"{low:g} to {min(high, 1):g}", len(bins[0]), *values))


# --- turned bodies


def turned(image: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture turned clockwise by so many degrees on a canvas that holds all of it, and the map
    [2, 3] to it.
    """
    height, width = image.shape[:2]
    if angle % 90 == 0:
        quarters = round(-angle / 90) % 4
        return np.ascontiguousarray(np.rot90(image, quarters)), geometry.turn_matrix(
            width, height, quarters
        )
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    linear = np.array([[cos, -sin], [sin, cos]])
    size = np.abs(linear) @ [width, height]
    shift = (size - 1) / 2 - linear @ [(width - 1) / 2, (height - 1) / 2]
    matrix = np.column_stack([linear, shift])
    return cv2.warpAffine(image, matrix, tuple(np.ceil(size).astype(int).tolist())), matrix


def around(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Boxes of turned people: of the ellipse in the box, which grows to its diagonal less than its
    corners do.
    """
    half, middle = (boxes[:, 2:] - boxes[:, :2]) / 2, (boxes[:, 2:] + boxes[:, :2]) / 2
    half = np.sqrt(np.square(half) @ np.square(matrix[:, :2]).T)
    middle = middle @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([middle - half, middle + half], 1)


def turns(given: argparse.Namespace) -> None:
    """AP by the angle of the pictures."""
    loaded = systems(given.system)
    names = list(loaded)
    curves: Curves = {}
    for truth in datasets(given.data, given.limit):
        print(f"\n{truth.name}: {counted(truth)}; AP by the angle of the pictures\n")
        print(head("angle", *names, f"{names[-1]} − {names[0]}"))
        for angle in range(0, 360, given.step):
            figures = turned_figures(truth, loaded, angle)
            for name, value in figures.items():
                curves.setdefault((truth.name, name), []).append((angle, value.value))
            values = [f"{value.value:.3f}" for value in figures.values()]
            better = gap(figures[names[0]], figures[names[-1]], len(truth), DRAWS)
            print(row(f"{angle}°", *values, better), flush=True)
    draw(given.plot, curves, "degrees clockwise", [0, 90, 180, 270])


def turned_figures(truth: Dataset, loaded: dict[str, Poser], angle: float) -> dict[str, Figure]:
    shown = truth.keypoints.copy()
    found: dict[str, list[People]] = {name: [] for name in loaded}
    for image, rows in pictures(truth):
        image, matrix = turned(image, angle)
        some = np.broadcast_to(matrix, (len(rows), 2, 3))
        shown[rows] = geometry.transform(some, shown[rows])
        seen = People.from_boxes(around(truth.boxes[rows], matrix))
        for name, sppe in loaded.items():
            found[name].append(posed(sppe, image, seen))

    judged = replace(truth, keypoints=shown)
    return {name: figure(judged, scored(poses)) for name, poses in found.items()}


def draw(
    path: Path | None,
    curves: Curves,
    label: str,
    ticks: list[float],
    *,
    flip: bool = False,
) -> None:
    """AP over something, one picture per data set -> PNG."""
    if path is None:
        return
    from matplotlib.figure import Figure as Plot

    sets = list(dict.fromkeys(data for data, _ in curves))
    plot = Plot(figsize=(4.2 * len(sets), 3), layout="constrained")
    for axes, data in zip(
        np.atleast_1d(plot.subplots(1, len(sets), sharey=True)), sets, strict=True
    ):
        for (where, name), points in curves.items():
            if where == data:
                axes.plot(*zip(*points, strict=True), marker=".", label=name)
        axes.set(xlabel=label, title=data, ylim=(0, None), xticks=ticks)
        axes.spines[["top", "right"]].set_visible(False)
        if flip:
            axes.invert_xaxis()
    np.atleast_1d(plot.axes)[0].set_ylabel("AP")
    np.atleast_1d(plot.axes)[0].legend(frameon=False)
    plot.savefig(path, dpi=90)


# --- to look at


def look(given: argparse.Namespace) -> None:
    """A frame of class.mp4, upright and turned, in wrong boxes: before (box) and after (region of
    the SSTN) -> JPEG.
    """
    asked = [PoseOptions(model=given.pose, sstn=sstn) for sstn in (None, given.sstn)]
    systems = [open_sppe(pose, ENGINE) for pose in asked]
    one = Selection.parse("100", None, None)
    frame = next(read_frames(str(VIDEO / "class.mp4"), select=one)).image
    detector = open_detector(FindOptions(detector=DETECTOR), ENGINE)
    true = detector([frame])[0].boxes.astype(np.float64)

    strips = []
    for angle in given.angles:
        image, matrix = turned(frame, angle)
        random = np.random.default_rng(given.seed)
        seen = wrong(around(true, matrix), given.sigma, random)
        strips.append(np.hstack([seen_by(sppe, image, seen) for sppe in systems]))

    side = max(strip.shape[1] for strip in strips)
    white = {"borderType": cv2.BORDER_CONSTANT, "value": (255,) * 3}
    strips = [cv2.copyMakeBorder(s, 0, 8, 0, side - s.shape[1], **white) for s in strips]
    cv2.imwrite(str(given.out), np.vstack(strips)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 78])


def seen_by(sppe: Sppe, image: Image, boxes: np.ndarray) -> Image:
    """The poses of the people in the boxes over the picture, 304 pixels high, with the outline of
    each input of the network in white and its upper edge in red.
    """
    people, still = People.from_boxes(boxes), np.zeros(len(boxes), np.intp)
    matrices = sppe.look([image] * len(boxes), boxes, still, sppe.input.size)
    drawn = draw_people(image, posed(sppe, image, people))
    right, bottom = sppe.input.size[0] - 0.5, sppe.input.size[1] - 0.5
    corners = np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])
    inputs = np.broadcast_to(corners, (len(people), 4, 2))
    for quad in geometry.transform(geometry.invert(matrices), inputs):
        ends = quad.round().astype(np.int32)
        cv2.polylines(drawn, [ends], True, (255, 255, 255), 2)
        cv2.line(drawn, *ends[:2].tolist(), (255, 60, 60), 4)
    factor = 304 / drawn.shape[0]
    return cv2.resize(drawn, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


# --- time


def speed(given: argparse.Namespace) -> None:
    """Milliseconds per person, the systems by turns, one thread; medians and their ratios to the
    plain SPPE.
    """
    asked = {
        "SPPE": PoseOptions(model=given.pose),
        "SPPE + SSTN": PoseOptions(model=given.pose, sstn=given.sstn),
    }
    if given.rmpe:
        asked["one graph"] = PoseOptions(model=given.rmpe)
    made = {name: open_sppe(pose, ENGINE) for name, pose in asked.items()}

    image = picture(read(COCO_VAL), 0)
    people = People.from_boxes(np.tile([[50.0, 50, 200, 350]], (4, 1)))
    works = {name: partial(posed, sppe, image, people) for name, sppe in made.items()}
    spent = {
        name: np.array(times) / len(people)
        for name, times in by_turns(works, given.repeats).items()
    }
    for name, times in spent.items():
        told = f"{np.median(times):6.2f} ms a person, fastest {times.min():6.2f}"
        ratio = np.median(times / spent["SPPE"])
        print(f"{name:12} {told}; {ratio:.3f} of the SPPE's")


def main() -> None:
    whole = parser(__doc__)
    commands = whole.add_subparsers(required=True)

    def command(what: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        added = commands.add_parser(what.__name__, help=(what.__doc__ or "").partition("\n")[0])
        added.set_defaults(what=what)
        return added

    for what in (boxes, turns):
        one = command(what)
        one.add_argument("--data", nargs="+", default=["coco_val", "lspet/val.npz"])
        one.add_argument("--limit", type=int, default=0, help="pictures of each data set")
        one.add_argument("--system", action="append", required=True)
        one.add_argument("--plot", type=Path)
    one.add_argument("--step", type=int, default=15, help="degrees")

    one = command(look)
    one.add_argument("--pose", default=POSE)
    one.add_argument("--sstn", required=True)
    one.add_argument("--out", type=Path, default=Path("docs/images/rmpe.jpg"))
    one.add_argument("--angles", type=float, nargs="+", default=[0.0, 180.0])
    one.add_argument("--sigma", type=float, default=0.15)
    one.add_argument("--seed", type=int, default=1)

    one = command(speed)
    one.add_argument("--pose", default=POSE)
    one.add_argument("--sstn", required=True)
    one.add_argument("--rmpe")
    one.add_argument("--repeats", type=int, default=40)

    given = parsed(whole)
    cv2.setNumThreads(1)
    given.what(given)


if __name__ == "__main__":
    main()
