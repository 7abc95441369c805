"""What RMPE's parts are worth: robustness against wrong boxes and turned bodies, the ablation, and
the time they take.

    python benchmarks/rmpe.py boxes    --system plain=tinypose-256x192 --system sstn=tinypose-256x192+sstn.onnx
    python benchmarks/rmpe.py turns    --system plain=tinypose-256x192 --system sstn=tinypose-256x192+sstn.onnx
    python benchmarks/rmpe.py train    --out models -d shards --sstn sstn.safetensors   # equal fine-tunes, one per row
    python benchmarks/rmpe.py ablation --models models
    python benchmarks/rmpe.py look     --sstn sstn.onnx
    python benchmarks/rmpe.py speed    --pose tinypose-256x192 --sstn sstn.onnx --rmpe rmpe.onnx

A system is an SPPE (a name or an ONNX file, RMPE in one graph too), or an SPPE + an SSTN's file.
All systems see the same people in the same wrong boxes and turns: differences are paired, with 95 %
bootstrap intervals over pictures. Measured on ../shared/data coco_val (AP of 17 joints) and
lspet/val (of the 12 that both have), one person per true box, no NMS where boxes are given. Nothing
is chosen on these pictures.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from everybody import geometry
from everybody.data.dataset import Dataset, with_margin
from everybody.data.read import read
from everybody.data.frames import gathered
from everybody.draw import draw as draw_people
from everybody.media.images import decode
from everybody.media.read import Selection
from everybody.media.read import read as read_frames
from everybody.methods.open import Engine, load_detector, load_sppe
from everybody.methods.sppe import Sppe
from everybody.metrics import bootstrap
from everybody.metrics.judge import Figure, judge
from everybody.nms import pose_nms
from everybody.people import People
from everybody.skeletons import COCO17

SHARED = Path(__file__).resolve().parents[2] / "shared"
DRAWS = 300
SIGMAS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
AREA = 0.53  # of a box: what COCO's areas come to, for data without


def datasets(names: Sequence[str], limit: int) -> list[Dataset]:
    """The truth, all as COCO's joints, in boxes as a detector draws them."""
    found = []
    for name in names:
        truth = replace(read(SHARED / "data" / name), name=name.removesuffix(".npz"))
        if truth.skeleton != COCO17:
            boxes = with_margin(truth.boxes, truth.keypoints)
            areas = AREA * geometry.area(boxes)
            truth = replace(truth.to(COCO17), boxes=boxes, areas=areas, format="COCO")
        found.append(truth.subset(range(min(limit, len(truth)))) if limit else truth)
    return found


def systems(given: Sequence[str]) -> dict[str, Sppe]:
    """'name=pose', 'name=pose+sstn.onnx', and either with '@any' (to search for turns) ->
    estimators of one thread.
    """
    made = {}
    for text in given:
        name, _, files = text.partition("=")
        files, _, orientation = files.partition("@")
        pose, _, sstn = files.partition("+")
        made[name] = load_sppe(
            pose,
            sstn=sstn or None,
            engine=Engine(threads=1),
            batch=4,
            orientation=orientation or "upright",
        )
    return made


def pictures(truth: Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each picture and the rows of those of its people who are to be found."""
    for index, rows in enumerate(truth.rows()):
        path = truth.path(index)
        yield decode(path.read_bytes(), str(path)), rows[~truth.ignored[rows]]


def figure(truth: Dataset, people: Sequence[People]) -> Figure:
    """AP."""
    return judge(truth, gathered(people, truth.pictures, COCO17, name="", boxes_from="gt"), ["AP"])[
        0
    ]


def gap(first: Figure, second: Figure, count: int) -> str:
    """By how much the second is better, and its interval."""
    samples = bootstrap.sample(
        [first, second], bootstrap.draws(count, DRAWS, np.random.default_rng(0))
    )
    known = bootstrap.difference(samples[0], samples[1], second.value - first.value)
    return f"{known.value:+.3f} [{known.low:+.3f}, {known.high:+.3f}]"


def scored(poses: list[People]) -> list[People]:
    """Scores that do not know the box: the mean of the joints, as boxes are given."""
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


def boxes(given: argparse.Namespace) -> None:
    loaded = systems(given.system)
    curves: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for truth in datasets(given.data, given.limit):
        judged = {sigma: {name: [] for name in loaded} for sigma in SIGMAS}
        overlaps: dict[float, list[float]] = {sigma: [] for sigma in SIGMAS}
        similar: dict[str, list[tuple[float, float]]] = {name: [] for name in loaded}
        rng = np.random.default_rng(0)
        for image, rows in pictures(truth):
            true = truth.boxes[rows]
            for sigma in SIGMAS:
                seen = wrong(true, sigma, rng) if sigma else true
                overlap = np.diagonal(geometry.iou(true, seen)).tolist()
                overlaps[sigma] += overlap
                for name, sppe in loaded.items():
                    (poses,) = sppe([image], [People.from_boxes(seen)])
                    judged[sigma][name].append(poses)
                    oks = np.diagonal(
                        geometry.oks(
                            truth.keypoints[rows],
                            poses.keypoints,
                            truth.areas[rows],
                            COCO17.sigmas,
                            (truth.keypoints[rows, :, 2] > 0).astype(float),
                        )
                    )
                    similar[name] += zip(overlap, oks.tolist(), strict=True)
        print(
            f"\n{truth.name}: {len(truth)} pictures, {len(overlaps[0.0])} people; AP by box error\n"
        )
        names = list(loaded)
        print("| σ | mean IoU | " + " | ".join(names) + f" | {names[-1]} − {names[0]} |")
        print("| --- " * (3 + len(names)) + "|")
        for sigma in SIGMAS:
            figures = {name: figure(truth, scored(poses)) for name, poses in judged[sigma].items()}
            mean = float(np.mean(overlaps[sigma]))
            for name, found in figures.items():
                curves.setdefault((truth.name, name), []).append((mean, found.value))
            values = " | ".join(f"{found.value:.3f}" for found in figures.values())
            print(
                f"| {sigma:g} | {mean:.2f} | {values} | {gap(figures[names[0]], figures[names[-1]], len(truth))} |"
            )
        print(
            "\n| IoU of the box | people | " + " | ".join(f"OKS, {name}" for name in names) + " |"
        )
        print("| --- " * (2 + len(names)) + "|")
        for low in (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.0):
            high = 1.01 if low == 0.9 else 0.4 if low == 0 else low + 0.1
            bins = {
                name: [o for iou, o in pairs if low <= iou < high]
                for name, pairs in similar.items()
            }
            values = " | ".join(
                f"{np.mean(found):.3f}" if found else "–" for found in bins.values()
            )
            print(f"| {low:g} to {min(high, 1):g} | {len(bins[names[0]])} | {values} |")
    draw(given.plot, curves, "mean IoU of box and person", [1.0, 0.8, 0.6, 0.4], flip=True)


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
    loaded = systems(given.system)
    names = list(loaded)
    curves: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for truth in datasets(given.data, given.limit):
        print(
            f"\n{truth.name}: {len(truth)} pictures, {(~truth.ignored).sum()} people; AP by the angle of the pictures\n"
        )
        print("| angle | " + " | ".join(names) + f" | {names[-1]} − {names[0]} |")
        print("| --- " * (2 + len(names)) + "|")
        for angle in range(0, 360, given.step):
            shown = truth.keypoints.copy()
            found: dict[str, list[People]] = {name: [] for name in loaded}
            for image, rows in pictures(truth):
                image, matrix = turned(image, angle)
                some = np.broadcast_to(matrix, (len(rows), 2, 3))
                shown[rows] = geometry.transform(some, shown[rows])
                seen = People.from_boxes(around(truth.boxes[rows], matrix))
                for name, sppe in loaded.items():
                    found[name].append(sppe([image], [seen])[0])
            figures = {
                name: figure(replace(truth, keypoints=shown), scored(poses))
                for name, poses in found.items()
            }
            for name, value in figures.items():
                curves.setdefault((truth.name, name), []).append((angle, value.value))
            values = " | ".join(f"{value.value:.3f}" for value in figures.values())
            difference = gap(figures[names[0]], figures[names[-1]], len(truth))
            print(f"| {angle}° | {values} | {difference} |", flush=True)
    draw(given.plot, curves, "degrees clockwise", [0, 90, 180, 270])


def draw(
    path: Path | None,
    curves: dict[tuple[str, str], list[tuple[float, float]]],
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


# --- the ablation

# name: recipe and settings of its fine-tune, and what the paper's row gave (MPII val mAP,
# PCKh-based)
ROWS = {
    "full": ("rmpe-{net}", ["proposals=pgpg"], 80.8),
    "without SSTN and parallel SPPE": ("{net}", ["proposals=pgpg", "scale=0", "shift=0"], 78.2),
    "without parallel SPPE": ("rmpe-{net}", ["proposals=pgpg", "parallel=0"], 79.1),
    "without PGPG": ("rmpe-{net}", ["proposals="], 73.0),
    "random jitter instead of PGPG": ("rmpe-{net}", ["proposals=jitter"], 77.9),
    "two-step": ("{net}", ["proposals=", "scale=0", "shift=0"], 71.7),
}
SUPPRESSED = {  # rows that reuse the full model
    "without pose NMS": ("none", 75.7),
    "OKS NMS": ("oks", None),
    "soft OKS NMS": ("soft-oks", None),
    "box NMS": ("box", None),
    "AlphaPose's constants": ("alphapose", None),
}


def train(given: argparse.Namespace) -> None:
    """Every row's model by the same data, steps and seeds, from the same bundled SPPE."""
    equal = {
        "steps": given.steps,
        "batch": given.batch,
        "seed": given.seed,
        "rate": 5e-5,
        "warmup": 50,
        "near": 15,
        "anywhere": 0.3,
        "half_body": 0,
        "colour": 0.25,
        "blur": 0.05,
        "jpeg": 0.05,
        "erase": 0.15,
        "occlude": 0.1,
        "paste": 0.1,
        "freeze_norm": "true",
        "evaluate_every": given.steps,
    }
    common = [part for key, value in equal.items() for part in ("--set", f"{key}={value}")]
    start = {"tinypose-256": "everybody-accurate", "tinypose-128": "everybody-fast"}[given.net]
    for name, (recipe, settings, _) in ROWS.items():
        out, chosen = given.out / f"{name} {given.seed}", recipe.format(net=given.net)
        if Path(f"{out}.onnx").is_file():  # of a run before
            continue
        mine = (
            [f"sppe={start}", f"sstn={given.sstn}"]
            if chosen.startswith("rmpe")
            else [f"start={start}"]
        )
        command = [
            sys.executable,
            "-m",
            "everybody",
            "train",
            chosen,
            "-o",
            str(out),
            "--device",
            "cpu",
            *common,
        ]
        command += [part for setting in [*settings, *mine] for part in ("--set", setting)]
        command += [part for folder in given.data for part in ("-d", folder)]
        print(" ".join(command), file=sys.stderr, flush=True)
        subprocess.run(command, check=True)
        subprocess.run(
            [
                sys.executable,
                "-m",
                "everybody",
                "export",
                str(out / "last.safetensors"),
                f"{out}.onnx",
            ],
            check=True,
        )


def ablation(given: argparse.Namespace) -> None:
    for truth in datasets(given.data, given.limit):
        detector = load_detector(
            "rtmdet-nano-person", score=given.det_score, engine=Engine(threads=1)
        )
        frames = [(image, rows, detector([image])[0]) for image, rows in pictures(truth)]
        rows: dict[str, tuple[Figure, float | None]] = {}
        missing = []
        full: list[People] = []
        for name, (_, _, paper) in ROWS.items():
            path = given.models / f"{name} {given.seed}.onnx"
            if not path.is_file():
                missing.append(name)
                continue
            sppe = load_sppe(path, engine=Engine(threads=1))
            posed = [sppe([image], [people])[0] for image, _, people in frames]
            way = pose_nms("none" if name == "two-step" else "parametric")
            rows[name] = (figure(truth, [way(people) for people in posed]), paper)
            if name == "full":
                full = posed
                true = [
                    sppe([image], [People.from_boxes(truth.boxes[some])])[0]
                    for image, some, _ in frames
                ]
                ceiling = figure(truth, scored(true))
        for name, (way, paper) in SUPPRESSED.items():
            if full:
                rows[name] = (figure(truth, [pose_nms(way)(people) for people in full]), paper)
            else:
                missing.append(name)
        if full:
            rows["true boxes"] = (ceiling, 84.2)
        people = int((~truth.ignored).sum())
        print(
            f"\n{truth.name}: {len(truth)} pictures, {people} people; boxes detected from {given.det_score:g} on; "
            f"seed {given.seed}\n"
        )
        print("| row | AP | against full | paper (MPII val mAP) |\n| --- | --- | --- | --- |")
        for name, (found, paper) in rows.items():
            difference = (
                gap(rows["full"][0], found, len(truth))
                if "full" in rows and name != "full"
                else "–"
            )
            print(f"| {name} | {found.value:.3f} | {difference} | {paper or '–'} |")
        for name in missing:
            print(f"| {name} | not measured | – | – |")


# --- to look at


def look(given: argparse.Namespace) -> None:
    """A frame of class.mp4, upright and turned, in wrong boxes: before (box) and after (region of
    the SSTN) -> JPEG.
    """
    before, after = (
        load_sppe(given.pose, sstn=sstn, engine=Engine(threads=1)) for sstn in (None, given.sstn)
    )
    assert after.sstn is not None
    frame = next(
        read_frames(str(SHARED / "data/video/class.mp4"), select=Selection.parse("100", None, None))
    ).image
    true = load_detector("rtmdet-nano-person", engine=Engine(threads=1))([frame])[0].boxes
    rows = []
    for angle in given.angles:
        image, matrix = turned(frame, angle)
        seen = wrong(
            around(true.astype(np.float64), matrix), given.sigma, np.random.default_rng(given.seed)
        )
        people, still = People.from_boxes(seen), np.zeros(len(seen), np.intp)
        # Where the corners of the network's input lie in the picture.
        shown = [
            geometry.crop_matrices(seen, before.input.size, before.padding),
            after.sstn([image] * len(seen), seen, still, after.input.size),
        ]
        width, height = before.input.size
        corners = np.array(
            [[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]]
        )
        row = []
        for sppe, matrices in zip((before, after), shown, strict=True):
            (poses,) = sppe([image], [people])
            drawn = draw_people(image, poses)
            for quad in geometry.transform(
                geometry.invert(matrices), np.broadcast_to(corners, (len(seen), 4, 2))
            ):
                cv2.polylines(drawn, [quad.round().astype(np.int32)], True, (255, 255, 255), 2)
                cv2.line(
                    drawn, *quad[:2].round().astype(int).tolist(), (255, 60, 60), 4
                )  # its upper edge
            row.append(
                cv2.resize(
                    drawn,
                    None,
                    fx=304 / drawn.shape[0],
                    fy=304 / drawn.shape[0],
                    interpolation=cv2.INTER_AREA,
                )
            )
        rows.append(np.hstack(row))
    side = max(row.shape[1] for row in rows)
    rows = [
        cv2.copyMakeBorder(row, 0, 8, 0, side - row.shape[1], cv2.BORDER_CONSTANT, value=(255,) * 3)
        for row in rows
    ]
    cv2.imwrite(str(given.out), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 78])


# --- time


def speed(given: argparse.Namespace) -> None:
    """Milliseconds per person, the systems by turns, one thread; medians and their ratios to the
    plain SPPE.
    """
    made = {"SPPE": load_sppe(given.pose, engine=Engine(threads=1))}
    made["SPPE + SSTN"] = load_sppe(given.pose, sstn=given.sstn, engine=Engine(threads=1))
    if given.rmpe:
        made["one graph"] = load_sppe(given.rmpe, engine=Engine(threads=1))
    image = decode((SHARED / "data/coco_val").glob("images/*").__next__().read_bytes(), "")
    people = People.from_boxes(np.tile([[50.0, 50, 200, 350]], (4, 1)))
    spent: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(given.repeats):
        for name, sppe in made.items():
            begun = time.perf_counter()
            sppe([image], [people])
            spent[name].append((time.perf_counter() - begun) / len(people) * 1e3)
    base = np.array(spent["SPPE"])
    for name, values in spent.items():
        ratio = np.median(np.array(values) / base)
        print(
            f"{name:12} {np.median(values):6.2f} ms a person, fastest {min(values):6.2f}; {ratio:.3f} of the SPPE's"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)

    def command(
        what: Callable[[argparse.Namespace], None], **options: Any
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(what.__name__, help=(what.__doc__ or "").partition("\n")[0])
        added.set_defaults(what=what, **options)
        return added

    for what in (boxes, turns, ablation):
        one = command(what)
        one.add_argument("--data", nargs="+", default=["coco_val", "lspet/val.npz"])
        one.add_argument("--limit", type=int, default=0, help="pictures of each data set")
        if what is not ablation:
            one.add_argument("--system", action="append", required=True)
            one.add_argument("--plot", type=Path)
        if what is turns:
            one.add_argument("--step", type=int, default=15, help="degrees")
    one.add_argument("--models", type=Path, required=True)
    one.add_argument("--det-score", type=float, default=0.1)
    one.add_argument("--seed", type=int, default=1)
    training = command(train)
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("-d", "--data", action="append", required=True)
    training.add_argument(
        "--sstn", required=True, help="safetensors that all rows with an SSTN start from"
    )
    training.add_argument("--net", default="tinypose-256", choices=["tinypose-256", "tinypose-128"])
    training.add_argument("--steps", type=int, default=400)
    training.add_argument("--batch", type=int, default=32)
    training.add_argument("--seed", type=int, default=1)
    picture = command(look)
    picture.add_argument("--pose", default="tinypose-256x192")
    picture.add_argument("--sstn", required=True)
    picture.add_argument("--out", type=Path, default=Path("docs/images/rmpe.jpg"))
    picture.add_argument("--angles", type=float, nargs="+", default=[0.0, 180.0])
    picture.add_argument("--sigma", type=float, default=0.15)
    picture.add_argument("--seed", type=int, default=1)
    timing = command(speed)
    timing.add_argument("--pose", default="tinypose-256x192")
    timing.add_argument("--sstn", required=True)
    timing.add_argument("--rmpe")
    timing.add_argument("--repeats", type=int, default=40)
    given = parser.parse_args()
    os.environ.setdefault("EVERYBODY_WEIGHTS", str(SHARED / "weights"))
    cv2.setNumThreads(1)
    given.what(given)


if __name__ == "__main__":
    main()
